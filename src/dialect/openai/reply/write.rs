//! A caller's answer.

use std::borrow::Cow;

use crate::dialect::Dialect;
use crate::dialect::hub::{Choice, Citation, Content, Family, Manner, Media, Part, Reply, Source, Thought};
use crate::dialect::openai::{calls, nested, stops, thoughts, usage};
use crate::dialect::tree;
use crate::dialect::write::{self, Array, Object};

/// How long a made-up reference to a sound would live; nobody can use it.
const AUDIO_SECONDS: u64 = 3_600;

/// The answer that says the same.
pub fn write(reply: &Reply<'_>, manner: &Manner, out: &mut Vec<u8>) {
    let is_own = reply.dialect == Dialect::OpenAi;
    write::object(out, |object| {
        object.str("id", &id(&reply.id, manner)).str("object", "chat.completion");
        object.number("created", reply.created.unwrap_or(manner.now));
        object.str("model", if reply.model.is_empty() { &manner.model } else { &reply.model });
        object.array("choices", |array| {
            let mut called = 0;
            for choice in &reply.choices {
                array.object(|object| write_choice(reply, choice, &mut called, manner, object));
            }
        });
        if let Some(usage) = &reply.usage {
            usage::write(usage, object);
        }
        object.str_if("service_tier", reply.tier.as_deref().and_then(|word| tier(word, is_own)));
        if is_own {
            nested::write_outer(&reply.extras, object);
        }
    });
}

/// OpenAI's ids begin alike, and some callers look.
pub fn id<'t>(id: &'t str, manner: &'t Manner) -> Cow<'t, str> {
    const BEGIN: &str = "chatcmpl-";
    if id.starts_with(BEGIN) {
        return Cow::Borrowed(id);
    }
    Cow::Owned([BEGIN, if id.is_empty() { &manner.nonce } else { id }].concat())
}

/// The id of a call that has none; `count` of such calls came before it.
pub fn call_id(count: u32, manner: &Manner) -> String {
    format!("call_{}_{count}", manner.nonce)
}

/// The tier in OpenAI's words, as far as it has one; those who speak its dialect have more, and keep them.
fn tier(word: &str, is_own: bool) -> Option<&str> {
    match word {
        "standard" | "STANDARD" | "ON_DEMAND" | "on_demand" => Some("default"),
        "auto" | "default" | "flex" | "scale" | "priority" | "fast" => Some(word),
        other => Some(other).filter(|_| is_own),
    }
}

fn write_choice(
    reply: &Reply<'_>,
    choice: &Choice<'_>,
    called: &mut u32,
    manner: &Manner,
    object: &mut Object<'_>,
) {
    let is_own = reply.dialect == Dialect::OpenAi;
    let refusal = all_of(&choice.parts, as_refusal);
    let held = stops::Held { call: false, refusal: refusal.is_some() };
    object.number("index", choice.index).object("message", |message| {
        write_message(&choice.parts, refusal.as_deref(), called, manner, message);
        if is_own {
            nested::write(&choice.extras, "message", message);
        }
    });
    object.raw("logprobs", choice.logprobs.as_deref().unwrap_or("null"));
    object.str("finish_reason", stops::name(&choice.stop, held));
    if is_own {
        nested::write_outer(&choice.extras, object);
    }
}

fn write_message(
    parts: &[Part<'_>],
    refusal: Option<&str>,
    called: &mut u32,
    manner: &Manner,
    message: &mut Object<'_>,
) {
    message.str("role", "assistant");
    or_null("content", all_of(parts, as_text).as_deref(), message);
    or_null("refusal", refusal, message);
    write_thoughts(parts, message);
    write_annotations(parts, message);
    write_made(parts, manner, message);
    if parts.iter().any(|part| matches!(part.content, Content::Call(_))) {
        message.array("tool_calls", |array| {
            for part in parts {
                if let Content::Call(call) = &part.content {
                    let id = if call.id.is_empty() { &*call_id(*called, manner) } else { &call.id };
                    *called += 1;
                    let signature = call.signature.as_ref().map(|signature| signature.seal(Family::Gemini));
                    array.object(|object| calls::write(call, id, signature.as_deref(), object));
                }
            }
        });
    }
}

fn as_text<'p>(content: &'p Content<'_>) -> Option<&'p str> {
    if let Content::Text(text) = content { Some(text) } else { None }
}

fn as_refusal<'p>(content: &'p Content<'_>) -> Option<&'p str> {
    if let Content::Refusal(text) = content { Some(text) } else { None }
}

/// All texts of a kind as one; `None` if there is no such part.
fn all_of<'p>(
    parts: &'p [Part<'_>],
    pick: impl Fn(&'p Content<'_>) -> Option<&'p str>,
) -> Option<Cow<'p, str>> {
    let mut texts = parts.iter().filter_map(|part| pick(&part.content));
    let first = Cow::Borrowed(texts.next()?);
    Some(texts.fold(first, |all, text| all + text))
}

