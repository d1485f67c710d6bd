//! Turns, as `messages`.
//!
//! Each tool result is a message of its own and comes first in its turn, as it has to follow the calls.
//! A message without content is refused by Cohere, so a turn of which nothing is left is left out.

use super::Origin;
use super::ids::Ids;
use crate::dialect::cohere::{document, tools};
use crate::dialect::hub::{
    Ask, Call, CallKind, Content, Extras, Losses, Media, Outcome, Part, Role, Terms, Text, Turn,
};
use crate::dialect::write::{Array, Object};
use crate::vocab::facts::Ability;

/// Writes the conversation.
pub fn write(
    ask: &Ask<'_>,
    origin: Origin,
    terms: &Terms<'_>,
    losses: &mut Losses,
    messages: &mut Array<'_>,
) {
    let thoughts = match origin {
        Origin::Own => Thoughts::Kept,
        // Cohere takes them "with thinking enabled" only.
        Origin::Foreign if terms.facts.has(Ability::Reasoning) && !ask.reasoning.is_off() => Thoughts::Kept,
        Origin::Foreign => Thoughts::LeftOut,
    };
    let mut writer = Writer { origin, thoughts, losses, ids: Ids::new(terms.nonce) };
    let mut turns = &ask.turns[..];
    while let Some((turn, rest)) = turns.split_first() {
        turns = rest;
        match turn.role {
            Role::System | Role::Developer => writer.said("system", &turn.parts, &turn.extras, messages),
            Role::User => writer.user(turn, messages),
            Role::Assistant => {
                let mut parts: Vec<&Part<'_>> = turn.parts.iter().collect();
                // Some dialects have each call in a turn of its own; here results answer one message.
                while let Some((next, rest)) = turns.split_first()
                    && origin == Origin::Foreign
                    && next.role == Role::Assistant
                {
                    parts.extend(&next.parts);
                    turns = rest;
                }
                writer.assistant(&parts, &turn.extras, messages);
            }
        }
    }
}

/// What becomes of past reasoning. Cohere signs none, so what can be read of it is all there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Thoughts {
    Kept,
    LeftOut,
}

struct Writer<'w> {
    origin: Origin,
    thoughts: Thoughts,
    losses: &'w mut Losses,
    ids: Ids<'w>,
}

