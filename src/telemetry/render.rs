//! The Prometheus text exposition, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! Labels are escaped once, when a series begins; a scrape of a thousand channels writes some hundred thousand lines,
//! so nothing is allocated per line.

use std::fmt::Write as _;

use super::catalogue::{Kind, Metric};
use super::cell::{Cell, Histogram};
use super::family::{Family, Series};

/// `a="b",c="d"`.
pub(super) fn labels(names: &[&str], values: &[&str]) -> Box<str> {
    let mut text = String::new();
    for (name, value) in names.iter().zip(values) {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    text.into()
}

/// Writes a family, unless it has no series.
pub(super) fn family(family: &Family, text: &mut String) {
    let Metric { name, kind, help, .. } = *family.metric;
    if family.len() == 0 {
        return;
    }
    text.push_str("# HELP ");
    text.push_str(name);
    text.push(' ');
    text.push_str(&help.replace('\\', "\\\\").replace('\n', "\\n"));
    text.push_str("\n# TYPE ");
    text.push_str(name);
    text.push_str(match kind {
        Kind::Counter => " counter\n",
        Kind::Gauge => " gauge\n",
        Kind::Histogram(_) => " histogram\n",
    });
    let bounds: Vec<String> = match kind {
        Kind::Counter | Kind::Gauge => Vec::new(),
        Kind::Histogram(bounds) => bounds.iter().map(|bound| format!("le=\"{bound}\"}} ")).collect(),
    };
    family.each(|series| one(name, series, &bounds, text));
}

fn one(name: &str, series: &Series, bounds: &[String], text: &mut String) {
    match &series.cell {
        Cell::Counter(counter) => {
            begin(name, "", &series.labels, text);
            whole(counter.value(), text);
        }
        Cell::Gauge(gauge) => {
            begin(name, "", &series.labels, text);
            number(gauge.value(), text);
        }
        Cell::Histogram(histogram) => buckets(name, series, histogram, bounds, text),
    }
}

fn buckets(name: &str, series: &Series, histogram: &Histogram, bounds: &[String], text: &mut String) {
    let mut below = 0;
    let bounds = bounds.iter().map(String::as_str).chain(["le=\"+Inf\"} "]);
    for (count, bound) in histogram.counts().zip(bounds) {
        below += count;
        text.push_str(name);
        text.push_str("_bucket{");
        text.push_str(&series.labels);
        if !series.labels.is_empty() {
            text.push(',');
        }
        text.push_str(bound);
        whole(below, text);
    }
    begin(name, "_sum", &series.labels, text);
    number(histogram.sum(), text);
    begin(name, "_count", &series.labels, text);
    whole(below, text);
}

fn begin(name: &str, suffix: &str, labels: &str, text: &mut String) {
    text.push_str(name);
    text.push_str(suffix);
    if !labels.is_empty() {
        text.push('{');
        text.push_str(labels);
        text.push('}');
    }
    text.push(' ');
}

fn whole(value: u64, text: &mut String) {
    // Most are.
    if value == 0 {
        return text.push_str("0\n");
    }
    let mut digits = [0; 20];
    let (mut rest, mut at) = (value, digits.len());
    while rest > 0 {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    text.push_str(std::str::from_utf8(&digits[at..]).unwrap_or("0"));
    text.push('\n');
}

fn number(value: f64, text: &mut String) {
    if value.is_nan() {
        return text.push_str("NaN\n");
    }
    if value.is_infinite() {
        return text.push_str(if value > 0.0 { "+Inf\n" } else { "-Inf\n" });
    }
    if (0.0..1e15).contains(&value) && value.fract() == 0.0 {
        return whole(value as u64, text);
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        let text = |value| {
            let mut text = String::new();
            number(value, &mut text);
            text
        };
        let cases = [
            (0.0, "0\n"),
            (12.0, "12\n"),
            (-1.0, "-1\n"),
            (0.000_05, "0.00005\n"),
            (1e15, "1000000000000000\n"),
            (f64::NAN, "NaN\n"),
            (f64::INFINITY, "+Inf\n"),
            (f64::NEG_INFINITY, "-Inf\n"),
        ];
        for (value, expected) in cases {
            assert_eq!(text(value), expected);
        }
        let mut most = String::new();
        whole(u64::MAX, &mut most);
        assert_eq!(most, "18446744073709551615\n");
    }

    #[test]
    fn values_of_labels_are_escaped() {
        let text = labels(&["a", "b"], &["say \"hi\"", "back\\slash\nline"]);
        assert_eq!(&*text, r#"a="say \"hi\"",b="back\\slash\nline""#);
    }
}
