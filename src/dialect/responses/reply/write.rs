//! An answer, written.

use crate::dialect::Dialect;
use crate::dialect::hub::{Choice, Citation, Content, Manner, Media, Part, Reply, Source, Text, Thought};
use crate::dialect::responses::carry;
use crate::dialect::responses::item::{self, Ending, Head, Refusal, Status};
use crate::dialect::responses::request::MADE_UP;
use crate::dialect::write::{self, Array};

/// The answer that says the same. Of several answers the first.
pub fn write(reply: &Reply<'_>, manner: &Manner, out: &mut Vec<u8>) {
    let mut head = Head::new(&reply.id, &reply.model, reply.created.unwrap_or_default(), manner);
    head.tier = tier(reply.tier.as_deref());
    let empty = Choice::new(Vec::new(), crate::dialect::hub::Stop::End);
    let choice = reply.choices.first().unwrap_or(&empty);
    let refused = choice.parts.iter().any(|part| matches!(part.content, Content::Refusal(_)));
    let ending = Ending::of(&choice.stop, if refused { Refusal::Said } else { Refusal::Unsaid });
    let output = write::text(|out| {
        write::array(out, |array| {
            let mut logprobs = choice.logprobs.as_deref().map(item::tokens).unwrap_or_default();
            let mut writer = Writer { reply, manner, ending, made: 0 };
            let mut rest = &choice.parts[..];
            while !rest.is_empty() {
                let (item, others) = rest.split_at(length(rest));
                writer.item(item, others, &mut logprobs, array);
                rest = others;
            }
        });
    });
    out.extend_from_slice(head.response(ending, &output, reply.usage).as_bytes());
}

/// The tier, if it is one of this dialect's.
fn tier(said: Option<&str>) -> &'static str {
    let known = ["auto", "default", "flex", "scale", "priority", "ultrafast"];
    known.into_iter().find(|name| Some(*name) == said).unwrap_or("default")
}

/// How many of the first parts are one item: a message's, or the texts of one piece of reasoning.
fn length(parts: &[Part<'_>]) -> usize {
    let is_of_message = |part: &Part<'_>| matches!(part.content, Content::Text(_) | Content::Refusal(_));
    let goes_on = |pair: &[Part<'_>]| match pair {
        [one, next] if is_of_message(one) => is_of_message(next),
        [Part { content: Content::Thought(one), .. }, Part { content: Content::Thought(next), .. }] => {
            one.id.is_some() && one.id == next.id && one.signature.is_none()
        }
        _ => false,
    };
    1 + parts.windows(2).take_while(|pair| goes_on(pair)).count()
}

struct Writer<'w> {
    reply: &'w Reply<'w>,
    manner: &'w Manner,
    ending: Ending,
    /// Items so far.
    made: usize,
}

impl Writer<'_> {
    fn id(&mut self, kind: &str) -> String {
        self.made += 1;
        item::id(kind, &self.manner.nonce, self.made - 1)
    }

    fn item(
        &mut self,
        parts: &[Part<'_>],
        others: &[Part<'_>],
        logprobs: &mut String,
        array: &mut Array<'_>,
    ) {
        let Some(first) = parts.first() else { return };
        let status = if others.is_empty() { self.ending.last_item() } else { Status::Completed };
        match &first.content {
            Content::Text(_) | Content::Refusal(_) => {
                let content =
                    write::text(|out| write::array(out, |array| Self::message(parts, logprobs, array)));
                let id = self.id("msg_");
                array.object(|o| item::message(o, &id, status, &content));
            }
            Content::Thought(_) => self.reasoning(parts, array),
            Content::Call(call) => {
                if let Some(signature) = &call.signature {
                    let id = self.id(MADE_UP);
                    let sealed = carry::seal(signature);
                    array.object(|o| item::reasoning(o, &id, &[], &[], Some(&sealed)));
                }
                let id = self.id(item::call_prefix(&call.name, call.kind));
                let made_up = format!("call_{}_{}", self.manner.nonce, self.made - 1);
                let called = if call.id.is_empty() { &*made_up } else { &*call.id };
                let arguments = item::arguments(call.kind, &call.arguments);
                let call = item::Call { id: &id, called, name: &call.name, kind: call.kind, arguments };
                array.object(|o| call.write(o, status));
            }
            Content::Image(Media { source: Source::Base64(data), mime, .. }) => {
                let id = self.id("ig_");
                array.object(|o| item::image(o, &id, data, mime.as_deref()));
            }
            Content::Vendor { raw, .. } if self.reply.dialect == Dialect::Responses => {
                self.made += 1;
                array.raw(raw);
            }
            // There is no place for these in an answer.
            Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::File(_)
            | Content::Outcome(_)
            | Content::Vendor { .. } => {}
        }
    }

    fn message(parts: &[Part<'_>], logprobs: &mut String, array: &mut Array<'_>) {
        for part in parts {
            match &part.content {
                Content::Text(text) => {
                    let annotations = annotations(part, text);
                    let logprobs = std::mem::take(logprobs);
                    array.object(|o| item::text(o, text, &annotations, &logprobs));
                }
                Content::Refusal(text) => {
                    array.object(|o| item::refusal(o, text));
                }
                Content::Image(_)
                | Content::Audio(_)
                | Content::Video(_)
                | Content::File(_)
                | Content::Thought(_)
                | Content::Call(_)
                | Content::Outcome(_)
                | Content::Vendor { .. } => {}
            }
        }
    }

    /// Another vendor's reasoning is said as a summary: Codex and Vercel's SDK show nothing else.
    fn reasoning(&mut self, parts: &[Part<'_>], array: &mut Array<'_>) {
        let thoughts: Vec<&Thought<'_>> = parts
            .iter()
            .filter_map(
                |part| if let Content::Thought(thought) = &part.content { Some(thought) } else { None },
            )
            .collect();
        let here = self.reply.dialect == Dialect::Responses;
        let texts = |wanted: bool| -> Vec<&str> {
            let of_kind = thoughts.iter().filter(|thought| (thought.is_summary || !here) == wanted);
            of_kind.map(|thought| &*thought.text).filter(|text| !text.is_empty()).collect()
        };
        let (summary, content) = (texts(true), texts(false));
        let last = thoughts.last();
        let signature = last.and_then(|thought| thought.signature.as_ref());
        if summary.is_empty() && content.is_empty() && signature.is_none() {
            return;
        }
        let made_up = self.id(MADE_UP);
        let id: Text<'_> = thoughts.last().and_then(|thought| thought.id.clone()).unwrap_or(made_up.into());
        let is_redacted = last.is_some_and(|thought| thought.is_redacted);
        let sealed = signature.map(|it| if is_redacted { carry::seal_redacted(it) } else { carry::seal(it) });
        let sealed = sealed.or_else(|| (!here).then_some(carry::UNSIGNED.into()));
        array.object(|o| item::reasoning(o, &id, &summary, &content, sealed.as_deref()));
    }
}

/// Citations of a text, as items of an array.
fn annotations(part: &Part<'_>, text: &str) -> String {
    let mut items = String::new();
    for Citation { url, title, place, raw } in &part.citations {
        let place = place.unwrap_or_else(|| (0, text.chars().count() as u64));
        if let Some(annotation) = item::annotation(url.as_deref(), title.as_deref(), raw, place) {
            item::join(&mut items, &annotation);
        }
    }
    items
}