impl Writer<'_> {
    fn user(&mut self, turn: &Turn<'_>, messages: &mut Array<'_>) {
        for part in &turn.parts {
            if let Content::Outcome(outcome) = &part.content {
                let id = self.ids.of_outcome(outcome);
                messages.object(|o| {
                    o.str("role", "tool").str("tool_call_id", &id);
                    self.outcome(outcome, o);
                    self.extras(&turn.extras, o);
                });
            }
        }
        if !document::has_company(turn) {
            return files(turn, messages);
        }
        let results_only = turn.parts.iter().any(|part| matches!(part.content, Content::Outcome(_)));
        let none = Extras::default();
        self.said("user", &turn.parts, if results_only { &none } else { &turn.extras }, messages);
    }

    /// What a system or a user said, tool results apart.
    fn said(&mut self, role: &str, parts: &[Part<'_>], extras: &Extras<'_>, messages: &mut Array<'_>) {
        let parts: Vec<_> = parts.iter().filter(|part| self.is_said(part)).collect();
        if parts.is_empty() {
            return;
        }
        if role == "system" && parts.iter().any(|part| matches!(part.content, Content::Image(_))) {
            self.refuse("cohere takes no images from the system; send them as the user's");
        }
        messages.object(|o| {
            o.str("role", role);
            self.content(&parts, o);
            self.extras(extras, o);
        });
    }

    /// Has it a place in a message? What changes the meaning by its absence is refused.
    fn is_said(&mut self, part: &Part<'_>) -> bool {
        match &part.content {
            Content::Text(_) | Content::Refusal(_) | Content::Image(_) => true,
            Content::Thought(_) => self.thoughts == Thoughts::Kept,
            Content::Vendor { kind, .. } => {
                if self.origin == Origin::Foreign {
                    self.losses.drop(kind.clone().into_owned());
                }
                self.origin == Origin::Own
            }
            Content::File(media) => {
                // Texts are in `documents`.
                if document::text_of(media).is_none() {
                    self.refuse("cohere takes no files but plain text; send the file's text instead");
                }
                false
            }
            Content::Audio(_) => {
                self.refuse("cohere takes no audio; send a transcript instead");
                false
            }
            Content::Video(_) => {
                self.refuse("cohere takes no videos; send images of it instead");
                false
            }
            Content::Call(_) | Content::Outcome(_) => false,
        }
    }

    /// A string where one text is all, else a list.
    fn content(&mut self, parts: &[&Part<'_>], object: &mut Object<'_>) {
        if let [part] = parts
            && let Content::Text(text) | Content::Refusal(text) = &part.content
            && (part.extras.is_empty() || self.origin == Origin::Foreign)
        {
            object.str("content", text);
            return;
        }
        object.array("content", |a| {
            for part in parts {
                self.part(part, a);
            }
        });
    }

    fn part(&mut self, part: &Part<'_>, list: &mut Array<'_>) {
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => self.typed("text", part, list, |o| {
                o.str("text", text);
            }),
            Content::Thought(thought) => self.typed("thinking", part, list, |o| {
                o.str("thinking", &thought.text);
            }),
            Content::Image(media) => self.image(media, part, list),
            Content::File(media) => {
                if let Some(text) = document::text_of(media) {
                    list.object(|o| {
                        o.str("type", "document");
                        let own = (self.origin == Origin::Own).then_some(&part.extras);
                        o.object("document", |o| document::members(media, &text, own, o));
                    });
                }
            }
            Content::Vendor { raw, .. } => {
                list.raw(raw);
            }
            Content::Audio(_) | Content::Video(_) | Content::Call(_) | Content::Outcome(_) => {}
        }
    }

    fn typed(&self, kind: &str, part: &Part<'_>, list: &mut Array<'_>, member: impl FnOnce(&mut Object<'_>)) {
        list.object(|o| {
            o.str("type", kind);
            member(o);
            self.extras(&part.extras, o);
        });
    }

    fn image(&mut self, media: &Media<'_>, part: &Part<'_>, list: &mut Array<'_>) {
        let Some(url) = media.as_url() else {
            return self.refuse("cohere cannot read another vendor's files; send the image itself");
        };
        self.typed("image_url", part, list, |o| {
            o.object("image_url", |o| {
                o.str("url", &url).str_if("detail", media.detail.as_deref());
            });
        });
    }

    /// A tool's result: a string, or texts and documents.
    fn outcome(&mut self, outcome: &Outcome<'_>, object: &mut Object<'_>) {
        for part in &outcome.content {
            match &part.content {
                Content::Text(_) | Content::Refusal(_) => {}
                Content::File(media) if document::text_of(media).is_some() => {}
                Content::Vendor { .. } if self.origin == Origin::Own => {}
                Content::Vendor { kind, .. } => self.losses.drop(kind.clone().into_owned()),
                Content::Image(_)
                | Content::Audio(_)
                | Content::Video(_)
                | Content::File(_)
                | Content::Thought(_)
                | Content::Call(_)
                | Content::Outcome(_) => {
                    self.refuse("cohere takes nothing but text in a tool's result; send text instead");
                }
            }
        }
        let parts: Vec<_> = outcome.content.iter().filter(|part| self.is_result(part)).collect();
        if parts.is_empty() {
            object.str("content", "");
        } else {
            self.content(&parts, object);
        }
    }

    fn is_result(&self, part: &Part<'_>) -> bool {
        match &part.content {
            Content::Text(_) | Content::Refusal(_) | Content::File(_) => true,
            Content::Vendor { .. } => self.origin == Origin::Own,
            Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::Thought(_)
            | Content::Call(_)
            | Content::Outcome(_) => false,
        }
    }

    /// Text beside calls is their plan.
    fn assistant(&mut self, parts: &[&Part<'_>], extras: &Extras<'_>, messages: &mut Array<'_>) {
        let calls: Vec<_> = parts.iter().filter_map(|part| call_of(part)).collect();
        let said: Vec<_> = parts.iter().copied().filter(|part| self.is_said(part)).collect();
        let (plan, mut content): (Vec<_>, Vec<_>) =
            said.into_iter().partition(|part| !calls.is_empty() && text_of(part).is_some());
        if self.origin == Origin::Foreign && !plan.is_empty() {
            // "Either pass thinking content or use tool_plan", says Cohere's API.
            content.retain(|part| !matches!(part.content, Content::Thought(_)));
        }
        if content.iter().any(|part| matches!(part.content, Content::Image(_))) {
            self.refuse("cohere takes no images from the assistant; send them as the user's");
        }
        if calls.is_empty() && content.is_empty() {
            return;
        }
        messages.object(|o| {
            o.str("role", "assistant");
            if !content.is_empty() {
                self.content(&content, o);
            }
            if !plan.is_empty() {
                o.str("tool_plan", &joined(&plan));
            }
            if !calls.is_empty() {
                o.array("tool_calls", |a| {
                    for (call, extras) in &calls {
                        self.call(call, extras, a);
                    }
                });
            }
            self.extras(extras, o);
        });
    }

    fn call(&mut self, call: &Call<'_>, extras: &Extras<'_>, list: &mut Array<'_>) {
        let id = self.ids.of_call(call);
        let own = self.origin == Origin::Own;
        let arguments = match call.kind {
            CallKind::Custom => Text::Owned(tools::free_text(&call.arguments)),
            CallKind::Function if own => Text::Borrowed(&*call.arguments),
            CallKind::Function => Text::Borrowed(call.object().unwrap_or(&call.arguments)),
        };
        list.object(|o| {
            o.str("id", &id).str("type", "function");
            o.object("function", |o| {
                o.str("name", &call.name).str("arguments", &arguments);
                if own {
                    tools::write_extras(extras, tools::Inner::Function, o);
                }
            });
            if own {
                tools::write_extras(extras, tools::Inner::Itself, o);
            }
        });
    }

    fn extras(&self, extras: &Extras<'_>, object: &mut Object<'_>) {
        if self.origin == Origin::Own {
            extras.write(object);
        }
    }

    fn refuse(&mut self, message: &'static str) {
        self.losses.refuse("messages", message);
    }
}

/// A user who says nothing but files says their text.
fn files(turn: &Turn<'_>, messages: &mut Array<'_>) {
    let texts: Vec<_> = turn.parts.iter().filter_map(document::text_file).map(|(_, text)| text).collect();
    if !texts.is_empty() {
        messages.object(|o| {
            o.str("role", "user").str("content", &texts.join("\n\n"));
        });
    }
}

fn call_of<'p, 'a>(part: &'p Part<'a>) -> Option<(&'p Call<'a>, &'p Extras<'a>)> {
    if let Content::Call(call) = &part.content { Some((call, &part.extras)) } else { None }
}

/// Several texts are paragraphs.
pub fn joined<'p>(parts: &[&'p Part<'_>]) -> Text<'p> {
    let texts: Vec<_> = parts.iter().filter_map(|part| text_of(part)).collect();
    if let [text] = texts[..] { Text::Borrowed(text) } else { Text::Owned(texts.join("\n\n")) }
}

fn text_of<'p>(part: &'p Part<'_>) -> Option<&'p str> {
    if let Content::Text(text) | Content::Refusal(text) = &part.content { Some(text) } else { None }
}
