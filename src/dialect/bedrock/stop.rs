//! Why an answer ended, in Amazon's words (WIRE §3.2).

use crate::dialect::hub::{Stop, Text};
use crate::dialect::tree::Node;
use crate::dialect::write::Object;

/// What the reason means. A new one is taken for a usual end.
pub fn read<'a>(reason: &str, sequence: Option<Text<'a>>) -> Stop<'a> {
    match reason {
        "tool_use" => Stop::Calls,
        "max_tokens" => Stop::Length,
        "model_context_window_exceeded" => Stop::Window,
        "stop_sequence" => Stop::Sequence(sequence),
        "guardrail_intervened" | "content_filtered" => Stop::Filter,
        "malformed_model_output" | "malformed_tool_use" => Stop::Failed,
        // Claude's own reasons, which Converse has no word for yet.
        "refusal" => Stop::Refusal,
        "pause_turn" => Stop::Pause,
        _ => Stop::End,
    }
}

/// The stop sequence that came, where the caller had asked for it
/// (`additionalModelResponseFieldPaths: ["/stop_sequence"]`; in streams it is found in a `delta`).
pub fn sequence<'a>(body: &Node<'a>) -> Option<Text<'a>> {
    let fields = body.at("additionalModelResponseFields")?;
    fields.at("stop_sequence").or_else(|| fields.at("delta")?.at("stop_sequence"))?.text()
}

/// Writes the reason, and the sequence where it is known.
pub fn write(stop: &Stop<'_>, object: &mut Object<'_>) {
    object.str("stopReason", reason(stop));
    if let Stop::Sequence(Some(text)) = stop {
        object.object("additionalModelResponseFields", |fields| {
            fields.str("stop_sequence", text);
        });
    }
}

const fn reason(stop: &Stop<'_>) -> &'static str {
    match stop {
        Stop::End => "end_turn",
        Stop::Sequence(_) => "stop_sequence",
        // Nothing can be paused here, and the answer is not whole.
        Stop::Length | Stop::Pause => "max_tokens",
        Stop::Window => "model_context_window_exceeded",
        Stop::Calls => "tool_use",
        Stop::Filter | Stop::Refusal => "content_filtered",
        Stop::Failed => "malformed_model_output",
    }
}
