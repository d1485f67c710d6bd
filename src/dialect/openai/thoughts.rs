//! Reasoning: `reasoning_content`, `reasoning` and `reasoning_details`.
//!
//! OpenAI shows none. Compatible vendors send its text as `reasoning_content` (DeepSeek and most) or
//! `reasoning` (Groq, Cerebras, OpenRouter), Mistral as parts of the content. What has to come back
//! signed travels in `reasoning_details`, OpenRouter's form, whose entries name the signature's family
//! by their `format` (<https://openrouter.ai/docs/use-cases/reasoning-tokens>). We say it the same way
//! to our callers, with `reasoning_content` beside it for those who only want to read.

use std::borrow::Cow;

use crate::dialect::hub::{Call, Family, Signature, Text, Thought};
use crate::dialect::tree::Node;
use crate::dialect::write::{Array, Object};

/// One entry of `reasoning_details`, or a piece of one in a stream.
#[derive(Clone, Debug)]
pub struct Detail<'a> {
    pub kind: Kind,
    pub text: Text<'a>,
    pub signature: Option<Signature<'a>>,
    pub id: Option<Text<'a>>,
    index: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Summary,
    /// Its text is a signature, or all that there is.
    Encrypted,
}

/// What the next entry has to know of the thought before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub is_summary: bool,
    pub is_redacted: bool,
    pub is_signed: bool,
    index: Option<u64>,
}

impl<'a> Detail<'a> {
    /// `None` for entries of types that are not known.
    pub fn read(node: &Node<'a>) -> Option<Self> {
        let (kind, said, signed) = match node.at("type")?.as_str()? {
            "reasoning.text" => (Kind::Text, "text", "signature"),
            "reasoning.summary" => (Kind::Summary, "summary", "signature"),
            "reasoning.encrypted" => (Kind::Encrypted, "", "data"),
            _ => return None,
        };
        let id = node.at("id").and_then(Node::text);
        let family = family(node.at("format").and_then(Node::as_str), id.as_deref());
        let value = node.at(signed).and_then(Node::text).filter(|value| !value.is_empty());
        Some(Self {
            kind,
            text: node.at(said).and_then(Node::text).unwrap_or_default(),
            signature: value.map(|value| Signature { family, value }),
            id,
            index: node.at("index").and_then(Node::as_integer),
        })
    }

    /// The thought that it begins.
    pub fn shape(&self) -> Shape {
        let family = self.signature.as_ref().map(|signature| signature.family);
        Shape {
            is_summary: self.kind == Kind::Summary,
            is_redacted: self.kind == Kind::Encrypted
                && matches!(family, Some(Family::Anthropic | Family::Other)),
            is_signed: self.signature.is_some(),
            index: self.index,
        }
    }

    /// Whether it goes on with the thought before it: pieces of a stream have the same index, and
    /// OpenAI's encrypted reasoning follows the summary that shows it.
    pub fn continues(&self, last: Shape) -> bool {
        let is_beside = self.index == last.index && (self.index.is_some() || self.text.is_empty());
        !last.is_redacted
            && !last.is_signed
            && match self.kind {
                Kind::Text => is_beside && !last.is_summary,
                Kind::Summary => is_beside && last.is_summary,
                Kind::Encrypted => {
                    self.signature.as_ref().is_some_and(|signature| signature.family.encrypts())
                }
            }
    }

    fn begin(self) -> Thought<'a> {
        let Shape { is_summary, is_redacted, .. } = self.shape();
        Thought { text: self.text, is_summary, signature: self.signature, is_redacted, id: self.id }
    }
}

/// The thoughts of a whole message or answer.
pub fn read<'a>(message: &Node<'a>) -> Vec<Thought<'a>> {
    let mut thoughts: Vec<Thought<'a>> = Vec::new();
    let mut last = None;
    let details = message.at("reasoning_details").map(Node::elements).unwrap_or_default();
    for detail in details.iter().filter_map(Detail::read) {
        match thoughts.last_mut().zip(last.as_mut()) {
            Some((thought, last)) if detail.continues(*last) => {
                if !detail.text.is_empty() {
                    thought.text.to_mut().push_str(&detail.text);
                }
                last.is_signed |= detail.signature.is_some();
                thought.signature = thought.signature.take().or(detail.signature);
                thought.id = thought.id.take().or(detail.id);
            }
            Some(_) | None => {
                last = Some(detail.shape());
                thoughts.push(detail.begin());
            }
        }
    }
    match plain(message) {
        Some(text) if thoughts.iter().all(|thought| thought.text.is_empty()) => show(&mut thoughts, text),
        Some(_) | None => {}
    }
    thoughts.retain(|thought| !thought.text.is_empty() || thought.signature.is_some());
    thoughts
}

