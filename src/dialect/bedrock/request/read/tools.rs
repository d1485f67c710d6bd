//! `toolConfig`.

use super::{TOOLS, keep};
use crate::dialect::bedrock::block::cache_mark;
use crate::dialect::bedrock::request::GROUNDING;
use crate::dialect::hub::{Ask, Extras, Text, Tool, ToolChoice, ToolKind};
use crate::dialect::tree::{Node, Wrong};

pub fn read<'a>(config: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    for entry in config.object()?.at("tools").map(Node::items).transpose()?.unwrap_or_default() {
        let mut members = entry.object()?.members().iter().filter(|(_, value)| !value.is_null());
        let (key, value) = members.next().ok_or_else(|| entry.wrong("expected toolSpec"))?;
        match (cache_mark(key, value), ask.tools.last_mut()) {
            (Some(mark), Some(last)) if last.cache.is_none() => last.cache = Some(mark),
            _ => ask.tools.push(tool(key, value, entry)?),
        }
    }
    let mut known = vec!["tools"];
    if let Some(choice) = config.at("toolChoice") {
        ask.tool_choice = read_choice(choice)?;
        if ask.tool_choice.is_some() {
            known.push("toolChoice");
        }
    }
    keep(TOOLS, config, &known, ask);
    Ok(())
}

fn tool<'a>(key: &str, value: &Node<'a>, entry: &Node<'a>) -> Result<Tool<'a>, Wrong> {
    let name = || value.at("name").and_then(Node::text);
    let mut extras = Extras::default();
    let kind = match key {
        "toolSpec" => {
            extras = Extras::of(value, &["name", "description", "inputSchema", "strict"]);
            ToolKind::Function {
                name: value.need("name")?.string()?,
                description: value.at("description").map(Node::string).transpose()?,
                parameters: Some(Text::Borrowed(value.need("inputSchema")?.need("json")?.object()?.raw())),
                strict: value.at("strict").map(Node::boolean).transpose()?,
            }
        }
        "systemTool" if name().as_deref() == Some(GROUNDING) => ToolKind::WebSearch { raw: entry.raw() },
        "systemTool" => {
            ToolKind::Vendor { name: name().unwrap_or(Text::Borrowed("systemTool")), raw: entry.raw() }
        }
        _ => ToolKind::Vendor { name: Text::Owned(key.to_owned()), raw: entry.raw() },
    };
    Ok(Tool { kind, cache: None, extras })
}

/// `None` for one that is not known.
fn read_choice<'a>(choice: &Node<'a>) -> Result<Option<ToolChoice<'a>>, Wrong> {
    if let Some(tool) = choice.object()?.at("tool") {
        return Ok(Some(ToolChoice::Tool(tool.need("name")?.string()?)));
    }
    Ok(if choice.at("any").is_some() {
        Some(ToolChoice::Required)
    } else {
        choice.at("auto").map(|_| ToolChoice::Auto)
    })
}
