//! Holds the tree against the schema: unknown keys, missing keys, wrong types, values out of range,
//! all of them in one pass.
//!
//! The schema is the one that editors get, made from the same structs that the tree is read into
//! afterwards, so there is no second list of keys. This is no general validator: it knows the
//! keywords that our own schema uses, and a test holds that. What does not fit is reported and cut
//! out of the tree, so that the rest can be read and checked as well.

mod value;

use serde_json::{Map, Value as Json};

use value::{expected, is, is_only_null, is_scalar};

use super::nearest::{listed, nearest};
use super::path::Path;
use super::problem::Findings;
use super::tree::{Entry, Node, Scalar, Text, Value};

/// What other gateways, or a hurried hand, call our keys.
const SYNONYMS: [(&str, &str); 25] = [
    ("api_base", "base_url"),
    ("api_key", "credentials"),
    ("api_keys", "credentials"),
    ("attempts", "max_attempts"),
    ("balance", "select"),
    ("circuit_breaker", "breaker"),
    ("endpoint", "base_url"),
    ("fallbacks", "fallback"),
    ("health", "probe"),
    ("health_check", "probe"),
    ("key", "credentials"),
    ("keys", "credentials"),
    ("max_retries", "max_attempts"),
    ("model_name", "model"),
    ("name", "model"),
    ("password", "credentials"),
    ("pools", "routes"),
    ("prefix", "path"),
    ("priority", "tier"),
    ("providers", "upstreams"),
    ("retries", "retry"),
    ("strategy", "select"),
    ("timeout", "timeouts"),
    ("type", "provider"),
    ("url", "base_url"),
];

/// Checks the whole tree and leaves in it only what fits.
pub fn fit(root: &mut Node, schema: &Json, findings: &mut Findings) {
    let nothing = Map::new();
    let definitions = schema.get("$defs").and_then(Json::as_object).unwrap_or(&nothing);
    Shape { whole: schema, definitions, nothing: &nothing, findings }.fit(root, schema, &Path::root());
}

struct Shape<'s, 'f> {
    whole: &'s Json,
    definitions: &'s Map<String, Json>,
    /// Stands in where a schema lists no properties.
    nothing: &'s Map<String, Json>,
    findings: &'f mut Findings,
}

/// Whether a value can stay.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fit {
    Keep,
    Cut,
}

