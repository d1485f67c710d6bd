//! Tools: a list of objects, each of which may declare functions and name tools of Google's own.
//!
//! The hub has one tool for each. When they are written, all functions stand in one object, and then
//! Google's own tools in one each.

use super::write::Origin;
use crate::dialect::gemini::names::{self, camel, member};
use crate::dialect::gemini::schema::as_json_schema;
use crate::dialect::hub::{Extras, Text, Tool, ToolKind};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::Array;

const KNOWN: [&str; 4] = ["name", "description", "parameters", "parametersJsonSchema"];

/// Appends the tools of one object.
pub fn read<'a>(node: &Node<'a>, tools: &mut Vec<Tool<'a>>) -> Result<(), Wrong> {
    for (name, value) in node.object()?.members().iter().filter(|(_, value)| !value.is_null()) {
        let kind = match &*camel(name) {
            "functionDeclarations" => {
                for declaration in value.items()? {
                    tools.push(function(declaration)?);
                }
                continue;
            }
            "googleSearch" => ToolKind::WebSearch { raw: value.raw() },
            name => ToolKind::Vendor { name: Text::Owned(name.to_owned()), raw: value.raw() },
        };
        tools.push(Tool { kind, cache: None, extras: Extras::default() });
    }
    Ok(())
}

fn function<'a>(node: &Node<'a>) -> Result<Tool<'a>, Wrong> {
    let name = match member(node.object()?, "name") {
        Some(name) => name.string()?,
        None => node.need("name")?.string()?,
    };
    let parameters = match (member(node, "parametersJsonSchema"), member(node, "parameters")) {
        (Some(schema), _) => Some(schema.raw().into()),
        (None, Some(schema)) => Some(as_json_schema(schema.object()?)),
        (None, None) => None,
    };
    let description = member(node, "description").map(Node::string).transpose()?;
    let kind = ToolKind::Function { name, description, parameters, strict: None };
    let mut tool = Tool { kind, cache: None, extras: Extras::default() };
    names::keep(&mut tool.extras, "", node, &KNOWN);
    if let (Some(schema), None) = (member(node, "parameters"), member(node, "parametersJsonSchema")) {
        tool.extras.keep_aside("parameters", schema.raw());
    }
    Ok(tool)
}

/// Says the functions of `tools` in one object, and each of Google's `own` tools in one.
pub fn write(a: &mut Array<'_>, tools: &[Tool<'_>], origin: Origin, own: &[(&str, &str)]) {
    if tools.iter().any(|tool| matches!(tool.kind, ToolKind::Function { .. })) {
        a.object(|o| {
            o.array("functionDeclarations", |a| {
                for tool in tools {
                    declare(a, tool, origin);
                }
            });
        });
    }
    for (name, raw) in own {
        a.object(|o| {
            o.raw(name, raw);
        });
    }
}

fn declare(a: &mut Array<'_>, tool: &Tool<'_>, origin: Origin) {
    let ToolKind::Function { name, description, parameters, strict: _ } = &tool.kind else { return };
    a.object(|o| {
        o.str("name", name).str_if("description", description.as_deref());
        let schema = parameters.as_deref().filter(|schema| match origin {
            // It may have been said as Google's own schema, which is said again.
            Origin::Google => tool.extras.find("parameters").is_none(),
            // An object without any member does not say that it is one, and Google insists on that.
            Origin::Elsewhere => schema.trim() != "{}",
        });
        o.raw_if("parametersJsonSchema", schema);
        if origin == Origin::Google {
            names::say(&tool.extras, "", o);
        }
    });
}
