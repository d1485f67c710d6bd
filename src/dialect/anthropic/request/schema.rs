//! Schemas as the API takes them.
//!
//! A tool's schema has to be of `type: object` (recorded: `input_schema.type: Field required`). The
//! schema of an answer has to close every object. What needs no change goes as it was written.

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

/// The schema with `additionalProperties: false` in every object of it.
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
    write::object(out, |object| {
        for (key, value) in schema.members() {
            match &**key {
                "additionalProperties" if is_object => {}
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
        if is_object {
            object.bool("additionalProperties", false);
        }
    });
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
