//! Google's own schemas (`parameters`, `responseSchema`: a subset of OpenAPI 3.0, "Schema" in the API
//! reference) as JSON Schema.
//!
//! Types lose their capitals, `nullable` becomes a type of its own, counts written as strings become
//! numbers, and `propertyOrdering` becomes the order of the properties, which is what it is for.
//! Many callers write JSON Schema there anyway: that is passed on as it is.

use std::collections::HashMap;

use crate::dialect::hub::Text;
use crate::dialect::tree::Node;
use crate::dialect::write::{self, Array, Object};

use super::names::{is, member};

/// Members whose values are schemas, by name or as a list.
const NAMED: [&str; 3] = ["properties", "defs", "$defs"];
const LISTED: [&str; 5] = ["anyOf", "oneOf", "allOf", "any_of", "prefixItems"];
const SINGLE: [&str; 3] = ["items", "additionalProperties", "additional_properties"];
/// Counts, which protocol buffers write as strings.
const COUNTS: [&str; 6] =
    ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];

/// The JSON Schema that means the same.
pub fn as_json_schema<'a>(schema: &Node<'a>) -> Text<'a> {
    if speaks_google(schema) {
        Text::Owned(write::text(|out| write::object(out, |o| convert(schema, o))))
    } else {
        Text::Borrowed(schema.raw())
    }
}

/// Is there anything in it that JSON Schema says differently?
fn speaks_google(schema: &Node<'_>) -> bool {
    schema.members().iter().any(|(key, value)| match &**key {
        "type" => value.as_str().is_some_and(has_capitals) || value.elements().iter().any(is_capital),
        "nullable" | "example" | "ref" | "defs" => true,
        "format" => value.as_str() == Some("enum"),
        key if is(key, "propertyOrdering") => true,
        key if COUNTS.iter().any(|count| is(key, count)) => value.is_string() || key.contains('_'),
        "any_of" | "additional_properties" => true,
        key if NAMED.contains(&key) => value.members().iter().any(|(_, schema)| speaks_google(schema)),
        key if LISTED.contains(&key) => value.elements().iter().any(speaks_google),
        key if SINGLE.contains(&key) => speaks_google(value),
        _ => false,
    })
}

