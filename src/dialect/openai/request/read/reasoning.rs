//! How much to think, in every vendor's words (WIRE §3.1 and §3.8).

use super::drop_key;
use crate::dialect::hub::{Effort, Extras, Reasoning, Summary};
use crate::dialect::openai::nested;
use crate::dialect::tree::{Node, Wrong};

pub fn read<'a>(body: &Node<'a>, extras: &mut Extras<'a>) -> Result<Reasoning, Wrong> {
    let mut reasoning = Reasoning::default();
    if let Some(effort) = body.at("reasoning_effort").and_then(Node::as_str).and_then(Effort::parse) {
        reasoning.effort = Some(effort);
        drop_key(extras, "reasoning_effort");
    }
    if let Some(said) = body.at("reasoning") {
        drop_key(extras, "reasoning");
        object(said.object()?, &mut reasoning, extras)?;
    }
    if let Some(said) = body.at("thinking").filter(|said| said.is_object()) {
        toggle(said, &mut reasoning, extras)?;
    }
    if let Some(enabled) = body.at("enable_thinking") {
        switch(enabled.boolean()?, &mut reasoning);
        drop_key(extras, "enable_thinking");
    }
    if let Some(budget) = body.at("thinking_budget") {
        reasoning.budget = Some(budget.integer()?);
        drop_key(extras, "thinking_budget");
    }
    Ok(reasoning)
}

/// OpenRouter's `reasoning`, and that of responses.
fn object<'a>(said: &Node<'a>, reasoning: &mut Reasoning, extras: &mut Extras<'a>) -> Result<(), Wrong> {
    nested::keep(extras, "reasoning", said, &["effort", "max_tokens", "exclude", "enabled", "summary"]);
    if let Some(effort) = said.at("effort") {
        let known = Effort::parse(&effort.string()?);
        reasoning.effort = known.or(reasoning.effort);
        if known.is_none() {
            extras.keep("reasoning.effort", effort.raw());
        }
    }
    reasoning.budget = said.at("max_tokens").map(Node::integer).transpose()?.or(reasoning.budget);
    if let Some(enabled) = said.at("enabled") {
        if enabled.boolean()? && (reasoning.effort.is_some() || reasoning.budget.is_some()) {
            nested::keep_aside(extras, "reasoning", "enabled", enabled);
        } else {
            switch(enabled.boolean()?, reasoning);
        }
    }
    reasoning.summary = match said.at("summary").and_then(Node::as_str) {
        Some("auto") => Some(Summary::Auto),
        Some("concise") => Some(Summary::Concise),
        Some("detailed") => Some(Summary::Detailed),
        Some(_) | None => {
            let exclude = said.at("exclude").map(Node::boolean).transpose()?;
            (exclude == Some(true)).then_some(Summary::Omitted)
        }
    };
    Ok(())
}

/// `thinking: {type: enabled | disabled}` of DeepSeek, Moonshot and Z.ai; some take Anthropic's budget.
fn toggle<'a>(said: &Node<'a>, reasoning: &mut Reasoning, extras: &mut Extras<'a>) -> Result<(), Wrong> {
    match said.at("type").and_then(Node::as_str) {
        Some("enabled" | "adaptive" | "auto") => switch(true, reasoning),
        Some("disabled") => switch(false, reasoning),
        Some(_) | None => return Ok(()),
    }
    drop_key(extras, "thinking");
    nested::keep(extras, "thinking", said, &["type", "budget_tokens"]);
    reasoning.budget = said.at("budget_tokens").map(Node::integer).transpose()?.or(reasoning.budget);
    Ok(())
}

fn switch(enabled: bool, reasoning: &mut Reasoning) {
    if enabled {
        reasoning.adaptive = true;
    } else {
        *reasoning = Reasoning { effort: Some(Effort::None), ..Reasoning::default() };
    }
}