/// The text alone, as most vendors send it.
pub fn plain<'a>(message: &Node<'a>) -> Option<Text<'a>> {
    let said = |key| message.at(key).and_then(Node::text).filter(|text| !text.is_empty());
    said("reasoning_content").or_else(|| said("reasoning"))
}

/// Puts the text into the thought that its signature belongs to.
fn show<'a>(thoughts: &mut Vec<Thought<'a>>, text: Text<'a>) {
    match thoughts.iter_mut().find(|thought| !thought.is_redacted) {
        Some(thought) => {
            thought.is_summary |=
                thought.signature.as_ref().is_some_and(|signature| signature.family.encrypts());
            thought.text = text;
        }
        None => thoughts.insert(0, Thought { text, ..Thought::default() }),
    }
}

/// Gives each call the signature that OpenRouter sends apart from it, under the call's id.
pub fn claim<'a>(thoughts: &mut Vec<Thought<'a>>, calls: &mut [Call<'a>]) {
    thoughts.retain_mut(|thought| {
        let id = thought.id.as_deref().filter(|_| thought.text.is_empty());
        let Some(call) = id.and_then(|id| calls.iter_mut().find(|call| call.id == id)) else { return true };
        call.signature = call.signature.take().or(thought.signature.take());
        false
    });
}

/// The text of Mistral's content part: `{"type":"thinking","thinking":[{"type":"text","text":…}]}`.
pub fn of_part<'a>(part: &Node<'a>) -> Text<'a> {
    let Some(said) = part.at("thinking") else { return Text::default() };
    let mut pieces = said.elements().iter().filter_map(|piece| piece.at("text")?.text());
    let first = said.text().or_else(|| pieces.next()).unwrap_or_default();
    pieces.fold(first, |text, piece| text + piece)
}

/// Writes a thought as entries of `reasoning_details`. `index` counts them.
pub fn write(
    thought: &Thought<'_>,
    signature: Option<&Signature<'_>>,
    index: &mut u32,
    array: &mut Array<'_>,
) {
    let encrypted = signature.filter(|signature| is_encrypted(signature, thought.is_redacted));
    let signed = signature.filter(|_| encrypted.is_none());
    let id = thought.id.as_deref();
    if !thought.text.is_empty() || signed.is_some() {
        array.object(|entry| {
            write_text(thought.is_summary, &thought.text, entry);
            if let Some(signature) = signed {
                entry.str("signature", &signature.value).str("format", format(signature.family));
            }
            entry.str_if("id", id.filter(|_| encrypted.is_none())).number("index", *index);
        });
        *index += 1;
    }
    if let Some(signature) = encrypted {
        array.object(|entry| write_encrypted(signature, id, *index, entry));
        *index += 1;
    }
}

pub fn write_text(is_summary: bool, text: &str, entry: &mut Object<'_>) {
    if is_summary {
        entry.str("type", "reasoning.summary").str("summary", text);
    } else {
        entry.str("type", "reasoning.text").str("text", text);
    }
}

pub fn write_encrypted(signature: &Signature<'_>, id: Option<&str>, index: u32, entry: &mut Object<'_>) {
    entry.str("type", "reasoning.encrypted").str("data", &signature.value).str_if("id", id);
    entry.str("format", format(signature.family)).number("index", index);
}

/// A signature that stands for the whole thought, not one beside its text.
pub fn is_encrypted(signature: &Signature<'_>, is_redacted: bool) -> bool {
    is_redacted || signature.family.encrypts()
}

/// OpenRouter's name of a family's signatures.
pub const fn format(family: Family) -> &'static str {
    match family {
        Family::OpenAi => "openai-responses-v1",
        Family::Anthropic => "anthropic-claude-v1",
        Family::Gemini => "google-gemini-v1",
        Family::Xai => "xai-responses-v1",
        Family::Other => "unknown",
    }
}

