//! The form of an answer, where nothing but words can ask for it.

use serde_json::{Value, json};

use super::{CALLERS, MODEL, generation, read, terms, write};
use crate::dialect::hub::{Format, Mode, Terms};
use crate::dialect::quirks::Quirks;
use crate::dialect::translate::GENERATING;
use crate::dialect::{Dialect, tree};
use crate::vocab::{Ability, Facts};

const SCHEMA: &str = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}"#;
/// No model is held to it: what its members are called is not said.
const OPEN: &str = r#"{"type":"object","additionalProperties":{"type":"string"}}"#;

/// What is asked of an upstream, and what is named as lost.
fn asked(form: &Value, tools: bool, to: Dialect, terms: &Terms<'_>) -> (String, Vec<String>) {
    let mut body = json!({"model": MODEL, "response_format": form, "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where? In JSON."}]});
    if tools {
        body["tools"] =
            json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    }
    let body = body.to_string();
    let operation = generation(Dialect::OpenAi, Mode::Whole).expect("it generates");
    let root = tree::parse(body.as_bytes()).expect("JSON");
    let mut ask = read(Dialect::OpenAi, operation, MODEL, &root).expect("a request");
    let written = write(&mut ask, to, terms).expect("a pair");
    let lost = written.losses.names().iter().map(ToString::to_string).collect();
    (String::from_utf8(written.body).expect("text"), lost)
}

fn any() -> Value {
    json!({"type": "json_object"})
}

fn schema(schema: &str) -> Value {
    let schema: Value = serde_json::from_str(schema).expect("JSON");
    json!({"type": "json_schema", "json_schema": {"name": "place", "schema": schema}})
}

/// Whether the model is told the form in words, behind the other instructions.
fn is_told(said: &str, form: &Format<'_>) -> bool {
    let words = json!(form.in_words()).to_string();
    let told = said.find(words.trim_matches('"'));
    assert!(told.is_none_or(|told| said.find("Be brief.").is_some_and(|brief| brief < told)), "{said}");
    told.is_some()
}

fn check(form: &Value, tools: bool, to: Dialect, terms: &Terms<'_>, expected: bool) {
    let (said, lost) = asked(form, tools, to, terms);
    let meant = match form.pointer("/json_schema/schema") {
        None => Format::Json,
        Some(schema) => {
            Format::Schema { name: None, description: None, schema: schema.to_string().into(), strict: None }
        }
    };
    assert_eq!(is_told(&said, &meant), expected, "{to}: {form} {said}");
    assert_eq!(lost.iter().any(|name| name == "response_format"), expected, "{to}: {form} {lost:?}");
}

#[test]
fn a_model_that_is_not_held_to_a_form_is_told_of_it() {
    for to in GENERATING.into_iter().filter(|to| *to != Dialect::OpenAi) {
        let terms = terms(to);
        let has_nothing_for_json = matches!(to, Dialect::Anthropic | Dialect::Bedrock);
        check(&any(), false, to, &terms, has_nothing_for_json);
        check(&schema(SCHEMA), false, to, &terms, false);
        check(&schema(SCHEMA), true, to, &terms, to == Dialect::Cohere);
    }
    let older = Terms { model: "gemini-2.5-pro", ..terms(Dialect::Gemini) };
    check(&schema(SCHEMA), true, Dialect::Gemini, &older, true);
    check(&schema(OPEN), false, Dialect::Bedrock, &terms(Dialect::Bedrock), true);
}

#[test]
fn so_is_one_that_knows_any_json_and_no_schema() {
    const PLAIN: Quirks = Quirks { json_schema: false, ..Quirks::COMPATIBLE };
    let terms = Terms { quirks: &PLAIN, ..terms(Dialect::OpenAi) };
    for from in CALLERS.into_iter().filter(|from| *from != Dialect::OpenAi) {
        let operation = generation(from, Mode::Whole).expect("it generates");
        let Some(body) = super::golden("structured", &format!("ask.{from}.json")) else { continue };
        let root = tree::parse(&body).expect("JSON");
        let mut ask = read(from, operation, MODEL, &root).expect("a request");
        let Some(form) = ask.format.clone() else { continue };
        let written = write(&mut ask, Dialect::OpenAi, &terms).expect("a pair");
        let said = String::from_utf8(written.body).expect("text");
        let words = json!(form.in_words()).to_string();
        assert!(said.contains(words.trim_matches('"')) && said.contains("json_object"), "{from}: {said}");
    }
}

#[test]
fn so_is_one_that_is_known_to_have_no_schemas() {
    let mut facts = Facts::default();
    facts.learn(Ability::StructuredOutput, false);
    let terms = Terms { facts, ..terms(Dialect::Bedrock) };
    check(&schema(SCHEMA), false, Dialect::Bedrock, &terms, true);
}
