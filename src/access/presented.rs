//! What a request brings along that could be a key, in whichever way its SDK sends keys.

use std::borrow::Cow;

use http::header::AUTHORIZATION;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, request};
use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

/// Fields that hold a key and nothing else: Anthropic's, Google's and Azure's SDKs.
pub static FIELDS: [HeaderName; 3] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
];
/// The parameter that Google's callers may use instead.
const PARAMETER: &str = "key";
const BEARER: &[u8] = b"bearer ";
/// What every signature of AWS's begins with, of whatever version.
const SIGNATURE: &[u8] = b"AWS4-";

/// Whether a signature of AWS's is a way to prove oneself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// `Authorization: AWS4-…` is somebody else's affair.
    Foreign,
    Aws,
}

/// Everything of a request that could be a key.
pub struct Presented<'a> {
    /// As they are meant: without scheme or percent signs. Empty ones are none.
    pub secrets: SmallVec<[Cow<'a, [u8]>; 2]>,
    /// There is a signature as well.
    pub signed: bool,
}

pub fn read<'a>(headers: &'a HeaderMap, query: Option<&'a str>, signing: Signing) -> Presented<'a> {
    let authorization = || headers.get_all(AUTHORIZATION).iter().map(HeaderValue::as_bytes);
    let plain = FIELDS.iter().flat_map(|name| headers.get_all(name)).map(HeaderValue::as_bytes);
    let params = query.into_iter().flat_map(|query| query.split('&')).filter_map(parameter);
    let secrets = authorization()
        .filter_map(bearer)
        .chain(plain)
        .map(<[u8]>::trim_ascii)
        .map(Cow::Borrowed)
        .chain(params)
        .filter(|secret| !secret.is_empty())
        .collect();
    let signed = signing == Signing::Aws && authorization().any(|value| value.starts_with(SIGNATURE));
    Presented { secrets, signed }
}

/// Takes out of a request what `is_ours` says of its keys.
pub fn strip(head: &mut request::Parts, is_ours: impl Fn(&[u8]) -> bool) {
    for name in FIELDS.iter().chain([&AUTHORIZATION]) {
        let ours = |value: &HeaderValue| {
            let value = value.as_bytes();
            let secret = if *name == AUTHORIZATION { bearer(value) } else { Some(value) };
            secret.is_some_and(|secret| is_ours(secret.trim_ascii()))
        };
        if head.headers.get_all(name).iter().any(ours) {
            let others: Vec<_> =
                head.headers.get_all(name).iter().filter(|value| !ours(value)).cloned().collect();
            head.headers.remove(name);
            for value in others {
                head.headers.append(name, value);
            }
        }
    }
    let ours = |param: &&str| parameter(param).is_some_and(|secret| is_ours(&secret));
    let Some(query) = head.uri.query().filter(|query| query.split('&').any(|param| ours(&param))) else {
        return;
    };
    let others: Vec<&str> = query.split('&').filter(|param| !ours(param)).collect();
    let mark = if others.is_empty() { "" } else { "?" };
    let target = format!("{}{mark}{}", head.uri.path(), others.join("&"));
    let mut parts = head.uri.clone().into_parts();
    // A part of what was a target is one.
    parts.path_and_query = PathAndQuery::try_from(target).ok();
    head.uri = Uri::from_parts(parts).unwrap_or_default();
}

/// What follows `Bearer`, in whatever case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(BEARER.len())?;
    scheme.eq_ignore_ascii_case(BEARER).then_some(token)
}

fn parameter(param: &str) -> Option<Cow<'_, [u8]>> {
    let (name, value) = param.split_once('=')?;
    (name == PARAMETER).then(|| decoded(value))
}

/// A parameter's value; a `%` that begins nothing stands for itself.
fn decoded(value: &str) -> Cow<'_, [u8]> {
    percent_decode_str(value).into()
}
