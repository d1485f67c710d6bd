//! Every fault, as it is on the wire.

use http::StatusCode;
use serde_json::{Value, json};

use super::client::{Client, Ended, Exchange, ask, post};
use super::*;

const CHAT: &str = "/v1/chat/completions";
const STREAM: &str = r#"{"model":"m","stream":true}"#;
const WHOLE: &str = r#"{"model":"m"}"#;

/// Each dialect's path and body of a streamed generation.
const STREAMS: [(&str, &str); 5] = [
    (CHAT, STREAM),
    ("/v1/responses", STREAM),
    ("/v1/messages", STREAM),
    ("/v1beta/models/m:streamGenerateContent?alt=sse", "{}"),
    ("/v1beta/models/m:streamGenerateContent", "{}"),
];

fn with(fault: Fault) -> Arc<Simulated> {
    let sim = start();
    sim.control().set(vec![Rule::new(fault)]);
    sim
}

fn last_seen(sim: &Simulated) -> Seen {
    sim.control().seen().pop().unwrap()
}

/// How many words of the text have come.
fn words(exchange: &Exchange) -> usize {
    exchange.text().matches("sim-a.").count()
}

#[tokio::test]
async fn a_status_has_the_dialects_own_body_unless_one_is_given() {
    let sim = with(Fault::status(StatusCode::INTERNAL_SERVER_ERROR));
    let openai = post(sim.address(), CHAT, WHOLE).await;
    assert_eq!((openai.status, &openai.json()["error"]["type"]), (500, &json!("server_error")));
    let anthropic = post(sim.address(), "/v1/messages", WHOLE).await.json();
    assert_eq!((&anthropic["type"], &anthropic["error"]["type"]), (&json!("error"), &json!("api_error")));
    let gemini = post(sim.address(), "/v1/models/m:generateContent", "{}").await.json();
    assert_eq!((&gemini["error"]["code"], &gemini["error"]["status"]), (&json!(500), &json!("INTERNAL")));
    assert_eq!(last_seen(&sim).outcome, Outcome::Faulted("status"));

    sim.control().set(vec![Rule::new(Fault::Status {
        status: StatusCode::BAD_GATEWAY,
        body: Some("<html>".to_owned()),
        retry_after: None,
    })]);
    let html = post(sim.address(), CHAT, WHOLE).await;
    assert_eq!((html.status, html.text()), (502, "<html>"));
}

#[tokio::test]
async fn limits_say_when_to_come_back_and_quota_does_not() {
    let wait = Some(Duration::from_millis(1500));
    let sim = with(Fault::RateLimited { retry_after: wait });
    let openai = post(sim.address(), CHAT, WHOLE).await;
    assert_eq!(openai.status, 429);
    assert_eq!((openai.header("retry-after"), openai.header("retry-after-ms")), (Some("2"), Some("1500")));
    assert_eq!(openai.json()["error"]["code"], "rate_limit_exceeded");
    let anthropic = post(sim.address(), "/v1/messages", WHOLE).await;
    assert_eq!((anthropic.status, anthropic.header("retry-after")), (429, Some("2")));
    let gemini = post(sim.address(), "/v1/models/m:generateContent", "{}").await;
    assert_eq!(gemini.header("retry-after"), None);
    assert_eq!(gemini.json()["error"]["details"][0]["retryDelay"], "1.5s");

    sim.control().set(vec![Rule::new(Fault::QuotaExhausted)]);
    let quota = post(sim.address(), CHAT, WHOLE).await;
    assert_eq!((quota.status, quota.header("retry-after")), (429, None));
    assert_eq!(quota.json()["error"]["code"], "insufficient_quota");
}

#[tokio::test]
async fn a_reset_is_a_reset_on_the_wire() {
    for at in [ResetAt::Body, ResetAt::Head] {
        let sim = with(Fault::Reset { at });
        let mut client = Client::connect(sim.address()).await.unwrap();
        client.send("POST", CHAT, &[], WHOLE.as_bytes()).await;
        assert_eq!(client.nothing().await, Ended::Rst, "{at:?}");
        assert_eq!(last_seen(&sim).outcome, Outcome::Faulted("reset"));
        let read = if at == ResetAt::Body { WHOLE.len() as u64 } else { 0 };
        assert_eq!(last_seen(&sim).body_bytes, read);
    }
}

