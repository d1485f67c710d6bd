//! The admin side for machines: an OpenAPI 3.1 document (<https://spec.openapis.org/oas/v3.1.1>), made of the table of
//! endpoints and of the types that they answer with. What is in neither is not in it.

use std::sync::LazyLock;

use axum::Json;
use axum::http::StatusCode;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::Problem;
use super::form::{Answer, Content, Form, Kind, Need, Parameter, anything, of};
use super::routes::{ROUTES, Route};
use crate::vocab::OperatorScope;

pub(super) const OPENAPI: Form = Form::gives(Content::Json(anything), "this document");

/// What may stand in a path, by the part before it: names of the sample, and of docs/callers.md.
const NAMES: [(&str, &str); 4] =
    [("keys", "shop"), ("simulated", "sim-a"), ("upstreams", "sim-a"), ("routes", "demo")];

/// It says the same as long as the program runs.
static DOCUMENT: LazyLock<Value> = LazyLock::new(document);

pub(super) async fn openapi() -> Json<&'static Value> {
    Json(&DOCUMENT)
}

/// All of it.
pub fn document() -> Value {
    let mut makers = Makers::new();
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| Value::Object(Map::new()));
        path[route.method.to_ascii_lowercase()] = operation(route, &mut makers);
    }
    let tags: Vec<Value> = OperatorScope::ALL
        .into_iter()
        .map(|scope| json!({ "name": scope.name(), "description": scope.about() }))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mainstay's admin side",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            "description": "Operations are tagged with the scope that they take (docs/admin.md). Where neither tokens nor \
                            certificates of operators are configured, whoever is on the gateway's machine has all of them.",
        },
        "servers": [{ "url": "/" }],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": makers.answers.take_definitions(true),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`server.admin_token`, or one of `server.admin_tokens`",
                },
                "certificate": { "type": "mutualTLS", "description": "of one of `server.admin_tls.clients`" },
            },
        },
    })
}

/// Schemas as they are read and as they are written: what may be left out differs.
struct Makers {
    bodies: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Makers {
    fn new() -> Self {
        let settings = || SchemaSettings::draft2020_12().with(|settings| settings.meta_schema = None);
        let bodies = settings().for_deserialize().with(|settings| settings.inline_subschemas = true);
        let answers = settings().for_serialize();
        let answers = answers.with(|settings| settings.definitions_path = "/components/schemas".into());
        Self { bodies: bodies.into_generator(), answers: answers.into_generator() }
    }

    fn answer(&mut self, shape: fn(&mut SchemaGenerator) -> Schema) -> Schema {
        shape(&mut self.answers)
    }
}

fn operation(route: &Route, makers: &mut Makers) -> Value {
    let Route { method, path, scope, form, doc, .. } = route;
    let mut operation = json!({
        "operationId": name(method, path),
        "summary": doc,
        "tags": [scope.name()],
        "security": security(*scope),
        "responses": responses(route, makers),
    });
    let named = named(path).map(|(of, name)| {
        let mut named =
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } });
        if let Some((_, example)) = NAMES.iter().find(|(known, _)| *known == of) {
            named["example"] = (*example).into();
        }
        named
    });
    let parameters: Vec<Value> = named.chain(form.query.iter().map(parameter)).collect();
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = &form.body {
        let schema = (body.shape)(&mut makers.bodies);
        operation["requestBody"] = json!({
            "description": body.doc,
            "required": body.need == Need::Required,
            "content": { body.media: { "schema": schema } },
        });
        if let Some(example) = form.example {
            let example = serde_json::from_str(example).unwrap_or_else(|_| example.into());
            operation["requestBody"]["content"][body.media]["example"] = example;
        }
    }
    operation
}

/// `get_admin_keys_name`: of method and path, and so as unique as they are.
fn name(method: &str, path: &str) -> String {
    let words = path.split(['/', '.']).filter(|part| !part.is_empty());
    let words = words.map(|part| part.trim_matches(['{', '}']).replace('-', "_"));
    let words: Vec<String> = [method.to_ascii_lowercase()].into_iter().chain(words).collect();
    if words.len() == 1 { "get_index".to_owned() } else { words.join("_") }
}

/// The names in a path, each after that of which it is one.
fn named(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let pairs = path.split('/').zip(path.split('/').skip(1));
    pairs.filter_map(|(of, part)| Some((of, part.strip_prefix('{')?.strip_suffix('}')?)))
}

fn security(scope: OperatorScope) -> Value {
    match scope {
        OperatorScope::Open => json!([]),
        scope => json!([{ "token": [scope.name()] }, { "certificate": [scope.name()] }]),
    }
}

