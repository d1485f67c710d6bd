//! An answer, read.

use crate::dialect::Dialect;
use crate::dialect::hub::{
    Call, CallKind, Choice, Citation, Content, Extras, Media, Part, Reply, Source, Stop, Text, Thought,
};
use crate::dialect::json::Walker;
use crate::dialect::responses::carry::{self, Carried};
use crate::dialect::responses::usage as counts;
use crate::dialect::tree::{Node, Wrong};
use crate::vocab::Usage;

/// What an answer says.
pub fn read<'a>(body: &Node<'a>) -> Result<Reply<'a>, Wrong> {
    body.object()?;
    // Without items it is a response all the same if it says how it went.
    let output = match body.at("output") {
        None if body.at("status").is_some() => &[],
        None => body.need("output")?.items()?,
        Some(output) => output.items()?,
    };
    if let Some(odd) = output.iter().find(|item| !item.is_object()) {
        return Err(odd.expected("an object"));
    }
    let all: Vec<Part<'a>> = output.iter().flat_map(parts).collect();
    let mut said = Said::default();
    for part in &all {
        said.hear(&part.content);
    }
    let text = |key: &str| body.at(key).and_then(Node::text);
    let texts = output.iter().flat_map(|item| item.at("content").map(Node::elements).unwrap_or_default());
    Ok(Reply {
        dialect: Dialect::Responses,
        id: text("id").unwrap_or_default(),
        model: text("model").unwrap_or_default(),
        created: body.at("created_at").and_then(Node::as_number).filter(|at| *at >= 1.0).map(|at| at as u64),
        choices: vec![Choice { logprobs: logprobs(texts), ..Choice::new(all, stop(body, said)) }],
        usage: usage(body),
        tier: text("service_tier"),
        extras: Extras::default(),
    })
}

/// What was said, as far as it tells why the answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub call: bool,
    pub refusal: bool,
}

impl Said {
    fn hear(&mut self, content: &Content<'_>) {
        match content {
            Content::Call(_) => self.call = true,
            Content::Refusal(_) => self.refusal = true,
            Content::Text(_)
            | Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::File(_)
            | Content::Thought(_)
            | Content::Outcome(_)
            | Content::Vendor { .. } => {}
        }
    }
}

/// Why it ended. The wire tells only whether it is whole.
pub fn stop(response: &Node<'_>, said: Said) -> Stop<'static> {
    match response.at("status").and_then(Node::as_str) {
        Some("incomplete") => {
            match response.at("incomplete_details").and_then(|it| it.at("reason")?.as_str()) {
                Some("content_filter") => Stop::Filter,
                Some("steered") => Stop::Pause,
                _ => Stop::Length,
            }
        }
        Some("failed" | "cancelled") => Stop::Failed,
        // In the background.
        Some("queued" | "in_progress") => Stop::Pause,
        _ if said.call => Stop::Calls,
        _ if said.refusal => Stop::Refusal,
        _ => Stop::End,
    }
}

pub fn usage(response: &Node<'_>) -> Option<Usage> {
    let usage = response.at("usage")?;
    counts::read(&mut Walker::new(usage.raw().as_bytes())).ok().flatten()
}

/// The parts of one item.
pub fn parts<'a>(item: &Node<'a>) -> Vec<Part<'a>> {
    let text = |key: &str| item.at(key).and_then(Node::text);
    let kind = text("type").unwrap_or_default();
    match &*kind {
        "message" => {
            let said = item.at("content");
            let text = said.and_then(Node::text).filter(|text| !text.is_empty()).map(Part::text);
            text.into_iter().chain(said.map(Node::elements).unwrap_or_default().iter().map(content)).collect()
        }
        "reasoning" => {
            thoughts(item).into_iter().map(|thought| Part::new(Content::Thought(thought))).collect()
        }
        "function_call" | "custom_tool_call" => {
            let (kind, input) = call_kind(&kind);
            vec![Part::new(Content::Call(Call {
                id: text("call_id").or_else(|| text("id")).unwrap_or_default(),
                name: text("name").unwrap_or_default(),
                // Some vendors send the object itself instead of its text.
                arguments: item
                    .at(input)
                    .map(|said| said.text().unwrap_or(Text::Borrowed(said.raw())))
                    .unwrap_or_default(),
                kind,
                signature: None,
            }))]
        }
        "image_generation_call" if item.at("result").is_some_and(Node::is_string) => {
            vec![Part::new(Content::Image(picture(item)))]
        }
        _ => vec![Part::new(Content::Vendor { kind, raw: item.raw() })],
    }
}

