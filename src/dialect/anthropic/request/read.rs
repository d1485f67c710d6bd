//! A body -> what it asks for.

use std::collections::HashMap;

use crate::dialect::Dialect;
use crate::dialect::anthropic::block;
use crate::dialect::hub::{
    Ask, Content, Effort, Extras, Format, Mode, Part, Reasoning, Role, Summary, Text, Tier, Tool, ToolChoice,
    ToolKind, Turn,
};
use crate::dialect::tree::{Node, Wrong};

const KNOWN: &[&str] = &[
    "model",
    "system",
    "messages",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "stop_sequences",
    "stream",
    "metadata",
    "service_tier",
    "cache_control",
];

/// What a request asks for.
pub fn read<'a>(body: &Node<'a>) -> Result<Ask<'a>, Wrong> {
    body.object()?;
    let mut ask = Ask::new(Dialect::Anthropic);
    ask.extras = Extras::of(body, KNOWN);
    ask.model = body.at("model").map(Node::string).transpose()?.unwrap_or_default();
    ask.turns = turns(body)?;
    if body.at("stream").map(Node::boolean).transpose()? == Some(true) {
        ask.mode = Mode::Stream { usage: true };
    }
    if let Some(tools) = body.at("tools") {
        ask.tools = tools.items()?.iter().map(tool).collect::<Result<_, _>>()?;
    }
    if let Some(choice) = body.at("tool_choice") {
        read_choice(choice, &mut ask)?;
    }
    ask.max_tokens = body.at("max_tokens").map(Node::integer).transpose()?;
    ask.temperature = body.at("temperature").map(Node::number).transpose()?;
    ask.top_p = body.at("top_p").map(Node::number).transpose()?;
    ask.top_k = body.at("top_k").map(Node::integer).transpose()?;
    if let Some(stop) = body.at("stop_sequences") {
        ask.stop = stop.items()?.iter().map(Node::string).collect::<Result<_, _>>()?;
    }
    if let Some(mark) = body.at("cache_control") {
        ask.cache = block::mark(mark, &mut ask.extras);
    }
    read_form(body, &mut ask)?;
    read_thinking(body, &mut ask)?;
    read_account(body, &mut ask)?;
    Ok(ask)
}

/// Does it go on with a thread at Anthropic? Its messages are not the whole conversation then.
fn goes_on(body: &Node<'_>) -> bool {
    body.at("thread").is_some_and(|thread| thread.at("previous_message_id").is_some())
}

fn turns<'a>(body: &Node<'a>) -> Result<Vec<Turn<'a>>, Wrong> {
    let node = body.need("messages")?;
    let messages = node.items()?;
    if messages.is_empty() {
        return Err(node.wrong("empty; give at least one message"));
    }
    let mut turns = Vec::with_capacity(messages.len() + 1);
    if let Some(system) = body.at("system") {
        turns.push(Turn::new(Role::System, block::contents(system)?));
    }
    // The tools' names by the ids of their calls.
    let mut called = HashMap::new();
    for message in messages {
        let mut turn = turn(message)?;
        for part in &mut turn.parts {
            if let Content::Call(call) = &part.content {
                called.insert(call.id.clone(), call.name.clone());
            } else if let Content::Outcome(outcome) = &mut part.content {
                let name = called.get(&outcome.call_id).cloned();
                outcome.name = name;
                // The call may lie in the thread.
                if outcome.name.is_none() && !goes_on(body) {
                    return Err(orphan(message, &outcome.call_id));
                }
            }
        }
        turns.push(turn);
    }
    Ok(turns)
}

fn turn<'a>(message: &Node<'a>) -> Result<Turn<'a>, Wrong> {
    let role = message.need("role")?;
    let role = match &*role.string()? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(role.wrong("unknown role; use user, assistant or system")),
    };
    let parts: Vec<Part<'a>> = block::contents(message.need("content")?)?;
    Ok(Turn { extras: Extras::of(message, &["role", "content"]), ..Turn::new(role, parts) })
}

fn orphan(message: &Node<'_>, call_id: &str) -> Wrong {
    let blocks = message.at("content").map_or(&[][..], Node::elements);
    let id =
        blocks.iter().filter_map(|block| block.at("tool_use_id")).find(|id| id.as_str() == Some(call_id));
    id.unwrap_or(message)
        .wrong("no tool_use block before it has this id; send the assistant's message with the call")
}

