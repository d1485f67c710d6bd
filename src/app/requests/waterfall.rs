//! A decision for people: what is known of a request, and its attempts as bars over its time.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::telemetry::logs;

/// Characters of a bar from the request's arrival to its end.
const WIDE: f64 = 40.0;

/// What is said of the request itself, and how that is called here.
const HEAD: [(&str, &str); 13] = [
    ("outcome", "outcome"),
    ("status", "status"),
    ("error", "error"),
    ("key", "key"),
    ("team", "team"),
    ("model", "model"),
    ("route", "route"),
    ("asked_route", "came to"),
    ("arm", "arm"),
    ("channel", "channel"),
    ("replayed", "replayed"),
    ("instead", "instead"),
    ("shed", "shed"),
];

/// A text of several lines.
pub(super) fn of(told: &Value) -> String {
    let mut text = format!("{} came {}\n", word(told, "request"), came(told));
    for (field, name) in HEAD {
        if !told[field].is_null() && told[field] != "" {
            line(&mut text, name, &plain(&told[field]));
        }
    }
    line(&mut text, "took", &took(told));
    if let Some(output) = told["output"].as_u64() {
        line(&mut text, "tokens", &format!("{}+{output}", plain(&told["input"])));
    }
    if let Some(nanos) = told["cost_nano_usd"].as_f64() {
        line(&mut text, "cost", &format!("${:.6}", nanos / 1e9));
    }
    attempts(&mut text, told);
    looks(&mut text, told);
    if told["from"] == "store" {
        text.push_str("\nOf what is in the store alone: who else could have been asked is not kept there.\n");
    }
    text.trim_end().to_owned()
}

