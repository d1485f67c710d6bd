//! Responses that their vendor stores, over a restart.

use http::StatusCode;
use serde_json::json;

use crate::lab::{Ask, Lab, Said, Scribe};

fn response(id: &str) -> Said {
    let body = json!({"id": id, "object": "response", "created_at": 1, "model": "m", "status": "completed",
        "output": [], "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}});
    Said::json(200, body.to_string())
}

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
    let (a, b) = (Scribe::saying(response("resp_1")), Scribe::saying(response("resp_1")));
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

#[tokio::test(start_paused = true)]
async fn an_id_of_another_scope_is_as_unknown_as_one_that_never_was() {
    // Whatever is not bound goes to `a` at first, and to `b` later.
    let yaml = |tier: u8| {
        format!(
            "
version: 1
access: keys
organisations: {{acme: {{}}, other: {{}}}}
teams: {{growth: {{organisation: acme}}}}
keys:
  shop: {{secret: '${{LAB_SHOP}}', organisation: acme}}
  till: {{secret: '${{LAB_TILL}}', team: growth}}
  thief: {{secret: '${{LAB_THIEF}}', organisation: other}}
  single: {{secret: '${{LAB_SINGLE}}'}}
upstreams:
  a: {{provider: custom, dialect: responses, base_url: 'http://a', credentials: [k]}}
  b: {{provider: custom, dialect: responses, base_url: 'http://b', credentials: [k]}}
routes: [{{model: demo, channels: [{{upstream: a, tier: {tier}}}, {{upstream: b, tier: 1}}]}}]
"
        )
    };
    let ask = |key: &str, body: serde_json::Value| {
        Ask::post("/v1/responses", body.to_string())
            .header("authorization", &format!("Bearer secret-of-LAB_{key}"))
    };
    // Who leaves it, and who comes back for it to whom it is known.
    for (owner, knows) in [("SHOP", vec!["SHOP", "TILL"]), ("SINGLE", vec!["SINGLE"])] {
        let (a, b) = (Scribe::saying(response("resp_1")), Scribe::saying(response("resp_2")));
        let lab = Lab::beside(&yaml(0), &[("a", &a), ("b", &b)]);
        let left = lab.send(&ask(owner, json!({"model": "demo", "input": "count"}))).await;
        assert_eq!((left.status, a.heard().len()), (StatusCode::OK, 1));
        lab.reload(&yaml(2));
        for key in ["SHOP", "TILL", "THIEF", "SINGLE"] {
            let before = (a.heard().len(), b.heard().len());
            let next = json!({"model": "demo", "input": "go on", "previous_response_id": "resp_1"});
            assert_eq!(lab.send(&ask(key, next)).await.status, StatusCode::OK);
            let went = (a.heard().len() - before.0, b.heard().len() - before.1);
            assert_eq!(went, if knows.contains(&key) { (1, 0) } else { (0, 1) }, "{owner}'s, for {key}");
        }
        lab.assert_quiet().await;
    }
}
