//! How much the model shall think, in its maker's own words.
//!
//! Claude takes `thinking` with a budget until generation 4.5, `adaptive` with an effort since 4.6, and
//! nothing else since 4.7 (Bedrock's guide, "Adaptive thinking"). Nova takes an effort since its second
//! generation, and with the highest one no sampling and no limit ("Extended thinking in Amazon Nova 2").
//! gpt-oss and Qwen take an effort, as recorded. Nobody else can be told.

use super::turns::Layout;
use super::{Draft, Origin};
use crate::dialect::bedrock::maker::Maker;
use crate::dialect::hub::{Content, Effort, Family, Losses, Role, Summary, ToolChoice};
use crate::dialect::write::Object;
use crate::vocab::Ability;

/// Anthropic's smallest budget.
const MIN_BUDGET: u64 = 1_024;

/// What is said about thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    Unsaid,
    /// None at all, in so many words.
    Off,
    /// Claude may think this many tokens.
    Budget(u64),
    /// Claude decides, with an effort.
    Adaptive(Option<&'static str>),
    /// Just an effort.
    Effort(&'static str),
}

impl Thinking {
    pub fn of(draft: &Draft<'_, '_>, layout: &Layout<'_, '_>, losses: &mut Losses) -> Self {
        let asked = draft.ask.reasoning;
        if !is_asked(draft) {
            return Self::Unsaid;
        }
        if draft.origin == Origin::Own {
            return Self::own(draft, layout, losses);
        }
        let found = if asked.is_off() { Self::off(draft) } else { Self::foreign(draft, layout) };
        if found.is_none() {
            losses.drop(if asked.effort.is_some() { "reasoning_effort" } else { "reasoning" });
        }
        found.unwrap_or(Self::Unsaid)
    }

    /// As the caller said it, but for a budget after calls that another model made.
    fn own(draft: &Draft<'_, '_>, layout: &Layout<'_, '_>, losses: &mut Losses) -> Self {
        let asked = draft.ask.reasoning;
        match (asked.budget, asked.effort) {
            (Some(_), effort) if draft.maker.is_claude() && layout.ends_in_unthought_calls() => {
                losses.drop("thinking");
                effort.map_or(Self::Unsaid, |effort| Self::Effort(effort.name()))
            }
            (Some(tokens), _) => Self::Budget(tokens),
            (None, Some(Effort::None)) => Self::Off,
            (None, effort) if asked.adaptive => Self::Adaptive(effort.map(Effort::name)),
            (None, effort) => effort.map_or(Self::Unsaid, |effort| Self::Effort(effort.name())),
        }
    }

    /// Left unsaid it is none, but for those who think unless they are told not to: Claude since its
    /// fifth generation, of which some lines refuse to be told, and gpt-oss.
    fn off(draft: &Draft<'_, '_>) -> Option<Self> {
        let facts = draft.terms.facts;
        let always = ["fable", "mythos"].iter().any(|line| draft.terms.kind().contains(line));
        match draft.maker {
            Maker::Claude(..) if always || facts.lacks(Ability::EffortNone) => None,
            Maker::Claude(5.., _) => Some(Self::Off),
            Maker::GptOss => None,
            Maker::Claude(..) | Maker::Nova(_) | Maker::Qwen | Maker::Other => Some(Self::Unsaid),
        }
    }

    /// `None` when the model cannot be told, or not together with the rest of the request.
    fn foreign(draft: &Draft<'_, '_>, layout: &Layout<'_, '_>) -> Option<Self> {
        if draft.terms.facts.lacks(Ability::Reasoning) {
            return None;
        }
        match draft.maker {
            Maker::Claude(..) => Self::claude(draft, layout),
            Maker::Nova(2..) | Maker::GptOss | Maker::Qwen => Some(Self::Effort(three(draft.effort()))),
            Maker::Nova(_) | Maker::Other => None,
        }
    }

    fn claude(draft: &Draft<'_, '_>, layout: &Layout<'_, '_>) -> Option<Self> {
        let facts = draft.terms.facts;
        let forced = match &draft.ask.tool_choice {
            Some(ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { required: true, .. }) => {
                true
            }
            Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Allowed { required: false, .. })
            | None => false,
        };
        // Claude refuses to think when it has to call a tool, and could not before 3.7.
        if forced || !draft.maker.is_claude_since((3, 7)) {
            return None;
        }
        let newer = draft.maker.is_claude_since((4, 6));
        if draft.terms.knows(Ability::AdaptiveThinking, newer && !facts.has(Ability::BudgetThinking)) {
            let told = draft.terms.knows(Ability::OutputConfig, true);
            let effort = draft.effort().filter(|_| told).map(|effort| claude_effort(draft, effort));
            return Some(Self::Adaptive(effort));
        }
        if !draft.terms.knows(Ability::BudgetThinking, !newer) {
            return None;
        }
        if layout.ends_in_unthought_calls() {
            // With a budget, the turn that is to be continued has to begin with its thinking.
            return None;
        }
        let wanted = draft.ask.reasoning.as_budget().unwrap_or(Effort::Medium.budget()).max(MIN_BUDGET);
        // The budget is a part of the limit.
        match draft.ask.max_tokens.or(facts.max_output) {
            Some(limit) if limit <= MIN_BUDGET => None,
            Some(limit) if limit <= wanted => {
                Some(Self::Budget((limit / 4 * 3).max(MIN_BUDGET).min(limit - 1)))
            }
            _ => Some(Self::Budget(wanted)),
        }
    }

    /// The fields that say it.
    pub fn write(&self, draft: &Draft<'_, '_>, fields: &mut Object<'_>) {
        match (self, draft.maker) {
            (Self::Unsaid, _) | (Self::Effort(_), Maker::Other) => {}
            (Self::Off, Maker::Nova(_)) => {
                fields.object("reasoningConfig", |config| {
                    config.str("type", "disabled");
                });
            }
            (Self::Off, _) => thinking(fields, draft, "disabled", None),
            (Self::Budget(tokens), _) => thinking(fields, draft, "enabled", Some(*tokens)),
            (Self::Adaptive(effort), _) => {
                thinking(fields, draft, "adaptive", None);
                output_effort(fields, *effort);
            }
            (Self::Effort(effort), Maker::Claude(..)) => output_effort(fields, Some(effort)),
            (Self::Effort(effort), Maker::GptOss) => {
                fields.str("reasoning_effort", effort);
            }
            (Self::Effort(effort), Maker::Qwen) => {
                fields.str("reasoning_config", effort);
            }
            (Self::Effort(effort), Maker::Nova(_)) => {
                fields.object("reasoningConfig", |config| {
                    config.str("type", "enabled").str("maxReasoningEffort", effort);
                });
            }
        }
        if matches!(self, Self::Budget(_)) && draft.origin == Origin::Own {
            output_effort(fields, draft.ask.reasoning.effort.map(Effort::name));
        }
    }

    /// The effort for a model whose maker's own field is not known.
    pub fn plain_effort(&self, maker: Maker) -> Option<&'static str> {
        match self {
            Self::Effort(effort) if maker == Maker::Other => Some(effort),
            Self::Unsaid | Self::Off | Self::Budget(_) | Self::Adaptive(_) | Self::Effort(_) => None,
        }
    }

    /// Claude thinks, and takes no sampling then.
    pub fn is_claudes(&self) -> bool {
        matches!(self, Self::Budget(_) | Self::Adaptive(_))
    }

    /// Nova thinks as hard as it can, and takes neither sampling nor limit then.
    pub fn is_novas_hardest(&self, maker: Maker) -> bool {
        maker.is_nova() && *self == Self::Effort("high")
    }
}

