//! Where a response's body ends (RFC 9112 §6 and §7): the decoder that takes a body out of the bytes that
//! come, whatever pieces they come in. Which framing a response has, its head says (`head`).

use bytes::{Buf, Bytes};
use http::HeaderMap;

use super::head::{self, Malformed};

/// Most bytes of one chunk's extensions, which nobody reads.
const MAX_EXTENSIONS: u16 = 4 * 1024;
/// Most bytes of trailers, and most fields: they are few where there are any.
const MAX_TRAILERS: usize = 16 * 1024;
const MAX_TRAILER_FIELDS: usize = 64;
/// Digits of a chunk's size: what a `u64` takes, so that leading zeros have an end.
const MAX_SIZE_DIGITS: u8 = 16;

/// What is still to come of a body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked(Chunks),
    UntilClose,
    Ended,
}

/// The place in a chunked body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    Size {
        size: u64,
        digits: u8,
    },
    /// Space after the size: only an extension or the line's end may follow.
    SizeSpace {
        size: u64,
    },
    Extension {
        size: u64,
        seen: u16,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// After the last chunk: a trailer or the end.
    Trailer,
    Trailers(Vec<u8>),
    FinalLf,
}

impl Chunks {
    pub(super) const START: Self = Self::Size { size: 0, digits: 0 };
}

/// What a look at the bytes at hand has given.
#[derive(Debug)]
pub(super) enum Decoded {
    Data(Bytes),
    Trailers(HeaderMap),
    /// All that is there has been taken; the body goes on.
    Hungry,
    End,
}

impl Framing {
    pub(super) fn decode(&mut self, input: &mut Bytes) -> Result<Decoded, Malformed> {
        match self {
            Self::Ended => Ok(Decoded::End),
            _ if input.is_empty() => Ok(Decoded::Hungry),
            Self::UntilClose => Ok(Decoded::Data(std::mem::take(input))),
            Self::Length(left) => {
                let data = take(left, input);
                if *left == 0 {
                    *self = Self::Ended;
                }
                Ok(Decoded::Data(data))
            }
            Self::Chunked(chunks) => {
                let decoded = chunks.decode(input)?;
                if let Decoded::End | Decoded::Trailers(_) = decoded {
                    *self = Self::Ended;
                }
                Ok(decoded)
            }
        }
    }

    pub(super) fn left(&self) -> Option<u64> {
        match self {
            Self::Length(left) => Some(*left),
            Self::Ended => Some(0),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }
}

/// As much of `left` as is there.
fn take(left: &mut u64, input: &mut Bytes) -> Bytes {
    let n = usize::try_from(*left).map_or(input.len(), |left| left.min(input.len()));
    *left -= n as u64;
    let data = input.split_to(n);
    if input.is_empty() {
        // Lets go of the allocation, which is the data's alone from here on.
        *input = Bytes::new();
    }
    data
}

impl Chunks {
    fn decode(&mut self, input: &mut Bytes) -> Result<Decoded, Malformed> {
        loop {
            if let Self::Data { left } = self {
                if input.is_empty() {
                    return Ok(Decoded::Hungry);
                }
                let data = take(left, input);
                if *left == 0 {
                    *self = Self::DataCr;
                }
                return Ok(Decoded::Data(data));
            }
            let Some(&byte) = input.first() else {
                *input = Bytes::new();
                return Ok(Decoded::Hungry);
            };
            input.advance(1);
            if let Some(decoded) = self.step(byte)? {
                return Ok(decoded);
            }
        }
    }

    /// One byte that is not data. Gives something only at the body's end.
    fn step(&mut self, byte: u8) -> Result<Option<Decoded>, Malformed> {
        match (&mut *self, byte) {
            (Self::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if *digits == MAX_SIZE_DIGITS {
                    return Err(Malformed("a chunk's size is too long"));
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                // Sixteen digits of four bits each fit.
                (*size, *digits) = ((*size << 4) | u64::from(digit), *digits + 1);
            }
            (Self::Size { digits: 0, .. }, _) => return Err(Malformed("a chunk without a size")),
            (Self::Size { size, .. } | Self::SizeSpace { size }, b' ' | b'\t') => {
                *self = Self::SizeSpace { size: *size };
            }
            (Self::Size { size, .. } | Self::SizeSpace { size }, b';') => {
                *self = Self::Extension { size: *size, seen: 0 };
            }
            (Self::Extension { .. }, b'\n') => return Err(Malformed("a bare line feed")),
            (Self::Size { size, .. } | Self::SizeSpace { size } | Self::Extension { size, .. }, b'\r') => {
                *self = Self::SizeEnd { size: *size }
            }
            (Self::Extension { seen, .. }, _) => {
                *seen += 1;
                if *seen > MAX_EXTENSIONS {
                    return Err(Malformed("a chunk's extensions are too long"));
                }
            }
            (Self::SizeEnd { size: 0 }, b'\n') => *self = Self::Trailer,
            (Self::SizeEnd { size }, b'\n') => *self = Self::Data { left: *size },
            (Self::DataCr, b'\r') => *self = Self::DataLf,
            (Self::DataLf, b'\n') => *self = Self::START,
            (Self::Trailer, b'\r') => *self = Self::FinalLf,
            (Self::FinalLf, b'\n') => return Ok(Some(Decoded::End)),
            (Self::Trailer, _) => *self = Self::Trailers(vec![byte]),
            (Self::Trailers(text), _) => {
                text.push(byte);
                if text.ends_with(b"\r\n\r\n") {
                    let fields = head::fields::<MAX_TRAILER_FIELDS>(&Bytes::from(std::mem::take(text)))?;
                    return Ok(Some(Decoded::Trailers(fields)));
                }
                if text.len() >= MAX_TRAILERS {
                    return Err(Malformed("the trailers are too long"));
                }
            }
            _ => return Err(Malformed("a chunk is not framed as chunks are")),
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Default, PartialEq)]
    struct Read {
        data: Vec<u8>,
        trailers: Option<HeaderMap>,
        ended: bool,
        left_over: Vec<u8>,
    }

    /// Decodes a body that comes in `pieces`.
    fn read<'a>(mut framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Read, Malformed> {
        let mut read = Read::default();
        for piece in pieces {
            if read.ended {
                read.left_over.extend_from_slice(piece);
                continue;
            }
            let mut input = Bytes::copy_from_slice(piece);
            loop {
                match framing.decode(&mut input)? {
                    Decoded::Data(data) => {
                        assert!(!data.is_empty());
                        read.data.extend_from_slice(&data);
                    }
                    Decoded::Trailers(fields) => read.trailers = Some(fields),
                    Decoded::Hungry => break,
                    Decoded::End => {
                        read.ended = true;
                        read.left_over.extend_from_slice(&input);
                        break;
                    }
                }
            }
        }
        Ok(read)
    }

