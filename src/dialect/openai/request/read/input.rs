//! `input`: a text, or items as responses have them.

use super::messages::Talk;
use crate::dialect::hub::{Call, CallKind, Content, Family, Part, Role, Signature, Thought, Turn};
use crate::dialect::openai::calls;
use crate::dialect::tree::{Node, Wrong};

pub fn read<'a>(body: &Node<'a>, input: &Node<'a>) -> Result<Vec<Turn<'a>>, Wrong> {
    let mut talk = Talk::default();
    if let Some(instructions) = body.at("instructions") {
        talk.push(Turn::new(Role::System, vec![Part::text(instructions.string()?)]));
    }
    if let Some(text) = input.text() {
        talk.push(Turn::new(Role::User, vec![Part::text(text)]));
        return Ok(talk.turns);
    }
    let items = input.is_array().then(|| input.elements());
    for item in items.ok_or_else(|| input.expected("a string or an array of items"))? {
        read_item(item, &mut talk)?;
    }
    Ok(talk.turns)
}

fn read_item<'a>(item: &Node<'a>, talk: &mut Talk<'a>) -> Result<(), Wrong> {
    let kind = item.object()?.at("type").map(Node::string).transpose()?;
    match kind.as_deref() {
        None | Some("message") => talk.message(item)?,
        Some("function_call") => call(item, "arguments", CallKind::Function, talk)?,
        Some("custom_tool_call") => call(item, "input", CallKind::Custom, talk)?,
        Some("function_call_output" | "custom_tool_call_output") => {
            talk.outcome(item.need("call_id")?, item.at("output"), item)?;
        }
        Some("reasoning") => add(Part::new(Content::Thought(thought(item))), talk),
        Some(_) => {
            let kind = kind.unwrap_or_default();
            add(Part::new(Content::Vendor { kind, raw: item.raw() }), talk);
        }
    }
    Ok(())
}

fn call<'a>(item: &Node<'a>, input: &str, kind: CallKind, talk: &mut Talk<'a>) -> Result<(), Wrong> {
    let part = talk.called(Call {
        id: item.need("call_id")?.string()?,
        name: item.need("name")?.string()?,
        arguments: calls::arguments(item.at(input)),
        kind,
        signature: None,
    });
    add(part, talk);
    Ok(())
}

fn thought<'a>(item: &Node<'a>) -> Thought<'a> {
    let summary = item.at("summary").map(Node::elements).unwrap_or_default();
    let texts: Vec<_> = summary.iter().filter_map(|part| part.at("text")?.text()).collect();
    let value = item.at("encrypted_content").and_then(Node::text);
    Thought {
        is_summary: !texts.is_empty(),
        text: texts.join("\n\n").into(),
        signature: value.map(|value| Signature { family: Family::OpenAi, value }),
        is_redacted: false,
        id: item.at("id").and_then(Node::text),
    }
}

/// The model's items are parts of one turn.
fn add<'a>(part: Part<'a>, talk: &mut Talk<'a>) {
    match talk.turns.last_mut().filter(|turn| turn.role == Role::Assistant) {
        Some(turn) => turn.parts.push(part),
        None => talk.push(Turn::new(Role::Assistant, vec![part])),
    }
}
