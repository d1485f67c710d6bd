//! What a request asks for.

mod additional;
mod tools;

use std::collections::HashMap;

use super::{ADDITIONAL, INFERENCE, OUTPUT, TOOLS};
use crate::dialect::Dialect;
use crate::dialect::bedrock::block::{self, Side};
use crate::dialect::hub::{Ask, Content, Effort, Extras, Format, Role, Text, Tier, Turn};
use crate::dialect::tree::{Node, Wrong};

const KNOWN: &[&str] =
    &["messages", "system", INFERENCE, TOOLS, OUTPUT, ADDITIONAL, "serviceTier", "modelId"];

/// What a request asks for.
pub fn read<'a>(body: &Node<'a>) -> Result<Ask<'a>, Wrong> {
    let mut ask = Ask::new(Dialect::Bedrock);
    ask.extras = Extras::of(body.object()?, KNOWN);
    if let Some(system) = body.at("system") {
        let parts = block::parts(system, Role::System, Side::Caller)?;
        if !parts.is_empty() {
            ask.turns.push(Turn::new(Role::System, parts));
        }
    }
    let messages = body.need("messages")?;
    if messages.items()?.is_empty() {
        return Err(messages.wrong("empty; give at least one message"));
    }
    for message in messages.elements() {
        ask.turns.push(turn(message)?);
    }
    name_outcomes(&mut ask.turns, body)?;
    if let Some(config) = body.at(INFERENCE) {
        inference(config, &mut ask)?;
    }
    if let Some(config) = body.at(TOOLS) {
        tools::read(config, &mut ask)?;
    }
    if let Some(config) = body.at(OUTPUT) {
        output(config, &mut ask)?;
    }
    if let Some(tier) = body.at("serviceTier") {
        service_tier(tier, &mut ask);
    }
    if let Some(fields) = body.at(ADDITIONAL) {
        additional::read(fields, &mut ask)?;
    }
    Ok(ask)
}

fn turn<'a>(message: &Node<'a>) -> Result<Turn<'a>, Wrong> {
    let role = message.need("role")?;
    let role = match &*role.string()? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "system" => Role::System,
        _ => return Err(role.wrong("expected user, assistant or system")),
    };
    let parts = block::parts(message.need("content")?, role, Side::Caller)?;
    Ok(Turn { extras: Extras::of(message, &["role", "content"]), ..Turn::new(role, parts) })
}

/// Gives every result the name of the tool that was called.
fn name_outcomes<'a>(turns: &mut [Turn<'a>], body: &Node<'a>) -> Result<(), Wrong> {
    let mut names: HashMap<Text<'a>, Text<'a>> = HashMap::new();
    for part in turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Content::Call(call) = &part.content {
            names.insert(call.id.clone(), call.name.clone());
        }
        let Content::Outcome(outcome) = &mut part.content else { continue };
        outcome.name = names.get(&outcome.call_id).cloned();
        if outcome.name.is_none() {
            let place = result_of(body, &outcome.call_id).unwrap_or(body);
            return Err(place.wrong("no toolUse before it has this toolUseId"));
        }
    }
    Ok(())
}

/// Where the first result of this call names it.
fn result_of<'n, 'a>(body: &'n Node<'a>, id: &str) -> Option<&'n Node<'a>> {
    let blocks = body.at("messages")?.elements().iter().filter_map(|message| message.at("content"));
    let mut ids = blocks.flat_map(Node::elements).filter_map(|block| block.at("toolResult")?.at("toolUseId"));
    ids.find(|node| node.as_str() == Some(id))
}

fn inference<'a>(config: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    ask.max_tokens = config.object()?.at("maxTokens").map(Node::integer).transpose()?;
    ask.temperature = config.at("temperature").map(Node::number).transpose()?;
    ask.top_p = config.at("topP").map(Node::number).transpose()?;
    if let Some(stop) = config.at("stopSequences") {
        ask.stop = stop.items()?.iter().map(Node::string).collect::<Result<_, _>>()?;
    }
    keep(INFERENCE, config, &["maxTokens", "temperature", "topP", "stopSequences"], ask);
    Ok(())
}

fn output<'a>(config: &Node<'a>, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let mut known = vec!["textFormat"];
    if let Some(effort) = config.object()?.at("effort").and_then(Node::as_str).and_then(Effort::parse) {
        ask.reasoning.effort = Some(effort);
        known.push("effort");
    }
    if let Some(format) = config.at("textFormat") {
        let form = format.need("structure")?.need("jsonSchema")?;
        let schema = form.need("schema")?;
        let text = schema.string()?;
        if !crate::dialect::json::is_whole(text.as_bytes()) {
            return Err(schema.wrong("not JSON; a JSON Schema is written here as a string"));
        }
        ask.format = Some(Format::Schema {
            name: form.at("name").map(Node::string).transpose()?,
            description: form.at("description").map(Node::string).transpose()?,
            schema: text,
            strict: None,
        });
    }
    keep(OUTPUT, config, &known, ask);
    Ok(())
}

fn service_tier<'a>(tier: &Node<'a>, ask: &mut Ask<'a>) {
    ask.tier = match tier.at("type").and_then(Node::as_str) {
        Some("default") => Some(Tier::Standard),
        Some("flex") => Some(Tier::Flex),
        Some("priority") => Some(Tier::Priority),
        // Capacity that was bought before; nobody else has the like.
        _ => {
            ask.extras.keep("serviceTier", tier.raw());
            None
        }
    };
}

/// Keeps what is not known of an object, under its path.
fn keep<'a>(path: &str, object: &Node<'a>, known: &[&str], ask: &mut Ask<'a>) {
    for (key, raw) in Extras::of(object, known).iter() {
        ask.extras.keep([path, ".", key].concat(), raw);
    }
}
