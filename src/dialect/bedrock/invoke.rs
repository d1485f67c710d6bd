//! Anthropic's answers as `InvokeModel` and its stream have them. Of a stream each event is a `chunk` of bytes, the last one
//! has the counts and the times, and an error is an exception.
//!
//! Sources: Bedrock's API reference (`InvokeModelWithResponseStream`, `ResponseStream`), its guide "Anthropic Claude
//! Messages API"; what AWS' and Anthropic's SDKs read of them.

use std::borrow::Cow;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::error::in_band;
use crate::dialect::framing::eventstream::{MessageKind, message};
use crate::dialect::framing::{Frame, Framing, Splitter, Unframeable};
use crate::dialect::trouble::{Kind, Trouble};

/// Of a stream's last event.
const METRICS: &str = "amazon-bedrock-invocationMetrics";

/// A stream on its way into messages.
#[derive(Debug)]
pub struct Invoked {
    splitter: Splitter,
    counts: Counts,
    /// Until the first event.
    first: Option<Duration>,
}

/// As the events before have told them.
#[derive(Debug, Default)]
struct Counts {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
}

impl Default for Invoked {
    fn default() -> Self {
        Self { splitter: Splitter::new(Framing::Sse), counts: Counts::default(), first: None }
    }
}

impl Invoked {
    /// The messages of the events that end with this. `took` is the time since the request came.
    pub fn push(&mut self, chunk: Bytes, took: Duration) -> Result<Vec<u8>, Unframeable> {
        self.splitter.push(chunk);
        let mut out = Vec::new();
        while let Some(frame) = self.splitter.next()? {
            self.say(&frame, took, &mut out);
        }
        Ok(out)
    }

    /// The message of an event that no blank line has ended.
    pub fn end(&mut self, took: Duration) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(frame) = self.splitter.leftover() {
            self.say(&frame, took, &mut out);
        }
        out
    }

    /// What is no event, comments and the like, is not said.
    fn say(&mut self, frame: &Frame, took: Duration, out: &mut Vec<u8>) {
        let Some(data) = frame.data().filter(|data| !data.trim_ascii().is_empty()) else { return };
        let first = *self.first.get_or_insert(took);
        let event = match name(frame, data).as_deref() {
            Some(b"message_start") => self.counts.of(data, "/message/usage"),
            Some(b"message_delta") => self.counts.of(data, "/usage"),
            Some(b"message_stop") => self.last(data, (took, first)).map_or(Cow::Borrowed(data), Cow::Owned),
            Some(b"error") => return out.extend_from_slice(&in_band(&told(data))),
            _ => Cow::Borrowed(data),
        };
        let mut payload = String::with_capacity(event.len() * 4 / 3 + 16);
        payload.push_str(r#"{"bytes":""#);
        BASE64_STANDARD.encode_string(&event, &mut payload);
        payload.push_str(r#""}"#);
        message("chunk", MessageKind::Event, payload.as_bytes(), out);
    }

    fn last(&self, data: &[u8], (took, first): (Duration, Duration)) -> Option<Vec<u8>> {
        let mut event: Value = serde_json::from_slice(data).ok().filter(Value::is_object)?;
        let Counts { input, output, cache_read, cache_write } = self.counts;
        event[METRICS] = json!({
            "inputTokenCount": input,
            "outputTokenCount": output,
            "invocationLatency": millis(took),
            "firstByteLatency": millis(first),
            "cacheReadInputTokenCount": cache_read,
            "cacheWriteInputTokenCount": cache_write,
        });
        Some(event.to_string().into_bytes())
    }
}

/// Whole milliseconds.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What an event is: its name says so, or else its JSON.
fn name<'a>(frame: &'a Frame, data: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    #[derive(Deserialize)]
    struct Typed {
        r#type: String,
    }
    match frame.event() {
        Some(name) => Some(Cow::Borrowed(name)),
        None => serde_json::from_slice::<Typed>(data).ok().map(|typed| Cow::Owned(typed.r#type.into_bytes())),
    }
}

impl Counts {
    /// Takes what an event tells of them; the event stays as it is.
    fn of<'a>(&mut self, data: &'a [u8], place: &str) -> Cow<'a, [u8]> {
        let event: Value = serde_json::from_slice(data).unwrap_or_default();
        let usage = event.pointer(place);
        for (name, count) in [
            ("input_tokens", &mut self.input),
            ("output_tokens", &mut self.output),
            ("cache_read_input_tokens", &mut self.cache_read),
            ("cache_creation_input_tokens", &mut self.cache_write),
        ] {
            // They are of all of the stream so far.
            if let Some(told) = usage.and_then(|usage| usage[name].as_u64()) {
                *count = told;
            }
        }
        Cow::Borrowed(data)
    }
}

