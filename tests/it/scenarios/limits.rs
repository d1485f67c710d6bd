//! What callers see of their limits: how they stand, when they are refused, and what of it all they get back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::{after, secs};
use crate::lab::{Ask, Lab, Said, Scribe, Step, send};

const SHOP: &str = "Bearer secret-of-LAB_SHOP";
const DESK: &str = "Bearer secret-of-LAB_DESK";

fn yaml(limits: &str, upstream: &str, route: &str) -> String {
    format!(
        "
version: 1
access: keys
{limits}
upstreams:
  a: {{{upstream}}}
  e: {{provider: simulated}}
routes:
  - {{model: demo, {route} channels: [{{upstream: a}}]}}
  - {{path: /echo/, access: open, limits: {{rpm: 2}}, channels: [{{upstream: e}}]}}
"
    )
}

const SIM: &str = "provider: simulated, simulated: {ttft: 200ms, pace: 10ms, words: 20}";
const SCRIBE: &str = "provider: custom, dialect: openai, base_url: 'http://a.test/v1'";

/// One key with limits.
fn shop(limits: &str, upstream: &str) -> String {
    yaml(&format!("keys: {{shop: {{secret: '${{LAB_SHOP}}', limits: {{{limits}}}}}}}"), upstream, "")
}

fn ask() -> Ask {
    Ask::chat("demo").header("authorization", SHOP)
}

/// An answer for which so many tokens were used.
fn answer(prompt: u64, output: u64) -> Said {
    let total = prompt + output;
    Said::json(
        200,
        format!(
            r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,
            "message":{{"role":"assistant","content":"hi"}},"finish_reason":"stop"}}],
            "usage":{{"prompt_tokens":{prompt},"completion_tokens":{output},"total_tokens":{total}}}}}"#
        ),
    )
}

