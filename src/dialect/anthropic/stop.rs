//! Why an answer ended, in Anthropic's words (WIRE §3.2).

use crate::dialect::hub::{Stop, Text};

/// What the reason means; `None` for one that is not known.
pub fn read<'a>(reason: &str, sequence: Option<Text<'a>>) -> Option<Stop<'a>> {
    Some(match reason {
        "end_turn" => Stop::End,
        "stop_sequence" => Stop::Sequence(sequence),
        "max_tokens" => Stop::Length,
        "model_context_window_exceeded" => Stop::Window,
        "tool_use" => Stop::Calls,
        "refusal" => Stop::Refusal,
        "pause_turn" => Stop::Pause,
        _ => return None,
    })
}

/// The reason, and the stop sequence that came. A filter is a refusal here; a model that failed has no
/// reason of its own, and no caller is told of it as an answer (`translate`).
pub fn write<'s>(stop: &'s Stop<'_>) -> (&'static str, Option<&'s str>) {
    match stop {
        // Without its sequence that reason would promise a text that is not there.
        Stop::End | Stop::Failed | Stop::Sequence(None) => ("end_turn", None),
        Stop::Sequence(Some(text)) => ("stop_sequence", Some(text)),
        Stop::Length => ("max_tokens", None),
        Stop::Window => ("model_context_window_exceeded", None),
        Stop::Calls => ("tool_use", None),
        Stop::Filter | Stop::Refusal => ("refusal", None),
        Stop::Pause => ("pause_turn", None),
    }
}
