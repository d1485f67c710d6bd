//! Anthropic's search for tools that are put off, for dialects without one: all tools are offered there at once, so that
//! nobody misses it.

use crate::dialect::Dialect;
use crate::dialect::hub::{Ask, Content, Part, ToolKind};
use crate::dialect::tree::{self, Node};

/// What the types of the search begin with, and its names.
const SEARCH: &str = "tool_search_tool";

/// For another dialect: leaves the search out, and what it once found.
pub fn offer(ask: &mut Ask<'_>) {
    if ask.dialect != Dialect::Anthropic {
        return;
    }
    ask.tools.retain(|tool| !matches!(&tool.kind, ToolKind::Vendor { name, .. } if name.starts_with(SEARCH)));
    ask.turns.retain_mut(|turn| {
        let said = turn.parts.len();
        turn.parts.retain(|part| !is_search(part));
        !turn.parts.is_empty() || said == 0
    });
}

/// A search that Anthropic made, or its result.
fn is_search(part: &Part<'_>) -> bool {
    let Content::Vendor { kind, raw } = &part.content else { return false };
    match &**kind {
        "server_tool_use" => {
            let root = tree::parse(raw.as_bytes()).ok();
            let name = root.as_ref().and_then(|root| root.at("name")).and_then(Node::as_str);
            name.is_some_and(|name| name.starts_with(SEARCH))
        }
        kind => kind == "tool_search_tool_result",
    }
}
