//! The model's name in bodies whose path names it as well: Google refuses two names (ai.google.dev/api/embeddings: "the
//! model in each of these requests must match").

use std::ops::Range;

use super::names;
use crate::dialect::Operation;
use crate::dialect::json::{Kind, Text, Walked, Walker};

/// The body with `model` wherever it names one, every other byte as it was; `None` where it names none, or is no JSON
/// and the vendor may say so.
pub fn renamed(operation: Operation, body: &[u8], model: &str) -> Option<Vec<u8>> {
    let inner = match operation {
        Operation::EmbedContent => None,
        Operation::BatchEmbed => Some("requests"),
        Operation::GeminiCountTokens => Some("generateContentRequest"),
        _ => return None,
    };
    let mut places = Vec::new();
    let mut walker = Walker::new(body);
    walker
        .if_object(|walker, key| {
            if !inner.is_some_and(|inner| key.decode().is_some_and(|key| names::is(&key, inner))) {
                return name(walker, key, &mut places);
            }
            let mut one = |walker: &mut Walker<'_>| {
                walker.if_object(|walker, key| name(walker, key, &mut places)).map(drop)
            };
            if walker.kind()? == Kind::Array { walker.array(one) } else { one(walker) }
        })
        .ok()?;
    let (first, quoted) = (places.first()?, quoted(model));
    let mut out = Vec::with_capacity(body.len() + places.len() * quoted.len());
    out.extend_from_slice(&body[..first.start]);
    for (index, place) in places.iter().enumerate() {
        let next = places.get(index + 1).map_or(body.len(), |next| next.start);
        out.extend_from_slice(quoted.as_bytes());
        out.extend_from_slice(&body[place.end..next]);
    }
    Some(out)
}

/// Takes a member's value, and notes where it stood if it is a model's name.
fn name(walker: &mut Walker<'_>, key: &Text<'_>, places: &mut Vec<Range<usize>>) -> Walked {
    let (kind, place) = walker.value()?;
    if kind == Kind::String && key.is("model") {
        places.push(place);
    }
    Ok(())
}

/// As a resource's name, which a tuned model's is already (`tunedModels/x`).
fn quoted(model: &str) -> String {
    let before = if model.contains('/') { "" } else { "models/" };
    serde_json::Value::from(format!("{before}{model}")).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(operation: Operation, body: &str, model: &str, expected: Option<&str>) {
        let renamed = renamed(operation, body.as_bytes(), model);
        let renamed = renamed.map(|bytes| String::from_utf8(bytes).expect("text"));
        assert_eq!(renamed.as_deref(), expected, "{body}");
    }

    #[test]
    fn a_body_names_the_model_that_its_path_names() {
        check(
            Operation::BatchEmbed,
            r#"{ "requests":[{"model" : "models/a","content":{"model":"b"}}, {"title":"","mod\u0065l":"a"},7],"model":"a"}"#,
            "new",
            Some(
                r#"{ "requests":[{"model" : "models/new","content":{"model":"b"}}, {"title":"","mod\u0065l":"models/new"},7],"model":"models/new"}"#,
            ),
        );
        let one = r#"{"content":{},"model":"models/a"}"#;
        check(
            Operation::EmbedContent,
            one,
            "tunedModels/x",
            Some(r#"{"content":{},"model":"tunedModels/x"}"#),
        );
        let counted = r#"{"generate_content_request":{"model":"a","contents":[{"model":"a"}]}}"#;
        let expected = r#"{"generate_content_request":{"model":"models/\"b","contents":[{"model":"a"}]}}"#;
        check(Operation::GeminiCountTokens, counted, "\"b", Some(expected));
        check(Operation::Generate, one, "new", None);
    }

    #[test]
    fn what_names_no_model_stays_as_it_is() {
        for body in ["", "[]", "{}", r#"{"model":7}"#, r#"{"model":"a""#, r#"{"requests":{"model":null}}"#] {
            check(Operation::BatchEmbed, body, "new", None);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(body in proptest::collection::vec(any::<u8>(), 0..80)) {
            for operation in [Operation::EmbedContent, Operation::BatchEmbed, Operation::GeminiCountTokens] {
                let _ = renamed(operation, &body, "new");
            }
        }
    }
}
