//! What callers compressed: bodies that name a model are read here, so that they have to be plain.
//!
//! `Content-Encoding: gzip` is undone, within the limit of a plain body and piece by piece, so that a small body that
//! stands for a large one neither fills the memory nor holds up others. Every other coding is refused with the one that
//! is taken (RFC 9110, 15.5.16). What is only passed on (plain HTTP, files) keeps its coding.

use std::io::{self, BufRead, ErrorKind, Read};

use bytes::Bytes;
use flate2::bufread::GzDecoder;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use tokio::task::yield_now;

use super::body::Unread;
use crate::state::holding::Holding;

/// The value of `Accept-Encoding` in a refusal.
pub const TAKEN: &str = "gzip";

/// Bytes that are unpacked before others get their turn: a tenth of a millisecond's work.
const PIECE: usize = 32 * 1024;
/// Packed bytes that are read before others get their turn: there may be nothing in them.
const SIP: usize = 16 * 1024;
/// Parts that a body may have, each with a header (RFC 1952, 2.2): those who pack in parallel make one of 64 KiB or
/// more.
const MOST_MEMBERS: u32 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Plain,
    Gzip,
}

/// As the head says.
///
/// # Errors
/// The coding that is not known here, as it was said.
pub fn said(headers: &HeaderMap) -> Result<Coding, String> {
    let mut coding = Coding::Plain;
    for value in headers.get_all(CONTENT_ENCODING) {
        for name in value.to_str().unwrap_or("?").split(',').map(str::trim) {
            coding = match name.to_ascii_lowercase().as_str() {
                "" | "identity" => coding,
                // An old name for the same (RFC 9110, 8.4.1.3).
                "gzip" | "x-gzip" if coding == Coding::Plain => Coding::Gzip,
                _ => return Err(name.to_owned()),
            };
        }
    }
    Ok(coding)
}

/// A body as its caller wrote it, of at most `most` bytes, and its head without the coding.
pub async fn undo(
    coding: Coding,
    headers: &mut HeaderMap,
    body: Bytes,
    most: u64,
    holding: &mut Holding,
) -> Result<Bytes, Unread> {
    if coding == Coding::Plain {
        return Ok(body);
    }
    let mut decoder = GzDecoder::new(Sips { rest: &body, now: SIP });
    let (mut plain, mut members) = (Vec::new(), 1);
    let mut room = promised(&body).min(most) as usize + PIECE;
    loop {
        let begin = plain.len();
        if plain.capacity() - begin < PIECE {
            grow(&mut plain, room, body.len(), holding)?;
            room = (2 * plain.capacity()).min(most as usize + PIECE);
        }
        plain.resize(begin + PIECE, 0);
        let read = decoder.read(&mut plain[begin..]);
        plain.truncate(begin + read.as_ref().copied().unwrap_or(0));
        match read {
            Ok(0) if decoder.get_ref().rest.is_empty() => break,
            Ok(0) if members == MOST_MEMBERS => return Err(Unread::Packed),
            Ok(0) => {
                members += 1;
                decoder = GzDecoder::new(decoder.into_inner());
                continue;
            }
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return Err(Unread::Packed),
        }
        decoder.get_mut().now = SIP;
        if plain.len() as u64 > most {
            return Err(Unread::TooLarge);
        }
        yield_now().await;
    }
    if plain.capacity() - plain.len() > PIECE {
        plain.shrink_to_fit();
    }
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    Ok(plain.into())
}

/// How long the body is that was packed, as its last part says (RFC 1952, 2.3.1: `ISIZE`); 0 where that cannot be. A
/// buffer of this length need not double, which would hold what it has three times. Who lies has his own refused.
fn promised(packed: &[u8]) -> u64 {
    /// One bit for a copy of 258 bytes, and as many for its distance (RFC 1951, 3.2.5).
    const TIGHTEST: u64 = 1032;
    let said = packed.last_chunk().map_or(0, |last| u64::from(u32::from_le_bytes(*last)));
    if said <= packed.len() as u64 * TIGHTEST { said } else { 0 }
}

/// Gives `plain` room for so many bytes, which is paid for; and for those that it has once more, while they are copied.
fn grow(plain: &mut Vec<u8>, room: usize, packed: usize, holding: &mut Holding) -> Result<(), Unread> {
    holding.try_hold((packed + plain.capacity() + room) as u64).map_err(|_| Unread::Full)?;
    plain.reserve_exact(room - plain.len());
    holding.hold((packed + plain.capacity()) as u64);
    Ok(())
}

/// Bytes of which only so many can be had for now.
struct Sips<'b> {
    rest: &'b [u8],
    now: usize,
}

