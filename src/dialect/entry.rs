//! The ways in: which dialect and operation a method and a path mean, and where the model is named.
//!
//! One table (`WAYS`) for what has a fixed path, one rule for `…/models…`, which three dialects
//! share. Says nothing about routes: a path that is no way in may still belong to an `http` route.
//! Source: DESIGN §2 "Ways in", WIRE §2.1 and §3.7.

mod bases;
mod left;
mod path;
#[cfg(test)]
mod tests;
mod ways;

use std::borrow::Cow;

use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;

use super::{Dialect, Operation};
use path::{is_key, params};
use ways::{BEDROCK_VERBS, GEMINI_VERSIONS, Named, VERBS, WAYS};

pub use bases::{Ours, Wrapping, meant, ours};
pub use left::{Left, Want};
pub use path::{below, own_path};

/// What a request asks for, as far as its first line and headers tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub dialect: Dialect,
    pub operation: Operation,
    pub model: ModelAt<'a>,
    tail: Tail<'a>,
}

/// Where a request names its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelAt<'a> {
    /// In the JSON body.
    Body,
    /// In a form's part, or in the JSON body when the request has one.
    Multipart,
    /// In the path; decoded.
    Path(Cow<'a, str>),
    /// Nowhere, since it is about what was left at an upstream.
    Left(Left<'a>),
    Nowhere,
}

impl Tail<'_> {
    /// Gemini's path of something that need not be a model.
    fn is_resource(&self) -> bool {
        !self.model.is_empty() && self.after.starts_with(':') && !self.before.ends_with("models/")
    }
}

/// No way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    NotFound { dialect: Dialect },
    MethodNotAllowed { dialect: Dialect, allow: &'static str },
}

/// What is appended to an upstream's base path. `model` is as the caller wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tail<'a> {
    before: &'a str,
    model: &'a str,
    after: &'a str,
}

/// The dialect and operation of a request. `path` is raw: percent-encoded, without the query.
pub fn find<'a>(
    method: &Method,
    path: &'a str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Entry<'a>, Miss> {
    if let Some(way) = WAYS.iter().find(|way| way.path == path) {
        if method != Method::POST {
            return Err(Miss::MethodNotAllowed { dialect: way.dialect, allow: "POST" });
        }
        return Ok(Entry {
            dialect: way.dialect,
            operation: way.operation,
            model: match way.model {
                Named::Json => ModelAt::Body,
                Named::Form => ModelAt::Multipart,
            },
            tail: Tail { before: way.path.strip_prefix(way.ours).unwrap_or(way.path), model: "", after: "" },
        });
    }
    if let Some(found) = left::find(method, path, headers) {
        return found;
    }
    let (owner, rest) = owner(path);
    if owner == Some(Dialect::Bedrock) {
        return bedrock(method, rest);
    }
    let listing = rest
        .strip_prefix('/')
        .and_then(|rest| rest.split_once('/'))
        .filter(|(version, _)| GEMINI_VERSIONS.contains(version))
        .and_then(|(_, list)| list.strip_prefix("models"))
        .filter(|list| list.is_empty() || list.starts_with('/'));
    let dialect = owner.unwrap_or_else(|| asked_shape(query, headers));
    if let (Some(Dialect::Gemini), None, Some(entry)) = (owner, listing, resource(rest)) {
        return if method == Method::POST {
            Ok(entry)
        } else {
            Err(Miss::MethodNotAllowed { dialect, allow: "POST" })
        };
    }
    match listing {
        Some(list) => models(method, rest, list, owner, dialect),
        None if owner.is_none() && !rest.starts_with("/v1/") => {
            Err(Miss::NotFound { dialect: Dialect::Http })
        }
        None => Err(Miss::NotFound { dialect }),
    }
}

/// In whose words somebody is answered there, be it that nothing is served.
pub fn dialect_of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Dialect {
    let ours = ours(uri);
    if ours.as_ref().is_some_and(|ours| matches!(ours.wrapping, Some(Wrapping::Bedrock(_)))) {
        return Dialect::Bedrock;
    }
    let uri = ours.as_ref().map_or(uri, |ours| &ours.uri);
    match find(method, uri.path(), uri.query(), headers) {
        Ok(entry) => entry.dialect,
        Err(Miss::NotFound { dialect } | Miss::MethodNotAllowed { dialect, .. }) => dialect,
    }
}

