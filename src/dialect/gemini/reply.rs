//! Answers in one piece.

use super::names::{self, member};
use super::part::{self, Reading};
use super::{logprobs, signature, stop, usage};
use crate::dialect::Dialect;
use crate::dialect::hub::{Choice, Citation, Content, Extras, Family, Manner, Part, Reply, Stop};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{self, Array, Object};
use stop::Called;

const KNOWN: [&str; 4] = ["candidates", "usageMetadata", "modelVersion", "responseId"];
const KNOWN_OF_CANDIDATE: [&str; 4] = ["content", "finishReason", "index", "logprobsResult"];

/// Segments that are looked at, and sources of each.
const MOST_PLACES: usize = 256;

/// What an answer says.
pub fn read<'a>(body: &Node<'a>) -> Result<Reply<'a>, Wrong> {
    let text = |name| member(body, name).and_then(Node::text).unwrap_or_default();
    let metadata = member(body.object()?, "usageMetadata");
    let mut reply = Reply {
        dialect: Dialect::Gemini,
        id: text("responseId"),
        model: text("modelVersion"),
        created: None,
        choices: Vec::new(),
        usage: metadata.and_then(usage::of),
        tier: metadata.and_then(|metadata| member(metadata, "serviceTier")).and_then(Node::text),
        extras: Extras::default(),
    };
    // None are there when the prompt was refused, and in what is no answer at all.
    let candidates = match member(body, "candidates") {
        Some(candidates) => candidates.items()?,
        None if KNOWN.iter().chain(&["promptFeedback"]).any(|name| member(body, name).is_some()) => &[],
        None => body.need("candidates")?.items()?,
    };
    for (at, node) in candidates.iter().enumerate() {
        reply.choices.push(candidate(node, at)?);
    }
    if reply.choices.is_empty() {
        // The prompt itself was refused, or the answer is not what it should be.
        let blocked = block_reason(body).is_some();
        reply.choices.push(Choice::new(Vec::new(), if blocked { Stop::Filter } else { Stop::Failed }));
    }
    names::keep(&mut reply.extras, "", body, &KNOWN);
    Ok(reply)
}

/// Why the prompt was refused.
pub fn block_reason<'n, 'a>(body: &'n Node<'a>) -> Option<&'n Node<'a>> {
    member(member(body, "promptFeedback")?, "blockReason")
}

fn candidate<'a>(node: &Node<'a>, at: usize) -> Result<Choice<'a>, Wrong> {
    let mut parts = Vec::new();
    let content = member(node.object()?, "content").and_then(|content| member(content, "parts"));
    for part in content.map(Node::elements).unwrap_or_default() {
        part::read(part, Reading::Lenient, &mut parts)?;
    }
    let cited = cited(node, &parts);
    Part::cite(&mut parts, cited);
    let calls = parts.iter().any(|part| matches!(part.content, Content::Call(_)));
    let called = if calls { Called::Yes } else { Called::No };
    let reason = member(node, "finishReason").and_then(Node::as_str);
    let stop = reason.map_or_else(|| stop::said_nothing(called), |reason| stop::read(reason, called));
    let index = member(node, "index").and_then(Node::as_integer).and_then(|index| u32::try_from(index).ok());
    let mut choice = Choice::new(parts, stop);
    choice.index = index.unwrap_or_else(|| u32::try_from(at).unwrap_or_default());
    choice.logprobs = member(node, "logprobsResult").and_then(logprobs::read).map(Into::into);
    names::keep(&mut choice.extras, "", node, &KNOWN_OF_CANDIDATE);
    Ok(choice)
}

/// What a candidate is grounded on.
pub fn grounds<'n, 'a>(candidate: &'n Node<'a>) -> &'n [Node<'a>] {
    let metadata = member(candidate, "groundingMetadata");
    metadata.and_then(|metadata| member(metadata, "groundingChunks")).map(Node::elements).unwrap_or_default()
}

/// What a candidate is grounded on, each source where it supports the text, or, where that is not told, for all of it.
fn cited<'a>(candidate: &Node<'a>, parts: &[Part<'a>]) -> Vec<Citation<'a>> {
    let chunks = grounds(candidate);
    let metadata = member(candidate, "groundingMetadata");
    let supports = metadata.and_then(|metadata| member(metadata, "groundingSupports"));
    let mut texts = parts.iter().filter_map(Part::as_text);
    // Places are those in one part, and of several nobody else would know which.
    let text = texts.next().filter(|_| texts.next().is_none());
    let mut cited: Vec<Citation<'a>> = Vec::new();
    let mut placed = vec![false; chunks.len()];
    for support in supports.map(Node::elements).unwrap_or_default().iter().take(MOST_PLACES) {
        let place = text.zip(member(support, "segment")).and_then(|(text, segment)| place(text, segment));
        let indices = member(support, "groundingChunkIndices").map(Node::elements).unwrap_or_default();
        for index in indices.iter().take(MOST_PLACES).filter_map(Node::as_integer) {
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            let (Some(chunk), Some(was_placed)) = (chunks.get(index), placed.get_mut(index)) else {
                continue;
            };
            if let (Some(place), Some(citation)) = (place, cite(chunk)) {
                *was_placed = true;
                cited.push(Citation { place: Some(place), ..citation });
            }
        }
    }
    let others = chunks.iter().zip(placed).filter(|(_, was_placed)| !was_placed);
    cited.extend(others.filter_map(|(chunk, _)| cite(chunk)));
    cited
}

/// A segment in characters: Google counts bytes, and leaves out a 0.
fn place(text: &str, segment: &Node<'_>) -> Option<(u64, u64)> {
    let at = |key| member(segment, key).and_then(Node::as_integer).unwrap_or(0);
    let characters = |bytes: u64| Some(text.get(..usize::try_from(bytes).ok()?)?.chars().count() as u64);
    let (start, end) = (characters(at("startIndex"))?, characters(at("endIndex"))?);
    (start < end).then_some((start, end))
}

/// One of `groundingChunks`; `None` for a kind that is not known.
pub fn cite<'a>(chunk: &Node<'a>) -> Option<Citation<'a>> {
    let source = ["web", "retrievedContext", "maps"].iter().find_map(|kind| member(chunk, kind))?;
    let text = |key| member(source, key).and_then(Node::text);
    Some(Citation { url: text("uri"), title: text("title"), place: None, raw: chunk.raw() })
}

