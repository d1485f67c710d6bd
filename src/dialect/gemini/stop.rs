//! Why an answer ended, in Google's words (WIRE §3.2 and `FinishReason` of google-genai 3.4).

use crate::dialect::hub::Stop;

/// Whether the answer holds a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Called {
    Yes,
    No,
}

/// What a `finishReason` means. Google has none for calls: they end with `STOP`.
pub fn read(reason: &str, called: Called) -> Stop<'static> {
    match reason {
        // A hop of a long decode: the caller would have to go on with a token that only Google's
        // dialect has, so for anybody else it is as long as it gets.
        "MAX_TOKENS" | "CONTINUATION" => Stop::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION"
        | "MODEL_ARMOR"
        | "ESCALATION"
        | "PUP_LIMITED_DISABLED" => Stop::Filter,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE"
        | "OTHER"
        | "IMAGE_OTHER"
        | "NO_IMAGE" => Stop::Failed,
        _ => said_nothing(called),
    }
}

/// What can be told when no reason was given.
pub fn said_nothing(called: Called) -> Stop<'static> {
    match called {
        Called::Yes => Stop::Calls,
        Called::No => Stop::End,
    }
}

/// The `finishReason` that says the same, or the nearest.
pub fn word(stop: &Stop<'_>) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) | Stop::Calls => "STOP",
        Stop::Length | Stop::Window | Stop::Pause => "MAX_TOKENS",
        Stop::Filter | Stop::Refusal => "SAFETY",
        Stop::Failed => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_what_it_was_written_for() {
        for (stop, back) in [
            (Stop::End, Stop::End),
            (Stop::Calls, Stop::Calls),
            (Stop::Length, Stop::Length),
            (Stop::Filter, Stop::Filter),
            (Stop::Failed, Stop::Failed),
            // Google has no words for these.
            (Stop::Sequence(Some("x".into())), Stop::End),
            (Stop::Window, Stop::Length),
            (Stop::Refusal, Stop::Filter),
            (Stop::Pause, Stop::Length),
        ] {
            let called = if stop == Stop::Calls { Called::Yes } else { Called::No };
            assert_eq!(read(word(&stop), called), back);
        }
    }
}
