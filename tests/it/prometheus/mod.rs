//! A real Prometheus scrapes a real gateway through an outage, and then answers every expression of
//! `grafana/`: dashboards, their variables, and alerts.
//!
//! Needs Debian's package `prometheus` (which brings `promtool`).

mod questions;

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tempfile::TempDir;

pub use self::questions::label_values;
use self::questions::{Question, questions, without_thresholds};
use super::grafana::{dashboards, files, home, list, read, text};
use super::http;
use super::process::{Gateway, Guest, Place, program, skip, wait_for};

/// Five routes: with somewhere else to go, for others to fall back to, alone, hedged, and steered. Times are short so
/// that an outage and its end fit into seconds. Nobody is at the Redis's address, nor at the
/// issuer's or the collector's, which is no trouble to anybody.
const ROUTING: &str = r#"
version: 1
server: {listen: LISTEN, admin: ADMIN, state_file: state.json, key_hash_secret: "${MAINSTAY_IT_SECRET}", redis: {url: "redis://127.0.0.1:1"}}
store: {url: "sqlite:ledger.db"}
catalog: {file: 'PRICES'}
telemetry: {otlp: {endpoint: "http://127.0.0.1:1", interval: 1s}, capture: {enabled: true, path: captures, share: 100%}}
alerts: {webhooks: {nobody: {url: "http://127.0.0.1:1/", format: slack}}}
keys: {ada: {secret: "${MAINSTAY_IT_SECRET}"}}
issuers: {nobody: {issuer: "http://127.0.0.1:1", audience: mainstay}}
upstreams:
  sim-a: {provider: simulated, fate: all, credentials: ["${MAINSTAY_IT_KEY_A:-simulated-key-a}"], quota: {rpm: 600000, tpm: 600000000}, simulated: {ttft: 5ms, pace: 1ms}}
  sim-b: {provider: simulated, fate: all, credentials: ["${MAINSTAY_IT_KEY_B:-simulated-key-b}"], simulated: {ttft: 5ms, pace: 1ms}}
  sim-c: {provider: simulated, fate: all, simulated: {ttft: 5ms, pace: 1ms}}
  sim-d: {provider: simulated, fate: all, simulated: {ttft: 5ms, pace: 1ms}}
routes:
  - {model: demo, channels: [{upstream: sim-a}, {upstream: sim-b}], fallback: [spare]}
  - {model: spare, select: sticky, continuation: any, coalesce: true, cache: {enabled: true}, on_exhausted: [stale, fail], channels: [{upstream: sim-c}]}
  - {model: alone, limits: {rpm: 600000}, budgets: [{per: day, limit: 1000, downgrade_to: spare}], channels: [{upstream: sim-d}]}
  - {model: hedged, channels: [{upstream: sim-c}, {upstream: sim-d}], hedge: {enabled: true, delay: 1ms, max_share: 1}}
  - {model: steered, channels: [{upstream: sim-c}], rules: [{when: {stream: true}, use: alone}], split: {arms: {a: {share: 99%}, b: {share: 1%}}}, mirror: {to: spare, share: 100%}}
defaults:
  breaker: {consecutive: {failures: 2}}
  probe: {interval: 1s, fast_interval: 500ms, down_interval: 1s, no_traffic_interval: 2s, timeout: 500ms}
"#;

/// Dollars for a million tokens; the other models' are unknown.
const PRICES: &str = "providers: {simulated: {demo: {price: {input: 1000, output: 2000}}}}\n";

/// What this run has no data for, and why: a panel's title, or a rule's name.
const SILENT: [(&str, &str); 3] = [
    ("Other things that are paid for", "simulated upstreams make no pictures"),
    ("Certificates end", "nobody speaks TLS here"),
    ("MainstayCertificateEnds", "nobody speaks TLS here"),
];

struct Prometheus {
    address: SocketAddr,
    _place: Place,
    guest: Guest,
}

