//! Tools that are put off until they are looked for, for dialects without such a search.
//!
//! Where the caller searches (Codex does), the search is a function like others, its calls and what they found are
//! calls and results, and what was found is offered from then on. Where OpenAI would have searched, all tools are
//! offered at once, and nobody hears of the search. Sources: OpenAI's guide on tool search and the types of its SDK 7.57;
//! what Codex 0.169 sends.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::namespaces::NAMESPACE;
use crate::dialect::hub::namespace::{TOOL_SEARCH, divide};
use crate::dialect::hub::{Ask, Content, Part, Text, Tool, ToolKind};
use crate::dialect::tree::{self, Node};

/// The type of the search among tools, and the member of a tool or a part here that has all of it as it came.
pub const SEARCH: &str = "tool_search";
/// The item of a search, and the one of what it found.
pub const SOUGHT: &str = "tool_search_call";
pub const FOUND: &str = "tool_search_output";

/// The member of a tool that is put off.
const DEFERRED: &str = "defer_loading";

const DESCRIPTION: &str =
    "Searches for tools that are not offered yet. Those that are found can be called next.";
const PARAMETERS: &str = r#"{"type":"object","properties":{"query":{"type":"string","description":"What the tool has to do."}},"required":["query"]}"#;

/// Is this item, or this tool, one whose search the caller makes? Otherwise its vendor does.
pub fn is_callers(node: &Node<'_>) -> bool {
    node.at("execution").and_then(Node::as_str) == Some("client")
}

/// Has the result of a search say what was found.
fn tell(part: &mut Part<'_>) {
    let raw = part.extras.find(SEARCH);
    if let (Some(raw), Content::Outcome(outcome)) = (raw, &mut part.content)
        && let Ok(output) = tree::parse(raw.as_bytes())
    {
        outcome.content = vec![Part::text(told(&output))];
    }
}

/// What a model reads of it.
fn told(output: &Node<'_>) -> String {
    let mut lines = Vec::new();
    let mut tell = |space: Option<&str>, tool: &Node<'_>| {
        let text = |key: &str| tool.at(key).and_then(Node::text);
        let Some(name) = text("name") else { return };
        let place = space.map(|space| format!("{space}: ")).unwrap_or_default();
        let description =
            text("description").map(|description| format!(": {description}")).unwrap_or_default();
        lines.push(format!("- {place}{name}{description}"));
    };
    for tool in output.at("tools").map(Node::elements).unwrap_or_default() {
        if tool.at("type").and_then(Node::as_str) == Some(NAMESPACE) {
            let space = tool.at("name").and_then(Node::as_str);
            tool.at("tools")
                .map(Node::elements)
                .unwrap_or_default()
                .iter()
                .for_each(|inner| tell(space, inner));
        } else {
            tell(None, tool);
        }
    }
    if lines.is_empty() {
        return "No tools were found.".to_owned();
    }
    lines.insert(0, "These tools were found, and can be called now:".to_owned());
    lines.join("\n")
}

/// Leaves out what OpenAI searches, and has a function for what the caller does. What he has put off is offered once he
/// has found it.
pub fn offer(ask: &mut Ask<'_>) {
    let is_item = |part: &Part<'_>| matches!(&part.content, Content::Vendor { kind, .. } if kind == SOUGHT || kind == FOUND);
    ask.turns.retain_mut(|turn| {
        let said = turn.parts.len();
        turn.parts.retain(|part| !is_item(part));
        turn.parts.iter_mut().for_each(tell);
        !turn.parts.is_empty() || said == 0
    });
    ask.tools.retain_mut(|tool| {
        let ToolKind::Vendor { name, raw } = &tool.kind else { return true };
        if name != SEARCH {
            return true;
        }
        let raw = *raw;
        let Some(function) = tree::parse(raw.as_bytes()).ok().filter(is_callers).map(|root| function(&root))
        else {
            return false;
        };
        tool.kind = function;
        tool.extras.keep_aside(SEARCH, raw);
        true
    });
    let is_search = |tool: &Tool<'_>| tool.extras.find(SEARCH).is_some();
    if ask.tools.iter().any(is_search) {
        put_off(ask);
    }
    for tool in ask.tools.iter_mut().filter(|tool| tool.extras.find(DEFERRED).is_some()) {
        tool.extras.put_aside(DEFERRED, "true");
    }
}

/// Takes out the tools that have not been found, and has the search say which there are.
fn put_off(ask: &mut Ask<'_>) {
    let mut hidden = BTreeSet::new();
    ask.tools.retain(|tool| {
        let (ToolKind::Function { name, .. } | ToolKind::Custom { name, .. }) = &tool.kind else {
            return true;
        };
        let is_offered = tool.extras.find(DEFERRED) != Some("true") || tool.extras.find(FOUND).is_some();
        if !is_offered {
            let (space, name) = divide(name);
            hidden.insert(space.unwrap_or(name).to_owned());
        }
        is_offered
    });
    if hidden.is_empty() {
        return;
    }
    let names = hidden.into_iter().collect::<Vec<_>>().join(", ");
    for tool in &mut ask.tools {
        if let ToolKind::Function { name, description: Some(description), .. } = &mut tool.kind
            && name == TOOL_SEARCH
        {
            *description = Cow::Owned(format!("{description}\n\nThere can be found: {names}"));
        }
    }
}

fn function<'a>(search: &Node<'_>) -> ToolKind<'a> {
    let description =
        search.at("description").and_then(Node::text).map_or(DESCRIPTION.into(), Text::into_owned);
    let parameters = search.at("parameters").filter(|schema| schema.is_object());
    ToolKind::Function {
        name: Cow::Borrowed(TOOL_SEARCH),
        description: Some(Cow::Owned(description)),
        parameters: Some(
            parameters.map_or(Cow::Borrowed(PARAMETERS), |schema| Cow::Owned(schema.raw().to_owned())),
        ),
        strict: None,
    }
}
