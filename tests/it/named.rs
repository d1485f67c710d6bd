//! Tools by names that another vendor would refuse: he hears others, and the caller only his own.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::lab::{Answer, Ask, Heard, Lab, Said, Scribe};

/// Of a server of tools, as Claude Code names it: Anthropic takes 128 characters.
const LONG: &str =
    "mcp__plugin_everything-claude-code_almanac__observation_of_the_weather_at_the_station_next_to_a_city";
const SHORT: &str = "Read";

const YAML: &str = "
version: 1
upstreams:
  claude: {provider: anthropic, base_url: 'http://claude', credentials: [k]}
  chat: {provider: custom, dialect: openai, base_url: 'http://chat', credentials: [k]}
routes: [{model: demo, channels: [{upstream: claude, model: claude-sonnet-4-5}, {upstream: chat, model: m, tier: 1}]}]
";

fn message(streamed: bool, messages: &Value) -> Ask {
    let tool = |name: &str| json!({"name": name, "input_schema": {"type": "object", "properties": {}}});
    let body = json!({"model": "demo", "max_tokens": 100, "stream": streamed, "messages": messages,
        "tools": [tool(SHORT), tool(LONG)], "tool_choice": {"type": "tool", "name": LONG}});
    Ask::post("/anthropic/v1/messages", body.to_string()).header("anthropic-version", "2023-06-01")
}

/// A chat's answer that calls this tool.
fn call(streamed: bool, name: &str) -> Said {
    let call = json!({"index": 0, "id": "call_7", "type": "function", "function": {"name": name, "arguments": "{\"city\":\"Oslo\"}"}});
    let message = json!({"role": "assistant", "content": null, "tool_calls": [call]});
    let body = |object: &str, kind: &str, message: &Value, reason: Value| json!({"id": "c", "object": object, "created": 1, "model": "m", "choices": [{"index": 0, kind: message, "finish_reason": reason}]});
    if !streamed {
        let body = body("chat.completion", "message", &message, json!("tool_calls"));
        return Said::json(200, body.to_string());
    }
    let chunk = |message: &Value, reason| body("chat.completion.chunk", "delta", message, reason);
    let (begin, end) = (chunk(&message, Value::Null), chunk(&json!({}), json!("tool_calls")));
    let events = format!("data: {begin}\n\ndata: {end}\n\ndata: [DONE]\n\n");
    Said::status(200).header("content-type", "text/event-stream").data(events)
}

/// The names of tools that a chat's upstream heard: of those it may call, of the one it has to, of those that were
/// called.
fn names(heard: &Heard) -> (Vec<String>, String, Vec<String>) {
    let body: Value = serde_json::from_slice(&heard.body).unwrap();
    let name = |call: &Value| call["function"]["name"].as_str().unwrap().to_owned();
    let all = |calls: &Value| calls.as_array().into_iter().flatten().map(name).collect::<Vec<_>>();
    let messages = body["messages"].as_array().unwrap();
    let called = messages.iter().flat_map(|message| all(&message["tool_calls"])).collect();
    (all(&body["tools"]), name(&body["tool_choice"]), called)
}

fn fits(name: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(sound)
}

async fn send(lab: &Lab, ask: &Ask) -> Answer {
    let answer = lab.send(ask).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-mainstay-dropped")), (200, ""), "{}", answer.text());
    answer
}

