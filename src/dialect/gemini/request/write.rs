//! Writes a request for an upstream.

use super::contents::{self, Scribe, Speaker};
use super::thinking::Model;
use super::{settings, tools};
use crate::dialect::Dialect;
use crate::dialect::gemini::names;
use crate::dialect::hub::{Ask, Content, Losses, Part, Terms, Tier, Tool, ToolChoice, ToolKind};
use crate::dialect::quirks::CallIds;
use crate::dialect::write::{self, Object};
use crate::vocab::Ability;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A caller of this dialect: everything is said again as it stood.
    Google,
    Elsewhere,
}

/// Chat's web search is no tool but a member of the request.
const CHAT_SEARCH: &str = "web_search_options";

/// The request that asks for the same.
pub fn write(ask: &Ask<'_>, terms: &Terms<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    let origin = if ask.dialect == Dialect::Gemini { Origin::Google } else { Origin::Elsewhere };
    let conversation = contents::arrange(ask, origin);
    if origin == Origin::Elsewhere {
        report(ask, losses);
        let ends_with_model = conversation.contents.last().is_some_and(|said| said.speaker == Speaker::Model);
        if ends_with_model && Model::of(terms.kind()).refuses_prefill(&terms.facts) {
            losses.refuse(
                "messages",
                "this model does not go on with an answer that the request has begun; end with a user's message",
            );
        }
    }
    write::object(out, |o| {
        Scribe { terms, origin, losses }.conversation(o, &conversation);
        tooling(o, ask, terms, origin, losses);
        settings::write(o, ask, terms, origin, losses);
        if let Some(tier) = ask.tier {
            match tier {
                Tier::Auto => {}
                Tier::Standard => {
                    o.str("serviceTier", "standard");
                }
                Tier::Flex => {
                    o.str("serviceTier", "flex");
                }
                Tier::Priority => {
                    o.str("serviceTier", "priority");
                }
                Tier::Scale => losses.drop("service_tier"),
            }
        }
        if origin == Origin::Google {
            names::say(&ask.extras, "", o);
        }
    });
}

/// What Google has no words for.
fn report(ask: &Ask<'_>, losses: &mut Losses) {
    for kept in ["previous_response_id", "conversation"] {
        if ask.extras.find(kept).is_some() {
            losses.refuse(
                kept,
                "only the vendor that keeps the conversation can go on with it; send all of it",
            );
        }
    }
    for (key, _) in ask.extras.iter().filter(|(key, _)| *key != CHAT_SEARCH) {
        losses.drop(key.to_owned());
    }
    losses.drop_if(ask.logit_bias.as_ref(), "logit_bias");
    losses.drop_if(ask.user.as_ref(), "user");
    losses.drop_if(ask.cache_key.as_ref(), "prompt_cache_key");
    losses.drop_if(ask.cache.as_ref(), "cache_control");
    if ask.parallel_tools == Some(false) {
        losses.drop("parallel_tool_calls");
    }
    for turn in &ask.turns {
        losses.drop_extras(&turn.extras);
        losses.drop_if(turn.name.as_ref(), "name");
        report_parts(&turn.parts, losses);
    }
    for tool in &ask.tools {
        losses.drop_extras(&tool.extras);
        losses.drop_if(tool.cache.as_ref(), "cache_control");
    }
}

