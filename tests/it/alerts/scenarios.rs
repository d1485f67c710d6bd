//! From what happens to what a receiver gets, under paused time, with the whole program running.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use mainstay::admin::Running;
use mainstay::simulated::{Fault, Rule};
use mainstay::vocab::{Alert, AlertKind, AlertState};
use serde_json::Value;

use super::is_signed;
use crate::lab::{Ask, Heard, Lab, Load, Said, Scribe};

/// As the lab makes it of its name.
const SECRET: &str = "secret-of-LAB_HOOK_SECRET";

const TWO: &str = "
upstreams:
  a: {provider: simulated}
  b: {provider: simulated}
routes:
  - {model: demo, channels: [{upstream: a}, {upstream: b}]}
";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

async fn after(seconds: u64) {
    tokio::time::sleep(secs(seconds)).await;
}

/// A gateway that tells `hook` of these kinds.
fn told(rest: &str, kinds: &str, hook: &Arc<Scribe>) -> Lab {
    Lab::whole_beside(&file(rest, kinds), &[("hook", hook)])
}

fn file(rest: &str, kinds: &str) -> String {
    format!(
        "version: 1\nalerts: {{webhooks: {{ops: {{url: 'http://hook/in?x=1', secret: '${{LAB_HOOK_SECRET}}', \
         kinds: [{kinds}]}}}}}}\n{rest}"
    )
}

fn hook() -> Arc<Scribe> {
    Scribe::saying(Said::status(204))
}

/// All that came so far: each sound and signed.
fn messages(hook: &Scribe) -> Vec<Value> {
    let read = |heard: &Heard| {
        assert_eq!((heard.method.as_str(), heard.uri.to_string().as_str()), ("POST", "/in?x=1"));
        assert_eq!(heard.header("content-type"), "application/json");
        let [id, timestamp, signature] =
            ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| heard.header(name));
        assert!(is_signed(SECRET, id, timestamp, signature, &heard.body), "{heard:?}");
        let message: Value = serde_json::from_slice(&heard.body).unwrap();
        assert_eq!(message["id"], id);
        message
    };
    hook.heard().iter().map(read).collect()
}

/// What each tells of: state and subject.
fn gist(messages: &[Value]) -> Vec<(&str, &str)> {
    let says = |message: &Value| message["text"].as_str().is_some_and(|text| text.len() > 10);
    assert!(messages.iter().all(says), "{messages:?}");
    messages
        .iter()
        .map(|message| (message["state"].as_str().unwrap(), message["subject"].as_str().unwrap()))
        .collect()
}

