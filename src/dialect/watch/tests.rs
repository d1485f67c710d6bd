//! What frames of every dialect mean, one by one and as streams.

use bytes::Bytes;
use proptest::prelude::*;

use super::super::framing::Splitter;
use super::*;
use crate::dialect::billed::Wish;
use crate::vocab::Tier;

const DIALECTS: [(Dialect, Operation); 5] = [
    (Dialect::OpenAi, Operation::Chat),
    (Dialect::OpenAi, Operation::Transcriptions),
    (Dialect::Responses, Operation::Responses),
    (Dialect::Anthropic, Operation::Messages),
    (Dialect::Gemini, Operation::StreamGenerate),
];

fn run(dialect: Dialect, operation: Operation, framing: Framing, stream: &[u8]) -> (String, Watch) {
    let mut splitter = Splitter::new(framing);
    let mut watch = Watch::new(dialect, operation, framing);
    let mut walking = Watch::walking(dialect, operation, framing);
    splitter.push(Bytes::copy_from_slice(stream));
    let mut beats = String::new();
    let mut see = |frame: &Frame| {
        let beat = watch.frame(frame);
        assert_eq!(beat, walking.frame(frame), "{}", frame.raw.escape_ascii());
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
        see(&frame);
    }
    if let Some(frame) = splitter.leftover() {
        see(&frame);
    }
    assert_same(&watch, &walking);
    (beats, watch)
}

fn assert_same(watch: &Watch, walking: &Watch) {
    let said = |watch: &Watch| {
        (watch.end(), watch.usage(), watch.content_events(), watch.next_sequence(), watch.is_terminated())
    };
    assert_eq!(said(watch), said(walking));
}

/// One JSON text a line -> one beat each.
fn check(dialect: Dialect, operation: Operation, lines: &[&str], expected: &str) -> Watch {
    let stream: String = lines.iter().flat_map(|line| ["data: ", line, "\n\n"]).collect();
    let (beats, watch) = run(dialect, operation, Framing::Sse, stream.as_bytes());
    assert_eq!(beats, expected, "{lines:#?}");
    watch
}

fn chat(lines: &[&str], expected: &str) -> Watch {
    check(Dialect::OpenAi, Operation::Chat, lines, expected)
}

const WHOLE: Ending = Ending::Complete { missing_terminator: None };

#[test]
fn a_chat_stream_commits_with_its_first_content() {
    let watch = chat(
        &[
            r#"{"choices":[],"prompt_filter_results":[]}"#,
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#,
            "[DONE]",
        ],
        "..cfut",
    );
    assert_eq!(watch.end(), WHOLE);
    assert_eq!(watch.content_events(), 1);
    assert_eq!(watch.usage(), Some(Usage { input: 3, output: 2, ..Usage::default() }));
}

