//! The forms of the endpoints of keys: what may be said of one, and what is answered.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::form::{Body, Form, Need};
use super::view::{Listed, Made, Shown};
use crate::config::managed::Terms;

/// Why some of them are refused.
const MISSING: (u16, &str) = (404, "no managed key is called this");
const NO_DESK: (u16, &str) =
    (409, "routing.yaml has no `store` or no `server.key_hash_secret`, or the key has just changed");
const NO_JSON: (u16, &str) = (400, "the body is no JSON object, or says what it cannot");
const WRONG: (u16, &str) = (422, "what it says of the key is wrong, with all that is");
const AWAY: (u16, &str) = (503, "the store is away");

pub(in crate::admin) const LIST: Form = Form::json::<Listed>("all of them");
pub(in crate::admin) const SHOW: Form =
    Form::json::<Shown>("the key").refuses(&[(404, "no key is called this")]);
pub(in crate::admin) const CREATE: Form = Form::json::<Made>("the key, and its secret for the only time")
    .status(201)
    .body(Body { media: "application/json", shape: new, need: Need::Required, doc: "what is said of it" })
    .example(r#"{"name": "desk", "tags": {"customer": "4711"}, "expires": "2099-01-31"}"#)
    .refuses(&[NO_JSON, (409, "there is such a key, or nowhere to keep it"), WRONG, AWAY])
    .does("key.create");
pub(in crate::admin) const CHANGE: Form = Form::json::<Shown>("the key as it is now")
    .body(Body {
        media: "application/json",
        shape: changed,
        need: Need::Required,
        doc: "what becomes another: what is not named stays, null takes out",
    })
    .example(r#"{"tags": {"customer": "4712"}, "expires": null}"#)
    .refuses(&[NO_JSON, MISSING, NO_DESK, WRONG, AWAY])
    .does("key.change");
pub(in crate::admin) const DELETE: Form =
    Form::json::<Shown>("the key as it was").refuses(&[MISSING, NO_DESK, AWAY]).does("key.delete");
pub(in crate::admin) const ROTATE: Form = Form::json::<Made>("the key, and its new secret for the only time")
    .takes::<Overlap>(Need::Optional, "how long the old secret goes on (24h)")
    .example(r#"{"overlap": "1h"}"#)
    .refuses(&[NO_JSON, MISSING, NO_DESK, AWAY])
    .does("key.rotate");
pub(in crate::admin) const DISABLE: Form =
    Form::json::<Shown>("the key as it is now").refuses(&[MISSING, NO_DESK, AWAY]).does("key.disable");
pub(in crate::admin) const ENABLE: Form =
    Form::json::<Shown>("the key as it is now").refuses(&[MISSING, NO_DESK, AWAY]).does("key.enable");

/// How long the secret goes on that another one replaces.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::admin) struct Overlap {
    /// A duration of 90d at most, as "24h"; 0s ends it now.
    pub(super) overlap: Option<String>,
}

/// What is said of a new key: as under `keys:`, with its name and without its secret.
fn new(generator: &mut SchemaGenerator) -> Schema {
    let mut said = properties(generator);
    let name = json!({ "type": "string", "description": "what metrics, logs and bills call it", "minLength": 1, "maxLength": 64 });
    said.insert("name".to_owned(), name);
    json_schema!({ "type": "object", "properties": said, "required": ["name"], "additionalProperties": false })
}

/// The same of one that there is. It keeps its name.
fn changed(generator: &mut SchemaGenerator) -> Schema {
    let said = properties(generator).into_iter();
    let said: Map<String, Value> =
        said.map(|(name, schema)| (name, json!({ "anyOf": [schema, { "type": "null" }] }))).collect();
    json_schema!({ "type": "object", "properties": said, "additionalProperties": false })
}

fn properties(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let terms = Terms::json_schema(generator);
    let mut said = terms.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    for (name, about) in [
        ("organisation", "a name under `organisations`"),
        ("team", "a name under `teams`"),
        ("user", "a name under `users`"),
        ("expires", "a day (its first moment, UTC) or a time, as in 2027-01-31T12:00:00Z"),
    ] {
        said.insert(name.to_owned(), json!({ "type": "string", "description": about }));
    }
    said
}
