//! A report as one file for a browser: no script, nothing fetched, light and dark. It is well-formed XML,
//! so that programs can read it as well.

use std::fmt::Write;

use super::chart::{Series, escaped, lines, stacked, timeline};
use super::report::{Lane, Minute, Report};
use super::text;

/// Lanes beyond this many are left out; quiet ones first.
const MOST_LANES: usize = 40;
/// Colours for upstreams; further ones begin anew.
const COLOURS: usize = 8;

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1d2430; --faint: #8a94a3; --grid: #dfe4ea; --page: #fff;
  --good: #2f9e63; --bad: #d6453d; --half: #d9a514; --gone: #9aa4b2;
  --c0: #3b6fd4; --c1: #e0812b; --c2: #7a55c7; --c3: #1f9aa8; --c4: #b5487f; --c5: #6d8b2f; --c6: #8a5a36; --c7: #59667a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --faint: #8f99a8; --grid: #333b47; --page: #14181f;
  --good: #43b87b; --bad: #e8655c; --half: #e3b93f; --gone: #6b7685; --c0: #6d97ea; --c7: #8d99ab; } }
body { font: 14px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 2em auto; padding: 0 1em; max-width: 1400px; }
h1 { font-size: 1.4em; } h2 { font-size: 1.1em; } h3 { font-size: 1em; margin: 1.2em 0 .2em; }
.columns { display: flex; flex-wrap: wrap; gap: 2em; } .columns section { flex: 1 1 440px; min-width: 0; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .1em 1.2em .1em 0; } th { font-weight: 400; color: var(--faint); }
svg { width: 100%; height: auto; } svg text { font-size: 9px; fill: var(--faint); } .end { text-anchor: end; } .middle { text-anchor: middle; }
.grid { stroke: var(--grid); } .line { fill: none; stroke-width: 1.5; }
.legend { margin: 0; color: var(--faint); font-size: .85em; } .legend i { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 .8em; }
.good { fill: var(--good); background: var(--good); } .bad { fill: var(--bad); background: var(--bad); }
.half { fill: var(--half); background: var(--half); } .gone { fill: var(--gone); background: var(--gone); }
.closed, .ready { fill: var(--good); opacity: .35; } .open, .refused, .forced_open { fill: var(--bad); }
.half_open, .trickle { fill: var(--half); } .cooling { fill: var(--bad); } .forced_closed, .metrics_only { fill: var(--gone); }
.c0 { fill: var(--c0); background: var(--c0); } .s0 { stroke: var(--c0); background: var(--c0); }
.c1 { fill: var(--c1); background: var(--c1); } .s1 { stroke: var(--c1); background: var(--c1); }
.c2 { fill: var(--c2); background: var(--c2); } .s2 { stroke: var(--c2); background: var(--c2); }
.c3 { fill: var(--c3); background: var(--c3); } .s3 { stroke: var(--c3); background: var(--c3); }
.c4 { fill: var(--c4); background: var(--c4); } .s4 { stroke: var(--c4); background: var(--c4); }
.c5 { fill: var(--c5); background: var(--c5); } .s5 { stroke: var(--c5); background: var(--c5); }
.c6 { fill: var(--c6); background: var(--c6); } .s6 { stroke: var(--c6); background: var(--c6); }
.c7 { fill: var(--c7); background: var(--c7); } .s7 { stroke: var(--c7); background: var(--c7); }
.holds { color: var(--good); } .fails { color: var(--bad); }
";

/// What was rehearsed, for the head of the page.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// One line each.
    pub about: Vec<String>,
    pub claims: Vec<Judged>,
}

/// A claim, and what became of it in one configuration.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The configuration's file.
    pub config: String,
    /// The verdict, the claim and what was found.
    pub said: String,
    pub held: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Yes,
    No,
}

/// The page of one report, or of two side by side.
pub fn render(head: &Head, reports: &[Report]) -> String {
    let mut out = format!(
        "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head><meta charset=\"utf-8\"/>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\
         <title>Mainstay: a rehearsed outage</title><style>{STYLE}</style></head>\n<body><h1>A rehearsed outage</h1>"
    );
    for line in &head.about {
        let _ = write!(out, "<p>{}</p>", escaped(line));
    }
    if !head.claims.is_empty() {
        out.push_str("<ul>");
        for judged in &head.claims {
            let class = match judged.held {
                Held::Yes => "holds",
                Held::No => "fails",
            };
            let _ = write!(out, "<li class=\"{class}\">{}</li>", escaped(&judged.said));
        }
        out.push_str("</ul>");
    }
    out.push_str("\n<div class=\"columns\">");
    for report in reports {
        column(report, &mut out);
    }
    out.push_str("</div>\n</body></html>\n");
    out
}

