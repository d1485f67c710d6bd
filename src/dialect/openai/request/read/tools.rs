//! Tools, nested as chat has them, flat as responses have them, or mixed (Cursor, WIRE §2.4).

use std::borrow::Cow;

use super::{cache_mark, drop_key};
use crate::dialect::hub::{Extras, Text, Tool, ToolChoice, ToolKind};
use crate::dialect::tree::{Node, Wrong};

pub fn read<'a>(body: &Node<'a>) -> Result<Vec<Tool<'a>>, Wrong> {
    let mut tools = Vec::new();
    for node in body.at("tools").map(Node::items).transpose()?.unwrap_or_default() {
        tools.push(tool(node.object()?)?);
    }
    for node in body.at("functions").map(Node::items).transpose()?.unwrap_or_default() {
        tools.push(plain(function(node)?));
    }
    if let Some(options) = body.at("web_search_options") {
        tools.push(plain(ToolKind::WebSearch { raw: options.raw() }));
    }
    Ok(tools)
}

fn plain(kind: ToolKind<'_>) -> Tool<'_> {
    Tool { kind, cache: None, extras: Extras::default() }
}

fn tool<'a>(node: &Node<'a>) -> Result<Tool<'a>, Wrong> {
    const FLAT: &[&str] = &["type", "name", "description", "parameters", "strict", "format", "cache_control"];
    const NESTED: &[&str] = &["type", "function", "custom", "cache_control"];
    let kind = node.at("type").map(Node::string).transpose()?;
    let (kind, known) = match (kind.as_deref(), node.at("function"), node.at("custom")) {
        (None | Some("function"), Some(said), _) => (function(said)?, NESTED),
        (None | Some("function"), None, _) => (function(node)?, FLAT),
        (Some("custom"), _, Some(said)) => (custom(said)?, NESTED),
        (Some("custom"), _, None) => (custom(node)?, FLAT),
        (Some(name), ..) if is_web_search(name) => return Ok(plain(ToolKind::WebSearch { raw: node.raw() })),
        (Some(_), ..) => {
            return Ok(plain(ToolKind::Vendor { name: kind.unwrap_or_default(), raw: node.raw() }));
        }
    };
    let cache = node.at("cache_control").map(cache_mark);
    Ok(Tool { kind, cache, extras: Extras::of(node, known) })
}

fn function<'a>(said: &Node<'a>) -> Result<ToolKind<'a>, Wrong> {
    Ok(ToolKind::Function {
        name: said.need("name")?.string()?,
        description: said.at("description").map(Node::string).transpose()?,
        parameters: match said.at("parameters") {
            Some(schema) => Some(Cow::Borrowed(schema.object()?.raw())),
            None => None,
        },
        strict: said.at("strict").map(Node::boolean).transpose()?,
    })
}

fn custom<'a>(said: &Node<'a>) -> Result<ToolKind<'a>, Wrong> {
    Ok(ToolKind::Custom {
        name: said.need("name")?.string()?,
        description: said.at("description").map(Node::string).transpose()?,
        format: said.at("format").map(Node::raw),
    })
}

/// `web_search`, its dated variants, and OpenRouter's.
fn is_web_search(name: &str) -> bool {
    name.trim_start_matches("openrouter:").starts_with("web_search")
}

/// `tool_choice`, or the older `function_call`. What is not known stays an extra.
pub fn read_choice<'a>(body: &Node<'a>, extras: &mut Extras<'a>) -> Result<Option<ToolChoice<'a>>, Wrong> {
    let key = if body.at("tool_choice").is_some() { "tool_choice" } else { "function_call" };
    let Some(said) = body.at(key) else { return Ok(None) };
    let choice = match said.text() {
        Some(word) => match &*word {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            // Mistral says `any`.
            "required" | "any" => ToolChoice::Required,
            _ => return Err(said.wrong("not a choice; use auto, none, required or the tool to be called")),
        },
        None => match chosen(said.object()?)? {
            Some(choice) => choice,
            None => return Ok(None),
        },
    };
    drop_key(extras, key);
    Ok(Some(choice))
}

fn chosen<'a>(said: &Node<'a>) -> Result<Option<ToolChoice<'a>>, Wrong> {
    let kind = said.at("type").map(Node::string).transpose()?;
    Ok(Some(match kind.as_deref() {
        None | Some("function" | "tool") => ToolChoice::Tool(name(said, "function")?),
        Some("custom") => ToolChoice::Tool(name(said, "custom")?),
        Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::None,
        Some("required" | "any") => ToolChoice::Required,
        Some("allowed_tools") => {
            let said = said.at("allowed_tools").unwrap_or(said);
            let tools = said.need("tools")?.items()?;
            let name_of = |tool| name(tool, "function").or_else(|_| name(tool, "custom"));
            ToolChoice::Allowed {
                names: tools.iter().map(name_of).collect::<Result<_, _>>()?,
                required: said.at("mode").and_then(Node::as_str) == Some("required"),
            }
        }
        Some(_) => return Ok(None),
    }))
}

/// The name, in the object of this `kind` or beside it.
fn name<'a>(said: &Node<'a>, kind: &str) -> Result<Text<'a>, Wrong> {
    said.at(kind).unwrap_or(said).need("name")?.string()
}
