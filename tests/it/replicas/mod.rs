//! Several gateways, the real binary each, with one Redis between them: what one finds out of a key spares
//! the others the request, and whatever befalls Redis befalls nobody's request.

mod board;
mod budgets;
mod limits;
mod pipe;
pub mod redis;
mod secured;
mod trouble;
mod vendor;

use std::net::SocketAddr;

use serde_json::Value;

use self::redis::Redis;
use self::vendor::{Mood, Vendor};
use crate::http;
use crate::process::{Gateway, wait_for};

const FIRST: &str = "key-of-the-first-account";
const SECOND: &str = "key-of-the-second-account";

/// The board's key.
const BOARD: &str = "it:cooldowns:1";

/// Times are such that a loaded machine does not take itself for a dead Redis.
const ROUTING: &str = "
version: 1
server:
  listen: LISTEN
  admin: ADMIN
  redis: {url: 'redis://REDIS', prefix: it, timeout: 1s, poll: 300ms}
upstreams:
  vendor:
    provider: custom
    dialect: openai
    base_url: 'http://VENDOR/v1'
    probe: {kind: off}
    credentials: [key-of-the-first-account, key-of-the-second-account]
    breaker: {consecutive: {failures: 3}, open: {base: 10m, max: 20m}}
    cooldown: {recheck: 4s}
  sim: {provider: simulated, simulated: {ttft: 2ms, pace: 0ms}}
routes:
  - model: m
    channels: [{upstream: vendor}, {upstream: sim, tier: 1}]
";

/// A gateway among others.
struct Replica(Gateway);

impl Replica {
    fn start(redis: SocketAddr, vendor: &Vendor) -> Self {
        let routing = ROUTING.replace("REDIS", &redis.to_string());
        let replica = Self::of(&routing.replace("VENDOR", &vendor.address.to_string()));
        replica.connected(1);
        replica
    }

    fn of(routing: &str) -> Self {
        Self(Gateway::start(routing))
    }

    /// One request, which has to be answered well; who answered it.
    fn ask(&self) -> String {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
        let answer = http::post(self.0.callers, "/v1/chat/completions", body).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.header("x-mainstay-channel").unwrap_or_default().to_owned()
    }

    fn many(&self, times: u32) -> Vec<String> {
        (0..times).map(|_| self.ask()).collect()
    }

    fn json(&self, path: &str) -> Value {
        http::get(self.0.admin, path).unwrap().json()
    }

    /// How the keys stand.
    fn keys(&self) -> [String; 2] {
        let status = self.json("/admin/status");
        let upstreams = status["upstreams"].as_array().unwrap();
        let vendor = upstreams.iter().find(|upstream| upstream["name"] == "vendor").unwrap();
        [0, 1].map(|key| vendor["credentials"][key]["state"].as_str().unwrap().to_owned())
    }

    fn key_comes_to(&self, key: usize, state: &str) {
        let found = wait_for(30, || (self.keys()[key] == state).then_some(()));
        assert!(found.is_some(), "{:?}, not {state}:\n{}", self.keys(), self.0.said());
    }

    /// How the vendor's channel stands.
    fn standing(&self) -> String {
        let explained = self.json("/admin/explain?model=m");
        explained["channels"][0]["standing"].as_str().unwrap_or_default().to_owned()
    }

    /// What is said of it for people.
    fn detail(&self) -> String {
        let explained = self.json("/admin/explain?model=m");
        explained["channels"][0]["detail"].as_str().unwrap_or_default().to_owned()
    }

    fn metric(&self, series: &str) -> u64 {
        let text = self.0.metrics();
        let line =
            text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0, |value| value.parse().unwrap())
    }

    fn connected(&self, wanted: u64) {
        let found = wait_for(30, || (self.metric("mainstay_shared_connected") == wanted).then_some(()));
        assert!(found.is_some(), "never {wanted}:\n{}", self.0.said());
    }

    /// Until it has looked at the board so many times more.
    fn looks(&self, times: u64) {
        let read = || self.metric(r#"mainstay_shared_operations_total{operation="read",result="ok"}"#);
        let before = read();
        let found = wait_for(30, || (read() >= before + times).then_some(()));
        assert!(found.is_some(), "it does not look:\n{}", self.0.said());
    }
}

fn told(kind: &str, how: &str) -> String {
    format!("mainstay_shared_cooldowns_total{{kind=\"{kind}\",how=\"{how}\"}}")
}

