//! Whole answers have the chat dialect's error; a stream ends with two events.

use bytes::Bytes;
use serde_json::json;

use crate::dialect::openai;
use crate::dialect::trouble::Trouble;

/// As on the real wire: `error`, then `response.failed`. The specification's flat form of `error`
/// raises nothing in OpenAI's own SDK (WIRE §2.3).
pub fn in_band(trouble: &Trouble, next_sequence: u64) -> Bytes {
    let error = json!({
        "type": "error",
        "sequence_number": next_sequence,
        "error": openai::error::object(trouble),
    });
    let failed = json!({
        "type": "response.failed",
        "sequence_number": next_sequence.saturating_add(1),
        "response": {
            "object": "response",
            "status": "failed",
            "error": {
                "code": openai::error::code(trouble).unwrap_or("server_error"),
                "message": trouble.message,
            },
            "incomplete_details": null,
            "output": [],
        },
    });
    format!("event: error\ndata: {error}\n\nevent: response.failed\ndata: {failed}\n\n").into()
}