impl Prometheus {
    fn start(binary: &Path, gateway: &Gateway) -> Self {
        let (place, directory) = (Place::reserve(), gateway.directory());
        let address = place.address;
        // Nobody waits here for what has to hold for a quarter of an hour before it fires.
        let alerts = read(&home().join("alerts.yml"));
        let alerts: Vec<_> = alerts
            .lines()
            .map(|line| if line.starts_with("        for: ") { "        for: 0m" } else { line })
            .collect();
        let impatient = directory.join("alerts.yml");
        std::fs::write(&impatient, alerts.join("\n")).expect("the temporary directory can be written");
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: ['{}', '{}']\n\
             scrape_configs: [{{job_name: mainstay, static_configs: [{{targets: ['{}']}}]}}]\n",
            home().join("rules.yml").display(),
            impatient.display(),
            gateway.admin,
        );
        let file = directory.join("prometheus.yml");
        std::fs::write(&file, config).expect("the temporary directory can be written");
        let mut command = Command::new(binary);
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=warn");
        let mut guest = Guest::start(&mut command, directory, "prometheus");
        let ready = wait_for(60, || {
            assert!(guest.ended().is_none(), "prometheus ended:\n{}", guest.said());
            http::get(address, "/-/ready").ok().filter(|answer| answer.status == 200)
        });
        assert!(ready.is_some(), "prometheus is not ready after a minute:\n{}", guest.said());
        let prometheus = Self { address, _place: place, guest };
        // It learns of its targets some seconds after it is ready; what happens before that is nothing to it.
        let scraped = wait_for(60, || {
            let data = prometheus.api("/api/v1/query?query=up%20%3D%3D%201").ok()?;
            (!list(&data["result"]).is_empty()).then_some(())
        });
        assert!(scraped.is_some(), "the gateway is not scraped after a minute:\n{}", prometheus.guest.said());
        prometheus
    }

    fn api(&self, path: &str) -> Result<Value, String> {
        let answer =
            http::get(self.address, path).unwrap_or_else(|error| panic!("{error}:\n{}", self.guest.said()));
        let json = answer.json();
        if json["status"] == "success" {
            Ok(json["data"].clone())
        } else {
            Err(text(&json["error"]).to_owned())
        }
    }

    /// The series that a question has an answer for: at this moment, or at any second of the last minutes.
    #[expect(clippy::disallowed_methods, reason = "another process runs by the clock on the wall")]
    fn ask(&self, question: &Question) -> Vec<Value> {
        let expression = http::encode(&question.expression);
        let path = if question.instant {
            format!("/api/v1/query?query={expression}")
        } else {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
            format!("/api/v1/query_range?query={expression}&start={}&end={now}&step=1", now - 120)
        };
        let data =
            self.api(&path).unwrap_or_else(|e| panic!("{}: {e}: {}", question.at, question.expression));
        list(&data["result"]).to_vec()
    }
}

#[test]
fn every_expression_has_data_after_an_outage() {
    let (Some(prometheus), Some(promtool)) = (program("prometheus"), program("promtool")) else {
        return skip("the Prometheus test", "prometheus and promtool are not installed (package prometheus)");
    };
    let folder = TempDir::with_prefix("mainstay-prices-").expect("there is a temporary directory");
    let prices = folder.path().join("prices.yaml");
    std::fs::write(&prices, PRICES).expect("the temporary directory can be written");
    let gateway = Gateway::start(&ROUTING.replace("PRICES", &prices.display().to_string()));
    let prometheus = Prometheus::start(&prometheus, &gateway);
    outage(&gateway);

    let mut wanted: Vec<Question> = Vec::new();
    for (file, dashboard) in dashboards() {
        wanted.extend(questions(&file, &dashboard));
    }
    let of_dashboards = wanted.len();
    for rule in rules(&prometheus) {
        let (name, query) = (text(&rule["name"]), text(&rule["query"]));
        assert_eq!(rule["health"], "ok", "{name}: {}", rule["lastError"]);
        wanted.extend(without_thresholds(query).into_iter().map(|e| Question::of_rule(name, e)));
    }
    assert!(of_dashboards > 150 && wanted.len() > of_dashboards + 80, "{of_dashboards} of {}", wanted.len());

    // What was counted last is scraped a second later, and rates want two samples. Whoever has had his answer keeps it.
    let (silent, mut open): (Vec<_>, Vec<_>) =
        wanted.into_iter().partition(|question| SILENT.iter().any(|(name, _)| *name == question.name));
    let all = wait_for(75, || {
        open.retain(|question| question.wrong(&prometheus.ask(question)).is_some());
        open.is_empty().then_some(())
    });
    let wrong: Vec<_> =
        open.iter().filter_map(|question| question.wrong(&prometheus.ask(question))).collect();
    assert!(all.is_some(), "{}\n{}", wrong.join("\n"), gateway.metrics());
    for question in silent {
        assert!(
            question.wrong(&prometheus.ask(&question)).is_some(),
            "{}: there is data all the same",
            question.at
        );
    }

    clean(Command::new(&promtool).args(["check", "metrics"]), &gateway.metrics());
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    let Some(promtool) = program("promtool") else {
        return skip("the alert tests", "promtool is not installed (package prometheus)");
    };
    clean(
        Command::new(&promtool)
            .args(["check", "rules"])
            .args(["rules.yml", "alerts.yml"].map(|file| home().join(file))),
        "",
    );
    clean(Command::new(&promtool).args(["test", "rules"]).args(files("tests", ".yml")), "");
}

