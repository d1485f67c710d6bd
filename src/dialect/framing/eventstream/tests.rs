//! Messages at every split, damaged ones, and any bytes.

use proptest::prelude::*;

use super::*;

type Said = (Option<String>, Option<String>);

fn text(bytes: Option<&[u8]>) -> Option<String> {
    bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// Feeds the chunks: what was framed, why it stopped, and all the bytes as they came out.
fn split(chunks: &[&[u8]]) -> (Vec<Said>, Option<Unframeable>, Vec<u8>) {
    let mut splitter = Splitter::default();
    let mut frames = Vec::new();
    let mut broken = None;
    for chunk in chunks {
        splitter.push(Bytes::copy_from_slice(chunk));
        loop {
            match splitter.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
    }
    let said = frames.iter().map(|frame| (text(frame.event()), text(frame.data()))).collect();
    frames.extend(splitter.leftover());
    (said, broken, frames.iter().flat_map(|frame| frame.raw.to_vec()).collect())
}

fn encoded(messages: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (event, payload) in messages {
        message(event, MessageKind::Event, payload.as_bytes(), &mut out);
    }
    out
}

/// A message with headers of our choice.
fn handmade(headers: &[u8], payload: &[u8]) -> Vec<u8> {
    let total = (PRELUDE + headers.len() + payload.len() + TRAILER) as u32;
    let mut out = [total.to_be_bytes(), (headers.len() as u32).to_be_bytes()].concat();
    for part in [&[][..], &[headers, payload].concat()] {
        out.extend_from_slice(part);
        let mut crc = Crc::default();
        crc.add(&out);
        out.extend_from_slice(&crc.value().to_be_bytes());
    }
    out
}

fn header(name: &str, value: &str) -> Vec<u8> {
    let length = (value.len() as u16).to_be_bytes();
    [&[name.len() as u8][..], name.as_bytes(), &[7], &length, value.as_bytes()].concat()
}

#[test]
fn it_reads_and_writes_what_amazon_wrote() {
    // The first message of a recorded stream (streaming_tools_smoke.yaml).
    let recorded = "0000008500000052\
        9941d0530b3a6576656e742d7479706507000c6d65737361676553746172740d3a636f6e74656e742d747970650700\
        106170706c69636174696f6e2f6a736f6e0d3a6d6573736167652d747970650700056576656e747b2270223a226162\
        636465666768222c22726f6c65223a22617373697374616e74227d3d593ac6";
    let recorded: Vec<u8> = (0..recorded.len() / 2)
        .map(|at| u8::from_str_radix(&recorded[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect();
    let payload = r#"{"p":"abcdefgh","role":"assistant"}"#;
    assert_eq!(encoded(&[("messageStart", payload)]), recorded);
    assert_eq!(split(&[&recorded]).0, [(Some("messageStart".into()), Some(payload.into()))]);
}

#[test]
fn exceptions_and_errors_have_their_names() {
    let mut exception = Vec::new();
    message("throttlingException", MessageKind::Exception, br#"{"message":"m"}"#, &mut exception);
    let untyped = [
        header(":message-type", "error"),
        header(":error-code", "InternalError"),
        header(":error-message", "say \"why\""),
    ];
    let stream = [exception, handmade(&untyped.concat(), b"")].concat();
    let said = |event: &str, data: &str| (Some(event.to_owned()), Some(data.to_owned()));
    assert_eq!(
        split(&[&stream]).0,
        [
            said("throttlingException", r#"{"message":"m"}"#),
            said("InternalError", r#"{"message":"say \"why\""}"#)
        ]
    );
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut headers = Vec::new();
    for (kind, length) in [(0, 0), (1, 0), (2, 1), (3, 2), (4, 4), (5, 8), (8, 8), (9, 16)] {
        headers.extend_from_slice(&[1, b'x', kind]);
        headers.resize(headers.len() + length, 0xaa);
    }
    headers.extend_from_slice(&[1, b'x', 6, 0, 2, 0, 0]);
    headers.extend(header(":event-type", "metadata"));
    let named = |headers: &[u8]| split(&[&handmade(headers, b"{}")]).0.pop().and_then(|(event, _)| event);
    assert_eq!(named(&headers).as_deref(), Some("metadata"));
    // What cannot be read names nothing, and hurts nobody.
    assert_eq!(named(&[&[1, b'x', 10][..], &headers].concat()), None);
    assert_eq!(named(&[255]), None);
    assert_eq!(named(b""), None);
}

#[test]
fn damage_and_absurd_lengths_are_refused_for_good() {
    let stream = encoded(&[("messageStart", "{}"), ("messageStop", "{}")]);
    let first = encoded(&[("messageStart", "{}")]).len();
    for at in 0..first {
        let mut damaged = stream.clone();
        damaged[at] ^= 0x10;
        let (said, broken, raw) = split(&[&damaged]);
        assert!(said.is_empty() && broken == Some(Unframeable::Damaged), "byte {at}: {broken:?}");
        assert_eq!(raw, damaged);
    }
    let lengths = |total: u32, headers: u32| {
        let mut out = [total.to_be_bytes(), headers.to_be_bytes()].concat();
        let mut crc = Crc::default();
        crc.add(&out);
        out.extend_from_slice(&crc.value().to_be_bytes());
        split(&[&out]).1
    };
    assert_eq!(lengths(u32::MAX, 0), Some(Unframeable::TooLong));
    assert_eq!(lengths(MAX_FRAME as u32 + 1, 0), Some(Unframeable::TooLong));
    assert_eq!(lengths(MAX_FRAME as u32, 0), None);
    assert_eq!(lengths(0, 0), Some(Unframeable::Damaged));
    assert_eq!(lengths(15, 0), Some(Unframeable::Damaged));
    assert_eq!(lengths(100, 85), Some(Unframeable::Damaged));
    assert_eq!(lengths(u32::MAX / 512, MAX_HEADERS as u32 + 1), Some(Unframeable::Damaged));
    assert_eq!(split(&[b"{\"message\":\"no stream\"}"]).1, Some(Unframeable::Damaged));
    let mut splitter = Splitter::default();
    splitter.push(Bytes::from_static(b"HTTP/1.1 500"));
    assert!(splitter.next().is_err() && splitter.next().is_err());
}

#[test]
fn a_message_within_a_chunk_shares_its_buffer() {
    let chunk = Bytes::from(encoded(&[("messageStart", "{}"), ("messageStop", "{}")]));
    let mut splitter = Splitter::default();
    splitter.push(chunk.clone());
    let first = splitter.next().expect("sound").expect("a frame");
    let second = splitter.next().expect("sound").expect("a frame");
    assert_eq!(first.raw.as_ptr(), chunk.as_ptr());
    assert_eq!(second.raw.as_ptr(), chunk[first.raw.len()..].as_ptr());
}

proptest! {
    #[test]
    fn every_split_yields_the_same_messages(
        messages in proptest::collection::vec(("[a-zA-Z]{0,20}", "\\PC{0,40}"), 0..5), cut in 0..40_usize)
    {
        let pairs: Vec<_> = messages.iter().map(|(event, payload)| (event.as_str(), payload.as_str())).collect();
        let mut stream = encoded(&pairs);
        let expected: Vec<Said> = messages.iter().map(|(event, payload)| {
            (Some(event.clone()), (!payload.is_empty()).then(|| payload.clone()))
        }).collect();
        prop_assert_eq!(split(&[&stream]), (expected, None, stream.clone()));
        stream.truncate(stream.len().saturating_sub(cut));
        let whole = split(&[&stream]);
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            prop_assert_eq!(&split(&[head, tail]), &whole);
        }
        let bytes: Vec<_> = stream.chunks(1).collect();
        prop_assert_eq!(split(&bytes), whole);
    }

    #[test]
    fn any_bytes_come_out_as_they_went_in(
        chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
        headers in proptest::collection::vec(any::<u8>(), 0..40))
    {
        let message = handmade(&headers, b"{}");
        let slices: Vec<_> = std::iter::once(&message).chain(&chunks).map(Vec::as_slice).collect();
        prop_assert_eq!(split(&slices).2, slices.concat());
    }
}
