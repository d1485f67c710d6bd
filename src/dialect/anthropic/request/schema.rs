//! Schemas as the API takes them.
//!
//! A tool's schema has to be of `type: object` (recorded: `input_schema.type: Field required`), and goes as it was
//! written, but for alternatives at its root (see `flat`). Those of answers and of strict tools become grammars, which
//! close every object and know no limits of numbers, lengths and lists; the API refuses the request for any. As
//! Anthropic's own SDKs do (`transform_schema`), such limits are told in descriptions, for the model to heed. Source:
//! "Structured outputs", JSON Schema limitations.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use super::flat;
use crate::dialect::hub::Losses;
use crate::dialect::tree::{self, Node};
use crate::dialect::write;

const NO_INPUT: &str = r#"{"type":"object","properties":{}}"#;
/// Members that hold schemas by name.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];
/// Members that list schemas.
pub(super) const LISTED: [&str; 3] = ["anyOf", "oneOf", "allOf"];
/// What else is taken as it is.
const TAKEN: [&str; 8] = ["type", "title", "description", "default", "enum", "const", "$ref", "required"];
/// Formats of texts that are taken.
const FORMATS: [&str; 10] =
    ["date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"];
/// Notes that tell the model nothing.
const MARGINAL: [&str; 3] = ["$schema", "$id", "$comment"];
/// What limits nothing, and loses nothing by being told.
const ADVICE: [&str; 4] = ["examples", "deprecated", "readOnly", "writeOnly"];
/// References that are followed; more is no schema that anybody wrote.
const MOST_REFERENCES: usize = 1_000;

