//! `mainstay simulate`, as somebody types it: what it prints, writes and exits with.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

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

#[test]
fn what_cannot_be_rehearsed_is_said_with_its_place() {
    let desk = Desk::new(&[
        ("routing.yaml", ROUTING),
        ("bad.yaml", "version: 1\nupstreams: {near: {provider: simulatd}}\nroutes: []\n"),
        ("outage.yaml", "outages: [{upstream: neer, from: 1m, to: 3m, fault: connect}]\n"),
        ("workload.yaml", "mix: [{model: other}]\n"),
    ]);
    for (asked, expected) in [
        ("--outage-file|outage.yaml", "outage.yaml:1:22"),
        ("--outage-file|missing.yaml", "missing.yaml cannot be read"),
        ("--workload|workload.yaml|--duration|1m", "no route takes model `other`"),
        ("--workload|0", "use 0.001 to 100000"),
        ("--outage|storm=neer", "those of routing.yaml are near, far, keyed"),
        ("--outage|drizzle", "ready-made outages are provider-down"),
        ("--assert|success >= many", "no bound of success"),
        ("--duration|90", "write 90s"),
        ("--config|bad.yaml", "did you mean `simulated`?"),
        ("--duration|0s", "nobody would come"),
    ] {
        let (code, shown, said) = desk.simulate(asked);
        assert_eq!((code, shown.as_str()), (2, ""), "{asked}: {said}");
        assert!(said.contains(expected), "{asked}: {expected} is not in\n{said}");
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
