//! Laws: no secret of a generator is in what is kept, whatever it was written in and however it was cut into pieces;
//! and what is kept of harmless text is that text.

mod captures;
mod made;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Value, json};

use self::made::{Secret, escaped, prose, secret};
use super::body::{Body, Content, Language, Seen};
use crate::config::{Expression, Redact};
use crate::dialect::{Dialect, Operation};

const MOST: usize = 1 << 16;

fn redact() -> Redact {
    let patterns = vec![Expression::parse(r"ACME-[A-Z]{4}").expect("a pattern")];
    Redact { keys: true, email: true, cards: true, phone: true, patterns }
}

fn language(dialect: Dialect) -> Language {
    let operation = if dialect == Dialect::Gemini { Operation::StreamGenerate } else { Operation::Chat };
    Language { dialect, operation }
}

/// What is kept of a body, as it is written.
fn kept(dialect: Dialect, media: &'static str, body: &[u8]) -> String {
    kept_of(dialect, media, body, body.len() as u64)
}

fn kept_of(dialect: Dialect, media: &'static str, begin: &[u8], length: u64) -> String {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media))]);
    let seen = Seen { begin: Bytes::copy_from_slice(begin), length };
    let body = Body::of(&seen, &headers, language(dialect), MOST, &redact());
    serde_json::to_string(&body).expect("a body is JSON")
}

fn check(kept: &str, secret: &Secret) -> Result<(), TestCaseError> {
    prop_assert!(!secret.is_in(kept), "{secret:?} is in {kept}");
    prop_assert!(kept.contains(secret.label()), "nothing stands for {secret:?} in {kept}");
    Ok(())
}

/// Pieces of a text, cut at these shares of it.
fn pieces<'t>(text: &'t str, cuts: &[u8]) -> Vec<&'t str> {
    let mut places: Vec<usize> =
        cuts.iter().map(|cut| text.floor_char_boundary(text.len() * usize::from(*cut) / 256)).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|ends| &text[ends[0]..ends[1]]).collect()
}

/// How each dialect says a piece of a text in a stream, and what kind of stream that is.
type Saying = (Dialect, &'static str, fn(usize, &str) -> String);

const SAYINGS: [Saying; 9] = [
    (Dialect::OpenAi, "text/event-stream", |_, piece| {
        event(&json!({"id": "chatcmpl-1", "choices": [{"index": 0, "delta": {"content": piece}}]}))
    }),
    (Dialect::OpenAi, "text/event-stream; charset=utf-8", |_, piece| {
        event(
            &json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 2, "function": {"arguments": piece}}]}}]}),
        )
    }),
    (Dialect::Responses, "text/event-stream", |n, piece| {
        event(
            &json!({"type": "response.output_text.delta", "sequence_number": n, "output_index": 1, "content_index": 0, "delta": piece, "obfuscation": "x"}),
        )
    }),
    (Dialect::Anthropic, "text/event-stream", |n, piece| {
        // The first word may come with the block.
        let said = match n {
            0 => {
                json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": piece}})
            }
            _ => {
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
            }
        };
        event(&said)
    }),
    (Dialect::Anthropic, "text/event-stream", |_, piece| {
        event(
            &json!({"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": piece}}),
        )
    }),
    (Dialect::Gemini, "text/event-stream", |n, piece| {
        // Parts may come alone or beside others.
        let mut parts = vec![json!({"text": piece})];
        if n % 2 == 1 {
            parts.insert(0, json!({"text": ""}));
        }
        event(&json!({"candidates": [{"content": {"parts": parts, "role": "model"}}]}))
    }),
    (Dialect::Cohere, "text/event-stream", |_, piece| {
        event(
            &json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": piece}}}}),
        )
    }),
    (Dialect::Http, "text/event-stream", |_, piece| format!("data: {}\n\n", piece.replace('\n', " "))),
    (Dialect::OpenAi, "application/x-ndjson", |_, piece| {
        format!("{}\n", json!({"message": {"role": "assistant", "content": piece}, "done": false}))
    }),
];

/// Those that say a text at one place, and all of it.
const WHOLE: [usize; 6] = [0, 1, 2, 4, 6, 8];

fn event(data: &Value) -> String {
    format!(": a word\n\ndata: {data}\n\n")
}

