//! Streams that say one thing each.

use serde_json::Value;

use super::{heard, streamed};
use crate::dialect::framing::Framing;
use crate::dialect::gemini::{reply, stream};
use crate::dialect::hub::{Block, CallKind, Delta, Event, Media, Source, Stop, samples};
use crate::dialect::tree;

/// What chunks mean, in short: `o` opens a block, `c` closes one.
fn check(chunks: &[&str], expected: &str) {
    let mut reader = stream::Reader::default();
    let mut words = Vec::new();
    let mut note = |events: &[Event<'_>]| {
        words.extend(events.iter().map(|event| match event {
            Event::Start { .. } => "start".to_owned(),
            Event::Open { choice, block, kind } => {
                let kind = match kind {
                    Block::Text => "text".to_owned(),
                    Block::Refusal => "refusal".to_owned(),
                    Block::Thought { is_summary, .. } => format!("thought({is_summary})"),
                    Block::Call { name, .. } => name.to_string(),
                };
                format!("o{choice}.{block}:{kind}")
            }
            Event::Delta { delta: Delta::Text(text) | Delta::Arguments(text), .. } => text.to_string(),
            Event::Delta { delta: Delta::Signature(signature), .. } => format!("~{}", signature.value),
            Event::Delta { delta: Delta::Media(_), .. } => "media".to_owned(),
            Event::Delta { delta: Delta::Citation { url, .. }, .. } => {
                format!("<{}>", url.as_deref().unwrap_or("-"))
            }
            Event::Delta { delta: Delta::Logprobs(_), .. } => "logprobs".to_owned(),
            Event::Close { choice, block } => format!("c{choice}.{block}"),
            Event::Finish { choice, stop } => format!("{choice}:{stop:?}"),
            Event::Usage(usage) => format!("{}+{}", usage.input, usage.output),
            Event::Vendor { kind, .. } => format!("[{kind}]"),
            Event::End => "end".to_owned(),
        }));
    };
    for chunk in chunks {
        let root = tree::parse(chunk.as_bytes()).expect("JSON");
        let mut events = Vec::new();
        reader.read(None, &root, &mut events).expect("a chunk");
        note(&events);
    }
    let mut events = Vec::new();
    reader.end(&mut events);
    note(&events);
    assert_eq!(words.join(" "), expected);
}

fn parts(parts: &str) -> String {
    format!(r#"{{"candidates":[{{"content":{{"parts":[{parts}]}}}}]}}"#)
}

#[test]
fn the_last_reason_and_the_last_usage_count() {
    check(
        &[
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1}}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"MAX_TOKENS"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2,"thoughtsTokenCount":3}}"#,
            r#"{"usageMetadata":{"trafficType":"ON_DEMAND"}}"#,
        ],
        "start o0.0:text a b c0.0 0:Length 1+5",
    );
    check(&[&parts(r#"{"text":"a"}"#)], "start o0.0:text a c0.0 0:End");
    check(&[&parts(r#"{"functionCall":{"name":"f"}}"#)], "start o0.0:f {} c0.0 0:Calls");
    check(&[r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#], "start 0:Filter");
    check(&["{}"], "start 0:Failed");
    check(&[], "start 0:Failed");
}

#[test]
fn several_answers_keep_apart() {
    check(
        &[
            r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"index":0},{"content":{"parts":[{"text":"b"}]},"index":1}]}"#,
            r#"{"candidates":[{"content":{"parts":[{"text":"c"}]},"finishReason":"STOP","index":1}]}"#,
        ],
        "start o0.0:text a o1.0:text b c c0.0 0:End c1.0 1:End",
    );
}

#[test]
fn signatures_thoughts_and_what_google_ran_are_blocks_of_their_own() {
    check(
        &[
            &parts(r#"{"text":"t","thought":true}"#),
            &parts(r#"{"text":"u","thought":true,"thoughtSignature":"c2ln"}"#),
            &parts(r#"{"text":"a","thoughtSignature":"c2ln"}"#),
            &parts(r#"{"executableCode":{"language":"PYTHON","code":"1"}},{"text":"b"}"#),
            &parts(
                r#"{"inlineData":{"mimeType":"image/png","data":"AAAA"}},{"text":"","thoughtSignature":"c2ln"}"#,
            ),
        ],
        "start o0.0:thought(true) t u ~c2ln c0.0 o0.1:text a c0.1 o0.2:thought(false) ~c2ln c0.2 \
         [executableCode] o0.3:text b media c0.3 o0.4:thought(true) ~c2ln c0.4 0:End",
    );
}

#[test]
fn each_source_is_cited_once() {
    let grounded = |sources: &str| {
        format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"a"}}]}},"groundingMetadata":{{"groundingChunks":[{sources}]}}}}]}}"#
        )
    };
    let (one, two) = (r#"{"web":{"uri":"u1","title":"t"}}"#, r#"{"retrievedContext":{"uri":"u2"}}"#);
    check(
        &[&grounded(one), &grounded(&format!("{one},{two}")), &grounded("")],
        "start o0.0:text a <u1> a <u2> a c0.0 0:End",
    );
}

