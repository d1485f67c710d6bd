//! How much the model may think.
//!
//! Claude 4.6 and later decide for themselves and are told an effort; older ones are given a budget;
//! a budget is refused since 4.7 (WIRE §3.1). Models that nobody knows are taken for new ones.

use super::line::Line;
use super::say;
use crate::dialect::Dialect;
use crate::dialect::hub::{Ask, Effort, Losses, Reasoning, Summary, Terms};
use crate::dialect::quirks::ReasoningStyle;
use crate::dialect::write::Object;
use crate::vocab::Ability;

/// The API takes no smaller budget.
const BUDGET_LEAST: u64 = 1_024;

/// What is said about thinking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thinking {
    kind: Option<Kind>,
    display: Option<&'static str>,
    pub effort: Option<Effort>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Adaptive,
    Budget(u64),
    Disabled,
}

/// How a model is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Adaptive,
    Budget,
    /// It does not think.
    None,
}

impl Thinking {
    /// What this model is told, and what it cannot be told.
    pub fn of(ask: &Ask<'_>, terms: &Terms<'_>, max_tokens: u64, bar: Bar, losses: &mut Losses) -> Self {
        let reasoning = ask.reasoning;
        if ask.dialect == Dialect::Anthropic {
            let said = Self::as_said(reasoning);
            let is_barred = bar == Bar::ToBudgets && matches!(said.kind, Some(Kind::Budget(_)));
            if is_barred && terms.is_claude() {
                losses.drop("thinking");
                return Self { kind: None, ..said };
            }
            return said;
        }
        if reasoning.is_off() {
            return Self::off(terms, losses);
        }
        if !wants(reasoning) {
            return Self::default();
        }
        match (way(terms), bar) {
            (Way::Adaptive, Bar::Open | Bar::ToBudgets) => Self::adaptive(reasoning, terms, losses),
            (Way::Budget, Bar::Open) => Self::budget(reasoning, max_tokens, losses),
            (Way::Budget, Bar::ToBudgets) | (Way::None, _) | (_, Bar::Closed) => {
                losses.drop("reasoning");
                Self::default()
            }
        }
    }

    pub fn is_on(&self) -> bool {
        matches!(self.kind, Some(Kind::Adaptive | Kind::Budget(_)))
    }

    /// In the caller's own words.
    fn as_said(reasoning: Reasoning) -> Self {
        let kind = match (reasoning.adaptive, reasoning.budget) {
            (true, _) => Some(Kind::Adaptive),
            (false, Some(budget)) => Some(Kind::Budget(budget)),
            (false, None) => (reasoning.effort == Some(Effort::None)).then_some(Kind::Disabled),
        };
        let effort = reasoning.effort.filter(|effort| *effort != Effort::None);
        Self { kind, display: display(reasoning.summary), effort }
    }

    fn off(terms: &Terms<'_>, losses: &mut Losses) -> Self {
        // Older models do not think unless they are told to.
        if way(terms) != Way::Adaptive {
            return Self::default();
        }
        if terms.facts.lacks(Ability::EffortNone) || always_thinks(terms.kind()) {
            losses.drop("reasoning_effort");
            return Self::default();
        }
        Self { kind: Some(Kind::Disabled), ..Self::default() }
    }

    fn adaptive(reasoning: Reasoning, terms: &Terms<'_>, losses: &mut Losses) -> Self {
        let wanted = reasoning.as_effort().filter(|_| !reasoning.adaptive || reasoning.effort.is_some());
        let mut effort = wanted.map(|effort| known_effort(effort, terms));
        if effort.is_some() && terms.facts.lacks(Ability::OutputConfig) {
            losses.drop("reasoning_effort");
            effort = None;
        } else if effort != wanted.map(|wanted| wanted.max(Effort::Low)) {
            losses.drop("reasoning_effort");
        }
        Self { kind: Some(Kind::Adaptive), display: display(reasoning.summary), effort }
    }

    fn budget(reasoning: Reasoning, max_tokens: u64, losses: &mut Losses) -> Self {
        let by_effort = || within(reasoning.as_budget().unwrap_or(Effort::Medium.budget()), max_tokens);
        let said = |budget: u64| Some(budget.max(BUDGET_LEAST).min(max_tokens.saturating_sub(1)));
        let budget = reasoning.budget.map_or_else(by_effort, said).filter(|budget| *budget >= BUDGET_LEAST);
        let Some(budget) = budget else {
            losses.drop("reasoning");
            return Self::default();
        };
        if reasoning.budget.is_some_and(|said| said != budget) {
            losses.drop("reasoning");
        }
        Self { kind: Some(Kind::Budget(budget)), display: display(reasoning.summary), effort: None }
    }