fn parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Count => json!({ "type": "integer", "minimum": 0, "maximum": u64::MAX }),
        Kind::Truth => json!({ "type": "boolean" }),
        Kind::Word(words) => json!({ "type": "string", "enum": words }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
    };
    let mut said = json!({
        "name": parameter.name,
        "in": "query",
        "required": parameter.need == Need::Required,
        "description": parameter.doc,
        "schema": schema,
    });
    if let Some(example) = parameter.example {
        said["example"] = match parameter.kind {
            Kind::Texts => json!([example]),
            Kind::Text | Kind::Word(_) => example.into(),
            Kind::Count | Kind::Truth => serde_json::from_str(example).unwrap_or_default(),
        };
    }
    said
}

fn responses(route: &Route, makers: &mut Makers) -> Value {
    let form = route.form;
    let mut responses = Map::new();
    for Answer { status, content, doc } in [&form.answer].into_iter().chain(form.others) {
        let json = |schema: Schema| json!({ "schema": schema });
        let text = |media: &&str| ((*media).to_owned(), json!({ "schema": { "type": "string" } }));
        let content: Map<String, Value> = match content {
            Content::Json(shape) => {
                Map::from_iter([("application/json".to_owned(), json(makers.answer(*shape)))])
            }
            Content::Text(media) => media.iter().map(text).collect(),
            Content::Either(shape, media) => {
                let json = ("application/json".to_owned(), json(makers.answer(*shape)));
                media.iter().map(text).chain([json]).collect()
            }
        };
        responses.insert(status.to_string(), json!({ "description": doc, "content": content }));
    }
    for (status, doc) in refusals(route) {
        let problem = json!({ "application/json": { "schema": makers.answer(of::<Problem>) } });
        responses
            .entry(status.as_u16().to_string())
            .or_insert_with(|| json!({ "description": doc, "content": problem }));
    }
    Value::Object(responses)
}

/// An endpoint's own, and those that are not its affair.
fn refusals(route: &Route) -> impl Iterator<Item = (StatusCode, &'static str)> {
    let own = route.form.refusals.iter().copied();
    let takes = route.form.body.is_some();
    let body =
        [(400, "the body is not what it should be, or came too slowly"), (413, "the body is too long")];
    let body = body.into_iter().filter(move |_| takes);
    let names = named(route.path).count() > 0;
    let path = [(400, "a name in the path is no text")].into_iter().filter(move |_| names);
    let is_guarded = route.scope != OperatorScope::Open;
    let door = [
        (400, "the query has something in it that this does not take"),
        (401, "no token, a wrong one, or no certificate of an operator"),
        (403, "the operator has not the scope, or a page of another site asks"),
        (429, "too many wrong tokens came from this address"),
        (500, "it broke off; what was wrong is in the log"),
    ];
    let door = door.into_iter().filter(move |_| is_guarded);
    let all = own.chain(body).chain(path).chain(door);
    all.filter_map(|(status, doc)| Some((StatusCode::from_u16(status).ok()?, doc)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_endpoint_is_in_the_document_with_its_scope_and_its_answers() {
        let document = document();
        let mut ids = HashSet::new();
        for route in ROUTES {
            let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
            let id = operation["operationId"].as_str().expect("an id").to_owned();
            assert!(ids.insert(id), "{operation}");
            assert_eq!(operation["tags"][0], route.scope.name());
            let is_open = route.scope == OperatorScope::Open;
            assert_eq!(operation["security"].as_array().map(Vec::is_empty), Some(is_open));
            assert_eq!(operation["responses"]["401"].is_null(), is_open, "{} {}", route.method, route.path);
            let own = &operation["responses"][route.form.answer.status.to_string()];
            assert_eq!(own["description"], route.form.answer.doc);
            for (status, _) in route.form.refusals {
                let refusal = &operation["responses"][status.to_string()]["content"]["application/json"];
                assert_eq!(refusal["schema"]["$ref"], "#/components/schemas/Problem", "{}", route.path);
            }
        }
        assert_eq!(ids.len(), ROUTES.len());
    }

    #[test]
    fn whatever_the_document_refers_to_is_in_it() {
        fn check(value: &Value, all: &Value) {
            match value {
                Value::Object(object) => {
                    if let Some(Value::String(place)) = object.get("$ref") {
                        let place = place.strip_prefix('#').expect("a place in the document");
                        assert!(all.pointer(place).is_some(), "{place}");
                    }
                    object.values().for_each(|value| check(value, all));
                }
                Value::Array(values) => values.iter().for_each(|value| check(value, all)),
                _ => {}
            }
        }
        let document = document();
        check(&document, &document);
    }
}