/// When it came, to the second.
pub(super) fn came(told: &Value) -> String {
    let at = told["at"].as_f64().and_then(|at| Duration::try_from_secs_f64(at).ok()).unwrap_or_default();
    let text = logs::timestamp(at);
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

pub(super) fn word(told: &Value, field: &str) -> String {
    told[field].as_str().filter(|word| !word.is_empty()).unwrap_or("-").to_owned()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn line(text: &mut String, name: &str, said: &str) {
    // A `String` takes everything, here and below.
    let _ = writeln!(text, "  {name:<10} {said}");
}

/// `31.4 ms, 0.2 of them the gateway's own before the first byte; upstream 21.0, backoff 3.0`.
fn took(told: &Value) -> String {
    let mut said = format!("{:.1} ms", told["millis"].as_f64().unwrap_or_default());
    if let Some(first) = told["first_byte"].as_f64() {
        let _ = write!(said, ", first byte after {first:.1}");
    }
    let own = told["own"].as_f64().map(|own| ("gateway", own));
    let waits = told["waits"].as_object().into_iter().flatten();
    let waits = waits.filter_map(|(what, waited)| Some((what.as_str(), waited.as_f64()?)));
    let parts: Vec<String> =
        own.into_iter().chain(waits).map(|(what, waited)| format!("{what} {waited:.1}")).collect();
    if !parts.is_empty() {
        let _ = write!(said, " ({})", parts.join(", "));
    }
    said
}

/// A line each: when it began and ended, in milliseconds, and a bar of `.` for waiting and `#` for content.
fn attempts(text: &mut String, told: &Value) {
    let tried: Vec<&Value> = told["tried"].as_array().into_iter().flatten().collect();
    if tried.is_empty() {
        return;
    }
    let at = |step: &Value| step.as_f64().filter(|at| at.is_finite()).unwrap_or_default().max(0.0);
    let whole = tried.iter().map(|one| at(&one["ended"])).fold(at(&told["millis"]), f64::max).max(1e-3);
    let column = |millis: f64| (millis / whole * WIDE).round().clamp(0.0, WIDE) as usize;
    let widest = tried.iter().map(|one| word(one, "channel").chars().count()).max().unwrap_or_default();
    text.push_str("\nattempts\n");
    for one in tried {
        let (begun, ended) = (at(&one["begun"]), at(&one["ended"]));
        let content = one["first_content"].as_f64().unwrap_or(ended);
        let (first, last) = (column(begun), column(ended).max(column(begun) + 1).min(WIDE as usize + 1));
        let middle = column(content).clamp(first, last);
        let bar = format!("{}{}{}", " ".repeat(first), ".".repeat(middle - first), "#".repeat(last - middle));
        let _ = write!(
            text,
            "  {:<5} {:<widest$} |{bar:<wide$}| {begun:.1}-{ended:.1} ms  {} at {}",
            word(one, "part"),
            word(one, "channel"),
            word(one, "verdict"),
            word(one, "stage"),
            wide = WIDE as usize + 1,
        );
        if let Some(status) = one["status"].as_u64() {
            let _ = write!(text, ", HTTP {status}");
        }
        if let Some(detail) = one["detail"].as_str() {
            let _ = write!(text, " ({detail})");
        }
        text.push('\n');
    }
}

/// A line each: who was picked, and what was thought of everybody.
fn looks(text: &mut String, told: &Value) {
    let looks: Vec<&Value> = told["looks"].as_array().into_iter().flatten().collect();
    if looks.is_empty() {
        return;
    }
    text.push_str("\nwho could be asked\n");
    for look in looks {
        let picked = look["picked"].as_str().unwrap_or("nobody");
        let channels = look["channels"].as_array().into_iter().flatten();
        let thought: Vec<String> = channels
            .map(|candidate| {
                format!("{} {}", word(candidate, "channel"), word(candidate, "standing").replace('_', " "))
            })
            .collect();
        let at = look["at"].as_f64().unwrap_or_default();
        let _ = writeln!(text, "  {at:>8.1} ms  {}: {picked}  [{}]", word(look, "route"), thought.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn each_attempt_has_a_bar_over_its_part_of_the_time() {
        let told = json!({
            "request": "req_1", "at": 1_795_132_800.25, "outcome": "ok", "status": 200, "route": "demo", "channel": "far/demo",
            "millis": 40.0, "first_byte": 20.0, "own": 0.25, "waits": {"upstream": 19.75}, "input": 3, "output": 4,
            "tried": [
                {"part": "turn", "channel": "near/demo", "begun": 0.0, "ended": 10.0, "verdict": "connect", "stage": "not_sent",
                 "detail": "connection refused"},
                {"part": "turn", "channel": "far/demo", "begun": 10.0, "first_content": 20.0, "ended": 40.0, "verdict": "ok",
                 "stage": "committed", "status": 200},
            ],
            "looks": [{"at": 0.0, "route": "demo", "picked": "near/demo", "channels": [
                {"channel": "near/demo", "standing": "ready"}, {"channel": "far/demo", "standing": "breaker_open"}]}],
            "from": "journal",
        });
        let text = of(&told);
        for line in [
            "req_1 came 2026-11-20T00:00:00Z",
            "  took       40.0 ms, first byte after 20.0 (gateway 0.2, upstream 19.8)",
            "  tokens     3+4",
            "  turn  near/demo |..........                               | 0.0-10.0 ms  connect at not_sent (connection refused)",
            "  turn  far/demo  |          ..........#################### | 10.0-40.0 ms  ok at committed, HTTP 200",
            "       0.0 ms  demo: near/demo  [near/demo ready, far/demo breaker open]",
        ] {
            assert!(text.lines().any(|said| said == line), "{line}\n{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_times_there_are_no_bar_leaves_its_frame(
            times in proptest::collection::vec((-1e6_f64..1e9, proptest::option::of(-1e6_f64..1e9), -1e6_f64..1e9), 1..6),
            millis in 0.0_f64..1e6,
        ) {
            let tried: Vec<Value> = times.iter().map(|(begun, content, ended)| {
                json!({"channel": "a/b", "begun": begun, "first_content": content, "ended": ended})
            }).collect();
            let text = of(&json!({"millis": millis, "tried": tried}));
            let bars: Vec<&str> = text.lines().filter_map(|line| line.split('|').nth(1)).collect();
            prop_assert_eq!(bars.len(), times.len());
            prop_assert!(bars.iter().all(|bar| bar.chars().count() == WIDE as usize + 1), "{}", text);
        }
    }
}
