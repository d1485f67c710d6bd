//! What became of a request and why, as whoever looks for it later is told.

use mainstay::simulated::{Fault, How, Rule};
use serde_json::{Value, json};

use super::{after, secs};
use crate::lab::{Ask, End, Lab};

const TWO: &str = "
version: 1
upstreams:
  near: {provider: simulated, probe: {kind: 'off'}, simulated: {ttft: 20ms, pace: 1ms}}
  far: {provider: simulated, simulated: {ttft: 20ms, pace: 1ms}}
routes:
  - model: demo
    channels: [{upstream: near}, {upstream: far, tier: 1}]
    fallback: [spare]
  - {model: spare, channels: [{upstream: far}]}
  - model: kept
    cache: {enabled: true, ttl: 10s}
    channels: [{upstream: far}]
";

fn words(list: &Value, field: &str) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|item| item[field].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_no_caller_saw_is_told_with_its_stage_and_who_was_asked_instead() {
    let lab = Lab::start(TWO);
    let journal = lab.keep_journal();
    lab.sim("near").control().set(vec![Rule::new(Fault::Refuse)]);
    let answer = lab.send(&Ask::chat("demo")).await;
    answer.spoken().unwrap();
    let told = journal.only().await;
    assert_eq!(told["request"], answer.header("x-mainstay-request-id"));
    assert_eq!(
        (&told["outcome"], &told["status"], &told["attempts"]),
        (&json!("ok"), &json!(200), &json!(2)),
        "{told:#}"
    );
    assert_eq!((&told["route"], &told["channel"]), (&json!("demo"), &json!("far/demo")));
    let tried = &told["tried"];
    assert_eq!(words(tried, "channel"), ["near/demo", "far/demo"]);
    assert_eq!(words(tried, "verdict"), ["connect", "ok"]);
    assert_eq!(words(tried, "stage"), ["not_sent", "committed"]);
    assert_eq!(tried[0]["detail"], "connection refused");
    assert_eq!((tried[0].get("sent"), tried[0].get("status")), (None, None), "nothing left");
    assert_eq!(tried[1]["status"], 200);
    let steps =
        ["begun", "sent", "headers", "first_content", "ended"].map(|step| tried[1][step].as_f64().unwrap());
    assert!(steps.is_sorted() && steps[0] >= tried[0]["ended"].as_f64().unwrap(), "{steps:?}");
    let looks = &told["looks"];
    assert_eq!(words(looks, "picked"), ["near/demo", "far/demo"]);
    assert_eq!(words(&looks[0]["channels"], "standing"), ["ready", "ready"]);
    assert_eq!(words(&looks[1]["channels"], "standing"), ["tried", "ready"]);
    let (own, upstream) = (told["own"].as_f64().unwrap(), told["waits"]["upstream"].as_f64().unwrap());
    assert!((told["first_byte"].as_f64().unwrap() - own - upstream).abs() < 0.01, "{told:#}");
    assert!(told["output"].as_u64().unwrap() > 0 && told["estimated"] == false, "{told:#}");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn why_nobody_could_be_asked_is_told_of_every_channel_of_every_route() {
    let lab = Lab::start(TWO);
    for upstream in ["near", "far"] {
        lab.sim(upstream).control().set(vec![Rule::new(Fault::Refuse)]);
    }
    for _ in 0..20 {
        lab.send(&Ask::chat("demo")).await;
    }
    let journal = lab.keep_journal();
    let answer = lab.send(&Ask::chat("demo")).await;
    assert!(answer.status.is_server_error());
    let told = journal.only().await;
    assert_eq!((&told["outcome"], &told["status"]), (&json!("failed"), &json!(answer.status.as_u16())));
    let looks = told["looks"].as_array().unwrap();
    assert_eq!(words(&told["looks"], "route")[..2], ["demo", "spare"], "{told:#}");
    assert_eq!(words(&looks[0]["channels"], "standing"), ["breaker_open", "breaker_open"], "{told:#}");
    assert_eq!(looks[0].get("picked"), None);
    after(secs(120)).await;
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_leaves_and_a_stream_that_breaks_are_told_as_such() {
    let lab = Lab::start(TWO);
    let journal = lab.keep_journal();
    let mut kept = lab.open(&Ask::stream("demo")).await;
    kept.next().await;
    kept.hang_up();
    after(secs(1)).await;
    lab.sim("near").control().set(vec![Rule::new(Fault::Cut { after_events: 2, how: How::Rst })]);
    let cut = lab.send(&Ask::stream("demo")).await;
    assert_ne!(cut.end, End::Clean);
    let decisions = journal.decisions().await;
    let outcomes: Vec<_> = decisions.iter().map(|told| told["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["broken", "cancelled"]);
    assert_eq!(words(&decisions[0]["tried"], "stage"), ["committed"]);
    assert_ne!(words(&decisions[0]["tried"], "verdict"), ["ok"]);
    assert_eq!(words(&decisions[1]["tried"], "verdict"), ["cancelled"]);
    assert_eq!(decisions[1]["estimated"], true, "nobody said what it used");
    for told in &decisions {
        for count in ["input", "output"] {
            assert_eq!(told[count], told["tried"][0][count], "as it is billed: {told:#}");
        }
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn who_never_came_to_a_route_is_found_and_books_nothing() {
    let lab = Lab::start(TWO);
    let (journal, books) = (lab.keep_journal(), lab.keep_books());
    let unknown = lab.send(&Ask::chat("nobody-has-this")).await;
    assert_eq!(unknown.status.as_u16(), 404);
    let told = journal.only().await;
    assert_eq!(told["request"], unknown.header("x-mainstay-request-id"));
    assert_eq!(
        (&told["outcome"], &told["status"], &told["attempts"]),
        (&json!("refused"), &json!(404), &json!(0))
    );
    assert!(!told.to_string().contains("nobody-has-this"), "a caller's words: {told}");
    assert_eq!(books.rows().await.0.len(), 0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_said_before_asked_nobody() {
    let lab = Lab::start(TWO);
    let journal = lab.keep_journal();
    lab.send(&Ask::chat("kept")).await;
    let hit = lab.send(&Ask::chat("kept")).await;
    assert_eq!(hit.header("x-mainstay-cache"), "hit");
    let decisions = journal.decisions().await;
    assert_eq!((&decisions[0]["replayed"], &decisions[0]["attempts"]), (&json!("hit"), &json!(0)));
    assert_eq!(
        (decisions[0]["tried"].as_array().map(Vec::len), &decisions[0]["status"]),
        (Some(0), &json!(200))
    );
    assert_eq!(decisions[1].get("replayed"), None);
    lab.assert_quiet().await;
}

const KEYED: &str = "
version: 1
access: keys
teams: {growth: {}}
keys: {shop: {team: growth, secret: '${LAB_SHOP_KEY_LONG_ENOUGH}'}}
upstreams: {near: {provider: simulated, simulated: {ttft: 20ms, pace: 1ms}}}
routes: [{model: demo, channels: [{upstream: near}]}]
";

#[tokio::test(start_paused = true)]
async fn what_a_key_has_used_is_counted_for_everybody_above_it_and_found_by_either() {
    let lab = Lab::start(KEYED);
    let journal = lab.keep_journal();
    let ask = Ask::chat("demo").header("authorization", "Bearer secret-of-LAB_SHOP_KEY_LONG_ENOUGH");
    lab.send(&ask).await.spoken().unwrap();
    let told = journal.only().await;
    assert_eq!((&told["key"], &told["team"]), (&json!("shop"), &json!("growth")));
    for (level, name) in [("key", "shop"), ("team", "growth")] {
        for kind in ["input", "output"] {
            let series =
                format!(r#"mainstay_spend_tokens_total{{level="{level}",name="{name}",kind="{kind}"}}"#);
            assert_eq!(lab.metric(&series), told[kind].as_f64().unwrap(), "{series}");
        }
    }
    lab.assert_quiet().await;
}
