//! What callers of this dialect send.

use serde_json::{Value, json};

use super::{terms, written};
use crate::dialect::anthropic::request;
use crate::dialect::hub::{Content, Effort, Losses, Reasoning, Summary, ToolKind};
use crate::dialect::tree::{self, Wrong};

fn refused(body: &Value) -> String {
    let text = body.to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    request::read(&root).map_err(|wrong: Wrong| wrong.place(&root)).expect_err("wrong").to_string()
}

#[test]
fn what_is_wrong_says_where_and_how_to_mend_it() {
    let user = |content: Value| json!({ "messages": [{ "role": "user", "content": content }] });
    let said = json!([{ "role": "user", "content": "x" }]);
    for (body, message) in [
        (json!({}), "messages: required, and missing"),
        (json!({ "messages": [] }), "messages: empty; give at least one message"),
        (
            json!({ "messages": [{ "role": "tool", "content": "x" }] }),
            "messages[0].role: unknown role; use user, assistant or system",
        ),
        (
            user(json!(7)),
            "messages[0].content: expected a string or an array of content blocks, found a number",
        ),
        (user(json!([{ "type": "text" }])), "messages[0].content[0].text: required, and missing"),
        (
            user(json!([{ "type": "tool_result", "tool_use_id": "t" }])),
            "messages[0].content[0].tool_use_id: no tool_use block before it has this id; send the assistant's message with the call",
        ),
        (
            user(
                json!([{ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "a b" } }]),
            ),
            "messages[0].content[0].source.data: not valid base64; send the bytes encoded, without a data: prefix or line breaks",
        ),
        (
            json!({ "messages": said, "tool_choice": { "type": "x" } }),
            "tool_choice.type: unknown tool choice; use auto, any, tool or none",
        ),
        (
            json!({ "messages": said, "tools": [{ "name": "f" }] }),
            "tools[0].input_schema: required, and missing",
        ),
        (
            json!({ "messages": said, "max_tokens": "7" }),
            "max_tokens: expected a whole number of at least 0, found a string",
        ),
    ] {
        assert_eq!(refused(&body), message);
    }
}

/// What Claude Code sends, in small.
fn claude_code() -> Value {
    let cached = json!({ "type": "ephemeral", "ttl": "1h", "scope": "global" });
    json!({
        "model": "claude-opus-5",
        "max_tokens": 32_000,
        "system": [{ "type": "text", "text": "You are Claude Code.", "cache_control": cached }],
        "messages": [
            { "role": "user", "content": [{ "type": "text", "text": "<system-reminder>x</system-reminder>" }, { "type": "text", "text": "Fix it." }] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "", "signature": "EqQB" },
                { "type": "tool_use", "id": "toolu_1", "name": "ToolSearch", "input": { "query": "edit" }, "caller": { "type": "direct" } },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": [{ "type": "tool_reference", "tool_name": "Edit" }] },
                { "type": "search_result", "title": "Doc", "source": "https://a.b", "content": [{ "type": "text", "text": "found" }] },
            ] },
        ],
        "tools": [
            { "name": "ToolSearch", "description": "x", "input_schema": { "type": "object" } },
            { "name": "Edit", "input_schema": { "type": "object" }, "defer_loading": true, "eager_input_streaming": true },
            { "type": "bash_20250124", "name": "bash" },
            { "type": "web_search_20260209", "name": "web_search", "max_uses": 8 },
        ],
        "metadata": { "user_id": "user_1" },
        "thinking": { "type": "adaptive", "display": "summarized" },
        "output_config": { "effort": "xhigh", "task_budget": { "type": "tokens", "total": 20_000 } },
        "context_management": { "edits": [{ "type": "clear_thinking_20251015", "keep": "all" }] },
        "mcp_servers": [],
        "stream": true,
    })
}

