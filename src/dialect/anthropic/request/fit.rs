//! How a Claude is asked to think by a caller of this dialect who had another one in mind (see `translate::fit`).

use super::line::Line;
use super::think;
use crate::dialect::hub::{Ask, Effort, Losses, Reasoning, Terms};
use crate::vocab::Ability;

/// The ways to ask that a model takes.
struct Takes {
    adaptive: bool,
    budget: bool,
    effort: bool,
}

impl Takes {
    fn of(terms: &Terms<'_>) -> Self {
        let line = Line::of(terms.kind());
        let newer = line >= Line::Claude(4, 6);
        let budgeted = (Line::Claude(3, 7)..Line::Claude(4, 7)).contains(&line);
        Self {
            adaptive: terms.knows(Ability::AdaptiveThinking, newer),
            budget: terms.knows(Ability::BudgetThinking, budgeted),
            effort: terms.knows(Ability::OutputConfig, newer),
        }
    }
}

/// May there be something to change? `has` tells whether the request has a text in quotes.
pub fn is_wanted(terms: &Terms<'_>, has: impl Fn(&&str) -> bool) -> bool {
    if Line::of(terms.kind()) == Line::Other {
        return false;
    }
    let takes = Takes::of(terms);
    let lacks_efforts = [Ability::EffortLow, Ability::EffortXhigh, Ability::EffortMax, Ability::EffortNone]
        .iter()
        .any(|ability| terms.facts.lacks(*ability));
    (!takes.adaptive && has(&"\"adaptive\""))
        || (!takes.budget && has(&"\"budget_tokens\""))
        || ((!takes.effort || lacks_efforts) && has(&"\"effort\""))
        || ((lacks_efforts || think::always_thinks(terms.kind())) && has(&"\"disabled\""))
}

/// Asks in another way where the model does not take this one.
pub fn fit(ask: &mut Ask<'_>, terms: &Terms<'_>, losses: &mut Losses) {
    if Line::of(terms.kind()) == Line::Other {
        return;
    }
    let (takes, said) = (Takes::of(terms), ask.reasoning);
    if said.is_off() {
        if terms.facts.lacks(Ability::EffortNone) || think::always_thinks(terms.kind()) {
            losses.drop("thinking");
            ask.reasoning = Reasoning::default();
        }
        return;
    }
    let taken = |effort: Effort| takes.effort.then(|| think::known_effort(effort, terms));
    let effort = said.effort.and_then(taken);
    if effort != said.effort {
        losses.drop("output_config.effort");
    }
    ask.reasoning.effort = effort;
    if said.adaptive && !takes.adaptive {
        losses.drop("thinking");
        let wanted = said.effort.unwrap_or(Effort::Medium).budget();
        let budget = think::within(wanted, ask.max_tokens.unwrap_or_default());
        ask.reasoning.adaptive = false;
        ask.reasoning.budget = budget.filter(|_| takes.budget);
    } else if said.budget.is_some() && !takes.budget {
        losses.drop("thinking");
        ask.reasoning.budget = None;
        ask.reasoning.adaptive = takes.adaptive;
        ask.reasoning.effort = effort.or_else(|| said.as_effort().and_then(taken)).filter(|_| takes.adaptive);
    }
}
