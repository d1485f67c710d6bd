//! Anthropic's threads: conversations that it keeps, of which only the next message is sent.

use http::StatusCode;
use serde_json::{Value, json};

use crate::lab::{Ask, Lab, Said, Scribe};

fn message(id: &str) -> Said {
    let body = json!({"id": id, "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "hello"}], "usage": {"input_tokens": 3, "output_tokens": 2}});
    Said::json(200, body.to_string())
}

fn ask(thread: &Value) -> Ask {
    let body = json!({"model": "demo", "max_tokens": 9, "thread": thread,
        "messages": [{"role": "user", "content": "hello"}]});
    Ask::post("/v1/messages", body.to_string()).header("anthropic-version", "2023-06-01")
}

/// `a` is Anthropic's, and asked first unless `tier` says otherwise; `b` is its, too, and `c` is another vendor's.
fn lab(yaml: &str, tier: u8) -> String {
    format!(
        "
version: 1
upstreams:
  a: {{provider: custom, dialect: anthropic, base_url: 'http://a', credentials: [k]}}
  b: {{provider: custom, dialect: {yaml}, base_url: 'http://b', credentials: [k]}}
routes: [{{model: demo, channels: [{{upstream: a, tier: {tier}}}, {{upstream: b, tier: 1}}]}}]
"
    )
}

#[tokio::test(start_paused = true)]
async fn a_thread_goes_on_where_it_is_kept() {
    let (a, b) = (Scribe::saying(message("msg_1")), Scribe::saying(message("msg_2")));
    let lab_of = |tier| lab("anthropic", tier);
    let lab = Lab::beside(&lab_of(0), &[("a", &a), ("b", &b)]);
    assert_eq!(lab.send(&ask(&json!({"type": "create"}))).await.status, StatusCode::OK);
    lab.reload(&lab_of(2));
    let on = ask(&json!({"type": "continue", "previous_message_id": "msg_1"}));
    assert_eq!(lab.send(&on).await.status, StatusCode::OK);
    assert_eq!((a.heard().len(), b.heard().len()), (2, 0));
    // Nothing keeps what was asked without one.
    let body = json!({"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
    let plain = Ask::post("/v1/messages", body.to_string()).header("anthropic-version", "2023-06-01");
    assert_eq!(lab.send(&plain).await.status, StatusCode::OK);
    assert_eq!((a.heard().len(), b.heard().len()), (2, 1));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn who_cannot_look_a_thread_up_has_all_of_it_sent_anew() {
    let chat = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [{"index": 0,
        "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}});
    let (a, b) = (Scribe::saying(message("msg_1")), Scribe::saying(Said::json(200, chat.to_string())));
    let lab = Lab::beside(&lab("openai", 0), &[("a", &a), ("b", &b)]);
    assert_eq!(lab.send(&ask(&json!({"type": "create"}))).await.status, StatusCode::OK);
    let busy = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    a.say(Said::json(529, busy));
    let on = lab.send(&ask(&json!({"type": "continue", "previous_message_id": "msg_1"}))).await;
    let error = on.json()["error"].clone();
    assert_eq!((on.status, &error["type"]), (StatusCode::NOT_FOUND, &json!("not_found_error")), "{error}");
    assert_eq!(error["details"]["error_code"], "thread_not_found");
    assert!(b.heard().is_empty(), "half a conversation is put to nobody");
    let again = lab.send(&ask(&json!({"type": "create"}))).await;
    assert_eq!((again.status, b.heard().len()), (StatusCode::OK, 1), "{}", again.text());
    lab.assert_quiet().await;
}
