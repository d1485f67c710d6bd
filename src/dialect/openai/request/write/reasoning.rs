//! How much to think, in the vendor's words.
//!
//! That a caller would take encrypted reasoning, too, asks for nothing here: no chat upstream is told,
//! and one that has any sends it.

use super::{Vendor, Way};
use crate::dialect::hub::{Effort, Losses, Summary};
use crate::dialect::openai::nested;
use crate::dialect::quirks::ReasoningStyle;
use crate::dialect::write::Object;
use crate::vocab::Ability;

pub fn write(way: Way<'_, '_>, losses: &mut Losses, object: &mut Object<'_>) {
    let reasoning = way.ask.reasoning;
    let is_wanted = !reasoning.is_off() && (reasoning.adaptive || reasoning.as_effort().is_some());
    if way.lacks(Ability::Reasoning) {
        if is_wanted {
            losses.drop("reasoning_effort");
        }
        return;
    }
    match way.terms.quirks.reasoning {
        ReasoningStyle::Effort => effort(way, losses, object),
        ReasoningStyle::Object => relayed(way, object),
        ReasoningStyle::Enable => {
            if is_wanted || reasoning.is_off() {
                object.bool("enable_thinking", is_wanted);
            }
            object.number_if("thinking_budget", reasoning.as_budget().filter(|_| is_wanted));
        }
        ReasoningStyle::Toggle => toggle(way, losses, object),
        ReasoningStyle::None => {
            if is_wanted || reasoning.is_off() {
                losses.drop("reasoning_effort");
            }
        }
    }
    // Compatible vendors show what they think anyway; OpenAI's chat never does.
    let is_shown = reasoning.summary.is_some_and(|summary| summary != Summary::Omitted);
    if is_shown && way.vendor == Vendor::OpenAi {
        losses.drop("reasoning.summary");
    }
}

fn effort(way: Way<'_, '_>, losses: &mut Losses, object: &mut Object<'_>) {
    let Some(wanted) = way.ask.reasoning.as_effort() else { return };
    if wanted == Effort::None && !way.is_own() && is_doubtful(way) {
        return losses.drop("reasoning_effort");
    }
    object.str("reasoning_effort", nearest(wanted, way).name());
}

/// To ask for no reasoning is refused by models that never reason; nobody knows whether this one does.
fn is_doubtful(way: Way<'_, '_>) -> bool {
    let facts = way.terms.facts;
    way.vendor != Vendor::OpenAi && !facts.has(Ability::Reasoning) && !facts.has(Ability::EffortNone)
}

/// The effort that the model knows and that is nearest to the one that is wanted. `medium` and `high`
/// are known to all, and `max` to few.
fn nearest(wanted: Effort, way: Way<'_, '_>) -> Effort {
    let has = |ability| way.terms.facts.has(ability);
    match wanted {
        Effort::Max if !way.is_own() && !has(Ability::EffortMax) => {
            if has(Ability::EffortXhigh) {
                Effort::Xhigh
            } else {
                Effort::High
            }
        }
        Effort::None if way.lacks(Ability::EffortNone) => nearest(Effort::Minimal, way),
        Effort::Minimal if way.lacks(Ability::EffortMinimal) => nearest(Effort::Low, way),
        Effort::Low if way.lacks(Ability::EffortLow) => Effort::Medium,
        Effort::Max if way.lacks(Ability::EffortMax) => nearest(Effort::Xhigh, way),
        Effort::Xhigh if way.lacks(Ability::EffortXhigh) => Effort::High,
        known => known,
    }
}

/// OpenRouter's object: the effort or the tokens, whichever was said.
fn relayed(way: Way<'_, '_>, object: &mut Object<'_>) {
    let reasoning = way.ask.reasoning;
    let extras = &way.ask.extras;
    let is_kept = way.is_own() && nested::is_kept(extras, "reasoning");
    if reasoning.is_unsaid() && !is_kept {
        return;
    }
    object.object("reasoning", |object| {
        let budget = reasoning.budget.filter(|budget| *budget > 0);
        let effort = match budget {
            Some(_) if !way.is_own() => None,
            Some(_) | None => reasoning.effort,
        };
        if reasoning.is_off() {
            object.str("effort", Effort::None.name());
        } else {
            object.str_if("effort", effort.map(|effort| nearest(effort, way).name()));
            object.number_if("max_tokens", budget);
            if reasoning.adaptive && effort.is_none() && budget.is_none() {
                object.bool("enabled", true);
            }
        }
        if reasoning.summary == Some(Summary::Omitted) {
            object.bool("exclude", true);
        }
        if way.is_own() {
            nested::write(extras, "reasoning", object);
        }
    });
}

/// On or off. How much cannot be said, save by a caller who knows what he says.
fn toggle(way: Way<'_, '_>, losses: &mut Losses, object: &mut Object<'_>) {
    let reasoning = way.ask.reasoning;
    let effort = reasoning.effort.filter(|effort| *effort != Effort::None);
    let amount = effort.is_some() || reasoning.budget.is_some();
    let word = if reasoning.is_off() {
        Some("disabled")
    } else if reasoning.adaptive || (amount && !way.is_own()) {
        Some("enabled")
    } else {
        None
    };
    if let Some(word) = word {
        object.object("thinking", |object| {
            object.str("type", word);
            if way.is_own() {
                object.number_if("budget_tokens", reasoning.budget.filter(|budget| *budget > 0));
                nested::write(&way.ask.extras, "thinking", object);
            }
        });
    }
    match effort {
        Some(effort) if way.is_own() => {
            object.str("reasoning_effort", effort.name());
        }
        Some(_) => losses.drop("reasoning_effort"),
        None => {}
    }
}
