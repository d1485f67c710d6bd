//! `messages`, as turns: content, plans, tool calls and their results.

use std::collections::HashMap;

use super::extras_of;
use crate::dialect::cohere::{document, tools};
use crate::dialect::hub::{Call, CallKind, Content, Media, Outcome, Part, Role, Source, Text, Thought, Turn};
use crate::dialect::tree::{Node, Wrong};

/// The names of the calls so far, by id: results have to answer one of them. A hostile body has very many.
type Calls<'a> = HashMap<Text<'a>, Text<'a>>;

/// Reads the conversation.
pub fn read<'a>(messages: &Node<'a>) -> Result<Vec<Turn<'a>>, Wrong> {
    let mut calls = Calls::new();
    let mut turns = Vec::with_capacity(messages.items()?.len());
    if messages.elements().is_empty() {
        return Err(messages.wrong("empty; give at least one message"));
    }
    for message in messages.elements() {
        let role = message.need("role")?;
        turns.push(match role.as_str() {
            Some("system") => said(Role::System, message)?,
            Some("user") => said(Role::User, message)?,
            Some("assistant") => assistant(message, &mut calls)?,
            Some("tool") => tool(message, &calls)?,
            _ => return Err(role.wrong("expected system, user, assistant or tool")),
        });
    }
    Ok(turns)
}

fn said<'a>(role: Role, message: &Node<'a>) -> Result<Turn<'a>, Wrong> {
    let mut turn = Turn::new(role, parts(message.need("content")?)?);
    turn.extras = extras_of(message, &["role", "content"]);
    Ok(turn)
}

fn assistant<'a>(message: &Node<'a>, calls: &mut Calls<'a>) -> Result<Turn<'a>, Wrong> {
    let mut turn = Turn::new(Role::Assistant, Vec::new());
    turn.extras = extras_of(message, &["role", "content", "tool_plan", "tool_calls"]);
    if let Some(content) = message.at("content") {
        turn.parts = parts(content)?;
    }
    let new = message.at("tool_calls").map_or(Ok(&[][..]), Node::items)?;
    if let Some(plan) = message.at("tool_plan") {
        match plan.string()? {
            text if text.is_empty() => {}
            text if !new.is_empty() => turn.parts.push(Part::text(text)),
            // It is a plan of nothing.
            _ => turn.extras.keep("tool_plan", plan.raw()),
        }
    }
    for node in new {
        let ((id, name), part) = call(node)?;
        calls.insert(id, name);
        turn.parts.push(part);
    }
    Ok(turn)
}

/// One of `tool_calls`, with its id and its tool's name.
pub fn call<'a>(node: &Node<'a>) -> Result<((Text<'a>, Text<'a>), Part<'a>), Wrong> {
    let id = node.need("id")?.string()?;
    let function = node.need("function")?.object()?;
    let name = function.need("name")?.string()?;
    let call = Call {
        id: id.clone(),
        name: name.clone(),
        arguments: arguments(function)?,
        kind: CallKind::Function,
        signature: None,
    };
    let mut part = Part::new(Content::Call(call));
    part.extras = extras_of(node, &["id", "type", "function"]);
    tools::keep_inner(function, &["name", "arguments"], &mut part.extras);
    Ok(((id, name), part))
}

/// JSON as text; some clients send the object itself. Cohere says `null` for none (vercel/ai).
pub fn arguments<'a>(function: &Node<'a>) -> Result<Text<'a>, Wrong> {
    match function.at("arguments") {
        None => Ok(Text::Borrowed("{}")),
        Some(object) if object.is_object() => Ok(Text::Borrowed(object.raw())),
        Some(text) => Ok(match text.string()? {
            text if matches!(text.trim(), "" | "null") => Text::Borrowed("{}"),
            text => text,
        }),
    }
}

fn tool<'a>(message: &Node<'a>, calls: &Calls<'a>) -> Result<Turn<'a>, Wrong> {
    let id = message.need("tool_call_id")?;
    let call_id = id.string()?;
    let Some(name) = calls.get(&call_id) else {
        return Err(
            id.wrong("answers no tool call; the assistant message that made the call has to come before it")
        );
    };
    let outcome = Outcome {
        call_id,
        name: Some(name.clone()),
        content: parts(message.need("content")?)?,
        is_error: None,
        kind: CallKind::Function,
    };
    let mut turn = Turn::new(Role::User, vec![Part::new(Content::Outcome(outcome))]);
    turn.extras = extras_of(message, &["role", "content", "tool_call_id"]);
    Ok(turn)
}

