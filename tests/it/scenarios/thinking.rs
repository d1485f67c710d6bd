//! Models that are silent for long because the request has them think, whatever they are called.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;

use crate::lab::{Ask, End, Lab, Said, Scribe, Step};

const YAML: &str = "
version: 1
upstreams:
  a: {provider: custom, dialect: anthropic, base_url: 'http://a', credentials: [k]}
  b: {provider: custom, dialect: anthropic, base_url: 'http://b', credentials: [k]}
routes: [{model: demo, channels: [{upstream: a}, {upstream: b, tier: 1}]}]
";

/// Silent before its first content, and again in the middle of its thought.
fn silent(before: u64, within: u64) -> Said {
    let event = |event: serde_json::Value| {
        Step::Data(format!("event: {}\ndata: {event}\n\n", event["type"].as_str().expect("a type")).into())
    };
    let start = json!({"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
        "model": "m", "content": [], "stop_reason": null, "usage": {"input_tokens": 3, "output_tokens": 1}}});
    let block =
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}});
    let text = |text: &str| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
    let delta =
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}});
    let said = Said::status(200).header("content-type", "text/event-stream").step(event(start));
    let said = said.step(Step::Wait(Duration::from_secs(before))).step(event(block)).step(event(text("one")));
    let said = said.step(Step::Wait(Duration::from_secs(within))).step(event(text("two")));
    said.step(event(json!({"type": "content_block_stop", "index": 0})))
        .step(event(delta))
        .step(event(json!({"type": "message_stop"})))
}

fn ask(thinking: &serde_json::Value) -> Ask {
    let body = json!({"model": "demo", "max_tokens": 9000, "stream": true, "thinking": thinking,
        "messages": [{"role": "user", "content": "hello"}]});
    Ask::post("/v1/messages", body.to_string()).header("anthropic-version", "2023-06-01")
}

#[tokio::test(start_paused = true)]
async fn who_has_a_model_think_waits_for_it() {
    for (thinking, elsewhere) in [
        (json!({"type": "adaptive"}), 0),
        (json!({"type": "enabled", "budget_tokens": 8000}), 0),
        (json!({"type": "disabled"}), 1),
    ] {
        let (a, b) = (Scribe::saying(silent(40, 60)), Scribe::saying(silent(0, 0)));
        let lab = Lab::beside(YAML, &[("a", &a), ("b", &b)]);
        let answer = lab.send(&ask(&thinking)).await;
        assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Clean), "{thinking}");
        assert!(answer.text().contains("two") && !answer.text().contains("\"error\""), "{thinking}");
        assert_eq!((a.heard().len(), b.heard().len()), (1, elsewhere), "{thinking}");
        lab.assert_quiet().await;
    }
}
