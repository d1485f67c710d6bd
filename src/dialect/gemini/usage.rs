//! `usageMetadata`. Cached tokens are inside the prompt; thoughts stand beside the candidates.

use crate::dialect::json::{Walked, Walker};
use crate::vocab::Usage;

/// The counts as Google names them.
#[derive(Default)]
struct Counts {
    prompt: Option<u64>,
    candidates: Option<u64>,
    tools: Option<u64>,
    thoughts: Option<u64>,
    cached: Option<u64>,
}

pub fn read(walker: &mut Walker<'_>) -> Walked<Option<Usage>> {
    let mut counts = Counts::default();
    walker.object(|walker, key| {
        let count = match &*key.bytes() {
            b"promptTokenCount" => &mut counts.prompt,
            b"candidatesTokenCount" => &mut counts.candidates,
            b"toolUsePromptTokenCount" => &mut counts.tools,
            b"thoughtsTokenCount" => &mut counts.thoughts,
            b"cachedContentTokenCount" => &mut counts.cached,
            _ => return walker.skip().map(drop),
        };
        *count = walker.count()?;
        Ok(())
    })?;
    Ok(counts.sum())
}

impl Counts {
    fn sum(self) -> Option<Usage> {
        if self.prompt.is_none() && self.candidates.is_none() {
            return None;
        }
        let reasoning = self.thoughts.unwrap_or(0);
        Some(Usage {
            input: self.prompt.unwrap_or(0).saturating_add(self.tools.unwrap_or(0)),
            cache_read: self.cached.unwrap_or(0),
            cache_write: 0,
            cache_write_1h: 0,
            output: self.candidates.unwrap_or(0).saturating_add(reasoning),
            reasoning,
        })
    }
}
