//! What a vendor changes about a dialect's bodies, on the way out.

use std::borrow::Cow;

use memchr::memmem;

use super::{Embeddings, Provider};
use crate::dialect::json::{Text, Walker};
use crate::dialect::tree::{self, Node};
use crate::dialect::write::{self, Object};
use crate::dialect::{Dialect, Operation};

/// What Vertex wants where Anthropic has a header.
const VERTEX_VERSION: (&[u8], &[u8]) = (b"anthropic_version", br#""vertex-2023-10-16""#);

/// How a body has to be changed for a vendor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// As the dialect has it.
    AsIs,
    /// Anthropic's on Vertex: the path names the model, and the body the version.
    VertexAnthropic,
    /// A vector's length is `output_dimension`, where OpenAI has `dimensions`. That it is to be of `float` goes without
    /// saying, and Voyage refuses to hear it.
    OutputDimension,
    /// Google's on Vertex: calls and their results have no ids (WIRE §3.8).
    VertexGemini,
}

impl Provider {
    /// How the body of such a request is changed before it is sent; [`Body::apply`] does it.
    pub fn body_of(&self, dialect: Dialect, operation: Operation) -> Body {
        match (dialect, operation, self.embeddings) {
            (Dialect::Anthropic, ..) => self.anthropic_body,
            (Dialect::Gemini, ..) => self.gemini_body,
            (Dialect::OpenAi, Operation::Embeddings, Embeddings::Mistral | Embeddings::Voyage) => {
                Body::OutputDimension
            }
            _ => Body::AsIs,
        }
    }
}

impl Body {
    /// Might it change this body? Tells without much ado that most are left alone.
    pub fn may_change(self, body: &[u8]) -> bool {
        let has = |needle: &[u8]| memmem::find(body, needle).is_some();
        match self {
            Self::AsIs => false,
            Self::VertexAnthropic | Self::OutputDimension => true,
            Self::VertexGemini => has(b"\"function") && has(b"\"id\""),
        }
    }

    /// The changed body, every other value in it byte for byte as it was; `None` where nothing is to change, or
    /// where it is no JSON object and the vendor may say so.
    pub fn apply(self, operation: Operation, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            _ if !self.may_change(body) => None,
            Self::AsIs => None,
            Self::VertexAnthropic => vertex_anthropic(operation, body),
            Self::OutputDimension => output_dimension(body),
            Self::VertexGemini => vertex_gemini(body),
        }
    }
}

/// A member as it stands in a body: what is between the quotes of its key, and its value.
type Member<'a> = (&'a [u8], &'a [u8]);

fn vertex_anthropic(operation: Operation, body: &[u8]) -> Option<Vec<u8>> {
    // A question for a count goes to one path for all models.
    let keeps_model = operation == Operation::CountTokens;
    let mut versioned = false;
    let mut members = members(body, |key, member| {
        versioned |= key.is("anthropic_version");
        (keeps_model || !key.is("model")).then_some(member)
    })?;
    members.extend((!versioned).then_some(VERTEX_VERSION));
    Some(object(&members, body.len()))
}

fn output_dimension(body: &[u8]) -> Option<Vec<u8>> {
    let (mut changed, mut said) = (false, false);
    let members = members(body, |key, (raw, value)| {
        said |= key.is("output_dimension");
        let renamed = key.is("dimensions");
        let idle = key.is("encoding_format") && value == br#""float""#;
        changed |= renamed || idle;
        (!idle).then_some((if renamed { b"output_dimension" } else { raw }, value))
    })?;
    // Who says both has meant the vendor, who may refuse it.
    (changed && !said).then(|| object(&members, body.len()))
}

/// The members of an object, each as `change` has it or left out; `None` where it is no JSON object.
fn members<'a>(
    body: &'a [u8],
    mut change: impl FnMut(&Text<'a>, Member<'a>) -> Option<Member<'a>>,
) -> Option<Vec<Member<'a>>> {
    let mut members = Vec::new();
    let mut walker = Walker::new(body);
    walker
        .object(|walker, key| {
            let (_, span) = walker.value()?;
            members.extend(change(key, (key.raw, walker.slice(span))));
            Ok(())
        })
        .ok()?;
    walker.end().ok()?;
    Some(members)
}