fn alert(subject: &str, state: AlertState) -> Alert {
    let text = format!("The budget of {subject} is spent.");
    Alert { kind: AlertKind::Budget, subject: subject.into(), text, state }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_stays_away_is_told_once_and_so_is_its_return() {
    let hook = hook();
    let lab = told(TWO, "channel_down", &hook);
    let load = Load { ask: Ask::chat("demo"), per_second: 5.0, lasting: secs(400) };
    let (report, ()) = tokio::join!(lab.run(load), async {
        after(20).await;
        lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
        after(55).await;
        assert_eq!(messages(&hook).len(), 0, "not for less than a minute");
        after(120).await;
        assert_eq!(gist(&messages(&hook)), [("firing", "upstream a")]);
        assert_eq!(lab.metric("mainstay_alerts_firing{kind=\"channel_down\"}"), 1.0);
        lab.sim("a").control().clear();
        after(200).await;
    });
    report.assert_no_errors();
    assert_eq!(gist(&messages(&hook)), [("firing", "upstream a"), ("resolved", "upstream a")]);
    assert_eq!(lab.metric("mainstay_alerts_firing{kind=\"channel_down\"}"), 0.0);
    let delivered = "mainstay_alert_deliveries_total{webhook=\"ops\",result=\"delivered\"}";
    assert_eq!(lab.metric(delivered), 2.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn thirty_upstreams_that_go_together_are_one_message_and_their_route_another() {
    let hook = hook();
    let names: Vec<String> = (10..40).map(|number| format!("u{number}")).collect();
    let upstreams: Vec<String> =
        names.iter().map(|name| format!("  {name}: {{provider: simulated}}\n")).collect();
    let upstreams = upstreams.concat();
    let channels: Vec<String> = names.iter().map(|name| format!("{{upstream: {name}}}")).collect();
    let probes =
        "interval: 1s, fast_interval: 1s, down_interval: 1s, no_traffic_interval: 1s, timeout: 500ms";
    let rest = format!(
        "defaults: {{probe: {{{probes}}}}}\nupstreams:\n{upstreams}routes: [{{model: demo, channels: [{}]}}]\n",
        channels.join(", ")
    );
    let lab = told(&rest, "channel_down", &hook);
    after(10).await;
    for name in &names {
        lab.sim(name).control().set(vec![Rule::new(Fault::Refuse)]);
    }
    after(120).await;
    let all = messages(&hook);
    assert_eq!(
        gist(&all),
        [("firing", "route demo"), ("firing", "upstream u10, upstream u11, upstream u12 and 27 more")]
    );
    assert_eq!((&all[1]["count"], all[1]["alerts"].as_array().unwrap().len()), (&30.into(), 30));
    assert_eq!(all[1]["alerts"][29]["subject"], "upstream u39");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_fails_gets_the_same_message_again() {
    let hook = Scribe::saying(Said::status(500));
    let lab = told(TWO, "budget", &hook);
    lab.gateway.live.alerts.raise(alert("team blue", AlertState::Firing));
    after(11).await;
    assert_eq!(hook.heard().len(), 1);
    hook.say(Said::status(200));
    after(70).await;
    let heard = hook.heard();
    let [first, second] = &*heard else { panic!("{heard:?}") };
    assert_eq!((first.header("webhook-id"), &first.body), (second.header("webhook-id"), &second.body));
    assert_eq!(gist(&messages(&hook))[0], ("firing", "team blue"));
    for (result, count) in [("failed", 1.0), ("delivered", 1.0), ("given_up", 0.0)] {
        let series = format!("mainstay_alert_deliveries_total{{webhook=\"ops\",result=\"{result}\"}}");
        assert_eq!(lab.metric(&series), count, "{result}");
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_says_nothing_holds_up_nobody_else() {
    let (hook, other) = (hook(), hook());
    let both = file(TWO, "budget").replace(
        "webhooks: {",
        "webhooks: {chat: {url: 'http://other/x', format: slack}, mute: {url: 'http://mute/', format: slack}, ",
    );
    let lab = Lab::whole_beside(&both, &[("hook", &hook), ("other", &other)]);
    lab.swallow("mute");
    lab.gateway.live.alerts.raise(alert("team blue", AlertState::Firing));
    after(11).await;
    assert_eq!((messages(&hook).len(), other.heard().len()), (1, 1));
    let said: Value = serde_json::from_slice(&other.only().body).unwrap();
    assert_eq!(said["text"], "*budget* team blue: The budget of team blue is spent.");
    // Five tries of ten seconds, and a quarter of an hour between them.
    after(1000).await;
    let given_up = "mainstay_alert_deliveries_total{webhook=\"mute\",result=\"given_up\"}";
    assert_eq!(lab.metric(given_up), 1.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_thing_twice_is_one_message_and_so_is_its_end() {
    let hook = hook();
    let lab = told(TWO, "budget", &hook);
    let raise = |state| lab.gateway.live.alerts.raise(alert("team blue, month", state));
    for _ in 0..5 {
        raise(AlertState::Firing);
        after(7).await;
    }
    assert_eq!(messages(&hook).len(), 1);
    raise(AlertState::Resolved);
    raise(AlertState::Firing);
    after(60).await;
    assert_eq!(messages(&hook).len(), 1, "what is back at once was never gone");
    raise(AlertState::Resolved);
    after(60).await;
    assert_eq!(gist(&messages(&hook))[1], ("resolved", "team blue, month"));
    // What nobody asked for does not come.
    let other = Alert { kind: AlertKind::StoreAway, ..alert("store", AlertState::Firing) };
    lab.gateway.live.alerts.raise(other);
    after(60).await;
    assert_eq!(messages(&hook).len(), 2);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_credential_is_told_at_once_and_once_it_works_again() {
    let hook = hook();
    let rest = TWO.replace(
        "a: {provider: simulated}",
        "a: {provider: simulated, credentials: [secret-ka01, secret-ka02]}",
    );
    let lab = told(&rest, "credential_dead", &hook);
    let unauthorized = Fault::status(StatusCode::UNAUTHORIZED);
    let load = Load { ask: Ask::chat("demo"), per_second: 5.0, lasting: secs(1500) };
    let (report, ()) = tokio::join!(lab.run(load), async {
        after(10).await;
        lab.sim("a").control().set(vec![Rule::new(unauthorized).credential("ka01")]);
        after(30).await;
        assert_eq!(gist(&messages(&hook)), [("firing", "credential a#1")]);
        lab.sim("a").control().clear();
        after(1400).await;
    });
    report.assert_no_errors();
    let all = messages(&hook);
    assert_eq!(gist(&all), [("firing", "credential a#1"), ("resolved", "credential a#1")]);
    assert!(all.iter().all(|message| !message.to_string().contains("secret-ka")), "{all:?}");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_route_that_fails_more_than_usual_is_told() {
    let hook = hook();
    let rest = "upstreams: {a: {provider: simulated}}\nroutes: [{model: demo, channels: [{upstream: a}]}]\n";
    let lab = told(rest, "error_spike", &hook);
    let load = Load { ask: Ask::chat("demo"), per_second: 5.0, lasting: secs(1500) };
    let (report, ()) = tokio::join!(lab.run(load), async {
        after(400).await;
        let error = Fault::status(StatusCode::INTERNAL_SERVER_ERROR);
        lab.sim("a").control().set(vec![Rule::new(error).path("/v1/chat")]);
        after(60).await;
        assert_eq!(gist(&messages(&hook)), [("firing", "route demo")]);
        lab.sim("a").control().clear();
        after(1000).await;
    });
    assert!(!report.errors().is_empty(), "callers saw it");
    let all = messages(&hook);
    assert_eq!(gist(&all), [("firing", "route demo"), ("resolved", "route demo")]);
    assert!(all[0]["text"].as_str().unwrap().contains("usually it is 0.0%"), "{}", all[0]["text"]);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_outlasts_a_reload_and_a_webhook_that_is_gone_is_left_alone_until_then() {
    let hook = Scribe::saying(Said::status(503));
    let lab = told(TWO, "budget", &hook);
    let raise = |subject: &str| lab.gateway.live.alerts.raise(alert(subject, AlertState::Firing));
    raise("one");
    after(12).await;
    hook.say(Said::status(204));
    let chat = "webhooks: {chat: {url: 'http://nobody/', format: slack}, ";
    lab.replace(&file(TWO, "budget").replace("webhooks: {", chat)).await;
    after(70).await;
    assert_eq!(gist(&messages(&hook)), [("firing", "one"), ("firing", "one")]);

    hook.say(Said::status(410));
    raise("two");
    after(12).await;
    raise("three");
    after(600).await;
    assert_eq!(messages(&hook).len(), 3);
    let standing = lab.app().host().herald().standing();
    let states: Vec<_> = standing.webhooks.iter().map(|webhook| (&*webhook.name, webhook.state)).collect();
    assert_eq!(states[1], ("ops", "gone"));
    hook.say(Said::status(204));
    lab.replace(&file(TWO, "budget")).await;
    after(10).await;
    raise("four");
    after(12).await;
    assert_eq!(gist(&messages(&hook))[3], ("firing", "four"));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn without_a_webhook_what_fires_is_known_all_the_same() {
    let lab = Lab::whole(&format!("version: 1\n{TWO}"));
    for _ in 0..2 {
        lab.gateway.live.alerts.raise(alert("team blue", AlertState::Firing));
    }
    after(60).await;
    let standing = lab.app().host().herald().standing();
    let firing: Vec<_> = standing.firing.iter().map(|now| (now.kind, &*now.subject)).collect();
    assert_eq!((firing, standing.history.len()), (vec![("budget", "team blue")], 1));
    assert_eq!(lab.metric("mainstay_alerts_firing{kind=\"budget\"}"), 1.0);
}
