//! `mainstay simulate`, as somebody types it: what it prints, writes and exits with.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::http;
use super::process::{Gateway, wait_for};

const ROUTING: &str = "version: 1
upstreams: {near: {provider: simulated}, far: {provider: simulated}, keyed: {provider: openai}}
routes:
  - {model: demo, channels: [{upstream: near, weight: 3}, {upstream: far}]}
";
const ALONE: &str = "version: 1
upstreams: {near: {provider: simulated}}
routes: [{model: demo, channels: [{upstream: near}]}]
";
const OUTAGE: &str = "outages: [{upstream: near, from: 1m, to: 3m, fault: connect}]\n";

struct Desk(TempDir);

impl Desk {
    fn new(files: &[(&str, &str)]) -> Self {
        let desk = Self(TempDir::with_prefix("mainstay-it-").expect("there is a temporary directory"));
        for (name, text) in files {
            std::fs::write(desk.path().join(name), text).expect("it can be written");
        }
        desk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn simulate(&self, arguments: &str) -> (i32, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command
            .current_dir(self.path())
            .env_remove("MAINSTAY_CONFIG")
            .env_remove("OPENAI_API_KEY")
            .arg("simulate");
        // A claim has blanks, so arguments are parted by bars.
        let Output { status, stdout, stderr } = command.args(arguments.split('|')).output().expect("it runs");
        let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
        (status.code().expect("it ends by itself"), text(stdout), text(stderr))
    }
}

#[test]
fn an_outage_is_told_minute_by_minute_and_claims_decide_the_exit() {
    let desk = Desk::new(&[("routing.yaml", ROUTING), ("outage.yaml", OUTAGE)]);
    let asked = "--outage-file|outage.yaml|--workload|5|--duration|6m|--out|report.html";
    let (code, shown, said) =
        desk.simulate(&format!("{asked}|--assert|success >= 99.9%|--assert|recovery <= 105s"));
    assert_eq!(code, 0, "{shown}{said}");
    for expected in
        ["near: connect from 60.0s to 3.0m", "near: ", "success", "holds: success >= 99.9%", "unknown"]
    {
        assert!(shown.contains(expected), "{expected} is not in\n{shown}");
    }
    assert!(said.contains("as if the keys of keyed were set"), "{said}");
    let page = std::fs::read_to_string(desk.path().join("report.html")).expect("the page is written");
    assert!(page.contains("<svg") && page.ends_with("</html>\n"));

    let (code, shown, _) = desk.simulate(&format!("{asked}|--assert|amplification < 1"));
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("FAILS: amplification < 1.000"), "{shown}");
}

#[test]
fn two_files_are_compared_with_the_same_callers() {
    let desk = Desk::new(&[("routing.yaml", ROUTING), ("alone.yaml", ALONE), ("outage.yaml", OUTAGE)]);
    let asked =
        "--outage-file|outage.yaml|--workload|5/s|--duration|4m|--compare|alone.yaml|--out|two.html|--json";
    let (code, shown, said) = desk.simulate(asked);
    assert_eq!(code, 0, "{shown}{said}");
    let found: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let of = |index: usize, what: &str| found["reports"][index]["totals"][what].clone();
    assert_eq!(of(0, "requests"), of(1, "requests"));
    assert_eq!(of(0, "success"), 1.0);
    assert!(of(1, "success").as_f64().is_some_and(|success| success < 0.6), "{}", of(1, "success"));
    assert!(of(0, "cost_usd").is_null(), "a simulated model has no price");
    let page = std::fs::read_to_string(desk.path().join("two.html")).expect("the page is written");
    assert_eq!(page.matches("<section>").count(), 2);
    // The same seed, the same run; another one, another.
    assert_eq!(desk.simulate(asked).1, shown);
    assert_ne!(desk.simulate(&format!("{asked}|--seed|2")).1, shown);
}

const ELSEWHERE: &str = "version: 1
upstreams: {east: {provider: simulated}}
routes: [{model: demo, channels: [{upstream: east}]}]
";