/// Whether one of Gemini's paths asks its `v1`, which lacks models that `v1beta` has.
pub fn is_narrow(path: &str) -> bool {
    owner(path).1.starts_with("/v1/")
}

/// Whose path this is, where it says so, and the path without our own prefix.
fn owner(path: &str) -> (Option<Dialect>, &str) {
    const OWNERS: [(&str, Dialect); 4] = [
        ("/anthropic", Dialect::Anthropic),
        ("/gemini", Dialect::Gemini),
        ("/cohere", Dialect::Cohere),
        ("/bedrock", Dialect::Bedrock),
    ];
    for (prefix, dialect) in OWNERS {
        if let Some(rest) = path.strip_prefix(prefix).filter(|rest| rest.starts_with('/')) {
            return (Some(dialect), rest);
        }
    }
    let google = path.starts_with("/v1beta/") || path.starts_with("/v1alpha/");
    (google.then_some(Dialect::Gemini), path)
}

/// `/v1/models` belongs to three dialects; only the headers tell them apart (WIRE §3.7).
fn asked_shape(query: Option<&str>, headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") || headers.contains_key("x-api-key") {
        Dialect::Anthropic
    } else if headers.contains_key("x-goog-api-key") || query.is_some_and(|q| params(q).any(is_key)) {
        Dialect::Gemini
    } else {
        Dialect::OpenAi
    }
}

/// `/{version}/{model}:{verb}`, where the model's name has a slash: some SDKs take it for a resource's path
/// (`tunedModels/x`) and leave `models/` out.
fn resource(rest: &str) -> Option<Entry<'_>> {
    let (version, named) = rest.strip_prefix('/')?.split_once('/')?;
    let (raw, after, operation) = told(named).filter(|(raw, _, _)| raw.contains('/'))?;
    let before = rest.get(..version.len() + 2).filter(|_| GEMINI_VERSIONS.contains(&version))?;
    let model = ModelAt::Path(decode(raw)?);
    Some(Entry { dialect: Dialect::Gemini, operation, model, tail: Tail { before, model: raw, after } })
}

/// A model and what it is told to do, `{model}:{verb}`. Some clients encode the colon.
fn told(named: &str) -> Option<(&str, &'static str, Operation)> {
    VERBS.iter().find_map(|(verb, operation)| Some((without_verb(named, verb)?, *verb, *operation)))
}

fn without_verb<'a>(named: &'a str, verb: &str) -> Option<&'a str> {
    let rest = named.strip_suffix(verb.strip_prefix(':')?)?;
    [":", "%3A", "%3a"].iter().find_map(|colon| rest.strip_suffix(colon))
}

/// `/model/{model}/{verb}`; the model is percent-encoded, as its ARN may have slashes.
fn bedrock<'a>(method: &Method, rest: &'a str) -> Result<Entry<'a>, Miss> {
    let dialect = Dialect::Bedrock;
    let not_found = Miss::NotFound { dialect };
    let named = rest.strip_prefix("/model/").ok_or(not_found)?;
    let split = BEDROCK_VERBS
        .iter()
        .find_map(|(verb, operation)| Some((named.strip_suffix(verb)?, *verb, *operation)));
    let (raw, after, operation) = split.filter(|(raw, _, _)| !raw.is_empty()).ok_or(not_found)?;
    if method != Method::POST {
        return Err(Miss::MethodNotAllowed { dialect, allow: "POST" });
    }
    let model = decode(raw).ok_or(not_found)?;
    Ok(Entry {
        dialect,
        operation,
        model: ModelAt::Path(model),
        tail: Tail { before: "/model/", model: raw, after },
    })
}

