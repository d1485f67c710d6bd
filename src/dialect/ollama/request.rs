//! The request that asks for the same.
//!
//! Ollama streams unless it is told not to, so `stream` is always said. What steers the sampling
//! stands in `options`; there is no word for which tool to call.

mod messages;

use crate::dialect::cohere::request::Origin;
use crate::dialect::cohere::{tools, unsaid};
use crate::dialect::hub::{Ask, Effort, Format, Losses, Mode, Reasoning, Terms, ToolChoice, ToolKind};
use crate::dialect::write::{self, Array, Object};
use crate::vocab::facts::Ability;

/// The models that are told how much to think; all others only whether (Ollama answers a level with
/// "think value … is not supported for this model").
const LEVELLED: &str = "gpt-oss";

/// Writes the request.
pub fn write(ask: &Ask<'_>, terms: &Terms<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    unsaid::report(ask, losses);
    write::object(out, |o| {
        o.str("model", terms.model);
        o.array("messages", |a| messages::write(ask, losses, a));
        write_tools(ask, losses, o);
        match &ask.format {
            Some(Format::Json) => o.str("format", "json"),
            Some(Format::Schema { schema, .. }) => o.raw("format", schema),
            None => o,
        };
        o.bool("stream", matches!(ask.mode, Mode::Stream { .. }));
        think(&ask.reasoning, terms, losses, o);
        if let Some(logprobs) = ask.logprobs {
            o.bool("logprobs", true);
            o.number_if("top_logprobs", Some(logprobs.top).filter(|top| *top > 0));
        }
        options(ask, o);
    });
}

fn write_tools(ask: &Ask<'_>, losses: &mut Losses, object: &mut Object<'_>) {
    let choice = ask.tool_choice.as_ref();
    match choice {
        None | Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Allowed { required: false, .. }) => {}
        Some(ToolChoice::Required | ToolChoice::Tool(_) | ToolChoice::Allowed { required: true, .. }) => {
            losses.drop("tool_choice");
        }
    }
    // No tool is called that is not shown.
    let shown = |tool| tools::is_offered(tool, choice) && choice != Some(&ToolChoice::None);
    let strict = |tool: &_| matches!(tool, ToolKind::Function { strict: Some(true), .. });
    if ask.tools.iter().any(|tool| shown(tool) && strict(&tool.kind)) {
        losses.drop("strict");
    }
    let write_all = |a: &mut Array<'_>, losses: &mut Losses| {
        for tool in &ask.tools {
            let sayable = matches!(tool.kind, ToolKind::Function { .. } | ToolKind::Custom { .. });
            if shown(tool) || !sayable {
                tools::write_tool(tool, Origin::Foreign, losses, a);
            }
        }
    };
    if ask.tools.iter().any(shown) {
        object.array("tools", |a| write_all(a, losses));
    } else {
        // They are reported all the same.
        write::array(&mut Vec::new(), |a| write_all(a, losses));
    }
}

fn think(reasoning: &Reasoning, terms: &Terms<'_>, losses: &mut Losses, object: &mut Object<'_>) {
    let effort = reasoning.as_effort();
    if effort.is_none() && !reasoning.adaptive {
        return;
    }
    if reasoning.is_off() {
        // A model that cannot think is not told to stop.
        if !terms.facts.lacks(Ability::Reasoning) {
            object.bool("think", false);
        }
        return;
    }
    if terms.facts.lacks(Ability::Reasoning) {
        return losses.drop("reasoning_effort");
    }
    let level = effort.map(|effort| match effort {
        Effort::None | Effort::Minimal | Effort::Low => "low",
        Effort::Medium => "medium",
        Effort::High | Effort::Xhigh | Effort::Max => "high",
    });
    if let Some(level) = level.filter(|_| terms.kind().contains(LEVELLED)) {
        object.str("think", level);
    } else {
        // It thinks, but how much is its own affair.
        losses.drop_if(effort.as_ref(), "reasoning_effort");
        object.bool("think", true);
    }
}

fn options(ask: &Ask<'_>, object: &mut Object<'_>) {
    let options = write::text(|out| {
        write::object(out, |o| {
            o.number_if("num_predict", ask.max_tokens).number_if("temperature", ask.temperature);
            o.number_if("top_p", ask.top_p).number_if("top_k", ask.top_k).number_if("seed", ask.seed);
            o.number_if("presence_penalty", ask.presence_penalty);
            o.number_if("frequency_penalty", ask.frequency_penalty);
            if !ask.stop.is_empty() {
                o.array("stop", |a| {
                    for text in &ask.stop {
                        a.str(text);
                    }
                });
            }
        });
    });
    if options != "{}" {
        object.raw("options", &options);
    }
}