proptest! {
    #[test]
    fn no_secret_of_a_stream_is_kept_however_it_is_cut(
        secret in secret(), before in prose(), after in prose(), cuts in prop::collection::vec(any::<u8>(), 0..40), way in 0..SAYINGS.len(),
    ) {
        let (dialect, media, say) = SAYINGS[way];
        let text = format!("{before} {} {after}", secret.text);
        let stream: String = pieces(&text, &cuts).into_iter().enumerate().map(|(n, piece)| say(n, piece)).collect();
        check(&kept(dialect, media, stream.as_bytes()), &secret)?;
    }

    #[test]
    fn nor_of_one_where_every_character_comes_alone_between_other_texts(secret in secret(), way in 0..SAYINGS.len()) {
        let (dialect, media, say) = SAYINGS[way];
        let mut stream = String::new();
        for (n, c) in format!("it is {} so", secret.text).chars().enumerate() {
            stream.push_str(&say(n, &c.to_string()));
            if media.starts_with("text/event-stream") {
                // A second choice, of which nothing is said that models say.
                stream.push_str(&event(&json!({"choices": [{"index": 1, "delta": {"role": "assistant"}}]})));
            }
        }
        check(&kept(dialect, media, stream.as_bytes()), &secret)?;
    }

    #[test]
    fn nor_of_one_that_follows_a_thought_without_a_blank(secret in secret(), thought in prose(), cuts in prop::collection::vec(any::<u8>(), 0..20)) {
        let part = |text: &str, thought: bool| event(&json!({"candidates": [{"content": {"parts": [{"text": text, "thought": thought}]}}]}));
        let said = pieces(&secret.text, &cuts).into_iter().map(|piece| part(piece, false));
        let stream: String = std::iter::once(part(&format!("{thought}end"), true)).chain(said).collect();
        check(&kept(Dialect::Gemini, "text/event-stream", stream.as_bytes()), &secret)?;
    }

    #[test]
    fn nor_of_an_array_of_geminis(secret in secret(), cuts in prop::collection::vec(any::<u8>(), 0..20)) {
        let text = format!("it is {} so", secret.text);
        let elements = pieces(&text, &cuts).into_iter().map(|piece| json!({"candidates": [{"content": {"parts": [{"text": piece}]}}]}).to_string());
        let stream = format!("[{}]", elements.collect::<Vec<_>>().join("\n,\n"));
        check(&kept(Dialect::Gemini, "application/json", stream.as_bytes()), &secret)?;
    }

    #[test]
    fn nor_of_json_however_it_is_escaped(
        secret in secret(), before in prose(), after in prose(), marks in prop::collection::vec(any::<bool>(), 1..64), depth in 1_usize..4,
    ) {
        // JSON within JSON: arguments of calls are texts.
        let mut text = format!("\"{}\"", escaped(&format!("{before} {} {after}", secret.text), &marks));
        for _ in 1..depth {
            text = serde_json::to_string(&format!("{{\"said\": {text}}}")).expect("a text is JSON");
        }
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":{text}}}],"n":[1,2.5,true,null]}}"#);
        let kept = kept(Dialect::OpenAi, "application/json", body.as_bytes());
        check(&kept, &secret)?;
        let kept: Value = serde_json::from_str(&kept).expect("JSON");
        prop_assert_eq!(&kept["json"]["model"], "m");
        let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(&body).expect("JSON")).expect("JSON");
        let pretty = self::kept(Dialect::OpenAi, "application/json", pretty.as_bytes());
        prop_assert!(!pretty.contains('\n'), "a capture is one line: {pretty}");
        check(&pretty, &secret)?;
        prop_assert_eq!(&kept["json"]["n"], &json!([1, 2.5, true, null]));
    }

    #[test]
    fn nor_of_json_that_is_cut_anywhere_behind_it(secret in secret(), after in prose(), cut in any::<prop::sample::Index>()) {
        let begin = format!(r#"{{"messages":[{{"content":"it is {}"#, escaped(&secret.text, &[false]));
        let body = format!("{begin} {after}{} and more\"}}]}}", "x ".repeat(400));
        let at = begin.len() + cut.index(body.len() - begin.len());
        let at = body.floor_char_boundary(at);
        let kept = kept_of(Dialect::OpenAi, "application/json", &body.as_bytes()[..at], body.len() as u64);
        prop_assert!(!secret.is_in(&kept), "{secret:?} is in {kept}");
    }

    #[test]
    fn nor_half_of_one_where_the_cut_goes_through_it(secret in secret(), at in 7_usize..64) {
        let at = secret.text.floor_char_boundary(at.min(secret.text.len()));
        let half = &secret.text[..at];
        let body = format!(r#"{{"messages":[{{"content":"{}it is {}"#, "x ".repeat(400), escaped(half, &[false]));
        let json = kept_of(Dialect::OpenAi, "application/json", body.as_bytes(), body.len() as u64 + 100);
        prop_assert!(!json.contains(half), "{json}");
        let stream = event(&json!({"choices": [{"index": 0, "delta": {"content": format!("{}it is {half}", "x ".repeat(400))}}]}));
        let stream = kept_of(Dialect::OpenAi, "text/event-stream", stream.as_bytes(), stream.len() as u64 + 100);
        prop_assert!(!stream.contains(half), "{stream}");
    }

    #[test]
    fn nor_of_any_other_text(secret in secret(), before in prose(), after in prose(), wrong in any::<bool>()) {
        // What begins like JSON and is none, too.
        let text = format!("{}{before} {} {after}", if wrong { "{\"a\": " } else { "" }, secret.text);
        for media in ["text/plain", "application/json", "text/html; charset=utf-8"] {
            check(&kept(Dialect::Http, media, text.as_bytes()), &secret)?;
        }
    }

    #[test]
    fn harmless_text_is_kept_as_it_is(text in "[a-z]{1,5} ".prop_flat_map(|first| prose().prop_map(move |rest| first.clone() + &rest)), cuts in prop::collection::vec(any::<u8>(), 0..10), way in 0..WHOLE.len()) {
        let whole = kept(Dialect::OpenAi, "application/json", json!({"content": text}).to_string().as_bytes());
        let whole: Value = serde_json::from_str(&whole).expect("JSON");
        prop_assert_eq!(&whole["json"]["content"], &text);
        let (dialect, media, say) = SAYINGS[WHOLE[way]];
        let stream: String = pieces(&text, &cuts).into_iter().enumerate().map(|(n, piece)| say(n, piece)).collect();
        let streamed: Value = serde_json::from_str(&kept(dialect, media, stream.as_bytes())).expect("JSON");
        let texts = streamed["stream"].as_array().expect("texts");
        prop_assert!(texts.iter().any(|said| said["text"] == *text), "{text:?} in {streamed}");
    }

    #[test]
    fn whatever_comes_something_is_kept_of_it(
        bytes in prop::collection::vec(any::<u8>(), 0..300), text in r#"[\[\]{}:,"\\u0034%41+\-e. \na-z@]{0,120}"#, way in 0..SAYINGS.len(), more in 0_u64..2,
    ) {
        for media in ["application/json", "text/event-stream", "application/x-ndjson", "application/vnd.amazon.eventstream", "text/plain", "image/png"] {
            for body in [&bytes[..], text.as_bytes()] {
                let kept = kept_of(SAYINGS[way].0, media, body, body.len() as u64 + more);
                prop_assert!(serde_json::from_str::<Value>(&kept).is_ok(), "{kept}");
            }
        }
    }
}

#[test]
fn what_is_no_text_is_left_out_and_it_is_said_why() {
    let why = |media, body: &[u8]| {
        let kept: Value = serde_json::from_str(&kept(Dialect::OpenAi, media, body)).expect("JSON");
        kept["left_out"].as_str().map(str::to_owned)
    };
    assert_eq!(why("image/png", b"\x89PNG").as_deref(), Some("it is no text: image/png"));
    assert_eq!(why("multipart/form-data; boundary=a", b"--a").map(|why| why.len() > 10), Some(true));
    assert_eq!(why("application/json", b"").as_deref(), Some("it is empty"));
    assert_eq!(why("text/plain", b"hello"), None);
    let headers = HeaderMap::from_iter([(http::header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))]);
    let seen = Seen { begin: Bytes::from_static(b"\x1f\x8b"), length: 2 };
    let body = Body::of(&seen, &headers, language(Dialect::Http), MOST, &redact());
    assert!(matches!(body.content, Content::LeftOut(why) if why == "it is encoded: gzip"));
}

