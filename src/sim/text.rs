//! Reports for people at a terminal, of one configuration or of two side by side.

use std::fmt::Write;
use std::time::Duration;

use super::report::{Attempts, Minute, Report};

/// Rows of the table that still fit on a screen.
const MOST_ROWS: usize = 40;
/// Minutes in a row of the table.
const STEPS: [usize; 8] = [1, 2, 5, 10, 15, 30, 60, 240];

/// The table, the timeline and the totals.
pub fn render(report: &Report) -> String {
    let mut out = String::new();
    for line in &report.does_not_happen {
        let _ = writeln!(out, "{line}");
    }
    table(report, &mut out);
    timeline(report, &mut out);
    out.push('\n');
    out.push_str(&totals(std::slice::from_ref(report)));
    foot(report, &mut out);
    out
}

/// What is not in it.
fn foot(report: &Report, out: &mut String) {
    for (index, line) in report.unmodelled.iter().enumerate() {
        let head = if index == 0 { "\n\nnot rehearsed:" } else { "\n              " };
        let _ = write!(out, "{head} {line}");
    }
}

fn table(report: &Report, out: &mut String) {
    let step = STEPS.into_iter().find(|step| report.minutes.len().div_ceil(*step) <= MOST_ROWS);
    let step = step.unwrap_or(STEPS[STEPS.len() - 1]);
    let _ = write!(
        out,
        "{:>6}  {:>8}  {:>8}  {:>8}  {:>8}",
        "minute", "requests", "success", "p50 ttft", "p99 ttft"
    );
    for name in &report.upstreams {
        let _ = write!(out, "  {:>12}", shortened(name));
    }
    let _ = writeln!(out, "  {:>9}", "cost");
    for (row, minutes) in report.minutes.chunks(step).enumerate() {
        let sum = Minute::sum(minutes, report.upstreams.len());
        let _ = write!(
            out,
            "{:>6}  {:>8}  {:>8}  {:>8}  {:>8}",
            row * step,
            sum.requests(),
            sum.success().map_or_else(dash, percent),
            sum.ttft(0.5).map_or_else(dash, time),
            sum.ttft(0.99).map_or_else(dash, time),
        );
        for attempts in &sum.attempts {
            let _ = write!(out, "  {:>12}", shown(attempts));
        }
        let _ = writeln!(out, "  {:>9}", sum.cost.usd().map_or_else(unknown, dollars));
    }
    let _ = writeln!(out, "(attempts on each upstream: good, and +bad)");
}

/// The lanes on which something happened, longest stays outside their usual state first said.
fn timeline(report: &Report, out: &mut String) {
    let eventful: Vec<_> = report.lanes.iter().filter(|lane| lane.changes() > 0).collect();
    if eventful.is_empty() {
        let _ = writeln!(out, "\nno breaker opened and no key cooled down");
        return;
    }
    let _ = writeln!(out, "\nbreakers and keys");
    for lane in eventful {
        let mut states: Vec<&str> = lane.spans.iter().map(|span| span.state).collect();
        states.sort_unstable();
        states.dedup();
        let longest: Vec<String> = states
            .into_iter()
            .filter(|state| !matches!(*state, "closed" | "ready"))
            .map(|state| format!("{} at most {}", state.replace('_', "-"), time(lane.longest(state))))
            .collect();
        let changes = lane.changes();
        let unit = if changes == 1 { "change" } else { "changes" };
        let _ = writeln!(out, "  {}: {changes} {unit}, {}", lane.label, longest.join(", "));
    }
}

