//! The request that asks an upstream for the same.

use super::Origin;
use super::messages;
use crate::dialect::Dialect;
use crate::dialect::cohere::{document, tools, unsaid};
use crate::dialect::hub::{
    Ask, Effort, Format, Losses, Mode, Part, Reasoning, Role, Terms, ToolChoice, ToolKind,
};
use crate::dialect::write::{self, Array, Object};
use crate::vocab::facts::Ability;

// Limits of Cohere's API reference.
const MAX_STOPS: usize = 5;
const MAX_K: u64 = 500;
const P: (f64, f64) = (0.01, 0.99);
const MAX_PENALTY: f64 = 1.0;

/// Writes the request.
pub fn write(ask: &Ask<'_>, terms: &Terms<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    let origin = if ask.dialect == Dialect::Cohere { Origin::Own } else { Origin::Foreign };
    if origin == Origin::Foreign {
        unsaid::report(ask, losses);
        if ask.logprobs.is_some_and(|logprobs| logprobs.top > 0) {
            losses.drop("top_logprobs");
        }
    }
    write::object(out, |o| {
        o.str("model", terms.model);
        o.array("messages", |a| messages::write(ask, origin, terms, losses, a));
        let documents = write_documents(ask, origin, o);
        write_tools(ask, origin, terms, losses, o);
        write_format(ask, origin, documents, losses, o);
        if matches!(ask.mode, Mode::Stream { .. }) {
            o.bool("stream", true);
        }
        thinking(&ask.reasoning, terms, losses, o);
        o.number_if("max_tokens", ask.max_tokens);
        sampling(ask, origin, losses, o);
        if origin == Origin::Own {
            ask.extras.write(o);
        }
    });
}

/// Is there anything that the answer has to be based on?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Documents {
    None,
    Some,
}

/// Whether the model is held to the answer's form: not together with tools or documents, says Cohere's reference.
pub fn holds_to_form(ask: &Ask<'_>) -> bool {
    ask.tools.is_empty() && !files(ask).any(|part| document::text_file(part).is_some())
}

/// What may be one.
fn files<'p, 'a>(ask: &'p Ask<'a>) -> impl Iterator<Item = &'p Part<'a>> {
    let users = ask.turns.iter().filter(|turn| turn.role == Role::User && document::has_company(turn));
    users.flat_map(|turn| &turn.parts)
}

/// Files of text, wherever users gave them.
fn write_documents(ask: &Ask<'_>, origin: Origin, object: &mut Object<'_>) -> Documents {
    let mut files = files(ask)
        .filter_map(|part| document::text_file(part).map(|(media, text)| (media, text, part)))
        .peekable();
    if files.peek().is_none() {
        return Documents::None;
    }
    object.array("documents", |a| {
        for (media, text, part) in files {
            let own = (origin == Origin::Own).then_some(&part.extras);
            document::write(media, &text, own, a);
        }
    });
    Documents::Some
}

fn write_tools(
    ask: &Ask<'_>,
    origin: Origin,
    terms: &Terms<'_>,
    losses: &mut Losses,
    object: &mut Object<'_>,
) {
    let choice = ask.tool_choice.as_ref();
    let shown = |tool| origin == Origin::Own || tools::is_offered(tool, choice);
    let any = ask.tools.iter().any(shown);
    let write_all = |a: &mut Array<'_>, losses: &mut Losses| {
        for tool in &ask.tools {
            let sayable = matches!(tool.kind, ToolKind::Function { .. } | ToolKind::Custom { .. });
            if shown(tool) || !sayable {
                tools::write_tool(tool, origin, losses, a);
            }
        }
    };
    if any {
        object.array("tools", |a| write_all(a, losses));
        strict(ask, origin, losses, object);
    } else {
        // They are reported all the same.
        write::array(&mut Vec::new(), |a| write_all(a, losses));
    }
    let word = match choice {
        None | Some(ToolChoice::Auto | ToolChoice::Allowed { required: false, .. }) => None,
        Some(ToolChoice::None) => Some("NONE"),
        Some(ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { required: true, .. }) => {
            Some("REQUIRED")
        }
    };
    let Some(word) = word.filter(|_| any || origin == Origin::Own) else { return };
    let lacks = terms.facts.lacks(Ability::ToolChoice)
        || (word == "REQUIRED" && terms.facts.lacks(Ability::ForcedTools));
    if lacks && origin == Origin::Foreign {
        losses.drop("tool_choice");
    } else {
        object.str("tool_choice", word);
    }
}