/// A tool's schema, of type object.
pub fn of_tool<'s>(schema: Option<&'s str>, place: &str, losses: &mut Losses) -> Cow<'s, str> {
    let Some(schema) = schema else { return Cow::Borrowed(NO_INPUT) };
    let Ok(root) = tree::parse(schema.as_bytes()) else { return Cow::Borrowed(NO_INPUT) };
    if !root.is_object() || root.members().is_empty() {
        return Cow::Borrowed(NO_INPUT);
    }
    if let Some(flat) = flat::of(&root, place, losses) {
        return Cow::Owned(flat);
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

/// The schema as a grammar is made of it, for an answer or a strict tool: every object closed, and what grammars do not
/// take told in descriptions, which is reported as lost below `place`. `None` where a grammar would mean something
/// else: maps, anything at all, and schemas that hold themselves.
pub fn imposed(schema: &str, place: &str, losses: &mut Losses) -> Option<String> {
    let root = tree::parse(schema.as_bytes()).ok()?;
    if !is_closable(&root) || !ends(&root) {
        return None;
    }
    Some(write::text(|out| impose(&root, place, losses, out)))
}

fn types<'n>(schema: &'n Node<'_>) -> impl Iterator<Item = &'n str> {
    let kind = schema.at("type");
    kind.into_iter().flat_map(|kind| kind.elements().iter().chain([kind])).filter_map(Node::as_str)
}

fn is_object(schema: &Node<'_>) -> bool {
    types(schema).any(|kind| kind == "object") || schema.at("properties").is_some()
}

/// Does it say what there is, in plain values, and may nothing be there besides?
fn is_closable(schema: &Node<'_>) -> bool {
    const TELLING: [&str; 8] = ["type", "properties", "enum", "const", "$ref", "anyOf", "oneOf", "allOf"];
    let is_told = schema.members().iter().any(|(key, _)| TELLING.contains(&&**key));
    // What else there may be need not be there; what is there by any name at all is a map.
    let is_map = schema.at("additionalProperties").is_some_and(Node::is_object);
    let is_open = is_object(schema) && (is_map || (schema.at("properties").is_none() && !is_closed(schema)));
    let is_plain = |value: &Node<'_>| !value.is_object() && !value.is_array();
    let values = schema.at("enum").map(Node::elements).unwrap_or_default();
    let has_plain_values = values.iter().chain(schema.at("const")).all(is_plain);
    is_told && !is_open && has_plain_values && inner(schema).all(is_closable)
}

fn is_closed(schema: &Node<'_>) -> bool {
    schema.at("additionalProperties").and_then(Node::as_bool) == Some(false)
}

/// The schemas that it is made of.
fn inner<'n, 'a>(schema: &'n Node<'a>) -> impl Iterator<Item = &'n Node<'a>> {
    schema.members().iter().flat_map(|(key, value)| {
        let (named, listed, one) = match &**key {
            key if NAMED.contains(&key) => (value.members(), &[][..], None),
            key if LISTED.contains(&key) => (&[][..], value.elements(), None),
            "items" if !value.is_array() => (&[][..], &[][..], Some(value)),
            _ => (&[][..], &[][..], None),
        };
        named.iter().map(|(_, schema)| schema).chain(listed).chain(one)
    })
}

/// Does every reference lead somewhere, and none back to where it stands?
fn ends(root: &Node<'_>) -> bool {
    let (mut ended, mut followed) = (HashSet::new(), 0);
    // Each with what it refers to and where nobody has looked yet.
    let mut way = vec![(place(root), references(root))];
    while let Some((at, unseen)) = way.last_mut() {
        let Some(name) = unseen.pop() else {
            ended.insert(*at);
            way.pop();
            continue;
        };
        followed += 1;
        let Some(target) = find(root, name).filter(|_| followed <= MOST_REFERENCES) else { return false };
        let at = place(target);
        if way.iter().any(|(passed, _)| *passed == at) {
            return false;
        }
        if !ended.contains(&at) {
            way.push((at, references(target)));
        }
    }
    true
}

/// What a schema refers to; what is no name leads nowhere.
fn references<'n>(schema: &'n Node<'_>) -> Vec<&'n str> {
    let mut found: Vec<_> =
        schema.at("$ref").map(|name| name.as_str().unwrap_or_default()).into_iter().collect();
    for schema in inner(schema) {
        found.append(&mut references(schema));
    }
    found
}

/// What stands at `#/$defs/a`.
pub(super) fn find<'n, 'a>(root: &'n Node<'a>, name: &str) -> Option<&'n Node<'a>> {
    let steps = name.strip_prefix('#')?.split('/').skip(1);
    steps.map(|step| step.replace("~1", "/").replace("~0", "~")).try_fold(root, |at, step| {
        match step.parse::<usize>() {
            Ok(index) if at.is_array() => at.elements().get(index),
            _ => at.at(&step),
        }
    })
}

/// Where it stands in the text.
fn place(schema: &Node<'_>) -> usize {
    schema.raw().as_ptr().addr()
}

/// May the member stand as it is, or changed inside?
fn is_taken(schema: &Node<'_>, key: &str, value: &Node<'_>) -> bool {
    match key {
        "oneOf" => schema.at("anyOf").is_none(),
        "items" => !value.is_array(),
        "minItems" => value.as_integer().is_some_and(|least| least <= 1),
        "format" => value.as_str().is_some_and(|format| FORMATS.contains(&format)),
        key => TAKEN.contains(&key) || NAMED.contains(&key) || LISTED.contains(&key),
    }
}

fn impose(schema: &Node<'_>, place: &str, losses: &mut Losses, out: &mut Vec<u8>) {
    let is_object = is_object(schema);
    let mut told = String::new();
    for (key, value) in schema.members() {
        let is_silent = MARGINAL.contains(&&**key) || (is_object && key == "additionalProperties");
        if is_silent || is_taken(schema, key, value) {
            continue;
        }
        if !ADVICE.contains(&&**key) {
            losses.drop(format!("{place}.{key}"));
        }
        let _ = write!(told, "{}{key}: {}", if told.is_empty() { "{" } else { ", " }, value.raw());
    }
    if !told.is_empty() {
        told.push('}');
    }
    write::object(out, |object| {
        if is_object && schema.at("type").is_none() {
            object.str("type", "object");
        }
        for (key, value) in schema.members().iter().filter(|(key, value)| is_taken(schema, key, value)) {
            match &**key {
                "description" if !told.is_empty() => {
                    object.str(key, &[value.as_str().unwrap_or_default(), "\n\n", &told].concat());
                }
                key if NAMED.contains(&key) => {
                    object.object(key, |object| {
                        for (name, schema) in value.members() {
                            object.raw(name, &write::text(|out| impose(schema, place, losses, out)));
                        }
                    });
                }
                key if LISTED.contains(&key) => {
                    // The one that is meant is found all the same.
                    object.array(if key == "oneOf" { "anyOf" } else { key }, |items| {
                        for schema in value.elements() {
                            items.raw(&write::text(|out| impose(schema, place, losses, out)));
                        }
                    });
                }
                "items" => {
                    object.raw(key, &write::text(|out| impose(value, place, losses, out)));
                }
                _ => {
                    object.raw(key, value.raw());
                }
            }
        }
        if !told.is_empty() && schema.at("description").is_none() {
            object.str("description", &told);
        }
        if is_object {
            object.bool("additionalProperties", false);
        }
    });
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_tools_schema_is_of_an_object() {
        let whole = r#"{"properties":{},"type":"object"}"#;
        let of_tool = |schema| of_tool(schema, "x", &mut Losses::default());
        assert!(matches!(of_tool(Some(whole)), Cow::Borrowed(text) if text == whole));
        assert_eq!(of_tool(Some(r#"{"properties":{"a":{}}}"#)), r#"{"type":"object","properties":{"a":{}}}"#);
        for none in [None, Some("{}"), Some("true")] {
            assert_eq!(of_tool(none), NO_INPUT);
        }
    }

    /// The schema as it is imposed, and what of it is lost.
    fn check(schema: &Value, expected: Option<&Value>, lost: &[&str]) {
        let mut losses = Losses::default();
        let imposed = imposed(&schema.to_string(), "x", &mut losses);
        let imposed = imposed.map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
        assert_eq!(
            (imposed.as_ref(), losses.names()),
            (expected, &lost.iter().map(|name| Cow::Owned(format!("x.{name}"))).collect::<Vec<_>>()[..]),
            "{schema}"
        );
    }

    #[test]
    fn every_object_is_closed_and_nothing_else_changed() {
        let open = json!({"type": "object", "properties": {"type": {"type": "array", "minItems": 1, "items": {"properties": {}}},
            "b": {"anyOf": [{"type": ["object", "null"], "properties": {}, "additionalProperties": true}, {"$ref": "#/$defs/c"}]},
            "d": {"type": "string", "enum": ["a"], "default": "a", "format": "date"}},
            "required": ["b"], "$defs": {"c": {"type": "object", "additionalProperties": false}}});
        let closed = json!({"type": "object", "properties": {"type": {"type": "array", "minItems": 1, "items": {"type": "object", "properties": {}, "additionalProperties": false}},
            "b": {"anyOf": [{"type": ["object", "null"], "properties": {}, "additionalProperties": false}, {"$ref": "#/$defs/c"}]},
            "d": {"type": "string", "enum": ["a"], "default": "a", "format": "date"}},
            "required": ["b"], "$defs": {"c": {"type": "object", "additionalProperties": false}}, "additionalProperties": false});
        check(&open, Some(&closed), &[]);
        check(&closed, Some(&closed), &[]);
        let shared = json!({"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}, {"$ref": "#/$defs/b"}]}, "b": {"type": "null"}}});
        check(&shared, Some(&shared), &[]);
    }

    #[test]
    fn limits_are_told() {
        let schema = json!({"type": "array", "minItems": 2, "uniqueItems": true, "$schema": "http://json-schema.org/draft-07/schema#",
            "items": {"description": "A word", "type": "string", "pattern": "^a", "format": "regex", "examples": ["ab"]}});
        let told = json!({"type": "array", "description": "{minItems: 2, uniqueItems: true}",
            "items": {"type": "string", "description": "A word\n\n{examples: [\"ab\"], format: \"regex\", pattern: \"^a\"}"}});
        check(&schema, Some(&told), &["minItems", "uniqueItems", "format", "pattern"]);
        let one = json!({"oneOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "null"}]});
        let any =
            json!({"anyOf": [{"type": "integer", "description": "{exclusiveMinimum: 0}"}, {"type": "null"}]});
        check(&one, Some(&any), &["exclusiveMinimum"]);
    }

    #[test]
    fn what_would_mean_something_else_is_not_imposed() {
        for schema in [
            json!({"type": "object", "additionalProperties": {"type": "integer"}}),
            json!({"type": "object", "properties": {"a": {}}}),
            json!({"type": "object"}),
            json!({"type": "array", "items": true}),
            json!({"enum": ["a", {"b": 1}]}),
            json!({"properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a"}}}),
            json!({"$ref": "#/$defs/nowhere"}),
            json!({"$ref": "https://a.example/schema"}),
            json!(true),
        ] {
            check(&schema, None, &[]);
        }
        assert_eq!(imposed("{", "x", &mut Losses::default()), None);
    }

    #[test]
    fn only_so_many_references_are_followed() {
        let chain = |length: usize| {
            let link = |at: usize| (format!("d{at}"), json!({"$ref": format!("#/$defs/d{}", at + 1)}));
            let mut defs: serde_json::Map<String, Value> = (1..length).map(link).collect();
            defs.insert(format!("d{length}"), json!({"type": "null"}));
            json!({"$ref": "#/$defs/d1", "$defs": defs})
        };
        // Each is met twice: in the whole, and by whoever refers to it.
        let most = chain(MOST_REFERENCES / 2);
        check(&most, Some(&most), &[]);
        check(&chain(MOST_REFERENCES), None, &[]);
        check(&chain(100 * MOST_REFERENCES), None, &[]);
    }
}
