//! When nothing is left: stale answers, waits, configured answers.

use std::time::Duration;

use bytes::Bytes;
use mainstay::dialect::framing::{Framing, Splitter};
use mainstay::dialect::hub::{Family, Keeping, Manner, Renamed, Stops};
use mainstay::dialect::watch::{Beat, Ending, Watch};
use mainstay::dialect::{Dialect, Operation, translate};
use mainstay::simulated::{Fault, How, Rule};

use super::{after, secs};
use crate::lab::{Answer, Ask, End, Lab};

const CACHED: &str = "
version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - model: demo
    on_exhausted: [fallback, stale, fail]
    cache: {enabled: true, ttl: 10s, stale_if_error: 60s}
    channels: [{upstream: a}]
    fallback: [other]
  - {model: other, channels: [{upstream: b}]}
";

impl Lab {
    fn all_down(&self, names: &[&str]) {
        for name in names {
            self.sim(name).control().set(vec![Rule::new(Fault::Refuse)]);
        }
    }

    fn cached(&self, result: &str) -> f64 {
        self.metric(&format!(r#"mainstay_cache_total{{route="demo",result="{result}"}}"#))
    }

    fn degraded(&self, how: &str) -> f64 {
        self.metric(&format!(r#"mainstay_degraded_total{{route="demo",how="{how}"}}"#))
    }
}

#[tokio::test(start_paused = true)]
async fn a_kept_answer_is_said_again_byte_for_byte_while_it_is_fresh_and_in_an_outage_while_it_may() {
    let lab = Lab::start(CACHED);
    for ask in [Ask::chat("demo"), Ask::stream("demo")] {
        let (asked, stored) = (lab.arrived("a"), lab.cached("stored"));
        let first = lab.send(&ask).await;
        first.spoken().unwrap();
        assert_eq!(first.header("x-mainstay-cache"), "");
        after(secs(5)).await;
        let fresh = lab.send(&ask).await;
        assert_eq!((fresh.header("x-mainstay-cache"), fresh.header("age")), ("hit", "5"));
        assert_eq!(fresh.body, first.body);
        assert_eq!(fresh.header("content-type"), first.header("content-type"));
        assert_eq!((lab.arrived("a"), lab.cached("stored")), (asked + 1, stored + 1.0));
        let own = lab.send(&ask.clone().header("cache-control", "no-cache")).await;
        assert_eq!((own.header("x-mainstay-cache"), lab.arrived("a")), ("", asked + 2));
        after(secs(11)).await;

        lab.all_down(&["a", "b"]);
        let stale = lab.send(&ask).await;
        assert_eq!((stale.status.as_u16(), stale.end), (200, End::Clean));
        assert_eq!(stale.header("x-mainstay-cache"), "stale");
        assert_eq!(stale.body, own.body, "the last one that was said");
        assert_ne!(stale.header("x-mainstay-request-id"), own.header("x-mainstay-request-id"));
        let strict = lab.send(&ask.clone().header("cache-control", "max-age=0, no-cache")).await;
        assert!(strict.status.is_server_error(), "who wants none gets none: {}", strict.status);
        after(secs(60)).await;
        let late = lab.send(&ask).await;
        assert!(late.status.is_server_error(), "{}", late.status);
        lab.sim("a").control().clear();
        lab.sim("b").control().clear();
        after(secs(90)).await;
    }
    assert!(lab.degraded("stale") >= 2.0);
    assert!(lab.metric(r#"mainstay_tokens_saved_total{route="demo",kind="output"}"#) > 0.0);
    let [(_, kept), _] = lab.gateway.kept();
    assert_eq!((kept.answers, kept.bytes), (0, 0), "what is too old is gone");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn only_whole_good_answers_of_the_route_itself_are_kept() {
    let lab = Lab::start(CACHED);
    // Another route's answer.
    lab.all_down(&["a"]);
    assert_eq!(lab.send(&Ask::chat("demo")).await.spoken().unwrap(), "b");
    lab.sim("a").control().clear();
    after(secs(90)).await;
    // One that broke, and one whose caller hung up.
    lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 4, how: How::Fin })]);
    assert_eq!(lab.send(&Ask::stream("demo")).await.end, End::Cut);
    lab.sim("a").control().clear();
    let mut kept = lab.open(&Ask::stream("demo").header("x-test", "1")).await;
    kept.next().await;
    kept.hang_up();
    after(secs(2)).await;
    // One that nobody may keep, and one that is refused.
    lab.send(&Ask::chat("demo").header("cache-control", "no-store")).await.spoken().unwrap();
    lab.sim("a").control().set(vec![Rule::new(Fault::status(http::StatusCode::BAD_REQUEST))]);
    assert_eq!(lab.send(&Ask::chat("demo")).await.status.as_u16(), 400);
    lab.sim("a").control().clear();
    // One that leaves state behind.
    let stateful = Ask::post("/v1/responses", r#"{"model":"demo","input":"hello"}"#);
    lab.send(&stateful).await.spoken().unwrap();
    assert_eq!(lab.cached("stored"), 0.0);
    assert_eq!(lab.gateway.kept()[0].1.answers, 0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_not_kept_and_costs_nothing() {
    let lab = Lab::start(&CACHED.replace("enabled: true", "enabled: true, max_entry: 200"));
    for ask in [Ask::chat("demo"), Ask::stream("demo")] {
        lab.send(&ask).await.spoken().unwrap();
    }
    assert_eq!((lab.cached("too_large"), lab.cached("stored")), (2.0, 0.0));
    assert_eq!(lab.gateway.kept()[0].1.bytes, 0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_what_was_said_to_another_key_unless_the_route_says_so() {
    let keys =
        "access: keys\nkeys: {shop: {secret: '${LAB_SHOP}'}, desk: {secret: '${LAB_DESK}'}}\nupstreams:";
    let yaml = CACHED.replace("upstreams:", keys);
    for (yaml, shared) in [(yaml.clone(), false), (yaml.replace("ttl: 10s", "ttl: 10s, scope: route"), true)]
    {
        let lab = Lab::start(&yaml);
        let ask =
            |key: &str| Ask::chat("demo").header("authorization", &format!("Bearer secret-of-LAB_{key}"));
        let first = lab.send(&ask("SHOP")).await;
        first.spoken().unwrap();
        let other = lab.send(&ask("DESK")).await;
        assert_eq!(other.header("x-mainstay-cache"), if shared { "hit" } else { "" });
        let again = lab.send(&ask("SHOP")).await;
        assert_eq!(again.header("x-mainstay-cache"), "hit");
        assert_eq!(lab.arrived("a"), if shared { 1 } else { 2 });
        let stranger = lab.send(&ask("NOBODY")).await;
        assert_eq!(stranger.status.as_u16(), 401, "a kept answer opens no door");
        lab.assert_quiet().await;
    }
}

const WAITING: &str = "
version: 1
upstreams: {a: {provider: simulated}}
routes:
  - model: demo
    on_exhausted: [wait, fail]
    exhausted: {wait: 15s, waiters: 2}
    panic: {mode: fail_fast}
    channels: [{upstream: a}]
";

/// Until nothing is eligible.
async fn break_down(lab: &Lab) {
    lab.all_down(&["a"]);
    while lab.breaker("a", "") != "open" {
        assert!(lab.send(&Ask::chat("demo")).await.status.is_server_error());
    }
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_answered_when_a_channel_is_back_and_no_more_wait_than_may() {
    let lab = Lab::start(WAITING);
    break_down(&lab).await;
    lab.sim("a").control().clear();
    let ask = Ask::chat("demo");
    let before = lab.degraded("wait");
    let begun = lab.gateway.live.now();
    let (a, b, c, waiting) = tokio::join!(
        lab.send(&ask),
        lab.send(&ask),
        async {
            after(Duration::from_millis(10)).await;
            lab.send(&ask).await
        },
        async {
            after(Duration::from_millis(100)).await;
            lab.metric(r#"mainstay_requests_waiting{route="demo"}"#)
        }
    );
    assert_eq!(waiting, 2.0);
    for answer in [&a, &b] {
        assert_eq!(answer.spoken(), Ok("a".to_owned()));
        assert!(answer.took > Duration::from_millis(500) && answer.took < secs(15), "{:?}", answer.took);
    }
    assert_eq!(c.status.as_u16(), 503);
    assert!(c.took < secs(1) && !c.header("retry-after").is_empty());
    assert_eq!((lab.degraded("wait_full"), lab.degraded("wait")), (1.0, before + 2.0));
    assert!(lab.gateway.live.now().since(begun) < secs(15));
    assert_eq!(lab.metric(r#"mainstay_requests_waiting{route="demo"}"#), 0.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_he_may_nor_for_what_cannot_help_him() {
    let lab = Lab::start(&WAITING.replace("wait: 15s", "wait: 1s"));
    break_down(&lab).await;
    let arrived = lab.arrived("a");
    let answer = lab.send(&Ask::chat("demo")).await;
    assert_eq!(answer.status.as_u16(), 503);
    assert!(answer.took < secs(2), "{:?}", answer.took);
    assert_eq!(lab.arrived("a"), arrived);
    // A caller who hangs up leaves his place.
    let lab = Lab::start(WAITING);
    break_down(&lab).await;
    let _ = tokio::time::timeout(secs(1), lab.send(&Ask::chat("demo"))).await;
    after(secs(1)).await;
    lab.sim("a").control().clear();
    after(secs(60)).await;
    assert_eq!(lab.metric(r#"mainstay_requests_waiting{route="demo"}"#), 0.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_request_is_said_and_not_papered_over() {
    let yaml =
        CACHED.replace("[fallback, stale, fail]", "[stale, wait, answer]\n    exhausted: {answer: sorry}");
    let lab = Lab::start(&yaml);
    let ask = Ask::chat("demo");
    lab.send(&ask).await.spoken().unwrap();
    after(secs(11)).await;
    lab.sim("a").control().set(vec![Rule::new(Fault::status(http::StatusCode::BAD_REQUEST))]);
    let answer = lab.send(&ask).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-mainstay-cache")), (400, ""));
    lab.assert_quiet().await;
}

// ---- configured answers --------------------------------------------------------------------------

const SORRY: &str = "We are \"down\";\ncome back soon. ✓";

fn asks() -> Vec<(Dialect, Operation, Ask)> {
    let messages = |stream: bool| {
        format!(
            r#"{{"model":"demo","stream":{stream},"max_tokens":9,"messages":[{{"role":"user","content":"hello"}}]}}"#
        )
    };
    let responses = |stream: bool| format!(r#"{{"model":"demo","stream":{stream},"input":"hello"}}"#);
    let gemini = r#"{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}"#;
    let converse = r#"{"messages":[{"role":"user","content":[{"text":"hello"}]}]}"#;
    let mut asks = Vec::new();
    for stream in [false, true] {
        let (generate, bedrock) = if stream {
            (
                (Operation::StreamGenerate, "streamGenerateContent"),
                (Operation::ConverseStream, "converse-stream"),
            )
        } else {
            ((Operation::Generate, "generateContent"), (Operation::Converse, "converse"))
        };
        asks.extend([
            (Dialect::OpenAi, Operation::Chat, Ask::post("/v1/chat/completions", messages(stream))),
            (Dialect::Responses, Operation::Responses, Ask::post("/v1/responses", responses(stream))),
            (Dialect::Anthropic, Operation::Messages, Ask::post("/anthropic/v1/messages", messages(stream))),
            (Dialect::Cohere, Operation::CohereChat, Ask::post("/cohere/v2/chat", messages(stream))),
            (
                Dialect::Gemini,
                generate.0,
                Ask::post(&format!("/gemini/v1beta/models/demo:{}", generate.1), gemini),
            ),
            (Dialect::Bedrock, bedrock.0, Ask::post(&format!("/bedrock/model/demo/{}", bedrock.1), converse)),
        ]);
    }
    let sse = "/gemini/v1beta/models/demo:streamGenerateContent?alt=sse";
    asks.push((Dialect::Gemini, Operation::StreamGenerate, Ask::post(sse, gemini)));
    asks
}

fn manner() -> Manner {
    Manner {
        model: "demo".to_owned(),
        nonce: "1".to_owned(),
        now: 1,
        usage_wanted: true,
        family: Family::Other,
        framing: Framing::Sse,
        echo: String::new(),
        keeping: Keeping::Passing,
        renamed: Renamed::default(),
        stops: Stops::default(),
    }
}

/// The text of an answer, as the reader of its dialect and the one that watches streams understand it.
fn read(dialect: Dialect, operation: Operation, answer: &Answer) -> String {
    let framing = Framing::of(dialect, operation, Some(answer.header("content-type")));
    if framing == Framing::Opaque {
        let chat = if dialect == Dialect::OpenAi {
            answer.body.clone()
        } else {
            translate::reply(dialect, Dialect::OpenAi, &answer.body, &manner()).expect("a sound answer")
        };
        let chat: serde_json::Value = serde_json::from_slice(&chat).unwrap();
        assert_eq!(chat["choices"][0]["finish_reason"], "stop", "{chat}");
        assert_eq!(chat["usage"]["total_tokens"], 0, "{chat}");
        return chat["choices"][0]["message"]["content"].as_str().unwrap().to_owned();
    }
    let (mut splitter, mut watch) = (Splitter::new(framing), Watch::new(dialect, operation, framing));
    let mut chat = translate::Stream::new(dialect, Dialect::OpenAi, manner()).expect("it has streams");
    let mut said: Vec<Bytes> = Vec::new();
    splitter.push(answer.body.clone());
    let mut frames = Vec::new();
    while let Some(frame) = splitter.next().expect("sound framing") {
        frames.push(frame);
    }
    frames.extend(splitter.leftover());
    for frame in &frames {
        let beat = watch.frame(frame);
        assert!(!matches!(beat, Beat::Broken | Beat::Error(_)), "{dialect}: a frame that nobody understands");
        said.push(chat.frame(frame).expect("sound events"));
    }
    assert!(matches!(watch.end(), Ending::Complete { missing_terminator: None }), "{dialect}");
    said.push(chat.end().expect("an answer"));
    let said = said.concat();
    let text = std::str::from_utf8(&said).unwrap();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let events = events.filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok());
    let choices: Vec<_> = events.map(|event| event["choices"][0].clone()).collect();
    assert!(choices.iter().any(|choice| choice["finish_reason"] == "stop"), "{text}");
    choices.iter().filter_map(|choice| choice["delta"]["content"].as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_configured_answer_is_an_ordinary_one_in_every_dialect() {
    let yaml = format!(
        "
version: 1
upstreams: {{a: {{provider: simulated}}}}
routes:
  - model: demo
    on_exhausted: [answer, fail]
    exhausted: {{answer: {}}}
    panic: {{mode: fail_fast}}
    channels: [{{upstream: a}}]
",
        serde_json::to_string(SORRY).unwrap()
    );
    let lab = Lab::start(&yaml);
    lab.all_down(&["a"]);
    let asks = asks();
    for (dialect, operation, ask) in &asks {
        let answer = lab.send(ask).await;
        assert_eq!((answer.status.as_u16(), answer.end), (200, End::Clean), "{dialect}");
        assert_eq!(answer.header("x-mainstay-degraded"), "answer");
        assert_eq!(read(*dialect, *operation, &answer), SORRY, "{dialect} {}", operation.name());
    }
    let embed = lab.send(&Ask::post("/v1/embeddings", r#"{"model":"demo","input":"hello"}"#)).await;
    assert!(embed.status.is_server_error(), "a text is no vector");
    assert_eq!(lab.degraded("answer"), asks.len() as f64);
    lab.assert_quiet().await;
}
