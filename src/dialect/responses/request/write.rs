//! A request's own members, written.

use super::{STATEFUL_ITEMS, parts, say, tools};
use crate::dialect::Dialect;
use crate::dialect::hub::{
    Ask, Effort, Family, Format, Losses, Mode, Part, Role, Summary, Terms, Text, Tier,
};
use crate::dialect::openai;
use crate::dialect::write::{self, Object};
use crate::vocab::Ability;

/// The least that may be asked for.
const MIN_OUTPUT_TOKENS: u64 = 16;

/// What chat says by the same name and with the same meaning.
const SHARED_WITH_CHAT: &[&str] =
    &["metadata", "moderation", "prompt_cache_options", "prompt_cache_retention", "safety_identifier"];

/// Whose words the request is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This dialect: it is repeated as it came.
    Here,
    /// OpenAI's other dialect, with which this one shares files and much else.
    Chat,
    Elsewhere,
}

impl Origin {
    pub fn of(ask: &Ask<'_>) -> Self {
        match ask.dialect {
            Dialect::Responses => Self::Here,
            Dialect::OpenAi => Self::Chat,
            Dialect::Anthropic
            | Dialect::Gemini
            | Dialect::Cohere
            | Dialect::Bedrock
            | Dialect::Ollama
            | Dialect::Http => Self::Elsewhere,
        }
    }
}

/// The request that asks for the same. Made from another dialect's it leaves nothing at the vendor
/// (`store: false`), and asks for reasoning in a form that can be sent back.
pub fn write(ask: &Ask<'_>, terms: &Terms<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    let origin = Origin::of(ask);
    write::object(out, |o| {
        o.str("model", terms.model);
        let spoken = instructions(ask, origin, terms, losses);
        o.str_if("instructions", spoken);
        let turns = ask.turns.get(usize::from(spoken.is_some())..).unwrap_or_default();
        if !turns.is_empty() || origin != Origin::Here {
            o.array("input", |array| say::write(turns, origin, terms, losses, array));
        }
        if let Mode::Stream { .. } = ask.mode {
            o.bool("stream", true);
        }
        tools::write(ask, origin, terms, losses, o);
        reasoning(ask, origin, terms, losses, o);
        text(ask, origin, terms, losses, o);
        sampling(ask, origin, terms, losses, o);
        whose(ask, origin, terms, o);
        if origin == Origin::Here {
            again(ask, o);
        } else {
            o.bool("store", false);
            shared(ask, origin, terms, losses, o);
        }
    });
    unsaid(ask, losses);
}

/// The system prompt, where it is one plain text at the beginning.
pub fn instructions<'a>(
    ask: &'a Ask<'_>,
    origin: Origin,
    terms: &Terms<'_>,
    losses: &mut Losses,
) -> Option<&'a str> {
    let turn = ask.turns.first().filter(|turn| turn.role == Role::System)?;
    if origin == Origin::Here {
        turn.extras.find(super::INSTRUCTIONS)?;
    }
    let writer = parts::Parts { role: Role::System, origin, terms };
    let parts: Vec<&Part<'_>> = turn.parts.iter().collect();
    writer.as_text(&parts, losses)
}

fn reasoning(ask: &Ask<'_>, origin: Origin, terms: &Terms<'_>, losses: &mut Losses, o: &mut Object<'_>) {
    let said = &ask.reasoning;
    let here = origin == Origin::Here;
    if !here && terms.facts.lacks(Ability::Reasoning) {
        if said.as_effort().is_some_and(|effort| effort != Effort::None) || said.adaptive {
            losses.drop("reasoning_effort");
        }
        return include(ask, &[], o);
    }
    let effort = if here { said.effort } else { said.as_effort().map(|effort| within(effort, terms)) };
    let summary = said.summary.and_then(summary_name);
    let others = || {
        ask.extras
            .iter()
            .filter(|_| here)
            .filter_map(|(key, raw)| Some((key.strip_prefix("reasoning.")?, raw)))
    };
    if effort.is_some() || summary.is_some() || others().next().is_some() {
        o.object("reasoning", |o| {
            o.str_if("effort", effort.map(Effort::name)).str_if("summary", summary);
            for (key, raw) in others() {
                o.raw(key, raw);
            }
        });
    }
    let thinks = !said.is_off() && (!said.is_unsaid() || terms.facts.has(Ability::Reasoning));
    let encrypted: &[&str] = if thinks { &["reasoning.encrypted_content"] } else { &[] };
    include(ask, encrypted, o);
}

