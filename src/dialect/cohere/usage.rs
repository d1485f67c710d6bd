//! `usage`: what the model read and wrote (`tokens`), and what is paid (`billed_units`).
//!
//! `tokens` counts Cohere's own preamble too, `billed_units` does not; the caches and the reasoning are told of
//! `tokens`, so callers are told those, and `billed_units` only where they are alone. The meter has what is billed.
//! Cached tokens are inside the input, reasoning is inside the output (recorded: 416 tokens, 169 of them reasoning).

use crate::dialect::json::{Walked, Walker};
use crate::dialect::write::Object;
use crate::vocab::Usage;
use crate::vocab::usage::Other;

/// `tokens` or `billed_units`.
#[derive(Default)]
struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    reasoning: Option<u64>,
    searches: Option<u64>,
}

/// Reads a usage object, or the `meta` that answers without text have instead.
pub fn read(walker: &mut Walker<'_>) -> Walked<Option<Usage>> {
    let (tokens, billed, cached) = both(walker)?;
    Ok(told(tokens, billed, cached))
}

fn told(tokens: Counts, billed: Counts, cached: Option<u64>) -> Option<Usage> {
    let counts = if tokens.is_empty() { billed } else { tokens };
    if counts.is_empty() {
        return None;
    }
    let input = counts.input.unwrap_or(0);
    Some(Usage {
        input,
        cache_read: cached.unwrap_or(0).min(input),
        output: counts.output.unwrap_or(0),
        reasoning: counts.reasoning.unwrap_or(0),
        ..Usage::default()
    })
}

/// Reads what is paid of it: the preamble is not, and what was cached is not told apart.
pub fn billed(walker: &mut Walker<'_>) -> Walked<Option<Usage>> {
    let (tokens, billed, cached) = both(walker)?;
    if billed.is_empty() && billed.searches.is_none() {
        return Ok(told(tokens, billed, cached));
    }
    let output = billed.output.unwrap_or(0);
    Ok(Some(Usage {
        input: billed.input.unwrap_or(0),
        output,
        reasoning: tokens.reasoning.unwrap_or(0).min(output),
        other: Other {
            searches: billed.searches.map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX)),
            ..Other::default()
        },
        ..Usage::default()
    }))
}

/// `tokens`, `billed_units` and the cached tokens.
fn both(walker: &mut Walker<'_>) -> Walked<(Counts, Counts, Option<u64>)> {
    let mut tokens = Counts::default();
    let mut billed = Counts::default();
    let mut cached = None;
    walker.object(|walker, key| {
        match &*key.bytes() {
            b"tokens" => tokens = Counts::read(walker)?,
            b"billed_units" => billed = Counts::read(walker)?,
            b"cached_tokens" => cached = walker.count()?,
            _ => drop(walker.skip()?),
        }
        Ok(())
    })?;
    Ok((tokens, billed, cached))
}

/// Says it in a message or in a stream's last event. Vercel's SDK refuses an answer without counts, so
/// unknown ones are 0.
pub fn write(usage: Option<Usage>, object: &mut Object<'_>) {
    let usage = usage.unwrap_or_default();
    object.object("usage", |o| {
        o.object("billed_units", |o| {
            o.number("input_tokens", usage.input).number("output_tokens", usage.output);
        });
        o.object("tokens", |o| {
            o.number("input_tokens", usage.input).number("output_tokens", usage.output);
            o.number_if("reasoning_tokens", Some(usage.reasoning).filter(|count| *count > 0));
        });
        o.number("cached_tokens", usage.cache_read);
    });
}

impl Counts {
    fn read(walker: &mut Walker<'_>) -> Walked<Self> {
        let mut counts = Self::default();
        walker.if_object(|walker, key| {
            let count = match &*key.bytes() {
                b"input_tokens" => &mut counts.input,
                b"output_tokens" => &mut counts.output,
                b"reasoning_tokens" => &mut counts.reasoning,
                b"search_units" => &mut counts.searches,
                _ => return walker.skip().map(drop),
            };
            *count = walker.count()?;
            Ok(())
        })?;
        Ok(counts)
    }

    fn is_empty(&self) -> bool {
        self.input.is_none() && self.output.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::write;

    fn check(json: &str, expected: Option<Usage>) {
        assert_eq!(read(&mut Walker::new(json.as_bytes())).expect("JSON"), expected, "{json}");
    }

    #[test]
    fn tokens_count_and_billed_units_stand_in() {
        let usage = Usage { input: 1413, cache_read: 1344, output: 416, reasoning: 169, ..Usage::default() };
        check(
            r#"{"billed_units":{"input_tokens":27,"output_tokens":411},"cached_tokens":1344,
                "tokens":{"input_tokens":1413.0,"output_tokens":416,"reasoning_tokens":169}}"#,
            Some(usage),
        );
        check(
            r#"{"billed_units":{"input_tokens":27,"output_tokens":4},"tokens":null}"#,
            Some(Usage { input: 27, output: 4, ..Usage::default() }),
        );
        check(
            r#"{"tokens":{"input_tokens":5},"cached_tokens":9}"#,
            Some(Usage { input: 5, cache_read: 5, ..Usage::default() }),
        );
        check(r#"{"billed_units":{"search_units":1}}"#, None);
        check("{}", None);
        let mut out = Vec::new();
        write::object(&mut out, |o| write(Some(usage), o));
        let said = String::from_utf8(out).expect("text");
        let inner = said.strip_prefix(r#"{"usage":"#).and_then(|rest| rest.strip_suffix('}'));
        check(inner.expect("a usage object"), Some(usage));
    }
}
