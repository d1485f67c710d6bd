//! Models that failed: what they have said is no answer, in whichever words it ends.

use super::streams::{frames, messages};
use super::{CALLERS, reply};
use crate::dialect::Dialect;
use crate::dialect::hub::samples::manner;
use crate::dialect::translate::{Stream, Untold};

/// An answer, and the stream that says the same. `END` is its end.
const SAMPLES: &[(Dialect, &[&str], &str, &str)] = &[
    (
        Dialect::OpenAi,
        &["error", "insufficient_system_resource"],
        r#"{"id":"a","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"half"},"finish_reason":"END"}]}"#,
        r#"
data: {"id":"a","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"half"}}]}

data: {"id":"a","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"END"}]}

data: [DONE]

"#,
    ),
    (
        Dialect::Gemini,
        &["MALFORMED_FUNCTION_CALL", "OTHER", "UNEXPECTED_TOOL_CALL"],
        r#"{"candidates":[{"content":{"parts":[{"text":"half"}],"role":"model"},"finishReason":"END","index":0}]}"#,
        r#"
data: {"candidates":[{"content":{"parts":[{"text":"half"}],"role":"model"},"index":0}]}

data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"END","index":0}]}

"#,
    ),
    (
        Dialect::Cohere,
        &["ERROR", "TIMEOUT"],
        r#"{"id":"a","finish_reason":"END","message":{"role":"assistant","content":[{"type":"text","text":"half"}]}}"#,
        r#"
data: {"id":"a","type":"message-start","delta":{"message":{"role":"assistant"}}}

data: {"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}

data: {"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"half"}}}}

data: {"type":"content-end","index":0}

data: {"type":"message-end","delta":{"finish_reason":"END"}}

data: [DONE]

"#,
    ),
    (
        Dialect::Bedrock,
        &["malformed_tool_use", "malformed_model_output"],
        r#"{"output":{"message":{"role":"assistant","content":[{"text":"half"}]}},"stopReason":"END"}"#,
        r#"{"event":"messageStart","data":{"role":"assistant"}}
{"event":"contentBlockStart","data":{"contentBlockIndex":0,"start":{"toolUse":{"toolUseId":"c","name":"f"}}}}
{"event":"contentBlockDelta","data":{"contentBlockIndex":0,"delta":{"toolUse":{"input":"{\"a\": half"}}}}
{"event":"contentBlockStop","data":{"contentBlockIndex":0}}
{"event":"messageStop","data":{"stopReason":"END"}}
"#,
    ),
];

#[test]
fn what_a_model_that_failed_has_said_is_no_answer() {
    for (from, ends, whole, streamed) in SAMPLES {
        for (end, to) in ends.iter().flat_map(|end| CALLERS.map(|to| (end, to))) {
            let said = reply(*from, to, whole.replace("END", end).as_bytes(), &manner());
            assert!(matches!(said, Err(Untold::Failed(_))), "{from} {end} -> {to}: {said:?}");

            let bytes = match from {
                Dialect::Bedrock => messages(&streamed.replace("END", end)),
                _ => streamed.replace("END", end).into_bytes(),
            };
            let mut stream = Stream::new(*from, to, manner()).expect("a pair");
            let mut said = Vec::new();
            let mut untold = None;
            for frame in frames(*from, [&bytes[..]]) {
                match stream.frame(&frame) {
                    Ok(more) => said.extend(more),
                    Err(why) => untold = untold.or(Some(why)),
                }
            }
            let untold = untold.or_else(|| stream.end().err());
            assert!(matches!(untold, Some(Untold::Failed(_))), "{from} {end} -> {to}: {untold:?}");
            assert!(
                said.windows(4).any(|word| word == b"half") || to == Dialect::Gemini,
                "{from} {end} -> {to}"
            );
        }
    }
}

#[test]
fn whoever_was_cut_off_or_refused_has_answered() {
    for (from, ends) in
        [(Dialect::OpenAi, ["length", "content_filter"]), (Dialect::Gemini, ["MAX_TOKENS", "SAFETY"])]
    {
        let (_, _, whole, _) = SAMPLES.iter().find(|(dialect, ..)| *dialect == from).expect("a sample");
        for (end, to) in ends.into_iter().flat_map(|end| CALLERS.map(|to| (end, to))) {
            reply(from, to, whole.replace("END", end).as_bytes(), &manner()).expect("an answer");
        }
    }
}
