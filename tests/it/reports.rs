//! `mainstay usage` and `mainstay reprice`, as somebody types them: with a gateway that runs, and without one.

use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::http;
use crate::process::{Gateway, wait_for};

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN, drain: {pre_stop_delay: 0s, close_spread: 0s}}
catalog: {file: 'PRICES'}
store: {url: 'sqlite:STORE'}
upstreams: {sim: {provider: simulated, simulated: {ttft: 1ms, words: 5}}}
routes: [{model: demo, channels: [{upstream: sim}]}]
";

/// A thousandth of a dollar for a token, and two.
const PRICES: &str = "
providers:
  simulated:
    demo: {price: {input: 1000, output: 2000}}
    dear: {price: {input: 3000, output: 6000}}
    half: {price: {input: 3000}}
";

struct Desk {
    folder: TempDir,
    gateway: Option<Gateway>,
}

impl Desk {
    fn new() -> Self {
        let folder = TempDir::with_prefix("mainstay-reports-").unwrap();
        let prices = folder.path().join("prices.yaml");
        std::fs::write(&prices, PRICES).unwrap();
        let routing = ROUTING
            .replace("PRICES", &prices.display().to_string())
            .replace("STORE", &folder.path().join("ledger.db").display().to_string());
        let gateway = Gateway::start(&routing);
        // What the gateway serves goes with it.
        std::fs::copy(&gateway.file, folder.path().join("routing.yaml")).unwrap();
        Self { folder, gateway: Some(gateway) }
    }

    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().unwrap()
    }

    fn ask(&self, times: u64) {
        let body = r#"{"model":"demo","messages":[{"role":"user","content":"what is it that you do?"}]}"#;
        for _ in 0..times {
            assert_eq!(http::post(self.gateway().callers, "/v1/chat/completions", body).unwrap().status, 200);
        }
        let booked = || self.admin("/admin/usage?last=24h")["total"]["requests"] == times;
        assert!(wait_for(30, || booked().then_some(())).is_some(), "{}", self.admin("/admin/usage?last=24h"));
    }

    fn admin(&self, path: &str) -> Value {
        http::get(self.gateway().admin, path).unwrap().json()
    }

    /// Whether it went well, what it printed and what it said beside that.
    fn types(&self, line: &str) -> (bool, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.current_dir(self.folder.path()).env_remove("MAINSTAY_CONFIG").args(line.split(' '));
        let Output { status, stdout, stderr } = command.output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
        (status.success(), text(stdout), text(stderr))
    }

    fn shows(&self, line: &str) -> String {
        let (well, shown, said) = self.types(line);
        assert!(well && said.is_empty(), "{line}: {said}");
        shown
    }

    fn refuses(&self, line: &str, why: &str) {
        let (well, shown, said) = self.types(line);
        assert!(!well && shown.is_empty() && said.contains(why), "{line}: {shown}{said}");
    }
}

fn nano(text: &Value) -> u64 {
    text.as_str().unwrap().replace('.', "").parse().unwrap()
}

/// What it should cost, at so many thousandths of a dollar for a token of the prompt.
fn due(total: &Value, input: u64) -> u64 {
    let count = |name: &str| total[name].as_u64().unwrap();
    (count("input") * input + count("output") * 2) * 1_000_000
}

