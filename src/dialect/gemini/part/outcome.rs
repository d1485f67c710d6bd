//! What came of a call: `functionResponse`, whose answer is always an object.
//!
//! Others say a text. An object passes as the text that it is; a text that is none becomes
//! `{"result": …}`, or `{"error": …}` when the tool failed, which is how Google's documentation has it.

use std::borrow::Cow;

use crate::dialect::hub::{CallKind, Content, Media, Outcome, Part, Source, Text};
use crate::dialect::json::{Kind, Walker};
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{self, Object};

use super::{Reading, media};
use crate::dialect::gemini::names::{self, member};

const KNOWN: [&str; 4] = ["id", "name", "response", "parts"];

pub fn read<'a>(node: &Node<'a>, reading: Reading) -> Result<Part<'a>, Wrong> {
    let name = match member(node, "name") {
        Some(name) => name.string()?,
        None => node.need("name")?.string()?,
    };
    let mut content = Vec::new();
    let mut is_error = None;
    if let Some(response) = member(node, "response") {
        let (text, failed) = unwrap(response)?;
        content.extend(text.map(Part::text));
        is_error = failed.then_some(true);
    }
    for part in member(node, "parts").map(Node::items).transpose()?.unwrap_or_default() {
        content.push(read_media(part, reading)?);
    }
    let call_id = member(node, "id").map(Node::string).transpose()?.unwrap_or_default();
    let kind = CallKind::Function;
    let mut part =
        Part::new(Content::Outcome(Outcome { call_id, name: Some(name), content, is_error, kind }));
    names::keep(&mut part.extras, "functionResponse.", node, &KNOWN);
    Ok(part)
}

fn read_media<'a>(node: &Node<'a>, reading: Reading) -> Result<Part<'a>, Wrong> {
    let mut part = if let Some(inline) = member(node.object()?, "inlineData") {
        media::read_inline(inline, reading)?
    } else if let Some(file) = member(node, "fileData") {
        media::read_file(file)?
    } else {
        return Err(node.wrong("a part of a functionResponse needs inlineData or fileData"));
    };
    names::keep(&mut part.extras, "", node, &["inlineData", "fileData"]);
    Ok(part)
}

/// The text of an answer, and whether it tells a failure.
fn unwrap<'a>(response: &Node<'a>) -> Result<(Option<Text<'a>>, bool), Wrong> {
    let [(key, value)] = response.object()?.members() else {
        return Ok(((!response.members().is_empty()).then(|| response.raw().into()), false));
    };
    // A text that looks like an object would be taken for one when it is written again.
    let text = value.text().filter(|text| write::as_object(text).is_none());
    Ok(match (&**key, text) {
        ("result", Some(text)) => (Some(text), false),
        ("error", Some(text)) => (Some(text), true),
        ("error", None) if !value.is_null() => (Some(response.raw().into()), true),
        _ => (Some(response.raw().into()), false),
    })
}

/// Says an outcome. `name` is the tool's; `parts` says the media that belong to it, if they go here.
pub fn write_outcome(
    o: &mut Object<'_>,
    outcome: &Outcome<'_>,
    id: Option<&str>,
    rest: impl FnOnce(&mut Object<'_>),
) {
    o.object("functionResponse", |o| {
        o.str_if("id", id).str("name", outcome.name.as_deref().unwrap_or("tool"));
        let text = text(&outcome.content);
        let failed = outcome.is_error == Some(true);
        match text.as_deref().map(|text| (text, write::as_object(text))) {
            None => o.object("response", |_| {}),
            Some((_, Some(object))) if !failed || tells_error(object) => o.raw("response", object),
            Some((text, _)) => o.object("response", |o| {
                o.str(if failed { "error" } else { "result" }, text);
            }),
        };
        rest(o);
    });
}

fn tells_error(object: &str) -> bool {
    let mut tells = false;
    // Nothing is built: the values of a text are not among those of the body.
    let walked = Walker::new(object.as_bytes()).if_object(|walker, key| {
        let kind = walker.skip()?;
        if key.is("error") {
            tells = kind != Kind::Null;
        }
        Ok(())
    });
    walked.is_ok() && tells
}

/// All that is text of an outcome, documents of it included: a part of a functionResponse is data or a file.
fn text<'p>(content: &'p [Part<'_>]) -> Option<Cow<'p, str>> {
    let mut texts = content.iter().filter_map(|part| match &part.content {
        Content::Text(text)
        | Content::Refusal(text)
        | Content::File(Media { source: Source::Text(text), .. }) => Some(&**text),
        _ => None,
    });
    let first = texts.next()?;
    let Some(second) = texts.next() else { return Some(Cow::Borrowed(first)) };
    let mut joined = format!("{first}\n{second}");
    for text in texts {
        joined.push('\n');
        joined.push_str(text);
    }
    Some(Cow::Owned(joined))
}