/// The rules as Prometheus reads them, once each has been evaluated.
fn rules(prometheus: &Prometheus) -> Vec<Value> {
    let evaluated = || {
        let data = prometheus.api("/api/v1/rules").expect("rules are listed");
        let groups = list(&data["groups"]).iter();
        let rules: Vec<Value> = groups.flat_map(|group| list(&group["rules"])).cloned().collect();
        rules.iter().all(|rule| rule["health"] != "unknown").then_some(rules)
    };
    let rules = wait_for(30, evaluated).expect("rules are evaluated every second");
    assert!(!rules.is_empty());
    rules
}

/// Runs a checker that must find nothing.
fn clean(command: &mut Command, input: &str) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool starts");
    child
        .stdin
        .take()
        .expect("stdin is piped")
        .write_all(input.as_bytes())
        .expect("promtool reads all of it");
    let output = child.wait_with_output().expect("promtool ends");
    let said =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{command:?}: {said}");
    assert!(!said.contains("warning") && !said.contains("should"), "{command:?}: {said}");
}

/// Everything that a dashboard has a panel for: answers, failovers, fallbacks, failures, a rate limit,
/// broken streams, bad requests and a refused file.
fn outage(gateway: &Gateway) {
    let ask = |model: &str, stream: bool| {
        let body = serde_json::json!({"model": model, "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
        let key = "the-secret-of-all-the-gateways-of-tests";
        http::post_as(key, gateway.callers, "/v1/chat/completions", &body.to_string())
            .expect("the gateway answers")
    };
    let many = |model: &str, stream: bool, times: u32| -> Vec<u16> {
        (0..times).map(|_| ask(model, stream).status).collect()
    };
    let fault = |upstream: &str, rules: &str| {
        let path = format!("/admin/simulated/{upstream}");
        let answer = http::call(gateway.admin, "PUT", &path, Some(rules)).expect("the admin side answers");
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.body);
    };
    assert_eq!(many("demo", false, 10), [200; 10]);
    assert_eq!(many("demo", true, 6), [200; 6]);
    assert_eq!(many("alone", false, 2), [200; 2]);
    assert_eq!(many("hedged", false, 4), [200; 4]);
    assert_eq!(many("steered", false, 4), [200; 4]);
    let unknown = ask("no-such-model", false);
    assert_eq!(unknown.status, 404);
    assert!(unknown.header("x-mainstay-request-id").is_some());
    let nonsense =
        http::post(gateway.callers, "/v1/chat/completions", "{\"model\":").expect("the gateway answers");
    assert_eq!(nonsense.status, 400);

    fault("sim-a", r#"[{"fault": {"kind": "rate_limited", "retry_after_ms": 1000}}]"#);
    assert_eq!(many("demo", false, 6), [200; 6]);

    // A fault is a hint to look elsewhere for a moment, and later streams of the same channel are held back, so that
    // each breaks for one caller at most.
    for upstream in ["sim-a", "sim-b"] {
        fault(upstream, r#"[{"fault": {"kind": "cut", "after_events": 3, "how": "rst"}}]"#);
    }
    // Two in a row take an upstream out here; then the fallback answers.
    let broken = (0..4).filter(|_| !ask("demo", true).whole).count();
    assert!((1..=2).contains(&broken), "{broken} of 4 break for their callers");
    fault("sim-b", "[]");

    fault("sim-a", r#"[{"fault": {"kind": "refuse"}}]"#);
    assert_eq!(many("demo", false, 12), [200; 12]);
    assert_eq!(many("demo", true, 6), [200; 6]);

    fault("sim-b", r#"[{"fault": {"kind": "refuse"}}]"#);
    assert_eq!(many("demo", false, 8), [200; 8]);

    fault("sim-d", r#"[{"fault": {"kind": "refuse"}}]"#);
    assert!(many("alone", false, 10).iter().all(|status| *status >= 500));

    let good = std::fs::read_to_string(&gateway.file).expect("the file can be read");
    std::fs::write(&gateway.file, format!("{good}\nnonsense: true\n")).expect("the file can be written");
    let refused = || gateway.metrics().contains("\nmainstay_config_last_reload_failed 1\n").then_some(());
    assert!(wait_for(20, refused).is_some(), "the broken file went unnoticed:\n{}", gateway.said());
    std::fs::write(&gateway.file, good.replace("down_interval: 1s", "down_interval: 2s"))
        .expect("the file can be written");
    for upstream in ["sim-a", "sim-b", "sim-d"] {
        fault(upstream, "[]");
    }

    let said =
        http::call(gateway.admin, "POST", "/admin/upstreams/sim-c/restore", Some(r#"{"model": "spare"}"#));
    assert_eq!(said.expect("the admin side answers").status, 200, "an operator may speak of one model");
}
