//! Tools, and which of them may be called.

use super::{CacheForm, Origin, Vendor, Way};
use crate::dialect::hub::{Extras, Losses, Tool, ToolChoice, ToolKind};
use crate::dialect::openai::strict;
use crate::dialect::quirks::ForcedTools;
use crate::dialect::tree;
use crate::dialect::write::{Array, Object};
use crate::vocab::Ability;

/// Every vendor takes it for a tool without parameters, and some want to see one.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

pub fn write(way: Way<'_, '_>, losses: &mut Losses, object: &mut Object<'_>) {
    let ask = way.ask;
    let written: Vec<_> =
        ask.tools.iter().filter(|tool| is_allowed(way, tool) && is_known(way, tool, losses)).collect();
    let (searches, listed): (Vec<_>, Vec<_>) =
        written.into_iter().partition(|tool: &&Tool<'_>| is_options(tool));
    if !listed.is_empty() {
        object.array("tools", |array| {
            for tool in &listed {
                write_tool(way, tool, losses, array);
            }
        });
    }
    for tool in searches {
        if let ToolKind::WebSearch { raw } = &tool.kind {
            object.raw("web_search_options", if way.is_own() { raw } else { "{}" });
        }
    }
    // Without tools there is nothing to choose from, and most vendors say so with an error.
    if !listed.is_empty() || way.is_own() {
        write_choice(way, losses, object);
        write_parallel(way, losses, object);
    }
}

/// Whether it may be called. Where the allowed ones cannot be named, only they are shown.
fn is_allowed(way: Way<'_, '_>, tool: &Tool<'_>) -> bool {
    let Some(ToolChoice::Allowed { names, .. }) = &way.ask.tool_choice else { return true };
    let name = match &tool.kind {
        ToolKind::Function { name, .. } | ToolKind::Custom { name, .. } => name,
        ToolKind::WebSearch { .. } | ToolKind::Vendor { .. } => return true,
    };
    names_allowed(way) || names.contains(name)
}

fn names_allowed(way: Way<'_, '_>) -> bool {
    way.is_own() || way.vendor == Vendor::OpenAi
}

/// Whether it can be said at all.
fn is_known(way: Way<'_, '_>, tool: &Tool<'_>, losses: &mut Losses) -> bool {
    let (is_known, name) = match &tool.kind {
        ToolKind::Function { .. } => return true,
        // A function that takes a text is not the same: its calls would come back as functions'.
        ToolKind::Custom { .. } => (way.vendor == Vendor::OpenAi, "custom"),
        ToolKind::WebSearch { .. } => (searches(way), "web_search"),
        ToolKind::Vendor { name, .. } => (false, &**name),
    };
    if !is_known && !way.is_own() {
        losses.drop(name.to_owned());
    }
    is_known || way.is_own()
}

/// OpenAI's chat searches with its models for that only; its other models do in responses.
fn searches(way: Way<'_, '_>) -> bool {
    let is_made_for_it = way.vendor != Vendor::OpenAi || way.terms.kind().contains("search");
    is_made_for_it && way.terms.facts.has(Ability::WebSearch)
}

/// Web search is an option here and no tool; OpenRouter's is a tool, as are those of responses.
fn is_options(tool: &Tool<'_>) -> bool {
    match &tool.kind {
        ToolKind::WebSearch { raw } => !is_typed(raw),
        ToolKind::Function { .. } | ToolKind::Custom { .. } | ToolKind::Vendor { .. } => false,
    }
}

fn is_typed(raw: &str) -> bool {
    tree::parse(raw.as_bytes()).is_ok_and(|node| node.at("type").is_some())
}

fn write_tool(way: Way<'_, '_>, tool: &Tool<'_>, losses: &mut Losses, array: &mut Array<'_>) {
    match &tool.kind {
        ToolKind::WebSearch { raw } | ToolKind::Vendor { raw, .. } => {
            array.raw(raw);
        }
        ToolKind::Function { name, description, parameters, strict } => {
            let strict = match way.origin {
                Origin::Own => *strict,
                Origin::Foreign => strict::of_foreign(*strict, parameters.as_deref(), losses),
            };
            array.object(|object| {
                object.str("type", "function").object("function", |function| {
                    function.str("name", name).str_if("description", description.as_deref());
                    let absent = (way.origin == Origin::Foreign).then_some(NO_PARAMETERS);
                    function.raw_if("parameters", parameters.as_deref().or(absent));
                    function.raw_if("strict", strict.map(|strict| if strict { "true" } else { "false" }));
                });
                write_rest(way, tool, losses, object);
            });
        }
        ToolKind::Custom { name, description, format } => {
            array.object(|object| {
                object.str("type", "custom").object("custom", |custom| {
                    custom.str("name", name).str_if("description", description.as_deref());
                    if let Some(format) = format {
                        write_format(format, custom);
                    }
                });
                write_rest(way, tool, losses, object);
            });
        }
    }
}

/// Responses say a grammar flat: `{"type":"grammar","syntax":…,"definition":…}`.
fn write_format(format: &str, custom: &mut Object<'_>) {
    let node = tree::parse(format.as_bytes()).ok();
    let flat = node.as_ref().filter(|node| node.at("definition").is_some());
    match flat {
        Some(node) => {
            custom.object("format", |object| {
                object.str("type", "grammar").object("grammar", |grammar| {
                    Extras::of(node, &["type"]).write(grammar);
                });
            });
        }
        None => {
            custom.raw("format", format);
        }
    }
}

fn write_rest(way: Way<'_, '_>, tool: &Tool<'_>, losses: &mut Losses, object: &mut Object<'_>) {
    if let Some(mark) = tool.cache {
        match way.cache_form() {
            Some(CacheForm::Control) => CacheForm::Control.write(mark, object),
            // OpenAI has no breakpoints at tools.
            Some(CacheForm::Breakpoint) | None => losses.drop("cache_control"),
        }
    }
    if way.is_own() {
        tool.extras.write(object);
    }
}

fn write_choice(way: Way<'_, '_>, losses: &mut Losses, object: &mut Object<'_>) {
    let Some(choice) = &way.ask.tool_choice else { return };
    if way.lacks(Ability::ToolChoice) {
        return losses.drop("tool_choice");
    }
    let is_forced = match choice {
        ToolChoice::Auto | ToolChoice::None => false,
        ToolChoice::Required | ToolChoice::Tool(_) => true,
        ToolChoice::Allowed { required, .. } => *required,
    };
    let only_auto = way.terms.quirks.tool_choice == ForcedTools::OnlyAuto && !way.ask.reasoning.is_off();
    if is_forced && (only_auto || way.lacks(Ability::ForcedTools)) {
        losses.drop("tool_choice");
        object.str("tool_choice", "auto");
        return;
    }
    let required = match way.terms.quirks.tool_choice {
        ForcedTools::Any => "any",
        ForcedTools::Taken | ForcedTools::OnlyAuto => "required",
    };
    match choice {
        ToolChoice::Auto => object.str("tool_choice", "auto"),
        ToolChoice::None => object.str("tool_choice", "none"),
        ToolChoice::Required => object.str("tool_choice", required),
        ToolChoice::Tool(name) => object.object("tool_choice", |object| write_name(way, name, object)),
        ToolChoice::Allowed { names, required: is_required } if names_allowed(way) => {
            object.object("tool_choice", |object| {
                object.str("type", "allowed_tools").object("allowed_tools", |allowed| {
                    allowed.str("mode", if *is_required { "required" } else { "auto" });
                    allowed.array("tools", |array| {
                        for name in names {
                            array.object(|object| write_name(way, name, object));
                        }
                    });
                });
            })
        }
        ToolChoice::Allowed { required: is_required, .. } => {
            object.str("tool_choice", if *is_required { required } else { "auto" })
        }
    };
}

fn write_name(way: Way<'_, '_>, name: &str, object: &mut Object<'_>) {
    let is_custom =
        |tool: &Tool<'_>| matches!(&tool.kind, ToolKind::Custom { name: custom, .. } if custom == name);
    let kind = if way.ask.tools.iter().any(is_custom) { "custom" } else { "function" };
    object.str("type", kind).object(kind, |object| {
        object.str("name", name);
    });
}

fn write_parallel(way: Way<'_, '_>, losses: &mut Losses, object: &mut Object<'_>) {
    match way.ask.parallel_tools {
        Some(_) if way.lacks(Ability::ParallelToolsConfig) => losses.drop("parallel_tool_calls"),
        Some(parallel) => {
            object.bool("parallel_tool_calls", parallel);
        }
        None => {}
    }
}
