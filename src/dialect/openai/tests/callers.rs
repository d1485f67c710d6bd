//! What callers say in their own way (WIRE §2.4), and what is wrong with it.

use serde_json::{Value, json};

use super::refused;
use super::vendors::{OPENROUTER, body, lost};
use crate::dialect::Dialect;
use crate::dialect::hub::samples::terms;
use crate::dialect::hub::{Content, Effort, Family, Losses, Role, Signature};
use crate::dialect::openai::request;
use crate::dialect::quirks::Quirks;
use crate::dialect::tree;

#[test]
fn what_is_wrong_with_a_request_says_where_and_how_to_mend_it() {
    let check = |body: Value, expected: &str| assert_eq!(refused(&body.to_string()), expected);
    check(json!({}), "messages: required, and missing");
    check(json!({"messages": []}), "messages: at least one message is needed");
    check(json!({"messages": [{"role": "user"}]}), "messages[0].content: required, and missing");
    check(
        json!({"messages": [{"role": "robot", "content": ""}]}),
        "messages[0].role: not a role; the roles are system, developer, user, assistant and tool",
    );
    check(
        json!({"messages": [{"role": "user", "content": 7}]}),
        "messages[0].content: expected a string or an array of parts, found a number",
    );
    check(
        json!({"messages": [{"role": "tool", "tool_call_id": "x", "content": ""}]}),
        "messages[0].tool_call_id: answers no tool call of this conversation; the assistant's message with \
         the call has to come before",
    );
    check(
        json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url":
            {"url": "data:image/png;base64,!!"}}]}]}),
        "messages[0].content[0].image_url.url: not base64; use the standard alphabet, without line breaks",
    );
    check(
        json!({"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function"}]}),
        "tools[0].name: required, and missing",
    );
    check(
        json!({"messages": [{"role": "user", "content": "x"}], "tool_choice": "perhaps"}),
        "tool_choice: not a choice; use auto, none, required or the tool to be called",
    );
    check(
        json!({"messages": [{"role": "user", "content": "x"}], "temperature": "hot"}),
        "temperature: expected a number, found a string",
    );
}

#[test]
fn cursors_bodies_are_read_whatever_their_shape() {
    let text = json!({
        "model": "m", "instructions": "Be brief.", "stream": true, "max_output_tokens": 9, "store": false,
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Fix it"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "e"},
            {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
            {"type": "function_call_output", "call_id": "c1", "output": "text"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
        ],
        "tools": [
            {"type": "function", "name": "read", "parameters": {"type": "object"}},
            {"type": "function", "function": {"name": "list"}},
            {"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "d"}},
            {"type": "custom", "custom": {"name": "say"}},
        ],
        "reasoning": {"effort": "high", "summary": "auto"},
    })
    .to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let ask = request::read(&root).expect("a sound request");
    assert_eq!(
        (ask.dialect, ask.max_tokens, ask.reasoning.effort),
        (Dialect::Responses, Some(9), Some(Effort::High))
    );
    assert_eq!(ask.extras.iter().collect::<Vec<_>>(), []);
    assert_eq!(ask.extras.find("store"), Some("false"));
    let roles: Vec<_> = ask.turns.iter().map(|turn| (turn.role, turn.parts.len())).collect();
    assert_eq!(roles, [(Role::System, 1), (Role::User, 1), (Role::Assistant, 3), (Role::User, 2)]);

    let (said, losses) = body(&ask, &terms(Family::OpenAi, &Quirks::OPENAI));
    assert_eq!(lost(&losses), ["reasoning.summary"]);
    assert_eq!(
        said["messages"][2]["tool_calls"][1]["custom"],
        json!({"name": "patch", "input": "*** Begin"})
    );
    assert_eq!(said["messages"][4], json!({"role": "tool", "tool_call_id": "c2", "content": "done"}));
    assert_eq!(
        said["tools"][2]["custom"]["format"],
        json!({"type": "grammar", "grammar": {"syntax": "lark", "definition": "d"}})
    );
    // No other vendor has such tools; the functions stay.
    let (said, losses) = body(&ask, &terms(Family::Other, &Quirks::COMPATIBLE));
    assert_eq!(lost(&losses), ["custom"]);
    assert_eq!(said["tools"].as_array().map(Vec::len), Some(2));
    assert_eq!(said["messages"][2]["tool_calls"][1]["function"]["arguments"], r#"{"input":"*** Begin"}"#);
}

#[test]
fn the_older_functions_become_tools() {
    let text = json!({
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"a\":1}"}},
            {"role": "function", "name": "f", "content": "7"},
        ],
        "functions": [{"name": "f", "parameters": {"type": "object"}}],
        "function_call": {"name": "f"},
    })
    .to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let (said, losses) = body(&request::read(&root).expect("sound"), &terms(Family::OpenAi, &Quirks::OPENAI));
    assert_eq!(losses, Losses::default());
    assert_eq!(said["messages"][1]["tool_calls"][0]["id"], "call_n0nce_0");
    assert_eq!(said["messages"][2], json!({"role": "tool", "tool_call_id": "call_n0nce_0", "content": "7"}));
    assert_eq!(said["tool_choice"], json!({"type": "function", "function": {"name": "f"}}));
}

#[test]
fn signatures_come_back_from_callers() {
    let text = json!({"messages": [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "", "reasoning_details": [
            {"type": "reasoning.encrypted", "data": "g2", "id": "c2", "format": "google-gemini-v1"}],
         "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"},
             "extra_content": {"google": {"thought_signature": "g1"}}},
            {"id": "c2", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
    ]})
    .to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let ask = request::read(&root).expect("sound");
    let signatures: Vec<_> = ask.turns[1]
        .parts
        .iter()
        .filter_map(
            |part| if let Content::Call(call) = &part.content { call.signature.clone() } else { None },
        )
        .collect();
    let gemini = |value: &'static str| Signature { family: Family::Gemini, value: value.into() };
    assert_eq!(signatures, [gemini("g1"), gemini("g2")]);
    // To Google's own compatible endpoint, and to OpenRouter.
    let (said, _) = body(&ask, &terms(Family::Gemini, &Quirks::COMPATIBLE));
    assert_eq!(said["messages"][1]["tool_calls"][1]["extra_content"]["google"]["thought_signature"], "g2");
    let (said, _) = body(&ask, &terms(Family::Gemini, &OPENROUTER));
    assert_eq!(said["messages"][1]["reasoning_details"][0]["id"], "c1");
    let (said, _) = body(&ask, &terms(Family::Anthropic, &OPENROUTER));
    assert_eq!(said["messages"][1]["reasoning_details"], Value::Null);
}
