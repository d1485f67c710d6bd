//! Names of what an upstream keeps, as numbers: responses, conversations and Anthropic's threads are stored at one
//! upstream, for one account, and mean nothing anywhere else.

use crate::algo::name;
use crate::dialect::json::{Kind, Walked, Walker};

/// What a request's `previous_response_id` or `conversation` refers to; the value is JSON, a text or an
/// object with an `id`.
pub fn of_reference(value: &[u8]) -> Option<u64> {
    let mut walker = Walker::new(value);
    id(&mut walker).ok().flatten()
}

/// What Anthropic's `thread` goes on from.
pub fn of_thread(value: &[u8]) -> Option<u64> {
    let mut found = None;
    let _ = Walker::new(value).if_object(|walker, key| {
        if key.is("previous_message_id") {
            found = id(walker)?;
        } else {
            walker.skip()?;
        }
        Ok(())
    });
    found
}

/// What a whole answer is stored as: the response, and the conversation that it belongs to.
pub fn of_answer(body: &[u8]) -> [Option<u64>; 2] {
    let mut names = [None, None];
    // An answer that cannot be read is stored nowhere that anybody could refer to.
    let _ = response(&mut Walker::new(body), &mut names);
    names
}

/// The same of a stream's first event, as it stands on the wire.
pub fn of_first_event(frame: &[u8]) -> [Option<u64>; 2] {
    let mut names = [None, None];
    let Some(at) = memchr::memmem::find(frame, b"data:") else { return names };
    let data = frame.get(at + b"data:".len()..).unwrap_or_default();
    let line = memchr::memchr(b'\n', data).map_or(data, |end| data.get(..end).unwrap_or(data));
    let _ = Walker::new(line).object(|walker, key| {
        if key.is("response") || key.is("message") {
            response(walker, &mut names)
        } else {
            walker.skip().map(|_| ())
        }
    });
    names
}

fn response(walker: &mut Walker<'_>, names: &mut [Option<u64>; 2]) -> Walked {
    walker
        .if_object(|walker, key| {
            if key.is("id") {
                names[0] = id(walker)?;
            } else if key.is("conversation") {
                names[1] = id(walker)?;
            } else {
                walker.skip()?;
            }
            Ok(())
        })
        .map(|_| ())
}

/// A text, or the `id` of an object.
fn id(walker: &mut Walker<'_>) -> Walked<Option<u64>> {
    if walker.kind()? == Kind::String {
        let text = walker.string()?;
        return Ok((!text.raw.is_empty()).then(|| name::number(&text.bytes())));
    }
    let mut found = None;
    walker.if_object(|walker, key| {
        if key.is("id") && walker.kind()? == Kind::String {
            found = Some(name::number(&walker.string()?.bytes()));
        } else {
            walker.skip()?;
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reference_meets_what_it_refers_to() {
        let answer = br#"{"id":"resp_1","object":"response","conversation":{"id":"conv_2"},"output":[{"id":"msg_3"}]}"#;
        let event = b"event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\",\"conversation\":null}}\n\n";
        let [response, conversation] = of_answer(answer);
        assert!(response.is_some() && conversation.is_some());
        assert_eq!(of_reference(b"\"resp_1\""), response);
        assert_eq!(of_reference(b"\"conv_2\""), conversation);
        assert_eq!(of_reference(br#"{"id":"conv_2"}"#), conversation);
        assert_eq!(of_first_event(event), [response, None]);
        assert_ne!(of_reference(b"\"msg_3\""), response);
        let start = b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_4\",\"content\":[]}}\n\n";
        let thread = of_thread(br#"{"type":"continue","previous_message_id":"msg_4"}"#);
        assert_eq!(of_first_event(start), [thread, None]);
        assert!(thread.is_some() && of_thread(br#"{"type":"create"}"#).is_none());
        for nothing in [&b"null"[..], b"{}", b"7", b"\"\"", b""] {
            assert_eq!(of_reference(nothing), None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = (of_reference(&bytes), of_answer(&bytes), of_first_event(&bytes));
        }
    }
}
