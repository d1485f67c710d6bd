//! What is known of a model: how much it takes, and what it can and cannot do.
//!
//! Three answers, not two: a model that nobody has written about neither has nor lacks an ability, and
//! whoever asks decides what to do then. Where the knowledge comes from is `catalog`'s affair.

/// A model's limits and abilities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The window: most tokens of prompt and answer together.
    pub context: Option<u64>,
    /// Most tokens of an answer.
    pub max_output: Option<u64>,
    /// Entries of an embedding.
    pub dimensions: Option<u32>,
    pub mode: Option<Mode>,
    has: u64,
    lacks: u64,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    Chat,
    /// Chat, but only by way of OpenAI's responses.
    Responses,
    Completion,
    Embedding,
    Image,
    Speech,
    Transcription,
    Moderation,
    Rerank,
    /// Something that no endpoint here serves: video, realtime, OCR …
    Other,
}

/// Something that some models can do and others cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Ability {
    Tools,
    /// To be told which tool to call, or whether.
    ToolChoice,
    /// To be made to call a tool.
    ForcedTools,
    ParallelTools,
    /// To be told to call no two tools at once.
    ParallelToolsConfig,
    Vision,
    Pdf,
    AudioInput,
    AudioOutput,
    VideoInput,
    /// Answers that follow a JSON Schema.
    StructuredOutput,
    Reasoning,
    /// Anthropic's `thinking: adaptive`.
    AdaptiveThinking,
    /// Anthropic's `thinking: enabled` with a budget.
    BudgetThinking,
    /// Anthropic's `output_config` with an effort.
    OutputConfig,
    EffortNone,
    EffortMinimal,
    EffortLow,
    EffortXhigh,
    EffortMax,
    /// `temperature`, `top_p`, `top_k`.
    Sampling,
    /// To go on with an answer that the request has begun.
    Prefill,
    SystemMessages,
    /// System messages between others.
    MidConversationSystem,
    PromptCaching,
    /// OpenAI's `prompt_cache_breakpoint`.
    CacheBreakpoint,
    WebSearch,
}

impl Ability {
    /// Every ability, for tables and tests.
    pub const ALL: [Self; 27] = [
        Self::Tools,
        Self::ToolChoice,
        Self::ForcedTools,
        Self::ParallelTools,
        Self::ParallelToolsConfig,
        Self::Vision,
        Self::Pdf,
        Self::AudioInput,
        Self::AudioOutput,
        Self::VideoInput,
        Self::StructuredOutput,
        Self::Reasoning,
        Self::AdaptiveThinking,
        Self::BudgetThinking,
        Self::OutputConfig,
        Self::EffortNone,
        Self::EffortMinimal,
        Self::EffortLow,
        Self::EffortXhigh,
        Self::EffortMax,
        Self::Sampling,
        Self::Prefill,
        Self::SystemMessages,
        Self::MidConversationSystem,
        Self::PromptCaching,
        Self::CacheBreakpoint,
        Self::WebSearch,
    ];

    /// For people: what a model without it cannot do.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::ToolChoice => "tool_choice",
            Self::ForcedTools => "forced_tools",
            Self::ParallelTools => "parallel_tools",
            Self::ParallelToolsConfig => "parallel_tools_config",
            Self::Vision => "vision",
            Self::Pdf => "pdf",
            Self::AudioInput => "audio_input",
            Self::AudioOutput => "audio_output",
            Self::VideoInput => "video_input",
            Self::StructuredOutput => "structured_output",
            Self::Reasoning => "reasoning",
            Self::AdaptiveThinking => "adaptive_thinking",
            Self::BudgetThinking => "budget_thinking",
            Self::OutputConfig => "output_config",
            Self::EffortNone => "effort_none",
            Self::EffortMinimal => "effort_minimal",
            Self::EffortLow => "effort_low",
            Self::EffortXhigh => "effort_xhigh",
            Self::EffortMax => "effort_max",
            Self::Sampling => "sampling",
            Self::Prefill => "prefill",
            Self::SystemMessages => "system_messages",
            Self::MidConversationSystem => "mid_conversation_system",
            Self::PromptCaching => "prompt_caching",
            Self::CacheBreakpoint => "cache_breakpoint",
            Self::WebSearch => "web_search",
        }
    }

    /// The ability of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ability| ability.name() == name)
    }

    const fn bit(self) -> u64 {
        1 << self as u8
    }
}

/// A set of abilities: what a request needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Abilities(u64);

impl Abilities {
    pub fn add(&mut self, ability: Ability) {
        self.0 |= ability.bit();
    }

    pub const fn has(self, ability: Ability) -> bool {
        self.0 & ability.bit() != 0
    }
}

impl Facts {
    /// The first of `needed` that is known to be missing.
    pub fn lacking(&self, needed: Abilities) -> Option<Ability> {
        Ability::ALL.into_iter().find(|ability| self.lacks & needed.0 & ability.bit() != 0)
    }

    /// Is known to lack one of those that a request may need.
    pub const fn is_choosy(&self) -> bool {
        const NEEDED: u64 = Ability::Tools.bit()
            | Ability::Vision.bit()
            | Ability::Pdf.bit()
            | Ability::AudioInput.bit()
            | Ability::VideoInput.bit();
        self.lacks & NEEDED != 0
    }

    /// Is known to be able to.
    pub const fn has(&self, ability: Ability) -> bool {
        self.has & ability.bit() != 0
    }

    /// Is known not to be able to.
    pub const fn lacks(&self, ability: Ability) -> bool {
        self.lacks & ability.bit() != 0
    }

    pub fn learn(&mut self, ability: Ability, able: bool) {
        let (known, other) =
            if able { (&mut self.has, &mut self.lacks) } else { (&mut self.lacks, &mut self.has) };
        *known |= ability.bit();
        *other &= !ability.bit();
    }

    /// Nobody has written about it.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_neither_there_nor_lacking() {
        let mut facts = Facts::default();
        assert!(facts.is_unknown());
        for ability in Ability::ALL {
            assert!(!facts.has(ability) && !facts.lacks(ability));
        }
        facts.learn(Ability::Vision, true);
        assert!(facts.has(Ability::Vision) && !facts.lacks(Ability::Vision) && !facts.has(Ability::Tools));
        facts.learn(Ability::Vision, false);
        assert!(!facts.has(Ability::Vision) && facts.lacks(Ability::Vision));
        let mut needed = Abilities::default();
        needed.add(Ability::Tools);
        assert_eq!(facts.lacking(needed), None);
        needed.add(Ability::Vision);
        assert_eq!(facts.lacking(needed), Some(Ability::Vision));
    }
}
