//! `usage` of a conversation. Cached tokens stand beside `inputTokens`, not inside; each count of them
//! has two names on the wire. Reasoning is inside the output and not told apart.

use crate::dialect::json::{Kind, Walked, Walker};
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
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<Usage>) {
        assert_eq!(read(&mut Walker::new(json.as_bytes())).expect("JSON"), expected, "{json}");
    }

    #[test]
    fn cached_tokens_are_added_once_under_either_name() {
        let usage =
            Usage { input: 19, cache_read: 5, cache_write: 3, cache_write_1h: 4, output: 2, reasoning: 0 };
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
