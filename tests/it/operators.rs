//! What an operator does at night, to the real binary: with a file, a state file and a log of its own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::http::{Answer, call, get, post};
use crate::process::{Gateway, wait_for};

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN, state_file: state.json, drain: {pre_stop_delay: 0s, close_spread: 0s}}
upstreams:
  one: {provider: simulated}
  two: {provider: simulated, headers: {x-team: 'a-literal-secret'}}
routes:
  - {model: demo, channels: [{upstream: one}, {upstream: two}]}
";

fn good(answer: std::io::Result<Answer>) -> serde_json::Value {
    let answer = answer.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()
}

fn ask(gateway: &Gateway) -> u16 {
    let body = r#"{"model":"demo","messages":[{"role":"user","content":"hi"}]}"#;
    post(gateway.callers, "/v1/chat/completions", body).unwrap().status
}

#[test]
fn what_an_operator_says_outlives_a_process_that_is_killed() {
    let mut gateway = Gateway::start(ROUTING);
    let admin = gateway.admin;
    good(post(admin, "/admin/upstreams/one/disable", r#"{"reason": "bad deploy"}"#));
    good(post(
        admin,
        "/admin/upstreams/two/trip",
        r#"{"model": "demo", "for": "1h", "reason": "looks ill"}"#,
    ));
    let kept = gateway.directory().join("state.json");
    let is_kept = || std::fs::read_to_string(&kept).is_ok_and(|text| text.contains("looks ill"));
    assert!(wait_for(8, || is_kept().then_some(())).is_some(), "it waits for no ten seconds");
    gateway.again();
    let one = good(get(admin, "/admin/upstreams/one"));
    assert_eq!(
        (&one["override"]["kind"], &one["override"]["reason"]),
        (&"disabled".into(), &"bad deploy".into())
    );
    let two = good(get(admin, "/admin/upstreams/two"));
    assert_eq!(two["models"][0]["breaker"]["state"], "forced_open", "{two}");
    let left = two["models"][0]["override"]["for_seconds"].as_f64().unwrap();
    assert!((3_000.0..3_600.0).contains(&left), "{left}");
    good(post(admin, "/admin/upstreams/two/enable", r#"{"model": "demo"}"#));
    assert_eq!(ask(&gateway), 200);
    let simulated = good(get(admin, "/admin/simulated/one"));
    let arrived = &simulated["counts"]["arrived"];
    assert_eq!(arrived, 0, "nothing but probes, which are not counted here: {simulated}\n{}", gateway.log());
}

#[test]
fn a_configuration_is_edited_and_rolled_back_and_its_history_outlives_the_process() {
    let mut gateway = Gateway::start(ROUTING);
    let admin = gateway.admin;
    let first = good(get(admin, "/admin/config"));
    let (text, revision) = (first["text"].as_str().unwrap(), first["revision"].as_str().unwrap());
    assert!(!text.contains("a-literal-secret"), "{text}");
    let edited = text.replace("{upstream: two}", "{upstream: two, weight: 9}");
    assert_eq!(good(post(admin, "/admin/config/validate", &edited))["problems"], serde_json::json!([]));
    let compared = good(post(admin, "/admin/config/diff", &edited));
    assert_eq!(compared["changes"]["routes"]["changed"], serde_json::json!(["demo"]), "{compared}");
    let put = good(call(admin, "PUT", "/admin/config", Some(&edited)));
    assert_eq!(put["result"], "applied");
    let file = || std::fs::read_to_string(&gateway.file).unwrap();
    assert!(file().contains("weight: 9") && file().contains("a-literal-secret"), "{}", file());
    let wrong = call(admin, "PUT", "/admin/config", Some("version: 1\nroutse: []\n")).unwrap();
    assert_eq!(wrong.status, 422, "{}", wrong.body);
    let problems = wrong.json()["problems"].as_array().cloned().unwrap_or_default();
    let typo = problems.iter().find(|problem| problem["path"] == "routse").expect("it is among them");
    assert_eq!((&typo["line"], &typo["nearest"]), (&2.into(), &"routes".into()), "{}", wrong.body);
    gateway.again();
    let back = good(post(admin, "/admin/config/rollback", &format!(r#"{{"revision": "{revision}"}}"#)));
    assert_eq!(back["revision"], revision);
    let file = std::fs::read_to_string(&gateway.file).unwrap();
    assert!(!file.contains("weight: 9") && file.contains("a-literal-secret"), "{file}");
    let history = good(get(admin, "/admin/config/history"));
    let revisions: Vec<_> =
        history["history"].as_array().unwrap().iter().map(|past| &past["revision"]).collect();
    assert_eq!(revisions, [revision, put["revision"].as_str().unwrap(), revision]);
    assert_eq!(ask(&gateway), 200);
}

#[test]
fn the_log_says_more_or_less_for_a_while() {
    let gateway = Gateway::start(ROUTING);
    let admin = gateway.admin;
    let usual = good(get(admin, "/admin/log"));
    assert_eq!((&usual["filter"], &usual["usual"]), (&"info".into(), &"info".into()));
    let turned = good(call(admin, "PUT", "/admin/log", Some(r#"{"filter": "error", "for": "2s"}"#)));
    assert_eq!((&turned["filter"], &turned["for_seconds"].is_f64()), (&"error".into(), &true), "{turned}");
    good(post(admin, "/admin/upstreams/one/drain", r#"{"reason": "nobody hears this"}"#));
    let again = "the log is as usual again";
    assert!(wait_for(20, || gateway.log().contains(again).then_some(())).is_some(), "{}", gateway.log());
    good(post(admin, "/admin/upstreams/one/enable", r#"{"reason": "everybody hears this"}"#));
    let log = gateway.log();
    assert!(log.contains("everybody hears this") && !log.contains("nobody hears this"), "{log}");
    good(call(admin, "PUT", "/admin/log", Some(r#"{"filter": "off", "for": "1h"}"#)));
    let back = good(call(admin, "PUT", "/admin/log", Some("{}")));
    assert_eq!((&back["filter"], back["until"].is_null()), (&"info".into(), true));
}

/// Whoever is no operator any more sees nothing of what comes after, though he saw it begin.
#[test]
fn who_is_no_operator_any_more_is_told_nothing_more() {
    let routing = ROUTING.replace(
        "admin: ADMIN",
        "admin: ADMIN, admin_token: '${MAINSTAY_IT_SECRET}', admin_tokens: {page: {token: 'file:page.token', scopes: [read]}}",
    );
    let gateway =
        Gateway::start_beside(&routing, "info", &[("page.token", "the-token-of-a-page-that-is-open\n")]);
    let mut page = TcpStream::connect(gateway.admin).unwrap();
    page.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let asked = "GET /admin/live HTTP/1.1\r\nhost: g\r\nconnection: close\r\nauthorization: Bearer the-token-of-a-page-that-is-open\r\n\r\n";
    page.write_all(asked.as_bytes()).unwrap();
    let mut told = vec![0; 4096];
    let length = page.read(&mut told).unwrap();
    assert!(told[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&told[..length]));
    std::fs::write(gateway.directory().join("page.token"), "another-token-for-another-page\n").unwrap();
    let mut rest = Vec::new();
    page.read_to_end(&mut rest).expect("it ends, and well");
    assert!(rest.ends_with(b"0\r\n\r\n"), "as streams end: {}", String::from_utf8_lossy(&rest));
}