impl<'s> Shape<'s, '_> {
    fn fit(&mut self, node: &mut Node, schema: &'s Json, path: &Path) -> Fit {
        let schema = self.choose(node, schema);
        if is(schema, "object") {
            return self.object(node, schema, path);
        }
        match &mut node.value {
            Value::Scalar(scalar) => match &scalar.text {
                Text::Broken => Fit::Cut,
                _ if !is_scalar(schema) => self.wrong_kind(node, schema, path),
                Text::Missing(_) => Fit::Keep,
                Text::AsWritten | Text::Resolved(_) => self.scalar(scalar, schema, path),
            },
            Value::List(items) if is(schema, "array") => self.list(items, schema, path),
            Value::List(_) | Value::Map(_) => self.wrong_kind(node, schema, path),
        }
    }

    /// Follows references, and takes the alternative that is meant by the node's kind.
    fn choose(&self, node: &Node, schema: &'s Json) -> &'s Json {
        let fits = |option: &Json| match node.value {
            Value::Scalar(_) => is_scalar(option),
            Value::List(_) => is(option, "array"),
            Value::Map(_) => is(option, "object"),
        };
        let options = self.alternatives(schema);
        let fitting = options.iter().find(|option| fits(option));
        fitting.or(options.first()).copied().unwrap_or(schema)
    }

    /// What a value may be, nested alternatives included.
    fn alternatives(&self, schema: &'s Json) -> Vec<&'s Json> {
        let schema = self.resolve(schema);
        match schema.get("anyOf").and_then(Json::as_array) {
            None if is_only_null(schema) => Vec::new(),
            None => vec![schema],
            Some(options) => options.iter().flat_map(|option| self.alternatives(option)).collect(),
        }
    }

    fn resolve(&self, schema: &'s Json) -> &'s Json {
        let name = schema.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix("#/$defs/"));
        name.and_then(|name| self.definitions.get(name)).unwrap_or(schema)
    }

    fn object(&mut self, node: &mut Node, schema: &'s Json, path: &Path) -> Fit {
        if node.is_null() {
            node.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut node.value else {
            self.wrong_kind(node, schema, path);
            // The name that stands above it stays known to the rest of the file.
            node.value = Value::Map(Vec::new());
            return Fit::Keep;
        };
        let properties = schema.get("properties").and_then(Json::as_object).unwrap_or(self.nothing);
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        for name in schema.get("required").and_then(Json::as_array).into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if !entries.iter().any(|entry| entry.key == name && !entry.node.is_null()) {
                let hint = properties.get(name).map(|schema| self.about(schema)).unwrap_or_default();
                self.findings.error_at_key(path, format!("`{name}` is missing"), hint);
            }
        }
        let mut kept = Vec::with_capacity(entries.len());
        for mut entry in std::mem::take(entries) {
            let at = path.key(entry.key.as_str());
            let fit = match (properties.get(&entry.key), others) {
                // A key without a value says nothing.
                (Some(_), _) if entry.node.is_null() => Fit::Cut,
                (Some(schema), _) | (None, Some(schema)) => self.fit(&mut entry.node, schema, &at),
                (None, None) => self.unknown(&entry, properties, &at),
            };
            if fit == Fit::Keep {
                kept.push(entry);
            }
        }
        let least = schema.get("minProperties").and_then(Json::as_u64).unwrap_or(0);
        if kept.is_empty() && least > 0 && !self.findings.touches(path) {
            self.findings.error_at_key(path, "nothing is in here", "add at least one");
        }
        node.value = Value::Map(kept);
        Fit::Keep
    }

    fn list(&mut self, items: &mut [Node], schema: &'s Json, path: &Path) -> Fit {
        let Some(of) = schema.get("items") else { return Fit::Keep };
        if items.is_empty() && schema.get("minItems").is_some() {
            self.findings.error_at_key(path, "the list is empty", "add at least one");
        }
        let most = schema.get("maxItems").and_then(Json::as_u64).map_or(usize::MAX, |most| most as usize);
        let least = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0) as usize;
        if !items.is_empty() && !(least..=most).contains(&items.len()) {
            let hint =
                if least == most { format!("give {least}") } else { format!("give {least} to {most}") };
            self.findings.error_at_key(path, format!("a list of {} is not allowed", items.len()), hint);
            return Fit::Cut;
        }
        // Items are never taken out one by one: that would move those behind them.
        let mut fit = Fit::Keep;
        for (index, item) in items.iter_mut().enumerate() {
            let path = path.index(index);
            let blank = item.is_null() && !is(self.choose(item, of), "object");
            if blank {
                self.findings.error(&path, "nothing stands here", "write a value, or remove the item");
            }
            if blank || self.fit(item, of, &path) == Fit::Cut {
                fit = Fit::Cut;
            }
        }
        fit
    }

    fn scalar(&mut self, scalar: &Scalar, schema: &Json, path: &Path) -> Fit {
        let Some((why, hint)) = value::refusal(scalar.text(), schema) else { return Fit::Keep };
        self.findings.error(path, format!("{} {why}", value::shown(scalar)), hint);
        Fit::Cut
    }

    fn wrong_kind(&mut self, node: &Node, schema: &Json, path: &Path) -> Fit {
        let wanted = expected(schema);
        let hint = match &node.value {
            Value::Scalar(_) if is(schema, "array") => "put it in brackets: [...]".to_owned(),
            Value::Scalar(_) if is(schema, "object") => Self::keys(schema),
            Value::List(_) if is(schema, "object") => {
                "write `key: value` lines without the leading dash".to_owned()
            }
            _ => String::new(),
        };
        self.findings.error(path, format!("expected {wanted}, found {}", node.kind()), hint);
        Fit::Cut
    }

    fn unknown(&mut self, entry: &Entry, properties: &'s Map<String, Json>, path: &Path) -> Fit {
        let key = entry.key.as_str();
        let synonym = SYNONYMS.iter().find(|(theirs, ours)| *theirs == key && properties.contains_key(*ours));
        let known = || format!("known here: {}", listed(properties.keys().map(String::as_str)));
        let hint = if let Some((_, ours)) = synonym {
            format!("it is called `{ours}` here")
        } else if let Some(name) = nearest(key, properties.keys().map(String::as_str)) {
            format!("did you mean `{name}`?")
        } else if let Some(section) = self.section_with(properties, key) {
            format!("it belongs in `{section}`")
        } else {
            let places = self.places(key);
            if places.is_empty() { known() } else { format!("it belongs in {}", places.join(" or ")) }
        };
        self.findings.error_at_key(path, format!("unknown key `{key}`"), hint);
        Fit::Cut
    }

    /// The section below this mapping that has a key of this name.
    fn section_with(&self, properties: &'s Map<String, Json>, key: &str) -> Option<&'s str> {
        let has = |schema: &'s Json| {
            let inner = self.resolve(schema).get("properties").and_then(Json::as_object);
            inner.is_some_and(|inner| inner.contains_key(key))
        };
        properties.iter().find(|(_, schema)| has(schema)).map(|(name, _)| name.as_str())
    }

    /// All sections of the whole file that have a key of this name; none when there are many.
    fn places(&self, key: &str) -> Vec<String> {
        const MANY: usize = 4;
        let mut places = Vec::new();
        let mut ahead = vec![(String::new(), self.whole)];
        while let Some((path, schema)) = ahead.pop() {
            for schema in self.alternatives(schema) {
                if let Some(properties) = schema.get("properties").and_then(Json::as_object) {
                    if properties.contains_key(key) {
                        places.push(format!("`{path}`"));
                    }
                    let dot = if path.is_empty() { "" } else { "." };
                    ahead
                        .extend(properties.iter().map(|(name, below)| (format!("{path}{dot}{name}"), below)));
                }
                if let Some(below) = schema.get("additionalProperties").filter(|below| below.is_object()) {
                    ahead.push((format!("{path}.*"), below));
                }
                if let Some(below) = schema.get("items") {
                    ahead.push((format!("{path}[]"), below));
                }
            }
        }
        places.sort_by_key(String::len);
        if places.len() < MANY { places } else { Vec::new() }
    }

    fn keys(schema: &Json) -> String {
        match schema.get("properties").and_then(Json::as_object) {
            Some(properties) => {
                format!("its keys are: {}", listed(properties.keys().map(String::as_str)))
            }
            None => "write one `name: value` a line".to_owned(),
        }
    }

    fn about(&self, schema: &'s Json) -> String {
        let described = |schema: &'s Json| schema.get("description").and_then(Json::as_str);
        let inner = schema.get("anyOf").and_then(Json::as_array).and_then(|options| options.first());
        let text = described(schema)
            .or_else(|| described(self.resolve(schema)))
            .or_else(|| inner.and_then(|option| described(self.resolve(option))));
        text.unwrap_or_default().trim_end_matches('.').to_owned()
    }
}
