//! What a vendor changes about a dialect's bodies, on the way out.

use super::{Embeddings, Provider};
use crate::dialect::json::{Text, Walker};
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
}

impl Provider {
    /// How the body of such a request is changed before it is sent; [`Body::apply`] does it.
    pub fn body_of(&self, dialect: Dialect, operation: Operation) -> Body {
        match (dialect, operation, self.embeddings) {
            (Dialect::Anthropic, ..) => self.anthropic_body,
            (Dialect::OpenAi, Operation::Embeddings, Embeddings::Mistral | Embeddings::Voyage) => {
                Body::OutputDimension
            }
            _ => Body::AsIs,
        }
    }
}

impl Body {
    /// The changed body, every other value in it byte for byte as it was; `None` where nothing is to change, or
    /// where it is no JSON object and the vendor may say so.
    pub fn apply(self, operation: Operation, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::AsIs => None,
            Self::VertexAnthropic => vertex_anthropic(operation, body),
            Self::OutputDimension => output_dimension(body),
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
    fn other_bodies_stay_as_they_are() {
        assert_eq!(Body::AsIs.apply(Operation::Messages, b"{}"), None);
        let vertex = super::super::find("vertex").expect("a row");
        assert_eq!(vertex.body_of(Dialect::Anthropic, Operation::Messages), Body::VertexAnthropic);
        assert_eq!(vertex.body_of(Dialect::Gemini, Operation::Generate), Body::AsIs);
        let mistral = super::super::find("mistral").expect("a row");
        assert_eq!(mistral.body_of(Dialect::OpenAi, Operation::Embeddings), Body::OutputDimension);
        assert_eq!(mistral.body_of(Dialect::OpenAi, Operation::Chat), Body::AsIs);
    }
}
