//! Responses that their vendor stores, over a restart.

use http::StatusCode;
use serde_json::json;

use crate::lab::{Ask, Lab, Said, Scribe};

#[tokio::test(start_paused = true)]
async fn a_response_is_looked_for_where_it_is_after_a_restart() {
    let yaml = "
version: 1
upstreams:
  a: {provider: custom, dialect: responses, base_url: 'http://a', credentials: [k]}
  b: {provider: custom, dialect: responses, base_url: 'http://b', credentials: [k]}
routes: [{model: demo, channels: [{upstream: a}, {upstream: b}]}]
";
    let body = |id: &str| {
        let body = json!({"id": id, "object": "response", "created_at": 1, "model": "m", "status": "completed",
            "output": [], "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}});
        Said::json(200, body.to_string())
    };
    let (a, b) = (Scribe::saying(body("resp_1")), Scribe::saying(body("resp_1")));
    let before = Lab::beside(yaml, &[("a", &a), ("b", &b)]);
    let first = before.send(&Ask::post("/v1/responses", r#"{"model":"demo","input":"count"}"#)).await;
    assert_eq!(first.status, StatusCode::OK);
    let at_a = !a.heard().is_empty();
    let kept = before.gateway.places();
    drop(before);

    let after = Lab::beside(yaml, &[("a", &a), ("b", &b)]);
    after.gateway.recall_places(&kept);
    for _ in 0..4 {
        let body = json!({"model": "demo", "input": "go on", "previous_response_id": "resp_1"});
        assert_eq!(after.send(&Ask::post("/v1/responses", body.to_string())).await.status, StatusCode::OK);
    }
    let heard = (a.heard().len(), b.heard().len());
    assert_eq!(heard, if at_a { (5, 0) } else { (0, 5) });
    after.assert_quiet().await;
}
