//! An upstream's answer. Read leniently: vendors add what they like, and leave out what they like.

use std::borrow::Cow;

use crate::dialect::Dialect;
use crate::dialect::hub::{
    Call, Choice, Citation, Content, Extras, Media, Part, Reply, Source, Text, Thought,
};
use crate::dialect::openai::{calls, nested, stops, thoughts, usage};
use crate::dialect::tree::{Node, Wrong};

const KNOWN: &[&str] = &["id", "object", "model", "created", "choices", "usage", "service_tier"];
const KNOWN_OF_CHOICE: &[&str] =
    &["index", "message", "delta", "finish_reason", "logprobs", "stop_reason", "matched_stop"];
const KNOWN_OF_MESSAGE: &[&str] = &[
    "role",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "reasoning_content",
    "reasoning",
    "reasoning_details",
    "annotations",
    "audio",
    "images",
];

/// What an answer says.
pub fn read<'a>(body: &Node<'a>) -> Result<Reply<'a>, Wrong> {
    let choices = body.need("choices")?.items()?;
    let mut choices = choices.iter().map(choice).collect::<Result<Vec<_>, _>>()?;
    if let Some(first) = choices.first_mut() {
        credit(body, &mut first.parts);
    }
    if choices.is_empty() {
        choices.push(Choice::new(Vec::new(), stops::unsaid(stops::Held::default())));
    }
    Ok(Reply {
        dialect: Dialect::OpenAi,
        id: text(body, "id"),
        model: text(body, "model"),
        created: body.at("created").and_then(Node::as_integer).filter(|created| *created > 0),
        choices,
        usage: usage::of(body),
        tier: body.at("service_tier").and_then(Node::text),
        extras: Extras::of(body, KNOWN),
    })
}

fn text<'a>(node: &Node<'a>, key: &str) -> Text<'a> {
    node.at(key).and_then(Node::text).unwrap_or_default()
}

fn choice<'a>(node: &Node<'a>) -> Result<Choice<'a>, Wrong> {
    // Perplexity sends an empty `delta` as well.
    let message = node.object()?.at("message").or_else(|| node.at("delta"));
    let mut extras = Extras::of(node, KNOWN_OF_CHOICE);
    let mut parts = Vec::new();
    if let Some(message) = message {
        parts = read_message(message.object()?)?;
        nested::keep(&mut extras, "message", message, KNOWN_OF_MESSAGE);
    }
    let held = stops::Held {
        call: parts.iter().any(|part| matches!(part.content, Content::Call(_))),
        refusal: parts.iter().any(|part| matches!(part.content, Content::Refusal(_))),
    };
    let index = node.at("index").and_then(Node::as_integer).and_then(|index| u32::try_from(index).ok());
    Ok(Choice {
        index: index.unwrap_or(0),
        parts,
        stop: stops::read(node, held).unwrap_or_else(|| stops::unsaid(held)),
        logprobs: node.at("logprobs").filter(|said| said.is_object()).map(|said| Cow::Borrowed(said.raw())),
        extras,
    })
}

/// Reasoning, what is said, and the calls, in this order.
fn read_message<'a>(message: &Node<'a>) -> Result<Vec<Part<'a>>, Wrong> {
    let mut past = thoughts::read(message);
    let mut called = called(message)?;
    thoughts::claim(&mut past, &mut called);
    let mut parts: Vec<_> = past.into_iter().map(|thought| Part::new(Content::Thought(thought))).collect();
    if let Some(content) = message.at("content") {
        read_content(content, &mut parts);
    }
    Part::cite(
        &mut parts,
        message.at("annotations").map(Node::elements).unwrap_or_default().iter().map(cite),
    );
    let refusal = message.at("refusal").and_then(Node::text).filter(|text| !text.is_empty());
    parts.extend(refusal.map(|text| Part::new(Content::Refusal(text))));
    parts.extend(made(message));
    parts.extend(called.into_iter().map(|call| Part::new(Content::Call(call))));
    Ok(parts)
}

fn called<'a>(message: &Node<'a>) -> Result<Vec<Call<'a>>, Wrong> {
    let nodes = message.at("tool_calls").map(Node::elements).unwrap_or_default();
    let mut called = nodes.iter().map(calls::read).collect::<Result<Vec<_>, _>>()?;
    called.extend(calls::legacy(message).map(calls::read_legacy).transpose()?);
    Ok(called)
}

fn read_content<'a>(content: &Node<'a>, parts: &mut Vec<Part<'a>>) {
    if let Some(text) = content.text().filter(|text| !text.is_empty()) {
        parts.push(Part::text(text));
    }
    for node in content.elements() {
        parts.push(match node.at("type").and_then(Node::as_str) {
            Some("text") => Part::text(text(node, "text")),
            Some("thinking") => {
                let text = thoughts::of_part(node);
                Part::new(Content::Thought(Thought { text, ..Thought::default() }))
            }
            Some("refusal") => Part::new(Content::Refusal(text(node, "refusal"))),
            Some("image_url") => match image(node) {
                Some(media) => Part::new(Content::Image(media)),
                None => continue,
            },
            _ => Part::new(Content::Vendor { kind: text(node, "type"), raw: node.raw() }),
        });
    }
}

/// One of `annotations`.
pub fn cite<'a>(note: &Node<'a>) -> Citation<'a> {
    let said = note.at("url_citation").unwrap_or(note);
    let text = |key: &str| said.at(key).and_then(Node::text);
    Citation { url: text("url"), title: text("title"), place: None, raw: note.raw() }
}

/// Perplexity's sources, which stand beside the choices.
pub fn sources<'n, 'a>(body: &'n Node<'a>) -> impl Iterator<Item = Citation<'a>> + use<'n, 'a> {
    let said = body.at("search_results").or_else(|| body.at("citations"));
    said.map(Node::elements).unwrap_or_default().iter().map(|source| {
        let url = source.at("url").unwrap_or(source).text();
        Citation { url, title: source.at("title").and_then(Node::text), place: None, raw: source.raw() }
    })
}

/// Gives the last text those sources, unless the answer has told its own.
fn credit<'a>(body: &Node<'a>, parts: &mut Vec<Part<'a>>) {
    let is_told = parts.iter().any(|part| !part.citations.is_empty());
    if !is_told && parts.iter().any(|part| part.as_text().is_some()) {
        Part::cite(parts, sources(body));
    }
}

/// Images (OpenRouter) and sounds that the model made.
fn made<'a>(message: &Node<'a>) -> Vec<Part<'a>> {
    let images = message.at("images").map(Node::elements).unwrap_or_default();
    let mut parts: Vec<_> =
        images.iter().filter_map(image).map(|media| Part::new(Content::Image(media))).collect();
    let audio = message.at("audio").and_then(|audio| Some((audio, audio.at("data")?.text()?)));
    if let Some((audio, data)) = audio {
        let mut part = Part::new(Content::Audio(Media::new(Source::Base64(data), None)));
        part.extras = Extras::of(audio, &["data"]);
        parts.push(part);
    }
    parts
}

/// `{"type":"image_url","image_url":{"url":…}}`
pub fn image<'a>(node: &Node<'a>) -> Option<Media<'a>> {
    let said = node.at("image_url")?;
    said.at("url").unwrap_or(said).text().map(Media::of_url)
}
