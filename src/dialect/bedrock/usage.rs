//! `usage` of a conversation. Cached tokens stand beside `inputTokens`, not inside; each count of them
//! has two names on the wire. Reasoning is inside the output and not told apart.

use crate::dialect::json::{Kind, Walked, Walker};
use crate::dialect::write::Object;
use crate::vocab::Usage;

/// The counts as Amazon names them.
#[derive(Default)]
struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_write: Option<u64>,
    /// From `cacheDetails`: what was written for an hour, and for how long it may be.
    one_hour: u64,
    detailed: u64,
}

pub fn read(walker: &mut Walker<'_>) -> Walked<Option<Usage>> {
    let mut counts = Counts::default();
    walker.object(|walker, key| {
        let count = match &*key.bytes() {
            b"inputTokens" => &mut counts.input,
            b"outputTokens" => &mut counts.output,
            b"cacheReadInputTokens" | b"cacheReadInputTokenCount" => &mut counts.cache_read,
            b"cacheWriteInputTokens" | b"cacheWriteInputTokenCount" => &mut counts.cache_write,
            b"cacheDetails" if walker.kind()? == Kind::Array => {
                return walker.array(|walker| counts.detail(walker));
            }
            _ => return walker.skip().map(drop),
        };
        let found = walker.count()?;
        *count = found.or(*count);
        Ok(())
    })?;
    Ok(counts.sum())
}

/// Writes the counts: both names of what was cached, as the real wire has them.
pub fn write(usage: &Usage, object: &mut Object<'_>) {
    let written = usage.cache_write.saturating_add(usage.cache_write_1h);
    let plain = usage.input.saturating_sub(usage.cache_read).saturating_sub(written);
    object.number("inputTokens", plain).number("outputTokens", usage.output);
    object.number("totalTokens", usage.input.saturating_add(usage.output));
    if usage.cache_read == 0 && written == 0 {
        return;
    }
    object
        .number("cacheReadInputTokens", usage.cache_read)
        .number("cacheReadInputTokenCount", usage.cache_read);
    object.number("cacheWriteInputTokens", written).number("cacheWriteInputTokenCount", written);
    if usage.cache_write_1h > 0 {
        object.array("cacheDetails", |details| {
            for (ttl, tokens) in [("1h", usage.cache_write_1h), ("5m", usage.cache_write)] {
                details.object(|detail| {
                    detail.str("ttl", ttl).number("inputTokens", tokens);
                });
            }
        });
    }
}

impl Counts {
    /// One of `cacheDetails`: `{ttl, inputTokens}`.
    fn detail(&mut self, walker: &mut Walker<'_>) -> Walked {
        let mut tokens = None;
        let mut is_hour = false;
        walker.if_object(|walker, key| {
            if key.is("inputTokens") {
                tokens = walker.count()?;
                return Ok(());
            }
            let (_, span) = walker.value()?;
            is_hour |= key.is("ttl") && walker.slice(span) == b"\"1h\"";
            Ok(())
        })?;
        let tokens = tokens.unwrap_or(0);
        self.detailed = self.detailed.saturating_add(tokens);
        if is_hour {
            self.one_hour = self.one_hour.saturating_add(tokens);
        }
        Ok(())
    }

    fn sum(self) -> Option<Usage> {
        if self.input.is_none() && self.output.is_none() {
            return None;
        }
        let cache_read = self.cache_read.unwrap_or(0);
        let written = self.cache_write.unwrap_or(0).max(self.detailed);
        Some(Usage {
            input: self.input.unwrap_or(0).saturating_add(cache_read).saturating_add(written),
            cache_read,
            cache_write: written.saturating_sub(self.one_hour),
            cache_write_1h: self.one_hour,
            output: self.output.unwrap_or(0),
            reasoning: 0,
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::write::{object, text};

    fn check(json: &str, expected: Option<Usage>) {
        assert_eq!(read(&mut Walker::new(json.as_bytes())).expect("JSON"), expected, "{json}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for usage in [
            Usage { input: 12, output: 34, ..Usage::default() },
            Usage { input: 100, cache_read: 60, cache_write: 30, output: 5, ..Usage::default() },
            Usage {
                input: 100,
                cache_read: 1,
                cache_write: 2,
                cache_write_1h: 3,
                output: 5,
                reasoning: 0,
                ..Usage::default()
            },
        ] {
            check(&text(|out| object(out, |object| write(&usage, object))), Some(usage));
        }
    }

    #[test]
    fn cached_tokens_are_added_once_under_either_name() {
        let usage = Usage {
            input: 19,
            cache_read: 5,
            cache_write: 3,
            cache_write_1h: 4,
            output: 2,
            reasoning: 0,
            ..Usage::default()
        };
        check(
            r#"{"inputTokens":7,"outputTokens":2,"totalTokens":21,"cacheReadInputTokens":5,"cacheReadInputTokenCount":5,
            "cacheWriteInputTokens":7,"cacheWriteInputTokenCount":7,"serverToolUsage":{},
            "cacheDetails":[{"ttl":"1h","inputTokens":4},{"inputTokens":3,"ttl":"5m"},null]}"#,
            Some(usage),
        );
        check(
            r#"{"inputTokens":7,"outputTokens":2,"cacheReadInputTokenCount":5,"cacheDetails":null}"#,
            Some(Usage { input: 12, cache_read: 5, output: 2, ..Usage::default() }),
        );
        check("{}", None);
    }
}
