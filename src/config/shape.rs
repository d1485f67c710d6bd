//! Holds the tree against the schema: unknown keys, missing keys, wrong types, values out of range,
//! all of them in one pass.
//!
//! The schema is the one that editors get, made from the same structs that the tree is read into
//! afterwards, so there is no second list of keys. This is no general validator: it knows the
//! keywords that our own schema uses, and a test holds that. What does not fit is reported and cut
//! out of the tree, so that the rest can be read and checked as well.

use serde_json::{Map, Value as Json};

use super::file::policy::FirstEvent;
use super::nearest::{did_you_mean, listed, nearest};
use super::path::Path;
use super::problem::Findings;
use super::tree::{Entry, Node, Scalar, Text, Value};
use super::units::{Size, Span};

/// What other gateways, or a hurried hand, call our keys.
const SYNONYMS: [(&str, &str); 24] = [
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
                Text::Missing(_) => Fit::Keep,
                Text::AsWritten | Text::Resolved(_) if is_scalar(schema) => self.scalar(scalar, schema, path),
                Text::AsWritten | Text::Resolved(_) => self.wrong_kind(node, schema, path),
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
            if self.fit(item, of, &path.index(index)) == Fit::Cut {
                fit = Fit::Cut;
            }
        }
        fit
    }

    fn scalar(&mut self, scalar: &Scalar, schema: &Json, path: &Path) -> Fit {
        let text = scalar.text();
        let wrong = if let Some(names) = names(schema) {
            let what = schema.get("x-what").and_then(Json::as_str).unwrap_or("choice");
            let known = names.contains(&text);
            (!known).then(|| {
                let close = did_you_mean(text, names.iter().copied());
                (format!("is not a {what}"), format!("{close}known: {}", listed(names)))
            })
        } else if let Some(format) = schema.get("format").and_then(Json::as_str).and_then(reader) {
            format(text).err().map(|why| (why, String::new()))
        } else if is(schema, "boolean") {
            let known = matches!(text, "true" | "false");
            (!known).then(|| ("is not true or false".to_owned(), "write true or false".to_owned()))
        } else if is(schema, "integer") {
            integer(text, schema)
        } else if is(schema, "number") {
            number(text, schema)
        } else if schema.get("minLength").is_some() && text.is_empty() {
            Some(("is not allowed".to_owned(), "write something, or remove the key".to_owned()))
        } else {
            None
        };
        let Some((why, hint)) = wrong else { return Fit::Keep };
        let hint = schema.get("x-hint").and_then(Json::as_str).map_or(hint, str::to_owned);
        // Advice that stands in the reason itself is shown apart from it.
        let (why, hint) = match why.split_once("; ") {
            Some((why, advice)) if hint.is_empty() => (why.to_owned(), advice.to_owned()),
            _ => (why, hint),
        };
        self.findings.error(path, format!("{} {why}", shown(scalar)), hint);
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

/// Refuses a text with the reason.
type Reader = fn(&str) -> Result<(), String>;

/// The check of one of our own formats.
fn reader(format: &str) -> Option<Reader> {
    match format {
        Span::FORMAT => Some(|text| Span::parse(text).map(drop)),
        Size::FORMAT => Some(|text| Size::parse(text).map(drop)),
        FirstEvent::FORMAT => Some(|text| FirstEvent::parse(text).map(drop)),
        _ => None,
    }
}

fn integer(text: &str, schema: &Json) -> Option<(String, String)> {
    let least = schema.get("minimum").and_then(Json::as_f64).map_or(0, |least| least as i128);
    let most = schema.get("maximum").and_then(Json::as_f64).map_or(widest(schema), |most| most as i128);
    match text.parse::<i128>() {
        Err(_) => Some(("is not a whole number".to_owned(), range(least, most))),
        Ok(value) if (least..=most).contains(&value) => None,
        Ok(_) => Some(("is not allowed".to_owned(), range(least, most))),
    }
}

fn range(least: i128, most: i128) -> String {
    if least == most {
        format!("write {least}")
    } else if most >= i128::from(u32::MAX) {
        format!("use {least} or more")
    } else {
        format!("use {least} to {most}")
    }
}

fn number(text: &str, schema: &Json) -> Option<(String, String)> {
    let bound = |name| schema.get(name).and_then(Json::as_f64);
    let (least, most) = (bound("minimum").unwrap_or(f64::MIN), bound("maximum").unwrap_or(f64::MAX));
    let hint = format!("use {least} to {most}");
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && (least..=most).contains(&value) => None,
        Ok(value) if value.is_finite() => Some(("is not allowed".to_owned(), hint)),
        Ok(_) | Err(_) => Some(("is not a number".to_owned(), hint)),
    }
}

/// The largest value of the integer type that the schema was made from.
fn widest(schema: &Json) -> i128 {
    match schema.get("format").and_then(Json::as_str) {
        Some("uint8") => u8::MAX.into(),
        Some("uint16") => u16::MAX.into(),
        Some("uint32") => u32::MAX.into(),
        _ => u64::MAX.into(),
    }
}

/// A value as it may be quoted in a message.
fn shown(scalar: &Scalar) -> String {
    match &scalar.text {
        Text::AsWritten if scalar.raw.is_empty() => "the empty text".to_owned(),
        Text::AsWritten => {
            let text: String = scalar.raw.chars().take(60).collect();
            // Numbers read better bare; words could be taken for part of the sentence.
            let bare = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
            if bare { text } else { format!("`{text}`") }
        }
        Text::Resolved(_) | Text::Missing(_) | Text::Broken => "the value of this reference".to_owned(),
    }
}

/// "a list", "a duration such as 3s".
fn expected(schema: &Json) -> String {
    let format = schema.get("format").and_then(Json::as_str).unwrap_or_default();
    if names(schema).is_some() {
        let what = schema.get("x-what").and_then(Json::as_str).unwrap_or("choice");
        return format!("the name of a {what}");
    }
    let text = match format {
        Span::FORMAT => "a duration such as 3s",
        FirstEvent::FORMAT => "a duration such as 20s, or auto",
        Size::FORMAT => "a size such as 64KiB",
        _ if is(schema, "object") => "a mapping",
        _ if is(schema, "array") => "a list",
        _ if is(schema, "boolean") => "true or false",
        _ if is(schema, "integer") => "a whole number",
        _ if is(schema, "number") => "a number",
        _ => "a single text",
    };
    text.to_owned()
}

fn is(schema: &Json, kind: &str) -> bool {
    match schema.get("type") {
        Some(Json::String(one)) => one == kind,
        Some(Json::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

/// An absent value is no alternative: keys without a value are taken out before.
fn is_only_null(schema: &Json) -> bool {
    schema.get("type").and_then(Json::as_str) == Some("null")
}

fn is_scalar(schema: &Json) -> bool {
    names(schema).is_some() || ["string", "boolean", "integer", "number"].iter().any(|kind| is(schema, kind))
}

/// The words of a closed set, however the schema spells it.
fn names(schema: &Json) -> Option<Vec<&str>> {
    let list = schema.get("enum").and_then(Json::as_array);
    if let Some(list) = list {
        return Some(list.iter().filter_map(Json::as_str).collect());
    }
    let described = schema.get("oneOf").and_then(Json::as_array)?;
    Some(described.iter().filter_map(|one| one.get("const").and_then(Json::as_str)).collect())
}