fn or_null(key: &str, text: Option<&str>, object: &mut Object<'_>) {
    match text {
        Some(text) => object.str(key, text),
        None => object.null(key),
    };
}

/// The text to read, and all of it to send back.
fn write_thoughts(parts: &[Part<'_>], message: &mut Object<'_>) {
    let all: Vec<&Thought<'_>> = parts
        .iter()
        .filter_map(|part| if let Content::Thought(thought) = &part.content { Some(thought) } else { None })
        .collect();
    message.str_if("reasoning_content", thoughts::joined(all.iter().copied()).as_deref());
    if !all.is_empty() {
        message.array("reasoning_details", |array| {
            let mut index = 0;
            for thought in all {
                thoughts::write(thought, thought.signature.as_ref(), &mut index, array);
            }
        });
    }
}

fn write_annotations(parts: &[Part<'_>], message: &mut Object<'_>) {
    let citations = || parts.iter().flat_map(|part| &part.citations);
    if citations().next().is_none() {
        return;
    }
    message.array("annotations", |array| {
        for Citation { url, title, place, raw } in citations() {
            write_annotation((url.as_deref(), title.as_deref()), *place, raw, None, array);
        }
    });
}

/// One of `annotations`: OpenAI's own as it is, another's as far as it tells a URL. `index` is its place in a
/// stream: OpenAI's SDK joins lists of several chunks by it, and raises when it is missing.
pub fn write_annotation(
    (url, title): (Option<&str>, Option<&str>),
    place: Option<(u64, u64)>,
    raw: &str,
    index: Option<u32>,
    array: &mut Array<'_>,
) {
    let node = tree::parse(raw.as_bytes()).ok();
    let node = node.as_ref();
    // OpenRouter also notes the files that it read.
    let own = node.filter(|node| node.at("url_citation").is_some() || node.at("file").is_some());
    if let Some(node) = own {
        array.object(|object| {
            for (key, value) in node.members().iter().filter(|(key, _)| index.is_none() || key != "index") {
                object.raw(key, value.raw());
            }
            object.number_if("index", index);
        });
    } else if let Some(url) = url {
        let said = |key| node.and_then(|node| node.at(key)?.as_integer()).unwrap_or(0);
        let (start, end) = place.unwrap_or_else(|| (said("start_index"), said("end_index")));
        array.object(|object| {
            object.str("type", "url_citation").object("url_citation", |citation| {
                citation.str("url", url).str("title", title.unwrap_or_default());
                citation.number("start_index", start).number("end_index", end);
            });
            object.number_if("index", index);
        });
    }
}

/// Images as OpenRouter sends them, a sound as OpenAI does.
fn write_made(parts: &[Part<'_>], manner: &Manner, message: &mut Object<'_>) {
    let url_of = |part: &Part<'_>| match &part.content {
        Content::Image(media) => media.as_url().map(Cow::into_owned),
        _ => None,
    };
    let urls: Vec<_> = parts.iter().filter_map(url_of).collect();
    if !urls.is_empty() {
        message.array("images", |array| {
            for url in &urls {
                write_image(url, None, array);
            }
        });
    }
    let audio = parts.iter().find_map(|part| match &part.content {
        Content::Audio(Media { source: Source::Base64(data), .. }) => Some((part, data)),
        _ => None,
    });
    if let Some((part, data)) = audio {
        message.object("audio", |object| {
            if part.extras.is_empty() {
                object.str("id", &format!("audio_{}", manner.nonce));
                object.number("expires_at", manner.now.saturating_add(AUDIO_SECONDS)).str("transcript", "");
            } else {
                part.extras.write(object);
            }
            object.str("data", data);
        });
    }
}

/// `index` is its place in a stream.
pub fn write_image(url: &str, index: Option<u32>, array: &mut Array<'_>) {
    array.object(|object| {
        object.str("type", "image_url").object("image_url", |image| {
            image.str("url", url);
        });
        object.number_if("index", index);
    });
}
