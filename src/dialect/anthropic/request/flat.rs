//! A tool's schema without alternatives at its root, which the API refuses together with the whole request
//! ("input_schema does not support oneOf, allOf, or anyOf at the top level").
//!
//! One object has the properties of all of them, and needs what each of them needs. What that leaves open is told in
//! its description, for the model to heed.

use std::borrow::Cow;

use super::schema;
use crate::dialect::hub::Losses;
use crate::dialect::tree::Node;
use crate::dialect::write;

/// Schemas that are looked into; more is no schema that anybody wrote.
const MOST: usize = 1_000;

/// The schema as one object, the alternatives named as lost below `place`; `None` where there are none.
pub fn of(root: &Node<'_>, place: &str, losses: &mut Losses) -> Option<String> {
    let is_listed = |key: &str| schema::LISTED.contains(&key);
    let listed: Vec<_> =
        root.members().iter().filter(|(key, value)| is_listed(key) && !value.is_null()).collect();
    if listed.is_empty() {
        return None;
    }
    let mut told = String::new();
    for (key, value) in &listed {
        losses.drop(format!("{place}.{key}"));
        told.push_str(if told.is_empty() { "{" } else { ", " });
        told.extend([key, ": ", value.raw()]);
    }
    told.push('}');
    let merged = Looking { root, way: Vec::new(), left: MOST }.merge(root);
    let said = root.at("description").and_then(Node::as_str);
    let description = said.map_or_else(|| told.clone(), |said| [said, "\n\n", &told].concat());
    Some(write::text(|out| {
        write::object(out, |object| {
            object.str("type", "object").str("description", &description);
            merged.write(object);
            for (key, value) in root.members() {
                let is_said = ["type", "description", "properties", "required"].contains(&&**key);
                if !is_said && !is_listed(key) {
                    object.raw(key, value.raw());
                }
            }
        });
    }))
}

/// What one schema says of an object.
#[derive(Debug, Default)]
struct Merged<'n> {
    /// Each with all that is said of it, in JSON.
    properties: Vec<(&'n str, Vec<&'n str>)>,
    required: Vec<&'n str>,
}

/// On the way through a schema.
struct Looking<'n, 'a> {
    root: &'n Node<'a>,
    /// What is being looked into: whatever holds itself says nothing new.
    way: Vec<&'n Node<'a>>,
    left: usize,
}

impl<'n, 'a> Looking<'n, 'a> {
    fn merge(&mut self, schema: &'n Node<'a>) -> Merged<'n> {
        let mut merged = Merged::default();
        if self.left == 0 || self.way.iter().any(|passed| std::ptr::eq(*passed, schema)) {
            return merged;
        }
        self.left -= 1;
        self.way.push(schema);
        for (name, property) in schema.at("properties").map(Node::members).unwrap_or_default() {
            merged.say(name, property.raw());
        }
        let required = schema.at("required").map(Node::elements).unwrap_or_default();
        merged.need(required.iter().filter_map(Node::as_str));
        let target = schema.at("$ref").and_then(Node::as_str).and_then(|name| schema::find(self.root, name));
        for part in schema.at("allOf").map(Node::elements).unwrap_or_default().iter().chain(target) {
            let part = self.merge(part);
            merged.need(part.required.iter().copied());
            merged.also(&part);
        }
        for key in ["anyOf", "oneOf"] {
            let choices = schema.at(key).map(Node::elements).unwrap_or_default();
            let choices: Vec<_> = choices.iter().map(|choice| self.merge(choice)).collect();
            if let Some((first, rest)) = choices.split_first() {
                let is_needed = |name: &&&str| rest.iter().all(|choice| choice.required.contains(name));
                merged.need(first.required.iter().filter(is_needed).copied());
            }
            for choice in &choices {
                merged.also(choice);
            }
        }
        self.way.pop();
        merged
    }
}

impl<'n> Merged<'n> {
    fn say(&mut self, name: &'n str, property: &'n str) {
        match self.properties.iter_mut().find(|(known, _)| *known == name) {
            Some((_, said)) if said.contains(&property) => {}
            Some((_, said)) => said.push(property),
            None => self.properties.push((name, vec![property])),
        }
    }

    fn need(&mut self, names: impl Iterator<Item = &'n str>) {
        for name in names {
            if !self.required.contains(&name) {
                self.required.push(name);
            }
        }
    }

    fn also(&mut self, other: &Self) {
        for (name, said) in &other.properties {
            for property in said {
                self.say(name, property);
            }
        }
    }

    fn write(&self, object: &mut write::Object<'_>) {
        object.object("properties", |properties| {
            for (name, said) in &self.properties {
                let property = match &said[..] {
                    [one] => Cow::Borrowed(*one),
                    all => Cow::Owned(format!(r#"{{"anyOf":[{}]}}"#, all.join(","))),
                };
                properties.raw(name, &property);
            }
        });
        if !self.required.is_empty() {
            object.array("required", |required| {
                for name in &self.required {
                    required.str(name);
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::dialect::tree;

    fn check(schema: &Value, expected: Option<&Value>, lost: &[&str]) {
        let (text, mut losses) = (schema.to_string(), Losses::default());
        let flat = of(&tree::parse(text.as_bytes()).expect("JSON"), "x", &mut losses);
        let flat = flat.map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
        assert_eq!(
            (flat.as_ref(), losses.names()),
            (expected, &lost.iter().map(|name| Cow::Owned(format!("x.{name}"))).collect::<Vec<_>>()[..])
        );
    }

    #[test]
    fn one_object_has_what_any_of_them_has_and_needs_what_each_needs() {
        let union = json!({"oneOf": [
            {"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "string"}}, "required": ["kind", "x"]},
            {"$ref": "#/$defs/b"},
        ], "$defs": {"b": {"properties": {"kind": {"const": "b"}, "x": {"type": "string"}}, "required": ["kind"]}}});
        let flat = json!({"type": "object", "description": format!("{{oneOf: {}}}", union["oneOf"]),
            "properties": {"kind": {"anyOf": [{"const": "a"}, {"const": "b"}]}, "x": {"type": "string"}},
            "required": ["kind"], "$defs": union["$defs"]});
        check(&union, Some(&flat), &["oneOf"]);
        let parts = json!({"type": "object", "description": "Both", "properties": {"a": {}}, "required": ["a"],
            "additionalProperties": false, "allOf": [{"properties": {"b": {}}, "required": ["b"]}]});
        let flat = json!({"type": "object", "description": format!("Both\n\n{{allOf: {}}}", parts["allOf"]),
            "properties": {"a": {}, "b": {}}, "required": ["a", "b"], "additionalProperties": false});
        check(&parts, Some(&flat), &["allOf"]);
        let inside = json!({"type": "object", "properties": {"a": {"anyOf": [{"type": "null"}]}}});
        check(&inside, None, &[]);
    }

    #[test]
    fn schemas_that_hold_themselves_come_to_an_end() {
        let endless = json!({"anyOf": [{"$ref": "#"}, {"$ref": "#"}, {"properties": {"a": {}}}]});
        let text = endless.to_string();
        let flat = of(&tree::parse(text.as_bytes()).expect("JSON"), "x", &mut Losses::default());
        assert!(flat.is_some_and(|flat| flat.contains(r#""a":{}"#)));
    }
}