#[test]
fn pieces_of_a_call_end_where_the_next_thing_begins() {
    let piece = |text: &str| {
        parts(&format!(
            r#"{{"functionCall":{{"partialArgs":[{{"jsonPath":"$.a","stringValue":"{text}"}}],"willContinue":true}}}}"#
        ))
    };
    let begin = parts(r#"{"functionCall":{"name":"f","willContinue":true},"thoughtSignature":"c2ln"}"#);
    let (x, y, end) = (piece("x"), piece("y"), parts(r#"{"functionCall":{}}"#));
    check(&[&begin, &x, &y, &end], r#"start o0.0:f ~c2ln {"a":"xy"} c0.0 0:Calls"#);
    check(&[&begin, &x, &begin, &end], r#"start o0.0:f ~c2ln {"a":"x"} c0.0 o0.1:f ~c2ln {} c0.1 0:Calls"#);
    check(
        &[&begin, &x, &parts(r#"{"text":"t"}"#)],
        r#"start o0.0:f ~c2ln {"a":"x"} c0.0 o0.1:text t c0.1 0:Calls"#,
    );
    check(&[&end, &x], "start 0:End");
}

#[test]
fn the_writer_says_what_else_there_is() {
    let open = |choice, block, kind| Event::Open { choice, block, kind };
    let call = |id: &'static str| Block::Call { id: id.into(), name: "f".into(), kind: CallKind::Custom };
    let delta = |choice, block, delta| Event::Delta { choice, block, delta };
    let raw = r#"{"executableCode":{"language":"PYTHON","code":"1"}}"#;
    let media = Media::new(Source::Base64("AAAA".into()), None);
    let logprobs = r#"{"content":[{"token":"a","logprob":-1,"top_logprobs":[]}]}"#;
    let citation = Delta::Citation { url: Some("u".into()), title: Some("t".into()), raw: "{}" };
    let events = [
        open(0, 0, Block::Text),
        delta(0, 0, Delta::Media(media)),
        delta(0, 0, Delta::Logprobs(logprobs.into())),
        delta(0, 0, citation),
        Event::Close { choice: 0, block: 0 },
        Event::Vendor { kind: "executableCode".into(), raw },
        Event::Vendor { kind: "response.unknown".into(), raw: "{}" },
        open(1, 0, call("")),
        delta(1, 0, Delta::Arguments("a\nb".into())),
        Event::Close { choice: 1, block: 0 },
        Event::Finish { choice: 0, stop: Stop::End },
        Event::Finish { choice: 1, stop: Stop::Calls },
        Event::End,
    ];
    let bytes = streamed(&events, samples::manner());
    let text = String::from_utf8(bytes.clone()).expect("text");
    let chunks: Vec<Value> = text
        .split_terminator("\r\n\r\n")
        .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").expect("data")).expect("JSON"))
        .collect();
    assert_eq!(chunks.len(), 5);
    let candidate = |at: usize| &chunks[at]["candidates"][0];
    assert_eq!(candidate(0)["content"]["parts"][0]["inlineData"]["mimeType"], "image/png");
    assert_eq!(candidate(1)["logprobsResult"]["chosenCandidates"][0]["token"], "a");
    assert_eq!(candidate(2)["content"]["parts"][0]["executableCode"]["code"], "1");
    let call = &candidate(3)["content"]["parts"][0]["functionCall"];
    assert_eq!((&call["id"], &call["args"]["input"]), (&"call_n0nce_0".into(), &"a\nb".into()));
    assert_eq!(candidate(3)["index"], 1);
    assert_eq!(candidate(4)["groundingMetadata"]["groundingChunks"][0]["web"]["uri"], "u");
    assert_eq!(chunks[4]["candidates"][1]["finishReason"], "STOP");
    assert!(chunks[4].get("usageMetadata").is_none());
    assert_eq!(heard(&bytes, Framing::Sse).iter().filter(|word| word.starts_with("Finish")).count(), 2);
}

#[test]
fn a_blocked_prompt_is_an_answer_without_parts() {
    for (body, stop) in [
        (
            r#"{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":4}}"#,
            Stop::Filter,
        ),
        (r#"{"modelVersion":"m","responseId":"r"}"#, Stop::Failed),
    ] {
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let reply = reply::read(&root).expect("an answer");
        let [choice] = reply.choices.as_slice() else { panic!("{reply:?}") };
        assert!(choice.parts.is_empty());
        assert_eq!(choice.stop, stop);
    }
}