#[test]
fn what_was_used_is_reported_repriced_and_exported_with_a_gateway_and_without() {
    let mut desk = Desk::new();
    desk.ask(4);
    let json = |desk: &Desk, line: &str| -> Value { serde_json::from_str(&desk.shows(line)).unwrap() };
    let line = "usage --by model,day --at simulated/dear,simulated/half --format json";
    let said = json(&desk, line);
    let (total, days) = (&said["total"], said["rows"].as_array().unwrap());
    // It may have become midnight meanwhile.
    let sum = |of: &dyn Fn(&Value) -> u64| days.iter().map(of).sum::<u64>();
    let count = |name: &str| sum(&|day| day[name].as_u64().unwrap());
    assert_eq!((count("requests"), count("errors")), (4, 0));
    let cost = nano(&total["cost_usd"]);
    assert_eq!(cost, due(total, 1));
    assert_eq!(sum(&|day| nano(&day["at:simulated/dear:cost_usd"])), 3 * cost);
    assert_eq!(sum(&|day| nano(&day["at:simulated/dear:difference_usd"])), 2 * cost);
    for day in days {
        assert_eq!(
            (&day["model"], &day["at:simulated/half:cost_usd"], &day["at:simulated/half:no_price_for"]),
            (&"demo".into(), &"unknown".into(), &"output".into())
        );
    }
    let table = desk.shows("usage --by model");
    assert!(
        table.contains("model  requests") && table.contains("demo ") && table.contains("total"),
        "{table}"
    );
    assert!(!table.contains("reasoning"), "what nobody used has no column: {table}");
    let path = "/admin/usage?by=model,day&at=simulated/dear,simulated/half";
    let asked = desk.admin(path);
    assert_eq!(asked["rows"], said["rows"], "the same words on both ways");
    let csv = desk.shows("usage --rows --last 24h");
    assert_eq!(csv.lines().count(), 5, "{csv}");
    let rows: Value = json(&desk, "usage --rows attempts --last 24h --format json");
    assert_eq!(rows.as_array().unwrap().len(), 4);

    desk.refuses("usage --by tem", "did you mean `team`?");
    desk.refuses("usage --from yesterday", "2026-11-01T12:00:00Z");
    desk.refuses("usage --at simulated/deer", "did you mean `simulated/dear`?");
    desk.refuses("usage --rows --format table", "csv or json");
    desk.refuses("reprice", "which days");
    assert_eq!(http::get(desk.gateway().admin, "/admin/usage?b=team").unwrap().status, 400);

    // The prompt should have cost twice as much, from long ago on.
    let right =
        PRICES.replace("{input: 1000, output: 2000}", "[{output: 2000}, {from: 2020-01-01, input: 2000}]");
    std::fs::write(desk.folder.path().join("prices.yaml"), right).unwrap();
    assert_eq!(http::post(desk.gateway().admin, "/admin/reload", "").unwrap().status, 200);
    let table = desk.shows("reprice --from 2020-01-01 --dry-run");
    assert!(table.contains("simulated/demo") && table.contains("nothing was changed"), "{table}");
    assert_eq!(nano(&desk.admin("/admin/usage?last=24h")["total"]["cost_usd"]), cost);
    let done = json(&desk, "reprice --from 2020-01-01 --model simulated/demo --json");
    let corrected = &done["models"][0];
    assert_eq!(
        (nano(&corrected["before_usd"]), nano(&corrected["after_usd"]), &corrected["changed"]),
        (cost, due(total, 2), &4.into()),
        "{done}"
    );
    assert_eq!(nano(&desk.admin("/admin/usage?last=24h")["total"]["cost_usd"]), due(total, 2));
    let rows = desk.admin("/admin/ledger?rows=requests&last=24h");
    assert_eq!(rows.as_array().unwrap().iter().map(|row| nano(&row["cost_usd"])).sum::<u64>(), due(total, 2));
    let audit = &desk.admin("/admin/audit")["audit"];
    let deed =
        audit.as_array().unwrap().iter().find(|deed| deed["action"] == "reprice").expect("it is noted");
    assert_eq!(deed["detail"]["models"][0]["changed"], 4, "{deed}");

    // Without a gateway.
    let said = desk.shows("usage --by model --format csv --last 24h");
    desk.gateway = None;
    let (well, shown, remark) = desk.types("usage --by model --format csv --last 24h");
    assert!(well && remark.contains("no gateway answers"), "{remark}");
    assert_eq!(shown, said, "straight from the store");
    let file = desk.folder.path().join("ledger.db").display().to_string();
    assert_eq!(desk.shows(&format!("usage --by model --format csv --last 24h --store sqlite:{file}")), said);
    assert_eq!(desk.shows("usage --rows --last 24h --store").lines().count(), 5);
    std::fs::write(desk.folder.path().join("prices.yaml"), PRICES).unwrap();
    let done = json(&desk, "reprice --from 2020-01-01 --json --store");
    assert_eq!(nano(&done["total"]["after_usd"]), cost, "{done}");
    desk.refuses("usage --store sqlite:nowhere.db", "there is no store at");
    desk.refuses("usage --store mysql://h/x", "neither sqlite: nor postgres://");
    desk.refuses("usage --admin http://127.0.0.1:1", "cannot connect");
}
