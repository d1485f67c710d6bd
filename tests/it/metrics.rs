//! `docs/metrics.md` is made of the catalogue: `MAINSTAY_BLESS=1 cargo test --test it docs_name` writes it anew.

use std::fmt::Write as _;
use std::path::Path;

use mainstay::telemetry::catalogue::{ALL, GROUPS, Kind, Metric};
use mainstay::telemetry::words;

const HEAD: &str = "\
# Metrics

<!-- Made of src/telemetry/catalogue.rs by tests/it/metrics.rs; do not edit. -->

`GET /metrics` of the admin listener has them in the Prometheus text format. Durations are in seconds, sizes in bytes;
money is in thousand-millionths of a US dollar (`nano_usd`). Counters end in `_total`.

A label is either one of the words that stand behind it here, or a **name**: of what routing.yaml configures, or of a key
that an operator made. No caller's words are ever a label. What is configured has its series from
the start, at 0; those that name a fault, a transition, a fallback's model or the like begin with the first one.

A metric has at most `telemetry.metrics.max_series` (2,000) combinations of names; words do not count. What is counted beyond
that goes to series whose names are all `__overflow__`, and `mainstay_metrics_overflow_total` says of which metric; a gauge
that finds no room is left out. Gauges of what left the configuration are gone with the next scrape, its counters and
histograms a quarter of an hour later, once no request holds them.

## OpenTelemetry

With `telemetry.otlp: {endpoint: \"http://collector:4318\"}` a collector is told the same every `interval` (60s), and at the end of the process: OTLP over HTTP,
as protocol buffers, all sums since the process began. Four metrics go by the names of OpenTelemetry's conventions for
generative AI, with `gen_ai.request.model`, `gen_ai.provider.name`, `gen_ai.token.type` and `error.type`:

| OpenTelemetry | here |
|---|---|
| `gen_ai.client.operation.duration` | `mainstay_attempt_duration_seconds` |
| `gen_ai.client.token.usage` | `mainstay_attempt_tokens` |
| `gen_ai.server.time_to_first_token` | `mainstay_time_to_first_token_seconds` |
| `gen_ai.server.time_per_output_token` | `mainstay_time_per_output_token_seconds` |

All others are `mainstay.*`, without `_total` and `_seconds` (`mainstay_queue_seconds` is `mainstay.queue`, in `s`), and their labels
`mainstay.*`, too. `gen_ai.operation.name` is not told. Batches that the collector does not take wait in memory: at most 64, and
16 MiB of metrics, and as much of traces ([traces.md](traces.md)); each is tried five times (429, 502, 503, 504 and what is no answer; `Retry-After` is heeded).
";

#[test]
fn docs_name_every_metric() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let made = document();
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        std::fs::write(&path, &made).expect("docs can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(made.lines()).find(|(written, made)| written != made);
    assert!(
        written == made,
        "MAINSTAY_BLESS=1 writes docs/metrics.md anew; the first difference: {differs:?}"
    );
}

#[test]
fn pages_name_no_metric_that_is_not_there() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs =
        std::fs::read_dir(home.join("docs")).expect("there are docs").flatten().map(|entry| entry.path());
    let pages = docs.filter(|path| path.extension().is_some_and(|kind| kind == "md"));
    let pages = pages.chain(["README.md", "CHANGELOG.md", "routing.yaml"].map(|name| home.join(name)));
    let is_there = |name: &str| {
        let series = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
        ALL.iter().any(|metric| metric.name == name || Some(metric.name) == series)
    };
    let mut seen = 0;
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("a page can be read");
        // A rule's name has colons round it; what ends with `_` is the beginning of a few.
        let names = text.match_indices("mainstay_").filter(|(at, _)| !text[..*at].ends_with([':', '_']));
        for (at, _) in names {
            let rest = &text[at..];
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_').unwrap_or(rest.len());
            if !rest[..end].ends_with('_') {
                assert!(is_there(&rest[..end]), "{}: {}", page.display(), &rest[..end]);
                seen += 1;
            }
        }
    }
    assert!(seen > 150, "{seen} names were looked at");
}

fn document() -> String {
    let mut text = HEAD.to_owned();
    for (group, metrics) in GROUPS {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "\n## {group}\n\n| metric | kind | unit | labels | meaning |\n|---|---|---|---|---|"
        );
        for metric in *metrics {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                metric.name,
                kind(metric),
                unit(metric),
                labels(metric),
                metric.help.replace('|', "\\|")
            );
        }
    }
    text
}

fn kind(metric: &Metric) -> String {
    match metric.kind {
        Kind::Counter => "counter".to_owned(),
        Kind::Gauge => "gauge".to_owned(),
        Kind::Histogram(bounds) => {
            let ends = bounds.first().zip(bounds.last());
            ends.map_or_else(String::new, |(least, most)| format!("histogram, {least} to {most}"))
        }
    }
}

fn unit(metric: &Metric) -> &'static str {
    let name = metric.name.strip_suffix("_total").unwrap_or(metric.name);
    let units = [
        ("_per_second", "1/s"),
        ("_seconds", "s"),
        ("_bytes", "bytes"),
        ("_ratio", "0 to 1"),
        ("_nano_usd", "nano-USD"),
        ("_tokens", "tokens"),
    ];
    units.into_iter().find(|(suffix, _)| name.ends_with(suffix)).map_or("", |(_, unit)| unit)
}

fn labels(metric: &Metric) -> String {
    let each = metric.labels.iter().map(|label| match words(metric.name, label) {
        Some(_) if *label == "metric" => "`metric`: a name of this page".to_owned(),
        Some(words) => format!("`{label}`: {}", words.join(", ")),
        None => format!("`{label}`"),
    });
    each.collect::<Vec<_>>().join("; ")
}
