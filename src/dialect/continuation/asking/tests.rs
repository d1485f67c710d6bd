use serde_json::{Value, json};

use super::*;
use crate::dialect::hub::{Block, Delta, Event, Family, samples};
use crate::dialect::quirks::Quirks;
use crate::dialect::{Operation, provider, translate};

const SO_FAR: &str = "The quick brown fox jumps over the lazy dog and ";

fn told(text: &str) -> Told {
    let mut told = Told::default();
    told.observe(&Event::Open { choice: 0, block: 0, kind: Block::Text });
    told.observe(&Event::Delta { choice: 0, block: 0, delta: Delta::Text(text.to_owned().into()) });
    told
}

fn quirks(name: &str) -> &'static Quirks {
    provider::find(name).expect("a row").quirks
}

/// How a model is asked to go on, and with which body.
fn asked(body: &Value, to: Dialect, provider: &str, model: &str, learnt: Learnt) -> (Put, Value) {
    let body = body.to_string();
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let mut ask = translate::read(Dialect::OpenAi, Operation::Chat, "demo", &root).expect("a request");
    let terms = Terms { model, ..samples::terms(Family::Other, quirks(provider)) };
    let asking = Asking::new(&told(SO_FAR));
    let put = asking.method(&ask, to, &terms, learnt).expect("a way");
    asking.extend(&mut ask, put);
    let written = translate::write(&mut ask, to, &terms).expect("written");
    let body = Asking::mark(put, to, written.body);
    (put, serde_json::from_slice(&body).expect("JSON"))
}

fn hello() -> Value {
    json!({"model": "demo", "stream": true, "max_tokens": 1000, "messages": [{"role": "user", "content": "hi"}]})
}

#[test]
fn each_vendor_gets_a_prefill_in_its_own_words() {
    let check = |provider: &str, to, model: &str| asked(&hello(), to, provider, model, Learnt::Nothing);
    let last =
        |body: &Value| body["messages"].as_array().and_then(|all| all.last()).cloned().expect("messages");
    let trimmed = SO_FAR.trim_end();

    let (put, body) = check("mistral", Dialect::OpenAi, "mistral-large");
    assert_eq!(last(&body), json!({"role": "assistant", "content": trimmed, "prefix": true}));
    assert_eq!((put.method, put.base()), (Method::Prefill, None));

    let (put, body) = check("deepseek", Dialect::OpenAi, "deepseek-chat");
    assert_eq!((&last(&body)["prefix"], put.base()), (&json!(true), Some("/beta")));

    let (_, body) = check("vllm", Dialect::OpenAi, "qwen");
    assert_eq!(last(&body), json!({"role": "assistant", "content": trimmed}));
    assert_eq!(
        (&body["continue_final_message"], &body["add_generation_prompt"]),
        (&json!(true), &json!(false))
    );

    for to in [Dialect::Anthropic, Dialect::Bedrock] {
        let (put, body) = check("anthropic", to, "claude-3-haiku-20240307");
        assert_eq!(put.method, Method::Prefill);
        assert_eq!(
            (&last(&body)["role"], &last(&body)["content"][0]["text"]),
            (&json!("assistant"), &json!(trimmed))
        );
        assert_eq!(check("anthropic", to, "claude-opus-4-7").0.method, Method::Instruction);
        assert_eq!(check("anthropic", to, "some-model").0.method, Method::Instruction);
    }
    assert_eq!(check("openai", Dialect::OpenAi, "gpt-4o").0.method, Method::Instruction);
}

#[test]
fn an_instruction_ends_with_the_words_to_repeat() {
    let anchor = Anchor::of(SO_FAR).expect("one");
    for to in [Dialect::OpenAi, Dialect::Responses, Dialect::Anthropic, Dialect::Gemini, Dialect::Cohere] {
        let (put, body) = asked(&hello(), to, "openai", "m", Learnt::Nothing);
        assert_eq!(put.method, Method::Instruction, "{to}");
        let turns = ["messages", "input", "contents"].iter().find_map(|key| body.get(key)?.as_array());
        let [.., before, last] = turns.expect("turns").as_slice() else { panic!("{body}") };
        assert!(before.to_string().contains(SO_FAR.trim_end()), "{to}");
        assert!(last.to_string().contains(&format!("<<<{}>>>", anchor.text())), "{to}: {last}");
    }
    // One that has refused a prefill is not asked for it again, nor one that thinks.
    let (put, _) = asked(&hello(), Dialect::OpenAi, "mistral", "m", Learnt::RefusesPrefill);
    assert_eq!(put.method, Method::Instruction);
    let mut thinking = hello();
    thinking["reasoning_effort"] = json!("high");
    let (put, _) = asked(&thinking, Dialect::Anthropic, "anthropic", "claude-3-7-sonnet", Learnt::Nothing);
    assert_eq!(put.method, Method::Instruction);
}

