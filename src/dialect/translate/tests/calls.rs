//! Calls whose arguments are no JSON object: nobody may act on what was never said.

use serde_json::{Value, json};

use super::streams::frames;
use super::{CALLERS, MODEL, generation, read, reply, terms, write};
use crate::dialect::Dialect;
use crate::dialect::hub::samples::manner;
use crate::dialect::hub::{Losses, Mode};
use crate::dialect::translate::{Stream, Untold};
use crate::dialect::tree;

/// What a caller gets of a chat that calls `name` with these arguments and ends for this reason, whole and streamed.
fn said(to: Dialect, name: &str, arguments: &str, reason: &str) -> [Result<String, Untold>; 2] {
    let choice = |member: &str, call: Value, reason: Value| json!({"id": "a", "model": "m", "choices": [{"index": 0, member: {"tool_calls": [call]}, "finish_reason": reason}]});
    let call = |name: Value, arguments: &str| json!({"index": 0, "id": "c", "type": "function", "function": {"name": name, "arguments": arguments}});
    let whole = choice("message", call(json!(name), arguments), json!(reason)).to_string();
    let half = (0..=arguments.len() / 2).rfind(|at| arguments.is_char_boundary(*at)).expect("0 is one");
    let events = [
        choice("delta", call(json!(name), &arguments[..half]), Value::Null),
        choice("delta", call(Value::Null, &arguments[half..]), Value::Null),
        json!({"id": "a", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}),
    ];
    let text = events.map(|event| format!("data: {event}\n\n")).concat();
    let mut stream = Stream::new(Dialect::OpenAi, to, manner()).expect("a pair");
    let mut streamed = Ok(String::new());
    for frame in frames(Dialect::OpenAi, [text.as_bytes()]) {
        streamed = streamed.and_then(|said| Ok(said + &String::from_utf8_lossy(&stream.frame(&frame)?)));
    }
    let streamed = streamed.and_then(|said| Ok(said + &String::from_utf8_lossy(&stream.end()?)));
    let whole = reply(Dialect::OpenAi, to, whole.as_bytes(), &manner());
    [whole.map(|said| String::from_utf8_lossy(&said).into_owned()), streamed]
}

/// Too deep for anybody to read.
fn deep() -> String {
    format!("{{\"a\":{}{}}}", "[".repeat(3_000), "]".repeat(3_000))
}

#[test]
fn a_call_that_is_broken_is_a_failed_answer_where_its_arguments_are_an_object() {
    for arguments in [r#"{"path": "/tmp/x"#, "[1]", "x", &deep()] {
        for to in CALLERS {
            for said in said(to, "f", arguments, "tool_calls") {
                match said {
                    Err(Untold::Failed(_)) => assert!(to.has_objects_for_arguments(), "{to}"),
                    Err(wrong) => panic!("{to}: {wrong}"),
                    // He has the model's own words, and their end.
                    Ok(said) => assert!(!to.has_objects_for_arguments(), "{to}: {said}"),
                }
            }
        }
    }
}

#[test]
fn a_call_that_was_cut_off_was_never_made() {
    for reason in ["length", "content_filter"] {
        let [whole, streamed] = said(Dialect::Anthropic, "f", r#"{"path": "/tm"#, reason);
        assert!(!whole.expect("an answer").contains("tool_use"), "{reason}");
        // As with Anthropic's own streams, whose SDKs see the half.
        let streamed = streamed.expect("an answer");
        assert!(
            streamed.contains("partial_json") && !streamed.contains(r#""stop_reason":"tool_use""#),
            "{streamed}"
        );
        for said in said(Dialect::Gemini, "f", r#"{"path": "/tm"#, reason) {
            let said = said.expect("an answer");
            assert!(!said.contains("functionCall") && !said.contains("STOP"), "{said}");
        }
    }
}

#[test]
fn no_arguments_are_an_empty_object() {
    for to in CALLERS {
        for arguments in ["", " ", "{}", "null", " {} "] {
            for said in said(to, "f", arguments, "tool_calls") {
                said.unwrap_or_else(|untold| panic!("{arguments:?} {to}: {untold}"));
            }
        }
        assert!(
            said(Dialect::Gemini, "f", "", "tool_calls")[1]
                .as_ref()
                .is_ok_and(|said| said.contains("\"args\":{}"))
        );
    }
}

/// As many models write them.
#[test]
fn arguments_of_several_lines_break_no_event() {
    for to in CALLERS.into_iter().filter(|to| *to != Dialect::Bedrock) {
        for end in ["\n", "\r\n", "\r"] {
            let [_, streamed] = said(to, "f", &format!("{{{end}  \"at\": 1{end}}}"), "tool_calls");
            let streamed = streamed.expect("an answer");
            for frame in frames(to, [streamed.as_bytes()]) {
                let data = frame.data().filter(|data| !data.is_empty() && *data != b"[DONE]");
                let sound = data.is_none_or(|data| tree::parse(data).is_ok());
                assert!(sound, "{to}: {streamed:?}");
            }
            assert!(streamed.contains("at"), "{to}: {streamed:?}");
        }
    }
}

#[test]
fn the_free_text_of_a_broken_input_is_none() {
    for to in CALLERS {
        for said in said(to, "mainstay_custom_f", r#"{"input":"rm -r /tmp/"#, "tool_calls") {
            assert!(matches!(said, Err(Untold::Failed(_))), "{to}: {said:?}");
        }
        let [whole, _] = said(to, "mainstay_custom_f", r#"{"input":"rm -r /tmp/"#, "length");
        assert!(!whole.expect("an answer").contains("/tmp"), "{to}");
    }
}

/// What an upstream is sent of a call with these arguments, and what is lost.
fn asked(to: Dialect, arguments: &str) -> (String, Losses) {
    let body = json!({"model": MODEL, "messages": [
        {"role": "user", "content": "Do."},
        {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}]},
        {"role": "tool", "tool_call_id": "c", "content": "no JSON"}
    ]});
    let (body, operation) =
        (body.to_string(), generation(Dialect::OpenAi, Mode::Whole).expect("it generates"));
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let mut ask = read(Dialect::OpenAi, operation, MODEL, &root).expect("a request");
    let written = write(&mut ask, to, &terms(to)).expect("a pair");
    (String::from_utf8(written.body).expect("text"), written.losses)
}

#[test]
fn an_upstream_is_told_what_a_model_wrote_in_vain() {
    for to in CALLERS.into_iter().chain([Dialect::Ollama]) {
        for arguments in ["{bad", "[1]"] {
            let (body, losses) = asked(to, arguments);
            if to.has_objects_for_arguments() {
                assert!(body.contains(&format!(r#"{{"INVALID_JSON":"{arguments}"}}"#)), "{to}: {body}");
                assert_eq!(losses.names(), ["tool_calls.function.arguments"], "{to}");
            } else {
                assert!(body.contains(&format!(r#""arguments":"{arguments}""#)), "{to}: {body}");
                assert_eq!(losses.names(), [""; 0], "{to}");
            }
        }
        let (body, losses) = asked(to, "");
        assert!(!body.contains("INVALID") && losses.names().is_empty(), "{to}: {body}");
    }
}
