//! Time and size: what is eight times as long must not take the square of it.

use std::fmt::Write;
use std::time::Duration;

use mainstay::dialect::{Dialect, Operation, translate, tree};

use super::targets;

/// Enough for the square to show: it would take eight times as long as eight short ones.
const TIMES: usize = 8;
/// Far beyond what is linear, and far below the square.
const MOST: f64 = 3.5;
/// The longest that a busy machine is given a chance.
const ROUNDS: usize = 40;

/// An input of so many parts.
type Grown = fn(usize) -> String;

fn time(run: impl Fn()) -> Duration {
    let began = super::now();
    run();
    began.elapsed()
}

/// One long input against as many short ones as are as long: both take about the same time, so whatever else the
/// machine does befalls both alike, and of each the best of many rounds counts.
fn check(what: &str, parts: usize, grown: Grown, target: impl Fn(&[u8])) {
    let (short, long) = (grown(parts), grown(parts * TIMES));
    let (mut shorts, mut longs) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        shorts = shorts.min(time(|| (0..TIMES).for_each(|_| target(short.as_bytes()))));
        longs = longs.min(time(|| target(long.as_bytes())));
        if longs.as_secs_f64() <= shorts.as_secs_f64() * MOST {
            return;
        }
    }
    panic!("{what}: one of {} parts takes {longs:?}, {TIMES} of {parts} take {shorts:?}", parts * TIMES);
}

fn joined(parts: usize, part: impl Fn(usize) -> String) -> String {
    let mut out = String::new();
    for at in 0..parts {
        let _ = write!(out, "{}{}", if at == 0 { "" } else { "," }, part(at));
    }
    out
}

