//! A request to generate.

use super::part::{CacheMark, Part};
use super::{Extras, Text};
use crate::dialect::Dialect;

/// What the user says where a dialect needs him to, and he has said nothing that it knows.
pub const NOTHING: &str = ".";
/// What he says behind an answer that the model cannot just continue.
pub const GO_ON: &str = "Continue your last message exactly where it ends. Repeat nothing of it.";

const JSON_ONLY: &str = "Answer with one JSON object and nothing else: no explanation and no code fence.";
/// The schema follows.
const SCHEMA_ONLY: &str = "Answer with JSON that is valid against this JSON Schema, and with nothing else: no \
                           explanation and no code fence.\n";

/// What a caller asks for, whatever the dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct Ask<'a> {
    /// Where it came from: whose extras these are.
    pub dialect: Dialect,
    pub model: Text<'a>,
    pub mode: Mode,
    /// In the caller's order, system messages among them where they stood. Neighbours of one role are
    /// as the caller wrote them; a writer merges where its dialect demands it.
    pub turns: Vec<Turn<'a>>,
    pub tools: Vec<Tool<'a>>,
    pub tool_choice: Option<ToolChoice<'a>>,
    pub parallel_tools: Option<bool>,
    pub format: Option<Format<'a>>,
    pub reasoning: Reasoning,
    /// Most tokens of the answer, reasoning included.
    pub max_tokens: Option<u64>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub top_k: Option<u64>,
    pub stop: Vec<Text<'a>>,
    /// How many answers; absent is one.
    pub n: Option<u64>,
    pub seed: Option<f64>,
    pub presence_penalty: Option<f64>,
    pub frequency_penalty: Option<f64>,
    /// A JSON object of token ids and biases.
    pub logit_bias: Option<&'a str>,
    pub logprobs: Option<Logprobs>,
    pub tier: Option<Tier>,
    /// The caller's own end user, for abuse monitoring.
    pub user: Option<Text<'a>>,
    /// Requests with the same key should meet the same prompt cache.
    pub cache_key: Option<Text<'a>>,
    /// A cache mark on the request as a whole.
    pub cache: Option<CacheMark>,
    /// Anthropic's betas that the caller wants and the upstream takes, where they stand in the body.
    pub betas: Vec<Text<'a>>,
    pub extras: Extras<'a>,
}

/// What a search of the vendor's own is called where it has to be called: Anthropic's name for it.
pub const SEARCH: &str = "web_search";

impl Ask<'_> {
    /// Whether this name means the vendor's search: it is among the tools, and no tool of the caller's is called so.
    pub fn means_search(&self, name: &str) -> bool {
        let searches = self.tools.iter().any(|tool| matches!(tool.kind, ToolKind::WebSearch { .. }));
        name == SEARCH && searches && !self.declares(name)
    }

    /// Whether a tool of the caller's has this name.
    pub fn declares(&self, wanted: &str) -> bool {
        self.tools.iter().any(|tool| match &tool.kind {
            ToolKind::Function { name, .. } | ToolKind::Custom { name, .. } => name == wanted,
            ToolKind::WebSearch { .. } | ToolKind::Vendor { .. } => false,
        })
    }

    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            model: Text::Borrowed(""),
            mode: Mode::Whole,
            turns: Vec::new(),
            tools: Vec::new(),
            tool_choice: None,
            parallel_tools: None,
            format: None,
            reasoning: Reasoning::default(),
            max_tokens: None,
            temperature: None,
            top_p: None,
            top_k: None,
            stop: Vec::new(),
            n: None,
            seed: None,
            presence_penalty: None,
            frequency_penalty: None,
            logit_bias: None,
            logprobs: None,
            tier: None,
            user: None,
            cache_key: None,
            cache: None,
            betas: Vec::new(),
            extras: Extras::default(),
        }
    }
}

/// Whole, or as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Whole,
    /// `usage`: chat callers get the tokens' count only if they ask for it.
    Stream {
        usage: bool,
    },
}

/// One message.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn<'a> {
    pub role: Role,
    pub parts: Vec<Part<'a>>,
    /// A participant's name, where the dialect has one.
    pub name: Option<Text<'a>>,
    pub extras: Extras<'a>,
}

impl<'a> Turn<'a> {
    pub fn new(role: Role, parts: Vec<Part<'a>>) -> Self {
        Self { role, parts, name: None, extras: Extras::default() }
    }
}

/// Tool results are parts of a user's turn, as most dialects have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    System,
    /// OpenAI's newer word for it; others read it as `System`.
    Developer,
    User,
    Assistant,
}