fn object(members: &[Member<'_>], length: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(length + 64);
    out.push(b'{');
    for (key, value) in members {
        if out.len() > 1 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(key);
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out
}

/// Members on the way to calls and results, in both of Google's spellings.
const WAY: [&str; 7] = [
    "generateContentRequest",
    "contents",
    "parts",
    "functionCall",
    "function_call",
    "functionResponse",
    "function_response",
];

fn vertex_gemini(body: &[u8]) -> Option<Vec<u8>> {
    let root = tree::request(body).ok().filter(has_ids)?;
    let mut out = Vec::with_capacity(body.len());
    write::object(&mut out, |o| without_ids(&root, o));
    Some(out)
}

/// Is it a call or a result, which has the id?
fn is_named(key: &str) -> bool {
    key.starts_with("function")
}

fn has_ids(node: &Node<'_>) -> bool {
    let inside = |(key, value): &(Cow<'_, str>, Node<'_>)| {
        WAY.contains(&&**key) && if is_named(key) { value.at("id").is_some() } else { has_ids(value) }
    };
    node.members().iter().any(inside) || node.elements().iter().any(has_ids)
}

fn without_ids(node: &Node<'_>, o: &mut Object<'_>) {
    for (key, value) in node.members() {
        match &**key {
            key if !WAY.contains(&key) => o.raw(key, value.raw()),
            key if is_named(key) && value.is_object() => o.object(key, |o| {
                for (name, value) in value.members().iter().filter(|(name, _)| name != "id") {
                    o.raw(name, value.raw());
                }
            }),
            key if value.is_array() => o.array(key, |a| {
                for element in value.elements() {
                    if element.is_object() {
                        a.object(|o| without_ids(element, o));
                    } else {
                        a.raw(element.raw());
                    }
                }
            }),
            key if value.is_object() => o.object(key, |o| without_ids(value, o)),
            key => o.raw(key, value.raw()),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vertex_has_the_version_in_the_body_and_the_model_in_the_path() {
        let check = |operation, body: &str, expected: Option<&str>| {
            let changed = Body::VertexAnthropic.apply(operation, body.as_bytes());
            let changed = changed.map(|bytes| String::from_utf8(bytes).expect("text"));
            assert_eq!(changed.as_deref(), expected, "{body}");
        };
        let version = r#""anthropic_version":"vertex-2023-10-16""#;
        let own = r#"{ "model" : "claude" , "max_tokens": 1.0, "messages":[{"model":"x"}], "stream":true }"#;
        let rest = r#""max_tokens":1.0,"messages":[{"model":"x"}],"stream":true"#;
        check(Operation::Messages, own, Some(&format!("{{{rest},{version}}}")));
        let count = r#"{"model":"claude","messages":[]}"#;
        let kept = format!(r#"{{"model":"claude","messages":[],{version}}}"#);
        check(Operation::CountTokens, count, Some(&kept));
        let versioned = r#"{"anthropic_version":"vertex-2099","mod\u0065l":"m"}"#;
        check(Operation::Messages, versioned, Some(r#"{"anthropic_version":"vertex-2099"}"#));
        check(Operation::Messages, "{}", Some(&format!("{{{version}}}")));
        for broken in ["", "[]", r#"{"a""#, r#"{"a":1} x"#] {
            check(Operation::Messages, broken, None);
        }
    }

    #[test]
    fn the_length_of_vectors_has_another_name() {
        let check = |body: &str, expected: Option<&str>| {
            let changed = Body::OutputDimension.apply(Operation::Embeddings, body.as_bytes());
            let changed = changed.map(|bytes| String::from_utf8(bytes).expect("text"));
            assert_eq!(changed.as_deref(), expected, "{body}");
        };
        let asked = r#"{ "dimensions" : 256, "encoding_format":"float","input":["dimensions"] }"#;
        check(asked, Some(r#"{"output_dimension":256,"input":["dimensions"]}"#));
        check(r#"{"input":"a","encoding_format":"base64","output_dimension":256}"#, None);
        check(r#"{"dimensions":1,"output_dimension":2}"#, None);
        check(r#"{"dimensions":1"#, None);
    }

    #[test]
    fn vertex_gets_no_ids_of_calls() {
        let gemini =
            super::super::find("vertex").expect("a row").body_of(Dialect::Gemini, Operation::Generate);
        let check = |body: &str, expected: Option<&str>| {
            let changed = gemini.apply(Operation::Generate, body.as_bytes());
            let changed = changed.map(|bytes| String::from_utf8(bytes).expect("text"));
            assert_eq!(changed.as_deref(), expected, "{body}");
        };
        check(
            r#"{"contents":[{"role":"model","parts":[{"functionCall":{ "id":"a", "name":"f","args":{"id":1.0}},"thoughtSignature":"s"}]},
                {"parts":{"function_response":{"name":"f","response":{"id":2},"id":"a"}}}],"labels":{"id":"b"}}"#,
            Some(
                r#"{"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","args":{"id":1.0}},"thoughtSignature":"s"}]},{"parts":{"function_response":{"name":"f","response":{"id":2}}}}],"labels":{"id":"b"}}"#,
            ),
        );
        // A question for a count may hold a whole request.
        check(
            r#"{"generateContentRequest":{"contents":{"parts":[{"functionCall":{"id":"a","name":"f"}}]}}}"#,
            Some(r#"{"generateContentRequest":{"contents":{"parts":[{"functionCall":{"name":"f"}}]}}}"#),
        );
        for same in [
            "",
            "[]",
            r#"{"contents":[{"parts":[{"text":"functionCall"}]}]}"#,
            r#"{"contents":[{"parts":[{"functionCall":{"name":"f","args":{"id":1}}}]}]}"#,
            r#"{"contents":[{"parts":[{"functionCall":{"id":"a""#,
        ] {
            check(same, None);
        }
    }

    #[test]
    fn other_bodies_stay_as_they_are() {
        assert_eq!(Body::AsIs.apply(Operation::Messages, b"{}"), None);
        let vertex = super::super::find("vertex").expect("a row");
        assert_eq!(vertex.body_of(Dialect::Anthropic, Operation::Messages), Body::VertexAnthropic);
        let google = super::super::find("gemini").expect("a row");
        assert_eq!(google.body_of(Dialect::Gemini, Operation::Generate), Body::AsIs);
        let mistral = super::super::find("mistral").expect("a row");
        assert_eq!(mistral.body_of(Dialect::OpenAi, Operation::Embeddings), Body::OutputDimension);
        assert_eq!(mistral.body_of(Dialect::OpenAi, Operation::Chat), Body::AsIs);
    }
}
