//! Why an answer ended: `finish_reason` (WIRE §3.2).
//!
//! OpenAI has no word for a pause, which is `length` to a caller: the answer is not whole, and nobody else says so.
//! Strict SDKs refuse unknown words. Nor has it one for a failure of the model,
//! which no caller is told as an answer (`translate`).

use std::borrow::Cow;

use crate::dialect::hub::Stop;
use crate::dialect::tree::Node;

/// What else an answer held: some vendors say `stop` whatever happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub call: bool,
    pub refusal: bool,
}

/// What a choice's `finish_reason` means; `None` while it has none, which relays say with an empty text in each
/// chunk but the last.
pub fn read<'a>(choice: &Node<'a>, held: Held) -> Option<Stop<'a>> {
    let reason = choice.at("finish_reason")?;
    Some(match reason.as_str().filter(|reason| !reason.is_empty())? {
        "length" | "max_tokens" => Stop::Length,
        // Mistral.
        "model_length" => Stop::Window,
        "tool_calls" | "function_call" | "tool_use" => Stop::Calls,
        "content_filter" => Stop::Filter,
        // Mistral and OpenRouter; DeepSeek.
        "error" | "insufficient_system_resource" => Stop::Failed,
        _ => match sequence(choice) {
            _ if held != Held::default() => unsaid(held),
            Some(sequence) => Stop::Sequence(Some(sequence)),
            None => Stop::End,
        },
    })
}

/// Why an answer ended that did not say it.
pub const fn unsaid(held: Held) -> Stop<'static> {
    match held {
        Held { call: true, .. } => Stop::Calls,
        Held { refusal: true, .. } => Stop::Refusal,
        Held { .. } => Stop::End,
    }
}

/// The stop sequence that came: vLLM tells, and SGLang. A number is a token and no sequence.
fn sequence<'a>(choice: &Node<'a>) -> Option<Cow<'a, str>> {
    choice.at("stop_reason").or_else(|| choice.at("matched_stop"))?.text()
}

/// OpenAI's word. A refusal in the model's words is a whole answer to OpenAI; without any it is the
/// filter's doing.
pub const fn name(stop: &Stop<'_>, held: Held) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::Failed => "stop",
        Stop::Length | Stop::Window | Stop::Pause => "length",
        Stop::Calls => "tool_calls",
        Stop::Refusal if held.refusal => "stop",
        Stop::Filter | Stop::Refusal => "content_filter",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::tree;

    fn check(choice: &str, held: Held, expected: Option<&Stop<'_>>) {
        let node = tree::parse(choice.as_bytes()).expect("JSON");
        assert_eq!(read(&node, held).as_ref(), expected, "{choice}");
    }

    #[test]
    fn a_reason_is_read_in_every_vendors_words() {
        let nothing = Held::default();
        let call = Held { call: true, refusal: false };
        check(r#"{"finish_reason":null}"#, nothing, None);
        check(r#"{"finish_reason":""}"#, call, None);
        check(r#"{"finish_reason":"stop"}"#, nothing, Some(&Stop::End));
        check(r#"{"finish_reason":"eos"}"#, nothing, Some(&Stop::End));
        check(r#"{"finish_reason":"stop"}"#, call, Some(&Stop::Calls));
        check(r#"{"finish_reason":"length"}"#, call, Some(&Stop::Length));
        check(r#"{"finish_reason":"stop"}"#, Held { call: false, refusal: true }, Some(&Stop::Refusal));
        check(
            r#"{"finish_reason":"stop","stop_reason":"X"}"#,
            nothing,
            Some(&Stop::Sequence(Some("X".into()))),
        );
        check(r#"{"finish_reason":"stop","matched_stop":1}"#, nothing, Some(&Stop::End));
        check(r#"{"finish_reason":"model_length"}"#, nothing, Some(&Stop::Window));
        check(r#"{"finish_reason":"error"}"#, nothing, Some(&Stop::Failed));
    }

    #[test]
    fn a_reason_of_openais_own_comes_back_as_it_was() {
        for word in ["stop", "length", "tool_calls", "content_filter"] {
            let choice = format!(r#"{{"finish_reason":"{word}"}}"#);
            let node = tree::parse(choice.as_bytes()).expect("JSON");
            let stop = read(&node, Held::default()).expect("a reason");
            assert_eq!(name(&stop, Held::default()), word);
        }
    }
}
