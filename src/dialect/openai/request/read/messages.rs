//! `messages` -> turns.
//!
//! Neighbouring results of tools are one user's turn, as most dialects have them. What is empty is not
//! there: `"content": ""` beside tool calls is how some SDKs say nothing.

use std::collections::{HashMap, HashSet};

use super::{cache_mark, parts};
use crate::dialect::hub::{Call, CallKind, Content, Extras, Outcome, Part, Role, Text, Turn};
use crate::dialect::openai::{calls, thoughts};
use crate::dialect::tree::{Node, Wrong};

/// The conversation as far as it is read.
#[derive(Debug, Default)]
pub struct Talk<'a> {
    pub turns: Vec<Turn<'a>>,
    /// Every call so far, by its id: results have to answer one. A hostile body has very many.
    calls: HashMap<Text<'a>, (Text<'a>, CallKind)>,
    /// The tools of calls without an id.
    nameless: HashSet<Text<'a>>,
    /// The last turn holds results of tools, and more may follow.
    answering: bool,
}

pub fn read<'a>(messages: &Node<'a>) -> Result<Vec<Turn<'a>>, Wrong> {
    let mut talk = Talk::default();
    for message in messages.items()? {
        talk.message(message)?;
    }
    if talk.turns.is_empty() {
        return Err(messages.wrong("at least one message is needed"));
    }
    Ok(talk.turns)
}

impl<'a> Talk<'a> {
    pub fn message(&mut self, message: &Node<'a>) -> Result<(), Wrong> {
        let role = message.need("role")?;
        match &*role.string()? {
            "system" => self.said(Role::System, message),
            "developer" => self.said(Role::Developer, message),
            "user" => self.said(Role::User, message),
            "assistant" => self.answered(message),
            "tool" => {
                let id = message.need("tool_call_id")?;
                self.outcome(id, message.at("content"), message)
            }
            "function" => self.legacy_outcome(message),
            _ => Err(role.wrong("not a role; the roles are system, developer, user, assistant and tool")),
        }
    }

    fn said(&mut self, role: Role, message: &Node<'a>) -> Result<(), Wrong> {
        let mut parts = parts::read(message.need("content")?)?;
        mark(&mut parts, message);
        let mut turn = Turn::new(role, parts);
        turn.name = message.at("name").map(Node::string).transpose()?;
        turn.extras = Extras::of(message, &["role", "content", "name", "cache_control", "type"]);
        self.push(turn);
        Ok(())
    }

    fn answered(&mut self, message: &Node<'a>) -> Result<(), Wrong> {
        const KNOWN: &[&str] = &[
            "role",
            "content",
            "name",
            "refusal",
            "tool_calls",
            "function_call",
            "reasoning_content",
            "reasoning",
            "reasoning_details",
            "cache_control",
            "type",
            "annotations",
            "executed_tools",
            "reasoning_encrypted",
            "id",
            "status",
        ];
        const ASIDE: &[&str] = &["annotations", "executed_tools", "reasoning_encrypted", "id", "status"];
        let mut thoughts = thoughts::read(message);
        let nodes = message.at("tool_calls").map(Node::items).transpose()?.unwrap_or_default();
        let mut called = nodes.iter().map(calls::read).collect::<Result<Vec<_>, _>>()?;
        called.extend(calls::legacy(message).map(calls::read_legacy).transpose()?);
        thoughts::claim(&mut thoughts, &mut called);

        let mut parts: Vec<_> =
            thoughts.into_iter().map(|thought| Part::new(Content::Thought(thought))).collect();
        parts.extend(message.at("content").map(parts::read).transpose()?.unwrap_or_default());
        mark(&mut parts, message);
        let refusal = message.at("refusal").map(Node::string).transpose()?.filter(|text| !text.is_empty());
        parts.extend(refusal.map(|text| Part::new(Content::Refusal(text))));
        let nodes = nodes.iter().map(Some).chain(std::iter::repeat(None));
        for (call, node) in called.into_iter().zip(nodes) {
            let mut part = self.called(call);
            // Of the stream that it came in; some callers send it back.
            if let Some(index) = node.and_then(|node| node.at("index")) {
                part.extras.keep_aside("index", index.raw());
            }
            parts.push(part);
        }
        let mut turn = Turn::new(Role::Assistant, parts);
        turn.name = message.at("name").map(Node::string).transpose()?;
        turn.extras = Extras::of(message, KNOWN);
        // What an answer told beside what it said; some callers send the whole of it back.
        for key in ASIDE {
            if let Some(node) = message.at(key) {
                turn.extras.keep_aside(*key, node.raw());
            }
        }
        self.push(turn);
        Ok(())
    }

    /// Remembers a call for its result.
    pub fn called(&mut self, call: Call<'a>) -> Part<'a> {
        if call.id.is_empty() {
            self.nameless.insert(call.name.clone());
        }
        // The latest counts: some vendors' ids come again in later turns.
        self.calls.insert(call.id.clone(), (call.name.clone(), call.kind));
        Part::new(Content::Call(call))
    }

    /// The result of a tool; `holder` is what says it.
    pub fn outcome(
        &mut self,
        id: &Node<'a>,
        content: Option<&Node<'a>>,
        holder: &Node<'a>,
    ) -> Result<(), Wrong> {
        const KNOWN: &[&str] = &["role", "content", "tool_call_id", "name", "cache_control"];
        const KNOWN_TO_RESPONSES: &[&str] = &["type", "call_id", "output", "id", "status"];
        let call_id = id.string()?;
        let Some((name, kind)) = self.calls.get(&call_id) else {
            return Err(id.wrong(
                "answers no tool call of this conversation; the assistant's message with the call has to come before",
            ));
        };
        let outcome = Outcome {
            call_id,
            name: Some(name.clone()),
            content: content.map(parts::read).transpose()?.unwrap_or_default(),
            is_error: None,
            kind: *kind,
        };
        let known = if holder.at("role").is_some() { KNOWN } else { KNOWN_TO_RESPONSES };
        self.answer(Part {
            cache: holder.at("cache_control").map(cache_mark),
            extras: Extras::of(holder, known),
            ..Part::new(Content::Outcome(outcome))
        });
        Ok(())
    }

    /// The older role `function`, which has a name and no id.
    fn legacy_outcome(&mut self, message: &Node<'a>) -> Result<(), Wrong> {
        let node = message.need("name")?;
        let name = node.string()?;
        if !self.nameless.contains(&name) {
            return Err(node.wrong("answers no function call of this conversation"));
        }
        let content = message.at("content").map(parts::read).transpose()?.unwrap_or_default();
        let outcome = Outcome {
            call_id: Text::default(),
            name: Some(name),
            content,
            is_error: None,
            kind: CallKind::Function,
        };
        self.answer(Part::new(Content::Outcome(outcome)));
        Ok(())
    }

    fn answer(&mut self, part: Part<'a>) {
        match self.turns.last_mut().filter(|_| self.answering) {
            Some(turn) => turn.parts.push(part),
            None => self.push(Turn::new(Role::User, vec![part])),
        }
        self.answering = true;
    }

    pub fn push(&mut self, turn: Turn<'a>) {
        self.answering = false;
        self.turns.push(turn);
    }
}

/// A cache mark on a message is one on its last part.
fn mark(parts: &mut [Part<'_>], message: &Node<'_>) {
    if let (Some(control), Some(last)) = (message.at("cache_control"), parts.last_mut()) {
        last.cache = last.cache.or(Some(cache_mark(control)));
    }
}
