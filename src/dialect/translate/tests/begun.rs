//! What a stream's begin says of the input, where the upstream's first piece tells of it.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::streams::{frames, translated};
use crate::dialect::Dialect;

/// Pieces of an answer, each with the counts as they stand by then: of the input, of what of it was cached, of output.
fn pieces(from: Dialect, counts: &[Option<[u64; 3]>]) -> Vec<u8> {
    let mut out = String::new();
    let last = counts.len() - 1;
    for (number, counts) in counts.iter().enumerate() {
        let piece = if from == Dialect::Gemini {
            let usage = counts.map(|[input, cached, output]| {
                json!({"promptTokenCount": input, "cachedContentTokenCount": cached, "candidatesTokenCount": output})
            });
            let mut candidate = json!({"content": {"parts": [{"text": "x"}], "role": "model"}, "index": 0});
            if number == last {
                candidate["finishReason"] = json!("STOP");
            }
            json!({"candidates": [candidate], "usageMetadata": usage, "responseId": "a", "modelVersion": "m"})
        } else {
            let usage = counts.map(|[input, cached, output]| {
                json!({"prompt_tokens": input, "completion_tokens": output, "prompt_tokens_details": {"cached_tokens": cached}})
            });
            let finish = (number == last).then_some("stop");
            let choice = json!({"index": 0, "delta": {"content": "x"}, "finish_reason": finish});
            json!({"id": "a", "model": "m", "choices": [choice], "usage": usage})
        };
        for text in ["data: ", &piece.to_string(), "\n\n"] {
            out.push_str(text);
        }
    }
    if from == Dialect::OpenAi {
        out.push_str("data: [DONE]\n\n");
    }
    out.into_bytes()
}

/// The usage of `message_start` and of `message_delta`.
fn said(from: Dialect, stream: Vec<u8>) -> (Value, Value) {
    let said = translated(from, Dialect::Anthropic, &frames(from, [&Bytes::from(stream)[..]]));
    let events: Vec<Value> = std::str::from_utf8(&said)
        .expect("text")
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect();
    let of = |kind: &str| {
        let found: Vec<_> = events.iter().filter(|event| event["type"] == kind).collect();
        assert_eq!(found.len(), 1, "{kind}");
        found[0].clone()
    };
    (of("message_start")["message"]["usage"].clone(), of("message_delta")["usage"].clone())
}

proptest! {
    #[test]
    fn the_begin_says_what_is_known_of_the_input_and_the_end_says_all(
        first in proptest::option::of((0_u64..5_000, 0_u64..5_000, 0_u64..90)),
        last in (0_u64..5_000, 0_u64..5_000, 0_u64..90),
    ) {
        let counts = |(plain, cached, output): (u64, u64, u64)| [plain + cached, cached, output];
        for from in [Dialect::Gemini, Dialect::OpenAi] {
            let stream = pieces(from, &[first.map(counts), None, Some(counts(last))]);
            let (begin, end) = said(from, stream);
            let (plain, cached, _) = first.unwrap_or_default();
            prop_assert_eq!(&begin, &json!({
                "input_tokens": plain, "cache_creation_input_tokens": 0, "cache_read_input_tokens": cached,
                "output_tokens": 0,
            }), "{} says nothing of the output yet", from);
            let of = |name: &str| end[name].as_u64().unwrap_or_default();
            let told = (of("input_tokens"), of("cache_read_input_tokens"), of("output_tokens"));
            prop_assert_eq!(told, last, "{}", from);
        }
    }
}

#[test]
fn an_answer_in_one_piece_says_it_at_both_ends() {
    for from in [Dialect::Gemini, Dialect::OpenAi] {
        let (begin, end) = said(from, pieces(from, &[Some([12, 4, 3])]));
        assert_eq!(
            (&begin["input_tokens"], &begin["cache_read_input_tokens"]),
            (&json!(8), &json!(4)),
            "{from}"
        );
        assert_eq!((&end["input_tokens"], &end["output_tokens"]), (&json!(8), &json!(3)), "{from}");
    }
}
