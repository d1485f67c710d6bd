//! Tools and the choice among them, read and written.

use std::collections::HashMap;

use super::write::Origin;
use super::{deferred, namespaces};
use crate::dialect::Dialect;
use crate::dialect::hub::{
    Ask, Content, Extras, Losses, Part, SEARCH, Terms, Text, Tool, ToolChoice, ToolKind,
};
use crate::dialect::openai::strict;
use crate::dialect::quirks::ForcedTools;
use crate::dialect::responses::search;
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{Array, Object};
use crate::vocab::Ability;

/// What a function takes that says nothing about it: the wire wants a schema.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

const CHOICE: &str = "tool_choice";

/// Reads `tools` and `tool_choice`.
pub fn read<'a>(body: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    if let Some(tools) = body.at("tools") {
        for tool in tools.items()? {
            ask.tools.push(read_tool(tool)?);
        }
    }
    let Some(choice) = body.at("tool_choice") else { return Ok(()) };
    ask.tool_choice = match choice.as_str() {
        Some("auto") => Some(ToolChoice::Auto),
        Some("none") => Some(ToolChoice::None),
        Some("required") => Some(ToolChoice::Required),
        Some(_) => return Err(choice.wrong("not a choice; use auto, none, required or an object")),
        None => choose(choice.object()?, ask)?,
    };
    match &ask.tool_choice {
        None => ask.extras.keep(CHOICE, choice.raw()),
        // Its search has several names here, of which this was one.
        Some(ToolChoice::Tool(name)) if ask.means_search(name) => ask.extras.keep_aside(CHOICE, choice.raw()),
        Some(ToolChoice::Allowed { names, .. }) if names.iter().any(|name| ask.means_search(name)) => {
            ask.extras.keep_aside(CHOICE, choice.raw());
        }
        Some(_) => {}
    }
    Ok(())
}

/// The item of the input that lists tools where they are first there: Codex has all of its own in one.
pub const LISTED: &str = "additional_tools";
/// The namespace of tools that are in none.
pub const PLAIN: &str = "functions";

/// Reads the tools of such an item, or of one that has what was looked for. Here it goes again as it stood, so that
/// they are said in its place.
pub fn read_listed<'a>(kind: &str, item: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    for tool in item.at("tools").map(Node::items).transpose()?.unwrap_or_default() {
        let is_plain = tool.object()?.at("type").and_then(Node::as_str) == Some("namespace")
            && tool.at("name").and_then(Node::as_str) == Some(PLAIN);
        let inner = tool.at("tools").filter(|_| is_plain).map(Node::items).transpose()?;
        for tool in inner.unwrap_or(std::slice::from_ref(tool)) {
            let mut tool = read_tool(tool)?;
            tool.extras.keep_aside(LISTED, "true");
            if kind == deferred::FOUND {
                tool.extras.keep_aside(deferred::FOUND, "true");
            }
            ask.tools.push(tool);
        }
    }
    Ok(())
}

fn is_listed(tool: &Tool<'_>) -> bool {
    tool.extras.find(LISTED).is_some()
}

/// For another dialect: leaves out the items that list tools, which have been read, and of several tools with one name
/// all but the last that was listed; tools in namespaces are tools like the others, as is the search for more.
pub fn unlist(ask: &mut Ask<'_>) {
    let is_list = |part: &Part<'_>| matches!(&part.content, Content::Vendor { kind, .. } if kind == LISTED);
    if ask.dialect != Dialect::Responses {
        return;
    }
    namespaces::flatten(ask);
    deferred::offer(ask);
    ask.turns.retain_mut(|turn| {
        let said = turn.parts.len();
        turn.parts.retain(|part| !is_list(part));
        !turn.parts.is_empty() || said == 0
    });
    let mut places: HashMap<Text<'_>, usize> = HashMap::new();
    let mut tools: Vec<Tool<'_>> = Vec::with_capacity(ask.tools.len());
    // Those that are listed were read before the request's own.
    let (listed, own): (Vec<_>, Vec<_>) = std::mem::take(&mut ask.tools).into_iter().partition(is_listed);
    for tool in own.into_iter().chain(listed) {
        let (ToolKind::Function { name, .. } | ToolKind::Custom { name, .. }) = &tool.kind else {
            tools.push(tool);
            continue;
        };
        match places.get(name).and_then(|place| tools.get_mut(*place)) {
            Some(older) if is_listed(&tool) => *older = tool,
            _ => {
                places.insert(name.clone(), tools.len());
                tools.push(tool);
            }
        }
    }
    ask.tools = tools;
}

