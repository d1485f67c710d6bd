//! `telemetry.capture`: whose words are kept, where, how much and for how long, and what is struck out of them.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::Scene;
use super::reach::{Known, Sort};
use crate::config::blueprint::{Capture, Expression, Redact};
use crate::config::file::telemetry;
use crate::config::nearest::{did_you_mean, listed};
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::settle;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const BODY: RangeInclusive<u64> = KIB..=MIB;
const TOTAL: RangeInclusive<u64> = MIB..=MIB * MIB;
const RETENTION: RangeInclusive<Duration> = Duration::from_mins(1)..=Duration::from_hours(366 * 24);
/// What is on disk has room for as many bodies of the greatest length: half of them requests, half answers.
const BODIES: u64 = 64;
const MOST_PATTERNS: usize = 64;
/// Characters of one.
const LONGEST_PATTERN: usize = 1000;

/// `None` where nothing is captured, and the file names no place where something may lie.
pub fn check(scene: &Scene<'_>, known: &Known<'_>, findings: &mut Findings) -> Option<Arc<Capture>> {
    let said = &scene.file.telemetry.capture;
    let path = Path::root().key("telemetry").key("capture");
    let enabled = said.enabled.unwrap_or(false);
    amounts(said, &path, findings);
    for (list, is_empty) in [("routes", said.routes.is_empty()), ("keys", said.keys.is_empty())] {
        if is_empty && scene.root.has_value(&path.key(list)) {
            let hint = "name some, or leave it out for all of them";
            findings.error(&path.key(list), "the list is empty", hint);
        }
    }
    let routes = routes(said, known, &path, findings);
    keys(scene, &path, findings);
    let redact = redact(&said.redact, &path.key("redact"), findings);
    if enabled && said.path.is_none() {
        let hint = "name a directory of its own with `path`, as in captures";
        findings.error_at_key(&path, "captures have no place", hint);
    }
    if enabled && scene.file.telemetry.zero_log == Some(true) {
        let hint =
            "write `enabled: false`, or say zero_log of those keys only whose words are not to be kept";
        findings.warn(&path.key("enabled"), "nothing is captured while telemetry.zero_log holds", hint);
    }
    let directory = said.path.as_deref()?;
    if directory.is_empty() {
        findings.error(&path.key("path"), "the directory has no name", "write one like captures");
    }
    Some(Arc::new(Capture {
        enabled,
        path: directory.into(),
        routes,
        keys: said.keys.iter().map(|name| name.as_str().into()).collect(),
        share: settle::capture_share(said),
        only: settle::captured(said),
        max_body: usize::try_from(settle::capture_body(said)).unwrap_or(usize::MAX),
        max_total: settle::capture_total(said),
        retention: settle::capture_retention(said),
        opt_out: said.opt_out.unwrap_or(true),
        redact,
    }))
}

fn amounts(said: &telemetry::Capture, path: &Path, findings: &mut Findings) {
    if said.share.is_some_and(|share| share.hundredths() == 0) {
        let hint = "write `enabled: false`, or a share such as 1%";
        findings.error(&path.key("share"), "0% captures nothing", hint);
    }
    let (body, total) = (settle::capture_body(said), settle::capture_total(said));
    if !BODY.contains(&body) {
        findings.error(&path.key("max_body"), "1KiB to 1MiB of a body is kept", "64KiB is the default");
    } else if !TOTAL.contains(&total) {
        findings.error(&path.key("max_total"), "captures have 1MiB to 1TiB on disk", "1GiB is the default");
    } else if total < BODIES * body {
        let hint = format!("write {}KiB or more, or less for max_body", (BODIES * body).div_ceil(KIB));
        findings.error(&path.key("max_total"), "there is room for a few bodies of max_body only", hint);
    }
    if !RETENTION.contains(&settle::capture_retention(said)) {
        findings.error(&path.key("retention"), "captures are kept for 1m to 366d", "7d is the default");
    }
}