#[test]
fn claude_code_is_understood_and_said_again() {
    let text = claude_code().to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let read = request::read(&root).expect("sound");
    let names: Vec<&str> = read.extras.iter().map(|(key, _)| key).collect();
    assert_eq!(names, ["context_management", "mcp_servers", "output_config.task_budget"]);
    assert_eq!(
        read.reasoning,
        Reasoning {
            effort: Some(Effort::Xhigh),
            adaptive: true,
            summary: Some(Summary::Auto),
            ..Reasoning::default()
        }
    );
    let Content::Outcome(outcome) = &read.turns[3].parts[0].content else { panic!("no result") };
    assert_eq!(
        (outcome.name.as_deref(), outcome.content[0].as_text().map(|text| &**text)),
        (Some("ToolSearch"), Some("Edit"))
    );
    let mut losses = Losses::default();
    losses.drop_all_extras(&read);
    assert_eq!(losses.names(), ["context_management", "mcp_servers", "output_config.task_budget"]);
    assert!(matches!(&read.tools[2].kind, ToolKind::Vendor { name, .. } if name == "bash_20250124"));
    assert!(matches!(&read.tools[3].kind, ToolKind::WebSearch { .. }));
    let (again, lost) = written(&read, &terms("claude-opus-5"));
    assert_eq!((again["tools"].clone(), lost), (claude_code()["tools"].clone(), String::new()));
    for (place, value) in [
        ("/system/0/cache_control/scope", json!("global")),
        ("/messages/2/content/0/content/0/tool_name", json!("Edit")),
        ("/messages/2/content/1/type", json!("search_result")),
        ("/messages/1/content/1/caller", json!({ "type": "direct" })),
        ("/output_config", claude_code()["output_config"].clone()),
        ("/thinking", claude_code()["thinking"].clone()),
    ] {
        assert_eq!(again.pointer(place), Some(&value), "{place}");
    }
}

#[test]
fn what_we_lent_on_the_way_from_another_family_does_not_go_to_anthropic() {
    let sealed = "bWFpbnN0YXkxOmdlbWluaTpDc1FC";
    let citation = json!({ "type": "web_search_result_location", "url": "https://a.b", "title": "A", "cited_text": "", "encrypted_index": "bWFpbnN0YXkxOm90aGVyOg==" });
    let body = json!({ "messages": [
        { "role": "user", "content": "Hello" },
        { "role": "assistant", "content": [{ "type": "thinking", "thinking": "x", "signature": "" }] },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "x", "signature": sealed },
            { "type": "text", "text": "Hi", "citations": [citation] },
            { "type": "thinking", "thinking": "", "signature": format!("mainstay-call:toolu_1:{sealed}") },
            { "type": "tool_use", "id": "toolu_1", "name": "f", "input": {} },
            { "type": "text", "text": "", "citations": [citation] },
        ] },
    ] });
    let text = body.to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let (again, lost) = written(&request::read(&root).expect("sound"), &terms("claude-opus-5"));
    let kept = json!([{ "type": "text", "text": "Hi" }, { "type": "tool_use", "id": "toolu_1", "name": "f", "input": {} }]);
    assert_eq!(
        (&again["messages"][1]["content"], &again["messages"][2], lost),
        (&kept, &Value::Null, String::new())
    );
}

/// Its summary stands for all that was said before it.
#[test]
fn a_compaction_is_told_to_others_and_said_again_as_it_was() {
    let block = json!({ "type": "compaction", "content": "They greeted each other." });
    let body = json!({ "model": "claude-opus-5", "max_tokens": 9, "messages": [
        { "role": "user", "content": "hello" },
        { "role": "assistant", "content": [block, { "type": "text", "text": "So?" }] },
        { "role": "user", "content": "go on" },
    ] });
    let text = body.to_string();
    let root = tree::parse(text.as_bytes()).expect("JSON");
    let read = request::read(&root).expect("sound");
    assert_eq!(read.turns[1].parts[0].as_text().map(|text| &**text), Some("They greeted each other."));
    let (again, lost) = written(&read, &terms("claude-opus-5"));
    assert_eq!((again["messages"][1]["content"][0].clone(), lost), (block, String::new()));
}

/// The call may lie in the thread: whoever cannot go on with that says so himself.
#[test]
fn a_result_of_a_call_in_a_thread_is_read() {
    let result = json!([{"type": "tool_result", "tool_use_id": "t", "content": "1"}]);
    let body = |thread: Value| json!({"max_tokens": 9, "thread": thread, "messages": [{"role": "user", "content": result}]});
    let goes_on = body(json!({"type": "continue", "previous_message_id": "msg_1"})).to_string();
    let root = tree::parse(goes_on.as_bytes()).expect("JSON");
    request::read(&root).expect("sound");
    assert!(refused(&body(json!({"type": "create"}))).contains("no tool_use block before it"));
}
