//! `generationConfig` for an upstream.

use super::thinking::{self, Model};
use super::write::Origin;
use crate::dialect::gemini::names;
use crate::dialect::hub::{Ask, Format, Losses, Reasoning, Summary, Terms, ToolKind};
use crate::dialect::write::{self, Object};
use crate::vocab::Ability;

const MOST_STOPS: usize = 5;

/// Says the whole of it, if there is anything to say.
pub fn write(o: &mut Object<'_>, ask: &Ask<'_>, terms: &Terms<'_>, origin: Origin, losses: &mut Losses) {
    let config = write::text(|out| write::object(out, |o| members(o, ask, terms, origin, losses)));
    if config != "{}" {
        o.raw("generationConfig", &config);
    }
}

fn members(o: &mut Object<'_>, ask: &Ask<'_>, terms: &Terms<'_>, origin: Origin, losses: &mut Losses) {
    sampling(o, ask, terms, origin, losses);
    let most = terms.facts.max_output.filter(|_| origin == Origin::Elsewhere).unwrap_or(u64::MAX);
    o.number_if("maxOutputTokens", ask.max_tokens.map(|tokens| tokens.min(most)));
    if !ask.stop.is_empty() {
        let most = if origin == Origin::Elsewhere { MOST_STOPS } else { usize::MAX };
        losses.stop_here(ask.stop.iter().skip(most));
        o.array("stopSequences", |a| {
            for stop in ask.stop.iter().take(most) {
                a.str(stop);
            }
        });
    }
    o.number_if("candidateCount", ask.n);
    if let Some(logprobs) = ask.logprobs {
        o.bool("responseLogprobs", true).number_if("logprobs", Some(logprobs.top).filter(|top| *top > 0));
    }
    format(o, ask, terms, origin, losses);
    let said = match origin {
        Origin::Google if ask.reasoning.effort.is_some() && thinking::tells_levels_in_vain(terms.kind()) => {
            losses.drop("thinkingLevel");
            let summary = ask.reasoning.summary.or(Some(Summary::Omitted));
            let reasoning = Reasoning { summary, ..ask.reasoning };
            write::text(|out| write::object(out, |o| thinking::write(o, &reasoning, terms, losses)))
        }
        Origin::Google => write::text(|out| {
            write::object(out, |o| {
                thinking::repeat(o, &ask.reasoning);
                names::say(&ask.extras, "generationConfig.thinkingConfig.", o);
            });
        }),
        Origin::Elsewhere if ask.reasoning.is_unsaid() => String::new(),
        Origin::Elsewhere => {
            write::text(|out| write::object(out, |o| thinking::write(o, &ask.reasoning, terms, losses)))
        }
    };
    if said.len() > 2 {
        o.raw("thinkingConfig", &said);
    }
    if origin == Origin::Google {
        names::say(&ask.extras, "generationConfig.", o);
    }
}

fn sampling(o: &mut Object<'_>, ask: &Ask<'_>, terms: &Terms<'_>, origin: Origin, losses: &mut Losses) {
    let fixed = origin == Origin::Elsewhere && terms.facts.lacks(Ability::Sampling);
    if fixed {
        losses.drop_if(ask.temperature.as_ref(), "temperature");
        losses.drop_if(ask.top_p.as_ref(), "top_p");
        losses.drop_if(ask.top_k.as_ref(), "top_k");
        losses.drop_if(ask.presence_penalty.as_ref(), "presence_penalty");
        losses.drop_if(ask.frequency_penalty.as_ref(), "frequency_penalty");
    } else {
        o.number_if("temperature", ask.temperature);
        o.number_if("topP", ask.top_p);
        o.number_if("topK", ask.top_k);
        o.number_if("presencePenalty", ask.presence_penalty);
        o.number_if("frequencyPenalty", ask.frequency_penalty);
    }
    if let Some(seed) = ask.seed {
        // Google's seed has 32 bits, OpenAI's 64.
        if (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&seed) && seed.fract() == 0.0 {
            o.number("seed", seed);
        } else {
            losses.drop("seed");
        }
    }
}

/// Whether the model is held to the answer's form, which another dialect asks for.
pub fn holds_to_form(ask: &Ask<'_>, terms: &Terms<'_>) -> bool {
    let calls = ask.tools.iter().any(|tool| matches!(tool.kind, ToolKind::Function { .. }));
    // Before Gemini 3, an answer's form and functions exclude each other.
    (!calls || Model::of(terms.kind()).is_three()) && !terms.facts.lacks(Ability::StructuredOutput)
}

/// The form of the answer.
fn format(o: &mut Object<'_>, ask: &Ask<'_>, terms: &Terms<'_>, origin: Origin, losses: &mut Losses) {
    let Some(format) = &ask.format else { return };
    if origin == Origin::Elsewhere && !holds_to_form(ask, terms) {
        return losses.drop("response_format");
    }
    o.str("responseMimeType", "application/json");
    match format {
        Format::Json => {}
        // Google's own caller may have said it as Google's own schema, which is said again.
        Format::Schema { .. } if ask.extras.find("generationConfig.responseSchema").is_some() => {}
        Format::Schema { schema, .. } => {
            o.raw("responseJsonSchema", schema);
        }
    }
}
