//! The `telemetry:` section: how much is exported, and which collector is told of it.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::Scene;
use super::alerts::is_here;
use crate::config::blueprint::{Compression, Otlp, Telemetry};
use crate::config::file::telemetry::{self, CompressionName};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::{settle, url};
use crate::vocab::Secret;

/// Headers that say what a body is.
const OURS: [&str; 5] = ["content-type", "content-encoding", "content-length", "host", "transfer-encoding"];
const MOST_HEADERS: usize = 16;

pub fn check(scene: &Scene<'_>, findings: &mut Findings) -> Telemetry {
    let said = &scene.file.telemetry;
    let path = Path::root().key("telemetry").key("otlp");
    let privacy = settle::privacy(said);
    if privacy.is_zero_log() && scene.file.ledger.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
        let message = "no request has labels where `telemetry.zero_log` is on";
        findings.warn(&Path::root().key("ledger").key("tags"), message, "remove them");
    }
    Telemetry {
        log: settle::log(said),
        privacy,
        journal_requests: settle::journal_requests(&said.journal),
        max_series: settle::max_series(&said.metrics),
        otlp: said.otlp.as_ref().and_then(|said| otlp(said, &path, findings)),
        // It names routes and keys: see `capture`.
        capture: None,
    }
}

fn otlp(said: &telemetry::Otlp, path: &Path, findings: &mut Findings) -> Option<Otlp> {
    const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(1);
    const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_mins(1);
    // A missing one was reported by the schema.
    let text = said.endpoint.as_deref()?;
    let endpoint = match url::parse(text, "") {
        Ok(endpoint) => Some(endpoint),
        Err(refused) => {
            let hint = "write one like http://collector:4318";
            findings.error(&path.key("endpoint"), format!("the address {}", refused.why), hint);
            None
        }
    };
    let headers = headers(said, path, findings);
    if let Some(endpoint) = endpoint.as_ref().filter(|endpoint| !endpoint.https && !is_here(endpoint))
        && !headers.is_empty()
    {
        let message = format!("headers go to {} in clear text", endpoint.authority());
        findings.warn(&path.key("endpoint"), message, "begin with https://");
    }
    let (interval, timeout) = (settle::otlp_interval(said), settle::otlp_timeout(said));
    if !INTERVAL.contains(&interval) {
        findings.error(&path.key("interval"), "metrics are sent every 1s to 1h", "60s is the default");
    }
    if !TIMEOUT.contains(&timeout) {
        findings.error(&path.key("timeout"), "an answer is waited for 100ms to 60s", "10s is the default");
    }
    let traces = settle::otlp_traces(&said.traces);
    if traces.and_then(|traces| traces.slow).is_some_and(|slow| slow.is_zero()) {
        let hint = "write one like 30s, or `sample: 100%`";
        findings.error(&path.key("traces").key("slow"), "every request takes longer than that", hint);
    }
    Some(Otlp {
        endpoint: endpoint?,
        headers,
        interval,
        timeout,
        compression: match said.compression {
            None | Some(CompressionName::Gzip) => Compression::Gzip,
            Some(CompressionName::None) => Compression::None,
        },
        metrics: said.metrics.unwrap_or(true),
        traces,
    })
}