/// A tool that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool<'a> {
    pub kind: ToolKind<'a>,
    pub cache: Option<CacheMark>,
    pub extras: Extras<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ToolKind<'a> {
    Function {
        name: Text<'a>,
        description: Option<Text<'a>>,
        /// A JSON Schema, as it was written where that was JSON Schema.
        parameters: Option<Text<'a>>,
        strict: Option<bool>,
    },
    /// OpenAI's custom tool: its input is free text, perhaps of a grammar (`format`, JSON).
    Custom { name: Text<'a>, description: Option<Text<'a>>, format: Option<&'a str> },
    /// Web search, in its vendor's own words (`raw`, the whole tool).
    WebSearch { raw: &'a str },
    /// Another tool that the vendor runs; only its own dialect can say it.
    Vendor { name: Text<'a>, raw: &'a str },
}

#[derive(Clone, Debug, PartialEq)]
pub enum ToolChoice<'a> {
    Auto,
    None,
    /// Some tool has to be called.
    Required,
    /// This one has to be.
    Tool(Text<'a>),
    /// One of these: it may be, or has to be.
    Allowed {
        names: Vec<Text<'a>>,
        required: bool,
    },
}

/// The form of the answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Format<'a> {
    /// Any JSON object.
    Json,
    Schema {
        name: Option<Text<'a>>,
        description: Option<Text<'a>>,
        /// A JSON Schema, as it was written where that was JSON Schema.
        schema: Text<'a>,
        strict: Option<bool>,
    },
}

impl Format<'_> {
    /// What the model is told where nothing else holds it to this form.
    pub fn in_words(&self) -> Text<'static> {
        match self {
            Self::Json => Text::Borrowed(JSON_ONLY),
            Self::Schema { schema, .. } => Text::Owned([SCHEMA_ONLY, schema].concat()),
        }
    }
}

/// How much the model may think before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reasoning {
    pub effort: Option<Effort>,
    /// Tokens; 0 is none at all.
    pub budget: Option<u64>,
    /// The model decides by itself how much (`adaptive`, a budget of -1).
    pub adaptive: bool,
    /// Whether the caller wants to see it.
    pub summary: Option<Summary>,
    /// The caller wants encrypted reasoning to send back (`include: reasoning.encrypted_content`).
    pub encrypted: bool,
}

/// From least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    Xhigh,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summary {
    /// Not shown.
    Omitted,
    Auto,
    Concise,
    Detailed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logprobs {
    /// Alternatives for each token; 0 is just the token's own.
    pub top: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    Auto,
    /// The usual one, and no other.
    Standard,
    Flex,
    Priority,
    Scale,
}

impl Effort {
    pub const ALL: [Self; 7] =
        [Self::None, Self::Minimal, Self::Low, Self::Medium, Self::High, Self::Xhigh, Self::Max];

    /// OpenAI's word for it, which the others share.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Xhigh => "xhigh",
            Self::Max => "max",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.name() == text)
    }

    /// A budget that is about as much, in tokens. The steps are those of OpenRouter's and LiteLLM's
    /// public tables, rounded to powers of two; a vendor's own limits come on top.
    pub const fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal => 1_024,
            Self::Low => 2_048,
            Self::Medium => 8_192,
            Self::High => 16_384,
            Self::Xhigh => 32_768,
            Self::Max => 65_536,
        }
    }

    /// The effort that a budget is about as much as: the smallest whose own budget covers it.
    pub fn of_budget(tokens: u64) -> Self {
        Self::ALL.into_iter().find(|effort| effort.budget() >= tokens).unwrap_or(Self::Max)
    }
}

impl Reasoning {
    /// The caller said nothing about it.
    pub fn is_unsaid(&self) -> bool {
        *self == Self::default()
    }

    /// The effort that was asked for, in whatever words; `None` when nothing was said about how much.
    pub fn as_effort(&self) -> Option<Effort> {
        self.effort.or_else(|| self.budget.map(Effort::of_budget))
    }

    /// The tokens that may be spent, in whatever words.
    pub fn as_budget(&self) -> Option<u64> {
        self.budget.or_else(|| self.effort.map(Effort::budget))
    }

    /// The caller wants none.
    pub fn is_off(&self) -> bool {
        !self.adaptive
            && (self.effort == Some(Effort::None) || (self.effort.is_none() && self.budget == Some(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efforts_and_budgets_tell_the_same() {
        for effort in Effort::ALL {
            assert_eq!(Effort::of_budget(effort.budget()), effort);
            assert_eq!(Effort::parse(effort.name()), Some(effort));
        }
        assert_eq!(Effort::of_budget(1), Effort::Minimal);
        assert_eq!(Effort::of_budget(u64::MAX), Effort::Max);
        assert!(Reasoning { budget: Some(0), ..Reasoning::default() }.is_off());
        assert!(!Reasoning { adaptive: true, budget: Some(0), ..Reasoning::default() }.is_off());
        assert!(Reasoning::default().is_unsaid());
    }
}
