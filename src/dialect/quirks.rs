//! How a vendor's wire differs from what its dialect says.
//!
//! Only what a writer has to heed when *we* make the request: bytes of the same dialect pass as they
//! are. Sources: WIRE §3.1 and §3.8, and the vendors' API references.

use super::hub::Family;

/// The differences of one vendor. The default is the dialect as its own vendor speaks it, for the
/// compatible many: `max_tokens`, system messages, no ways to steer reasoning but `reasoning_effort`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks {
    pub max_tokens: MaxTokens,
    pub system: SystemRole,
    pub reasoning: ReasoningStyle,
    pub tool_ids: ToolIds,
    pub tool_choice: ForcedTools,
    pub call_ids: CallIds,
    /// Where Claude gets pictures and documents from.
    pub claude_sources: ClaudeSources,
    /// How past reasoning is sent back in an assistant's message.
    pub reasoning_back: ReasoningBack,
    /// `response_format: json_schema` is understood; else `json_object` is the most that can be said.
    pub json_schema: bool,
    /// How a model is asked to go on with an answer that the request has begun.
    pub prefilling: Prefilling,
    /// Tools go upstream as responses when the model thinks (OpenAI's own, GPT-5.4 and later, WIRE §0.2).
    pub tools_by_responses: bool,
    /// Members of messages that other vendors have put into their answers.
    pub strange_members: StrangeMembers,
    /// In Anthropic's dialect it serves nobody but Claude, whatever a deployment is called.
    pub claude_alone: bool,
    /// Whose signatures its own models make and take, in a dialect that several vendors speak.
    pub family: Family,
}

/// The field for the answer's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokens {
    /// `max_tokens`: what most compatible vendors know only.
    Plain,
    /// `max_completion_tokens`: OpenAI's newer models refuse the other one.
    Completion,
}

/// Who gives the instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemRole {
    /// `system` for both of OpenAI's roles.
    System,
    /// `developer` is understood, too.
    Developer,
}

/// How much to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningStyle {
    /// `reasoning_effort: "low"`.
    Effort,
    /// `reasoning: {effort | max_tokens}` (OpenRouter).
    Object,
    /// `enable_thinking` and `thinking_budget` (Qwen).
    Enable,
    /// `thinking: {type: enabled | disabled}` (Moonshot, Z.ai, DeepSeek).
    Toggle,
    /// Nothing can be said.
    None,
}

/// What ids of tool calls have to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolIds {
    Any,
    /// Exactly nine letters and digits (Mistral).
    NineAlphanumeric,
}

/// What becomes of a chat whose messages have members that the vendor does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrangeMembers {
    /// Nothing, or nobody has seen what.
    Ignored,
    /// It is refused (Mistral 422 `extra_forbidden`; Groq and Cerebras 400 "property … is unsupported").
    Refused,
    /// The same, save for those of OpenAI's own answers.
    RefusedByOpenAi,
}

/// Whether `tool_choice` may name a tool or demand one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForcedTools {
    Taken,
    /// Refused while the model thinks; `auto` is sent instead.
    OnlyAuto,
    /// `any` stands for `required` (Mistral).
    Any,
}

/// Whether Gemini's calls and their results may have ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallIds {
    Sent,
    /// Vertex refuses them.
    Omitted,
}

/// How pictures and documents may come to Claude, in Anthropic's own dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaudeSources {
    Any,
    /// As data only: Google's and Amazon's clouds fetch nothing (Anthropic's "Vision", supported platforms).
    Data,
}

/// Past reasoning in an assistant's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningBack {
    /// Left out: most vendors ignore or refuse it.
    Omitted,
    /// `reasoning_content` (DeepSeek with tools, Moonshot, Z.ai); parts of the content, where the vendor is Mistral.
    Content,
    /// `reasoning` (Cerebras, which refuses `reasoning_content`).
    Plain,
    /// `reasoning_details` (OpenRouter).
    Details,
}

/// How a conversation says that its last message, the assistant's, is to be continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefilling {
    /// By being the last; models that are not known to take it are not asked.
    Plain,
    /// `prefix: true` in the message; the answer repeats it (Mistral).
    Prefix,
    /// `prefix: true` in the message, at `/beta` (DeepSeek).
    BetaPrefix,
    /// `continue_final_message: true` and `add_generation_prompt: false` (vLLM).
    FinalMessage,
}

impl Quirks {
    pub const COMPATIBLE: Self = Self {
        max_tokens: MaxTokens::Plain,
        system: SystemRole::System,
        reasoning: ReasoningStyle::Effort,
        tool_ids: ToolIds::Any,
        tool_choice: ForcedTools::Taken,
        call_ids: CallIds::Sent,
        claude_sources: ClaudeSources::Any,
        reasoning_back: ReasoningBack::Omitted,
        json_schema: true,
        prefilling: Prefilling::Plain,
        tools_by_responses: false,
        strange_members: StrangeMembers::Ignored,
        claude_alone: false,
        family: Family::Other,
    };

    /// OpenAI's own wire.
    pub const OPENAI: Self = Self {
        max_tokens: MaxTokens::Completion,
        system: SystemRole::Developer,
        tools_by_responses: true,
        strange_members: StrangeMembers::RefusedByOpenAi,
        family: Family::OpenAi,
        ..Self::COMPATIBLE
    };

    /// Is it Claude that answers to this name, in Anthropic's dialect? Whoever is not known to be another is taken for
    /// it: it is the one that refuses.
    pub fn is_claude(&self, model: &str) -> bool {
        let is_other = || {
            let model = model.to_ascii_lowercase();
            OTHERS.iter().any(|other| model.contains(other))
        };
        self.claude_alone || model.contains("claude") || !is_other()
    }
}

/// In the names of models that are asked in Anthropic's dialect and are not Claude. Source: their vendors' guides for
/// Claude Code.
const OTHERS: [&str; 9] =
    ["deepseek", "kimi", "moonshot", "glm", "qwen", "minimax", "mimo", "longcat", "gpt"];

impl ToolIds {
    /// May an id look like this?
    pub fn takes(self, id: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::NineAlphanumeric => id.len() == 9 && id.iter().all(u8::is_ascii_alphanumeric),
        }
    }
}
