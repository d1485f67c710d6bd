//! The events of a streamed chat.
//!
//! Deltas that are not empty are content, and a tool call's beginning, which tells its name. The end
//! comes twice: `message-end` with the reason and the counts, then `[DONE]`, which we can say as well
//! as the upstream. A `message-end` with an `error` is one; `ERROR` and `TIMEOUT` without a word are
//! the model's failure.

use crate::dialect::json::{Kind, Text, Walked, Walker};
use crate::dialect::watch::{Glimpse, Says, Terminator};

/// What ends a stream whose upstream forgot to (RESILIENCE E5).
pub const TERMINATOR: Terminator = Terminator::Bytes(b"data: [DONE]\n\n");

/// Reasons that are no fault of the caller's.
const FAILURES: [&[u8]; 2] = [b"\"ERROR\"", b"\"TIMEOUT\""];

pub fn event(json: &[u8]) -> Walked<Glimpse> {
    let mut glimpse = Glimpse::default();
    let mut name: &[u8] = b"";
    let mut nameless = true;
    let mut delta = Delta::default();
    let mut walker = Walker::new(json);
    walker.object(|walker, key| {
        if key.is("type") && walker.kind()? == Kind::String {
            name = walker.string()?.raw;
            nameless = false;
            Ok(())
        } else if key.is("delta") && walker.kind()? == Kind::Object {
            walker.object(|walker, key| delta.member(walker, key, &mut glimpse))?;
            Ok(())
        } else {
            glimpse.error_or_skip(walker, key)
        }
    })?;
    walker.end()?;
    let finished = name == b"message-end" && delta.reason != Reason::None;
    let content = match name {
        b"content-start" | b"content-delta" | b"tool-plan-delta" | b"tool-call-delta" => delta.filled,
        b"tool-call-start" | b"citation-start" => true,
        _ => false,
    };
    if content || finished {
        glimpse.choice(0, content, finished);
    }
    glimpse.model_failed = finished && delta.reason == Reason::Failure;
    // An error body that took the stream's place has a message and no type.
    if (name == b"message-end" && delta.failed) || name == b"error" || (nameless && glimpse.complains) {
        glimpse.says = Says::Error;
    }
    Ok(glimpse)
}

/// The object `delta`.
#[derive(Default)]
struct Delta {
    /// Its message holds a text that is not empty.
    filled: bool,
    /// It says what went wrong.
    failed: bool,
    reason: Reason,
}

/// Why the message has ended.
#[derive(Default, PartialEq, Eq)]
enum Reason {
    #[default]
    None,
    Usual,
    /// One of [`FAILURES`].
    Failure,
}

impl Delta {
    fn member<'a>(&mut self, walker: &mut Walker<'a>, key: &Text<'a>, glimpse: &mut Glimpse) -> Walked {
        if key.is("message") && walker.kind()? == Kind::Object {
            return texts(walker, &mut self.filled);
        }
        if key.is("usage") {
            return glimpse.usage(walker);
        }
        if key.is("finish_reason") {
            let (kind, span) = walker.value()?;
            self.reason = match kind {
                Kind::String if FAILURES.contains(&walker.slice(span)) => Reason::Failure,
                Kind::String => Reason::Usual,
                _ => Reason::None,
            };
            return Ok(());
        }
        let blank = walker.is_blank()?;
        self.failed |= key.is("error") && !blank;
        Ok(())
    }
}