/// The own names of those that are captured.
fn routes(
    said: &telemetry::Capture,
    known: &Known<'_>,
    path: &Path,
    findings: &mut Findings,
) -> Vec<Box<str>> {
    let route = |(index, name): (usize, &String)| match known.route(name, Sort::Any) {
        Ok(own) => Some(own.into()),
        Err(hint) => {
            let path = path.key("routes").index(index);
            findings.error(&path, format!("no route is called `{name}`"), hint);
            None
        }
    };
    said.routes.iter().enumerate().filter_map(route).collect()
}

/// They are made elsewhere, too.
fn keys(scene: &Scene<'_>, path: &Path, findings: &mut Findings) {
    let keys: Vec<&str> = scene.file.keys.0.iter().map(|(name, _)| name.as_str()).collect();
    let said = scene.file.telemetry.capture.keys.iter().enumerate();
    for (index, name) in said.filter(|(_, name)| !keys.contains(&name.as_str())) {
        let close = did_you_mean(name, keys.iter().copied());
        let here = if keys.is_empty() { "none".to_owned() } else { listed(keys.iter().copied()) };
        let message = format!("no key of this file is called `{name}`");
        findings.warn(&path.key("keys").index(index), message, format!("{close}keys that it has: {here}"));
    }
}

fn redact(said: &telemetry::Redact, path: &Path, findings: &mut Findings) -> Redact {
    let path = path.key("patterns");
    if said.patterns.len() > MOST_PATTERNS {
        let hint = "put some of them together with `|`";
        findings.error(&path, format!("there are more than {MOST_PATTERNS} patterns"), hint);
    }
    let mut patterns = Vec::new();
    for (index, text) in said.patterns.iter().enumerate() {
        let parsed = if text.chars().count() > LONGEST_PATTERN {
            Err(format!("it has more than {LONGEST_PATTERN} characters"))
        } else {
            Expression::parse(text)
        };
        match parsed {
            Ok(pattern) => patterns.push(pattern),
            Err(why) => findings.error(
                &path.index(index),
                format!("the pattern cannot be used: {why}"),
                "write it in the syntax of Rust's regex, which looks neither ahead nor back",
            ),
        }
    }
    let is_struck = |said: Option<bool>| said.unwrap_or(true);
    Redact {
        keys: is_struck(said.keys),
        email: is_struck(said.email),
        cards: is_struck(said.cards),
        phone: is_struck(said.phone),
        patterns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::blueprint::Captured;
    use crate::config::testing::Given;
    use crate::config::{Loaded, Problem, Severity, load};

    fn loaded(capture: &str) -> Result<Loaded, Vec<Problem>> {
        let text = format!(
            "version: 1\nupstreams: {{a: {{provider: simulated}}}}\nroutes: [{{model: m, aliases: [smart], channels: [{{upstream: a}}]}}]\n\
             keys: {{desk: {{secret: '${{DESK}}'}}}}\ntelemetry: {{capture: {capture}}}\n"
        );
        load(&text, &Given::default().var("DESK", "ms-desk-0123456789abcdef0123456789"))
    }

    fn capture(said: &str) -> Option<Arc<Capture>> {
        loaded(said).unwrap_or_else(|problems| panic!("{said}: {problems:#?}")).blueprint.telemetry.capture
    }

    #[test]
    fn nothing_is_captured_unless_somebody_says_so() {
        assert_eq!(capture("{}"), None);
        let off = capture("{path: captures}").expect("what lies there is aged out");
        assert!(!off.enabled);
        let usual = capture("{enabled: true, path: captures}").expect("a place");
        assert!(usual.enabled && usual.opt_out && usual.routes.is_empty() && usual.keys.is_empty());
        assert_eq!((usual.share.hundredths(), usual.only), (100, Captured::All));
        assert_eq!((usual.max_body, usual.max_total), (64 << 10, 1 << 30));
        assert_eq!(usual.retention, Duration::from_hours(168));
        let Redact { keys, email, cards, phone, patterns } = &usual.redact;
        assert!(*keys && *email && *cards && *phone && patterns.is_empty());
    }

    #[test]
    fn whose_and_how_much_is_as_it_is_said() {
        let said = "{enabled: true, path: c, routes: [smart], keys: [desk], share: 0.5%, only: failed, max_body: 1KiB, \
                    max_total: 1MiB, retention: 1m, opt_out: false, redact: {phone: false, patterns: ['A-\\d+']}}";
        let capture = capture(said).expect("a place");
        assert_eq!(
            (&*capture.routes[0], &*capture.keys[0]),
            ("m", "desk"),
            "an alias is the route that it means"
        );
        assert_eq!((capture.share.hundredths(), capture.only), (50, Captured::Failed));
        assert_eq!((capture.max_body, capture.max_total), (1 << 10, 1 << 20));
        assert!(!capture.opt_out && !capture.redact.phone && capture.redact.cards);
        assert!(capture.redact.patterns[0].regex().is_match("A-17"));
    }

    #[test]
    fn what_could_not_work_is_refused_at_its_place() {
        let at = |rest: &str| format!("{{enabled: true, path: c, {rest}}}");
        for (said, path) in [
            ("{enabled: true}".to_owned(), "telemetry.capture"),
            ("{path: ''}".to_owned(), "telemetry.capture.path"),
            (at("share: 0%"), "telemetry.capture.share"),
            (at("max_body: 1023B"), "telemetry.capture.max_body"),
            (at("max_body: 1025KiB"), "telemetry.capture.max_body"),
            (at("max_body: 1KiB, max_total: 1023KiB"), "telemetry.capture.max_total"),
            (at("max_body: 17KiB, max_total: 1MiB"), "telemetry.capture.max_total"),
            (at("retention: 59s"), "telemetry.capture.retention"),
            (at("retention: 367d"), "telemetry.capture.retention"),
            (at("routes: [n]"), "telemetry.capture.routes[0]"),
            (at("only: broken"), "telemetry.capture.only"),
            (at("redact: {patterns: ['a*']}"), "telemetry.capture.redact.patterns[0]"),
            (at("redact: {patterns: [a, '(']}"), "telemetry.capture.redact.patterns[1]"),
            (at("redact: {patterns: ['\\d{10000}{10000}']}"), "telemetry.capture.redact.patterns[0]"),
        ] {
            let problems = loaded(&said).expect_err(&said);
            let errors: Vec<_> =
                problems.iter().filter(|problem| problem.severity == Severity::Error).collect();
            let [problem] = *errors else { panic!("{said}: {problems:#?}") };
            assert_eq!(problem.path, path, "{said}: {problem:?}");
        }
    }

    #[test]
    fn what_zero_log_forbids_is_warned_of() {
        let said = loaded("{enabled: true, path: c}, zero_log: true").expect("sound").warnings;
        assert!(said.iter().any(|warning| warning.path == "telemetry.capture.enabled"), "{said:#?}");
        let said = loaded("{enabled: false, path: c}, zero_log: true").expect("sound").warnings;
        assert!(said.iter().all(|warning| !warning.path.starts_with("telemetry")), "{said:#?}");
    }

    #[test]
    fn a_key_that_the_file_has_not_is_warned_of() {
        let warnings = loaded("{enabled: true, path: c, keys: [desc]}").expect("sound").warnings;
        let ours: Vec<_> = warnings.iter().filter(|warning| warning.path.starts_with("telemetry")).collect();
        let [warning] = *ours else { panic!("{warnings:#?}") };
        assert_eq!(warning.path, "telemetry.capture.keys[0]");
        assert!(warning.hint.as_deref().is_some_and(|hint| hint.contains("did you mean `desk`")));
    }
}