/// What everybody has used.
fn used(lab: &Lab) -> BTreeMap<String, u64> {
    let seen = lab.gateway.limiter.seen();
    let rows = seen.iter().flat_map(|seen| seen.rows.iter().map(|row| (&seen.name, row)));
    rows.map(|(name, row)| (format!("{name} {}", row.unit.name()), row.used)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_caller_knows_how_he_stands_and_when_he_may_come_again() {
    let lab = Lab::start(&shop("rpm: 3, rpd: 100, tpm: 5000", SIM));
    for left in ["2", "1", "0"] {
        let answer = lab.send(&ask()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), "3");
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), left);
        assert_eq!(answer.header("x-ratelimit-limit-tokens"), "5000");
        assert!(answer.header("x-ratelimit-reset-requests").starts_with('1'), "a minute or a little more");
    }
    let refused = lab.send(&ask()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let error = &refused.json()["error"];
    assert_eq!(
        (error["type"].as_str(), error["code"].as_str()),
        (Some("rate_limit_error"), Some("rate_limit_exceeded"))
    );
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("key `shop` may use 3 requests a minute (`rpm`)"), "{message}");
    assert_eq!(refused.header("x-ratelimit-remaining-requests"), "0");
    assert_eq!(refused.header("x-should-retry"), "false", "a minute is too long for an SDK to wait");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!(message.ends_with(&format!("it would be let in in {wait} s")), "{message}");
    assert!((58..=61).contains(&wait), "{wait}");
    let anthropic = Ask::post(
        "/anthropic/v1/messages",
        r#"{"model":"demo","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#,
    )
    .header("x-api-key", "secret-of-LAB_SHOP");
    let refused = lab.send(&anthropic).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["type"]),
        (StatusCode::TOO_MANY_REQUESTS, &"rate_limit_error".into())
    );
    assert_eq!(refused.header("anthropic-ratelimit-requests-limit"), "3");
    assert!(refused.header("anthropic-ratelimit-requests-reset").ends_with('Z'));
    assert_eq!(lab.arrived("a"), 3);

    after(secs(wait - 2)).await;
    assert_eq!(lab.send(&ask()).await.status, StatusCode::TOO_MANY_REQUESTS);
    after(secs(2)).await;
    let answer = lab.send(&anthropic).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.header("anthropic-ratelimit-requests-remaining"), "2");
    let refusals = r#"mainstay_limit_refusals_total{level="key",limit="rpm"}"#;
    assert_eq!(lab.metric(refusals), 3.0);
    assert_eq!(used(&lab)["shop rpd"], 4, "who is refused has made no request");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn tokens_count_as_the_provider_has_counted_them() {
    let a = Scribe::saying(answer(30, 70));
    let lab = Lab::beside(&shop("tpm: 1000", SCRIBE), &[("a", &a)]);
    for sent in 1..=5 {
        assert_eq!(lab.send(&ask()).await.status, StatusCode::OK);
        assert_eq!(used(&lab)["shop tpm"], sent * 100);
    }
    // What it allows its answer is counted, as long as nobody knows better.
    let long = |most: u64| {
        let body = format!(
            r#"{{"model":"demo","max_tokens":{most},"messages":[{{"role":"user","content":"hello"}}]}}"#
        );
        Ask::post("/v1/chat/completions", body).header("authorization", SHOP)
    };
    let refused = lab.send(&long(600)).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.text().contains("and this request takes about 6"), "{}", refused.text());
    assert_eq!(lab.send(&long(400)).await.status, StatusCode::OK);
    let never = lab.send(&long(1000)).await;
    assert_eq!((never.status, never.header("retry-after")), (StatusCode::BAD_REQUEST, ""));
    assert!(never.text().contains("it can never be let in"), "{}", never.text());
    assert_eq!(used(&lab)["shop tpm"], 600);
    // More than was expected counts as well.
    a.say(answer(30, 700));
    assert_eq!(lab.send(&long(100)).await.status, StatusCode::OK);
    assert_eq!(used(&lab)["shop tpm"], 1330);
    assert_eq!(lab.send(&long(1)).await.status, StatusCode::TOO_MANY_REQUESTS);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_never_reaches_anybody_or_fails_there_uses_no_tokens() {
    let a = Scribe::saying(answer(30, 70));
    let lab = Lab::beside(&shop("rpm: 9, tpm: 5000, concurrency: 5", SCRIBE), &[("a", &a)]);
    a.refuse();
    assert!(lab.send(&ask()).await.status.is_server_error());
    let nothing = |rpm| {
        BTreeMap::from([
            ("shop rpm".to_owned(), rpm),
            ("shop tpm".to_owned(), 0),
            ("shop concurrency".to_owned(), 0),
        ])
    };
    assert_eq!(used(&lab), nothing(0));
    a.say(Said::json(400, r#"{"error":{"message":"no"}}"#));
    assert_eq!(lab.send(&ask()).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(used(&lab), nothing(1));
    // Nobody has such a model: that is found out before anything is counted.
    let other = Ask::chat("other").header("authorization", SHOP);
    assert_eq!(lab.send(&other).await.status, StatusCode::NOT_FOUND);
    assert_eq!(used(&lab), nothing(1));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_gives_back_what_he_did_not_use() {
    let slow = "provider: simulated, simulated: {ttft: 200ms, pace: 500ms, words: 20}";
    let lab = Lab::start(&shop("tpm: 100000, concurrency: 2", slow));
    let stream = Ask::stream("demo").header("authorization", SHOP);
    let mut kept = vec![lab.open(&stream).await, lab.open(&stream).await];
    kept[0].next().await;
    let refused = lab.send(&ask()).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!((refused.header("retry-after"), refused.header("x-should-retry")), ("1", "true"));
    assert!(refused.text().contains("has 2 requests at the same moment already"), "{}", refused.text());
    kept.pop().unwrap().hang_up();
    after(secs(1)).await;
    assert_eq!(lab.send(&ask()).await.status, StatusCode::OK);
    kept.pop().unwrap().hang_up();
    lab.assert_quiet().await;
    assert_eq!(used(&lab)["shop concurrency"], 0);

    // Before anything came, only the prompt can have been read.
    let a = Scribe::saying(Said::status(200).step(Step::Hang));
    let lab = Lab::beside(&shop("tpm: 100000", SCRIBE), &[("a", &a)]);
    let hung = {
        let gateway = Arc::clone(&lab.gateway);
        tokio::spawn(async move { send(&gateway, &ask()).await })
    };
    after(secs(1)).await;
    assert!(used(&lab)["shop tpm"] > 500);
    hung.abort();
    after(secs(1)).await;
    let left = used(&lab)["shop tpm"];
    assert!((1..100).contains(&left), "{left}");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn everybody_above_has_a_limit_of_his_own() {
    let tree = "organisations: {acme: {limits: {rpd: 5}}}\nteams: {growth: {organisation: acme, limits: {rpm: 3}}}\n\
        keys: {shop: {team: growth, secret: '${LAB_SHOP}', limits: {rpm: 2}}, desk: {team: growth, secret: '${LAB_DESK}'}}";
    let lab = Lab::start(&yaml(tree, SIM, "limits: {rpd: 4},"));
    let desk = Ask::chat("demo").header("authorization", DESK);
    let refused = async |ask: &Ask| {
        lab.send(ask).await.json()["error"]["message"].as_str().map(|said| said[..12].to_owned())
    };
    assert_eq!((refused(&ask()).await, refused(&ask()).await), (None, None));
    assert_eq!(refused(&ask()).await.as_deref(), Some("key `shop` m"));
    assert_eq!(refused(&desk).await, None);
    assert_eq!(refused(&desk).await.as_deref(), Some("team `growth"));
    after(secs(61)).await;
    assert_eq!(refused(&desk).await, None);
    assert_eq!(refused(&desk).await.as_deref(), Some("route `demo`"));
    assert_eq!((used(&lab)["acme rpd"], used(&lab)["demo rpd"]), (4, 4));
    assert_eq!(lab.metric(r#"mainstay_limit_refusals_total{level="route",limit="rpd"}"#), 1.0);
    // Without a key, where none is needed, the route's own is what holds.
    let echo = Ask::get("/echo/x");
    assert_eq!([lab.send(&echo).await.status, lab.send(&echo).await.status], [StatusCode::OK; 2]);
    assert_eq!(lab.send(&echo).await.status, StatusCode::TOO_MANY_REQUESTS);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_shared_or_kept_counts_as_a_request_without_tokens() {
    let a = Scribe::saying(answer(30, 70));
    let keys = "keys: {shop: {secret: '${LAB_SHOP}', limits: {rpm: 10, tpm: 9000}}}";
    let lab = Lab::beside(&yaml(keys, SCRIBE, "cache: {enabled: true}, coalesce: true,"), &[("a", &a)]);
    let ask_once = ask();
    let (one, two) = tokio::join!(lab.send(&ask_once), lab.send(&ask_once));
    assert_eq!([one.status, two.status], [StatusCode::OK; 2]);
    let hit = lab.send(&ask()).await;
    assert_eq!((hit.header("x-mainstay-cache"), hit.header("x-ratelimit-remaining-requests")), ("hit", "7"));
    assert_eq!(a.heard().len(), 1);
    after(secs(1)).await;
    assert_eq!((used(&lab)["shop rpm"], used(&lab)["shop tpm"]), (3, 100));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn two_hundred_at_once_share_what_there_is() {
    let lab = Lab::start(&shop("rpm: 150, concurrency: 20", SIM));
    let callers: Vec<_> = (0..200)
        .map(|_| {
            let gateway = Arc::clone(&lab.gateway);
            tokio::spawn(async move {
                let mut granted = 0_u64;
                for _ in 0..3 {
                    if send(&gateway, &ask()).await.status == StatusCode::OK {
                        granted += 1;
                    }
                    after(secs(1)).await;
                }
                granted
            })
        })
        .collect();
    after(Duration::from_millis(100)).await;
    assert_eq!(used(&lab)["shop concurrency"], 20);
    for _ in 0..100 {
        after(Duration::from_millis(37)).await;
        assert!(lab.sim("a").control().counts().in_flight <= 20);
    }
    let mut granted = 0;
    for caller in callers {
        granted += caller.await.unwrap();
    }
    assert!((60..=150).contains(&granted), "{granted}");
    assert_eq!(lab.arrived("a"), granted);
    lab.assert_quiet().await;
    assert_eq!((used(&lab)["shop rpm"], used(&lab)["shop concurrency"]), (granted, 0));
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_has_used_what_came_of_the_answer_though_the_provider_had_counted_one_token() {
    let begins = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\
        \"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":null,\
        \"usage\":{\"input_tokens\":30,\"output_tokens\":1}}}\n\n\
        event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\
        \"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n";
    let word = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\
        \"delta\":{\"type\":\"text_delta\",\"text\":\"word \"}}\n\n";
    let stream =
        || Said::status(200).header("content-type", "text/event-stream").data(begins).data(word.repeat(50));
    let anthropic = "provider: custom, dialect: anthropic, base_url: 'http://a.test'";
    let body =
        r#"{"model":"demo","stream":true,"max_tokens":90,"messages":[{"role":"user","content":"hello"}]}"#;
    let asked = || Ask::post("/anthropic/v1/messages", body).header("x-api-key", "secret-of-LAB_SHOP");

    let a = Scribe::saying(stream().step(Step::Hang));
    let lab = Lab::beside(&shop("tpm: 1000", anthropic), &[("a", &a)]);
    let mut kept = lab.open(&asked()).await;
    kept.next().await;
    after(secs(1)).await;
    kept.hang_up();
    lab.assert_quiet().await;
    assert_eq!(used(&lab)["shop tpm"], 80, "30 of the prompt, and 50 words");

    // What the upstream breaks off counts in the same way.
    a.say(stream());
    let _ = lab.send(&asked()).await;
    lab.assert_quiet().await;
    assert_eq!(used(&lab)["shop tpm"], 160);
}

/// A request for this model, with a prompt of 902 tokens of OpenAI's whose body has 4,800 bytes or so.
fn long(model: &str) -> Ask {
    let text = "Mainstay stands between callers and providers. ".repeat(100);
    let body =
        format!(r#"{{"model":"{model}","max_tokens":50,"messages":[{{"role":"user","content":"{text}"}}]}}"#);
    Ask::post("/v1/chat/completions", body).header("authorization", SHOP)
}

#[tokio::test(start_paused = true)]
async fn a_prompt_that_fits_as_its_model_counts_it_is_let_in_though_it_has_too_many_bytes() {
    let routes = "  - {model: smart, channels: [{upstream: a, model: gpt-5.4}]}\n  \
                  - {model: mixed, channels: [{upstream: a, model: gpt-5.4}, {upstream: a, model: llama}]}\n  \
                  - {model: safe, fallback: [next], channels: [{upstream: a, model: gpt-5.4}]}\n  \
                  - {model: next, fallback: [demo], channels: [{upstream: a, model: gpt-5.4-mini}]}\n";
    let a = Scribe::saying(answer(900, 20));
    let lab = Lab::beside(&(shop("tpm: 1100", SCRIBE) + routes), &[("a", &a)]);
    let refusals = || lab.metric(r#"mainstay_limit_refusals_total{level="key",limit="tpm"}"#);
    let served = lab.send(&long("smart")).await;
    assert_eq!(served.status, StatusCode::OK, "{}", served.text());
    assert_eq!((used(&lab)["shop tpm"], refusals()), (920, 0.0), "as the provider counted it");

    // There is no room for another one, and he is told what it takes.
    let refused = lab.send(&long("smart")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let said = refused.json()["error"]["message"].as_str().unwrap().to_owned();
    let takes = said.split("takes about ").nth(1).and_then(|rest| rest.split(';').next()).unwrap();
    assert!((850..1000).contains(&takes.parse::<u64>().unwrap()), "{said}");
    assert_eq!((used(&lab)["shop tpm"], refusals()), (920, 1.0));

    // Nobody knows how others count, be it that they are asked only when everybody else has failed.
    for model in ["demo", "mixed", "safe"] {
        after(secs(120)).await;
        let refused = lab.send(&long(model)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{model}: {}", refused.text());
        assert!(refused.text().contains("this request alone takes about 12"), "{}", refused.text());
    }
    assert_eq!((refusals(), a.heard().len()), (4.0, 1));
    lab.assert_quiet().await;
}
