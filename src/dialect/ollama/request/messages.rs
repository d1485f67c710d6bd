//! Turns, as `messages`: each a text, with images, thinking and calls beside it.
//!
//! Images are data, never addresses; other files have to be text, which joins the message's own. A
//! tool's result names the tool, and is a message of its own in front of its turn's text.

use crate::dialect::cohere::{document, tools};
use crate::dialect::hub::{Ask, Call, CallKind, Content, Losses, Media, Outcome, Part, Role, Source, Text};
use crate::dialect::write::{Array, Object};

/// Writes the conversation.
pub fn write(ask: &Ask<'_>, losses: &mut Losses, messages: &mut Array<'_>) {
    for turn in &ask.turns {
        let role = match turn.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let mut message = Message::default();
        for part in &turn.parts {
            if let Content::Outcome(outcome) = &part.content {
                messages.object(|o| result(outcome, losses, o));
            } else {
                message.take(part, losses);
            }
        }
        if !message.is_empty() {
            messages.object(|o| {
                o.str("role", role);
                message.write(o);
            });
        }
    }
}

/// What becomes of one turn.
#[derive(Default)]
struct Message<'m> {
    texts: Vec<Text<'m>>,
    thoughts: Vec<&'m str>,
    images: Vec<&'m str>,
    calls: Vec<&'m Call<'m>>,
}

impl<'m> Message<'m> {
    fn is_empty(&self) -> bool {
        self.texts.is_empty() && self.thoughts.is_empty() && self.images.is_empty() && self.calls.is_empty()
    }

    fn take(&mut self, part: &'m Part<'m>, losses: &mut Losses) {
        match &part.content {
            Content::Text(text) | Content::Refusal(text) => self.texts.push(Text::Borrowed(text)),
            Content::Image(media) => self.image(media, losses),
            Content::File(media) => match document::text_of(media) {
                Some(text) => self.texts.push(named(media, text)),
                None => refuse(losses, "ollama takes no files but plain text; send the file's text instead"),
            },
            Content::Audio(_) => refuse(losses, "ollama takes no audio; send a transcript instead"),
            Content::Video(_) => refuse(losses, "ollama takes no videos; send images of it instead"),
            Content::Thought(thought) if thought.text.is_empty() => {}
            Content::Thought(thought) => self.thoughts.push(&thought.text),
            Content::Call(call) => self.calls.push(call),
            Content::Vendor { kind, .. } => losses.drop(kind.clone().into_owned()),
            // A message of its own.
            Content::Outcome(_) => {}
        }
    }

    fn image(&mut self, media: &'m Media<'m>, losses: &mut Losses) {
        if media.detail.as_deref().is_some_and(|detail| detail != "auto") {
            losses.drop("image.detail");
        }
        match &media.source {
            Source::Base64(data) => self.images.push(data),
            Source::Url(_) => refuse(losses, "ollama does not fetch images; send the image as a data: URL"),
            Source::FileId(_) | Source::Text(_) => {
                refuse(losses, "ollama cannot read another vendor's files; send the image itself");
            }
        }
    }

    fn write(&self, object: &mut Object<'_>) {
        object.str("content", &self.texts.join("\n\n"));
        if !self.thoughts.is_empty() {
            object.str("thinking", &self.thoughts.join("\n\n"));
        }
        if !self.images.is_empty() {
            object.array("images", |a| {
                for image in &self.images {
                    a.str(image);
                }
            });
        }
        if !self.calls.is_empty() {
            object.array("tool_calls", |a| {
                for call in &self.calls {
                    a.object(|o| write_call(call, o));
                }
            });
        }
    }
}

/// Arguments are an object here, not a text of one.
fn write_call(call: &Call<'_>, object: &mut Object<'_>) {
    let arguments = match call.kind {
        CallKind::Function => Text::Borrowed(call.input()),
        CallKind::Custom => Text::Owned(tools::free_text(&call.arguments)),
    };
    object.str_if("id", Some(&*call.id).filter(|id| !id.is_empty()));
    object.object("function", |o| {
        o.str("name", &call.name).raw("arguments", &arguments);
    });
}

fn result(outcome: &Outcome<'_>, losses: &mut Losses, object: &mut Object<'_>) {
    let mut message = Message::default();
    for part in &outcome.content {
        message.take(part, losses);
    }
    object.str("role", "tool").str_if("tool_name", outcome.name.as_deref());
    object.str_if("tool_call_id", Some(&*outcome.call_id).filter(|id| !id.is_empty()));
    message.write(object);
}

/// A file's text under its name.
fn named<'m>(media: &Media<'_>, text: Text<'m>) -> Text<'m> {
    match media.name.as_deref() {
        Some(name) => Text::Owned(format!("{name}:\n{text}")),
        None => text,
    }
}

fn refuse(losses: &mut Losses, message: &'static str) {
    losses.refuse("messages", message);
}