/// Is there a text in `message`: `tool_plan`, or the `text`, `thinking` or `arguments` in an object?
fn texts(walker: &mut Walker<'_>, filled: &mut bool) -> Walked {
    walker.object(|walker, key| {
        if walker.kind()? == Kind::Object {
            return texts(walker, filled);
        }
        let text = ["text", "thinking", "tool_plan", "arguments"].iter().any(|name| key.is(name));
        *filled |= !walker.is_blank()? && text;
        Ok(())
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use crate::dialect::framing::{Framing, Splitter};
    use crate::dialect::watch::{Beat, Ending, Watch};
    use crate::dialect::{Dialect, Operation};
    use crate::vocab::Usage;

    const START: &str = r#"{"id":"a","type":"message-start","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}"#;
    const OPEN: &str =
        r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}"#;
    const TEXT: &str = r#"{"delta":{"message":{"content":{"text":"Hi"}}},"index":0,"type":"content-delta"}"#;
    const CLOSE: &str = r#"{"type":"content-end","index":0}"#;
    const END: &str = r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":{"tokens":{"input_tokens":7,"output_tokens":2}}}}"#;
    const WHOLE: Ending = Ending::Complete { missing_terminator: None };

    fn watch(stream: &str) -> (String, Watch) {
        let mut splitter = Splitter::new(Framing::Sse);
        let mut watch = Watch::new(Dialect::Cohere, Operation::CohereChat, Framing::Sse);
        let mut walking = Watch::walking(Dialect::Cohere, Operation::CohereChat, Framing::Sse);
        splitter.push(Bytes::copy_from_slice(stream.as_bytes()));
        let mut beats = String::new();
        let mut see = |frame| {
            let beat = watch.frame(&frame);
            assert_eq!(beat, walking.frame(&frame), "{}", frame.raw.escape_ascii());
            beats.push(match beat {
                Beat::Lifecycle => '.',
                Beat::Content => 'c',
                Beat::UsageOnly => 'u',
                Beat::Finish => 'f',
                Beat::Terminal => 't',
                Beat::Broken => 'b',
                Beat::Error(_) => 'E',
            });
        };
        while let Ok(Some(frame)) = splitter.next() {
            see(frame);
        }
        splitter.leftover().into_iter().for_each(see);
        (beats, watch)
    }

    fn check(events: &[&str], beats: &str, ending: Ending) -> Watch {
        let stream: String = events.iter().flat_map(|event| ["data: ", event, "\n\n"]).collect();
        let (seen, watch) = watch(&stream);
        assert_eq!((seen.as_str(), watch.end()), (beats, ending), "{events:#?}");
        watch
    }

    #[test]
    fn a_chat_is_whole_when_its_message_has_ended() {
        let watch = check(&[START, OPEN, TEXT, TEXT, CLOSE, END, "[DONE]"], "..cc.ft", WHOLE);
        assert_eq!(watch.usage(), Some(Usage { input: 7, output: 2, ..Usage::default() }));
        let done = Ending::Complete { missing_terminator: Some(b"data: [DONE]\n\n") };
        check(&[START, OPEN, TEXT, CLOSE, END], "..c.f", done);
        check(&[START, OPEN, TEXT, CLOSE], "..c.", Ending::Truncated);
        check(&[START], ".", Ending::Truncated);
    }

    #[test]
    fn plans_thoughts_calls_and_citations_are_content() {
        for event in [
            r#"{"type":"tool-plan-delta","delta":{"message":{"tool_plan":"I"}}}"#,
            r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"thinking":"Hm"}}}}"#,
            r#"{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":"Hi"}}}}"#,
            r#"{"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"c","type":"function","function":{"name":"f","arguments":""}}}}}"#,
            r#"{"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{"}}}}}"#,
            r#"{"type":"citation-start","index":0,"delta":{"message":{"citations":{"start":0,"end":1,"sources":[]}}}}"#,
        ] {
            check(&[START, event, event], ".cc", Ending::Truncated);
        }
        for event in [
            r#"{"type":"tool-plan-delta","delta":{"message":{"tool_plan":""}}}"#,
            r#"{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":""}}}}"#,
            r#"{"type":"tool-call-end","index":0}"#,
            r#"{"type":"debug","prompt":"x"}"#,
            r#"{"type":"something-new","delta":{"message":{"text":"x"}}}"#,
        ] {
            check(&[START, event], "..", Ending::Truncated);
        }
    }

    #[test]
    fn a_failure_is_one_wherever_it_stands() {
        let failed = r#"{"type":"message-end","delta":{"finish_reason":"ERROR","error":"boom"}}"#;
        let mute = r#"{"type":"message-end","delta":{"finish_reason":"ERROR"}}"#;
        check(&[START, OPEN, TEXT, failed], "..cE", Ending::Truncated);
        check(&[START, failed], ".E", Ending::Truncated);
        check(&[START, mute], ".E", Ending::Truncated);
        check(&[START, OPEN, TEXT, mute, "[DONE]"], "..cft", WHOLE);
        check(&[START, r#"{"id":"a","message":"internal error"}"#], ".E", Ending::Truncated);
        check(&[START, r#"{"error":{"message":"boom"}}"#], ".E", Ending::Truncated);
        check(&[START, "<html>"], ".b", Ending::Truncated);
    }

    proptest! {
        #[test]
        fn a_delta_that_fits_the_last_one_means_what_a_walk_finds(
            words in proptest::collection::vec("[a-z]{0,3}|\\\\|\"|\",\"error\":\"x", 0..12))
        {
            let events = words.iter().map(|word| format!("data: {}\n\n", TEXT.replace("Hi", word)));
            watch(&events.collect::<String>());
        }

        #[test]
        fn any_stream_is_watched(soup in "(data: |\\{\"type\":|\"message-end\"|\\{|\\}|,|\"delta\":|\"x\"|\n\n|\"error\":){0,20}") {
            let (_, watch) = watch(&soup);
            let _ = (watch.end(), watch.usage());
        }
    }
}
