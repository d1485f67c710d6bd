//! A real Prometheus scrapes a real gateway through an outage, and then answers every expression of
//! `grafana/`: dashboards, their variables, and alerts.
//!
//! Needs Debian's package `prometheus` (which brings `promtool`).

use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::grafana::{dashboards, expressions, home, list, text};
use super::http;
use super::process::{Gateway, Guest, free_address, program, skip, wait_for};

/// Five routes: with somewhere else to go, for others to fall back to, alone, hedged, and steered. Times are short so
/// that an outage and its end fit into seconds. Nobody is at the Redis's address, nor at the
/// issuer's or the collector's, which is no trouble to anybody.
const ROUTING: &str = r#"
version: 1
server: {listen: LISTEN, admin: ADMIN, state_file: state.json, key_hash_secret: "${MAINSTAY_IT_SECRET}", redis: {url: "redis://127.0.0.1:1"}}
store: {url: "sqlite:ledger.db"}
telemetry: {otlp: {endpoint: "http://127.0.0.1:1", interval: 1s}}
alerts: {webhooks: {nobody: {url: "http://127.0.0.1:1/", format: slack}}}
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

/// Alerts whose expression has data only when something is wrong that this run cannot show.
const SILENT: [(&str, &str); 1] = [("MainstayNotScraped", "absent() answers only while nothing is scraped")];

/// Metrics that this run has nothing of.
const UNMADE: [(&str, &str); 2] = [
    ("mainstay_units_total", "simulated upstreams make no pictures"),
    ("mainstay_spend_", "its callers have no keys"),
];

/// Prometheus keeps a rate's samples this long here; the scrape interval is a second.
const RATE_INTERVAL: &str = "10s";

struct Prometheus {
    address: SocketAddr,
    guest: Guest,
}

