//! `additionalModelRequestFields`: what each maker's models know beside what Converse has for all.
//!
//! | field | whose |
//! |---|---|
//! | `thinking`, `output_config.effort`, `top_k`, `tool_choice` | Claude, as in Anthropic's own API |
//! | `reasoningConfig`, `inferenceConfig.topK` | Nova |
//! | `reasoning_effort` | gpt-oss |
//! | `reasoning_config` | Qwen |

use super::ADDITIONAL;
use crate::dialect::hub::{Ask, Effort, Reasoning, Summary, ToolChoice};
use crate::dialect::tree::{Node, Wrong};

pub fn read<'a>(fields: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    for (key, value) in fields.object()?.members().iter().filter(|(_, value)| !value.is_null()) {
        let understood = match &**key {
            "thinking" => thinking(value, &mut ask.reasoning),
            "output_config" => only(value, "effort") && effort(value.at("effort"), &mut ask.reasoning),
            "reasoning_effort" | "reasoning_config" => effort(Some(value), &mut ask.reasoning),
            "reasoningConfig" => nova(value, &mut ask.reasoning),
            "top_k" => count(value, &mut ask.top_k),
            "inferenceConfig" => {
                only(value, "topK") && value.at("topK").is_some_and(|value| count(value, &mut ask.top_k))
            }
            "tool_choice" => tool_choice(value, ask),
            _ => false,
        };
        if !understood {
            ask.extras.keep([ADDITIONAL, ".", key].concat(), value.raw());
        }
    }
    Ok(())
}

/// Nothing but this member is there.
fn only(object: &Node<'_>, name: &str) -> bool {
    object.is_object() && object.members().iter().all(|(key, _)| key == name)
}

fn thinking(value: &Node<'_>, reasoning: &mut Reasoning) -> bool {
    let known = |key: &str| matches!(key, "type" | "budget_tokens" | "display");
    if !value.members().iter().all(|(key, _)| known(key)) {
        return false;
    }
    let budget = value.at("budget_tokens").and_then(Node::as_integer);
    match (value.at("type").and_then(Node::as_str), budget) {
        (Some("enabled"), Some(tokens)) => reasoning.budget = Some(tokens),
        (Some("adaptive"), None) => reasoning.adaptive = true,
        (Some("disabled"), None) => reasoning.effort = Some(Effort::None),
        _ => return false,
    }
    reasoning.summary = match value.at("display").and_then(Node::as_str) {
        Some("summarized") => Some(Summary::Auto),
        Some("omitted") => Some(Summary::Omitted),
        _ => None,
    };
    true
}

fn effort(value: Option<&Node<'_>>, reasoning: &mut Reasoning) -> bool {
    let found = value.and_then(Node::as_str).and_then(Effort::parse);
    reasoning.effort = found.or(reasoning.effort);
    found.is_some()
}

fn nova(value: &Node<'_>, reasoning: &mut Reasoning) -> bool {
    match value.at("type").and_then(Node::as_str) {
        Some("enabled") => effort(value.at("maxReasoningEffort"), reasoning),
        Some("disabled") => {
            reasoning.effort = Some(Effort::None);
            true
        }
        _ => false,
    }
}

fn count(value: &Node<'_>, slot: &mut Option<u64>) -> bool {
    let found = value.as_integer();
    *slot = found.or(*slot);
    found.is_some()
}

/// Claude's own form, which alone can say that no two tools are to be called at once.
fn tool_choice<'a>(value: &Node<'a>, ask: &mut Ask<'a>) -> bool {
    let choice = match (value.at("type").and_then(Node::as_str), value.at("name").and_then(Node::text)) {
        (Some("auto"), None) => ToolChoice::Auto,
        (Some("any"), None) => ToolChoice::Required,
        (Some("none"), None) => ToolChoice::None,
        (Some("tool"), Some(name)) => ToolChoice::Tool(name),
        _ => return false,
    };
    ask.tool_choice = Some(choice);
    let disabled = value.at("disable_parallel_tool_use").and_then(Node::as_bool);
    ask.parallel_tools = disabled.map(|disabled| !disabled);
    true
}
