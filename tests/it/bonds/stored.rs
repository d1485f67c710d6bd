//! Responses and conversations that their vendor stores: read, changed and ended there, and what is made of them in the
//! background is booked once.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::lab::books::Books;
use crate::lab::{Answer, Ask, Lab, Said, Scribe};

/// `a` is asked first, or `b` with `tier` 2.
fn two(tier: u8) -> String {
    format!(
        "
version: 1
upstreams:
  a: {{provider: custom, dialect: responses, base_url: 'http://a/v1', credentials: [k]}}
  b: {{provider: custom, dialect: responses, base_url: 'http://b/v1', credentials: [k]}}
routes: [{{model: demo, channels: [{{upstream: a, tier: {tier}}}, {{upstream: b, tier: 1}}]}}]
"
    )
}

const KEYS: &str = "
access: keys
keys:
  shop: {secret: '${LAB_SHOP}'}
  till: {secret: '${LAB_TILL}'}
";

fn response(status: &str, usage: &Value) -> Said {
    let body = json!({"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": status,
        "output": [], "usage": usage});
    Said::json(200, body.to_string())
}

fn made() -> Said {
    response("completed", &json!({"input_tokens": 300, "output_tokens": 20, "total_tokens": 320}))
}

fn asked(more: &Value) -> Ask {
    let mut body = json!({"model": "demo", "input": "count"});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    Ask::post("/v1/responses", body.to_string())
}

fn shops(ask: Ask) -> Ask {
    ask.header("authorization", "Bearer secret-of-LAB_SHOP")
}

fn tills(ask: Ask) -> Ask {
    ask.header("authorization", "Bearer secret-of-LAB_TILL")
}

#[track_caller]
fn good(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
}