    /// `thinking`.
    pub fn write(&self, ask: &Ask<'_>, body: &mut Object<'_>) {
        let Some(kind) = self.kind else { return };
        body.object("thinking", |thinking| {
            let name = match kind {
                Kind::Adaptive => "adaptive",
                Kind::Budget(_) => "enabled",
                Kind::Disabled => "disabled",
            };
            let own = ask.dialect == Dialect::Anthropic;
            if !own || ask.extras.find("thinking.type").is_none() {
                thinking.str("type", name);
            }
            if let Kind::Budget(budget) = kind {
                thinking.number("budget_tokens", budget);
            }
            if kind != Kind::Disabled {
                thinking.str_if("display", self.display);
            }
            if own {
                say::inner_extras(&ask.extras, "thinking", thinking);
            }
        });
    }
}

/// The tokens that an effort comes to, with a fifth left for the answer, as OpenRouter does; `None` where so few are
/// refused.
pub fn within(budget: u64, max_tokens: u64) -> Option<u64> {
    let room = (max_tokens / 5 * 4).max(BUDGET_LEAST);
    let budget = budget.min(room).max(BUDGET_LEAST).min(max_tokens.saturating_sub(1));
    (budget >= BUDGET_LEAST).then_some(budget)
}

/// Whether something in the request excludes thinking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    Open,
    /// To thinking with a budget: there an answer with calls has to begin with its thoughts if it is to
    /// be continued, and these were another model's, or were lost on the way.
    ToBudgets,
    Closed,
}

/// Asks for some, or to see some. To get it back encrypted is nothing that has to be asked for here.
fn wants(reasoning: Reasoning) -> bool {
    let shows = matches!(reasoning.summary, Some(Summary::Auto | Summary::Concise | Summary::Detailed));
    reasoning.adaptive || shows || reasoning.as_effort().is_some()
}

fn way(terms: &Terms<'_>) -> Way {
    let facts = &terms.facts;
    if facts.has(Ability::AdaptiveThinking) {
        Way::Adaptive
    } else if facts.has(Ability::BudgetThinking) {
        Way::Budget
    } else if facts.lacks(Ability::Reasoning) {
        Way::None
    } else if matches!(terms.quirks.reasoning, ReasoningStyle::Toggle | ReasoningStyle::Enable) {
        // Vendors who know on and off elsewhere know `enabled` here.
        Way::Budget
    } else {
        match Line::of(terms.kind()) {
            Line::Claude(..3, _) | Line::Claude(3, ..7) => Way::None,
            line if line < Line::Claude(4, 6) && line != Line::Other => Way::Budget,
            _ if facts.lacks(Ability::AdaptiveThinking) => Way::None,
            _ => Way::Adaptive,
        }
    }
}

/// Lines that refuse `disabled` (Amazon's page "Adaptive thinking").
pub fn always_thinks(model: &str) -> bool {
    ["fable", "mythos"].iter().any(|line| model.contains(line))
}

/// The effort that is nearest to it and known to the model.
pub fn known_effort(effort: Effort, terms: &Terms<'_>) -> Effort {
    let facts = &terms.facts;
    match effort {
        Effort::None | Effort::Minimal | Effort::Low if facts.lacks(Ability::EffortLow) => Effort::Medium,
        Effort::None | Effort::Minimal | Effort::Low => Effort::Low,
        Effort::Xhigh if facts.lacks(Ability::EffortXhigh) => Effort::High,
        Effort::Max if facts.lacks(Ability::EffortMax) => known_effort(Effort::Xhigh, terms),
        Effort::Medium | Effort::High | Effort::Xhigh | Effort::Max => effort,
    }
}

/// The newest models show nothing unless they are told to.
fn display(summary: Option<Summary>) -> Option<&'static str> {
    summary.map(|summary| match summary {
        Summary::Omitted => "omitted",
        Summary::Auto | Summary::Concise | Summary::Detailed => "summarized",
    })
}
