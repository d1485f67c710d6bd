//! Charts as SVG, drawn by hand: five small kinds need no library, and the page stays one file without a
//! script. Colours are the page's classes, so that they follow light and dark.

use std::fmt::Write;

use super::report::Lane;

/// Inside of a chart, in its own units.
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 120.0;
const LEFT: f64 = 48.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 18.0;
const ROW: f64 = 14.0;
const LABELS: f64 = 150.0;

/// One series: a name, a CSS class, and a value for each minute; `None` is a gap.
pub struct Series<'a> {
    pub name: &'a str,
    pub class: String,
    pub values: Vec<Option<f64>>,
}

/// How a number of the axis is written.
pub type Unit = fn(f64) -> String;

/// Areas on top of each other.
pub fn stacked(title: &str, series: &[Series<'_>], unit: Unit) -> String {
    let length = series.iter().map(|series| series.values.len()).max().unwrap_or(0);
    let value = |series: &Series<'_>, at: usize| series.values.get(at).copied().flatten().unwrap_or(0.0);
    let most = (0..length).map(|at| series.iter().map(|s| value(s, at)).sum::<f64>()).fold(0.0, f64::max);
    let mut out = open(title, series, most, length, unit);
    let mut below = vec![0.0; length];
    for series in series {
        let top: Vec<f64> = below.iter().enumerate().map(|(at, low)| low + value(series, at)).collect();
        // Steps, as a minute has one number and no slope.
        let mut path = String::new();
        for (at, high) in top.iter().enumerate() {
            let _ = write!(
                path,
                "{}{:.1},{:.1}",
                if at == 0 { "M" } else { " L" },
                x(at, length),
                y(*high, most)
            );
            let _ = write!(path, " L{:.1},{:.1}", x(at + 1, length), y(*high, most));
        }
        for (at, low) in below.iter().enumerate().rev() {
            let _ = write!(path, " L{:.1},{:.1}", x(at + 1, length), y(*low, most));
            let _ = write!(path, " L{:.1},{:.1}", x(at, length), y(*low, most));
        }
        if !path.is_empty() {
            let _ = write!(out, "<path class=\"{}\" d=\"{path} Z\"/>", series.class);
        }
        below = top;
    }
    out.push_str("</svg>");
    out
}

/// Lines; where a minute has no value, the line has a gap.
pub fn lines(title: &str, series: &[Series<'_>], unit: Unit) -> String {
    let length = series.iter().map(|series| series.values.len()).max().unwrap_or(0);
    let most = series.iter().flat_map(|series| series.values.iter().flatten()).copied().fold(0.0, f64::max);
    let mut out = open(title, series, most, length, unit);
    for series in series {
        let mut path = String::new();
        let mut pen = "M";
        for (at, value) in series.values.iter().enumerate() {
            let Some(value) = value else {
                pen = "M";
                continue;
            };
            let _ = write!(path, "{pen}{:.1},{:.1} ", x(at, length), y(*value, most));
            let _ = write!(path, "L{:.1},{:.1} ", x(at + 1, length), y(*value, most));
            pen = "L";
        }
        if !path.is_empty() {
            let _ = write!(out, "<path class=\"line {}\" d=\"{}\"/>", series.class, path.trim_end());
        }
    }
    out.push_str("</svg>");
    out
}

/// One row for each lane, coloured by its state.
pub fn timeline(title: &str, lanes: &[&Lane], minutes: usize) -> String {
    let height = ROW * lanes.len() as f64 + BOTTOM;
    let whole = (minutes.max(1) * 60) as f64;
    let at = |time: std::time::Duration| LABELS + (time.as_secs_f64() / whole).min(1.0) * (WIDTH - LABELS);
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>",
        escaped(title)
    );
    for (row, lane) in lanes.iter().enumerate() {
        let top = ROW * row as f64;
        let _ = write!(
            out,
            "<text x=\"0\" y=\"{:.1}\">{}</text>",
            top + ROW - 4.0,
            escaped(&clipped(&lane.label))
        );
        for span in &lane.spans {
            let (from, to) = (at(span.from), at(span.to));
            let _ = write!(
                out,
                "<rect class=\"state {}\" x=\"{from:.2}\" y=\"{:.1}\" width=\"{:.2}\" height=\"{:.1}\"/>",
                span.state,
                top + 2.0,
                (to - from).max(0.4),
                ROW - 4.0
            );
        }
    }
    axis(&mut out, LABELS, ROW * lanes.len() as f64 + 12.0, minutes);
    out.push_str("</svg>");
    out
}

fn open(title: &str, series: &[Series<'_>], most: f64, length: usize, unit: Unit) -> String {
    let legend: Vec<String> = series
        .iter()
        .map(|series| format!("<span><i class=\"{}\"></i>{}</span>", series.class, escaped(series.name)))
        .collect();
    let mut out = format!("<p class=\"legend\">{}</p>", legend.join(" "));
    let height = TOP + HEIGHT + BOTTOM;
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>",
        escaped(title)
    );
    for share in [0.0, 0.5, 1.0] {
        let at = y(most * share, most);
        let _ =
            write!(out, "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>");
        let label = escaped(&unit(most * share));
        let _ =
            write!(out, "<text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>", LEFT - 4.0, at + 3.0);
    }
    axis(&mut out, LEFT, TOP + HEIGHT + 12.0, length);
    out
}

/// Minutes below a chart.
fn axis(out: &mut String, left: f64, y: f64, minutes: usize) {
    let step =
        [1, 2, 5, 10, 15, 30, 60, 120, 240, 480].into_iter().find(|step| minutes / step <= 8).unwrap_or(1440);
    for minute in (0..=minutes).step_by(step) {
        let x = left + minute as f64 / minutes.max(1) as f64 * (WIDTH - left);
        let place = if minute == minutes { "end" } else { "middle" };
        let _ = write!(out, "<text class=\"{place}\" x=\"{x:.1}\" y=\"{y:.1}\">{minute}m</text>");
    }
}

fn x(at: usize, length: usize) -> f64 {
    LEFT + at as f64 / length.max(1) as f64 * (WIDTH - LEFT)
}

fn y(value: f64, most: f64) -> f64 {
    let share = if most > 0.0 { value / most } else { 0.0 };
    TOP + HEIGHT * (1.0 - share)
}

fn clipped(label: &str) -> String {
    const MOST: usize = 24;
    if label.chars().count() <= MOST {
        label.to_owned()
    } else {
        label.chars().take(MOST - 1).chain(['…']).collect()
    }
}

/// As text of XML.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // No control character may stand in XML, escaped or not.
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