#[tokio::test]
async fn a_reset_at_the_head_does_not_wait_for_the_body() {
    let sim = with(Fault::Reset { at: ResetAt::Head });
    let mut client = Client::connect(sim.address()).await.unwrap();
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: sim\r\ncontent-length: 1000000\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut client.io, head.as_bytes()).await.unwrap();
    assert_eq!(client.nothing().await, Ended::Rst);
}

#[tokio::test]
async fn a_cut_stream_has_exactly_so_many_words_in_every_dialect() {
    for (path, body) in STREAMS {
        for after_events in [0, 1, 5] {
            for (how, ended) in
                [(How::Fin, Ended::Fin), (How::Rst, Ended::Rst), (How::ChunkedEof, Ended::Whole)]
            {
                let sim = with(Fault::Cut { after_events, how });
                let exchange = post(sim.address(), path, body).await;
                assert_eq!((exchange.status, exchange.ended), (200, ended), "{path} {how:?}");
                assert_eq!(words(&exchange), after_events as usize, "{path} {how:?}");
                assert_eq!(last_seen(&sim).outcome, Outcome::Faulted("cut"));
                sim.stop().await;
            }
        }
    }
}

#[tokio::test]
async fn a_close_delimited_cut_looks_like_a_good_end() {
    let sim = with(Fault::Cut { after_events: 3, how: How::CloseDelimited });
    for (body, whole) in [(STREAM, false), (WHOLE, true)] {
        let exchange = post(sim.address(), CHAT, body).await;
        assert_eq!((exchange.status, exchange.ended), (200, Ended::Fin));
        assert_eq!((exchange.header("content-length"), exchange.header("transfer-encoding")), (None, None));
        assert_eq!(exchange.version, "HTTP/1.0");
        if whole {
            assert!(serde_json::from_slice::<Value>(&exchange.body).is_err(), "half of the JSON");
        } else {
            assert_eq!(words(&exchange), 3);
        }
    }
}

#[tokio::test]
async fn a_whole_answer_is_cut_after_half_of_its_body() {
    for (how, ended) in [(How::Fin, Ended::Fin), (How::Rst, Ended::Rst), (How::ChunkedEof, Ended::Whole)] {
        let sim = with(Fault::Cut { after_events: 0, how });
        let exchange = post(sim.address(), CHAT, WHOLE).await;
        assert_eq!(exchange.ended, ended);
        assert!(!exchange.body.is_empty());
        assert!(serde_json::from_slice::<Value>(&exchange.body).is_err());
        assert_eq!(exchange.header("content-length").is_some(), how != How::ChunkedEof);
    }
}

#[tokio::test]
async fn an_error_in_band_comes_after_so_many_words_in_the_recorded_shape() {
    for after_events in [0, 4] {
        let sim = with(Fault::InBandError { after_events, error: InBand::Overloaded });
        let chat = post(sim.address(), CHAT, STREAM).await;
        assert_eq!((chat.status, chat.ended, words(&chat)), (200, Ended::Whole, after_events as usize));
        assert_eq!(chat.events().last().unwrap()["error"]["code"], "server_is_overloaded");
        assert!(!chat.text().contains("[DONE]"));

        let responses = post(sim.address(), "/v1/responses", STREAM).await;
        let events = responses.events();
        let [.., error, failed] = events.as_slice() else { panic!("too few events") };
        assert_eq!((&error["type"], &failed["type"]), (&json!("error"), &json!("response.failed")));
        assert_eq!(error["error"]["code"], "server_is_overloaded");
        assert_eq!(failed["response"]["status"], "failed");
        assert_eq!(failed["sequence_number"], events.len() as u64 - 1);
        assert_eq!(words(&responses), after_events as usize);

        let anthropic = post(sim.address(), "/v1/messages", STREAM).await;
        assert_eq!(anthropic.names().last(), Some(&"error"));
        let error = anthropic.events().pop().unwrap();
        assert_eq!(error["error"]["type"], "overloaded_error");
        assert_eq!(error["request_id"].as_str(), anthropic.header("request-id"));

        let gemini = post(sim.address(), STREAMS[3].0, "{}").await;
        let bare = gemini.text().rsplit("\r\n\r\n").next().unwrap();
        let bare: Value = serde_json::from_str(bare).unwrap();
        assert_eq!(
            (&bare["error"]["status"], words(&gemini)),
            (&json!("UNAVAILABLE"), after_events as usize)
        );

        let array = post(sim.address(), STREAMS[4].0, "{}").await.json();
        let array = array.as_array().unwrap();
        assert_eq!(array.last().unwrap()["error"]["code"], 503);
        assert_eq!(array.len(), after_events as usize + 1);
    }
}

