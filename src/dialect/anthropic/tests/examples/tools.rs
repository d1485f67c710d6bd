//! Tools, and the form of the answer.

use serde_json::{Value, json};

use super::{check, function, hello, knowing, terms};
use crate::dialect::anthropic::{reply, stand_in};
use crate::dialect::hub::{
    Ask, Call, CallKind, Content, Effort, Extras, Format, Part, Reasoning, Stop, Tool, ToolChoice, ToolKind,
};
use crate::dialect::tree;
use crate::vocab::Ability;

#[test]
fn only_allowed_tools_are_shown() {
    let allowed = ToolChoice::Allowed { names: vec!["g".into()], required: true };
    let tools = vec![function("f"), function("g")];
    check(
        &Ask { tools, tool_choice: Some(allowed), ..hello() },
        &terms("m"),
        &[
            (
                "/tools",
                json!([{ "name": "g", "strict": true,
                    "input_schema": { "type": "object", "properties": {}, "additionalProperties": false } }]),
            ),
            ("/tool_choice", json!({ "type": "any" })),
        ],
        "",
    );
    check(
        &Ask { tools: vec![function("f")], ..hello() },
        &terms("claude-3-5-haiku-20241022"),
        &[("/tools/0/strict", Value::Null), ("/max_tokens", json!(8_192))],
        "strict",
    );
    check(
        &Ask { tool_choice: Some(ToolChoice::Required), ..hello() },
        &terms("m"),
        &[("/tool_choice", Value::Null)],
        "tool_choice",
    );
}

