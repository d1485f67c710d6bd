//! `usage` of chat completions, embeddings and the rest, in all vendors' variants (WIRE §3.3).

use serde_json::Value;

use crate::dialect::meter::number;
use crate::vocab::Usage;

/// Cached tokens are inside the input, reasoning is inside the output. Images, audio and responses
/// say `input_tokens` where chat says `prompt_tokens`.
pub fn read(usage: &Value) -> Option<Usage> {
    let input = number(usage, &["/prompt_tokens", "/input_tokens"]);
    let output = number(usage, &["/completion_tokens", "/output_tokens"]);
    let total = number(usage, &["/total_tokens"]);
    if input.is_none() && output.is_none() {
        // Voyage's embeddings.
        return total.map(|input| Usage { input, ..Usage::default() });
    }
    let cache_read = [
        "/prompt_tokens_details/cached_tokens",
        "/input_tokens_details/cached_tokens",
        "/prompt_cache_hit_tokens",
        "/num_cached_tokens",
    ];
    let cache_write =
        ["/prompt_tokens_details/cache_write_tokens", "/input_tokens_details/cache_write_tokens"];
    let reasoning = [
        "/completion_tokens_details/reasoning_tokens",
        "/output_tokens_details/reasoning_tokens",
        "/reasoning_tokens",
    ];
    let reasoning = number(usage, &reasoning).unwrap_or(0);
    let mut all = Usage {
        input: input.unwrap_or(0),
        cache_read: number(usage, &cache_read).unwrap_or(0),
        cache_write: number(usage, &cache_write).unwrap_or(0),
        cache_write_1h: 0,
        output: output.unwrap_or(0),
        reasoning,
    };
    // xAI leaves reasoning out of the output, Mistral audio out of the input; the total gives it away.
    match total.unwrap_or(0).saturating_sub(all.input.saturating_add(all.output)) {
        0 => {}
        left_out if left_out == reasoning => all.output = all.output.saturating_add(left_out),
        left_out if Some(left_out) == number(usage, &["/prompt_tokens_details/audio_tokens"]) => {
            all.input = all.input.saturating_add(left_out);
        }
        _ => {}
    }
    Some(all)
}
