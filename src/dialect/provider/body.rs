//! What a vendor changes about a dialect's bodies, on the way out.

use super::Provider;
use crate::dialect::json::Walker;
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
}

impl Provider {
    /// How the body of such a request is changed before it is sent; [`Body::apply`] does it.
    pub fn body_of(&self, dialect: Dialect) -> Body {
        if dialect == Dialect::Anthropic { self.anthropic_body } else { Body::AsIs }
    }
}

impl Body {
    /// The changed body, every other value in it byte for byte as it was; `None` where nothing is to change, or
    /// where it is no JSON object and the vendor may say so.
    pub fn apply(self, operation: Operation, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::AsIs => None,
            Self::VertexAnthropic => vertex_anthropic(operation, body),
        }
    }
}

fn vertex_anthropic(operation: Operation, body: &[u8]) -> Option<Vec<u8>> {
    // A question for a count goes to one path for all models.
    let keeps_model = operation == Operation::CountTokens;
    let mut members: Vec<(&[u8], &[u8])> = Vec::new();
    let mut walker = Walker::new(body);
    let mut versioned = false;
    walker
        .object(|walker, key| {
            let (_, span) = walker.value()?;
            versioned |= key.is("anthropic_version");
            if keeps_model || !key.is("model") {
                members.push((key.raw, walker.slice(span)));
            }
            Ok(())
        })
        .ok()?;
    walker.end().ok()?;
    let mut out = Vec::with_capacity(body.len() + 64);
    out.push(b'{');
    for (key, value) in members.into_iter().chain((!versioned).then_some(VERTEX_VERSION)) {
        if out.len() > 1 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(key);
        out.extend_from_slice(b"\":");
        out.extend_from_slice(value);
    }
    out.push(b'}');
    Some(out)
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
    fn other_bodies_stay_as_they_are() {
        assert_eq!(Body::AsIs.apply(Operation::Messages, b"{}"), None);
        let vertex = super::super::find("vertex").expect("a row");
        assert_eq!(vertex.body_of(Dialect::Anthropic), Body::VertexAnthropic);
        assert_eq!(vertex.body_of(Dialect::Gemini), Body::AsIs);
    }
}