/// A string, or a list of parts.
fn parts<'a>(content: &Node<'a>) -> Result<Vec<Part<'a>>, Wrong> {
    if let Some(text) = content.text() {
        return Ok(vec![Part::text(text)]);
    }
    let items = content.items().map_err(|_| content.expected("a string or an array"))?;
    items.iter().map(part).collect()
}

fn part<'a>(node: &Node<'a>) -> Result<Part<'a>, Wrong> {
    if let Some(text) = node.text() {
        return Ok(Part::text(text));
    }
    let kind = node.need("type")?.string()?;
    let content = match &*kind {
        "text" => Content::Text(node.need("text")?.string()?),
        "thinking" => thought(node.need("thinking")?.string()?),
        "image_url" => Content::Image(image(node.need("image_url")?)?),
        "document" => return document::read(node.need("document")?),
        _ => return Ok(Part::new(Content::Vendor { kind, raw: node.raw() })),
    };
    let mut part = Part::new(content);
    part.extras = extras_of(node, &["type", &kind]);
    Ok(part)
}

/// Cohere signs nothing.
pub fn thought(text: Text<'_>) -> Content<'_> {
    Content::Thought(Thought { text, ..Thought::default() })
}

fn image<'a>(node: &Node<'a>) -> Result<Media<'a>, Wrong> {
    let url = if node.is_string() { node } else { node.need("url")? };
    let mut media = Media::of_url(url.string()?);
    if let Source::Base64(data) = &media.source
        && !is_base64(data)
    {
        return Err(url.wrong("not base64; use the standard alphabet behind `;base64,`, without line breaks"));
    }
    media.detail = node.at("detail").map(Node::string).transpose()?;
    Ok(media)
}

/// By its looks: megabytes are not decoded for it.
fn is_base64(data: &str) -> bool {
    let digits = data.trim_end_matches('=');
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !digits.is_empty()
        && data.len().is_multiple_of(4)
        && data.len() - digits.len() <= 2
        && digits.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::tree;

    fn check(messages: &str) -> Result<usize, String> {
        let root = tree::parse(messages.as_bytes()).expect("JSON");
        read(&root).map(|turns| turns.len()).map_err(|wrong| wrong.place(&root).to_string())
    }

    #[test]
    fn what_is_wrong_is_refused_with_its_place() {
        let refused = |messages: &str| check(messages).expect_err(messages);
        assert_eq!(refused(r#"[{"role":"robot"}]"#), "[0].role: expected system, user, assistant or tool");
        assert_eq!(refused(r#"[{"role":"user"}]"#), "[0].content: required, and missing");
        assert_eq!(
            refused(r#"[{"role":"user","content":7}]"#),
            "[0].content: expected a string or an array, found a number"
        );
        assert_eq!(
            refused(r#"[{"role":"user","content":[{"type":"text"}]}]"#),
            "[0].content[0].text: required, and missing"
        );
        assert_eq!(
            refused(r#"[{"role":"tool","tool_call_id":"x","content":""}]"#),
            "[0].tool_call_id: answers no tool call; the assistant message that made the call has to come before it"
        );
        assert_eq!(
            refused(r#"[{"role":"assistant","tool_calls":[{"id":"x","function":{}}]}]"#),
            "[0].tool_calls[0].function.name: required, and missing"
        );
        assert_eq!(
            refused(
                r#"[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,?"}}]}]"#
            ),
            "[0].content[0].image_url.url: not base64; use the standard alphabet behind `;base64,`, without line breaks"
        );
    }

    #[test]
    fn a_result_knows_its_tools_name() {
        let messages = r#"[{"role":"assistant","tool_plan":"I will.","tool_calls":[{"id":"x","type":"function","function":{"name":"f","arguments":null}}]},
            {"role":"tool","tool_call_id":"x","content":[{"type":"document","document":{"data":{"a":1}}}]}]"#;
        let root = tree::parse(messages.as_bytes()).expect("JSON");
        let turns = read(&root).expect("messages");
        assert_eq!(turns[0].parts[0], Part::text("I will."));
        let Content::Call(call) = &turns[0].parts[1].content else { panic!("{turns:?}") };
        assert_eq!((&*call.name, &*call.arguments), ("f", "{}"));
        let Content::Outcome(outcome) = &turns[1].parts[0].content else { panic!("{turns:?}") };
        assert_eq!((turns[1].role, outcome.name.as_deref()), (Role::User, Some("f")));
        assert!(matches!(outcome.content[0].content, Content::File(_)));
    }
}
