//! A response that began at its own vendor, broke off, and was continued by another: nobody has it but the gateway.

use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::lab::{Ask, End, Lab, Said, Scribe};

const BEGUN: &str = "One two three four five six seven eight nine ten ";

fn sse(events: &[Value]) -> Said {
    events.iter().fold(Said::status(200).header("content-type", "text/event-stream"), |said, event| {
        let name = event["type"].as_str().map_or_else(String::new, |name| format!("event: {name}\n"));
        said.data(Bytes::from(format!("{name}data: {event}\n\n")))
    })
}

/// A vendor of responses whose stream breaks off.
fn half_a_response() -> Said {
    let message = json!({"id": "msg_68af", "type": "message", "status": "in_progress", "role": "assistant",
        "content": []});
    let part = json!({"type": "output_text", "text": "", "annotations": []});
    sse(&[
        json!({"type": "response.created", "sequence_number": 0, "response": {"id": "resp_68af40",
            "object": "response", "created_at": 7, "model": "theirs", "status": "in_progress", "output": []}}),
        json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0, "item": message}),
        json!({"type": "response.content_part.added", "sequence_number": 2, "output_index": 0,
            "content_index": 0, "item_id": "msg_68af", "part": part}),
        json!({"type": "response.output_text.delta", "sequence_number": 3, "output_index": 0,
            "content_index": 0, "item_id": "msg_68af", "delta": BEGUN}),
    ])
}

/// A vendor of chat who goes on, and ends.
fn the_rest() -> Said {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]})
    };
    let text = format!("{BEGUN}eleven twelve.");
    sse(&[chunk(json!({"role": "assistant", "content": text}), Value::Null), chunk(json!({}), json!("stop"))])
        .data("data: [DONE]\n\n")
}

fn two_vendors(server: &str) -> (Arc<Scribe>, Arc<Scribe>, Lab) {
    let (first, second) = (Scribe::saying(half_a_response()), Scribe::saying(the_rest()));
    let yaml = format!(
        "
version: 1
{server}
upstreams:
  a: {{provider: custom, dialect: responses, base_url: 'http://a', credentials: [k]}}
  b: {{provider: custom, dialect: openai, base_url: 'http://b', credentials: [k]}}
routes:
  - model: demo
    continuation: any
    channels: [{{upstream: a, model: theirs}}, {{upstream: b, model: theirs, tier: 1}}]
"
    );
    let lab = Lab::beside(&yaml, &[("a", &first), ("b", &second)]);
    (first, second, lab)
}

fn response(body: &Value) -> Ask {
    Ask::post("/v1/responses", body.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_continued_response_may_be_referred_to_as_any_other() {
    let (first, second, lab) = two_vendors("");
    let answer = lab.send(&response(&json!({"model": "demo", "input": "count", "stream": true}))).await;
    assert_eq!(answer.end, End::Clean, "{}", answer.text());
    let last = answer.events().pop().expect("events");
    let id = last["response"]["id"].as_str().expect("an id").to_owned();
    assert_eq!(id, "resp_68af40", "the name under which it began");
    for scribe in [&first, &second] {
        scribe.only();
    }

    // Whoever is asked next gets all of it, for nobody has it under that name.
    let body = json!({"model": "demo", "input": "go on", "previous_response_id": id, "stream": true});
    let answer = lab.send(&response(&body)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    for heard in [first.only(), second.only()] {
        let heard = String::from_utf8_lossy(&heard.body).into_owned();
        assert!(heard.contains(&format!("{BEGUN}eleven twelve.")), "{heard}");
        assert!(!heard.contains(&id), "{heard}");
    }
    let read = lab.send(&Ask::get(&format!("/v1/responses/{id}"))).await;
    assert_eq!(read.json()["output"], last["response"]["output"]);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_continued_response_that_is_not_to_be_stored_is_not_remembered() {
    for (server, store) in [("", false), ("server: {responses: {memory: 0}}", true)] {
        let (_, _, lab) = two_vendors(server);
        let body = json!({"model": "demo", "input": "count", "stream": true, "store": store});
        let answer = lab.send(&response(&body)).await;
        assert_eq!(answer.end, End::Clean, "{}", answer.text());
        assert_eq!(answer.events().pop().expect("events")["response"]["id"], "resp_68af40");
        assert_eq!(lab.gateway.remembered().responses, 0);
        lab.assert_quiet().await;
    }
}