/// What the answer is to hold besides: as it was said, or what we need.
fn include(ask: &Ask<'_>, needed: &[&str], o: &mut Object<'_>) {
    if ask.dialect == Dialect::Responses {
        o.raw_if("include", ask.extras.find("include"));
        return;
    }
    let logprobs = ask.logprobs.map(|_| "message.output_text.logprobs");
    if needed.is_empty() && logprobs.is_none() {
        return;
    }
    o.array("include", |array| {
        for name in needed.iter().copied().chain(logprobs) {
            array.str(name);
        }
    });
}

/// The nearest effort that the model knows: of those that it is known to lack there is a next. `max` few have.
fn within(effort: Effort, terms: &Terms<'_>) -> Effort {
    let lacks = |ability| terms.facts.lacks(ability);
    let mut effort = effort;
    if effort == Effort::Max && !terms.facts.has(Ability::EffortMax) {
        let harder = terms.facts.has(Ability::EffortXhigh);
        effort = if harder { Effort::Xhigh } else { Effort::High };
    }
    if effort == Effort::Xhigh && lacks(Ability::EffortXhigh) {
        effort = Effort::High;
    }
    if effort == Effort::None && lacks(Ability::EffortNone) {
        effort = Effort::Minimal;
    }
    if effort == Effort::Minimal && lacks(Ability::EffortMinimal) {
        effort = Effort::Low;
    }
    if effort == Effort::Low && lacks(Ability::EffortLow) {
        effort = Effort::Medium;
    }
    effort
}

const fn summary_name(summary: Summary) -> Option<&'static str> {
    match summary {
        Summary::Omitted => None,
        Summary::Auto => Some("auto"),
        Summary::Concise => Some("concise"),
        Summary::Detailed => Some("detailed"),
    }
}

/// `text`: the answer's form, and how long-winded it may be.
fn text(ask: &Ask<'_>, origin: Origin, terms: &Terms<'_>, losses: &mut Losses, o: &mut Object<'_>) {
    // A request of this shape on chat's own path was read by chat's reader, which keeps it as it is.
    if let Some(raw) = ask.extras.find("text").filter(|_| origin == Origin::Here) {
        o.raw("text", raw);
        return;
    }
    let others = || {
        ask.extras.iter().filter_map(|(key, raw)| match origin {
            Origin::Here => Some((key.strip_prefix("text.")?, raw)),
            Origin::Chat => (key == "verbosity").then_some((key, raw)),
            Origin::Elsewhere => None,
        })
    };
    if ask.format.is_none() && others().next().is_none() {
        return;
    }
    o.object("text", |o| {
        if let Some(said) = &ask.format {
            format(said, origin, terms, losses, o);
        }
        for (key, raw) in others() {
            o.raw(key, raw);
        }
    });
}

fn format(format: &Format<'_>, origin: Origin, terms: &Terms<'_>, losses: &mut Losses, o: &mut Object<'_>) {
    let Format::Schema { name, description, schema, strict } = format else {
        o.object("format", |o| {
            o.str("type", "json_object");
        });
        return;
    };
    if origin != Origin::Here && !terms.quirks.json_schema {
        losses.drop("response_format");
        o.object("format", |o| {
            o.str("type", "json_object");
        });
        return;
    }
    let made_up = (origin != Origin::Here).then_some("answer");
    o.object("format", |o| {
        o.str("type", "json_schema").str_if("name", name.as_deref().or(made_up));
        o.str_if("description", description.as_deref()).raw("schema", schema);
        if let Some(strict) = strict {
            o.bool("strict", *strict);
        }
    });
}