#[test]
fn the_limit_of_the_answer_is_what_is_left_of_it() {
    let (_, body) = asked(&hello(), Dialect::OpenAi, "mistral", "m", Learnt::Nothing);
    assert_eq!(body["max_tokens"], 1000 - SO_FAR.len() / BYTES_OF_TOKEN);
    let mut short = hello();
    short["max_tokens"] = json!(5);
    let (_, body) = asked(&short, Dialect::OpenAi, "mistral", "m", Learnt::Nothing);
    assert_eq!(body["max_tokens"], 1, "never more than is left of what the caller wants");
    // What is repeated first is not the caller's, and there is room for it.
    let (_, body) = asked(&short, Dialect::OpenAi, "openai", "m", Learnt::Nothing);
    let repeated = Anchor::of(SO_FAR).expect("one").text().len() as u64;
    let most = body["max_tokens"].as_u64().or(body["max_completion_tokens"].as_u64()).expect("a limit");
    assert!((1 + repeated / 4..1 + repeated).contains(&most), "{most}");
}

#[test]
fn without_a_text_the_same_is_asked_anew() {
    let body = hello().to_string();
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let mut ask = translate::read(Dialect::OpenAi, Operation::Chat, "demo", &root).expect("a request");
    let before = ask.turns.len();
    let asking = Asking::new(&told(" "));
    let put = asking
        .method(&ask, Dialect::OpenAi, &samples::terms(Family::Other, quirks("mistral")), Learnt::Nothing)
        .expect("a way");
    asking.extend(&mut ask, put);
    assert_eq!((put.method, ask.turns.len()), (Method::Anew, before));
}

#[test]
fn what_a_second_model_could_not_hit_is_barred() {
    let check = |members: Value, text: &str, bar| {
        let mut body = hello();
        for (key, value) in members.as_object().expect("members") {
            body[key] = value.clone();
        }
        let body = body.to_string();
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let ask = translate::read(Dialect::OpenAi, Operation::Chat, "demo", &root).expect("a request");
        assert_eq!(barred(&ask, &told(text)), bar, "{members}");
    };
    let schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}});
    let tool = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    check(json!({}), SO_FAR, None);
    check(json!({"response_format": schema}), SO_FAR, Some(Bar::Formatted));
    check(json!({"response_format": schema}), "", None);
    check(json!({"response_format": {"type": "json_object"}}), SO_FAR, Some(Bar::Formatted));
    check(json!({"tools": tool, "tool_choice": "required"}), SO_FAR, Some(Bar::Formatted));
    check(json!({"tools": tool}), SO_FAR, None);
    check(json!({"n": 2}), SO_FAR, Some(Bar::Choices));
    check(json!({"logprobs": true}), SO_FAR, Some(Bar::Logprobs));
    check(
        json!({"modalities": ["text", "audio"], "audio": {"voice": "a", "format": "wav"}}),
        SO_FAR,
        Some(Bar::Media),
    );
}

#[test]
fn a_response_that_refers_to_state_is_barred_and_its_rest_is_not_stored() {
    let read = |body: &str| -> (Option<Bar>, Option<String>) {
        let root = tree::parse(body.as_bytes()).expect("JSON");
        let mut ask =
            translate::read(Dialect::Responses, Operation::Responses, "m", &root).expect("a request");
        let bar = barred(&ask, &told(SO_FAR));
        let asking = Asking::new(&told(SO_FAR));
        let terms = samples::terms(Family::OpenAi, quirks("openai"));
        let put = asking.method(&ask, Dialect::Responses, &terms, Learnt::Nothing).expect("a way");
        asking.extend(&mut ask, put);
        let written = translate::write(&mut ask, Dialect::Responses, &terms).expect("written");
        let body: Value = serde_json::from_slice(&written.body).expect("JSON");
        (bar, body.get("store").map(ToString::to_string))
    };
    assert_eq!(read(r#"{"model":"m","input":"hi"}"#), (None, Some("false".to_owned())));
    assert_eq!(read(r#"{"model":"m","input":"hi","store":true}"#), (None, Some("false".to_owned())));
    assert_eq!(read(r#"{"model":"m","input":"hi","previous_response_id":"r"}"#).0, Some(Bar::Stateful));
}
