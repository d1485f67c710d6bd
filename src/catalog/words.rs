//! Letters of the embedded text, and the words of an operator's file, for modes, abilities, endpoints.
//!
//! The letters are those of `scripts/catalog`.

use crate::vocab::{Ability, Mode};

/// Every mode, with its letter and its word.
pub const MODES: [(u8, &str, Mode); 10] = [
    (b'c', "chat", Mode::Chat),
    (b'r', "responses", Mode::Responses),
    (b't', "completion", Mode::Completion),
    (b'e', "embedding", Mode::Embedding),
    (b'i', "image", Mode::Image),
    (b's', "speech", Mode::Speech),
    (b'a', "transcription", Mode::Transcription),
    (b'm', "moderation", Mode::Moderation),
    (b'k', "rerank", Mode::Rerank),
    (b'x', "other", Mode::Other),
];

/// Every ability, with its letter and its word.
pub const ABILITIES: [(u8, &str, Ability); 27] = [
    (b't', "tools", Ability::Tools),
    (b'c', "tool_choice", Ability::ToolChoice),
    (b'f', "forced_tools", Ability::ForcedTools),
    (b'p', "parallel_tools", Ability::ParallelTools),
    (b'P', "parallel_tools_config", Ability::ParallelToolsConfig),
    (b'v', "vision", Ability::Vision),
    (b'd', "pdf", Ability::Pdf),
    (b'a', "audio_input", Ability::AudioInput),
    (b'A', "audio_output", Ability::AudioOutput),
    (b'V', "video_input", Ability::VideoInput),
    (b's', "structured_output", Ability::StructuredOutput),
    (b'r', "reasoning", Ability::Reasoning),
    (b'R', "adaptive_thinking", Ability::AdaptiveThinking),
    (b'B', "budget_thinking", Ability::BudgetThinking),
    (b'o', "output_config", Ability::OutputConfig),
    (b'0', "effort_none", Ability::EffortNone),
    (b'1', "effort_minimal", Ability::EffortMinimal),
    (b'2', "effort_low", Ability::EffortLow),
    (b'5', "effort_xhigh", Ability::EffortXhigh),
    (b'6', "effort_max", Ability::EffortMax),
    (b'h', "sampling", Ability::Sampling),
    (b'x', "prefill", Ability::Prefill),
    (b'y', "system_messages", Ability::SystemMessages),
    (b'Y', "mid_conversation_system", Ability::MidConversationSystem),
    (b'k', "prompt_caching", Ability::PromptCaching),
    (b'K', "cache_breakpoint", Ability::CacheBreakpoint),
    (b'w', "web_search", Ability::WebSearch),
];

const ENDPOINTS: [(u8, &str); 15] = [
    (b'c', "/v1/chat/completions"),
    (b'r', "/v1/responses"),
    (b't', "/v1/completions"),
    (b'b', "/v1/batch"),
    (b'i', "/v1/images/generations"),
    (b'I', "/v1/images/edits"),
    (b'a', "/v1/audio/transcriptions"),
    (b's', "/v1/audio/speech"),
    (b'l', "/v1/realtime"),
    (b'L', "/v1/realtime/transcription_sessions"),
    (b'v', "/v1/videos"),
    (b'o', "/v1/ocr"),
    (b'd', "/v1/decisions"),
    (b'n', "/v1beta/interactions"),
    (b'g', "/vertex_ai/live"),
];

pub fn mode(letter: u8) -> Option<Mode> {
    MODES.iter().find(|(known, ..)| *known == letter).map(|(.., mode)| *mode)
}

pub fn ability(letter: u8) -> Option<Ability> {
    ABILITIES.iter().find(|(known, ..)| *known == letter).map(|(.., ability)| *ability)
}

pub fn endpoint(letter: u8) -> Option<&'static str> {
    ENDPOINTS.iter().find(|(known, _)| *known == letter).map(|(_, path)| *path)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_ability_has_one_letter_and_one_word() {
        let letters: HashSet<u8> = ABILITIES.iter().map(|(letter, ..)| *letter).collect();
        let words: HashSet<&str> = ABILITIES.iter().map(|(_, word, _)| *word).collect();
        assert_eq!((letters.len(), words.len()), (ABILITIES.len(), ABILITIES.len()));
        for ability in Ability::ALL {
            assert!(ABILITIES.iter().any(|(.., known)| *known == ability), "{ability:?}");
        }
    }

    #[test]
    fn every_mode_and_endpoint_has_its_own_letter() {
        let modes: HashSet<u8> = MODES.iter().map(|(letter, ..)| *letter).collect();
        let endpoints: HashSet<u8> = ENDPOINTS.iter().map(|(letter, _)| *letter).collect();
        assert_eq!((modes.len(), endpoints.len()), (MODES.len(), ENDPOINTS.len()));
    }
}