impl Prometheus {
    fn start(binary: &Path, gateway: &Gateway) -> Self {
        let (address, directory) = (free_address(), gateway.directory());
        let config = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n\
             rule_files: ['{}']\n\
             scrape_configs: [{{job_name: mainstay, static_configs: [{{targets: ['{}']}}]}}]\n",
            home().join("alerts.yml").display(),
            gateway.admin
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
        Self { address, guest }
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

    /// How many series the expression has now.
    fn count(&self, expression: &str) -> Result<usize, String> {
        let data = self.api(&format!("/api/v1/query?query={}", http::encode(expression)))?;
        Ok(list(&data["result"]).len())
    }
}

#[test]
fn every_expression_has_data_after_an_outage() {
    let (Some(prometheus), Some(promtool)) = (program("prometheus"), program("promtool")) else {
        return skip("the Prometheus test", "prometheus and promtool are not installed (package prometheus)");
    };
    let gateway = Gateway::start(ROUTING);
    let prometheus = Prometheus::start(&prometheus, &gateway);
    outage(&gateway);

    let mut wanted: Vec<(String, String)> = Vec::new();
    for (file, dashboard) in dashboards() {
        for (title, expression) in expressions(&dashboard) {
            if UNMADE.iter().any(|(unmade, _)| expression.contains(unmade)) {
                continue;
            }
            wanted
                .extend(without_thresholds(&filled_in(expression)).map(|e| (format!("{file}: {title}"), e)));
        }
        for variable in list(&dashboard["templating"]["list"]) {
            if let Some((selector, label)) = label_values(text(&variable["definition"])) {
                let expression = format!("count by ({label}) ({})", filled_in(selector));
                wanted.push((format!("{file}: ${}", text(&variable["name"])), expression));
            }
        }
    }
    let dashboards = wanted.len();
    for rule in rules(&prometheus) {
        let (name, query) = (text(&rule["name"]), text(&rule["query"]));
        assert_eq!(rule["health"], "ok", "{name}: {}", rule["lastError"]);
        if SILENT.iter().all(|(silent, _)| *silent != name) {
            wanted.extend(without_thresholds(query).map(|e| (name.to_owned(), e)));
        }
    }
    assert!(dashboards > 40 && wanted.len() > dashboards + 10, "{dashboards} of {}", wanted.len());

    // What was counted last is scraped a second later, and rates want two samples.
    let mut missing = Vec::new();
    let all = wait_for(30, || {
        missing = wanted
            .iter()
            .filter_map(|(at, expression)| match prometheus.count(expression) {
                Ok(0) => Some(format!("{at}: no data: {expression}")),
                Ok(_) => None,
                Err(error) => panic!("{at}: {error}: {expression}"),
            })
            .collect();
        missing.is_empty().then_some(())
    });
    assert!(all.is_some(), "{}\n{}", missing.join("\n"), gateway.metrics());

    clean(Command::new(&promtool).args(["check", "rules"]).arg(home().join("alerts.yml")), "");
    clean(Command::new(&promtool).args(["check", "metrics"]), &gateway.metrics());
}

#[test]
fn alerts_fire_when_they_should_and_not_before() {
    let Some(promtool) = program("promtool") else {
        return skip("the alert tests", "promtool is not installed (package prometheus)");
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/grafana/alerts_test.yml");
    clean(Command::new(&promtool).args(["test", "rules"]).arg(file), "");
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
        http::post(gateway.callers, "/v1/chat/completions", &body.to_string()).expect("the gateway answers")
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

    // A fault is a hint to look elsewhere for a moment, so both are needed for several to break.
    for upstream in ["sim-a", "sim-b"] {
        fault(upstream, r#"[{"fault": {"kind": "cut", "after_events": 3, "how": "rst"}}]"#);
    }
    // Two in a row take an upstream out here; then the fallback answers.
    let broken = (0..4).filter(|_| !ask("demo", true).whole).count();
    assert!(broken >= 2, "{broken} of 4: a cut stream looks whole");
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
    std::fs::write(&gateway.file, good).expect("the file can be written");
    for upstream in ["sim-a", "sim-b", "sim-d"] {
        fault(upstream, "[]");
    }
}

/// An expression with Grafana's variables replaced, as Grafana does for "All".
fn filled_in(expression: &str) -> String {
    let mut text = expression.replace("$__rate_interval", RATE_INTERVAL).replace("$__range", "5m");
    for variable in ["$job", "$instance", "$route", "$upstream"] {
        text = text.replace(variable, ".+");
    }
    assert!(!text.contains('$'), "a variable that nobody fills in: {text}");
    text
}

/// `label_values(selector, label)`, split.
fn label_values(definition: &str) -> Option<(&str, &str)> {
    let (selector, label) = definition.strip_prefix("label_values(")?.strip_suffix(')')?.rsplit_once(',')?;
    Some((selector, label.trim()))
}

/// The sides of a condition that must have data for it to be judged: `a > 1 and b > 2` -> `a`, `b`.
fn without_thresholds(expression: &str) -> impl Iterator<Item = String> {
    let sides = split_outside(expression, &[" and "]);
    let comparisons = [" > ", " < ", " >= ", " <= ", " == ", " != "];
    sides.into_iter().map(move |side| {
        split_outside(side, &comparisons).first().map_or(side, |left| *left).trim().to_owned()
    })
}

/// Splits at words that stand neither in brackets nor in quotes.
fn split_outside<'a>(text: &'a str, words: &[&str]) -> Vec<&'a str> {
    let (mut parts, mut from, mut depth, mut quoted) = (Vec::new(), 0, 0_i32, false);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0
            && !quoted
            && at >= from
            && let Some(word) = words.iter().find(|word| text[at..].starts_with(**word))
        {
            parts.push(&text[from..at]);
            from = at + word.len();
        }
    }
    parts.push(&text[from..]);
    parts
}

#[test]
fn thresholds_are_cut_off_and_nothing_else() {
    let of = |expression: &str| without_thresholds(expression).collect::<Vec<_>>();
    assert_eq!(of("sum(rate(a[5m])) / sum(b) > 2 * 0.1 and c == 1"), ["sum(rate(a[5m])) / sum(b)", "c"]);
    assert_eq!(of("count(a{b=\" > \"} == 1) > 1"), ["count(a{b=\" > \"} == 1)"]);
    assert_eq!(of("absent(a)"), ["absent(a)"]);
}