impl Read for Sips<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(into)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Sips<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.now == 0 && !self.rest.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(&self.rest[..self.now.min(self.rest.len())])
    }

    fn consume(&mut self, read: usize) {
        self.rest = &self.rest[read..];
        self.now -= read;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;
    use crate::state::holding::Holdings;

    fn packed(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    fn unpack(packed: impl Into<Bytes>, most: u64, memory: u64) -> Result<Bytes, Unread> {
        let mut headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        let coding = said(&headers).expect("known");
        let mut holding = Holding::within(&Arc::new(Holdings::default()), memory);
        let runtime =
            tokio::runtime::Builder::new_current_thread().build().expect("a thread can be waited on");
        let result = runtime.block_on(undo(coding, &mut headers, packed.into(), most, &mut holding));
        assert_eq!(headers.is_empty(), result.is_ok());
        result
    }

    proptest! {
        #[test]
        fn a_body_comes_out_as_it_went_in(plain in prop::collection::vec(any::<u8>(), 0..100_000)) {
            prop_assert_eq!(unpack(packed(&plain), 100_000, u64::MAX).ok(), Some(Bytes::from(plain)));
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(unpack(bytes, 1000, u64::MAX).is_err());
        }

        #[test]
        fn one_that_ends_early_is_none(cut in 1..200_usize) {
            let mut bytes = packed(&(0..=255).collect::<Vec<u8>>());
            bytes.truncate(bytes.len() - cut);
            prop_assert!(matches!(unpack(bytes, 1000, u64::MAX), Err(Unread::Packed)));
        }
    }

    #[test]
    fn parts_are_one_body_and_there_are_not_too_many() {
        let parts = [packed(b"one, "), packed(b""), packed(b"two")].concat();
        assert_eq!(unpack(parts, 100, u64::MAX).ok(), Some(Bytes::from_static(b"one, two")));
        let empty = packed(b"");
        assert_eq!(unpack(empty.repeat(MOST_MEMBERS as usize), 100, u64::MAX).ok(), Some(Bytes::new()));
        let more = unpack(empty.repeat(MOST_MEMBERS as usize + 1), 100, u64::MAX);
        assert!(matches!(more, Err(Unread::Packed)));
    }

    #[test]
    fn others_have_their_turn_while_nothing_comes_out() {
        // An empty block that is not the last (RFC 1951, 3.2.4), again and again.
        let mut bytes = packed(b"");
        let end = bytes.split_off(10);
        for _ in 0..SIP {
            bytes.extend([0, 0, 0, 0xff, 0xff]);
        }
        bytes.extend(end);
        let mut headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
        let mut holding = Holding::within(&Arc::new(Holdings::default()), u64::MAX);
        let undone = undo(Coding::Gzip, &mut headers, bytes.into(), 100, &mut holding);
        let mut undone = std::pin::pin!(undone);
        let mut turns = 0;
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let plain = loop {
            match undone.as_mut().poll(&mut context) {
                std::task::Poll::Ready(plain) => break plain,
                std::task::Poll::Pending => turns += 1,
            }
        };
        assert_eq!((plain.ok(), turns), (Some(Bytes::new()), 5));
    }

    #[test]
    fn a_small_body_that_stands_for_a_large_one_is_too_large() {
        let bomb = packed(&vec![0; 50 << 20]);
        assert!(matches!(unpack(bomb.clone(), 1 << 20, u64::MAX), Err(Unread::TooLarge)));
        assert!(matches!(unpack(bomb, 100 << 20, 1 << 20), Err(Unread::Full)));
    }

    #[test]
    fn a_buffer_is_paid_for_and_grows_once_where_the_body_says_how_long_it_is() {
        let plain = vec![7; 10 << 20];
        let room = (10 << 20) + (1 << 18);
        assert_eq!(unpack(packed(&plain), 64 << 20, room).ok(), Some(Bytes::from(plain.clone())));
        // The last part says one byte, so that the buffer doubles: 8 MiB and 16 while they are copied.
        let parts = [packed(&plain), packed(b"x")].concat();
        assert!(matches!(unpack(parts.clone(), 64 << 20, 2 * room), Err(Unread::Full)));
        assert_eq!(unpack(parts, 64 << 20, 4 * room).map(|plain| plain.len()).ok(), Some(1 + (10 << 20)));
    }

    #[test]
    fn one_coding_is_known_and_all_others_are_named() {
        let heard = |values: &[&'static str]| {
            said(&values.iter().map(|value| (CONTENT_ENCODING, HeaderValue::from_static(value))).collect())
        };
        assert_eq!(heard(&[]), Ok(Coding::Plain));
        assert_eq!(heard(&["identity"]), Ok(Coding::Plain));
        assert_eq!(heard(&["GZIP"]), Ok(Coding::Gzip));
        assert_eq!(heard(&["identity, x-gzip"]), Ok(Coding::Gzip));
        assert_eq!(heard(&["zstd"]), Err("zstd".to_owned()));
        assert_eq!(heard(&["gzip", "br"]), Err("br".to_owned()));
        assert_eq!(heard(&["gzip, gzip"]), Err("gzip".to_owned()));
    }
}