/// What an event of Anthropic's says that went wrong.
fn told(data: &[u8]) -> Trouble {
    let event: Value = serde_json::from_slice(data).unwrap_or_default();
    let error = &event["error"];
    let kind = match error["type"].as_str().unwrap_or_default() {
        "invalid_request_error" | "request_too_large" | "not_found_error" => Kind::BadRequest,
        "rate_limit_error" | "billing_error" => Kind::RateLimited,
        "overloaded_error" => Kind::Overloaded,
        "timeout_error" => Kind::Timeout,
        _ => Kind::Internal,
    };
    Trouble::new(kind, error["message"].as_str().unwrap_or("the stream broke"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"usage\":{\"input_tokens\":7,\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\n\
        : a comment\n\
        event: ping\ndata: {\"type\": \"ping\"}\n\n\
        data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"h\\u00e9 \u{e9}\"}}\n\n\
        event: message_delta\r\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}\r\n\r\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

    /// Each message's name, and what it holds.
    fn read(messages: Vec<u8>) -> Vec<(String, Vec<u8>)> {
        let mut splitter = Splitter::new(Framing::EventStream);
        splitter.push(messages.into());
        let mut read = Vec::new();
        while let Some(frame) = splitter.next().expect("sound") {
            let name = String::from_utf8(frame.event().expect("a name").to_vec()).expect("text");
            let payload: Value = serde_json::from_slice(frame.data().expect("a payload")).expect("JSON");
            let held = match payload["bytes"].as_str() {
                Some(bytes) => BASE64_STANDARD.decode(bytes).expect("base64"),
                None => payload.to_string().into_bytes(),
            };
            read.push((name, held));
        }
        assert!(splitter.leftover().is_none(), "whole messages");
        read
    }

    fn said(chunks: &[&[u8]]) -> Vec<u8> {
        let mut invoked = Invoked::default();
        let mut out = Vec::new();
        for (place, chunk) in chunks.iter().enumerate() {
            let took = Duration::from_millis(20 + place as u64);
            out.extend(invoked.push(Bytes::copy_from_slice(chunk), took).expect("framed"));
        }
        out.extend(invoked.end(Duration::from_millis(99)));
        out
    }

    #[test]
    fn each_event_is_a_chunk_and_the_last_one_has_the_counts() {
        let (begin, end) = STREAM.as_bytes().split_at(STREAM.len() - 30);
        let messages = read(said(&[begin, end]));
        assert!(messages.iter().all(|(name, _)| name == "chunk"));
        let events: Vec<Value> =
            messages.iter().map(|(_, held)| serde_json::from_slice(held).expect("JSON")).collect();
        let types: Vec<&str> = events.iter().map(|event| event["type"].as_str().expect("a type")).collect();
        assert_eq!(types, ["message_start", "ping", "content_block_delta", "message_delta", "message_stop"]);
        let text =
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"h\u00e9 é"}}"#;
        assert_eq!(messages[2].1, text.as_bytes(), "as it came");
        let metrics = json!({"inputTokenCount": 7, "outputTokenCount": 5, "invocationLatency": 21, "firstByteLatency": 20,
            "cacheReadInputTokenCount": 3, "cacheWriteInputTokenCount": 0});
        assert_eq!(events[4], json!({"type": "message_stop", METRICS: metrics}));
    }

    #[test]
    fn an_error_is_an_exception() {
        for (kind, expected) in [
            ("rate_limit_error", "throttlingException"),
            ("overloaded_error", "serviceUnavailableException"),
            ("timeout_error", "modelStreamErrorException"),
            ("invalid_request_error", "validationException"),
            ("api_error", "internalServerException"),
            ("odd", "internalServerException"),
        ] {
            let error = json!({"type": "error", "error": {"type": kind, "message": "so \"it\" is"}});
            for event in [format!("event: error\ndata: {error}\n\n"), format!("data: {error}\n")] {
                let message = br#"{"message":"so \"it\" is"}"#.to_vec();
                assert_eq!(read(said(&[event.as_bytes()])), [(expected.to_owned(), message)], "{kind}");
            }
        }
        let broken = read(said(&[b"event: error\ndata: <html>\n\n"]));
        assert_eq!(broken[0].0, "internalServerException");
    }

    proptest! {
        /// Wherever the stream is cut, its messages are the same but for the times.
        #[test]
        fn cuts_make_no_difference(cuts in prop::collection::vec(0..STREAM.len(), 0..6)) {
            let mut cuts = cuts;
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &STREAM.as_bytes()[pair[0]..pair[1]]).collect();
            let untimed = |messages: Vec<(String, Vec<u8>)>| {
                let untimed = |(name, held): (String, Vec<u8>)| {
                    let mut event: Value = serde_json::from_slice(&held).expect("JSON");
                    if let Some(metrics) = event.get_mut(METRICS).and_then(Value::as_object_mut) {
                        metrics.retain(|name, _| !name.ends_with("Latency"));
                    }
                    (name, event)
                };
                messages.into_iter().map(untimed).collect::<Vec<_>>()
            };
            prop_assert_eq!(untimed(read(said(&chunks))), untimed(read(said(&[STREAM.as_bytes()]))));
        }

        #[test]
        fn whatever_comes_is_whole_messages_or_none(stream in "(event: (error|message_stop|message_start|x)\n|data: ?[ -~]{0,12}\n|\n|:x\n){0,12}") {
            read(said(&[stream.as_bytes()]));
        }
    }
}