fn headers(said: &telemetry::Otlp, path: &Path, findings: &mut Findings) -> Vec<(HeaderName, Secret)> {
    let path = path.key("headers");
    if said.headers.0.len() > MOST_HEADERS {
        findings.error(&path, format!("there are more than {MOST_HEADERS} headers"), "remove some");
    }
    let mut known = Vec::new();
    for (name, value) in &said.headers.0 {
        let at = path.key(name);
        let Ok(parsed) = HeaderName::try_from(name.as_str()) else {
            findings.error_at_key(&at, "this is no name of a header", "use letters, digits and `-`");
            continue;
        };
        if OURS.contains(&parsed.as_str()) {
            findings.error_at_key(&at, "the gateway itself says what it sends", "remove it");
        } else if value.is_empty() || HeaderValue::from_str(value).is_err() {
            let hint = "set what it refers to; line breaks cannot be sent";
            findings.error(&at, "its value is empty, or has a character that no header can carry", hint);
        } else {
            known.push((parsed, Secret::new(value.as_str())));
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use tracing::level_filters::LevelFilter;

    use super::*;
    use crate::config::blueprint::Propagate;
    use crate::config::testing::Given;
    use crate::config::{Loaded, Problem, Severity, load};
    use crate::telemetry::logs::{self, Choice, Requests};
    use crate::vocab::Privacy;

    fn loaded(telemetry: &str) -> Result<Loaded, Vec<Problem>> {
        let text = format!(
            "version: 1\nupstreams: {{a: {{provider: simulated}}}}\nroutes: [{{model: m, channels: [{{upstream: a}}]}}]\n\
             telemetry: {telemetry}\n"
        );
        load(&text, &Given::default().var("TOKEN", "hunter2-of-the-collector"))
    }

    #[test]
    fn so_many_series_as_is_said_or_two_thousand() {
        let most = |telemetry: &str| loaded(telemetry).map(|loaded| loaded.blueprint.telemetry.max_series);
        assert_eq!(most("{}"), Ok(2_000));
        assert_eq!(most("{metrics: {max_series: 1}}"), Ok(1));
        assert_eq!(most("{metrics: {max_series: 1000000}}"), Ok(1_000_000));
    }

    #[test]
    fn a_collector_is_told_every_minute_unless_something_else_is_said() {
        assert_eq!(loaded("{}").expect("sound").blueprint.telemetry.otlp, None);
        let otlp = |said: &str| loaded(said).expect("sound").blueprint.telemetry.otlp.expect("a collector");
        let usual = otlp("{otlp: {endpoint: 'http://127.0.0.1:4318'}}");
        assert_eq!(
            (&*usual.endpoint.host, usual.endpoint.port, &*usual.endpoint.path),
            ("127.0.0.1", 4318, "")
        );
        assert_eq!((usual.interval, usual.timeout), (Duration::from_mins(1), Duration::from_secs(10)));
        assert!(usual.metrics && usual.compression == Compression::Gzip && usual.headers.is_empty());
        assert_eq!(usual.traces, None);
        let other = otlp(
            "{otlp: {endpoint: 'https://c.example.com/otlp/', headers: {Authorization: 'Bearer ${TOKEN}', x-scope: a}, \
             interval: 1s, timeout: 100ms, compression: none, metrics: false}}",
        );
        assert_eq!(other.endpoint.path, "/otlp");
        assert_eq!(other.headers[0].0, "authorization");
        assert_eq!(other.headers[0].1.expose(), "Bearer hunter2-of-the-collector");
        assert!(!other.metrics && other.compression == Compression::None);
        assert!(!format!("{other:?}").contains("hunter2"));
    }

    #[test]
    fn the_log_is_as_it_is_said_to_be() {
        let telemetry = |said: &str| loaded(said).expect("sound").blueprint.telemetry;
        assert_eq!(telemetry("{}").log, logs::Settings::default());
        let other = telemetry("{log: {format: pretty, requests: none, level: 'off'}, zero_log: true}");
        assert_eq!((other.log.format, other.log.requests), (Choice::Plain, Requests::None));
        assert_eq!((other.log.level, other.log.privacy), (LevelFilter::OFF, Privacy::ZeroLog));
        assert_eq!(other.privacy, Privacy::ZeroLog);
    }

    #[test]
    fn whoever_is_above_a_key_may_say_that_nothing_of_its_requests_is_kept() {
        const TREE: &str = "version: 1\naccess: keys\nupstreams: {a: {provider: simulated}}\n\
            routes: [{model: m, channels: [{upstream: a}]}]\n\
            organisations: {acme: {zero_log: ORGANISATION}}\nteams: {growth: {organisation: acme, zero_log: TEAM}}\n\
            users: {ada: {team: growth, zero_log: USER}}\n\
            keys: {desk: {secret: '${TOKEN}', user: ada, zero_log: KEY}}\n\
            issuers: {okta: {issuer: 'https://okta.example.com', audience: a, otherwise: {user: ada}, zero_log: ISSUER}}\n";
        const WHO: [&str; 5] = ["ORGANISATION", "TEAM", "USER", "KEY", "ISSUER"];
        let kept = |says: Option<&str>| {
            let word = |who| if says == Some(who) { "true" } else { "false" };
            let text = WHO.iter().fold(TREE.to_owned(), |text, who| text.replace(who, word(who)));
            let env = Given::default().var("TOKEN", "hunter2-of-the-desk-of-ada");
            let blueprint = load(&text, &env).expect("sound").blueprint;
            (blueprint.keys[0].lineage.privacy(), blueprint.issuers[0].own.zero_log)
        };
        assert_eq!(kept(None), (Privacy::Usual, false));
        for who in &WHO[..4] {
            assert_eq!(kept(Some(who)), (Privacy::ZeroLog, false), "{who}");
        }
        assert_eq!(kept(Some("ISSUER")), (Privacy::Usual, true));
    }

    #[test]
    fn of_requests_it_is_told_where_that_is_said() {
        let traces = |said: &str| {
            let said = format!("{{otlp: {{endpoint: 'http://c:4318', traces: {said}}}}}");
            loaded(&said).expect("sound").blueprint.telemetry.otlp.and_then(|otlp| otlp.traces)
        };
        assert_eq!(traces("{sample: 100%}"), None);
        let usual = traces("{enabled: true}").expect("it is told");
        assert_eq!((usual.sample.hundredths(), usual.failed.hundredths()), (100, 10_000));
        assert_eq!((usual.slow, usual.followed, usual.propagate), (None, 100, Propagate::Services));
        let other = "{enabled: true, sample: 0.25%, failed: 0%, slow: 30s, followed: 0, propagate: all}";
        let other = traces(other).expect("it is told");
        assert_eq!((other.sample.hundredths(), other.failed.hundredths()), (25, 0));
        assert_eq!((other.slow, other.followed), (Some(Duration::from_secs(30)), 0));
        assert_eq!(other.propagate, Propagate::All);
    }

    #[test]
    fn what_could_not_work_is_refused_at_its_place() {
        let otlp = |rest: &str| format!("{{otlp: {{endpoint: 'http://c:4318'{rest}}}}}");
        for (said, path) in [
            ("{metrics: {max_series: 0}}".to_owned(), "telemetry.metrics.max_series"),
            ("{metrics: {max_series: 1000001}}".to_owned(), "telemetry.metrics.max_series"),
            ("{otlp: {metrics: true}}".to_owned(), "telemetry.otlp"),
            ("{otlp: {endpoint: 'collector:4318'}}".to_owned(), "telemetry.otlp.endpoint"),
            ("{otlp: {endpoint: 'grpc://c:4317'}}".to_owned(), "telemetry.otlp.endpoint"),
            (otlp(", interval: 900ms"), "telemetry.otlp.interval"),
            (otlp(", interval: 61m"), "telemetry.otlp.interval"),
            (otlp(", timeout: 99ms"), "telemetry.otlp.timeout"),
            (otlp(", timeout: 61s"), "telemetry.otlp.timeout"),
            (otlp(", headers: {content-type: a}"), "telemetry.otlp.headers.content-type"),
            (otlp(", headers: {'a b': a}"), "telemetry.otlp.headers[\"a b\"]"),
            (otlp(", headers: {a: ''}"), "telemetry.otlp.headers.a"),
            (otlp(", compression: zstd"), "telemetry.otlp.compression"),
            (otlp(", traces: {sample: 0.01}"), "telemetry.otlp.traces.sample"),
            (otlp(", traces: {failed: 101%}"), "telemetry.otlp.traces.failed"),
            (otlp(", traces: {enabled: true, slow: 0s}"), "telemetry.otlp.traces.slow"),
            (otlp(", traces: {followed: 100001}"), "telemetry.otlp.traces.followed"),
            (otlp(", traces: {propagate: some}"), "telemetry.otlp.traces.propagate"),
        ] {
            let problems = loaded(&said).expect_err(&said);
            let errors: Vec<_> =
                problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
            let [problem] = *errors else { panic!("{said}: {problems:#?}") };
            assert_eq!(problem.path, path, "{said}: {problem:?}");
        }
    }

    #[test]
    fn headers_in_clear_text_are_warned_of_but_on_this_machine() {
        let warnings = |endpoint: &str, headers: &str| {
            let said = format!("{{otlp: {{endpoint: '{endpoint}'{headers}}}}}");
            let warnings = loaded(&said).expect("sound").warnings;
            warnings.iter().filter(|warning| warning.path == "telemetry.otlp.endpoint").count()
        };
        let with = ", headers: {authorization: '${TOKEN}'}";
        assert_eq!(warnings("http://c:4318", with), 1);
        assert_eq!(warnings("http://c:4318", "") + warnings("https://c", with), 0);
        assert_eq!(warnings("http://localhost:4318", with), 0);
    }
}