fn has_capitals(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_capital(node: &Node<'_>) -> bool {
    node.as_str().is_some_and(has_capitals)
}

/// Says the members of a schema.
fn convert(schema: &Node<'_>, o: &mut Object<'_>) {
    let nullable = member(schema, "nullable").and_then(Node::as_bool) == Some(true);
    let typed = member(schema, "type").is_some();
    for (key, value) in schema.members().iter().filter(|(_, value)| !value.is_null()) {
        match &**key {
            "type" => types(o, value, nullable),
            "enum" if nullable => choices(o, value),
            "properties" => properties(o, value, member(schema, "propertyOrdering")),
            "$defs" | "defs" => {
                o.object("$defs", |o| named(o, value.members()));
            }
            "ref" => {
                o.str("$ref", &value.as_str().unwrap_or_default().replacen("#/defs/", "#/$defs/", 1));
            }
            "example" => {
                o.array("examples", |a| {
                    a.raw(value.raw());
                });
            }
            "nullable" => {}
            "format" if value.as_str() == Some("enum") => {}
            key if is(key, "propertyOrdering") => {}
            key if is(key, "anyOf") => {
                o.array("anyOf", |a| {
                    listed(a, value);
                    if nullable && !typed {
                        a.raw(r#"{"type":"null"}"#);
                    }
                });
            }
            "oneOf" | "allOf" | "prefixItems" => {
                o.array(key, |a| listed(a, value));
            }
            key if is(key, "items") || is(key, "additionalProperties") => {
                let name = if key == "items" { "items" } else { "additionalProperties" };
                if value.is_object() {
                    o.object(name, |o| convert(value, o));
                } else {
                    o.raw(name, value.raw());
                }
            }
            key => match COUNTS.into_iter().find(|count| is(key, count)) {
                Some(count) => {
                    o.raw(count, digits(value).unwrap_or(value.raw()));
                }
                None => {
                    o.raw(key, value.raw());
                }
            },
        }
    }
}

fn types(o: &mut Object<'_>, value: &Node<'_>, nullable: bool) {
    let names: Vec<String> = match value.as_str() {
        Some(name) => vec![name.to_ascii_lowercase()],
        None => value.elements().iter().filter_map(Node::as_str).map(str::to_ascii_lowercase).collect(),
    };
    let null = nullable && !names.iter().any(|name| name == "null");
    match names.as_slice() {
        [name] if name == "type_unspecified" => {}
        [name] if !null => {
            o.str("type", name);
        }
        names => {
            o.array("type", |a| {
                for name in names {
                    a.str(name);
                }
                if null {
                    a.str("null");
                }
            });
        }
    }
}

/// Null is one of the choices when it is allowed.
fn choices(o: &mut Object<'_>, value: &Node<'_>) {
    o.array("enum", |a| {
        for choice in value.elements() {
            a.raw(choice.raw());
        }
        if !value.elements().iter().any(Node::is_null) {
            a.raw("null");
        }
    });
}

/// The ordered ones first, in their order.
fn properties(o: &mut Object<'_>, value: &Node<'_>, ordering: Option<&Node<'_>>) {
    let order = ordering.map(Node::elements).unwrap_or_default().iter().filter_map(Node::as_str);
    let order: HashMap<&str, usize> = order.enumerate().map(|(at, name)| (name, at)).collect();
    let mut members: Vec<_> = value.members().iter().collect();
    members.sort_by_key(|(key, _)| order.get(&**key).copied().unwrap_or(usize::MAX));
    o.object("properties", |o| named(o, members));
}

fn named<'n, 'a: 'n>(o: &mut Object<'_>, schemas: impl IntoIterator<Item = &'n (Text<'a>, Node<'a>)>) {
    for (key, schema) in schemas {
        if schema.is_object() {
            o.object(key, |o| convert(schema, o));
        } else {
            o.raw(key, schema.raw());
        }
    }
}

fn listed(a: &mut Array<'_>, schemas: &Node<'_>) {
    for schema in schemas.elements() {
        if schema.is_object() {
            a.object(|o| convert(schema, o));
        } else {
            a.raw(schema.raw());
        }
    }
}

/// The number that a string of digits is; as JSON it has no leading zeros.
fn digits<'n>(value: &'n Node<'_>) -> Option<&'n str> {
    let text = value.as_str()?;
    let sound = text == "0" || (!text.starts_with('0') && !text.is_empty());
    (sound && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::tree;

    fn check(google: &str, json_schema: &str) {
        let root = tree::parse(google.as_bytes()).expect("JSON");
        assert_eq!(as_json_schema(&root), json_schema);
        let again = tree::parse(json_schema.as_bytes()).expect("JSON");
        assert!(matches!(as_json_schema(&again), Text::Borrowed(_)), "{json_schema} is not JSON Schema");
    }

    #[test]
    fn types_lose_their_capitals_at_every_depth() {
        check(
            r#"{"type":"OBJECT","properties":{"a":{"type":"ARRAY","items":{"type":"STRING"}},"type":{"type":"INTEGER"}},"required":["a"]}"#,
            r#"{"type":"object","properties":{"a":{"type":"array","items":{"type":"string"}},"type":{"type":"integer"}},"required":["a"]}"#,
        );
        check(
            r#"{"anyOf":[{"type":"NUMBER"}],"type":"TYPE_UNSPECIFIED"}"#,
            r#"{"anyOf":[{"type":"number"}]}"#,
        );
    }

    #[test]
    fn nullable_becomes_a_type() {
        check(
            r#"{"type":"STRING","nullable":true,"enum":["A"],"format":"enum"}"#,
            r#"{"type":["string","null"],"enum":["A",null]}"#,
        );
        check(r#"{"type":"string","nullable":false}"#, r#"{"type":"string"}"#);
        check(
            r#"{"any_of":[{"type":"STRING"},{"type":"INTEGER"}],"nullable":true}"#,
            r#"{"anyOf":[{"type":"string"},{"type":"integer"},{"type":"null"}]}"#,
        );
    }

    #[test]
    fn the_ordering_orders_the_properties() {
        check(
            r#"{"type":"OBJECT","properties":{"a":{"type":"STRING"},"b":{"type":"STRING"},"c":{"type":"STRING"}},"propertyOrdering":["c","b"]}"#,
            r#"{"type":"object","properties":{"c":{"type":"string"},"b":{"type":"string"},"a":{"type":"string"}}}"#,
        );
    }

    #[test]
    fn counts_references_and_examples_are_json_schemas() {
        check(
            r##"{"type":"ARRAY","min_items":"1","maxItems":"12","items":{"ref":"#/defs/x"},"defs":{"x":{"type":"STRING","example":"y"}}}"##,
            r##"{"type":"array","minItems":1,"maxItems":12,"items":{"$ref":"#/$defs/x"},"$defs":{"x":{"type":"string","examples":["y"]}}}"##,
        );
    }

    #[test]
    fn json_schema_passes_byte_for_byte() {
        for schema in [
            r#"{ "type": ["string", "null"], "default": "OBJECT" }"#,
            r#"{"type":"object","properties":{"nullable":{"type":"boolean"},"ref":{"const":"A"}}}"#,
            "{}",
            "true",
        ] {
            let root = tree::parse(schema.as_bytes()).expect("JSON");
            assert_eq!(as_json_schema(&root), Text::Borrowed(schema));
        }
    }
}