#[tokio::test]
async fn an_error_in_band_is_the_whole_body_of_an_answer_that_is_not_streamed() {
    let sim = with(Fault::InBandError { after_events: 0, error: InBand::QuotaExhausted });
    let exchange = post(sim.address(), CHAT, WHOLE).await;
    assert_eq!((exchange.status, &exchange.json()["error"]["code"]), (200, &json!("insufficient_quota")));
}

#[tokio::test]
async fn an_empty_stream_ends_well_with_nothing_in_it() {
    let sim = with(Fault::EmptyStream);
    for (path, body) in STREAMS {
        let exchange = post(sim.address(), path, body).await;
        assert_eq!((exchange.status, exchange.ended, exchange.text()), (200, Ended::Whole, ""));
        assert_eq!(last_seen(&sim).outcome, Outcome::Faulted("empty_stream"));
    }
    let whole = post(sim.address(), CHAT, WHOLE).await;
    assert_eq!((whole.header("content-length"), whole.text()), (Some("0"), ""));
}

#[tokio::test]
async fn canned_bytes_come_out_as_they_went_in() {
    let sim = with(Fault::Canned(Canned {
        status: StatusCode::IM_A_TEAPOT,
        headers: vec![("x-a".to_owned(), "1".to_owned()), ("bad name".to_owned(), "2".to_owned())],
        chunks: vec![
            (Duration::ZERO, b"\xff\xfe".as_slice().into()),
            (Duration::from_millis(1), b"rest".as_slice().into()),
        ],
    }));
    let exchange = post(sim.address(), CHAT, WHOLE).await;
    assert_eq!((exchange.status, exchange.header("x-a")), (418, Some("1")));
    assert_eq!(exchange.body, b"\xff\xferest");
    assert_eq!((last_seen(&sim).outcome, last_seen(&sim).fault), (Outcome::Completed, Some("canned")));
}

#[tokio::test]
async fn a_refused_upstream_refuses_and_heals_on_the_same_port() {
    let sim = start();
    let mut idle = Client::connect(sim.address()).await.unwrap();
    idle.send("POST", CHAT, &[], WHOLE.as_bytes()).await;
    assert_eq!(idle.answer().await.status, 200);
    let mut streaming = Client::connect(sim.address()).await.unwrap();
    sim.control().set(vec![Rule::new(Fault::Stall { after_events: 2 })]);
    streaming.send("POST", CHAT, &[], STREAM.as_bytes()).await;
    streaming.until("sim-a.2.2").await;

    sim.control().set(vec![Rule::new(Fault::Refuse)]);
    assert!(sim.control().refusing());
    let refused = Client::connect(sim.address()).await.err().unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_ne!(idle.nothing().await, Ended::Whole);
    assert_ne!(streaming.answer().await.ended, Ended::Whole);

    sim.control().clear();
    assert_eq!(post(sim.address(), CHAT, WHOLE).await.status, 200);
}

#[tokio::test]
async fn rules_switch_between_two_requests_of_one_connection() {
    let sim = start();
    let mut client = Client::connect(sim.address()).await.unwrap();
    let mut statuses = Vec::new();
    for rules in [vec![], vec![Rule::new(Fault::status(StatusCode::SERVICE_UNAVAILABLE))], vec![]] {
        sim.control().set(rules);
        client.send("POST", CHAT, &[], WHOLE.as_bytes()).await;
        statuses.push(client.answer().await.status);
    }
    assert_eq!(statuses, [200, 503, 200]);
    assert!(sim.control().seen().iter().all(|seen| seen.connection == 1));
}

#[tokio::test]
async fn a_rule_hits_one_model_or_one_credential_only() {
    let sim = start();
    sim.control().set(vec![
        Rule::new(Fault::status(StatusCode::INTERNAL_SERVER_ERROR)).model("x"),
        Rule::new(Fault::QuotaExhausted).credential("ka-1"),
    ]);
    let status = |model: &'static str, key: &'static str| {
        let address = sim.address();
        async move {
            let body = format!(r#"{{"model":"{model}"}}"#);
            ask(address, "POST", CHAT, &[("authorization", key)], &body).await.status
        }
    };
    assert_eq!(status("x", "Bearer sk-ka-2").await, 500);
    assert_eq!(status("y", "Bearer sk-ka-1").await, 429);
    assert_eq!(status("y", "Bearer sk-ka-2").await, 200);
    assert_eq!(last_seen(&sim).credential_tail.as_deref(), Some("ka-2"));
}