    fn chunked<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Read, Malformed> {
        read(Framing::Chunked(Chunks::START), pieces)
    }

    const CHUNKED: &[u8] =
        b"5\r\nhello\r\n00A ;x=\"y\";z\r\n, chunked \r\n5\t\r\nworld\r\n0;last\r\nx-sum: 1\r\nx-more: 2\r\n\r\nnext";

    #[test]
    fn a_chunked_body_is_the_same_wherever_it_is_split() {
        let whole = chunked([CHUNKED]).unwrap();
        assert_eq!(whole.data, b"hello, chunked world");
        assert_eq!(whole.trailers.as_ref().unwrap()["x-more"], "2");
        assert!(whole.ended);
        assert_eq!(whole.left_over, b"next");
        for at in 0..=CHUNKED.len() {
            let (a, b) = CHUNKED.split_at(at);
            assert_eq!(chunked([a, b]).unwrap(), whole, "at {at}");
        }
        assert_eq!(chunked(CHUNKED.chunks(1)).unwrap(), whole);
    }

    #[test]
    fn a_cut_chunked_body_never_counts_as_ended() {
        for at in 0..CHUNKED.len() - 4 {
            assert!(!chunked([&CHUNKED[..at]]).unwrap().ended, "at {at}");
        }
    }

    #[test]
    fn what_is_not_framed_as_chunks_are_is_malformed() {
        for bad in [
            &b"\r\n"[..],
            b"x\r\n",
            b";ext\r\n",
            b"5\nhello",
            b"5 5\r\n",
            b"-5\r\n",
            b"0x5\r\n",
            b"5\rhello",
            b"5;a\nb\r\n",
            b"5\r\nhello!",
            b"5\r\nhello\n",
            b"5\r\nhello\r5",
            b"00000000000000005\r\n",
            b"0\r\n\rx",
            b"0\r\nno colon\r\n\r\n",
            b"0\r\n: no name\r\n\r\n",
        ] {
            assert!(chunked([bad]).is_err(), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn the_largest_size_is_no_overflow() {
        let mut read = chunked([&b"FFFFFFFFFFFFFFFF\r\nabc"[..]]).unwrap();
        assert_eq!(std::mem::take(&mut read.data), b"abc");
        assert_eq!(read, Read::default());
    }

    #[test]
    fn extensions_and_trailers_have_an_end() {
        let extension = format!("1;{}", "x".repeat(usize::from(MAX_EXTENSIONS) + 1));
        assert!(chunked([extension.as_bytes()]).is_err());
        let each = format!("1;{}\r\nx\r\n", "x".repeat(1000));
        assert_eq!(chunked(std::iter::repeat_n(each.as_bytes(), 50)).unwrap().data.len(), 50);
        assert!(chunked([&b"0\r\n"[..], &b"a: b\r\n".repeat(MAX_TRAILERS / 6 + 1)]).is_err());
        let many = "a: b\r\n".repeat(MAX_TRAILER_FIELDS + 1) + "\r\n";
        assert!(chunked([&b"0\r\n"[..], many.as_bytes()]).is_err());
    }

    #[test]
    fn a_body_of_known_length_ends_there() {
        let read = read(Framing::Length(5), [&b"he"[..], b"llonext"]).unwrap();
        assert_eq!((&read.data[..], &read.left_over[..], read.ended), (&b"hello"[..], &b"next"[..], true));
    }

    proptest! {
        #[test]
        fn any_pieces_of_any_chunks_make_the_same_body(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 0..8),
            trailers in prop::collection::vec("[a-z]{1,9}: [!-~]{0,9}", 0..4),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x};e=1\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n");
            for trailer in &trailers {
                wire.extend_from_slice(trailer.as_bytes());
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"\r\n");
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(wire.len())).collect();
            cuts.extend([0, wire.len()]);
            cuts.sort_unstable();
            let read = chunked(cuts.windows(2).map(|cut| &wire[cut[0]..cut[1]])).unwrap();
            prop_assert_eq!(read.data, chunks.concat());
            prop_assert_eq!(read.trailers.map_or(0, |fields| fields.len()), trailers.len());
            prop_assert!(read.ended && read.left_over.is_empty());
        }

        #[test]
        fn any_bytes_in_any_pieces_are_the_same_verdict(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"0159aF;\r\n :"[..])], 0..200),
            at in any::<prop::sample::Index>(),
        ) {
            let whole = chunked([&bytes[..]]);
            let (a, b) = bytes.split_at(at.index(bytes.len() + 1));
            prop_assert_eq!(&whole, &chunked([a, b]));
            prop_assert_eq!(&whole, &chunked(bytes.chunks(1)));
        }
    }
}
