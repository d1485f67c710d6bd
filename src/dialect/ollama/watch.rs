//! The lines of a streamed chat.
//!
//! What the message holds beside its role is content: text, thinking, tool calls. The line that is
//! `done` is the last one; it carries the counts and, as a rule, an empty message.

use crate::dialect::json::{Kind, Walked, Walker};
use crate::dialect::watch::{Glimpse, Says};

pub fn chunk(json: &[u8]) -> Walked<Glimpse> {
    let mut glimpse = Glimpse::default();
    let mut content = false;
    let mut done = false;
    let mut is_line = false;
    let mut walker = Walker::new(json);
    let start = walker.offset();
    let end = walker.object(|walker, key| {
        if key.is("message") && walker.kind()? == Kind::Object {
            is_line = true;
            walker.object(|walker, key| {
                content |= !walker.is_blank()? && !key.is("role");
                Ok(())
            })?;
            Ok(())
        } else if key.is("done") {
            done = walker.skip()? == Kind::True;
            Ok(())
        } else {
            glimpse.error_or_skip(walker, key)
        }
    })?;
    walker.end()?;
    if done {
        // The counts are members of the line.
        glimpse.usage = Some(start..end + 1);
    }
    glimpse.choice(0, content, done);
    glimpse.settle(is_line || done);
    if done && !content {
        glimpse.says = glimpse.says.max(Says::Terminal);
    }
    Ok(glimpse)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use crate::dialect::framing::{Framing, Splitter};
    use crate::dialect::watch::{Beat, Ending, Watch};
    use crate::dialect::{Dialect, Operation};
    use crate::vocab::Usage;

    const DONE: &str = r#"{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":2}"#;

    fn watch(stream: &str) -> (String, Watch) {
        let mut splitter = Splitter::new(Framing::Lines);
        let mut watch = Watch::new(Dialect::Ollama, Operation::OllamaChat, Framing::Lines);
        splitter.push(Bytes::copy_from_slice(stream.as_bytes()));
        let mut beats = String::new();
        let mut see = |frame| {
            beats.push(match watch.frame(&frame) {
                Beat::Lifecycle => '.',
                Beat::Content => 'c',
                Beat::UsageOnly => 'u',
                Beat::Finish => 'f',
                Beat::Terminal => 't',
                Beat::Broken => 'b',
                Beat::Error(error) if error.message.contains("boom") => 'E',
                Beat::Error(_) => '?',
            });
        };
        while let Ok(Some(frame)) = splitter.next() {
            see(frame);
        }
        splitter.leftover().into_iter().for_each(see);
        (beats, watch)
    }

    fn check(lines: &[&str], beats: &str, ending: Ending) {
        let (seen, watch) = watch(&lines.join("\n"));
        assert_eq!((seen.as_str(), watch.end()), (beats, ending), "{lines:#?}");
    }

    #[test]
    fn a_chat_is_whole_when_it_is_done() {
        const WHOLE: Ending = Ending::Complete { missing_terminator: None };
        let text = r#"{"message":{"role":"assistant","content":"Hi"},"done":false}"#;
        let empty = r#"{"message":{"role":"assistant","content":""},"done":false}"#;
        let thinking = r#"{"message":{"role":"assistant","content":"","thinking":"Hm"},"done":false}"#;
        let call = r#"{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{}}}]},"done":false}"#;
        let at_once = r#"{"message":{"role":"assistant","content":"Hi"},"done":true,"eval_count":1}"#;
        check(&[empty, text, text, DONE], ".cct", WHOLE);
        check(&[thinking, call, DONE], "cct", WHOLE);
        check(&[at_once], "c", WHOLE);
        check(&[text, text], "cc", Ending::Truncated);
        check(&[], "", Ending::Truncated);
        check(&[text, r#"{"error":"boom"}"#], "cE", Ending::Truncated);
        check(&[text, "<html>"], "cb", Ending::Truncated);
    }

    #[test]
    fn the_last_line_tells_the_tokens() {
        let (_, watch) = watch(&format!("{{\"done\":false}}\n{DONE}\n"));
        assert_eq!(watch.usage(), Some(Usage { input: 7, output: 2, ..Usage::default() }));
        assert!(watch.is_terminated());
    }

    proptest! {
        #[test]
        fn any_stream_is_watched(soup in "(\\{\"message\":|\"done\":|true|\\{|\\}|,|\"content\":\"x\"|\n|\"error\":){0,20}") {
            let (_, watch) = watch(&soup);
            let _ = (watch.end(), watch.usage());
        }
    }
}
