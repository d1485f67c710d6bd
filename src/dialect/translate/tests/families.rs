//! Encrypted reasoning goes back to whose model made it, and to nobody else.

use super::streams::{frames, translated_for};
use super::{generation, read, write};
use crate::dialect::Dialect;
use crate::dialect::hub::samples::{self, MODEL, manner};
use crate::dialect::hub::{Family, Manner, Mode};
use crate::dialect::quirks::Quirks;
use crate::dialect::translate::reply;
use crate::dialect::tree;

const ANSWER: &str = r#"{"id":"a","model":"m","status":"completed","output":[{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"c2VjcmV0"},{"type":"message","content":[{"type":"output_text","text":"42"}]}]}"#;
const STREAM: &str = r#"data: {"type":"response.created","response":{"id":"a","model":"m"}}

data: {"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"c2VjcmV0"}}

data: {"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"42"}

data: {"type":"response.completed","response":{"id":"a","status":"completed","output":[]}}

"#;

/// What a caller of Anthropic's sends back after an answer that held `thinking` blocks.
fn history(answer: &[u8]) -> Vec<u8> {
    let answer: serde_json::Value = serde_json::from_slice(answer).expect("JSON");
    let turns = serde_json::json!([
        {"role": "user", "content": "6 * 7?"},
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": "Sure?"},
    ]);
    serde_json::json!({"model": MODEL, "max_tokens": 9, "messages": turns}).to_string().into_bytes()
}

/// The request that goes to a vendor of this family.
fn asked_again(body: &[u8], family: Family) -> String {
    let operation = generation(Dialect::Anthropic, Mode::Whole).expect("it generates");
    let root = tree::parse(body).expect("JSON");
    let mut ask = read(Dialect::Anthropic, operation, MODEL, &root).expect("a request");
    let terms = samples::terms(family, &Quirks::COMPATIBLE);
    let written = write(&mut ask, Dialect::Responses, &terms).expect("a pair");
    String::from_utf8(written.body).expect("text")
}

#[test]
fn what_one_vendor_encrypted_goes_back_to_it_and_to_no_other() {
    for maker in [Family::OpenAi, Family::Xai, Family::Other] {
        let manner = Manner { family: maker, ..manner() };
        let whole =
            reply(Dialect::Responses, Dialect::Anthropic, ANSWER.as_bytes(), &manner).expect("it is read");
        let body = history(&whole);
        for taker in Family::ALL {
            let goes = maker == taker && maker != Family::Other;
            assert_eq!(asked_again(&body, taker).contains("c2VjcmV0"), goes, "{maker:?} -> {taker:?}");
        }
    }
}

#[test]
fn a_stream_seals_what_the_whole_answer_does() {
    let sealed = |said: &[u8]| {
        let said = String::from_utf8_lossy(said).into_owned();
        let begin = said.find("bWFpbnN0YXkx").expect("a seal");
        said[begin..].split('"').next().expect("its end").to_owned()
    };
    for maker in [Family::OpenAi, Family::Xai, Family::Other] {
        let manner = Manner { family: maker, ..manner() };
        let whole =
            reply(Dialect::Responses, Dialect::Anthropic, ANSWER.as_bytes(), &manner).expect("it is read");
        let frames = frames(Dialect::Responses, [STREAM.as_bytes()]);
        let stream = translated_for(Dialect::Responses, Dialect::Anthropic, &frames, manner);
        assert_eq!(sealed(&stream), sealed(&whole), "{maker:?}");
    }
}