/// Says another vendor's sources, `(url, title)`.
pub fn ground<'s>(o: &mut Object<'_>, sources: impl Iterator<Item = (&'s str, Option<&'s str>)>) {
    o.object("groundingMetadata", |o| {
        o.array("groundingChunks", |a| {
            for (url, title) in sources {
                a.object(|o| {
                    o.object("web", |o| {
                        o.str("uri", url).str_if("title", title);
                    });
                });
            }
        });
    });
}

/// The answer that says the same.
pub fn write(reply: &Reply<'_>, manner: &Manner, out: &mut Vec<u8>) {
    let own = reply.dialect == Dialect::Gemini;
    write::object(out, |o| {
        o.array("candidates", |a| {
            for choice in &reply.choices {
                a.object(|o| say_choice(o, choice, own.then_some(&choice.extras), &manner.nonce));
            }
        });
        if let Some(usage) = &reply.usage {
            usage::write(o, usage, reply.tier.as_deref());
        }
        let or = |text: &str, otherwise: &str| if text.is_empty() { otherwise } else { text }.to_owned();
        o.str("modelVersion", &or(&reply.model, &manner.model));
        o.str("responseId", &or(&reply.id, &manner.nonce));
        if own {
            names::say(&reply.extras, "", o);
        }
    });
}

fn say_choice(o: &mut Object<'_>, choice: &Choice<'_>, own: Option<&Extras<'_>>, nonce: &str) {
    o.object("content", |o| {
        let parts = write::text(|out| write::array(out, |a| say_parts(a, choice, own, nonce)));
        if parts != "[]" {
            o.raw("parts", &parts);
        }
        o.str("role", "model");
    });
    o.str("finishReason", stop::word(&choice.stop)).number("index", choice.index);
    if let Some(logprobs) = &choice.logprobs {
        logprobs::write(o, logprobs);
    }
    if let Some(extras) = own {
        names::say(extras, "", o);
        return;
    }
    let citations = || choice.parts.iter().flat_map(|part| &part.citations);
    let sources = || citations().filter_map(|said| Some((said.url.as_deref()?, said.title.as_deref())));
    if sources().next().is_some() {
        ground(o, sources());
    }
}

fn say_parts(a: &mut Array<'_>, choice: &Choice<'_>, own: Option<&Extras<'_>>, nonce: &str) {
    // What stands for a signature, lest Google refuse the call when it is sent back.
    let mut sentinel = own.is_none().then_some(signature::SENTINEL_BASE64);
    let mut calls = 0;
    let mut parts = choice.parts.iter().peekable();
    while let Some(part) = parts.next() {
        match &part.content {
            Content::Call(call) => {
                let signature = call.signature.as_ref().map(|s| s.seal(Family::Gemini));
                let standing = sentinel.take();
                let id = call_id(&call.id, nonce, choice.index, calls);
                calls += 1;
                a.object(|o| {
                    part::write_call(o, call, Some(&id), signature.as_deref().or(standing), |_| {});
                });
            }
            Content::Thought(thought) => {
                let signature = signature::seal(thought);
                if signature.is_some() || !thought.text.is_empty() {
                    a.object(|o| write_thought(o, &thought.text, signature.as_deref()));
                }
            }
            Content::Vendor { raw, .. } if own.is_some() => {
                a.raw(raw);
            }
            Content::Vendor { .. } | Content::Outcome(_) => {}
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::File(_) => {
                let signed = parts.next_if(|next| part::as_signed(next).is_some());
                let signature = signed.and_then(part::as_signed).and_then(signature::seal);
                a.object(|o| {
                    say_plain(o, part);
                    o.str_if("thoughtSignature", signature.as_deref());
                });
            }
        }
    }
}

/// Says a thought, or a signature alone.
pub fn write_thought(o: &mut Object<'_>, text: &str, signature: Option<&str>) {
    o.str("text", text);
    if !text.is_empty() {
        o.bool("thought", true);
    }
    o.str_if("thoughtSignature", signature);
}

/// The call's id, or one made up for it.
pub fn call_id<'i>(id: &'i str, nonce: &str, choice: u32, number: usize) -> std::borrow::Cow<'i, str> {
    if !id.is_empty() {
        return id.into();
    }
    if choice == 0 {
        format!("call_{nonce}_{number}").into()
    } else {
        format!("call_{nonce}_{choice}_{number}").into()
    }
}

fn say_plain(o: &mut Object<'_>, part: &Part<'_>) {
    match &part.content {
        Content::Text(text) | Content::Refusal(text) => {
            o.str("text", text);
        }
        Content::Image(media) => part::write_media(o, media, "image/png", |_| {}),
        Content::Audio(media) => part::write_media(o, media, "audio/wav", |_| {}),
        Content::Video(media) => part::write_media(o, media, "video/mp4", |_| {}),
        Content::File(media) => part::write_media(o, media, "application/pdf", |_| {}),
        Content::Thought(_) | Content::Call(_) | Content::Outcome(_) | Content::Vendor { .. } => {}
    }
}