pub fn read_tool<'a>(tool: &Node<'a>) -> Result<Tool<'a>, Wrong> {
    let kind = tool.need("type")?.string()?;
    let raw = tool.raw();
    // Cursor mixes in functions as chat has them.
    let inner = tool.at("function").filter(|function| function.is_object()).unwrap_or(tool);
    let described = || inner.at("description").map(Node::string).transpose();
    let (kind, known): (_, &[&str]) = match &*kind {
        "function" => {
            let name = inner.need("name")?.string()?;
            let parameters = inner.at("parameters").map(Node::object).transpose()?;
            let parameters = parameters.map(|schema| Text::Borrowed(schema.raw()));
            let strict = inner.at("strict").map(Node::boolean).transpose()?;
            (
                ToolKind::Function { name, description: described()?, parameters, strict },
                &["type", "function", "name", "description", "parameters", "strict"],
            )
        }
        "custom" => {
            let format = inner.at("format").map(Node::raw);
            (
                ToolKind::Custom { name: inner.need("name")?.string()?, description: described()?, format },
                &["type", "name", "description", "format"],
            )
        }
        name if search::is_ours(name) => {
            return Ok(Tool { kind: ToolKind::WebSearch { raw }, cache: None, extras: Extras::default() });
        }
        _ => {
            return Ok(Tool {
                kind: ToolKind::Vendor { name: kind, raw },
                cache: None,
                extras: Extras::default(),
            });
        }
    };
    Ok(Tool { kind, cache: None, extras: Extras::of(inner, known) })
}

/// `None` for what only this dialect can choose: one of the vendor's own tools, save its search.
fn choose<'a>(choice: &Node<'a>, ask: &Ask<'a>) -> Result<Option<ToolChoice<'a>>, Wrong> {
    let chosen = |tool| chosen(tool, ask);
    let kind = choice.need("type")?.string()?;
    if kind == "allowed_tools" {
        let names: Option<Vec<_>> = choice.need("tools")?.items()?.iter().map(chosen).collect();
        let required = choice.at("mode").and_then(Node::as_str) == Some("required");
        return Ok(names.map(|names| ToolChoice::Allowed { names, required }));
    }
    match chosen(choice) {
        Some(name) => Ok(Some(ToolChoice::Tool(name))),
        None if matches!(&*kind, "function" | "custom") => Err(choice.wrong("name the tool to call")),
        None => Ok(None),
    }
}