/// A call's kind, and the member that holds its arguments.
pub fn call_kind(kind: &str) -> (CallKind, &'static str) {
    if kind == "custom_tool_call" { (CallKind::Custom, "input") } else { (CallKind::Function, "arguments") }
}

fn content<'a>(part: &Node<'a>) -> Part<'a> {
    let text = |key: &str| part.at(key).and_then(Node::text);
    let kind = text("type").unwrap_or_default();
    match &*kind {
        "output_text" | "text" => {
            let mut read = Part::text(text("text").unwrap_or_default());
            read.citations =
                part.at("annotations").map(Node::elements).unwrap_or_default().iter().map(cite).collect();
            read
        }
        "refusal" => Part::new(Content::Refusal(text("refusal").unwrap_or_default())),
        _ => Part::new(Content::Vendor { kind, raw: part.raw() }),
    }
}

/// One of `annotations`.
pub fn cite<'a>(annotation: &Node<'a>) -> Citation<'a> {
    let text = |key: &str| annotation.at(key).and_then(Node::text);
    Citation { url: text("url"), title: text("title"), place: None, raw: annotation.raw() }
}

/// A thought for each text of the item, all with its id; what has to be sent back is the last one's.
/// Nothing for an item that says nothing.
pub fn thoughts<'a>(item: &Node<'a>) -> Vec<Thought<'a>> {
    let id = item.at("id").and_then(Node::text);
    let mut thoughts = Vec::new();
    for (list, is_summary) in [("summary", true), ("content", false)] {
        for text in item.at(list).map(Node::elements).unwrap_or_default() {
            let text = text.at("text").and_then(Node::text).unwrap_or_default();
            thoughts.push(Thought { text, is_summary, id: id.clone(), ..Thought::default() });
        }
    }
    if let Some(carried) = signature(item) {
        if thoughts.is_empty() {
            thoughts.push(Thought { is_summary: true, id, ..Thought::default() });
        }
        if let Some(last) = thoughts.last_mut() {
            last.is_redacted = carried.is_redacted;
            last.signature = Some(carried.signature);
        }
    }
    thoughts
}

pub fn signature<'a>(item: &Node<'a>) -> Option<Carried<'a>> {
    let encrypted = item.at("encrypted_content").and_then(Node::text).filter(|text| !text.is_empty());
    encrypted.and_then(carry::unseal)
}

pub fn picture<'a>(item: &Node<'a>) -> Media<'a> {
    let data = item.at("result").and_then(Node::text).unwrap_or_default();
    let format = item.at("output_format").and_then(Node::as_str).unwrap_or("png");
    Media::new(Source::Base64(data), Some(Text::Owned(format!("image/{format}"))))
}

/// Those of all texts, in chat's form.
pub fn logprobs<'n, 'a: 'n>(texts: impl IntoIterator<Item = &'n Node<'a>>) -> Option<Text<'static>> {
    let tokens =
        texts.into_iter().flat_map(|part| part.at("logprobs").map(Node::elements).unwrap_or_default());
    let tokens: Vec<&str> = tokens.map(Node::raw).collect();
    (!tokens.is_empty()).then(|| Text::Owned(format!("{{\"content\":[{}]}}", tokens.join(","))))
}
