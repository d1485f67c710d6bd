//! `usageMetadata`. Cached tokens are inside the prompt; thoughts stand beside the candidates.

use serde_json::Value;

use crate::dialect::meter::number;
use crate::vocab::Usage;

pub fn read(usage: &Value) -> Option<Usage> {
    let prompt = number(usage, &["/promptTokenCount"]);
    let candidates = number(usage, &["/candidatesTokenCount"]);
    if prompt.is_none() && candidates.is_none() {
        return None;
    }
    let tools = number(usage, &["/toolUsePromptTokenCount"]).unwrap_or(0);
    let reasoning = number(usage, &["/thoughtsTokenCount"]).unwrap_or(0);
    Some(Usage {
        input: prompt.unwrap_or(0).saturating_add(tools),
        cache_read: number(usage, &["/cachedContentTokenCount"]).unwrap_or(0),
        cache_write: 0,
        cache_write_1h: 0,
        output: candidates.unwrap_or(0).saturating_add(reasoning),
        reasoning,
    })
}
