//! Turns -> the items of a request's input.
//!
//! The counterpart of `items`: reasoning, messages, calls and results leave one by one, in their order.
//! Reasoning of another vendor's model is left out; it was never the new model's. Reasoning that nothing
//! of the same turn follows is left out, too: the wire refuses it (recorded).

use super::ids::Ids;
use super::parts::Parts;
use super::write::Origin;
use super::{ITEM, MADE_UP, deferred};
use crate::dialect::hub::{
    Call, CallKind, Content, Extras, Family, Losses, Media, Outcome, Part, Role, Source, Terms, Text,
    Thought, Turn,
};
use crate::dialect::quirks::{ReasoningBack, SystemRole};
use crate::dialect::write::{self, Array};

pub fn write(
    turns: &[Turn<'_>],
    origin: Origin,
    terms: &Terms<'_>,
    losses: &mut Losses,
    array: &mut Array<'_>,
) {
    let ids = Ids::new(terms.nonce);
    let mut speaker = Speaker { origin, terms, losses, ids, thoughts: Vec::new() };
    for turn in turns {
        speaker.turn(turn, array);
    }
    speaker.hush(array);
}

struct Speaker<'w, 'a> {
    origin: Origin,
    terms: &'w Terms<'w>,
    losses: &'w mut Losses,
    ids: Ids<'w>,
    /// Reasoning that waits for what it led to.
    thoughts: Vec<(&'w Part<'a>, &'w Thought<'a>)>,
}

impl<'w, 'a> Speaker<'w, 'a> {
    fn turn(&mut self, turn: &'w Turn<'a>, array: &mut Array<'_>) {
        self.losses.drop_if(turn.name.as_ref(), "name");
        if turn.role != Role::Assistant {
            self.hush(array);
        }
        let mut message = Vec::new();
        let mut extras = Some(&turn.extras);
        for part in &turn.parts {
            if self.is_of_message(turn.role, part) {
                message.push(part);
                continue;
            }
            if !message.is_empty() {
                self.message(turn.role, &std::mem::take(&mut message), extras.take(), array);
            }
            self.item(part, array);
        }
        let empty = turn.parts.is_empty() && self.origin == Origin::Here;
        if !message.is_empty() || empty {
            self.message(turn.role, &message, extras.take(), array);
        }
    }

    fn is_of_message(&self, role: Role, part: &Part<'_>) -> bool {
        match &part.content {
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::File(_) => true,
            Content::Image(_) => role != Role::Assistant || self.origin != Origin::Here,
            Content::Vendor { .. } => part.extras.find(ITEM).is_none(),
            Content::Thought(_) | Content::Call(_) | Content::Outcome(_) => false,
        }
    }

    fn item(&mut self, part: &'w Part<'a>, array: &mut Array<'_>) {
        // A search for tools, and what it found.
        if let Some(raw) = part.extras.find(deferred::SEARCH).filter(|_| self.origin == Origin::Here) {
            self.reason(array);
            array.raw(raw);
            return;
        }
        match &part.content {
            Content::Thought(thought) => self.thoughts.push((part, thought)),
            Content::Call(call) => {
                self.reason(array);
                self.call(call, &part.extras, array);
            }
            Content::Outcome(outcome) => self.outcome(outcome, &part.extras, array),
            Content::Image(media) => {
                self.reason(array);
                image(media, &part.extras, array);
            }
            Content::Vendor { kind, raw } => {
                self.reason(array);
                if self.origin == Origin::Here {
                    array.raw(raw);
                } else {
                    self.losses.drop(kind.clone().into_owned());
                }
            }
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::File(_) => {}
        }
    }

    fn message(
        &mut self,
        role: Role,
        parts: &[&Part<'_>],
        extras: Option<&Extras<'_>>,
        array: &mut Array<'_>,
    ) {
        let writer = Parts { role, origin: self.origin, terms: self.terms };
        let text = writer.as_text(parts, self.losses);
        let mut content = Vec::new();
        if text.is_none() {
            write::array(&mut content, |array| {
                for part in parts {
                    writer.write(part, array, self.losses);
                }
            });
        }
        // Nothing of it could be said.
        if self.origin != Origin::Here && (content == b"[]" || text == Some("")) {
            return;
        }
        self.reason(array);
        array.object(|o| {
            o.str("type", "message").str("role", self.role_name(role));
            match text {
                Some(text) => o.str("content", text),
                // The writers write UTF-8 only.
                None => o.raw("content", std::str::from_utf8(&content).unwrap_or("[]")),
            };
            if let Some(extras) = extras.filter(|_| self.origin == Origin::Here) {
                extras.write(o);
            }
        });
    }

    fn role_name(&self, role: Role) -> &'static str {
        match role {
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Developer if self.origin == Origin::Here => "developer",
            Role::Developer if self.terms.quirks.system == SystemRole::Developer => "developer",
            Role::System | Role::Developer => "system",
        }
    }

    fn call(&mut self, call: &Call<'_>, extras: &Extras<'_>, array: &mut Array<'_>) {
        let here = self.origin == Origin::Here;
        let id = if here { Text::Borrowed(&*call.id) } else { self.ids.of_call(&call.id) };
        array.object(|o| {
            match call.kind {
                CallKind::Function => {
                    o.str("type", "function_call").str("call_id", &id).str("name", &call.name);
                    let sound = call.object().unwrap_or(&call.arguments);
                    o.str("arguments", if here { &call.arguments } else { sound });
                }
                CallKind::Custom => {
                    o.str("type", "custom_tool_call").str("call_id", &id).str("name", &call.name);
                    o.str("input", &call.arguments);
                }
            }
            if here {
                extras.write(o);
            }
        });
    }

    fn outcome(&mut self, outcome: &Outcome<'_>, extras: &Extras<'_>, array: &mut Array<'_>) {
        let here = self.origin == Origin::Here;
        let id = if here { Text::Borrowed(&*outcome.call_id) } else { self.ids.of_outcome(&outcome.call_id) };
        let writer = Parts { role: Role::User, origin: self.origin, terms: self.terms };
        let parts: Vec<&Part<'_>> = outcome.content.iter().collect();
        let kind = match outcome.kind {
            CallKind::Function => "function_call_output",
            CallKind::Custom => "custom_tool_call_output",
        };
        array.object(|o| {
            o.str("type", kind);
            if !id.is_empty() {
                o.str("call_id", &id);
            }
            match writer.as_text(&parts, self.losses) {
                Some(text) => {
                    o.str("output", text);
                }
                None if parts.is_empty() && !here => {
                    o.str("output", "");
                }
                None => {
                    o.array("output", |array| {
                        for part in parts {
                            writer.write(part, array, self.losses);
                        }
                    });
                }
            }
            if here {
                extras.write(o);
            }
        });
    }

    /// The assistant's turn is over: what waits led to nothing.
    fn hush(&mut self, array: &mut Array<'_>) {
        if self.origin == Origin::Here {
            self.reason(array);
        }
        self.thoughts.clear();
    }

    /// Says the reasoning that led to what comes next.
    fn reason(&mut self, array: &mut Array<'_>) {
        let mut rest = &std::mem::take(&mut self.thoughts)[..];
        while !rest.is_empty() {
            let joined = |pair: &[(&Part<'_>, &Thought<'_>)]| {
                let [(_, one), (_, next)] = pair else { return false };
                one.signature.is_none() && one.id == next.id
            };
            let length = 1 + rest.windows(2).take_while(|pair| joined(pair)).count();
            let (item, others) = rest.split_at(length);
            self.thought(item, array);
            rest = others;
        }
    }

    /// One item of reasoning: its texts, and what its vendor wants back.
    fn thought(&self, item: &[(&Part<'_>, &Thought<'_>)], array: &mut Array<'_>) {
        let (Some((first, _)), Some((_, last))) = (item.first(), item.last()) else { return };
        let here = self.origin == Origin::Here;
        let id = last.id.as_deref();
        let encrypted = last.signature.as_ref().and_then(|signature| {
            let ours = here && signature.family == Family::OpenAi;
            if ours { Some(&*signature.value) } else { signature.for_family(self.terms.family) }
        });
        let known_there = here && last.signature.is_none() && !id.is_some_and(|id| id.starts_with(MADE_UP));
        let plain = !here && self.terms.quirks.reasoning_back != ReasoningBack::Omitted;
        if encrypted.is_none() && !known_there && !plain {
            return;
        }
        let texts = || item.iter().map(|(_, thought)| thought).filter(|thought| !thought.text.is_empty());
        // OpenAI's own models take nothing but summaries.
        let is_summary = |thought: &Thought<'_>| thought.is_summary || (!here && encrypted.is_some());
        if encrypted.is_none() && !here && texts().next().is_none() {
            return;
        }
        array.object(|o| {
            o.str("type", "reasoning").str_if("id", id.filter(|_| here || encrypted.is_some()));
            o.array("summary", |array| {
                for thought in texts().filter(|thought| is_summary(thought)) {
                    array.object(|o| {
                        o.str("type", "summary_text").str("text", &thought.text);
                    });
                }
            });
            if texts().any(|thought| !is_summary(thought)) {
                o.array("content", |array| {
                    for thought in texts().filter(|thought| !is_summary(thought)) {
                        array.object(|o| {
                            o.str("type", "reasoning_text").str("text", &thought.text);
                        });
                    }
                });
            }
            o.str_if("encrypted_content", encrypted);
            if here {
                first.extras.write(o);
            }
        });
    }
}

/// A picture of the model's own, in this dialect only: the vendor knows it by its id.
fn image(media: &Media<'_>, extras: &Extras<'_>, array: &mut Array<'_>) {
    let Source::Base64(data) = &media.source else { return };
    array.object(|o| {
        o.str("type", "image_generation_call").str("result", data);
        extras.write(o);
    });
}
