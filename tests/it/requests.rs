//! `mainstay requests`, as somebody types it: what is at hand, and what the store alone has.

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::http;
use crate::process::{Gateway, wait_for};

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN, drain: {pre_stop_delay: 0s, close_spread: 0s}}
store: {url: 'sqlite:STORE'}
telemetry: {journal: {requests: 2}}
upstreams:
  near: {provider: custom, dialect: openai, base_url: 'http://127.0.0.1:1/v1', probe: {kind: 'off'}}
  far: {provider: simulated, simulated: {ttft: 1ms, words: 5}}
routes: [{model: demo, channels: [{upstream: near}, {upstream: far, tier: 1}]}, {model: other, channels: [{upstream: far}]}]
";

struct Desk {
    _folder: TempDir,
    gateway: Gateway,
}

impl Desk {
    fn new() -> Self {
        let folder = TempDir::with_prefix("mainstay-requests-").unwrap();
        let routing = ROUTING.replace("STORE", &folder.path().join("ledger.db").display().to_string());
        Self { gateway: Gateway::start(&routing), _folder: folder }
    }

    fn ask(&self, model: &str) {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
        assert_eq!(http::post(self.gateway.callers, "/v1/chat/completions", &body).unwrap().status, 200);
    }

    fn types(&self, line: &str) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.env_remove("MAINSTAY_CONFIG").args(line.split(' '));
        command.args(["--admin", &format!("http://{}", self.gateway.admin)]);
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
        (status.success(), text(stdout), text(stderr))
    }

    fn shows(&self, line: &str) -> String {
        let (well, shown, said) = self.types(line);
        assert!(well && said.is_empty(), "{line}: {said}");
        shown
    }

    fn finds(&self, line: &str) -> Vec<Value> {
        let told: Value = serde_json::from_str(&self.shows(&format!("{line} --format json"))).unwrap();
        told["requests"].as_array().unwrap().clone()
    }
}

#[test]
fn what_is_no_more_at_hand_is_found_in_the_store() {
    let desk = Desk::new();
    for model in ["demo", "demo", "other", "other", "other"] {
        desk.ask(model);
    }
    let all = || Some(desk.finds("requests --last 1h")).filter(|all| all.len() == 5);
    let all = wait_for(30, all).expect("all of them, once they are booked");
    let from: Vec<&str> = all.iter().map(|told| told["from"].as_str().unwrap()).collect();
    assert_eq!(from, ["journal", "journal", "store", "store", "store"], "the newest first");
    assert!(
        all.iter()
            .all(|told| told["outcome"] == "ok" && told["channel"].as_str().unwrap().starts_with("far/"))
    );
    assert_eq!(desk.finds("requests").len(), 2, "those at hand");

    let ids = |line: &str| -> Vec<String> {
        desk.finds(line).iter().map(|told| told["request"].as_str().unwrap().to_owned()).collect()
    };
    let oldest = all[4]["request"].as_str().unwrap();
    assert_eq!(ids("requests --last 1h --route demo").len(), 2);
    assert_eq!(ids("requests --last 1h --channel near").last().map(String::as_str), Some(oldest));
    assert_eq!(ids("requests --last 1h --verdict connect").last().map(String::as_str), Some(oldest));
    assert_eq!(ids("requests --last 1h --outcome failed").len(), 0);
    assert_eq!(ids("requests --last 1h --slower-than 1h").len(), 0);
    assert_eq!(ids("requests --last 1h --limit 3").len(), 3);
    let (well, _, said) = desk.types("requests --last 1h --status 5xx");
    assert!(!well && said.contains("status=5 is known of the last requests alone"), "{said}");

    let kept = desk.shows(&format!("requests {oldest}"));
    for part in ["near/demo", "connect at not_sent", "far/demo", "ok at committed", "in the store alone"] {
        assert!(kept.contains(part), "{part}\n{kept}");
    }
    let at_hand = desk.shows(&format!("requests {}", all[0]["request"].as_str().unwrap()));
    assert!(at_hand.contains("who could be asked") && at_hand.contains("far/other ready"), "{at_hand}");
    let table = desk.shows("requests --last 1h");
    assert_eq!(table.lines().count(), 6, "{table}");
    let (well, _, said) = desk.types("requests req_nobody");
    assert!(!well && said.contains("at hand or in the store"), "{said}");
}

#[test]
fn pages_of_the_store_go_on_where_the_one_before_ended() {
    let desk = Desk::new();
    for _ in 0..5 {
        desk.ask("other");
    }
    wait_for(30, || (desk.finds("requests --last 1h").len() == 5).then_some(())).expect("all are booked");
    let (mut found, mut path) = (Vec::new(), "/admin/requests?from=1&limit=2".to_owned());
    for _ in 0..4 {
        let page = http::get(desk.gateway.admin, &path).unwrap().json();
        found.extend(page["requests"].as_array().unwrap().iter().map(|told| told["request"].to_string()));
        let Some(next) = page["next_before"].as_str() else { break };
        path = format!("/admin/requests?from=1&limit=2&before={next}");
    }
    let all: Vec<String> =
        desk.finds("requests --last 1h").iter().map(|told| told["request"].to_string()).collect();
    assert_eq!(found, all);
}
