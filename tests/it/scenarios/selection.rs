//! Strategies that look at what is asked: whose conversation it is, and what it would cost.

use http::StatusCode;
use mainstay::route::{Question, explain};
use mainstay::simulated::{Fault, Rule};

use super::secs;
use crate::lab::{Ask, Lab, Said, Scribe};

const STICKY: &str = "
version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}, c: {provider: simulated}}
routes:
  - model: demo
    select: sticky
    channels: [{upstream: a}, {upstream: b}, {upstream: c}]
";

fn turn(session: u32) -> Ask {
    Ask::chat("demo").header("session_id", &session.to_string())
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_on_its_channel_and_conversations_spread() {
    let lab = Lab::start(STICKY);
    for session in 0..60 {
        let mut channels = Vec::new();
        for _ in 0..4 {
            let answer = lab.send(&turn(session)).await;
            channels.push(answer.header("x-mainstay-channel").to_owned());
        }
        assert!(channels.iter().all(|channel| *channel == channels[0]), "{channels:?}");
    }
    for name in ["a", "b", "c"] {
        let share = lab.arrived(name);
        assert!((4 * 8..=4 * 35).contains(&share), "{name} got {share} of 240");
    }
    let count =
        |result: &str| lab.metric(&format!("mainstay_sessions_total{{route=\"demo\",result=\"{result}\"}}"));
    assert_eq!((count("new"), count("kept"), count("moved")), (60.0, 180.0, 0.0));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_conversation_yields_to_an_outage_and_then_stays_where_its_cache_is() {
    let lab = Lab::start(STICKY);
    let first = lab.send(&turn(1)).await.header("x-mainstay-channel").to_owned();
    let home = first.split('/').next().unwrap().to_owned();
    lab.sim(&home).control().set(vec![Rule::new(Fault::status(StatusCode::BAD_GATEWAY))]);
    let mut moved = Vec::new();
    for _ in 0..10 {
        let answer = lab.send(&turn(1)).await;
        answer.spoken().unwrap();
        moved.push(answer.header("x-mainstay-channel").to_owned());
    }
    assert!(moved.iter().all(|channel| *channel == moved[0] && *channel != first), "{moved:?}");
    lab.sim(&home).control().clear();
    // Long enough for the channel to be well again, and shorter than the conversation is remembered.
    tokio::time::sleep(secs(120)).await;
    assert_eq!(lab.send(&turn(1)).await.header("x-mainstay-channel"), moved[0]);
    // Its cache has gone by then, so it goes home.
    tokio::time::sleep(secs(301)).await;
    assert_eq!(lab.send(&turn(1)).await.header("x-mainstay-channel"), first);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_conversation_keeps_its_key_and_gives_it_up_when_it_cools_down() {
    let lab = Lab::start(
        "
version: 1
upstreams:
  a: {provider: simulated, credentials: ['secret-k-1111', 'secret-k-2222', 'secret-k-3333']}
routes:
  - model: demo
    select: sticky
    channels: [{upstream: a}]
",
    );
    for session in 0..20 {
        for _ in 0..3 {
            lab.send(&turn(session)).await.spoken().unwrap();
        }
    }
    let seen: Vec<_> =
        lab.sim("a").control().seen().into_iter().filter_map(|seen| seen.credential_tail).collect();
    for turns in seen.chunks(3) {
        assert!(turns.iter().all(|key| *key == turns[0]), "{turns:?}");
    }
    let mut keys = seen.clone();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 3, "conversations spread over the keys");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn the_cheapest_channel_takes_all_until_it_fails() {
    const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
        "message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
    let scribe = || Scribe::saying(Said::json(200, ANSWER));
    let (dear, cheap, unknown) = (scribe(), scribe(), scribe());
    let lab = Lab::beside(
        "
version: 1
upstreams:
  unknown: {provider: custom, dialect: openai, base_url: 'http://unknown.test/v1'}
  dear: {provider: openai, base_url: 'http://dear.test/v1', credentials: [secret-k-1111]}
  cheap: {provider: openai, base_url: 'http://cheap.test/v1', credentials: [secret-k-2222]}
routes:
  - model: demo
    select: least_cost
    channels:
      - {upstream: unknown}
      - {upstream: dear, model: gpt-5.4}
      - {upstream: cheap, model: gpt-5.4-mini}
",
        &[("dear", &dear), ("cheap", &cheap), ("unknown", &unknown)],
    );
    let question = Question { model: "demo".into(), prompt_tokens: 1000, ..Question::default() };
    let explained = explain(&lab.table(), &question).unwrap();
    let costs: Vec<_> = explained.channels.iter().map(|channel| channel.cost_nano_usd).collect();
    // 1,000 tokens in and 500 out: $2.50 and $15, $0.75 and $4.50 a million.
    assert_eq!(costs, [None, Some(10_000_000), Some(3_000_000)]);

    let heard = || [&unknown, &dear, &cheap].map(|scribe| scribe.heard().len());
    for _ in 0..10 {
        assert_eq!(lab.send(&Ask::chat("demo")).await.status, StatusCode::OK);
    }
    assert_eq!(heard(), [0, 0, 10]);
    cheap.say(Said::status(502));
    assert_eq!(lab.send(&Ask::chat("demo")).await.status, StatusCode::OK);
    assert_eq!(heard(), [0, 1, 11]);
    dear.say(Said::status(502));
    assert_eq!(lab.send(&Ask::chat("demo")).await.status, StatusCode::OK);
    assert_eq!(heard()[0], 1, "unknown is not free, and better than nothing");
    lab.assert_quiet().await;
}

/// Answers as OpenAI does with so much of its quota left.
fn with_quota(requests: u32, tokens: u32) -> Said {
    const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
        "message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
    Said::json(200, ANSWER)
        .header("x-ratelimit-limit-requests", "100")
        .header("x-ratelimit-remaining-requests", &requests.to_string())
        .header("x-ratelimit-reset-requests", "60s")
        .header("x-ratelimit-limit-tokens", "100000")
        .header("x-ratelimit-remaining-tokens", &tokens.to_string())
        .header("x-ratelimit-reset-tokens", "60s")
}

const QUOTAS: &str = "
version: 1
upstreams:
  a: {provider: custom, dialect: openai, base_url: 'http://a.test/v1', credentials: [secret-k-1111]}
  b: {provider: custom, dialect: openai, base_url: 'http://b.test/v1', credentials: [secret-k-2222]}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b}]
";

#[tokio::test(start_paused = true)]
async fn a_request_goes_elsewhere_before_its_key_is_refused() {
    let (a, b) = (Scribe::saying(with_quota(90, 1_000)), Scribe::saying(with_quota(90, 90_000)));
    let lab = Lab::beside(QUOTAS, &[("a", &a), ("b", &b)]);
    let heard = || [&a, &b].map(|scribe| scribe.heard().len());
    let ask = |letters: usize| {
        let words = "x".repeat(letters);
        let body = format!(r#"{{"model":"demo","messages":[{{"role":"user","content":"{words}"}}]}}"#);
        Ask::post("/v1/chat/completions", body)
    };
    // Each has told what it has left.
    for _ in 0..2 {
        lab.send(&ask(10)).await;
    }
    assert_eq!(heard(), [1, 1]);
    // 10,000 tokens and an answer are too much for what `a` has left, and it is not even asked.
    for _ in 0..10 {
        assert_eq!(lab.send(&ask(40_000)).await.status, StatusCode::OK);
    }
    assert_eq!(heard(), [1, 11]);
    // With a minute gone nobody knows better, so it has its turns again.
    tokio::time::sleep(secs(61)).await;
    for _ in 0..10 {
        lab.send(&ask(10)).await;
    }
    let [a, b] = heard();
    assert!(a >= 2 && b > 11, "{a} {b}");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_runs_short_gets_less_and_a_large_prompt_is_sent_all_the_same() {
    let (a, b) = (Scribe::saying(with_quota(5, 90_000)), Scribe::saying(with_quota(90, 90_000)));
    let lab = Lab::beside(QUOTAS, &[("a", &a), ("b", &b)]);
    for _ in 0..100 {
        lab.send(&Ask::chat("demo")).await;
    }
    let share = a.heard().len();
    assert!((5..30).contains(&share), "a has a twentieth of its quota left and got {share} of 100");
    // Nobody has room for it: the upstream has the last word, not an estimate.
    let words = "x".repeat(400_000);
    let body = format!(r#"{{"model":"demo","messages":[{{"role":"user","content":"{words}"}}]}}"#);
    assert_eq!(lab.send(&Ask::post("/v1/chat/completions", body)).await.status, StatusCode::OK);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_configured_quota_binds_and_says_when_there_is_room_again() {
    let lab = Lab::start(
        "
version: 1
upstreams:
  a: {provider: simulated, credentials: [secret-k-1111], quota: {rpm: 3}}
  b: {provider: simulated, credentials: [secret-k-2222]}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b, quota: {rpm: 5}}]
",
    );
    for _ in 0..8 {
        lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    }
    assert_eq!((lab.arrived("a"), lab.arrived("b")), (3, 5));
    let refused = lab.send(&Ask::chat("demo")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!refused.header("retry-after").is_empty());
    tokio::time::sleep(secs(66)).await;
    lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    lab.assert_quiet().await;
}

fn response(rest: &str) -> Ask {
    Ask::post("/v1/responses", format!(r#"{{"model":"demo","input":"hello"{rest}}}"#))
}

/// What is stored at an upstream is known there, to that account, and nowhere else.
#[tokio::test(start_paused = true)]
async fn a_response_goes_on_at_the_upstream_and_with_the_key_that_stored_it() {
    let lab = Lab::start(
        "
version: 1
upstreams:
  a: {provider: simulated, credentials: [secret-k-1111, secret-k-2222]}
  b: {provider: simulated, credentials: [secret-k-3333, secret-k-4444]}
  c: {provider: simulated}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b}]
    fallback: [elsewhere]
  - model: elsewhere
    channels: [{upstream: c}]
",
    );
    for stream in ["", r#","stream":true"#] {
        let begun = lab.send(&response(stream)).await;
        let home = begun.header("x-mainstay-channel").split('/').next().unwrap().to_owned();
        let id = match stream {
            "" => begun.json()["id"].as_str().unwrap().to_owned(),
            _ => begun.events()[0]["response"]["id"].as_str().unwrap().to_owned(),
        };
        let seen = || lab.sim(&home).control().seen();
        let key = seen().last().unwrap().credential_tail.clone();
        let before = lab.arrived(&home);
        for _ in 0..6 {
            let next = response(&format!(r#","previous_response_id":"{id}""#));
            assert_eq!(lab.send(&next).await.status, StatusCode::OK);
        }
        assert_eq!(lab.arrived(&home), before + 6, "nobody else knows {id}");
        assert!(seen().iter().rev().take(6).all(|seen| seen.credential_tail == key));

        // While it is away nobody else can help, so nobody else is asked.
        lab.sim(&home).control().set(vec![Rule::new(Fault::status(StatusCode::TOO_MANY_REQUESTS))]);
        let others = |lab: &Lab| {
            ["a", "b", "c"].iter().filter(|name| **name != home).map(|name| lab.arrived(name)).sum::<u64>()
        };
        let asked = others(&lab);
        let refused = lab.send(&response(&format!(r#","previous_response_id":"{id}""#))).await;
        assert!(!refused.status.is_success(), "{}", refused.status);
        assert_eq!(others(&lab), asked);
        lab.sim(&home).control().clear();
        tokio::time::sleep(secs(120)).await;
    }
    // What nobody here has seen may be anywhere.
    let unknown = lab.send(&response(r#","previous_response_id":"resp_of_long_ago""#)).await;
    assert_eq!(unknown.status, StatusCode::OK);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_stored_at_no_channel_of_the_route_is_refused_with_what_to_do() {
    let lab = Lab::start(
        "
version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - {model: demo, channels: [{upstream: a}]}
  - {model: other, channels: [{upstream: b}]}
",
    );
    let id = lab.send(&response("")).await.json()["id"].as_str().unwrap().to_owned();
    let body = format!(r#"{{"model":"other","input":"more","previous_response_id":"{id}"}}"#);
    let refused = lab.send(&Ask::post("/v1/responses", body)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let message = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("stored at an upstream"), "{message}");
    assert_eq!(lab.arrived("b"), 0);
    lab.assert_quiet().await;
}