fn sampling(ask: &Ask<'_>, origin: Origin, terms: &Terms<'_>, losses: &mut Losses, o: &mut Object<'_>) {
    let here = origin == Origin::Here;
    let limit = |wanted: u64| wanted.min(terms.facts.max_output.unwrap_or(u64::MAX)).max(MIN_OUTPUT_TOKENS);
    o.number_if("max_output_tokens", if here { ask.max_tokens } else { ask.max_tokens.map(limit) });
    if !here && terms.facts.lacks(Ability::Sampling) {
        losses.drop_if(ask.temperature.as_ref(), "temperature");
        losses.drop_if(ask.top_p.as_ref(), "top_p");
    } else {
        o.number_if("temperature", ask.temperature).number_if("top_p", ask.top_p);
    }
    let top = ask.logprobs.map(|logprobs| logprobs.top).filter(|top| *top > 0);
    o.number_if("top_logprobs", top);
}

fn whose(ask: &Ask<'_>, origin: Origin, terms: &Terms<'_>, o: &mut Object<'_>) {
    let tier = ask.tier.map(|tier| match tier {
        Tier::Auto => "auto",
        Tier::Standard => "default",
        Tier::Flex => "flex",
        Tier::Priority => "priority",
        Tier::Scale => "scale",
    });
    o.str_if("service_tier", tier);
    // `user` is the older name, which only OpenAI has replaced. With both, that one is an extra.
    let newer =
        terms.family == Family::OpenAi || (origin == Origin::Here && ask.extras.find("user").is_some());
    let name = if newer { "safety_identifier" } else { "user" };
    let said_again = origin == Origin::Chat && ask.extras.find("safety_identifier").is_some();
    // Claude Code's users have longer names.
    let short = |id: &Text<'_>| match origin {
        Origin::Here => id.clone().into_owned(),
        Origin::Chat | Origin::Elsewhere => openai::ids::shortened("", id).into_owned(),
    };
    o.str_if(if said_again { "user" } else { name }, ask.user.as_ref().map(short).as_deref());
    o.str_if("prompt_cache_key", ask.cache_key.as_ref().map(short).as_deref());
}

/// What only this dialect knows, save what stands inside another member or the input.
fn again(ask: &Ask<'_>, o: &mut Object<'_>) {
    for (key, raw) in ask.extras.all() {
        let inside =
            key.starts_with("text.") || key.starts_with("reasoning.") || matches!(key, "include" | "text");
        if !inside && !STATEFUL_ITEMS.contains(&key) {
            o.raw(key, raw);
        }
    }
}

/// What only the caller's dialect knows: chat shares some of it, the rest is lost.
fn shared(ask: &Ask<'_>, origin: Origin, terms: &Terms<'_>, losses: &mut Losses, o: &mut Object<'_>) {
    if origin != Origin::Chat {
        return losses.drop_all_extras(ask);
    }
    for (key, raw) in ask.extras.iter() {
        match (key, raw) {
            // Said elsewhere, or nothing.
            ("verbosity", _) | ("store", "false") | ("modalities", "[\"text\"]") => {}
            (key, raw) if SHARED_WITH_CHAT.contains(&key) && terms.family == Family::OpenAi => {
                o.raw(key, raw);
            }
            (key, _) => losses.drop(key.to_owned()),
        }
    }
    let others = ask.turns.iter().map(|turn| &turn.extras);
    let others = others.chain(ask.turns.iter().flat_map(|turn| &turn.parts).map(|part| &part.extras));
    for extras in others.chain(ask.tools.iter().map(|tool| &tool.extras)) {
        losses.drop_extras(extras);
    }
}

/// What this dialect has no words for.
fn unsaid(ask: &Ask<'_>, losses: &mut Losses) {
    losses.drop_if(ask.top_k.as_ref(), "top_k");
    losses.stop_here(&ask.stop);
    losses.drop_if(ask.n.filter(|n| *n > 1).as_ref(), "n");
    losses.drop_if(ask.seed.as_ref(), "seed");
    losses.drop_if(ask.presence_penalty.filter(|penalty| *penalty != 0.0).as_ref(), "presence_penalty");
    losses.drop_if(ask.frequency_penalty.filter(|penalty| *penalty != 0.0).as_ref(), "frequency_penalty");
    losses.drop_if(ask.logit_bias.as_ref(), "logit_bias");
    losses.drop_if(ask.cache.as_ref(), "cache_control");
}