#[test]
fn what_cannot_befall_the_other_file_is_said_in_print_plot_and_json() {
    let desk = Desk::new(&[("routing.yaml", ROUTING), ("other.yaml", ELSEWHERE), ("outage.yaml", OUTAGE)]);
    let expected = "other.yaml has no upstream `near`: what befalls it does not happen there";
    for outage in ["--outage-file|outage.yaml", "--outage|storm", "--outage|storm=near"] {
        let asked = format!("{outage}|--workload|1|--duration|6m|--compare|other.yaml|--out|two.html");
        let (code, shown, said) = desk.simulate(&asked);
        assert_eq!((code, shown.matches(expected).count()), (0, 1), "{outage}: {shown}{said}");
        assert!(!shown.contains("routing.yaml has no upstream"), "{shown}");
        let page = std::fs::read_to_string(desk.path().join("two.html")).expect("the page is written");
        assert_eq!(page.matches(expected).count(), 1, "{outage}");
        let found: serde_json::Value =
            serde_json::from_str(&desk.simulate(&format!("{asked}|--json")).1).expect("JSON");
        assert_eq!(found["reports"][0]["does_not_happen"], serde_json::json!([]));
        assert_eq!(found["reports"][1]["does_not_happen"], serde_json::json!([expected]));
    }
}

#[test]
fn both_files_are_held_to_a_claim_and_each_verdict_names_its_file() {
    let desk = Desk::new(&[("routing.yaml", ROUTING), ("alone.yaml", ALONE), ("outage.yaml", OUTAGE)]);
    let asked = "--outage-file|outage.yaml|--workload|5|--duration|4m|--assert|success >= 99%|--out|two.html";
    let (code, shown, said) = desk.simulate(&format!("{asked}|--compare|alone.yaml"));
    assert_eq!(code, 1, "{shown}{said}");
    let page = std::fs::read_to_string(desk.path().join("two.html")).expect("the page is written");
    for verdict in ["holds in routing.yaml: success >= 99%", "FAILS in alone.yaml: success >= 99%"] {
        assert!(shown.contains(verdict), "{verdict} is not in\n{shown}");
        assert!(page.contains(&verdict.replace('>', "&gt;")), "{verdict}");
    }
    let (code, shown, _) = desk.simulate(&format!("{asked}|--compare|alone.yaml|--json"));
    let found: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let verdicts: Vec<_> = [0, 1]
        .into_iter()
        .map(|index| (&found["claims"][index]["config"], &found["claims"][index]["holds"]))
        .collect();
    assert_eq!(code, 1);
    assert_eq!(verdicts, [(&"routing.yaml".into(), &true.into()), (&"alone.yaml".into(), &false.into())]);
    // Alone, there is nothing to tell apart.
    let (code, shown, _) = desk.simulate(asked);
    assert!(code == 0 && shown.contains("holds: success >= 99%"), "{shown}");
}

#[test]
fn an_outage_of_a_key_or_a_model_that_nobody_has_is_said_to_do_nothing() {
    let script = "outages:
  - {upstream: near, model: other, from: 1m, to: 2m, fault: model_missing}
  - {upstream: keyed, model: demo, from: 1m, to: 2m, fault: model_missing}
  - {upstream: keyed, key: 1, from: 1m, to: 2m, fault: throttled}
  - {upstream: near, key: 1, from: 1m, to: 2m, fault: throttled}
  - {upstream: near, model: demo, from: 1m, to: 2m, fault: server_error}
";
    let desk = Desk::new(&[("routing.yaml", ROUTING), ("outage.yaml", script)]);
    let (code, shown, said) = desk.simulate("--outage-file|outage.yaml|--workload|1|--duration|3m|--json");
    assert_eq!(code, 0, "{shown}{said}");
    let found: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let expected = serde_json::json!([
        "routing.yaml asks no model `other` of upstream `near`: what befalls it does not happen there",
        "routing.yaml asks no model `demo` of upstream `keyed`: what befalls it does not happen there",
        "routing.yaml has no key 1 of upstream `near`: what befalls it does not happen there",
    ]);
    assert_eq!(found["reports"][0]["does_not_happen"], expected);
}

const RACK: &str = "version: 1
upstreams:
  near: {provider: simulated, fate: rack}
  beside: {provider: simulated, fate: rack}
  far: {provider: simulated}
routes:
  - {model: demo, channels: [{upstream: near}, {upstream: beside}]}
";