#[test]
fn a_complaint_in_place_of_an_event_is_an_error() {
    for complaint in [
        r#"{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}"#,
        r#"{"code":"InternalError","message":"m","request_id":"r"}"#,
        r#"{"detail":"m"}"#,
        r#"{"detail":[{"msg":"m"}]}"#,
        r#"{"success":false,"msg":"m"}"#,
    ] {
        for (dialect, operation) in DIALECTS {
            check(dialect, operation, &[complaint], "E");
        }
    }
    let content = r#"{"choices":[{"delta":{"content":"Hi"}}]}"#;
    chat(&[content, r#"{"object":"error","message":"m","code":500}"#], "cE");
    // What vendors put beside an answer is none.
    chat(&[r#"{"choices":[{"delta":{"content":"Hi"}}],"message":"fine","success":false}"#], "c");
    chat(&[r#"{"choices":[],"message":"fine"}"#, r#"{"id":"x","object":"chat.completion.chunk"}"#], "..");
}

#[test]
fn an_end_of_nothing_is_no_answer() {
    for (dialect, operation) in DIALECTS {
        check(dialect, operation, &["[DONE]"], "E");
    }
    chat(&[r#"{"choices":[],"prompt_filter_results":[]}"#, "[DONE]"], ".E");
    chat(&[r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":0}}"#, "[DONE]"], "uE");
    let begun = r#"{"type":"response.created","response":{"id":"r"}}"#;
    check(Dialect::Responses, Operation::Responses, &[begun, "[DONE]"], ".E");
    chat(&[r#"{"choices":[{"delta":{"role":"assistant"},"finish_reason":null}]}"#, "[DONE]"], ".E");
    // Sparse, and yet an answer.
    chat(&[r#"{"choices":[{"delta":{"role":"assistant"},"finish_reason":"stop"}]}"#, "[DONE]"], "ft");
    let whole = r#"{"type":"response.completed","response":{"id":"r"}}"#;
    check(Dialect::Responses, Operation::Responses, &[whole, "[DONE]"], "tt");
}

#[test]
fn everything_that_a_caller_can_see_is_content() {
    for delta in [
        r#""tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]"#,
        r#""reasoning_content":"hm""#,
        r#""reasoning":"hm""#,
        r#""refusal":"no""#,
        r#""audio":{"id":"a"}"#,
    ] {
        chat(&[&format!(r#"{{"choices":[{{"delta":{{"role":"assistant",{delta}}}}}]}}"#)], "c");
    }
    check(
        Dialect::OpenAi,
        Operation::Completions,
        &[r#"{"choices":[{"text":"x"}]}"#, r#"{"choices":[{"text":""}]}"#],
        "c.",
    );
}

#[test]
fn counts_that_were_told_are_not_taken_back() {
    let usage = |input, output| {
        format!(r#"{{"choices":[],"usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}}}"#)
    };
    let said = [usage(100, 1), usage(100, 50), usage(0, 0)];
    let watch = check(Dialect::OpenAi, Operation::Chat, &said.each_ref().map(String::as_str), "uuu");
    assert_eq!(watch.usage().map(|usage| (usage.input, usage.output)), Some((100, 50)));
}

#[test]
fn only_an_empty_chunk_with_usage_is_usage_only() {
    chat(
        &[
            r#"{"choices":[],"usage":{"prompt_tokens":1}}"#,
            r#"{"choices":[],"usage":null}"#,
            r#"{"usage":{"prompt_tokens":1}}"#,
            r#"{"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}"#,
            r#"{"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":1}}"#,
        ],
        "u...c",
    );
}

#[test]
fn a_finish_reason_and_a_clean_end_are_a_whole_answer() {
    let finish = r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":"stop"}]}"#;
    let done: &[u8] = b"data: [DONE]\n\n";
    assert_eq!(chat(&[finish], "c").end(), Ending::Complete { missing_terminator: Some(done) });
    let second = r#"{"choices":[{"index":1,"delta":{"content":"y"},"finish_reason":null}]}"#;
    assert_eq!(chat(&[second, finish], "cc").end(), Ending::Truncated);
    assert_eq!(chat(&[second], "c").end(), Ending::Truncated);
    let unsaid = r#"{"choices":[{"index":0,"delta":{"content":"x"},"finish_reason":""}]}"#;
    assert_eq!(chat(&[unsaid], "c").end(), Ending::Truncated);
    assert_eq!(chat(&[], "").end(), Ending::Truncated);
}

#[test]
fn errors_in_a_200_are_seen_in_every_dialect() {
    let error = r#"{"error":{"message":"no","code":"rate_limit_exceeded"}}"#;
    assert_eq!(chat(&[error], "E").end(), Ending::Truncated);
    chat(&[r#"{"id":"g","error":{"code":400,"message":"x"},"choices":[{"delta":{"content":""}}]}"#], "E");
    chat(&[r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#], "E");
    chat(&[r#"{"base_resp":{"status_code":1002,"status_msg":"x"}}"#], "E");
    chat(&[r#"{"choices":[{"delta":{"content":"x"}}],"base_resp":{"status_code":0}}"#], "c");
    check(
        Dialect::Responses,
        Operation::Responses,
        &[r#"{"type":"response.failed","response":{"error":{"code":"server_error","message":"x"}}}"#],
        "E",
    );
    check(
        Dialect::Anthropic,
        Operation::Messages,
        &[r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#],
        "E",
    );
    let bare = b"data: {\"candidates\":[]}\r\n\r\n{\"error\":{\"code\":503,\n\"message\":\"x\"}}";
    assert_eq!(run(Dialect::Gemini, Operation::StreamGenerate, Framing::Sse, bare).0, ".E");
    let (beats, _) = run(
        Dialect::OpenAi,
        Operation::Chat,
        Framing::Sse,
        b"event: error\ndata: {\"x\":1}\n\nevent: error\ndata: no\n\n",
    );
    assert_eq!(beats, "EE");
}

#[test]
fn a_broken_frame_is_named_and_the_stream_goes_on() {
    let content = r#"{"choices":[{"delta":{"content":"x"}}]}"#;
    chat(&[content, r#"{"choices":[{"del"#, content], "cbc");
}

#[test]
fn an_anthropic_stream_commits_and_merges_its_usage() {
    let watch = check(
        Dialect::Anthropic,
        Operation::Messages,
        &[
            r#"{"type":"message_start","message":{"usage":{"input_tokens":3,"cache_read_input_tokens":5,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":9}}"#,
            r#"{"type":"message_stop"}"#,
        ],
        "...c.c.ft",
    );
    assert_eq!(watch.end(), WHOLE);
    assert_eq!(watch.usage(), Some(Usage { input: 8, cache_read: 5, output: 9, ..Usage::default() }));
}

#[test]
fn an_anthropic_stop_reason_without_message_stop_lacks_only_that() {
    let delta = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#;
    let watch = check(Dialect::Anthropic, Operation::Messages, &[delta], "f");
    assert!(
        matches!(watch.end(), Ending::Complete { missing_terminator: Some(bytes) } if bytes.starts_with(b"event: message_stop"))
    );
}

#[test]
fn a_response_is_whole_only_when_it_is_completed() {
    let lines = [
        r#"{"type":"response.created","sequence_number":0,"response":{"error":null,"usage":null}}"#,
        r#"{"type":"response.output_item.added","sequence_number":1}"#,
        r#"{"type":"response.output_text.delta","sequence_number":2,"delta":"x"}"#,
        r#"{"type":"response.completed","sequence_number":3,"response":{"usage":{"input_tokens":4,"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2}}}}"#,
    ];
    let watch = check(Dialect::Responses, Operation::Responses, &lines, "..ct");
    assert_eq!((watch.end(), watch.next_sequence()), (WHOLE, 4));
    assert_eq!(watch.usage(), Some(Usage { input: 4, output: 5, reasoning: 2, ..Usage::default() }));
    assert_eq!(check(Dialect::Responses, Operation::Responses, &lines[..3], "..c").end(), Ending::Truncated);
}

#[test]
fn a_gemini_stream_ends_with_its_finish_reason() {
    let unsaid = r#"{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":""}]}"#;
    let watch = check(Dialect::Gemini, Operation::StreamGenerate, &[unsaid], "c");
    assert_eq!(watch.end(), Ending::Truncated);
    let lines = [
        r#"{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"s"}]}}]}"#,
        r#"{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f"}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":29,"candidatesTokenCount":57,"thoughtsTokenCount":183,"totalTokenCount":269}}"#,
    ];
    let watch = check(Dialect::Gemini, Operation::StreamGenerate, &lines, ".c");
    assert_eq!(watch.end(), WHOLE);
    assert_eq!(watch.usage(), Some(Usage { input: 29, output: 240, reasoning: 183, ..Usage::default() }));
    check(
        Dialect::Gemini,
        Operation::StreamGenerate,
        &[r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#],
        "f",
    );
    check(
        Dialect::Gemini,
        Operation::StreamGenerate,
        &[r#"{"candidates":[{"finishReason":"MALFORMED_FUNCTION_CALL"}]}"#],
        "E",
    );
    let (beats, watch) = run(
        Dialect::Gemini,
        Operation::StreamGenerate,
        Framing::JsonArray,
        format!("[{},\n{}\n", lines[0], lines[1]).as_bytes(),
    );
    assert_eq!((beats.as_str(), watch.end()), (".c.", Ending::Complete { missing_terminator: Some(b"]") }));
    let (_, watch) = run(
        Dialect::Gemini,
        Operation::StreamGenerate,
        Framing::JsonArray,
        format!("[{}]", lines[1]).as_bytes(),
    );
    assert_eq!(watch.end(), WHOLE);
}

#[test]
fn streamed_media_end_with_their_done_event() {
    let lines = [
        r#"{"type":"transcript.text.delta","delta":"x"}"#,
        r#"{"type":"transcript.text.done","text":"x","usage":{"input_tokens":7,"output_tokens":1}}"#,
    ];
    let watch = check(Dialect::OpenAi, Operation::Transcriptions, &lines, "ct");
    assert_eq!(watch.usage().map(|usage| usage.input), Some(7));
}

/// One delta of each dialect: `@` is where words come, `#` a number.
const DELTAS: [(Dialect, Operation, &str); 6] = [
    (
        Dialect::OpenAi,
        Operation::Chat,
        r#"{"id":"a","choices":[{"index":0,"delta":{"content":"@"},"finish_reason":null}],"usage":null}"#,
    ),
    (Dialect::OpenAi, Operation::Completions, r#"{"choices":[{"index":#,"text":"@"}],"obfuscation":"@"}"#),
    (Dialect::OpenAi, Operation::Transcriptions, r#"{"type":"transcript.text.delta","delta":"@"}"#),
    (
        Dialect::Responses,
        Operation::Responses,
        r#"{"type":"response.output_text.delta","sequence_number":#,"delta":"@","obfuscation":"@"}"#,
    ),
    (
        Dialect::Anthropic,
        Operation::Messages,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"@"}}"#,
    ),
    (
        Dialect::Gemini,
        Operation::StreamGenerate,
        r#"{"candidates":[{"content":{"parts":[{"text":"@"}]},"index":0}],"modelVersion":"g"}"#,
    ),
];

/// What comes into a delta's place: words, words that look like more, and ways to break out.
/// A stream's tier stands in its frames, or in its last usage; what it does not say its request may have.
#[test]
fn a_stream_says_how_it_was_hurried() {
    let tier = |dialect, operation, lines: &[&str], wish: Option<Tier>| {
        let stream = format!("data: {}\n\n", lines.join("\n\ndata: "));
        let mut splitter = Splitter::new(Framing::Sse);
        let wish = Wish { tier: wish, ..Wish::default() };
        let mut watch = Watch::new(dialect, operation, Framing::Sse).wishing(wish);
        splitter.push(Bytes::from(stream));
        while let Some(frame) = splitter.next().expect("short frames") {
            watch.frame(&frame);
        }
        watch.usage().and_then(|usage| usage.tier)
    };
    let chat = [
        r#"{"service_tier":"flex","choices":[{"index":0,"delta":{"content":"a"}}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#,
    ];
    assert_eq!(tier(Dialect::OpenAi, Operation::Chat, &chat, Some(Tier::Priority)), Some(Tier::Flex));
    assert_eq!(
        tier(Dialect::OpenAi, Operation::Chat, &chat[1..], Some(Tier::Priority)),
        Some(Tier::Priority)
    );
    let response = [
        r#"{"type":"response.created","response":{"service_tier":"auto"}}"#,
        r#"{"type":"response.completed","response":{"service_tier":"default","usage":{"input_tokens":1,"output_tokens":1}}}"#,
    ];
    let found = tier(Dialect::Responses, Operation::Responses, &response, Some(Tier::Flex));
    assert_eq!(found, Some(Tier::Standard));
    let message = [
        r#"{"type":"message_start","message":{"usage":{"input_tokens":1,"service_tier":"standard"}}}"#,
        r#"{"type":"message_delta","delta":{},"usage":{"output_tokens":1}}"#,
    ];
    assert_eq!(tier(Dialect::Anthropic, Operation::Messages, &message, None), Some(Tier::Standard));
    let google = [r#"{"usageMetadata":{"promptTokenCount":1,"trafficType":"ON_DEMAND_FLEX"}}"#];
    assert_eq!(tier(Dialect::Gemini, Operation::StreamGenerate, &google, None), Some(Tier::Flex));
}

fn words() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&[
        "Hi",
        " there",
        "",
        r#"\"error\":{\"code\":1}"#,
        r#"\"usage\":{\"prompt_tokens\":1}"#,
        r#"\"finish_reason\":\"stop\""#,
        "é",
        r"\u00e9",
        r"\",
        r"\x",
        r"\ud800",
        "\t",
        "\"",
        r#"","error":"x"#,
        r#"","usage":{"prompt_tokens":1,"completion_tokens":2},"x":""#,
        r#""},"finish_reason":"stop","x":{"y":""#,
        r#"","role":"assistant"#,
        r#"","type":"error"#,
    ])
}

proptest! {
    #[test]
    fn a_delta_that_fits_the_last_one_means_what_a_walk_finds(
        which in 0..DELTAS.len(),
        frames in proptest::collection::vec(
            (words(), words(), 0u64..4, proptest::option::weighted(0.2, (any::<prop::sample::Index>(),
                prop_oneof![Just(b'"'), Just(b'x'), Just(b'}'), Just(b' '), Just(b'1'), any::<u8>()]))),
            0..12))
    {
        let (dialect, operation, delta) = DELTAS[which];
        let mut stream = Vec::new();
        for (first, second, number, flaw) in frames {
            let frame = delta.replacen('@', first, 1).replacen('@', second, 1);
            let mut frame = frame.replace('#', &number.to_string()).into_bytes();
            if let Some((at, byte)) = flaw {
                let at = at.index(frame.len());
                frame[at] = byte;
            }
            stream.extend_from_slice(b"data: ");
            stream.extend_from_slice(&frame);
            stream.extend_from_slice(b"\n\n");
        }
        // It compares with a walk of each frame.
        run(dialect, operation, Framing::Sse, &stream);
    }

    #[test]
    fn any_stream_is_watched(stream in proptest::collection::vec(any::<u8>(), 0..120),
        soup in "(data: |\\{\"choices\":|\\[|\\]|\\}|\"delta\":\\{|\"usage\":|null|,|\"x\"|\n\n|1){0,20}")
    {
        for (dialect, operation) in DIALECTS {
            for framing in [Framing::Sse, Framing::JsonArray, Framing::Opaque] {
                for stream in [&stream[..], soup.as_bytes()] {
                    let (_, watch) = run(dialect, operation, framing, stream);
                    let _ = (watch.end(), watch.usage());
                }
            }
        }
    }
}