#[tokio::test(start_paused = true)]
async fn what_a_vendor_stores_is_had_where_it_is_and_by_nobody_else() {
    let (a, b) = (Scribe::saying(made()), Scribe::saying(made()));
    let yaml = |tier| format!("{}{KEYS}", two(tier));
    let lab = Lab::beside(&yaml(0), &[("a", &a), ("b", &b)]);
    good(&lab.send(&shops(asked(&json!({})))).await);
    assert_eq!(a.only().uri.path(), "/v1/responses");
    lab.reload(&yaml(2));
    for (method, path) in [
        (Method::GET, "/v1/responses/resp_1"),
        (Method::GET, "/v1/responses/resp_1?include=message.output_text.logprobs"),
        (Method::GET, "/v1/responses/resp_1/input_items?limit=2&order=asc"),
        (Method::POST, "/v1/responses/resp_1/cancel"),
        (Method::DELETE, "/v1/responses/resp_1"),
    ] {
        let ask = Ask::bare(method.clone(), path);
        // Whose it is not is told what he is told of one that never was, and nobody hears of it.
        let none = lab.send(&tills(ask.clone())).await;
        let never = lab.send(&tills(Ask::bare(method.clone(), &path.replace("resp_1", "resp_2")))).await;
        assert_eq!((none.status, never.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
        assert_eq!(none.text().replace("resp_1", "resp_2"), never.text());
        assert_eq!(none.json()["error"]["param"], "response_id");
        let answer = lab.send(&shops(ask.clone())).await;
        good(&answer);
        let heard = a.only();
        assert_eq!((heard.method, heard.uri.to_string()), (method, path.to_owned()));
        assert_eq!(heard.headers["authorization"], "Bearer k");
        // With a key that is nobody's.
        let stranger = ask.header("authorization", "Bearer nobodys");
        assert_eq!(lab.send(&stranger).await.status, StatusCode::UNAUTHORIZED);
    }
    let gone = lab.send(&shops(Ask::get("/v1/responses/resp_1"))).await;
    assert_eq!((gone.status, a.heard().len()), (StatusCode::NOT_FOUND, 0), "it was deleted");
    assert!(b.heard().is_empty());
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_conversation_is_made_once_and_belongs_where_it_was_made() {
    let conversation = json!({"id": "conv_1", "object": "conversation", "created_at": 1, "metadata": {}});
    let (a, b) = (Scribe::saying(Said::json(200, conversation.to_string())), Scribe::saying(made()));
    let yaml = |tier| format!("{}{KEYS}", two(tier));
    let lab = Lab::beside(&yaml(0), &[("a", &a), ("b", &b)]);
    let create = Ask::post("/v1/conversations", r#"{"metadata":{"topic":"x"}}"#);
    let answer = lab.send(&shops(create.clone())).await;
    good(&answer);
    assert_eq!(answer.json(), conversation);
    let heard = a.only();
    assert_eq!(
        (heard.uri.path(), &*heard.body),
        ("/v1/conversations", &br#"{"metadata":{"topic":"x"}}"#[..])
    );
    lab.reload(&yaml(2));
    for ask in [
        Ask::get("/v1/conversations/conv_1"),
        Ask::post("/v1/conversations/conv_1", r#"{"metadata":{}}"#),
        Ask::get("/v1/conversations/conv_1/items?limit=1"),
        Ask::post("/v1/conversations/conv_1/items", r#"{"items":[]}"#),
        Ask::get("/v1/conversations/conv_1/items/msg_1"),
        Ask::bare(Method::DELETE, "/v1/conversations/conv_1/items/msg_1"),
    ] {
        assert_eq!(lab.send(&tills(ask.clone())).await.status, StatusCode::NOT_FOUND, "{}", ask.path);
        good(&lab.send(&shops(ask.clone())).await);
        let heard = a.only();
        assert_eq!((&heard.method, heard.uri.to_string()), (&ask.method, ask.path.clone()));
        assert_eq!(heard.body, ask.body);
    }
    a.say(made());
    good(&lab.send(&shops(asked(&json!({"conversation": "conv_1"})))).await);
    assert_eq!((a.only().uri.path(), b.heard().len()), ("/v1/responses", 0));
    // It may have been made, so nobody makes it again.
    a.say(Said::status(500));
    b.say(Said::status(500));
    assert!(lab.send(&shops(create)).await.status.is_server_error());
    assert_eq!(a.heard().len() + b.heard().len(), 1);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_stored_stream_is_taken_up_again_where_it_stopped() {
    let (a, b) = (Scribe::saying(made()), Scribe::saying(made()));
    let lab = Lab::beside(&two(0), &[("a", &a), ("b", &b)]);
    good(&lab.send(&asked(&json!({}))).await);
    a.only();
    let rest = "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":9}\n\n";
    a.say(Said::status(200).header("content-type", "text/event-stream").data(rest));
    let path = "/v1/responses/resp_1?stream=true&starting_after=8";
    let answer = lab.send(&Ask::get(path)).await;
    assert_eq!((answer.text(), answer.header("content-type")), (rest, "text/event-stream"));
    assert_eq!(a.only().uri.to_string(), path);
    lab.assert_quiet().await;
}

struct Background {
    lab: Lab,
    a: Arc<Scribe>,
}

impl Background {
    /// A response was asked for that is made in the background.
    async fn begun() -> (Self, Books) {
        let (a, b) = (Scribe::saying(response("queued", &Value::Null)), Scribe::saying(made()));
        let lab = Lab::beside(&two(0), &[("a", &a), ("b", &b)]);
        let books = lab.keep_books();
        let answer = lab.send(&asked(&json!({"background": true}))).await;
        assert_eq!((answer.status, &answer.json()["status"]), (StatusCode::OK, &json!("queued")));
        assert_eq!(a.heard().len(), 1, "nobody waits for its end");
        assert!(b.heard().is_empty());
        (Self { lab, a }, books)
    }

    async fn until_it_has_ended(&self) {
        for _ in 0..100 {
            if self.lab.gateway.in_flight() == 0 {
                return self.lab.assert_quiet().await;
            }
            sleep(Duration::from_secs(10)).await;
        }
        panic!("it is under way for ever");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_made_in_the_background_is_booked_once_whoever_reads_it() {
    let (Background { lab, a }, books) = Background::begun().await;
    sleep(Duration::from_mins(1)).await;
    let polled = a.heard().len() - 1;
    assert!((3..10).contains(&polled), "it is asked for now and then: {polled}");
    assert!(
        a.heard()[1..].iter().all(|heard| heard.uri.path() == "/v1/responses/resp_1"
            && heard.headers["authorization"] == "Bearer k")
    );
    assert_eq!((lab.gateway.in_flight(), lab.gateway.unattended()), (1, 1));
    // A fault of the vendor's while somebody asks says nothing of the answer.
    a.say(Said::status(500));
    sleep(Duration::from_mins(1)).await;
    a.say(made());
    for _ in 0..3 {
        let read = lab.send(&Ask::get("/v1/responses/resp_1")).await;
        assert_eq!(read.json()["status"], "completed");
    }
    let background = Background { lab, a };
    background.until_it_has_ended().await;
    let (rows, attempts) = books.rows().await;
    let billed: Vec<(&str, &str, u64, u64, bool)> = rows
        .iter()
        .map(|row| (row.operation, row.outcome, row.usage.input, row.usage.output, row.estimated))
        .collect();
    let fetched = ("stored_responses", "ok", 0, 0, false);
    let mut expected = vec![fetched; 3];
    expected.push(("responses", "ok", 300, 20, false));
    let mut billed = billed;
    billed.sort_unstable_by_key(|row| row.2);
    assert_eq!(billed, expected);
    let tokens: u64 = attempts.iter().map(|row| row.usage.input + row.usage.output).sum();
    assert_eq!(tokens, 320);
}

#[tokio::test(start_paused = true)]
async fn what_ends_badly_in_the_background_is_booked_as_it_ended() {
    let half = json!({"input_tokens": 300, "output_tokens": 7, "total_tokens": 307});
    for (last, outcome, output, estimated) in [
        (response("failed", &Value::Null), "broken", 0, true),
        (response("cancelled", &half), "cancelled", 7, false),
        (response("incomplete", &half), "ok", 7, false),
        (Said::status(404), "cancelled", 0, true),
    ] {
        let (background, books) = Background::begun().await;
        background.a.say(last);
        background.until_it_has_ended().await;
        let (row, attempts) = books.only().await;
        assert_eq!((row.outcome, row.usage.output), (outcome, output));
        assert_eq!((attempts.len(), attempts[0].usage.output), (1, output), "{outcome}");
        assert_eq!(row.estimated, estimated, "{outcome}");
        assert!(attempts[0].usage.input > 0, "{outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_runs_out_books_what_is_made_in_the_background_by_its_prompt() {
    let (background, books) = Background::begun().await;
    sleep(Duration::from_secs(30)).await;
    background.lab.gateway.cut_off();
    background.until_it_has_ended().await;
    let (row, attempts) = books.only().await;
    assert_eq!((row.outcome, row.estimated, attempts.len()), ("cancelled", true, 1));
    assert!(attempts[0].usage.input > 0);
}

#[tokio::test(start_paused = true)]
async fn as_much_is_made_in_the_background_as_can_be_followed_and_nobody_elses_place_is_taken() {
    let a = Scribe::saying(response("queued", &Value::Null));
    let yaml = "
version: 1
upstreams: {a: {provider: custom, dialect: responses, base_url: 'http://a/v1', credentials: [k]}}
defaults: {max_inflight: 9999}
routes: [{model: demo, channels: [{upstream: a}]}]
";
    let lab = Lab::beside(yaml, &[("a", &a)]);
    let asked_for = asked(&json!({"background": true}));
    for _ in 0..4096 {
        good(&lab.send(&asked_for).await);
    }
    assert_eq!((lab.gateway.in_flight(), lab.gateway.unattended()), (4096, 4096), "all of them are followed");
    let heard = || a.heard().iter().filter(|heard| heard.method == Method::POST).count();
    assert_eq!(heard(), 4096);
    let refused = lab.send(&asked_for).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{}", refused.text());
    assert_eq!(refused.header("x-mainstay-shed"), "background");
    assert!(refused.text().contains("4096 responses are made in the background"), "{}", refused.text());
    assert_eq!(heard(), 4096, "no upstream hears of what could not be followed");
    let series = r#"mainstay_shed_total{route="demo",reason="background",priority="critical"}"#;
    assert!(lab.metric(series) >= 1.0);
    a.say(made());
    for more in [json!({}), json!({"background": false})] {
        good(&lab.send(&asked(&more)).await);
    }
    // As soon as they have ended there is room again.
    while lab.gateway.in_flight() > 0 {
        sleep(Duration::from_secs(10)).await;
    }
    good(&lab.send(&asked_for).await);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_work_in_the_background_answers_at_once() {
    let said = json!({"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "done"}], "usage": {"input_tokens": 3, "output_tokens": 2}});
    let c = Scribe::saying(Said::json(200, said.to_string()));
    let yaml = "
version: 1
upstreams: {c: {provider: custom, dialect: anthropic, base_url: 'http://c', credentials: [k]}}
routes: [{model: demo, channels: [{upstream: c}]}]
";
    let lab = Lab::beside(yaml, &[("c", &c)]);
    let answer = lab.send(&asked(&json!({"background": true}))).await;
    good(&answer);
    let answer = answer.json();
    assert_eq!(answer["status"], "completed");
    let path = format!("/v1/responses/{}", answer["id"].as_str().expect("an id"));
    assert_eq!(lab.send(&Ask::get(&path)).await.json(), answer, "and it can be read again");
    lab.assert_quiet().await;
}