async fn two_turns(streamed: bool) {
    let claude = Scribe::saying(Said::status(503));
    let chat = Scribe::saying(call(streamed, SHORT));
    let lab = Lab::beside(YAML, &[("claude", &claude), ("chat", &chat)]);
    let first = message(streamed, &json!([{"role": "user", "content": "The weather in Oslo?"}]));

    let answer = send(&lab, &first).await;
    assert!(answer.text().contains(r#""name":"Read""#), "{}", answer.text());
    let (tools, forced, _) = names(&chat.only());
    let [short, told] = &tools[..] else { panic!("two tools") };
    assert_eq!((&**short, told), (SHORT, &forced));
    assert!(fits(told), "{told}");

    chat.say(call(streamed, told));
    let answer = send(&lab, &first).await;
    assert!(answer.text().contains(&format!(r#""name":"{LONG}""#)), "{}", answer.text());
    assert!(!answer.text().contains(&**told), "{}", answer.text());
    chat.only();

    let second = message(
        streamed,
        &json!([
            {"role": "user", "content": "The weather in Oslo?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "call_7", "name": LONG, "input": {"city": "Oslo"}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_7", "content": "clear"}]}
        ]),
    );
    let answer = send(&lab, &second).await;
    assert!(answer.text().contains(&format!(r#""name":"{LONG}""#)), "{}", answer.text());
    let heard = chat.only();
    assert!(!String::from_utf8_lossy(&heard.body).contains(LONG));
    assert_eq!(names(&heard), (tools.clone(), forced, vec![told.clone()]));

    // What nobody told it of, it may have made up.
    chat.say(call(streamed, "made_up"));
    let answer = send(&lab, &second).await;
    assert!(answer.text().contains(r#""name":"made_up""#), "{}", answer.text());
    claude_heard_his_callers_words(&claude);
}

fn claude_heard_his_callers_words(claude: &Arc<Scribe>) {
    let heard = claude.heard();
    assert!(!heard.is_empty());
    for heard in heard {
        assert!(String::from_utf8_lossy(&heard.body).contains(&format!(r#""name":"{LONG}""#)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_of_another_dialect_sees_no_name_but_his_own() {
    assert_eq!(LONG.len(), 100);
    two_turns(false).await;
}

#[tokio::test(start_paused = true)]
async fn nor_does_one_who_streams() {
    two_turns(true).await;
}

/// Cursor puts responses to chat's address: only then is a chat's answer translated for a chat's caller.
#[tokio::test(start_paused = true)]
async fn a_misplaced_request_has_its_own_names_in_its_answer() {
    for streamed in [false, true] {
        let chat = Scribe::saying(call(streamed, SHORT));
        let yaml = YAML.replace("{upstream: claude, model: claude-sonnet-4-5}, ", "");
        let lab = Lab::beside(&yaml, &[("chat", &chat)]);
        let body = json!({"model": "demo", "stream": streamed, "input": "The weather in Oslo?",
            "tools": [{"type": "function", "name": LONG, "parameters": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "function", "name": LONG}});
        let ask = Ask::post("/v1/chat/completions", body.to_string());
        send(&lab, &ask).await;
        let (_, told, _) = names(&chat.only());
        assert!(fits(&told), "{told}");
        chat.say(call(streamed, &told));
        let answer = send(&lab, &ask).await;
        assert!(answer.text().contains(LONG) && !answer.text().contains(&told), "{}", answer.text());
        assert!(answer.text().contains("tool_calls"), "{}", answer.text());
    }
}

/// Claude hears his caller's names, and breaks off; a chat that goes on hears others.
#[tokio::test(start_paused = true)]
async fn whoever_goes_on_with_a_stream_is_told_other_names_than_who_began_it() {
    const TOLD: &str = "I look up the weather in Oslo, as it was measured there this morning";
    let begin = json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "c",
        "content": [], "stop_reason": null, "usage": {"input_tokens": 3, "output_tokens": 1}}});
    let block =
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let text =
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TOLD}});
    let events = [begin, block, text]
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()));
    let begun = Said::status(200).header("content-type", "text/event-stream").data(events.concat());
    let claude = Scribe::saying(begun);
    let chat = Scribe::saying(call(true, SHORT));
    let yaml = YAML.replace("model: demo,", "model: demo, continuation: any,");
    let lab = Lab::beside(&yaml, &[("claude", &claude), ("chat", &chat)]);
    let first = message(true, &json!([{"role": "user", "content": "The weather in Oslo?"}]));
    let mut body: Value = serde_json::from_slice(&first.body).unwrap();
    body["tool_choice"] = json!({"type": "auto"});
    let ask = Ask::post("/anthropic/v1/messages", body.to_string()).header("anthropic-version", "2023-06-01");

    lab.send(&ask).await;
    let heard: Value = serde_json::from_slice(&chat.only().body).unwrap();
    let told = heard["tools"][1]["function"]["name"].as_str().unwrap();
    assert!(fits(told), "{told}");
    let Said { steps, .. } = call(true, told);
    let repeated = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": format!("{TOLD}.")}, "finish_reason": null}]});
    let mut leg =
        Said::status(200).header("content-type", "text/event-stream").data(format!("data: {repeated}\n\n"));
    leg.steps.extend(steps);
    chat.say(leg);
    let answer = send(&lab, &ask).await;
    assert!(answer.text().contains("mainstay-continued"), "{}", answer.text());
    assert!(answer.text().contains(&format!(r#""name":"{LONG}""#)), "{}", answer.text());
    assert!(!answer.text().contains(told), "{}", answer.text());
}