fn column(report: &Report, out: &mut String) {
    let _ = write!(out, "<section><h2>{}</h2>", escaped(&report.config));
    for line in &report.does_not_happen {
        let _ = write!(out, "<p class=\"fails\">{}</p>", escaped(line));
    }
    totals(report, out);
    let minutes = &report.minutes;
    let of = |value: fn(&Minute) -> f64| minutes.iter().map(|minute| Some(value(minute))).collect();
    let outcome = |name, class: &str, value| Series { name, class: class.to_owned(), values: of(value) };
    let outcomes = [
        outcome("answered", "good", |minute| minute.answered as f64),
        outcome("broken", "half", |minute| minute.broken as f64),
        outcome("failed", "bad", |minute| minute.failed as f64),
        outcome("hung up", "gone", |minute| minute.hung_up as f64),
    ];
    out.push_str("<h3>What callers saw, requests a minute</h3>");
    out.push_str(&stacked("Outcomes, minute by minute", &outcomes, whole));

    let ttft = |name, index: usize, quantile: f64| Series {
        name,
        class: stroke(index),
        values: minutes.iter().map(|minute| minute.ttft(quantile).map(|time| time.as_secs_f64())).collect(),
    };
    out.push_str("<h3>Time to the first token</h3>");
    let times = [ttft("median", 0, 0.5), ttft("99th percentile", 1, 0.99)];
    out.push_str(&lines("Time to the first token, minute by minute", &times, text::seconds));

    let upstreams = report.upstreams.iter().enumerate();
    let attempts: Vec<Series<'_>> = upstreams
        .map(|(index, name)| Series {
            name,
            class: fill(index),
            values: minutes
                .iter()
                .map(|minute| minute.attempts.get(index).map(|attempts| attempts.all() as f64))
                .collect(),
        })
        .collect();
    out.push_str("<h3>Attempts on each upstream, a minute</h3>");
    out.push_str(&stacked("Attempts on each upstream, minute by minute", &attempts, whole));

    out.push_str("<h3>Breakers and keys</h3>");
    let lanes = shown(&report.lanes);
    out.push_str(&timeline("States of breakers and keys", &lanes, minutes.len()));

    out.push_str("<h3>Cost, a minute</h3>");
    if report.totals.cost.usd().is_some() {
        let cost = Series {
            name: "cost",
            class: stroke(0),
            values: minutes.iter().map(|minute| minute.cost.usd()).collect(),
        };
        out.push_str(&lines("Cost, minute by minute", &[cost], text::dollars));
    } else {
        out.push_str("<p>unknown: the catalog has no price of these models</p>");
    }
    if !report.unmodelled.is_empty() {
        let _ =
            write!(out, "<p class=\"legend\">Not rehearsed: {}.</p>", escaped(&report.unmodelled.join("; ")));
    }
    out.push_str("</section>");
}

fn totals(report: &Report, out: &mut String) {
    let totals = &report.totals;
    let time =
        |time: Option<std::time::Duration>, none: &str| time.map_or_else(|| none.to_owned(), text::time);
    let reasons: Vec<String> =
        totals.reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    let rows = [
        ("success", totals.success.map_or_else(|| "unknown".to_owned(), text::percent)),
        ("requests", totals.requests.to_string()),
        ("failed, broken, hung up", format!("{}, {}, {}", totals.failed, totals.broken, totals.hung_up)),
        ("failures", if reasons.is_empty() { "none".to_owned() } else { reasons.join(", ") }),
        (
            "time to the first token",
            format!("median {}, p99 {}", time(totals.p50_ttft, "unknown"), time(totals.p99_ttft, "unknown")),
        ),
        ("attempts for each request", format!("{:.3}", totals.amplification)),
        ("cost", text::cost(report)),
        ("hedges, heard", format!("{}, {}", totals.hedges, totals.hedges_won)),
        ("waited for room", text::queued(report)),
        ("streams continued", text::continued(report)),
        ("recovery", time(totals.recovery, "not seen")),
    ];
    out.push_str("<table>");
    for (name, value) in rows {
        let _ = write!(out, "<tr><th>{name}</th><td>{}</td></tr>", escaped(&value));
    }
    out.push_str("</table>");
}

/// The lanes on which most happened, in the order of their names.
fn shown(lanes: &[Lane]) -> Vec<&Lane> {
    let mut shown: Vec<&Lane> = lanes.iter().collect();
    shown.sort_by_key(|lane| std::cmp::Reverse(lane.changes()));
    shown.truncate(MOST_LANES);
    shown.sort_by(|a, b| a.label.cmp(&b.label));
    shown
}

fn fill(index: usize) -> String {
    format!("c{}", index % COLOURS)
}

fn stroke(index: usize) -> String {
    format!("s{}", index % COLOURS)
}

fn whole(value: f64) -> String {
    format!("{value:.0}")
}
