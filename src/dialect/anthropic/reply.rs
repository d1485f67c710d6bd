//! Answers in one piece.
//!
//! What this dialect cannot say of an answer: a refusal is text; an image or a sound that the model made
//! is Markdown with a `data:` URL, for it has to reach the caller; of several choices only the first
//! leaves. A call's signature goes before it in a thinking block (see `stand_in`).

use super::{block, stand_in, stop, usage};
use crate::dialect::Dialect;
use crate::dialect::hub::{
    Call, CallKind, Choice, Citation, Content, Extras, Family, Manner, Media, Part, Reply, Signature, Stop,
    Text, Thought,
};
use crate::dialect::tree::{self, Node, Wrong};
use crate::dialect::write::{self, Array, Object};

const KNOWN: &[&str] =
    &["id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"];

/// What an answer says.
pub fn read<'a>(body: &Node<'a>) -> Result<Reply<'a>, Wrong> {
    let parts = block::parts(body.need("content")?.items()?, block::Strictness::Answered)?;
    let parts: Vec<Part<'a>> = parts.into_iter().map(without_stand_in).collect();
    let reason = body.at("stop_reason").and_then(Node::text);
    let sequence = body.at("stop_sequence").and_then(Node::text);
    let has_calls = parts.iter().any(|part| matches!(part.content, Content::Call(_)));
    let stop = reason.and_then(|reason| stop::read(&reason, sequence));
    let mut choice = Choice::new(parts, settled(stop, has_calls));
    if let Some(details) = body.at("stop_details") {
        choice.extras.keep("stop_details", details.raw());
    }
    let counts = body.at("usage");
    Ok(Reply {
        dialect: Dialect::Anthropic,
        id: body.at("id").and_then(Node::text).unwrap_or_default(),
        model: body.at("model").and_then(Node::text).unwrap_or_default(),
        created: None,
        choices: vec![choice],
        usage: usage::Counts::of(counts).sum(),
        tier: counts.and_then(|counts| counts.at("service_tier")).and_then(Node::text),
        extras: Extras::of(body, KNOWN),
    })
}

/// The reason, or what can be told of it. A tool that stands in for the answer is no call.
pub fn settled(stop: Option<Stop<'_>>, has_calls: bool) -> Stop<'_> {
    match stop {
        Some(Stop::Calls) | None => {
            if has_calls {
                Stop::Calls
            } else {
                Stop::End
            }
        }
        Some(stop) => stop,
    }
}

/// What a stand-in stands for.
fn without_stand_in(mut part: Part<'_>) -> Part<'_> {
    match part.content {
        Content::Call(call) if call.name == stand_in::ANSWER => part.content = Content::Text(call.arguments),
        Content::Call(call) if call.name.starts_with(stand_in::CUSTOM) => {
            let name = call.name.get(stand_in::CUSTOM.len()..).unwrap_or_default().to_owned();
            let arguments = free_text(&call.arguments);
            let kind = CallKind::Custom;
            part.content =
                Content::Call(Call { name: name.into(), arguments: arguments.into(), kind, ..call });
        }
        _ => {}
    }
    part
}

fn free_text(input: &str) -> String {
    tree::parse(input.as_bytes())
        .map_or_else(|_| input.to_owned(), |input| stand_in::free_text(&input).into_owned())
}

/// The answer that says the same.
pub fn write(reply: &Reply<'_>, manner: &Manner, out: &mut Vec<u8>) {
    let Some(choice) = reply.choices.first() else {
        return write(
            &Reply { choices: vec![Choice::new(Vec::new(), Stop::Filter)], ..reply.clone() },
            manner,
            out,
        );
    };
    let own = reply.dialect == Dialect::Anthropic;
    let (reason, sequence) = stop::write(&choice.stop);
    write::object(out, |message| {
        write_head(&reply.id, manner, message);
        message.array("content", |blocks| {
            for (index, part) in without_seals(&choice.parts).iter().enumerate() {
                write_part(part, index, own, manner, blocks);
            }
        });
        message.str("stop_reason", reason);
        match sequence {
            Some(sequence) => message.str("stop_sequence", sequence),
            None => message.null("stop_sequence"),
        };
        message.object("usage", |object| {
            usage::write(reply.usage, usage::Place::Message, object);
            object.str_if("service_tier", reply.tier.as_deref().and_then(|tier| tier_name(tier, own)));
        });
        if own {
            choice.extras.write(message);
            reply.extras.write(message);
        }
    });
}

/// The parts but for thoughts at the end, behind something, that hold nothing but another vendor's signature: no answer of
/// Anthropic's ends so, and agents take the last block for what was said. No vendor insists on one that nothing follows.
fn without_seals<'p, 'i>(parts: &'p [Part<'i>]) -> &'p [Part<'i>] {
    let is_seal = |part: &Part<'_>| match &part.content {
        Content::Thought(Thought { text, signature, is_redacted: false, .. }) => {
            text.is_empty()
                && signature.as_ref().is_none_or(|signature| signature.family != Family::Anthropic)
        }
        _ => false,
    };
    let end = parts.iter().rposition(|part| !is_seal(part)).map_or(parts.len().min(1), |last| last + 1);
    parts.get(..end).unwrap_or(parts)
}