/// Some thinking, or none, or to see some of it, which only Claude can be asked for.
fn is_asked(draft: &Draft<'_, '_>) -> bool {
    let asked = draft.ask.reasoning;
    let shows = matches!(asked.summary, Some(Summary::Auto | Summary::Concise | Summary::Detailed));
    asked.effort.is_some() || asked.budget.is_some() || asked.adaptive || (shows && draft.maker.is_claude())
}

fn thinking(fields: &mut Object<'_>, draft: &Draft<'_, '_>, kind: &str, budget: Option<u64>) {
    let own = draft.origin == Origin::Own;
    let shown = match draft.ask.reasoning.summary {
        // Only models that adapt know it for sure.
        Some(_) if !own && kind != "adaptive" => None,
        Some(Summary::Omitted) => Some("omitted"),
        Some(Summary::Auto | Summary::Concise | Summary::Detailed) => Some("summarized"),
        None => None,
    };
    fields.object("thinking", |thinking| {
        thinking.str("type", kind).number_if("budget_tokens", budget).str_if("display", shown);
    });
}

fn output_effort(fields: &mut Object<'_>, effort: Option<&str>) {
    if let Some(effort) = effort {
        fields.object("output_config", |config| {
            config.str("effort", effort);
        });
    }
}

/// Claude's efforts are low to high, and two more on newer models.
fn claude_effort(draft: &Draft<'_, '_>, effort: Effort) -> &'static str {
    let facts = draft.terms.facts;
    match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High => "high",
        Effort::Xhigh if facts.lacks(Ability::EffortXhigh) => "high",
        Effort::Xhigh => "xhigh",
        Effort::Max if facts.lacks(Ability::EffortMax) => "high",
        Effort::Max => "max",
    }
}

/// The three efforts that everybody has.
fn three(effort: Option<Effort>) -> &'static str {
    match effort {
        Some(Effort::None | Effort::Minimal | Effort::Low) => "low",
        Some(Effort::Medium) | None => "medium",
        Some(Effort::High | Effort::Xhigh | Effort::Max) => "high",
    }
}

impl Layout<'_, '_> {
    /// The last assistant's message calls tools without its thinking, which its model wants back.
    fn ends_in_unthought_calls(&self) -> bool {
        let last = self.messages.iter().rev().find(|message| message.role == Role::Assistant);
        last.is_some_and(|message| {
            let is_call = message.parts.iter().any(|placed| matches!(placed.part.content, Content::Call(_)));
            let signed = message.parts.iter().any(|placed| match &placed.part.content {
                Content::Thought(thought) => {
                    thought.signature.as_ref().is_some_and(|signature| signature.family == Family::Anthropic)
                }
                Content::Text(_)
                | Content::Refusal(_)
                | Content::Image(_)
                | Content::Audio(_)
                | Content::Video(_)
                | Content::File(_)
                | Content::Call(_)
                | Content::Outcome(_)
                | Content::Vendor { .. } => false,
            });
            is_call && !signed
        })
    }
}
