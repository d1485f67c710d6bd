//! The messages of a streamed conversation.
//!
//! What a message is stands in its name, not in its JSON. A delta is content when anything in it is
//! not empty, and so is the beginning of a tool call, which has its name. There is no terminator:
//! `messageStop` is the end of the answer, and `metadata` with the usage follows it.

use crate::dialect::json::{Kind, Walked, Walker};
use crate::dialect::watch::{Glimpse, Says, Terminator};

/// Nothing stands for the end but the end of the transport.
pub const TERMINATOR: Terminator = Terminator::None;

/// What exceptions' names end with, and those of errors that the service has no exception for.
const FAILURES: &[&[u8]] = &[b"Exception", b"Error", b"Failure", b"Fault"];

/// One message by its name, and its payload.
pub fn event(name: Option<&[u8]>, json: &[u8]) -> Walked<Glimpse> {
    let mut glimpse = Glimpse::default();
    let mut walker = Walker::new(json);
    match name.unwrap_or_default() {
        b"contentBlockDelta" => block(&mut walker, "delta", &mut glimpse)?,
        b"contentBlockStart" => block(&mut walker, "start", &mut glimpse)?,
        b"messageStop" => stop(&mut walker, &mut glimpse)?,
        b"metadata" => {
            walker.object(|walker, key| {
                if key.is("usage") {
                    glimpse.usage(walker)
                } else if glimpse.tier_of(walker, key)? {
                    Ok(())
                } else {
                    walker.skip().map(drop)
                }
            })?;
        }
        name if FAILURES.iter().any(|end| name.ends_with(end)) => {
            walker.skip()?;
            glimpse.says = Says::Error;
        }
        _ => {
            walker.object(|walker, key| glimpse.error_or_skip(walker, key))?;
        }
    }
    walker.end()?;
    Ok(glimpse)
}

/// Looks at the members of a payload's one telling object.
fn block(walker: &mut Walker<'_>, name: &str, glimpse: &mut Glimpse) -> Walked {
    walker.object(|walker, key| {
        if !key.is(name) || walker.kind()? != Kind::Object {
            return walker.skip().map(drop);
        }
        walker.object(|walker, _| spoken(walker, glimpse)).map(drop)
    })?;
    Ok(())
}

/// A text, or an object that holds texts: is there anything in it?
fn spoken(walker: &mut Walker<'_>, glimpse: &mut Glimpse) -> Walked {
    let mut filled = false;
    if walker.kind()? == Kind::Object {
        walker.object(|walker, _| {
            filled |= !walker.is_blank()?;
            Ok(())
        })?;
    } else {
        filled = !walker.is_blank()?;
    }
    if filled {
        glimpse.choice(0, true, false);
    }
    Ok(())
}

fn stop(walker: &mut Walker<'_>, glimpse: &mut Glimpse) -> Walked {
    walker.object(|walker, key| {
        let (kind, span) = walker.value()?;
        if key.is("stopReason") && kind == Kind::String {
            // The model's failure and not the caller's: another try may well succeed (WIRE §3.2).
            glimpse.model_failed = walker.slice(span).starts_with(b"\"malformed_");
            glimpse.choice(0, false, true);
        }
        Ok(())
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::dialect::framing::eventstream::{MessageKind, message};
    use crate::dialect::framing::{Framing, Splitter};
    use crate::dialect::watch::{Beat, Ending, Watch};
    use crate::dialect::{Dialect, Operation};
    use crate::vocab::Usage;

    /// `name payload` -> one beat each.
    fn check(messages: &[(&str, &str)], expected: &str) -> Watch {
        let mut splitter = Splitter::new(Framing::EventStream);
        let mut watch = Watch::new(Dialect::Bedrock, Operation::ConverseStream, Framing::EventStream);
        let mut beats = String::new();
        for (name, payload) in messages {
            let kind = if name.ends_with("Exception") { MessageKind::Exception } else { MessageKind::Event };
            let mut bytes = Vec::new();
            message(name, kind, payload.as_bytes(), &mut bytes);
            splitter.push(Bytes::from(bytes));
            let frame = splitter.next().expect("sound").expect("a message");
            beats.push(match watch.frame(&frame) {
                Beat::Lifecycle => '.',
                Beat::Content => 'c',
                Beat::UsageOnly => 'u',
                Beat::Finish => 'f',
                Beat::Terminal => 't',
                Beat::Broken => '!',
                Beat::Error(_) => 'E',
            });
        }
        assert_eq!(beats, expected, "{messages:?}");
        watch
    }

    const START: (&str, &str) = ("messageStart", r#"{"role":"assistant","p":"abc"}"#);
    const STOP: (&str, &str) = ("messageStop", r#"{"stopReason":"end_turn"}"#);

    fn delta(delta: &'static str) -> (&'static str, &'static str) {
        ("contentBlockDelta", delta)
    }

    #[test]
    fn what_a_caller_can_see_is_content() {
        check(&[START], ".");
        check(&[("contentBlockStart", r#"{"contentBlockIndex":0,"start":{}}"#)], ".");
        check(
            &[(
                "contentBlockStart",
                r#"{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"t","name":"n"}}}"#,
            )],
            "c",
        );
        check(&[delta(r#"{"contentBlockIndex":0,"delta":{"text":""},"p":"abc"}"#)], ".");
        check(&[delta(r#"{"contentBlockIndex":0,"delta":{"text":"a"},"p":"abc"}"#)], "c");
        check(&[delta(r#"{"delta":{"toolUse":{"input":""}}}"#)], ".");
        check(&[delta(r#"{"delta":{"toolUse":{"input":"{"}}}"#)], "c");
        check(&[delta(r#"{"delta":{"reasoningContent":{"text":"a"}}}"#)], "c");
        check(&[delta(r#"{"delta":{"toolResult":[{"text":"a"}]}}"#)], "c");
        check(&[("contentBlockStop", r#"{"contentBlockIndex":0}"#)], ".");
        check(&[("somethingNew", r#"{"a":{"b":1}}"#)], ".");
        check(&[("contentBlockDelta", "[")], "!");
    }

    #[test]
    fn it_is_whole_with_its_stop_and_says_its_usage_behind() {
        let text = delta(r#"{"delta":{"text":"a"}}"#);
        let usage = ("metadata", r#"{"usage":{"inputTokens":1,"outputTokens":2},"metrics":{"latencyMs":3}}"#);
        let watch = check(&[START, text, STOP, usage], ".cf.");
        assert_eq!(watch.end(), Ending::Complete { missing_terminator: None });
        assert_eq!(watch.usage(), Some(Usage { input: 1, output: 2, ..Usage::default() }));
        assert_eq!(check(&[START, text, STOP], ".cf").end(), Ending::Complete { missing_terminator: None });
        for messages in [&[START, text][..], &[START, text, usage], &[START], &[]] {
            let beats = [".", "c", "."];
            let expected: String = beats.iter().take(messages.len()).copied().collect();
            assert_eq!(check(messages, &expected).end(), Ending::Truncated);
        }
    }

    #[test]
    fn exceptions_are_errors_and_so_is_a_malformed_answer_before_content() {
        let text = delta(r#"{"delta":{"text":"a"}}"#);
        let failed = ("modelStreamErrorException", r#"{"message":"m"}"#);
        assert_eq!(check(&[START, text, failed], ".cE").end(), Ending::Truncated);
        check(&[("InternalError", r#"{"message":"m"}"#)], "E");
        let malformed = ("messageStop", r#"{"stopReason":"malformed_tool_use"}"#);
        check(&[START, malformed], ".E");
        check(&[START, text, malformed], ".cf");
    }
}