/// What a message begins with, streamed or not. Ids of other vendors may be the same for many answers (Ollama's are one of
/// 999), and agents take answers with one id for one. The model is called as the caller called it: Claude Code sends no
/// signature back of an answer by another, and every vendor's go through it as Anthropic's do.
pub fn write_head(id: &str, manner: &Manner, message: &mut Object<'_>) {
    if id.starts_with("msg_") {
        message.str("id", id);
    } else {
        message.str("id", &["msg_", &manner.nonce].concat());
    }
    message.str("type", "message").str("role", "assistant");
    message.str("model", &manner.model);
}

/// Anthropic's word for a tier, where there is one.
fn tier_name(tier: &str, own: bool) -> Option<&str> {
    match tier {
        "standard" | "default" => Some("standard"),
        "priority" => Some("priority"),
        other => own.then_some(other),
    }
}

fn write_part(part: &Part<'_>, index: usize, own: bool, manner: &Manner, blocks: &mut Array<'_>) {
    match &part.content {
        // Sent back it would be refused.
        Content::Text(text) if text.is_empty() && part.citations.is_empty() && !own => {}
        Content::Text(text) | Content::Refusal(text) => {
            blocks.object(|block| {
                block.str("type", "text").str("text", text);
                if own {
                    part.extras.write(block);
                } else {
                    write_citations(&part.citations, block);
                }
            });
        }
        Content::Thought(thought) => write_thought(thought, blocks),
        Content::Call(call) => write_call(call, index, manner, blocks),
        Content::Image(media) | Content::Audio(media) | Content::Video(media) | Content::File(media) => {
            blocks.object(|block| {
                block.str("type", "text").str("text", &markdown(media));
            });
        }
        Content::Vendor { raw, .. } if own => {
            blocks.raw(raw);
        }
        Content::Vendor { .. } | Content::Outcome(_) => {}
    }
}

/// Those that tell a place on the web; there is no other that a caller could look up.
fn write_citations(citations: &[Citation<'_>], block: &mut Object<'_>) {
    let placed = || citations.iter().filter_map(|said| Some((said.url.as_deref()?, said.title.as_deref())));
    if placed().next().is_some() {
        block.array("citations", |array| {
            for (url, title) in placed() {
                array.object(|citation| write_citation(url, title, citation));
            }
        });
    }
}

/// One of another vendor's. Its signature is one of ours, so that the citation is known when it comes back.
pub fn write_citation(url: &str, title: Option<&str>, citation: &mut Object<'_>) {
    let seal = Signature { family: Family::Other, value: Text::Borrowed("") };
    citation.str("type", "web_search_result_location").str("url", url);
    citation.str("title", title.unwrap_or(url)).str("cited_text", "");
    citation.str("encrypted_index", &seal.seal(Family::Anthropic));
}

fn write_thought(thought: &Thought<'_>, blocks: &mut Array<'_>) {
    let signature = thought.signature.as_ref().map(|signature| signature.seal(Family::Anthropic));
    if thought.is_redacted {
        let Some(data) = signature else { return };
        blocks.object(|block| {
            block.str("type", "redacted_thinking").str("data", &data);
        });
        return;
    }
    blocks.object(|block| {
        block.str("type", "thinking").str("thinking", &thought.text);
        block.str("signature", signature.as_deref().unwrap_or_default());
    });
}

fn write_call(call: &Call<'_>, index: usize, manner: &Manner, blocks: &mut Array<'_>) {
    let id = call_id(&call.id, index, manner);
    if let Some(signature) = &call.signature {
        blocks.object(|block| {
            block.str("type", "thinking").str("thinking", "");
            block.str("signature", &stand_in::carry(&id, signature));
        });
    }
    blocks.object(|block| {
        block.str("type", "tool_use").str("id", &id).str("name", &call.name);
        match call.kind {
            CallKind::Function => block.raw("input", call.input()),
            CallKind::Custom => block.raw("input", &stand_in::custom_input(&call.arguments)),
        };
    });
}

/// The call's own id, or one that is made up.
pub fn call_id<'i>(id: &'i str, index: usize, manner: &Manner) -> Text<'i> {
    if id.is_empty() { format!("toolu_{}_{index}", manner.nonce).into() } else { id.into() }
}

/// What the model made, as text that callers can show.
pub fn markdown(media: &Media<'_>) -> String {
    let name = media.name.as_deref();
    let is_image = media.mime.as_deref().is_none_or(|mime| mime.starts_with("image/"));
    match media.as_url() {
        Some(url) if is_image => format!("![{}]({url})", name.unwrap_or("image")),
        Some(url) => format!("[{}]({url})", name.unwrap_or("file")),
        None => name.unwrap_or_default().to_owned(),
    }
}
