//! Documents: what the answer may be based on, and cite.
//!
//! Cohere has them beside the messages (`documents`) and in tool results, as an object of any members
//! (`data`) with an id, or as a bare string. They are files of plain text to everybody else. The last
//! user's turn is where they are read to, for that is what they are given for.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::dialect::hub::{Content, Extras, Media, Part, Source, Text, Turn};
use crate::dialect::json;
use crate::dialect::tree::{Node, Wrong};
use crate::dialect::write::{Array, Object};

/// The type of a document whose data has members of its own.
const STRUCTURED: &str = "application/json";
const PLAIN: &str = "text/plain";

/// Reads one document, as it stands in `documents` or under a part's `document`.
pub fn read<'a>(node: &Node<'a>) -> Result<Part<'a>, Wrong> {
    if let Some(text) = node.text() {
        return Ok(file(text, None, None));
    }
    let data = node.object().map_err(|_| node.expected("a string or an object"))?.need("data")?;
    let id = node.at("id").map(Node::string).transpose()?;
    let mut part = match data.text() {
        Some(text) => file(text, Some(PLAIN), id),
        None => structured(data.object().map_err(|_| data.expected("an object or a string"))?, id),
    };
    part.extras = super::request::extras_of(node, &["id", "data"]);
    Ok(part)
}

/// `{text}` and `{text, title}` are plain texts; anything else is JSON.
fn structured<'a>(data: &Node<'a>, id: Option<Text<'a>>) -> Part<'a> {
    let text = data.at("text").and_then(Node::text);
    let title = data.at("title").and_then(Node::text);
    let members = 1 + usize::from(title.is_some());
    match text {
        Some(text) if id.is_none() && data.members().len() == members => file(text, Some(PLAIN), title),
        _ => file(Text::Borrowed(data.raw()), Some(STRUCTURED), id),
    }
}

fn file<'a>(text: Text<'a>, mime: Option<&'static str>, name: Option<Text<'a>>) -> Part<'a> {
    let media = Media::new(Source::Text(text), mime.map(Text::Borrowed));
    Part::new(Content::File(Media { name, ..media }))
}

/// The text of a file that is one: documents, and data that says it is text.
pub fn text_of<'m>(media: &'m Media<'_>) -> Option<Cow<'m, str>> {
    match &media.source {
        Source::Text(text) => Some(Cow::Borrowed(text)),
        Source::Base64(data) => {
            let mime = media.mime.as_deref().unwrap_or_default();
            let textual = mime.starts_with("text/") || mime == STRUCTURED;
            let bytes = textual.then(|| BASE64_STANDARD.decode(data.as_bytes()).ok()).flatten()?;
            String::from_utf8(bytes).ok().map(Cow::Owned)
        }
        Source::Url(_) | Source::FileId(_) => None,
    }
}

/// The text of a part that is a file of it, and the file.
pub fn text_file<'p, 'a>(part: &'p Part<'a>) -> Option<(&'p Media<'a>, Cow<'p, str>)> {
    let Content::File(media) = &part.content else { return None };
    text_of(media).map(|text| (media, text))
}

/// Is there anything beside files of text and tool results in a turn? Files alone are not what an answer
/// is based on but what is said.
pub fn has_company(turn: &Turn<'_>) -> bool {
    let is_outcome = |part: &Part<'_>| matches!(part.content, Content::Outcome(_));
    turn.parts.iter().any(|part| !is_outcome(part) && text_file(part).is_none())
}

/// Writes a file of text into `documents`; `own` is what only Cohere knows of it.
pub fn write(media: &Media<'_>, text: &str, own: Option<&Extras<'_>>, documents: &mut Array<'_>) {
    if media.mime.is_none() && media.name.is_none() {
        documents.str(text);
    } else {
        documents.object(|o| members(media, text, own, o));
    }
}

/// Writes the object of one document, which tool results insist on.
pub fn members(media: &Media<'_>, text: &str, own: Option<&Extras<'_>>, object: &mut Object<'_>) {
    let name = media.name.as_deref();
    let is_object = text.trim_start().starts_with('{') && json::is_whole(text.as_bytes());
    if media.mime.as_deref() == Some(STRUCTURED) && is_object {
        object.str_if("id", name).raw("data", text.trim());
    } else {
        object.object("data", |o| {
            o.str("text", text).str_if("title", name);
        });
    }
    if let Some(own) = own {
        own.write(object);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::dialect::{tree, write as json_writer};

    /// It is read as `(mime, name, text)`, and written again as it was.
    fn check(json: &str, mime: Option<&str>, name: Option<&str>, text: &str) {
        let root = tree::parse(json.as_bytes()).expect("JSON");
        let part = read(&root).expect("a document");
        let Content::File(media) = &part.content else { panic!("{part:?}") };
        let said = text_of(media).expect("text");
        assert_eq!((media.mime.as_deref(), media.name.as_deref(), &*said), (mime, name, text), "{json}");
        let mut out = Vec::new();
        json_writer::array(&mut out, |a| write(media, &said, Some(&part.extras), a));
        let written: Value = serde_json::from_slice(&out).expect("JSON");
        assert_eq!(written[0], serde_json::from_str::<Value>(json).expect("JSON"));
    }

    #[test]
    fn every_form_of_a_document_comes_back() {
        check(r#""plain""#, None, None, "plain");
        check(r#"{"data":{"text":"t"}}"#, Some(PLAIN), None, "t");
        check(r#"{"data":{"text":"t","title":"n"}}"#, Some(PLAIN), Some("n"), "t");
        check(r#"{"id":"d","data":{"text":"t"}}"#, Some(STRUCTURED), Some("d"), r#"{"text":"t"}"#);
        check(r#"{"data":{"a":1}}"#, Some(STRUCTURED), None, r#"{"a":1}"#);
        check(r#"{"data":{"a":1},"x":2}"#, Some(STRUCTURED), None, r#"{"a":1}"#);
    }

    #[test]
    fn a_file_is_text_when_it_says_so() {
        let file = |data: &'static str, mime: &'static str| {
            Media::new(Source::Base64(data.into()), Some(mime.into()))
        };
        assert_eq!(text_of(&file("aGk=", "text/csv")).as_deref(), Some("hi"));
        assert_eq!(text_of(&file("aGk=", "application/pdf")), None);
        assert_eq!(text_of(&file("/w==", "text/plain")), None);
        assert_eq!(text_of(&file("!", "text/plain")), None);
    }
}