fn tool<'a>(node: &Node<'a>) -> Result<Tool<'a>, Wrong> {
    let kind = node.object()?.at("type").map(Node::string).transpose()?;
    let mut extras = Extras::default();
    match kind {
        Some(kind) if kind != "custom" => {
            let raw = node.raw();
            let is_search = kind.starts_with("web_search");
            let kind =
                if is_search { ToolKind::WebSearch { raw } } else { ToolKind::Vendor { name: kind, raw } };
            Ok(Tool { kind, cache: None, extras })
        }
        _ => {
            let name = node.need("name")?.string()?;
            let parameters = Text::Borrowed(node.need("input_schema")?.object()?.raw());
            let description = node.at("description").map(Node::string).transpose()?;
            let strict = node.at("strict").map(Node::boolean).transpose()?;
            let mut cache = None;
            for (key, value) in node.members().iter().filter(|(_, value)| !value.is_null()) {
                match &**key {
                    "type" | "name" | "input_schema" | "description" | "strict" => {}
                    "cache_control" => cache = block::mark(value, &mut extras),
                    // When and how the tool is shown and streamed; it is there all the same.
                    "defer_loading" | "eager_input_streaming" => extras.keep_aside(key.clone(), value.raw()),
                    _ => extras.keep(key.clone(), value.raw()),
                }
            }
            let kind = ToolKind::Function { name, description, parameters: Some(parameters), strict };
            Ok(Tool { kind, cache, extras })
        }
    }
}

fn read_choice<'a>(node: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let kind = node.need("type")?;
    ask.tool_choice = Some(match &*kind.string()? {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Tool(node.need("name")?.string()?),
        _ => return Err(kind.wrong("unknown tool choice; use auto, any, tool or none")),
    });
    let alone = node.at("disable_parallel_tool_use").map(Node::boolean).transpose()?;
    ask.parallel_tools = alone.map(|alone| !alone);
    keep(node, "tool_choice", &["type", "name", "disable_parallel_tool_use"], &mut ask.extras);
    Ok(())
}

/// `output_config`, and `output_format`, which was its beta.
fn read_form<'a>(body: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let config = body.at("output_config").map(Node::object).transpose()?;
    let format = config.and_then(|config| config.at("format")).or_else(|| body.at("output_format"));
    if let Some(format) = format {
        let kind = format.need("type")?;
        if &*kind.string()? != "json_schema" {
            return Err(kind.wrong("unknown output format; use json_schema"));
        }
        let schema = Text::Borrowed(format.need("schema")?.object()?.raw());
        ask.format = Some(Format::Schema { name: None, description: None, schema, strict: None });
        keep(format, "output_config.format", &["type", "schema"], &mut ask.extras);
    }
    let Some(config) = config else { return Ok(()) };
    keep(config, "output_config", &["format", "effort"], &mut ask.extras);
    let Some(effort) = config.at("effort") else { return Ok(()) };
    match Effort::parse(&effort.string()?) {
        Some(effort) => ask.reasoning.effort = Some(effort),
        None => ask.extras.keep("output_config.effort", effort.raw()),
    }
    Ok(())
}

fn read_thinking<'a>(body: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let Some(thinking) = body.at("thinking") else { return Ok(()) };
    let kind = thinking.need("type")?;
    let budget = thinking.at("budget_tokens").map(Node::integer).transpose()?;
    let said = match &*kind.string()? {
        "enabled" if budget.is_some() => Reasoning { budget, ..ask.reasoning },
        "adaptive" => Reasoning { adaptive: true, ..ask.reasoning },
        // Other vendors of this dialect take `enabled` without a budget.
        "enabled" => {
            ask.extras.keep_aside("thinking.type", kind.raw());
            Reasoning { adaptive: true, ..ask.reasoning }
        }
        // `between_tools` thinks as little, but shows notes between tool calls as thinking.
        other @ ("disabled" | "between_tools") => {
            if other == "between_tools" {
                ask.extras.keep_aside("thinking.type", kind.raw());
            }
            if let Some(effort) = body.at("output_config").and_then(|config| config.at("effort")) {
                ask.extras.keep("output_config.effort", effort.raw());
            }
            Reasoning { effort: Some(Effort::None), ..Reasoning::default() }
        }
        _ => return Err(kind.wrong("unknown thinking; use adaptive, enabled, between_tools or disabled")),
    };
    let display = thinking.at("display").map(Node::string).transpose()?;
    let summary = match display.as_deref() {
        Some("summarized") => Some(Summary::Auto),
        Some("omitted") => Some(Summary::Omitted),
        _ => None,
    };
    let known: &[&str] = match summary {
        Some(_) => &["type", "budget_tokens", "display"],
        None => &["type", "budget_tokens"],
    };
    keep(thinking, "thinking", known, &mut ask.extras);
    ask.reasoning = Reasoning { summary, ..said };
    Ok(())
}

/// Who asks, and at which tier.
fn read_account<'a>(body: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    if let Some(metadata) = body.at("metadata") {
        ask.user = metadata.object()?.at("user_id").map(Node::string).transpose()?;
        keep(metadata, "metadata", &["user_id"], &mut ask.extras);
    }
    if let Some(tier) = body.at("service_tier") {
        match &*tier.string()? {
            "auto" => ask.tier = Some(Tier::Auto),
            "standard_only" => ask.tier = Some(Tier::Standard),
            _ => ask.extras.keep("service_tier", tier.raw()),
        }
    }
    Ok(())
}

/// Keeps members of an inner object under the way to them: `metadata.team`.
fn keep<'a>(node: &Node<'a>, way: &str, known: &[&str], extras: &mut Extras<'a>) {
    for (key, value) in node.members() {
        if !known.contains(&&**key) && !value.is_null() {
            extras.keep(format!("{way}.{key}"), value.raw());
        }
    }
}
