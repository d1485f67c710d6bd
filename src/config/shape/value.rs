//! One scalar against its piece of the schema.

use serde_json::Value as Json;

use crate::config::dollars::Dollars;
use crate::config::file::policy::{SpanOrAuto, SpanOrOff};
use crate::config::nearest::{did_you_mean, listed};
use crate::config::percent::Percent;
use crate::config::tree::{Scalar, Text};
use crate::config::units::{Size, Span};

/// Why the schema does not allow this text, and what to write instead; both without the text.
pub fn refusal(text: &str, schema: &Json) -> Option<(String, String)> {
    let (why, hint) = if let Some(names) = names(schema) {
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
    }?;
    let hint = schema.get("x-hint").and_then(Json::as_str).map_or(hint, str::to_owned);
    // Advice that stands in the reason itself is shown apart from it.
    match why.split_once("; ") {
        Some((why, advice)) if hint.is_empty() => Some((why.to_owned(), advice.to_owned())),
        _ => Some((why, hint)),
    }
}

/// Refuses a text with the reason.
type Reader = fn(&str) -> Result<(), String>;

/// The check of one of our own formats.
fn reader(format: &str) -> Option<Reader> {
    match format {
        Span::FORMAT => Some(|text| Span::parse(text).map(drop)),
        Size::FORMAT => Some(|text| Size::parse(text).map(drop)),
        SpanOrAuto::FORMAT => Some(|text| SpanOrAuto::parse(text).map(drop)),
        SpanOrOff::FORMAT => Some(|text| SpanOrOff::parse(text).map(drop)),
        Dollars::FORMAT => Some(|text| Dollars::parse(text).map(drop)),
        Percent::FORMAT => Some(|text| Percent::parse(text).map(drop)),
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
pub fn shown(scalar: &Scalar) -> String {
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
pub fn expected(schema: &Json) -> String {
    let format = schema.get("format").and_then(Json::as_str).unwrap_or_default();
    if names(schema).is_some() {
        let what = schema.get("x-what").and_then(Json::as_str).unwrap_or("choice");
        return format!("the name of a {what}");
    }
    let text = match format {
        Span::FORMAT => "a duration such as 3s",
        SpanOrAuto::FORMAT => "a duration such as 20s, or auto",
        SpanOrOff::FORMAT => "a duration such as 10s, or off",
        Size::FORMAT => "a size such as 64KiB",
        Dollars::FORMAT => "an amount such as 30 or 30.00 USD",
        Percent::FORMAT => "a share such as 5%",
        _ if is(schema, "object") => "a mapping",
        _ if is(schema, "array") => "a list",
        _ if is(schema, "boolean") => "true or false",
        _ if is(schema, "integer") => "a whole number",
        _ if is(schema, "number") => "a number",
        _ => "a single text",
    };
    text.to_owned()
}

pub fn is(schema: &Json, kind: &str) -> bool {
    match schema.get("type") {
        Some(Json::String(one)) => one == kind,
        Some(Json::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

/// An absent value is no alternative: keys without a value are taken out before.
pub fn is_only_null(schema: &Json) -> bool {
    schema.get("type").and_then(Json::as_str) == Some("null")
}

pub fn is_scalar(schema: &Json) -> bool {
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