/// It is one word for all tools.
fn strict(ask: &Ask<'_>, origin: Origin, losses: &mut Losses, object: &mut Object<'_>) {
    let mut words = ask.tools.iter().filter_map(|tool| match tool.kind {
        ToolKind::Function { strict, .. } => Some(strict),
        ToolKind::Custom { .. } | ToolKind::WebSearch { .. } | ToolKind::Vendor { .. } => None,
    });
    let Some(first) = words.next() else { return };
    let agree = words.clone().all(|word| word == first);
    match first {
        Some(strict) if agree && (strict || origin == Origin::Own) => {
            object.bool("strict_tools", strict);
        }
        _ if first == Some(true) || words.any(|word| word == Some(true)) => losses.drop("strict"),
        Some(_) | None => {}
    }
}

/// As [`holds_to_form`] says.
fn write_format(
    ask: &Ask<'_>,
    origin: Origin,
    documents: Documents,
    losses: &mut Losses,
    object: &mut Object<'_>,
) {
    let Some(format) = &ask.format else { return };
    if origin == Origin::Foreign && (!ask.tools.is_empty() || documents == Documents::Some) {
        return losses.drop("response_format");
    }
    object.object("response_format", |o| {
        o.str("type", "json_object");
        if let Format::Schema { schema, .. } = format {
            o.raw("json_schema", schema);
        }
    });
}

/// Cohere's models that think do so unless they are told not to; an effort is a budget. The highest
/// efforts have none: the model's own limit is no more than `high` is worth elsewhere.
fn thinking(reasoning: &Reasoning, terms: &Terms<'_>, losses: &mut Losses, object: &mut Object<'_>) {
    let wanted = reasoning.adaptive || reasoning.effort.is_some() || reasoning.budget.is_some();
    if !wanted {
        return;
    }
    if reasoning.is_off() {
        // A model that cannot think is not told to stop.
        if !terms.facts.lacks(Ability::Reasoning) {
            object.object("thinking", |o| {
                o.str("type", "disabled");
            });
        }
        return;
    }
    if terms.facts.lacks(Ability::Reasoning) {
        return losses.drop("reasoning_effort");
    }
    let by_effort = reasoning.effort.filter(|effort| *effort < Effort::High).map(Effort::budget);
    let budget = reasoning.budget.or(by_effort).filter(|budget| *budget > 0);
    object.object("thinking", |o| {
        o.str("type", "enabled").number_if("token_budget", budget);
    });
}

fn sampling(ask: &Ask<'_>, origin: Origin, losses: &mut Losses, object: &mut Object<'_>) {
    if origin == Origin::Own {
        object.number_if("k", ask.top_k).number_if("p", ask.top_p).number_if("seed", ask.seed);
        object.number_if("frequency_penalty", ask.frequency_penalty);
        object.number_if("presence_penalty", ask.presence_penalty);
    } else {
        object.number_if("k", ask.top_k.map(|k| k.min(MAX_K)));
        object.number_if("p", ask.top_p.map(|p| p.clamp(P.0, P.1)));
        let seed = ask.seed.filter(|seed| *seed >= 0.0 && seed.fract() == 0.0);
        if seed != ask.seed {
            losses.drop("seed");
        }
        object.number_if("seed", seed);
        penalty("frequency_penalty", ask.frequency_penalty, losses, object);
        penalty("presence_penalty", ask.presence_penalty, losses, object);
    }
    object.number_if("temperature", ask.temperature);
    if ask.logprobs.is_some() {
        object.bool("logprobs", true);
    }
    stops(ask, origin, losses, object);
}

/// Repetition is discouraged here, never encouraged.
fn penalty(name: &'static str, value: Option<f64>, losses: &mut Losses, object: &mut Object<'_>) {
    match value {
        Some(value) if value < 0.0 => losses.drop(name),
        Some(value) => {
            object.number(name, value.min(MAX_PENALTY));
        }
        None => {}
    }
}

fn stops(ask: &Ask<'_>, origin: Origin, losses: &mut Losses, object: &mut Object<'_>) {
    let most = if origin == Origin::Own { usize::MAX } else { MAX_STOPS };
    losses.stop_here(ask.stop.iter().skip(most));
    if !ask.stop.is_empty() {
        object.array("stop_sequences", |a| {
            for text in ask.stop.iter().take(most) {
                a.str(text);
            }
        });
    }
}
