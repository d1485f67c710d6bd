//! Strict tools of other dialects, where OpenAI's schemas have to be closed.
//!
//! OpenAI refuses a strict tool in whose schema an object may have more than it names, or less ("Structured Outputs":
//! `additionalProperties: false`, and all fields `required`). Cohere and Anthropic do not ask for that.

use crate::dialect::hub::Losses;
use crate::dialect::tree::{self, Node};

/// Members that hold schemas by name, and those that list them.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];
const LISTED: [&str; 3] = ["anyOf", "oneOf", "allOf"];

/// What may be said of a tool with this schema that another dialect's caller has called strict or not.
pub fn of_foreign(strict: Option<bool>, schema: Option<&str>, losses: &mut Losses) -> Option<bool> {
    if strict != Some(true)
        || schema.is_some_and(|text| tree::parse(text.as_bytes()).is_ok_and(|root| is_closed(&root)))
    {
        return strict;
    }
    losses.drop("strict");
    None
}

fn is_closed(schema: &Node<'_>) -> bool {
    let properties = schema.at("properties").map(Node::members).unwrap_or_default();
    let is_object = schema.at("type").and_then(Node::as_str) == Some("object") || !properties.is_empty();
    let required = schema.at("required").map(Node::elements).unwrap_or_default();
    let is_needed = |name: &str| required.iter().any(|needed| needed.as_str() == Some(name));
    let is_shut = schema.at("additionalProperties").and_then(Node::as_bool) == Some(false)
        && properties.iter().all(|(name, _)| is_needed(name));
    let inner = schema.members().iter().flat_map(|(key, value)| match &**key {
        key if NAMED.contains(&key) => value.members().iter().map(|(_, schema)| schema).collect::<Vec<_>>(),
        key if LISTED.contains(&key) => value.elements().iter().collect(),
        "items" => vec![value],
        _ => Vec::new(),
    });
    (!is_object || is_shut) && inner.into_iter().all(is_closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_closed_schemas_are_strict() {
        let check = |schema: Option<&str>, expected: Option<bool>| {
            let mut losses = Losses::default();
            assert_eq!(of_foreign(Some(true), schema, &mut losses), expected, "{schema:?}");
            assert_eq!(losses.names().is_empty(), expected == Some(true));
        };
        let closed = r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#;
        check(Some(closed), Some(true));
        check(Some(&format!(r#"{{"anyOf":[{closed}]}}"#)), Some(true));
        check(Some(&closed.replace("false", "true")), None);
        check(Some(&closed.replace(r#"["a"]"#, "[]")), None);
        check(Some(r#"{"type":"array","items":{"type":"object"}}"#), None);
        check(None, None);
        assert_eq!(of_foreign(Some(false), None, &mut Losses::default()), Some(false));
    }
}
