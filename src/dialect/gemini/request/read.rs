//! Reads a request.

use std::borrow::Cow;

use super::{
    chunks, config,
    pairs::{Lone, Pairs},
    tools,
};
use crate::dialect::Dialect;
use crate::dialect::gemini::names::{self, member};
use crate::dialect::gemini::part::{self, Reading};
use crate::dialect::hub::{Ask, Part, Role, Tier, Turn};
use crate::dialect::tree::{Node, Wrong};

const KNOWN: [&str; 7] =
    ["model", "contents", "systemInstruction", "tools", "toolConfig", "generationConfig", "serviceTier"];

/// What a request asks for.
pub fn read<'a>(body: &Node<'a>) -> Result<Ask<'a>, Wrong> {
    read_with(Lone::Wrong, body)
}

/// What is to be counted, which may be a result without its call: Gemini CLI asks for the size of a picture so.
pub fn read_to_count<'a>(body: &Node<'a>) -> Result<Ask<'a>, Wrong> {
    read_with(Lone::Called, body)
}

fn read_with<'a>(lone: Lone, body: &Node<'a>) -> Result<Ask<'a>, Wrong> {
    let mut ask = Ask::new(Dialect::Gemini);
    if let Some(model) = member(body.object()?, "model") {
        let name = model.string()?;
        ask.model = match name.strip_prefix("models/") {
            Some(bare) => Cow::Owned(bare.to_owned()),
            None => name,
        };
    }
    if let Some(system) = member(body, "systemInstruction") {
        ask.turns.push(Turn::new(Role::System, instruction(system)?));
    }
    contents(body, lone, &mut ask)?;
    for tool in member(body, "tools").map(Node::items).transpose()?.unwrap_or_default() {
        tools::read(tool, &mut ask.tools)?;
    }
    if let Some(node) = member(body, "generationConfig") {
        config::read(node, &mut ask)?;
    }
    if let Some(node) = member(body, "toolConfig") {
        config::read_tools(node, &mut ask)?;
    }
    if let Some(tier) = member(body, "serviceTier") {
        let name = tier.string()?;
        ask.tier = match name.to_ascii_lowercase().as_str() {
            "standard" => Some(Tier::Standard),
            "flex" => Some(Tier::Flex),
            "priority" => Some(Tier::Priority),
            _ => {
                ask.extras.keep("serviceTier", tier.raw());
                None
            }
        };
    }
    names::keep(&mut ask.extras, "", body, &KNOWN);
    Ok(ask)
}

fn instruction<'a>(system: &Node<'a>) -> Result<Vec<Part<'a>>, Wrong> {
    if let Some(text) = system.text() {
        return Ok(vec![Part::text(text)]);
    }
    let mut parts = Vec::new();
    if let Some(node) = member(system.object()?, "parts") {
        for node in several(node)? {
            part::read(node, Reading::Strict, &mut parts)?;
        }
    }
    Ok(parts)
}

fn contents<'a>(body: &Node<'a>, lone: Lone, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let node = match member(body, "contents") {
        Some(node) => node,
        None => body.need("contents")?,
    };
    let items = several(node)?;
    if items.is_empty() {
        return Err(node.wrong("empty; give at least one content"));
    }
    let mut pairs = Pairs::default();
    for item in items {
        let role = role(item)?;
        let mut parts = Vec::new();
        let mut answers = Vec::new();
        for node in member(item, "parts").map(several).transpose()?.unwrap_or_default() {
            let begin = parts.len();
            part::read(node, Reading::Strict, &mut parts)?;
            pairs.meet((node, lone), &mut ask.turns, &mut parts, begin, &mut answers)?;
        }
        pairs.sort(&mut parts, &answers);
        let mut turn = Turn::new(role, parts);
        names::keep(&mut turn.extras, "", item, &["role", "parts"]);
        let from = chunks::append(&mut ask.turns, turn);
        pairs.call(&ask.turns, from);
    }
    Ok(())
}

/// Google's servers take one in the place of a list.
fn several<'n, 'a>(node: &'n Node<'a>) -> Result<&'n [Node<'a>], Wrong> {
    if node.is_object() { Ok(std::slice::from_ref(node)) } else { node.items() }
}

fn role(content: &Node<'_>) -> Result<Role, Wrong> {
    let Some(role) = member(content.object()?, "role") else { return Ok(Role::User) };
    let name = role.string()?;
    match name.to_ascii_lowercase().as_str() {
        "user" | "function" => Ok(Role::User),
        "model" => Ok(Role::Assistant),
        "system" => Ok(Role::System),
        _ => Err(role.wrong("unknown role; the roles are user, model and function")),
    }
}