#[test]
fn the_texts_of_a_stream_are_told_apart_by_where_they_stand() {
    let piece = |index: u64, text: &str| {
        event(&json!({"id": "chatcmpl-7", "choices": [{"index": index, "delta": {"content": text}}]}))
    };
    let stream =
        [piece(0, "Hel"), piece(1, "Good"), piece(0, "lo"), piece(1, "bye"), "data: [DONE]\n\n".to_owned()]
            .concat();
    let kept: Value =
        serde_json::from_str(&kept(Dialect::OpenAi, "text/event-stream", stream.as_bytes())).expect("JSON");
    let expected = json!([
        {"at": "choices[0].delta.content", "text": "Hello"}, {"at": "id", "text": "chatcmpl-7"},
        {"at": "choices[1].delta.content", "text": "Goodbye"}, {"at": "data", "text": "[DONE]"},
    ]);
    assert_eq!(kept["stream"], expected);
}

#[test]
fn what_is_not_to_be_redacted_is_not() {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/plain"))]);
    let text = "4111 1111 1111 1111 ada@example.com +14155552671 gsk_abcdefghijklmnop ACME-ABCD";
    let nothing = Redact { keys: false, email: false, cards: false, phone: false, patterns: Vec::new() };
    let labels = ["[CARD]", "[EMAIL]", "[PHONE]", "[KEY]", "[PATTERN]"];
    let whats = [
        Redact { cards: true, ..nothing.clone() },
        Redact { email: true, ..nothing.clone() },
        Redact { phone: true, ..nothing.clone() },
        Redact { keys: true, ..nothing.clone() },
        Redact { patterns: redact().patterns, ..nothing },
    ];
    for (what, label) in whats.iter().zip(labels) {
        let seen = Seen { begin: Bytes::from_static(text.as_bytes()), length: text.len() as u64 };
        let body = Body::of(&seen, &headers, language(Dialect::Http), MOST, what);
        let Content::Text(kept) = body.content else { panic!("it is text") };
        let found: Vec<&str> = labels.into_iter().filter(|label| kept.contains(label)).collect();
        assert_eq!(found, [label], "{kept}");
    }
}
