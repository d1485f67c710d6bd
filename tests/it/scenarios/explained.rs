//! `x-mainstay-explain`: who may ask why his request went where it went, and what he is told.

use mainstay::simulated::{Fault, How, Rule};
use serde_json::{Value, json};

use super::{after, secs};
use crate::lab::{Answer, Ask, End, Lab, Said, Scribe};

const COMMENT: &str = ": mainstay-decision ";

const TWO: &str = "
version: 1
upstreams:
  near: {provider: simulated, probe: {kind: 'off'}, simulated: {ttft: 20ms, pace: 1ms}}
  far: {provider: simulated, simulated: {ttft: 20ms, pace: 1ms}}
routes:
  - {model: demo, channels: [{upstream: near}, {upstream: far, tier: 1}]}
  - {model: kept, cache: {enabled: true, ttl: 10s}, channels: [{upstream: far}]}
  - {model: shared, coalesce: true, channels: [{upstream: far}]}
";

fn asking(ask: Ask) -> Ask {
    ask.header("x-mainstay-explain", "1").from("127.0.0.1")
}

/// What stands in the answer's head.
fn decision(answer: &Answer) -> Value {
    serde_json::from_str(answer.header("x-mainstay-decision")).expect("a decision")
}

/// What stands after the end of a stream, which is its last line.
fn last_word(answer: &Answer) -> Value {
    let line = answer.text().trim_end().lines().last().expect("a line");
    serde_json::from_str(line.strip_prefix(COMMENT).unwrap_or_else(|| panic!("{line}"))).expect("a decision")
}

fn is_silent(answer: &Answer) -> bool {
    answer.header("x-mainstay-decision").is_empty() && !answer.text().contains("mainstay-decision")
}