fn openai_calls(parts: usize) -> String {
    let calls = joined(parts, |at| {
        format!(r#"{{"id":"c{at}","type":"function","function":{{"name":"f{at}","arguments":"{{}}"}}}}"#)
    });
    let results = joined(parts, |at| format!(r#"{{"role":"tool","tool_call_id":"c{at}","content":"r"}}"#));
    let tools = joined(parts, |at| format!(r#"{{"type":"function","function":{{"name":"f{at}"}}}}"#));
    format!(
        r#"{{"messages":[{{"role":"user","content":"x"}},{{"role":"assistant","tool_calls":[{calls}]}},{results}],"tools":[{tools}]}}"#
    )
}

/// Calls and their results one after the other, as agents have them.
fn openai_turns(parts: usize) -> String {
    let turns = joined(parts, |at| {
        format!(
            r#"{{"role":"assistant","content":"x","tool_calls":[{{"id":"c{at}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}]}},{{"role":"tool","tool_call_id":"c{at}","content":"r"}}"#
        )
    });
    format!(r#"{{"messages":[{{"role":"user","content":"x"}},{turns}]}}"#)
}

fn openai_odd(parts: usize) -> String {
    let members = joined(parts, |at| format!(r#""x{at}":{at}"#));
    let messages = joined(parts, |at| format!(r#"{{"role":"user","content":"x","y{at}":1}}"#));
    format!(r#"{{"messages":[{messages}],{members}}}"#)
}

fn responses_calls(parts: usize) -> String {
    let calls = joined(parts, |at| {
        format!(r#"{{"type":"function_call","call_id":"c{at}","name":"f","arguments":"{{}}"}}"#)
    });
    let results =
        joined(parts, |at| format!(r#"{{"type":"function_call_output","call_id":"c{at}","output":"r"}}"#));
    format!(r#"{{"input":[{{"role":"user","content":"x"}},{calls},{results}]}}"#)
}

fn anthropic_calls(parts: usize) -> String {
    let calls = joined(parts, |at| format!(r#"{{"type":"tool_use","id":"c{at}","name":"f","input":{{}}}}"#));
    let results =
        joined(parts, |at| format!(r#"{{"type":"tool_result","tool_use_id":"c{at}","content":"r"}}"#));
    format!(
        r#"{{"max_tokens":9,"messages":[{{"role":"user","content":"x"}},{{"role":"assistant","content":[{calls}]}},{{"role":"user","content":[{results}]}}]}}"#
    )
}

fn gemini_calls(parts: usize) -> String {
    let calls =
        joined(parts, |at| format!(r#"{{"functionCall":{{"id":"c{at}","name":"f{at}","args":{{}}}}}}"#));
    let results = joined(parts, |at| {
        format!(r#"{{"functionResponse":{{"id":"c{at}","name":"f{at}","response":{{}}}}}}"#)
    });
    format!(
        r#"{{"contents":[{{"role":"user","parts":[{{"text":"x"}}]}},{{"role":"model","parts":[{calls}]}},{{"role":"user","parts":[{results}]}}]}}"#
    )
}

/// Without ids the order tells.
fn gemini_nameless(parts: usize) -> String {
    let calls = joined(parts, |_| r#"{"functionCall":{"name":"f","args":{}}}"#.to_owned());
    let results = joined(parts, |_| r#"{"functionResponse":{"name":"f","response":{}}}"#.to_owned());
    format!(
        r#"{{"contents":[{{"role":"user","parts":[{{"text":"x"}}]}},{{"role":"model","parts":[{calls}]}},{{"role":"user","parts":[{results}]}}]}}"#
    )
}

fn bedrock_calls(parts: usize) -> String {
    let calls =
        joined(parts, |at| format!(r#"{{"toolUse":{{"toolUseId":"c{at}","name":"f","input":{{}}}}}}"#));
    let results =
        joined(parts, |at| format!(r#"{{"toolResult":{{"toolUseId":"c{at}","content":[{{"text":"r"}}]}}}}"#));
    format!(
        r#"{{"messages":[{{"role":"user","content":[{{"text":"x"}}]}},{{"role":"assistant","content":[{calls}]}},{{"role":"user","content":[{results}]}}]}}"#
    )
}

#[test]
fn requests_take_time_as_they_are_long() {
    let cases: [(&str, Dialect, Grown); 9] = [
        ("calls", Dialect::OpenAi, openai_calls),
        ("turns", Dialect::OpenAi, openai_turns),
        ("odd members", Dialect::OpenAi, openai_odd),
        ("calls", Dialect::Responses, responses_calls),
        ("calls", Dialect::Anthropic, anthropic_calls),
        ("calls", Dialect::Gemini, gemini_calls),
        ("calls without ids", Dialect::Gemini, gemini_nameless),
        ("calls", Dialect::Cohere, openai_calls),
        ("calls", Dialect::Bedrock, bedrock_calls),
    ];
    for (what, dialect, grown) in cases {
        check(&format!("{dialect}: {what}"), 2_000, grown, |input| {
            let root = tree::parse(input).unwrap();
            drop(translate::read(dialect, Operation::Chat, "m", &root).unwrap());
        });
        check(&format!("{dialect}: {what}"), 40, grown, |input| targets::ask(dialect, input));
    }
}

/// One text and many calls, piece by piece.
fn openai_stream(parts: usize) -> String {
    let mut out = String::new();
    for at in 0..parts {
        let _ = write!(
            out,
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"hello\",\"tool_calls\":[{{\"index\":{at},\"id\":\"c{at}\",\"function\":{{\"name\":\"f\",\"arguments\":\"{{}}\"}}}}]}}}}]}}\n\n"
        );
    }
    out + "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n"
}

fn openai_choices(parts: usize) -> String {
    let mut out = String::new();
    for at in 0..parts {
        let _ =
            write!(out, "data: {{\"choices\":[{{\"index\":{at},\"delta\":{{\"content\":\"hello\"}}}}]}}\n\n");
    }
    out
}

fn anthropic_stream(parts: usize) -> String {
    let mut out = String::new();
    for at in 0..parts {
        for event in [
            format!(
                r#"{{"type":"content_block_start","index":{at},"content_block":{{"type":"tool_use","id":"c{at}","name":"f","input":{{}}}}}}"#
            ),
            format!(
                r#"{{"type":"content_block_delta","index":{at},"delta":{{"type":"input_json_delta","partial_json":"{{}}"}}}}"#
            ),
        ] {
            let _ = write!(out, "data: {event}\n\n");
        }
    }
    out
}

fn gemini_stream(parts: usize) -> String {
    let mut out = String::new();
    for at in 0..parts {
        let _ = write!(
            out,
            "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"hello\"}},{{\"functionCall\":{{\"name\":\"f{at}\",\"args\":{{\"a\":1}}}}}}]}}}}]}}\n\n"
        );
    }
    out
}

fn responses_stream(parts: usize) -> String {
    let mut out = String::new();
    for at in 0..parts {
        for event in [
            format!(
                r#"{{"type":"response.output_item.added","output_index":{at},"item":{{"type":"function_call","id":"i{at}","call_id":"c{at}","name":"f","arguments":""}}}}"#
            ),
            format!(
                r#"{{"type":"response.function_call_arguments.delta","output_index":{at},"item_id":"i{at}","delta":"{{}}"}}"#
            ),
        ] {
            let _ = write!(out, "data: {event}\n\n");
        }
    }
    out
}

#[test]
fn streams_take_time_as_they_are_long() {
    let cases: [(&str, Dialect, Grown); 5] = [
        ("calls", Dialect::OpenAi, openai_stream),
        ("choices", Dialect::OpenAi, openai_choices),
        ("blocks", Dialect::Anthropic, anthropic_stream),
        ("parts", Dialect::Gemini, gemini_stream),
        ("items", Dialect::Responses, responses_stream),
    ];
    for (what, dialect, grown) in cases {
        check(&format!("{dialect}: {what}"), 60, grown, |input| targets::stream(dialect, input));
    }
}

/// A frame that comes in many small pieces.
#[test]
fn framing_takes_time_as_it_is_long() {
    let cases: [(&str, Grown); 3] = [
        ("lines of one event", |parts| "data: x\n".repeat(parts * 40)),
        ("nested JSON", |parts| format!("[{}", r#"{"a":["#.repeat(parts * 40))),
        ("short events", |parts| "data: x\n\n".repeat(parts * 40)),
    ];
    for (what, grown) in cases {
        check(what, 20, grown, targets::framing);
    }
}