/// `…/models`, `…/models/{model}` and `…/models/{model}:{verb}`; `list` is what follows `models`.
fn models<'a>(
    method: &Method,
    rest: &'a str,
    list: &'a str,
    owner: Option<Dialect>,
    asked: Dialect,
) -> Result<Entry<'a>, Miss> {
    let named = list.strip_prefix('/').unwrap_or_default();
    let may_be_gemini = matches!(owner, None | Some(Dialect::Gemini));
    let (dialect, operation, raw, after, right, allow) = match told(named) {
        Some((model, verb, operation)) if may_be_gemini => {
            (Dialect::Gemini, operation, model, verb, Method::POST, "POST")
        }
        _ if list.is_empty() => (asked, Operation::Models, "", "", Method::GET, "GET"),
        _ => (asked, Operation::Model, named, "", Method::GET, "GET"),
    };
    // A verb that we do not know is a missing page, not a wrong method.
    if dialect == Dialect::Gemini && operation == Operation::Model && named.contains(':') {
        return Err(Miss::NotFound { dialect });
    }
    if *method != right {
        return Err(Miss::MethodNotAllowed { dialect, allow });
    }
    let tail = match dialect {
        Dialect::OpenAi => rest.strip_prefix("/v1").unwrap_or(rest),
        Dialect::Responses
        | Dialect::Anthropic
        | Dialect::Gemini
        | Dialect::Cohere
        | Dialect::Bedrock
        | Dialect::Ollama
        | Dialect::Http => rest,
    };
    let not_found = Miss::NotFound { dialect };
    if operation == Operation::Models {
        let tail = Tail { before: tail, model: "", after: "" };
        return Ok(Entry { dialect, operation, model: ModelAt::Nowhere, tail });
    }
    let before = tail.strip_suffix(named).ok_or(not_found)?;
    let model = decode(raw).ok_or(not_found)?;
    Ok(Entry { dialect, operation, model: ModelAt::Path(model), tail: Tail { before, model: raw, after } })
}

/// A model's name out of a path; `None` for what no model is called and some server might misread.
fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let model = if raw.contains('%') {
        let mut bytes = Vec::with_capacity(raw.len());
        let mut rest = raw.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => {
                    let high = char::from(rest.next()?).to_digit(16)?;
                    let low = char::from(rest.next()?).to_digit(16)?;
                    (high * 16 + low) as u8
                }
                other => other,
            });
        }
        Cow::Owned(String::from_utf8(bytes).ok()?)
    } else {
        Cow::Borrowed(raw)
    };
    let sound = model.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
        && !model.contains(|c: char| c.is_control() || matches!(c, '?' | '#' | '\\'));
    sound.then_some(model)
}

/// A path as a server may read it that decodes all of it (RFC 3986 §2.1) before it looks where it leads: `\` as `/`,
/// several `/` as one, and no part with what follows a `;` in it. `None` where that is what is written, as in nearly
/// all.
pub fn loosely(path: &str) -> Option<Vec<u8>> {
    if !path.contains(['%', '\\', ';']) && !path.contains("//") {
        return None;
    }
    let decoded: Vec<u8> =
        percent_decode_str(path).map(|byte| if byte == b'\\' { b'/' } else { byte }).collect();
    let mut loose = Vec::with_capacity(decoded.len());
    for (place, part) in decoded.split(|byte| *byte == b'/').enumerate() {
        // The first is what stands before the first `/`, which is nothing.
        if place > 0 && loose.last() != Some(&b'/') {
            loose.push(b'/');
        }
        loose.extend(part.iter().take_while(|byte| **byte != b';'));
    }
    Some(loose)
}

/// Whether somebody who resolves the dots of a path (RFC 3986 §5.2.4) that is [loose](loosely) would come to another
/// one.
pub fn wanders(loose: &[u8]) -> bool {
    loose.split(|byte| *byte == b'/').any(|part| matches!(part, b"." | b".."))
}

impl<'a> Entry<'a> {
    /// A request of an `http` route: `path` is what is left of its path, raw.
    pub fn opaque(path: &'a str) -> Self {
        Self {
            dialect: Dialect::Http,
            operation: Operation::Opaque,
            model: ModelAt::Nowhere,
            tail: Tail { before: path, model: "", after: "" },
        }
    }
}