#[test]
fn an_outage_of_a_fate_group_or_a_provider_befalls_all_of_its_upstreams() {
    let script = "outages: [{WHOM, from: 1m, to: 3m, fault: connect}]\n";
    let desk = Desk::new(&[
        ("routing.yaml", RACK),
        ("fate.yaml", &script.replace("WHOM", "fate: rack")),
        ("provider.yaml", &script.replace("WHOM", "provider: simulated")),
        ("one.yaml", &script.replace("WHOM", "upstream: near")),
    ]);
    let success = |outage: &str| {
        let (code, shown, said) = desk.simulate(&format!("{outage}|--workload|5|--duration|6m|--json"));
        assert_eq!(code, 0, "{outage}: {shown}{said}");
        let found: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
        let minutes = found["reports"][0]["minutes"].as_array().expect("a list").clone();
        minutes.iter().map(|minute| minute["success"].as_f64().unwrap_or(1.0)).fold(1.0, f64::min)
    };
    assert!(success("--outage-file|one.yaml") > 0.95, "the other one of the rack serves");
    assert_eq!(success("--outage-file|fate.yaml"), 0.0);
    assert_eq!(success("--outage-file|provider.yaml"), 0.0);
    assert_eq!(success("--outage|provider-down=fate:rack"), 0.0);
    assert_eq!(success("--outage|provider-down=provider:simulated"), 0.0);
    let (_, shown, _) = desk.simulate("--outage|storm=fate:rack|--workload|1|--duration|6m");
    assert!(shown.contains("fate rack (near, beside): overloaded from 5.0m to 35.0m"), "{shown}");
}

#[test]
fn what_cannot_be_rehearsed_is_said_with_its_place() {
    let desk = Desk::new(&[
        ("routing.yaml", ROUTING),
        ("bad.yaml", "version: 1\nupstreams: {near: {provider: simulatd}}\nroutes: []\n"),
        ("outage.yaml", "outages: [{upstream: neer, from: 1m, to: 3m, fault: connect}]\n"),
        ("workload.yaml", "mix: [{model: other}]\n"),
        ("access.log", &line("demo", 0)),
        ("other.log", &line("other", 0)),
        ("quiet.log", "{\"timestamp\":\"2026-11-21T08:00:00Z\",\"target\":\"mainstay::server\"}\n"),
    ]);
    for (asked, expected) in [
        ("--outage-file|outage.yaml", "outage.yaml:1:22"),
        ("--outage-file|missing.yaml", "missing.yaml cannot be read"),
        ("--workload|workload.yaml|--duration|1m", "no route takes model `other`"),
        ("--workload|0", "use 0.001 to 100000"),
        ("--outage|storm=neer", "did you mean `near`? upstreams: far, keyed, near"),
        (
            "--outage|storm=fate:rack",
            "there is no upstream of fate `rack` in routing.yaml; fate groups: openai",
        ),
        ("--outage|storm=provider:opneai", "did you mean `openai`?"),
        ("--outage|storm=vendor:openai", "there is no upstream `vendor:openai`"),
        ("--workload|access.log|--scale|0.001", "leaves none of its 1 requests"),
        ("--outage|drizzle", "ready-made outages are provider-down"),
        ("--assert|success >= many", "no bound of success"),
        ("--duration|90", "write 90s"),
        ("--config|bad.yaml", "did you mean `simulated`?"),
        ("--duration|0s", "nobody would come"),
        ("--workload|missing.log", "missing.log cannot be read"),
        ("--workload|5|--from|10m", "--from is for an access log"),
        ("--workload|5|--loop", "--loop is for an access log"),
        ("--workload|access.log|--speed|0", "use a factor from 0.001 to 1000"),
        ("--workload|access.log|--from|noon", "how long after the log's begin"),
        ("--workload|access.log|--from|2h", "no request of it lies between"),
        ("--workload|other.log", "no route takes model `other`"),
        ("--workload|quiet.log", "mainstay::request=info"),
    ] {
        let (code, shown, said) = desk.simulate(asked);
        assert_eq!((code, shown.as_str()), (2, ""), "{asked}: {said}");
        assert!(said.contains(expected), "{asked}: {expected} is not in\n{said}");
    }
}