#[tokio::test(start_paused = true)]
async fn whole_answers_and_errors_say_all_that_the_journal_has() {
    let lab = Lab::start(TWO);
    let journal = lab.keep_journal();
    lab.sim("near").control().set(vec![Rule::new(Fault::Refuse)]);
    let whole = lab.send(&asking(Ask::chat("demo"))).await;
    lab.sim("far").control().set(vec![Rule::new(Fault::Refuse)]);
    let failed = lab.send(&asking(Ask::chat("demo"))).await;
    assert_eq!((whole.status.as_u16(), failed.status.is_server_error()), (200, true));
    let kept = journal.decisions().await;
    for (answer, kept) in [(&whole, &kept[1]), (&failed, &kept[0])] {
        let told = decision(answer);
        for field in
            ["request", "route", "channel", "outcome", "status", "attempts", "tried", "looks", "waits"]
        {
            assert_eq!(told.get(field), kept.get(field), "{field}\n{told:#}\n{kept:#}");
        }
        assert!(!told.to_string().contains("hello"), "no word of a prompt");
    }
    assert_eq!(decision(&whole)["tried"][0]["verdict"], "connect");
    after(secs(60)).await;
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn streams_say_what_is_known_when_they_begin_and_all_of_it_after_their_ends() {
    let lab = Lab::start(TWO);
    let journal = lab.keep_journal();
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        let plain = lab.send(&ask).await;
        let told = lab.send(&asking(ask)).await;
        let began = decision(&told);
        assert_eq!(
            (&began["outcome"], &began["channel"]),
            (&json!("under_way"), &json!("near/demo")),
            "{dialect}"
        );
        assert_eq!(told.end, End::Clean, "{dialect}");
        assert_eq!(told.events().len(), plain.events().len(), "{dialect}");
        if dialect == "gemini" {
            assert!(!told.text().contains("mainstay-decision"), "Google's SDKs would take it for an answer");
            continue;
        }
        let kept = journal.decisions().await.remove(0);
        assert_eq!(last_word(&told), kept, "{dialect}");
        assert!(is_silent(&plain), "{dialect}");
        let before = told.text().rsplit_once(COMMENT).expect("the comment").0;
        assert!(before.ends_with("\n\n"), "{dialect}: the comment stands between events");
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_says_why_before_its_abnormal_end() {
    let lab = Lab::start(TWO);
    let _journal = lab.keep_journal();
    lab.sim("near").control().set(vec![Rule::new(Fault::Cut { after_events: 2, how: How::Rst })]);
    let cut = lab.send(&asking(Ask::stream("demo"))).await;
    assert_eq!(cut.end, End::Cut);
    let told = last_word(&cut);
    assert_eq!((&told["outcome"], &told["tried"][0]["stage"]), (&json!("broken"), &json!("committed")));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_decision_is_the_asking_callers_alone() {
    let lab = Lab::start(TWO);
    let _journal = lab.keep_journal();
    for model in ["kept", "shared"] {
        for stream in [Ask::stream(model), Ask::chat(model)] {
            let (first, second) = (asking(stream.clone()), stream.clone());
            let (told, other) = tokio::join!(lab.send(&first), lab.send(&second));
            let later = lab.send(&second).await;
            assert_eq!(decision(&told)["route"], model);
            assert!(is_silent(&other) && is_silent(&later), "{model}: {}", later.text());
            after(secs(20)).await;
            let (other, told) = tokio::join!(lab.send(&second), lab.send(&first));
            assert_eq!(decision(&told)["route"], model);
            assert!(is_silent(&other), "{model}");
            after(secs(20)).await;
        }
    }
    let named = |ask: Ask| ask.header("idempotency-key", "once");
    let told = lab.send(&asking(named(Ask::chat("demo")))).await;
    let again = lab.send(&named(Ask::chat("demo"))).await;
    assert_eq!((again.header("idempotent-replayed"), &again.body), ("true", &told.body));
    assert!(is_silent(&again));
    let hit = decision(&lab.send(&asking(named(Ask::chat("demo")))).await);
    assert_eq!((&hit["replayed"], &hit["attempts"]), (&json!("repeat"), &json!(0)));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn without_keys_only_this_machine_may_ask() {
    let lab = Lab::start(TWO);
    let _journal = lab.keep_journal();
    let ask = || Ask::chat("demo").header("x-mainstay-explain", "1");
    for from in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
        assert!(!is_silent(&lab.send(&ask().from(from)).await), "{from}");
    }
    for from in ["10.0.0.1", "192.0.2.1", "fe80::1"] {
        assert!(is_silent(&lab.send(&ask().from(from)).await), "{from}");
    }
    for passed_on in ["x-forwarded-for", "forwarded"] {
        let through = ask().from("127.0.0.1").header(passed_on, "for=192.0.2.1");
        assert!(is_silent(&lab.send(&through).await), "{passed_on}");
    }
    assert!(is_silent(&lab.send(&ask()).await), "from no address at all");
    let off = Ask::chat("demo").header("x-mainstay-explain", "0").from("127.0.0.1");
    assert!(is_silent(&lab.send(&off).await));
    lab.assert_quiet().await;
}

const KEYED: &str = "
version: 1
access: keys
organisations: {acme: {explain: of-acme}}
teams: {growth: {organisation: acme, explain: of-growth}}
users: {ada: {team: growth, explain: of-ada}}
keys: {shop: {user: ada, secret: '${LAB_SHOP_KEY_LONG_ENOUGH}', explain: of-shop}}
upstreams: {near: {provider: simulated, simulated: {ttft: 20ms, pace: 1ms}}}
routes: [{model: demo, channels: [{upstream: near}]}]
";

#[tokio::test(start_paused = true)]
async fn a_key_may_ask_where_it_or_anybody_above_it_says_so() {
    let levels = ["of-acme", "of-growth", "of-ada", "of-shop"];
    let ask = asking(Ask::chat("demo")).header("authorization", "Bearer secret-of-LAB_SHOP_KEY_LONG_ENOUGH");
    for may in [None, Some(0), Some(1), Some(2), Some(3)] {
        let mut yaml = KEYED.to_owned();
        for (place, level) in levels.iter().enumerate() {
            let said = if may == Some(place) { "true" } else { "false" };
            yaml = yaml.replace(level, said);
        }
        let lab = Lab::start(&yaml);
        let _journal = lab.keep_journal();
        let answer = lab.send(&ask).await;
        answer.spoken().unwrap();
        match may {
            None => assert!(is_silent(&answer), "nobody says so, whatever machine it comes from"),
            Some(_) => assert_eq!(decision(&answer)["key"], "shop"),
        }
        assert!(!answer.header("x-mainstay-decision").contains("secret-of"));
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_upstream_hears_that_somebody_asks() {
    let yaml = "
version: 1
upstreams:
  near: {provider: custom, dialect: openai, base_url: 'http://near/v1', probe: {kind: 'off'}}
  plain: {provider: http, base_url: 'http://plain', probe: {kind: 'off'}}
routes: [{model: demo, channels: [{upstream: near}]}, {path: /plain/, channels: [{upstream: plain}]}]
";
    let said = Said::json(200, r#"{"choices": [{"message": {"content": "yes"}, "finish_reason": "stop"}]}"#);
    let (near, plain) = (Scribe::saying(said.clone()), Scribe::saying(said));
    let lab = Lab::beside(yaml, &[("near", &near), ("plain", &plain)]);
    let _journal = lab.keep_journal();
    assert_eq!(decision(&lab.send(&asking(Ask::chat("demo"))).await)["outcome"], "ok");
    assert!(!is_silent(&lab.send(&asking(Ask::get("/plain/x"))).await));
    for heard in [near.only(), plain.only()] {
        assert_eq!(heard.header("x-mainstay-explain"), "");
    }
    lab.assert_quiet().await;
}
