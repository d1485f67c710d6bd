//! Responses that their vendor stores, over a restart.

use http::StatusCode;
use serde_json::json;

use crate::lab::{Ask, Lab, Said, Scribe};

#[tokio::test(start_paused = true)]
async fn a_response_is_looked_for_where_it_is_after_a_restart() {
    // Whatever is not bound goes to `a` at first, and to `b` after the restart.
    let yaml = |tier: u8| {
        format!(
            "
version: 1
upstreams:
  a: {{provider: custom, dialect: responses, base_url: 'http://a', credentials: [k]}}
  b: {{provider: custom, dialect: responses, base_url: 'http://b', credentials: [k]}}
routes: [{{model: demo, channels: [{{upstream: a, tier: {tier}}}, {{upstream: b, tier: 1}}]}}]
"
        )
    };
    let body = |id: &str| {
        let body = json!({"id": id, "object": "response", "created_at": 1, "model": "m", "status": "completed",
            "output": [], "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}});
        Said::json(200, body.to_string())
    };
    let (a, b) = (Scribe::saying(body("resp_1")), Scribe::saying(body("resp_1")));
    let before = Lab::beside(&yaml(0), &[("a", &a), ("b", &b)]);
    let asked = r#"{"model":"demo","input":"count"}"#;
    assert_eq!(before.send(&Ask::post("/v1/responses", asked)).await.status, StatusCode::OK);
    let kept = before.gateway.places();
    drop(before);

    let after = Lab::beside(&yaml(2), &[("a", &a), ("b", &b)]);
    after.gateway.recall_places(&kept);
    let body = json!({"model": "demo", "input": "go on", "previous_response_id": "resp_1"});
    for body in [body.to_string(), asked.to_owned()] {
        assert_eq!(after.send(&Ask::post("/v1/responses", body)).await.status, StatusCode::OK);
    }
    assert_eq!((a.heard().len(), b.heard().len()), (2, 1), "only what refers to it goes where it is");
    after.assert_quiet().await;
}
