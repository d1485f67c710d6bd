//! Tools in namespaces, for dialects that have none.
//!
//! Codex has the tools of each MCP server, and those for its sub-agents, in a namespace, and a call names both. How such
//! a tool is called elsewhere, [`namespace`](crate::dialect::hub::namespace) says.

use std::collections::{HashMap, HashSet};

use super::deferred::FOUND;
use super::tools::{LISTED, PLAIN, read_tool};
use crate::dialect::hub::namespace::{divide, qualified};
use crate::dialect::hub::{Ask, Content, Text, Tool, ToolKind};
use crate::dialect::tree::{self, Node};

/// The type of a namespace among tools, and the member of a call that names one.
pub const NAMESPACE: &str = "namespace";

/// Puts the tools of namespaces among the others, and has calls and results say their names.
pub fn flatten(ask: &mut Ask<'_>) {
    let is_space = |tool: &Tool<'_>| matches!(&tool.kind, ToolKind::Vendor { name, .. } if name == NAMESPACE);
    if ask.tools.iter().any(is_space) {
        ask.tools = std::mem::take(&mut ask.tools).into_iter().flat_map(inner).collect();
    }
    let mut spaces: HashSet<String> = HashSet::new();
    for tool in &ask.tools {
        if let ToolKind::Function { name, .. } | ToolKind::Custom { name, .. } = &tool.kind
            && let (Some(space), _) = divide(name)
        {
            spaces.insert(space.to_owned());
        }
    }
    let mut called: HashMap<Text<'_>, Text<'_>> = HashMap::new();
    for part in ask.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        match &mut part.content {
            Content::Call(call) => {
                let said = part.extras.find(NAMESPACE).and_then(|raw| tree::parse(raw.as_bytes()).ok());
                let Some(space) = said.as_ref().and_then(Node::text) else { continue };
                part.extras.put_aside(NAMESPACE, "true");
                // OpenAI says a function's own name for the space of one that was looked for.
                let is_own = space == call.name && !spaces.contains(&*space);
                if space != PLAIN && !is_own {
                    call.name = qualified(&space, &call.name);
                    called.insert(call.id.clone(), call.name.clone());
                }
            }
            Content::Outcome(outcome) => {
                if let Some(name) = called.get(&outcome.call_id) {
                    outcome.name = Some(name.clone());
                }
            }
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::File(_)
            | Content::Thought(_)
            | Content::Vendor { .. } => {}
        }
    }
}

/// The tools in a namespace; what is none, or cannot be read, as it is.
fn inner(tool: Tool<'_>) -> Vec<Tool<'_>> {
    let raw = match &tool.kind {
        ToolKind::Vendor { name, raw } if name == NAMESPACE => *raw,
        ToolKind::Vendor { .. }
        | ToolKind::Function { .. }
        | ToolKind::Custom { .. }
        | ToolKind::WebSearch { .. } => return vec![tool],
    };
    let Some(mut tools) = read(raw) else { return vec![tool] };
    if tool.extras.find(FOUND).is_some() {
        for tool in &mut tools {
            tool.extras.keep_aside(FOUND, "true");
        }
    }
    tools
}

fn read(raw: &str) -> Option<Vec<Tool<'_>>> {
    let root = tree::parse(raw.as_bytes()).ok()?;
    let space = root.at("name")?.text()?;
    let mut tools: Vec<Tool<'_>> =
        root.at("tools")?.items().ok()?.iter().map(read_tool).collect::<Result<_, _>>().ok()?;
    for tool in &mut tools {
        if let ToolKind::Function { name, .. } | ToolKind::Custom { name, .. } = &mut tool.kind
            && space != PLAIN
        {
            *name = qualified(&space, name);
        }
        // An answer does not repeat it: it was not among the request's own.
        tool.extras.keep_aside(LISTED, "true");
    }
    Some(tools)
}