fn chosen<'a>(tool: &Node<'a>, ask: &Ask<'a>) -> Option<Text<'a>> {
    let kind = tool.at("type")?.as_str()?;
    if search::is_ours(kind) && ask.means_search(SEARCH) {
        return Some(Text::Borrowed(SEARCH));
    }
    matches!(kind, "function" | "custom").then_some(())?;
    tool.at("name").or_else(|| tool.at("function")?.at("name"))?.text()
}

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`, as far as there is something to say.
pub fn write(ask: &Ask<'_>, origin: Origin, terms: &Terms<'_>, losses: &mut Losses, o: &mut Object<'_>) {
    let written = write_tools(ask, origin, terms, losses, o);
    // What chooses among no tools is refused.
    if written == Written::None && origin != Origin::Here {
        return;
    }
    let forced = matches!(ask.tool_choice, Some(ToolChoice::Required | ToolChoice::Tool(_)))
        || matches!(ask.tool_choice, Some(ToolChoice::Allowed { required: true, .. }));
    let refused =
        terms.quirks.tool_choice == ForcedTools::OnlyAuto || terms.facts.lacks(Ability::ForcedTools);
    if terms.facts.lacks(Ability::ToolChoice) {
        losses.drop_if(ask.tool_choice.as_ref(), "tool_choice");
    } else if forced && refused && origin != Origin::Here {
        losses.drop("tool_choice");
        o.str("tool_choice", "auto");
    } else if origin != Origin::Here || ask.extras.find(CHOICE).is_none() {
        write_choice(ask, o);
    }
    if let Some(parallel) = ask.parallel_tools {
        if terms.facts.lacks(Ability::ParallelToolsConfig) && origin != Origin::Here {
            losses.drop("parallel_tool_calls");
        } else {
            o.bool("parallel_tool_calls", parallel);
        }
    }
}

/// Whether any tool was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    None,
    Some,
}

fn write_tools(
    ask: &Ask<'_>,
    origin: Origin,
    terms: &Terms<'_>,
    losses: &mut Losses,
    o: &mut Object<'_>,
) -> Written {
    if ask.tools.is_empty() || (origin == Origin::Here && ask.tools.iter().all(is_listed)) {
        return Written::None;
    }
    let mut written = Written::None;
    let mut write_all = |array: &mut Array<'_>| {
        for tool in &ask.tools {
            write_tool(tool, origin, terms, losses, array);
        }
        written = if array.is_empty() { Written::None } else { Written::Some };
    };
    let mut tools = Vec::new();
    crate::dialect::write::array(&mut tools, &mut write_all);
    if written == Written::Some || origin == Origin::Here {
        // The writers write UTF-8 only.
        o.raw("tools", std::str::from_utf8(&tools).unwrap_or("[]"));
    }
    written
}

pub fn write_tool(
    tool: &Tool<'_>,
    origin: Origin,
    terms: &Terms<'_>,
    losses: &mut Losses,
    array: &mut Array<'_>,
) {
    let here = origin == Origin::Here;
    if here && is_listed(tool) {
        return;
    }
    if let Some(raw) = tool.extras.find(deferred::SEARCH).filter(|_| here) {
        array.raw(raw);
        return;
    }
    losses.drop_if(tool.cache.as_ref(), "cache_control");
    match &tool.kind {
        ToolKind::Function { name, description, parameters, strict } => {
            let strict = match origin {
                Origin::Here | Origin::Chat => *strict,
                Origin::Elsewhere => strict::of_foreign(*strict, parameters.as_deref(), losses),
            };
            array.object(|o| {
                o.str("type", "function").str("name", name).str_if("description", description.as_deref());
                match parameters {
                    Some(schema) => {
                        o.raw("parameters", schema);
                    }
                    None if !here => {
                        o.raw("parameters", NO_PARAMETERS);
                    }
                    None => {}
                }
                match strict {
                    Some(strict) => {
                        o.bool("strict", strict);
                    }
                    // Absent would mean that it is tried.
                    None if !here => {
                        o.bool("strict", false);
                    }
                    None => {}
                }
                if here {
                    tool.extras.write(o);
                }
            });
        }
        ToolKind::Custom { name, description, format } => {
            array.object(|o| {
                o.str("type", "custom").str("name", name).str_if("description", description.as_deref());
                o.raw_if("format", *format);
                if here {
                    tool.extras.write(o);
                }
            });
        }
        ToolKind::WebSearch { raw } | ToolKind::Vendor { raw, .. } if here => {
            array.raw(raw);
        }
        ToolKind::WebSearch { raw } => search::write(raw, terms, losses, array),
        ToolKind::Vendor { name, .. } => losses.drop(name.clone().into_owned()),
    }
}

pub fn write_choice(ask: &Ask<'_>, o: &mut Object<'_>) {
    match &ask.tool_choice {
        None => {}
        Some(ToolChoice::Auto) => {
            o.str("tool_choice", "auto");
        }
        Some(ToolChoice::None) => {
            o.str("tool_choice", "none");
        }
        Some(ToolChoice::Required) => {
            o.str("tool_choice", "required");
        }
        Some(ToolChoice::Tool(name)) => {
            o.object("tool_choice", |o| write_name(ask, name, o));
        }
        Some(ToolChoice::Allowed { names, required }) => {
            o.object("tool_choice", |o| {
                o.str("type", "allowed_tools").str("mode", if *required { "required" } else { "auto" });
                o.array("tools", |array| {
                    for name in names {
                        array.object(|o| write_name(ask, name, o));
                    }
                });
            });
        }
    }
}

/// A tool that is chosen: its own search has a type and no name.
fn write_name(ask: &Ask<'_>, wanted: &str, o: &mut Object<'_>) {
    if ask.means_search(wanted) {
        o.str("type", SEARCH);
        return;
    }
    let is_custom = |tool: &Tool<'_>| matches!(&tool.kind, ToolKind::Custom { name, .. } if name == wanted);
    let kind = if ask.tools.iter().any(is_custom) { "custom" } else { "function" };
    o.str("type", kind).str("name", wanted);
}
