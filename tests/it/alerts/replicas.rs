//! Two gateways on one PostgreSQL: one of them tells what both see, and both do where it is away.

use std::sync::mpsc::Receiver;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::receiver::{Heard, SECRET, listen};
use crate::http;
use crate::process::{Gateway, wait_for};
use crate::stored::postgres::Postgres;

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN}
store: {url: 'URL'}
alerts: {webhooks: {ops: {url: 'http://HOOK/in', secret: 'file:secret', kinds: [channel_down]}}}
upstreams:
  sim: {provider: simulated, simulated: {ttft: 2ms, pace: 0ms}, probe: PROBE}
  other: {provider: simulated, simulated: {ttft: 2ms, pace: 0ms}, probe: PROBE}
routes: [{model: m, channels: [{upstream: sim}]}, {model: n, channels: [{upstream: other}]}]
";

/// From the first that is told of to the message.
const GROUPING: Duration = Duration::from_secs(10);

/// When it began to fire.
fn fires(gateway: &Gateway, subject: &str) -> Option<f64> {
    let said = http::get(gateway.admin, "/admin/alerts").unwrap().json();
    let firing = said["firing"].as_array().unwrap();
    firing.iter().find(|alert| alert["subject"] == subject).and_then(|alert| alert["since"].as_f64())
}

/// What is said when both have noticed: the first message, however late it is, and those that come soon after it, or
/// after each of the two had its turn.
#[expect(clippy::disallowed_methods, reason = "other processes run by the clock on the wall")]
fn said_of(gateways: &[Gateway; 2], subject: &str, heard: &Receiver<Heard>) -> Vec<Value> {
    let noticed = gateways.each_ref().map(|gateway| {
        let at = wait_for(60, || fires(gateway, subject));
        Duration::from_secs_f64(at.unwrap_or_else(|| panic!("{subject}: {}", gateway.said())))
    });
    let mut told = Vec::new();
    wait_for(60, || {
        told.extend(messages(heard));
        (!told.is_empty()).then_some(())
    })
    .unwrap_or_else(|| panic!("{subject}: nothing is said"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let turns = noticed[0].max(noticed[1]) + GROUPING;
    sleep(turns.saturating_sub(now) + Duration::from_secs(3));
    told.extend(messages(heard));
    told
}

fn messages(heard: &Receiver<Heard>) -> Vec<Value> {
    heard.try_iter().map(|heard| serde_json::from_slice(&heard.body).unwrap()).collect()
}

fn fail(gateways: &[Gateway; 2], upstream: &str) {
    for gateway in gateways {
        let path = format!("/admin/simulated/{upstream}");
        let answer = http::call(gateway.admin, "PUT", &path, Some(r#"{"fault": "refuse"}"#)).unwrap();
        assert!((200..300).contains(&answer.status), "{}", answer.body);
    }
}

#[test]
fn what_two_replicas_see_is_told_once_and_by_both_while_their_store_is_away() {
    let Some(mut server) = Postgres::start("alerts of two gateways") else { return };
    let (hook, heard) = listen();
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), SECRET).unwrap();
    let probe =
        "{interval: 1s, fast_interval: 1s, down_interval: 1s, no_traffic_interval: 1s, timeout: 500ms}";
    let routing = ROUTING
        .replace("URL", &server.url())
        .replace("HOOK", &hook.to_string())
        .replace("file:secret", &format!("file:{}", secret.path().display()))
        .replace("PROBE", probe);
    let gateways = [Gateway::start(&routing), Gateway::start(&routing)];
    for gateway in &gateways {
        let here = || http::get(gateway.admin, "/admin/status").unwrap().json()["store"]["here"] == true;
        wait_for(60, || here().then_some(())).expect("the store is there");
    }
    fail(&gateways, "sim");
    let told = said_of(&gateways, "route m", &heard);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!((&told[0]["state"], &told[0]["subject"]), (&"firing".into(), &"route m".into()));

    server.kill();
    fail(&gateways, "other");
    let mut told = Vec::new();
    wait_for(60, || {
        told.extend(messages(&heard));
        (told.len() >= 2).then_some(())
    })
    .unwrap_or_else(|| panic!("twice is better than never: {told:#?}"));
    assert!(told.iter().all(|message| message["subject"] == "route n"), "{told:#?}");
}
