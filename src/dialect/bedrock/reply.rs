//! Answers in one piece. They name neither themselves nor their model, and hold one choice.

use super::block::{self, CITED, GUARDED, JSON, Side};
use super::media::{Medium, image_by_looks, sound_by_looks};
use super::{stop, usage};
use crate::dialect::anthropic::stand_in;
use crate::dialect::hub::{
    Call, CallKind, Choice, Content, Extras, Family, Manner, Media, Part, Reply, Role, Source, Stop, Text,
    Thought,
};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{self, Array, Object};
use crate::dialect::{Dialect, meter};

const KNOWN: &[&str] = &["output", "stopReason", "usage", "serviceTier"];

/// What an answer says.
pub fn read<'a>(body: &Node<'a>) -> Result<Reply<'a>, Wrong> {
    let message = body.need("output")?.need("message")?;
    let parts = block::parts(message.need("content")?, Role::Assistant, Side::Upstream)?;
    let reason = body.at("stopReason").and_then(Node::text).unwrap_or_default();
    let usage = body.at("usage").and_then(|usage| meter::usage_at(Dialect::Bedrock, usage.raw().as_bytes()));
    Ok(Reply {
        dialect: Dialect::Bedrock,
        id: Text::Borrowed(""),
        model: Text::Borrowed(""),
        created: None,
        choices: vec![Choice::new(parts, stop::read(&reason, stop::sequence(body)))],
        usage,
        tier: body.at("serviceTier").and_then(|tier| tier.at("type")?.text()),
        extras: Extras::of(body, KNOWN),
    })
}

/// The answer that says the same.
pub fn write(reply: &Reply<'_>, manner: &Manner, out: &mut Vec<u8>) {
    let first = reply.choices.first();
    let own = reply.dialect == Dialect::Bedrock;
    write::object(out, |body| {
        body.object("output", |output| {
            output.object("message", |message| {
                message.str("role", "assistant").array("content", |blocks| {
                    let mut calls = 0;
                    for part in first.map(|choice| &*choice.parts).unwrap_or_default() {
                        write_part(part, own, manner, &mut calls, blocks);
                    }
                });
            });
        });
        let usual = Stop::default();
        let stop = first.map_or(&usual, |choice| &choice.stop);
        stop::write(stop, body);
        body.object("usage", |object| usage::write(&reply.usage.unwrap_or_default(), object));
        if let Some(tier) = reply.tier.as_deref().and_then(tier) {
            body.object("serviceTier", |object| {
                object.str("type", tier);
            });
        }
        rest(reply, own, body);
    });
}

/// Members that SDKs want to be there, and what only this dialect knows.
fn rest(reply: &Reply<'_>, own: bool, body: &mut Object<'_>) {
    let metrics = reply.extras.find("metrics").filter(|_| own);
    // How long it took is not known here.
    body.raw("metrics", metrics.unwrap_or(r#"{"latencyMs":0}"#));
    if own {
        for (key, raw) in reply.extras.all().filter(|(key, _)| *key != "metrics") {
            let said = key == "additionalModelResponseFields" && has_sequence(reply);
            if !said {
                body.raw(key, raw);
            }
        }
    }
}

fn has_sequence(reply: &Reply<'_>) -> bool {
    reply.choices.first().is_some_and(|choice| matches!(choice.stop, Stop::Sequence(Some(_))))
}

/// The tier in Amazon's words, if it has one.
fn tier(word: &str) -> Option<&'static str> {
    match word {
        "default" | "standard" => Some("default"),
        "flex" => Some("flex"),
        "priority" => Some("priority"),
        "reserved" => Some("reserved"),
        _ => None,
    }
}

fn write_part(part: &Part<'_>, own: bool, manner: &Manner, calls: &mut usize, blocks: &mut Array<'_>) {
    if let Some((key, raw)) = part.extras.all().find(|(key, _)| [JSON, GUARDED, CITED].contains(key)) {
        blocks.object(|block| {
            block.raw(key, raw);
        });
        return;
    }
    match &part.content {
        // Sent back it would be refused.
        Content::Text(text) if text.is_empty() && part.citations.is_empty() && !own => {}
        Content::Text(text) | Content::Refusal(text) => {
            blocks.object(|block| {
                block.str("text", text);
            });
            if part.citations.iter().any(|said| said.url.is_some() || said.title.is_some()) {
                block::citations(&part.citations, blocks);
            }
        }
        Content::Image(media) => write_media(Medium::Image, media, &part.extras, blocks),
        Content::Audio(media) => write_media(Medium::Audio, media, &part.extras, blocks),
        Content::Video(media) => write_media(Medium::Video, media, &part.extras, blocks),
        Content::File(media) => write_media(Medium::Document, media, &part.extras, blocks),
        Content::Thought(thought) => {
            let signature = thought.signature.as_ref().map(|signature| signature.seal(Family::Anthropic));
            block::thought(thought, signature.as_deref(), blocks);
        }
        Content::Call(call) => {
            *calls += 1;
            write_call(call, &call_id(call, manner, *calls), &part.extras, blocks);
        }
        // A model gives no results of the caller's tools.
        Content::Outcome(_) => {}
        // Another vendor's block is none that Amazon's SDK would know.
        Content::Vendor { raw, .. } => {
            if own {
                blocks.raw(raw);
            }
        }
    }
}

/// A call; before it a piece of reasoning that carries the call's own signature, if it has one.
fn write_call(call: &Call<'_>, id: &str, extras: &Extras<'_>, blocks: &mut Array<'_>) {
    if let Some(signature) = &call.signature {
        block::thought(&Thought::default(), Some(&stand_in::carry(id, signature)), blocks);
    }
    match call.kind {
        CallKind::Function => block::call(id, &call.name, call.input(), extras, blocks),
        CallKind::Custom => {
            block::call(id, &call.name, &stand_in::custom_input(&call.arguments), extras, blocks);
        }
    }
}

fn call_id<'c>(call: &'c Call<'_>, manner: &Manner, count: usize) -> Text<'c> {
    if call.id.is_empty() {
        Text::Owned(super::made_id(&manner.nonce, count))
    } else {
        Text::Borrowed(&call.id)
    }
}

/// What the model made. A place on the web has no block and is said as text.
fn write_media(medium: Medium, media: &Media<'_>, extras: &Extras<'_>, blocks: &mut Array<'_>) {
    let format = media.mime.as_deref().and_then(|mime| medium.own_format(mime));
    match &media.source {
        Source::Url(url) if !url.starts_with("s3://") => {
            blocks.object(|block| {
                block.str("text", url);
            });
        }
        Source::Base64(data) => {
            // Amazon's SDK wants a sound to have one, and OpenAI's answers name none.
            let format = format.or_else(|| match medium {
                Medium::Audio => Some(sound_by_looks(data)),
                Medium::Image | Medium::Video | Medium::Document => image_by_looks(data),
            });
            block::media(medium, format, media.name.as_deref(), &media.source, extras, blocks);
        }
        Source::Url(_) | Source::Text(_) => {
            block::media(medium, format, media.name.as_deref(), &media.source, extras, blocks);
        }
        // Only its vendor could fetch it.
        Source::FileId(_) => {}
    }
}