#[test]
fn what_one_replica_learns_of_a_key_spares_the_others_the_request() {
    let Some(redis) = Redis::start("shared cooldowns") else { return };
    let vendor = Vendor::open();
    let [one, other] = [(); 2].map(|()| Replica::start(redis.address, &vendor));

    vendor.treat(FIRST, Mood::Quota);
    one.many(2);
    assert_eq!((vendor.asked(FIRST), vendor.asked(SECOND)), (1, 2), "one of two was tried again");
    other.key_comes_to(0, "cooling");
    assert_eq!(other.many(6), ["vendor/m"; 6]);
    assert_eq!((vendor.asked(FIRST), vendor.asked(SECOND)), (1, 8));
    assert_eq!((one.metric(&told("long", "told")), other.metric(&told("long", "taken"))), (1, 1));

    // The rate at one model: until then, and not a second less.
    vendor.treat(SECOND, Mood::Throttled(Some(100)));
    assert_eq!(one.many(2), ["sim/m"; 2]);
    let rests = wait_for(30, || (other.standing() == "credentials_cooling").then_some(()));
    assert!(rests.is_some(), "{}:\n{}", other.standing(), other.0.said());
    assert_eq!(other.many(4), ["sim/m"; 4]);
    assert_eq!((vendor.asked(FIRST), vendor.asked(SECOND)), (1, 9));
    let word = "another replica has found out that";
    assert!(other.detail().contains(word), "{}", other.detail());
    assert!(!one.detail().contains(word), "it was the one: {}", one.detail());

    // Who starts later knows it too, and nobody passes on what he was told.
    let late = Replica::start(redis.address, &vendor);
    let rests = wait_for(30, || (late.standing() == "credentials_cooling").then_some(()));
    assert!(rests.is_some(), "{}:\n{}", late.standing(), late.0.said());
    assert_eq!(late.many(2), ["sim/m"; 2]);
    assert_eq!((vendor.asked(FIRST), vendor.asked(SECOND)), (1, 9));
    for replica in [&one, &other, &late] {
        replica.looks(2);
    }
    let told: Vec<u64> = [&one, &other, &late]
        .iter()
        .map(|r| r.metric(&told("long", "told")) + r.metric(&told("short", "told")))
        .collect();
    assert_eq!(told, [2, 0, 0]);

    let all = redis.everything();
    assert!(all.contains(BOARD) && all.contains("vendor") && all.contains("\"short\""), "{all}");
    for secret in [FIRST, SECOND, "account", "of-the-first"] {
        assert!(!all.contains(secret), "{all}");
    }
    assert!(matches!(redis.say(&format!("PTTL {BOARD}")), redis::Reply::Number(left) if left > 3_600_000));
    assert_eq!(other.json("/admin/status")["shared"]["connected"], true);
}

#[test]
fn a_refused_key_is_refused_once_for_all_and_is_back_for_all_when_it_works_again() {
    let Some(redis) = Redis::start("shared refusals") else { return };
    let vendor = Vendor::open();
    let [one, other] = [(); 2].map(|()| Replica::start(redis.address, &vendor));
    vendor.treat(FIRST, Mood::Refused);
    one.many(2);
    assert_eq!(vendor.asked(FIRST), 1);
    other.key_comes_to(0, "refused");
    assert_eq!(other.many(6), ["vendor/m"; 6]);
    assert_eq!(vendor.asked(FIRST), 1);
    assert!(redis.everything().contains(r#""says":"auth""#));

    vendor.treat(FIRST, Mood::Well);
    let back = wait_for(60, || {
        one.many(2);
        other.many(2);
        (one.keys()[0] == "ready" && other.keys()[0] == "ready").then_some(())
    });
    assert!(back.is_some(), "{:?} {:?}:\n{}", one.keys(), other.keys(), other.0.said());
    let withdrawn = wait_for(30, || {
        let all = redis.everything();
        (all.contains(r#""says":"healed""#) && !all.contains(r#""says":"auth""#)).then_some(())
    });
    assert!(withdrawn.is_some(), "{}", redis.everything());
    // Nobody falls back on what was said before.
    for replica in [&one, &other] {
        replica.looks(3);
        assert_eq!(replica.keys(), ["ready", "ready"]);
    }
    let all = redis.everything();
    assert!(!all.contains(FIRST), "{all}");
}

#[test]
fn an_ill_upstream_and_a_wait_that_nobody_asked_for_are_no_news() {
    let Some(redis) = Redis::start("what is not shared") else { return };
    let vendor = Vendor::open();
    let [one, other] = [(); 2].map(|()| Replica::start(redis.address, &vendor));
    for mood in [Mood::Throttled(None), Mood::Overloaded, Mood::Broken] {
        for key in [FIRST, SECOND] {
            vendor.treat(key, mood);
        }
        one.many(8);
    }
    assert_ne!(one.standing(), "ready", "it has had enough");
    for replica in [&one, &other] {
        replica.looks(3);
    }
    assert_eq!(redis.say(&format!("ZCARD {BOARD}")), redis::Reply::Number(0), "{}", redis.everything());
    assert_eq!(other.standing(), "ready");
    for key in [FIRST, SECOND] {
        vendor.treat(key, Mood::Well);
    }
    assert_eq!(other.many(4), ["vendor/m"; 4]);
}