/// A line of an access log.
fn line(model: &str, second: u32) -> String {
    format!(
        r#"{{"timestamp":"2026-11-21T08:00:{second:02}.250000Z","level":"DEBUG","message":"request","request":"req_1","dialect":"openai","route":"{model}","model":"{model}","stream":true,"priority":"critical","channel":"near/{model}","outcome":"ok","attempts":1,"millis":250.0,"first_byte":60.0,"input":9,"output":12,"target":"mainstay::request"}}
"#
    )
}

#[test]
fn a_log_is_replayed_and_what_is_odd_in_it_is_said() {
    let text: String = (0..40).map(|second| line("demo", second)).collect();
    let text = format!("{text}{}half a li", line("gone", 50));
    let desk = Desk::new(&[("routing.yaml", ROUTING), ("alone.yaml", ALONE), ("access.log", &text)]);
    let (code, shown, said) = desk.simulate("--workload|access.log|--scale|2|--compare|alone.yaml|--json");
    assert_eq!(code, 0, "{shown}{said}");
    for expected in ["access.log:42: it is not one of", "no route takes model `gone` (2)"] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    let found: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let totals = |index: usize| found["reports"][index]["totals"].clone();
    assert_eq!((&totals(0)["requests"], &totals(0)["answered"]), (&82.into(), &80.into()));
    assert_eq!(totals(0)["reasons"]["no_route"], 2);
    assert_eq!(totals(1)["requests"], 82);
    assert!(found["reports"][0]["not_rehearsed"][0].as_str().is_some_and(|line| line.contains("wires")));

    let (code, shown, _) =
        desk.simulate("--workload|access.log|--to|30s|--loop|--duration|5m|--assert|success >= 100%");
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("of 1 requests a second") && shown.contains("not rehearsed: wires"), "{shown}");
}

#[test]
fn what_the_gateway_writes_of_its_requests_can_be_replayed() {
    let routing = "version: 1\nserver: {listen: LISTEN, admin: ADMIN}\nupstreams: {near: {provider: simulated, \
        simulated: {ttft: 40ms, pace: 2ms}}}\nroutes: [{model: 'demo-*', channels: [{upstream: near}]}]\n";
    let gateway = Gateway::start_logging(routing, "info");
    for stream in [true, false, true, true] {
        let body = format!(
            r#"{{"model":"demo-1","stream":{stream},"messages":[{{"role":"user","content":"secret words"}}]}}"#
        );
        let answer = http::post(gateway.callers, "/v1/chat/completions", &body).expect("it answers");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let written = || Some(gateway.log()).filter(|log| log.matches("mainstay::request").count() >= 4);
    let log = wait_for(30, written).unwrap_or_else(|| panic!("{}", gateway.log()));
    assert!(!log.contains("secret words"), "no prompt is written down");
    let desk = Desk::new(&[("access.log", &log)]);
    std::fs::copy(&gateway.file, desk.path().join("routing.yaml")).expect("it can be copied");
    let (code, shown, said) = desk.simulate("--workload|access.log|--duration|1m|--json");
    assert_eq!(code, 0, "{shown}{said}");
    let found: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    let totals = &found["reports"][0]["totals"];
    assert_eq!((&totals["requests"], &totals["success"]), (&4.into(), &1.0.into()), "{log}");
    let first = log.lines().find(|line| line.contains("mainstay::request")).expect("a line");
    let line: serde_json::Value = serde_json::from_str(first).expect("JSON");
    assert_eq!(
        (&line["model"], &line["stream"], &line["route"]),
        (&"demo-1".into(), &true.into(), &"demo-*".into())
    );
    for number in ["input", "output", "first_byte", "millis"] {
        assert!(line[number].as_f64().is_some_and(|value| value > 0.0), "{number}: {line}");
    }
}

#[test]
fn the_built_in_sample_stands_every_ready_made_outage_of_an_hour() {
    let desk = Desk::new(&[]);
    for ready in ["provider-down", "storm", "out-of-quota", "slow-creep", "flapping"] {
        let asked = format!("--outage|{ready}|--workload|0.2|--duration|1h|--assert|success >= 99%");
        let (code, shown, said) = desk.simulate(&asked);
        assert_eq!(code, 0, "{ready}: {shown}{said}");
    }
}
