//! A configuration file that goes wrong under a running program: S28.

use std::fs;

use crate::http;
use crate::process::{Gateway, wait_for};

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN}
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b}]
";

const CHAT: &str = r#"{"model": "demo", "messages": [{"role": "user", "content": "hello"}]}"#;

fn refused(gateway: &Gateway) -> bool {
    gateway.metrics().contains("\nmainstay_config_last_reload_failed 1")
}

fn serves(gateway: &Gateway) {
    for _ in 0..4 {
        let answer = http::post(gateway.callers, "/v1/chat/completions", CHAT).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

/// The file is cut in half, replaced by a folder, then gone; then good again, with another route.
#[test]
fn s28_a_bad_file_changes_nothing_and_a_good_one_is_taken_up() {
    let gateway = Gateway::start(ROUTING);
    let good = fs::read_to_string(&gateway.file).unwrap();
    serves(&gateway);

    fs::write(&gateway.file, &good[..good.len() - 30]).unwrap();
    assert!(wait_for(20, || refused(&gateway).then_some(())).is_some(), "half a file is refused");
    serves(&gateway);

    fs::remove_file(&gateway.file).unwrap();
    fs::create_dir(&gateway.file).unwrap();
    serves(&gateway);
    fs::remove_dir(&gateway.file).unwrap();
    serves(&gateway);
    assert!(refused(&gateway));

    let next = gateway.file.with_extension("new");
    fs::write(&next, good.replace("model: demo", "model: demo\n    aliases: [other]")).unwrap();
    fs::rename(&next, &gateway.file).unwrap();
    assert!(
        wait_for(20, || (!refused(&gateway)).then_some(())).is_some(),
        "a good file is taken up: {}",
        gateway.said()
    );
    let answer = http::post(gateway.callers, "/v1/chat/completions", &CHAT.replace("demo", "other")).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    serves(&gateway);
    let in_flight = |line: &str| line.starts_with("mainstay_requests_in_flight") && !line.ends_with(" 0");
    assert!(!gateway.metrics().lines().any(in_flight));
}
