//! Tool definitions, which look like OpenAI's, and which of them may be called.

use super::request::Origin;
use crate::dialect::hub::{Extras, Losses, Text, Tool, ToolChoice, ToolKind};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{self, Array, Object};

/// A function without parameters; Cohere wants the member.
const NOTHING: &str = r#"{"type":"object","properties":{}}"#;
/// What a tool of free text takes, as a function: the text.
const FREE_TEXT: &str = r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;
/// Extras of a tool's or a call's `function` are kept beside the tool's own, under this name.
const INNER: &str = "function.";

/// Reads one tool; `strict` is the request's word for all of them.
pub fn read<'a>(node: &Node<'a>, strict: Option<bool>) -> Result<Tool<'a>, Wrong> {
    let kind = node.object()?.at("type").map_or(Ok(Text::Borrowed("function")), Node::string)?;
    if kind != "function" {
        let kind = ToolKind::Vendor { name: kind, raw: node.raw() };
        return Ok(Tool { kind, cache: None, extras: Extras::default() });
    }
    let function = node.need("function")?.object()?;
    let parameters = function.at("parameters").map(|schema| schema.object().map(Node::raw)).transpose()?;
    let mut extras = super::request::extras_of(node, &["type", "function"]);
    keep_inner(function, &["name", "description", "parameters"], &mut extras);
    let kind = ToolKind::Function {
        name: function.need("name")?.string()?,
        description: function.at("description").map(Node::string).transpose()?,
        parameters: parameters.map(Text::Borrowed),
        strict,
    };
    Ok(Tool { kind, cache: None, extras })
}

/// Keeps what is unknown in `function`.
pub fn keep_inner<'a>(function: &Node<'a>, known: &[&str], extras: &mut Extras<'a>) {
    for (key, raw) in super::request::extras_of(function, known).iter() {
        extras.keep(format!("{INNER}{key}"), raw);
    }
}

/// Writes the extras of a tool or a call: those of its `function`, or its own.
pub fn write_extras(extras: &Extras<'_>, inner: Inner, object: &mut Object<'_>) {
    for (key, raw) in extras.iter() {
        match (key.strip_prefix(INNER), inner) {
            (Some(key), Inner::Function) => {
                object.raw(key, raw);
            }
            (None, Inner::Itself) => {
                object.raw(key, raw);
            }
            (Some(_), Inner::Itself) | (None, Inner::Function) => {}
        }
    }
}

/// Whose extras.
#[derive(Clone, Copy)]
pub enum Inner {
    Itself,
    Function,
}

/// May the model call it? When the caller chose one tool, or some, the others are not shown: neither
/// Cohere nor Ollama can name the tool to call.
pub fn is_offered(tool: &Tool<'_>, choice: Option<&ToolChoice<'_>>) -> bool {
    let (ToolKind::Function { name, .. } | ToolKind::Custom { name, .. }) = &tool.kind else {
        return false;
    };
    match choice {
        Some(ToolChoice::Tool(chosen)) => name == chosen,
        Some(ToolChoice::Allowed { names, .. }) => names.contains(name),
        None | Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) => true,
    }
}

/// Writes one tool; those that only their own vendor runs are reported.
pub fn write_tool(tool: &Tool<'_>, origin: Origin, losses: &mut Losses, tools: &mut Array<'_>) {
    match (&tool.kind, origin) {
        (ToolKind::Function { name, description, parameters, .. }, _) => {
            let parameters = match origin {
                Origin::Own => parameters.as_deref(),
                Origin::Foreign => Some(parameters.as_deref().unwrap_or(NOTHING)),
            };
            function(tool, origin, name, description.as_deref(), parameters, tools);
        }
        (ToolKind::Custom { name, description, .. }, _) => {
            losses.drop("custom");
            function(tool, Origin::Foreign, name, description.as_deref(), Some(FREE_TEXT), tools);
        }
        (ToolKind::Vendor { raw, .. }, Origin::Own) => {
            tools.raw(raw);
        }
        (ToolKind::Vendor { name, .. }, Origin::Foreign) => losses.drop(name.clone().into_owned()),
        (ToolKind::WebSearch { .. }, _) => losses.drop("web_search"),
    }
}

fn function(
    tool: &Tool<'_>,
    origin: Origin,
    name: &str,
    description: Option<&str>,
    parameters: Option<&str>,
    tools: &mut Array<'_>,
) {
    tools.object(|o| {
        o.str("type", "function");
        o.object("function", |o| {
            o.str("name", name).str_if("description", description).raw_if("parameters", parameters);
            if origin == Origin::Own {
                write_extras(&tool.extras, Inner::Function, o);
            }
        });
        if origin == Origin::Own {
            write_extras(&tool.extras, Inner::Itself, o);
        }
    });
}

/// The arguments of a call to a tool of free text, as [`write_tool`] declares it.
pub fn free_text(input: &str) -> String {
    write::text(|out| {
        write::object(out, |o| {
            o.str("input", input);
        });
    })
}