/// Whose signature it is. Without a format, the id of an OpenAI item gives it away.
fn family(format: Option<&str>, id: Option<&str>) -> Family {
    match format {
        Some("openai-responses-v1" | "azure-openai-responses-v1") => Family::OpenAi,
        Some("anthropic-claude-v1") => Family::Anthropic,
        Some("google-gemini-v1") => Family::Gemini,
        Some("xai-responses-v1") => Family::Xai,
        None if id.is_some_and(|id| id.starts_with("rs_")) => Family::OpenAi,
        Some(_) | None => Family::Other,
    }
}

/// The readable text of all of them: `reasoning_content`.
pub fn joined<'t>(thoughts: impl Iterator<Item = &'t Thought<'t>>) -> Option<Cow<'t, str>> {
    let mut texts = thoughts.map(|thought| &*thought.text).filter(|text| !text.is_empty());
    let first = Cow::Borrowed(texts.next()?);
    Some(texts.fold(first, |all, text| all + "\n\n" + text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::{tree, write as json};

    fn details(thoughts: &[Thought<'_>]) -> String {
        let mut index = 0;
        json::text(|out| {
            json::object(out, |object| {
                object.array("reasoning_details", |array| {
                    for thought in thoughts {
                        write(thought, thought.signature.as_ref(), &mut index, array);
                    }
                });
            });
        })
    }

    fn signature(family: Family) -> Signature<'static> {
        Signature { family, value: "c2ln".into() }
    }

    #[test]
    fn every_kind_of_thought_comes_back_as_it_was() {
        let text = Thought { text: "Hm.".into(), ..Thought::default() };
        let thoughts = [
            text.clone(),
            Thought { signature: Some(signature(Family::Anthropic)), ..text.clone() },
            Thought {
                signature: Some(signature(Family::Anthropic)),
                is_redacted: true,
                ..Thought::default()
            },
            Thought { signature: Some(signature(Family::Anthropic)), ..Thought::default() },
            Thought { signature: Some(signature(Family::Gemini)), ..text.clone() },
            Thought {
                is_summary: true,
                signature: Some(signature(Family::OpenAi)),
                id: Some("rs_1".into()),
                ..text
            },
            Thought {
                signature: Some(signature(Family::OpenAi)),
                id: Some("rs_2".into()),
                ..Thought::default()
            },
            Thought { signature: Some(signature(Family::Other)), is_redacted: true, ..Thought::default() },
        ];
        for thought in &thoughts {
            let said = details(std::slice::from_ref(thought));
            let node = tree::parse(said.as_bytes()).expect("JSON");
            assert_eq!(read(&node), std::slice::from_ref(thought), "{said}");
        }
        let said = details(&thoughts);
        assert_eq!(read(&tree::parse(said.as_bytes()).expect("JSON")), thoughts, "{said}");
    }

    fn check(message: &str, expected: &[(&str, bool)]) {
        let node = tree::parse(message.as_bytes()).expect("JSON");
        let thoughts = read(&node);
        let seen: Vec<_> =
            thoughts.iter().map(|thought| (&*thought.text, thought.signature.is_some())).collect();
        assert_eq!(seen, expected, "{message}");
    }

    #[test]
    fn pieces_of_one_thought_are_one_thought() {
        check(
            r#"{"reasoning_details":[{"type":"reasoning.text","text":"a","index":0},
                {"type":"reasoning.text","text":"b","index":0},
                {"type":"reasoning.text","signature":"s","format":"anthropic-claude-v1","index":0},
                {"type":"reasoning.text","text":"c","index":1}]}"#,
            &[("ab", true), ("c", false)],
        );
        check(
            r#"{"reasoning_content":"x","reasoning_details":
                [{"type":"reasoning.text","signature":"s","format":"anthropic-claude-v1"}]}"#,
            &[("x", true)],
        );
        check(
            r#"{"reasoning":"x","reasoning_details":
                [{"type":"reasoning.encrypted","data":"d","format":"anthropic-claude-v1"}]}"#,
            &[("x", false), ("", true)],
        );
        check(r#"{"reasoning_content":"","reasoning":"x","reasoning_details":null}"#, &[("x", false)]);
        check(r#"{"reasoning_content":""}"#, &[]);
    }
}