fn report_parts(parts: &[Part<'_>], losses: &mut Losses) {
    for part in parts {
        losses.drop_extras(&part.extras);
        losses.drop_if(part.cache.as_ref(), "cache_control");
        match &part.content {
            Content::Outcome(outcome) => report_parts(&outcome.content, losses),
            Content::Image(media) if media.detail.as_deref().is_some_and(|detail| detail != "auto") => {
                losses.drop("image.detail");
            }
            _ => {}
        }
    }
}

/// `tools` and `toolConfig`.
fn tooling(o: &mut Object<'_>, ask: &Ask<'_>, terms: &Terms<'_>, origin: Origin, losses: &mut Losses) {
    let functions = ask.tools.iter().any(|tool| matches!(tool.kind, ToolKind::Function { .. }));
    let searches = origin == Origin::Elsewhere && wants_search(ask);
    // Functions beside Google's own tools: only Gemini 3 and later, and only at AI Studio.
    let beside = Model::of(terms.kind()).is_three() && terms.quirks.call_ids == CallIds::Sent;
    let search = searches && !terms.facts.lacks(Ability::WebSearch) && (!functions || beside);
    if searches && !search {
        losses.drop("web_search");
    }
    let mut own = Vec::new();
    for tool in &ask.tools {
        match (&tool.kind, origin) {
            (ToolKind::Function { .. }, _) | (ToolKind::WebSearch { .. }, Origin::Elsewhere) => {}
            (ToolKind::WebSearch { raw }, Origin::Google) => own.push(("googleSearch", *raw)),
            (ToolKind::Vendor { name, raw }, Origin::Google) => own.push((&**name, *raw)),
            (ToolKind::Vendor { name, .. }, Origin::Elsewhere) => losses.drop(name.to_string()),
            (ToolKind::Custom { .. }, _) => losses.refuse(
                "tools",
                "custom tools, whose input is free text, cannot be said here; declare a function instead",
            ),
        }
    }
    if search {
        own.push(("googleSearch", "{}"));
    }
    if functions || !own.is_empty() {
        o.array("tools", |a| tools::write(a, &ask.tools, origin, &own));
    }
    let declared = match (functions, search) {
        (true, true) => Declared::BesideSearch,
        (true, false) => Declared::Alone,
        (false, _) => Declared::Nothing,
    };
    let config = write::text(|out| {
        write::object(out, |o| {
            let calling = write::text(|out| write::object(out, |o| calling(o, ask, origin, declared)));
            if calling != "{}" {
                o.raw("functionCallingConfig", &calling);
            }
            if declared == Declared::BesideSearch {
                o.bool("includeServerSideToolInvocations", true);
            }
            if origin == Origin::Google {
                names::say(&ask.extras, "toolConfig.", o);
            }
        });
    });
    if config != "{}" {
        o.raw("toolConfig", &config);
    }
}

fn wants_search(ask: &Ask<'_>) -> bool {
    ask.extras.find(CHAT_SEARCH).is_some()
        || ask.tools.iter().any(|tool| matches!(tool.kind, ToolKind::WebSearch { .. }))
}

/// The functions among the tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Declared {
    Nothing,
    Alone,
    /// Google's own search is a tool as well. There `AUTO` is not supported and `VALIDATED` the default (Gemini API's
    /// "Combine built-in tools and function calling", limitations).
    BesideSearch,
}

fn calling(o: &mut Object<'_>, ask: &Ask<'_>, origin: Origin, declared: Declared) {
    let said_mode = "toolConfig.functionCallingConfig.mode";
    if origin == Origin::Google {
        names::say(&ask.extras, "toolConfig.functionCallingConfig.", o);
    } else if declared == Declared::Nothing {
        return;
    }
    let strict = origin == Origin::Elsewhere && ask.tools.iter().any(is_strict);
    // Calls follow their schemas when they are validated, and always when one has to be made.
    let auto = if strict || declared == Declared::BesideSearch { "VALIDATED" } else { "AUTO" };
    let (mode, allowed): (_, &[_]) = match &ask.tool_choice {
        Some(_) if origin == Origin::Google && ask.extras.find(said_mode).is_some() => return,
        None if strict => ("VALIDATED", &[]),
        None => return,
        Some(ToolChoice::Auto) => (auto, &[]),
        Some(ToolChoice::None) => ("NONE", &[]),
        Some(ToolChoice::Required) => ("ANY", &[]),
        Some(ToolChoice::Tool(name)) => ("ANY", std::slice::from_ref(name)),
        Some(ToolChoice::Allowed { names, required: true }) => ("ANY", names),
        Some(ToolChoice::Allowed { names, required: false }) => ("VALIDATED", names),
    };
    o.str("mode", mode);
    if !allowed.is_empty() {
        o.array("allowedFunctionNames", |a| {
            for name in allowed {
                a.str(name);
            }
        });
    }
}

fn is_strict(tool: &Tool<'_>) -> bool {
    matches!(tool.kind, ToolKind::Function { strict: Some(true), .. })
}
