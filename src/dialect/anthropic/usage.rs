//! `usage` of a message. Cached tokens stand beside `input_tokens`, not inside.

use serde_json::Value;

use crate::dialect::meter::number;
use crate::vocab::Usage;

/// `usage` of an answer in one piece, or of a stream with both ends merged.
pub fn read(usage: &Value) -> Option<Usage> {
    let fresh = number(usage, &["/input_tokens"]);
    let output = number(usage, &["/output_tokens"]);
    if fresh.is_none() && output.is_none() {
        return None;
    }
    let cache_read = number(usage, &["/cache_read_input_tokens"]).unwrap_or(0);
    let written = number(usage, &["/cache_creation_input_tokens"]);
    let cache_write_1h = number(usage, &["/cache_creation/ephemeral_1h_input_tokens"]).unwrap_or(0);
    let cache_write_5m = number(usage, &["/cache_creation/ephemeral_5m_input_tokens"]).unwrap_or(0);
    let all_written = written.unwrap_or(0).max(cache_write_1h.saturating_add(cache_write_5m));
    Some(Usage {
        input: fresh.unwrap_or(0).saturating_add(cache_read).saturating_add(all_written),
        cache_read,
        cache_write: all_written.saturating_sub(cache_write_1h),
        cache_write_1h,
        output: output.unwrap_or(0),
        reasoning: number(usage, &["/output_tokens_details/thinking_tokens"]).unwrap_or(0),
    })
}

/// A stream says its usage at both ends: `message_delta` is cumulative and wins, but may leave out
/// what `message_start` said.
pub fn merge(start: Value, delta: Value) -> Value {
    match (start, delta) {
        (Value::Object(mut all), Value::Object(later)) => {
            all.extend(later.into_iter().filter(|(_, value)| !value.is_null()));
            Value::Object(all)
        }
        (start, Value::Null) => start,
        (_, delta) => delta,
    }
}