#[test]
fn a_custom_tool_comes_back_as_one() {
    let custom = |format| {
        let kind = ToolKind::Custom { name: "shell".into(), description: None, format };
        let tools = vec![Tool { kind, cache: None, extras: Extras::default() }];
        Ask { tools, tool_choice: Some(ToolChoice::Tool("shell".into())), ..hello() }
    };
    let name = [stand_in::CUSTOM, "shell"].concat();
    let places = [("/tools/0/name", json!(name)), ("/tool_choice/name", json!(name))];
    check(&custom(None), &terms("m"), &places, "");
    check(&custom(Some(r#"{"type":"text"}"#)), &terms("m"), &places, "");
    let message = "! a custom tool with a grammar cannot be sent to an Anthropic model; make it a function with a JSON schema";
    check(&custom(Some(r#"{"type":"grammar","syntax":"lark","definition":"x"}"#)), &terms("m"), &[], message);

    let answer = json!({ "content": [{ "type": "tool_use", "id": "t", "name": name, "input": { "input": "ls\n" } }], "stop_reason": "tool_use" }).to_string();
    let root = tree::parse(answer.as_bytes()).expect("JSON");
    let read = reply::read(&root).expect("sound");
    let (id, name, arguments) = ("t".into(), "shell".into(), "ls\n".into());
    let call = Call { id, name, arguments, kind: CallKind::Custom, signature: None };
    assert_eq!(read.choices[0].parts, [Part::new(Content::Call(call))]);
}

#[test]
fn web_search_goes_with_its_place() {
    let search = |raw| Ask {
        tools: vec![Tool { kind: ToolKind::WebSearch { raw }, cache: None, extras: Extras::default() }],
        ..hello()
    };
    let plain = json!({ "type": "web_search_20250305", "name": "web_search" });
    check(&search(r#"{"googleSearch":{}}"#), &terms("m"), &[("/tools/0", plain)], "");
    let placed = json!({
        "type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a.b"],
        "user_location": { "type": "approximate", "city": "Rome" }
    });
    let raw = r#"{"type":"web_search","filters":{"allowed_domains":["a.b"]},"user_location":{"type":"approximate","city":"Rome","region":null}}"#;
    check(&search(raw), &terms("m"), &[("/tools/0", placed)], "");
    check(&search(raw), &knowing("m", &[], &[Ability::WebSearch]), &[("/tools", Value::Null)], "web_search");
}

#[test]
fn a_schema_is_said_or_stood_in_for() {
    let schema = r#"{"type":"object","properties":{"a":{"type":"string"}}}"#;
    let format = Some(Format::Schema { name: None, description: None, schema: schema.into(), strict: None });
    let plain: Value = serde_json::from_str(schema).expect("JSON");
    let closed = json!({ "type": "object", "properties": { "a": { "type": "string" } }, "additionalProperties": false });
    let asked = Ask {
        format: format.clone(),
        reasoning: Reasoning { effort: Some(Effort::High), ..Reasoning::default() },
        ..hello()
    };
    check(&asked, &terms("claude-opus-5"), &[("/output_config/format/schema", closed.clone())], "");
    let old = knowing("m", &[Ability::BudgetThinking], &[Ability::StructuredOutput]);
    check(
        &asked,
        &old,
        &[
            ("/output_config", Value::Null),
            ("/thinking", Value::Null),
            ("/tools/0/name", json!(stand_in::ANSWER)),
            ("/tools/0/input_schema", plain),
            ("/tool_choice", json!({ "type": "tool", "name": stand_in::ANSWER })),
        ],
        "reasoning",
    );
    let beside = Ask { tools: vec![function("f")], format, ..hello() };
    check(&beside, &old, &[("/tool_choice", json!({ "type": "any" }))], "strict");

    let answer = json!({
        "content": [{ "type": "tool_use", "id": "t", "name": stand_in::ANSWER, "input": { "a": "b" } }],
        "stop_reason": "tool_use",
    });
    let answer = answer.to_string();
    let root = tree::parse(answer.as_bytes()).expect("JSON");
    let read = reply::read(&root).expect("sound");
    assert_eq!(
        (&read.choices[0].parts[..], &read.choices[0].stop),
        (&[Part::text(r#"{"a":"b"}"#)][..], &Stop::End)
    );
}

#[test]
fn what_grammars_do_not_take_is_told_in_words_or_not_imposed() {
    let tool = |schema: &'static str| {
        let (name, parameters) = ("f".into(), Some(schema.into()));
        let kind = ToolKind::Function { name, description: None, parameters, strict: Some(true) };
        Tool { kind, cache: None, extras: Extras::default() }
    };
    let asked = |schema: &'static str, strict| {
        let format = Some(Format::Schema { name: None, description: None, schema: schema.into(), strict });
        Ask { tools: vec![tool(schema)], format, ..hello() }
    };
    let limited = r#"{"type":"object","properties":{"n":{"type":"integer","minimum":1,"description":"How many"}},"additionalProperties":false}"#;
    let held = json!({"type": "object", "additionalProperties": false,
        "properties": {"n": {"type": "integer", "description": "How many\n\n{minimum: 1}"}}});
    for strict in [Some(true), None] {
        check(
            &asked(limited, strict),
            &terms("claude-opus-5"),
            &[
                ("/output_config/format/schema", held.clone()),
                ("/tools/0/input_schema", held.clone()),
                ("/tools/0/strict", json!(true)),
            ],
            "response_format.minimum tools.parameters.minimum",
        );
    }
    // A tool that is not strict takes any schema, and so does the one that stands in for the answer.
    for open in [
        r#"{"type":"object","properties":{"m":{"type":"object","additionalProperties":{"type":"integer"}}}}"#,
        r##"{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#"}}}}"##,
    ] {
        let plain: Value = serde_json::from_str(open).expect("JSON");
        check(
            &asked(open, Some(true)),
            &terms("claude-opus-5"),
            &[
                ("/output_config", Value::Null),
                ("/tools/0/input_schema", plain.clone()),
                ("/tools/0/strict", Value::Null),
                ("/tools/1/name", json!(stand_in::ANSWER)),
                ("/tools/1/input_schema", plain),
                ("/tool_choice", json!({ "type": "any" })),
            ],
            "strict",
        );
    }
}
