//! Which series an expression names, in as much of PromQL as `grafana/` uses.
//!
//! It does not judge whether an expression means anything: a real Prometheus does, in `prometheus.rs`.

/// Words that stand between expressions.
const KEYWORDS: [&str; 8] = ["and", "or", "unless", "bool", "offset", "group_left", "group_right", "inf"];
/// Words with a list of labels after them.
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// One series, and what is done with it.
#[derive(Debug, PartialEq)]
pub struct Selector<'a> {
    pub name: &'a str,
    /// Between the braces; empty without any.
    pub matchers: &'a str,
    /// Between the brackets.
    pub range: Option<&'a str>,
    /// The function or aggregation whose argument it is; empty without one.
    pub function: &'a str,
}

impl<'a> Selector<'a> {
    /// Each label with the value that it is compared with.
    pub fn pairs(&self) -> Vec<(&'a str, &'a str)> {
        let mut pairs = Vec::new();
        let mut rest = self.matchers;
        while let Some((label, after)) = rest.split_once('"') {
            let Some((value, next)) = after.split_once('"') else { break };
            pairs.push((label.trim_matches([',', ' ', '=', '~', '!']), value));
            rest = next;
        }
        pairs
    }
}

/// What an expression names.
#[derive(Debug, Default, PartialEq)]
pub struct Named<'a> {
    pub selectors: Vec<Selector<'a>>,
    /// Labels by which something is summed up or joined.
    pub labels: Vec<&'a str>,
    /// Brackets that nobody closed, or that nobody opened.
    pub unbalanced: bool,
}

/// Takes an expression apart.
pub fn named(expression: &str) -> Named<'_> {
    let mut found = Named::default();
    let mut functions: Vec<&str> = Vec::new();
    let mut function = "";
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let word = take(rest, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.'));
        let after = &rest[word.len().max(first.len_utf8())..];
        rest = after;
        match first {
            '(' => functions.push(std::mem::take(&mut function)),
            ')' => found.unbalanced |= functions.pop().is_none(),
            '"' => rest = after.split_once('"').map_or("", |(_, next)| next),
            '[' => rest = after.split_once(']').map_or("", |(_, next)| next),
            '$' => rest = &after[take(after, |c| c.is_ascii_alphanumeric() || c == '_').len()..],
            _ if first.is_ascii_digit() || word.is_empty() => {}
            _ => {
                let next = after.trim_start();
                let following = take(next, |c| c.is_ascii_alphabetic());
                if GROUPINGS.contains(&word) && next.starts_with('(') {
                    let (inside, behind) = next[1..].split_once(')').unwrap_or((&next[1..], ""));
                    found.labels.extend(inside.split(',').map(str::trim).filter(|label| !label.is_empty()));
                    rest = behind;
                } else if next.starts_with('(') || matches!(following, "by" | "without") {
                    if !KEYWORDS.contains(&word) {
                        function = word;
                    }
                } else if !KEYWORDS.contains(&word) {
                    let (matchers, behind) = enclosed(after, '{', '}');
                    let (range, behind) = enclosed(behind, '[', ']');
                    let function = functions.last().copied().unwrap_or_default();
                    let matchers = matchers.unwrap_or_default();
                    found.selectors.push(Selector { name: word, matchers, range, function });
                    rest = behind;
                }
            }
        }
    }
    found.unbalanced |= !functions.is_empty();
    found
}

/// The beginning of a text, as long as its characters are such.
fn take(text: &str, such: impl Fn(char) -> bool) -> &str {
    &text[..text.find(|c| !such(c)).unwrap_or(text.len())]
}

/// What stands between two brackets at the beginning of a text, and what follows them; quoted brackets are none.
fn enclosed(text: &str, open: char, close: char) -> (Option<&str>, &str) {
    let Some(inside) = text.strip_prefix(open) else { return (None, text) };
    let mut quoted = false;
    for (at, c) in inside.char_indices() {
        quoted ^= c == '"';
        if c == close && !quoted {
            return (Some(&inside[..at]), &inside[at + close.len_utf8()..]);
        }
    }
    (Some(inside), "")
}

/// Splits at words that stand neither in brackets nor in quotes.
pub fn split_outside<'a>(text: &'a str, words: &[&str]) -> Vec<&'a str> {
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
fn selectors_are_taken_apart() {
    let found = named(
        "sum by (route) (rate(a:b_total{job=~\"$job\", outcome!=\"cut}|error\"}[5m])) / 1e9 and on (job) c == 14.4",
    );
    let first = Selector {
        name: "a:b_total",
        matchers: "job=~\"$job\", outcome!=\"cut}|error\"",
        range: Some("5m"),
        function: "rate",
    };
    assert_eq!(first.pairs(), [("job", "$job"), ("outcome", "cut}|error")]);
    let second = Selector { name: "c", matchers: "", range: None, function: "" };
    assert_eq!(found.selectors, [first, second]);
    assert_eq!(found.labels, ["route", "job"]);
    assert!(!found.unbalanced);
}

#[test]
fn what_is_no_series_is_not_taken_for_one() {
    let found = named("3600 * max(x) by (le) + $__range_s * vector(1) or sum(y) unless on () z[1h:5m]");
    let names: Vec<_> = found.selectors.iter().map(|selector| (selector.name, selector.function)).collect();
    assert_eq!(names, [("x", "max"), ("y", "sum"), ("z", "")]);
    assert!(named("sum(x").unbalanced && named("sum(x))").unbalanced);
}