/// What it all came to, a column for each report.
pub fn totals(reports: &[Report]) -> String {
    let mut out = String::new();
    let mut row = |name: &str, of: &dyn Fn(&Report) -> String| {
        let _ = write!(out, "{name:<14}");
        for report in reports {
            let _ = write!(out, "  {:<24}", of(report));
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    };
    if reports.len() > 1 {
        row("", &|report| report.config.clone());
    }
    row("requests", &|report| report.totals.requests.to_string());
    row("success", &|report| report.totals.success.map_or_else(unknown, percent));
    row("failed", &|report| report.totals.failed.to_string());
    row("broken", &|report| report.totals.broken.to_string());
    row("hung up", &|report| report.totals.hung_up.to_string());
    row("p50 ttft", &|report| report.totals.p50_ttft.map_or_else(unknown, time));
    row("p99 ttft", &|report| report.totals.p99_ttft.map_or_else(unknown, time));
    row("attempts", &|report| report.totals.attempts.to_string());
    row("amplification", &|report| format!("{:.3}", report.totals.amplification));
    row("cost", &cost);
    if reports.iter().any(|report| report.totals.hedges > 0) {
        row("hedges", &|report| format!("{}, {} won", report.totals.hedges, report.totals.hedges_won));
    }
    if reports.iter().any(|report| report.totals.queued > 0) {
        row("queued", &queued);
    }
    if reports.iter().any(|report| report.totals.continued + report.totals.continued_in_vain > 0) {
        row("continued", &continued);
    }
    row("recovery", &|report| report.totals.recovery.map_or_else(|| "not seen".to_owned(), time));
    row("failures", &|report| {
        let reasons = report.totals.reasons.iter().map(|(reason, count)| format!("{reason} {count}"));
        let shown: Vec<String> = reasons.collect();
        if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
    });
    out.truncate(out.trim_end().len());
    out
}

/// The bill, and what is not in it.
pub fn cost(report: &Report) -> String {
    let cost = report.totals.cost;
    match (cost.usd(), cost.unpriced) {
        (None, _) => "unknown (no price known)".to_owned(),
        (Some(usd), 0) => dollars(usd),
        (Some(usd), unpriced) => format!("{} and {unpriced} attempts at unknown prices", dollars(usd)),
    }
}

/// Who waited for room, and how long.
pub fn queued(report: &Report) -> String {
    let totals = &report.totals;
    format!("{}, p99 {}", totals.queued, totals.p99_queue.map_or_else(dash, time))
}

/// Streams that others went on with, and what that cost.
pub fn continued(report: &Report) -> String {
    let totals = &report.totals;
    let cost = totals.legs_cost.usd().map_or_else(unknown, dollars);
    format!("{} saved, {} not, {cost}", totals.continued, totals.continued_in_vain)
}

fn shown(attempts: &Attempts) -> String {
    match attempts.bad {
        0 => attempts.good.to_string(),
        bad => format!("{} +{bad}", attempts.good),
    }
}

fn shortened(name: &str) -> String {
    const WIDTH: usize = 12;
    if name.chars().count() <= WIDTH {
        name.to_owned()
    } else {
        name.chars().take(WIDTH - 1).chain(['…']).collect()
    }
}

fn dash() -> String {
    "-".to_owned()
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// Never rounded up: a single failure keeps it below 100 %.
pub fn percent(share: f64) -> String {
    let thousandths = (share * 100_000.0 + 1e-6).floor() / 1000.0;
    let text = format!("{thousandths:.3}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

pub fn time(time: Duration) -> String {
    seconds(time.as_secs_f64())
}

pub fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 0.9995 => format!("{:.0}ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1}s"),
        s => format!("{:.1}m", s / 60.0),
    }
}

/// Requests a second, to three digits.
pub fn rate(rate: f64) -> String {
    let digits = if rate < 1.0 { 3 } else { 2 };
    let text = format!("{rate:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

pub fn dollars(usd: f64) -> String {
    if usd > 0.0 && usd < 0.095 { format!("${usd:.4}") } else { format!("${usd:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_never_rounded_up_to_all() {
        assert_eq!(percent(1.0), "100%");
        assert_eq!(percent(0.999), "99.9%");
        assert_eq!(percent(0.999_999_9), "99.999%");
        assert_eq!(percent(0.0), "0%");
        assert_eq!(
            (seconds(0.25), seconds(2.0), seconds(600.0)),
            ("250ms".into(), "2.0s".into(), "10.0m".into())
        );
        assert_eq!(
            (dollars(0.0), dollars(0.01), dollars(5.0)),
            ("$0.00".into(), "$0.0100".into(), "$5.00".into())
        );
    }

    #[test]
    fn long_rehearsals_are_told_in_longer_steps() {
        let minutes =
            vec![Minute { answered: 1, attempts: vec![Attempts::default()], ..Minute::default() }; 260];
        let report = Report { upstreams: vec!["a".to_owned()], minutes, ..Report::default() };
        let shown = render(&report);
        assert!(shown.lines().count() < 60, "{shown}");
        assert!(shown.contains("no breaker opened"), "{shown}");
    }

    #[test]
    fn two_configurations_stand_side_by_side() {
        let of = |config: &str| Report { config: config.to_owned(), ..Report::default() };
        let shown = totals(&[of("one.yaml"), of("two.yaml")]);
        assert!(
            shown.lines().next().is_some_and(|line| line.contains("one.yaml") && line.contains("two.yaml"))
        );
    }
}
