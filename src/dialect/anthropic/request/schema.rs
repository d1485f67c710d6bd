//! Schemas as the API takes them.
//!
//! A tool's schema has to be of `type: object` (recorded: `input_schema.type: Field required`). The
//! schema of an answer has to close every object, and may set no bounds. What needs no change goes as it was written.

use std::borrow::Cow;

use crate::dialect::tree::{self, Node};
use crate::dialect::write::{self, Object};

const NO_INPUT: &str = r#"{"type":"object","properties":{}}"#;

/// A tool's schema, of type object.
pub fn of_tool(schema: Option<&str>) -> Cow<'_, str> {
    let Some(schema) = schema else { return Cow::Borrowed(NO_INPUT) };
    let Ok(root) = tree::parse(schema.as_bytes()) else { return Cow::Borrowed(NO_INPUT) };
    if !root.is_object() || root.members().is_empty() {
        return Cow::Borrowed(NO_INPUT);
    }
    if root.at("type").is_some() {
        return Cow::Borrowed(schema);
    }
    Cow::Owned(write::text(|out| {
        write::object(out, |object| {
            object.str("type", "object");
            for (key, value) in root.members().iter().filter(|(key, _)| key != "type") {
                object.raw(key, value.raw());
            }
        });
    }))
}

/// Whether it is one that a tool can have: the stand-in for an answer needs that.
pub fn is_of_object(schema: &str) -> bool {
    tree::parse(schema.as_bytes()).is_ok_and(|root| {
        root.at("type").map_or_else(|| root.is_object(), |kind| kind.as_str() == Some("object"))
    })
}

/// What the schema of an answer may not have (platform.claude.com/docs, "Structured outputs: JSON Schema limitations"), and
/// `minItems` of more than one.
const BOUNDS: [&str; 9] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "maxItems",
    "uniqueItems",
];

/// The schema with `additionalProperties: false` in every object of it, and bounds in words, as Anthropic's own SDK does it.
pub fn closed(schema: &str) -> Cow<'_, str> {
    let Ok(root) = tree::parse(schema.as_bytes()) else { return Cow::Borrowed(schema) };
    Cow::Owned(write::text(|out| close(&root, out)))
}

fn close(schema: &Node<'_>, out: &mut Vec<u8>) {
    if !schema.is_object() {
        return out.extend_from_slice(schema.raw().as_bytes());
    }
    let is_object =
        schema.at("type").and_then(Node::as_str) == Some("object") || schema.at("properties").is_some();
    let bounds = schema.members().iter().filter(|(key, value)| is_bound(key, value));
    let bounds: Vec<String> = bounds.map(|(key, value)| format!("{key}: {}", value.raw())).collect();
    write::object(out, |object| {
        for (key, value) in schema.members() {
            match &**key {
                "additionalProperties" if is_object => {}
                "description" if !bounds.is_empty() => {}
                key if is_bound(key, value) => {}
                "properties" | "$defs" | "definitions" => named(object, key, value),
                "items" | "not" => raw(object, key, |out| close(value, out)),
                "anyOf" | "allOf" | "oneOf" | "prefixItems" => raw(object, key, |out| {
                    write::array(out, |items| {
                        for item in value.elements() {
                            items.raw(&write::text(|out| close(item, out)));
                        }
                    });
                }),
                _ => {
                    object.raw(key, value.raw());
                }
            }
        }
        if !bounds.is_empty() {
            let before = schema.at("description").and_then(Node::text);
            let before = before.map(|text| format!("{text}\n\n")).unwrap_or_default();
            object.str("description", &format!("{before}{{{}}}", bounds.join(", ")));
        }
        if is_object {
            object.bool("additionalProperties", false);
        }
    });
}

fn is_bound(key: &str, value: &Node<'_>) -> bool {
    BOUNDS.contains(&key) || (key == "minItems" && value.as_integer().is_none_or(|least| least > 1))
}

/// Schemas by name.
fn named(object: &mut Object<'_>, key: &str, schemas: &Node<'_>) {
    object.object(key, |object| {
        for (name, schema) in schemas.members() {
            raw(object, name, |out| close(schema, out));
        }
    });
}

fn raw(object: &mut Object<'_>, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    object.raw(key, &write::text(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tools_schema_is_of_an_object() {
        let whole = r#"{"properties":{},"type":"object"}"#;
        assert!(matches!(of_tool(Some(whole)), Cow::Borrowed(text) if text == whole));
        assert_eq!(of_tool(Some(r#"{"properties":{"a":{}}}"#)), r#"{"type":"object","properties":{"a":{}}}"#);
        for none in [None, Some("{}"), Some("true")] {
            assert_eq!(of_tool(none), NO_INPUT);
        }
    }

    /// As Anthropic's own SDK does it (`transform_schema`).
    #[test]
    fn bounds_are_told_and_not_enforced() {
        let check = |schema: &str, expected: &str| assert_eq!(closed(schema), expected);
        check(
            r#"{"type":"integer","minimum":1,"description":"A number","maximum":10}"#,
            r#"{"type":"integer","description":"A number\n\n{minimum: 1, maximum: 10}"}"#,
        );
        check(
            r#"{"type":"array","items":{"type":"string","maxLength":3,"pattern":"a"},"minItems":2}"#,
            r#"{"type":"array","items":{"type":"string","pattern":"a","description":"{maxLength: 3}"},"description":"{minItems: 2}"}"#,
        );
        check(r#"{"type":"array","minItems":1}"#, r#"{"type":"array","minItems":1}"#);
        check(
            r#"{"properties":{"minimum":{"type":"string"}}}"#,
            r#"{"properties":{"minimum":{"type":"string"}},"additionalProperties":false}"#,
        );
    }

    #[test]
    fn every_object_of_an_answer_is_closed() {
        assert_eq!(
            closed(
                r##"{"type":"object","properties":{"type":{"type":"array","items":{"properties":{}}},
                "b":{"anyOf":[{"type":"object","additionalProperties":true},{"$ref":"#/$defs/c"}]}},"$defs":{"c":{"type":"object"}}}"##
            ),
            r##"{"type":"object","properties":{"type":{"type":"array","items":{"properties":{},"additionalProperties":false}},"b":{"anyOf":[{"type":"object","additionalProperties":false},{"$ref":"#/$defs/c"}]}},"$defs":{"c":{"type":"object","additionalProperties":false}},"additionalProperties":false}"##
        );
    }
}
