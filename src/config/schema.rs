//! The JSON Schema of `routing.yaml`.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value as Json, json};

use super::file::File;
use super::file::models::Models;

/// What editors get: the same as `strict`, with references allowed wherever a scalar is.
pub fn schema() -> Json {
    let mut schema = strict();
    if let Some(definitions) = schema.get_mut("$defs").and_then(Json::as_object_mut) {
        definitions.values_mut().for_each(allow_references);
    }
    allow_references(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("$defs".to_owned(), root.get("$defs").cloned().unwrap_or_else(|| json!({})));
        if let Some(definitions) = root.get_mut("$defs").and_then(Json::as_object_mut) {
            definitions.insert(
                "Reference".to_owned(),
                json!({
                    "description": "${NAME}, ${NAME:-default}, ${NAME:?message} or file:/path.",
                    "type": "string",
                    "pattern": r"\$\{|^file:",
                }),
            );
        }
    }
    schema
}

/// What the values have to be once references are replaced.
pub(super) fn strict() -> Json {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>().to_value()
}

/// What the file of `catalog.file` has to be.
pub(super) fn of_models() -> Json {
    of::<Models>()
}

/// What a file of this form has to be.
pub(super) fn of<F: JsonSchema>() -> Json {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<F>().to_value()
}

/// Makes `{anyOf: [X, Reference]}` of every scalar X below `schema` that is more than any text.
fn allow_references(schema: &mut Json) {
    let Some(object) = schema.as_object_mut() else { return };
    for key in ["properties", "additionalProperties", "items", "anyOf"] {
        match object.get_mut(key) {
            Some(Json::Object(below)) if key == "properties" => below.values_mut().for_each(allow_references),
            Some(below @ Json::Object(_)) => allow_references(below),
            Some(Json::Array(options)) => options.iter_mut().for_each(allow_references),
            _ => {}
        }
    }
    if is_narrow(object) {
        let mut narrow = Map::new();
        std::mem::swap(object, &mut narrow);
        if let Some(about) = narrow.get("description") {
            object.insert("description".to_owned(), about.clone());
        }
        object.insert("anyOf".to_owned(), json!([narrow, {"$ref": "#/$defs/Reference"}]));
    }
}

fn is_narrow(schema: &Map<String, Json>) -> bool {
    let scalar = |kind: &Json| matches!(kind.as_str(), Some("integer" | "number" | "boolean"));
    let numeric = match schema.get("type") {
        Some(Json::Array(kinds)) => kinds.iter().any(scalar),
        Some(kind) => scalar(kind),
        None => false,
    };
    numeric || ["pattern", "enum", "oneOf", "const"].iter().any(|key| schema.contains_key(*key))
}
