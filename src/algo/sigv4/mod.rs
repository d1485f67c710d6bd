//! AWS Signature Version 4: signing requests to Bedrock, and checking those of callers who sign for us.
//!
//! The canonical request is hashed while it is put together and never exists as a text, so nothing of
//! it can end in a log. Paths are encoded once more for signing, as every service but S3 wants it.
//! Headers only: a signature in the query (a presigned URL) and a body signed in chunks are not known.
//! Source: docs.aws.amazon.com, IAM user guide, "Create a signed AWS API request".

mod canonical;
mod claim;
mod stamp;
#[cfg(test)]
mod tests;

use std::fmt;

use aws_lc_rs::digest::{self, SHA256, SHA256_OUTPUT_LEN};
use aws_lc_rs::hmac::{self, HMAC_SHA256};

pub use claim::{Claim, Payload, Refused};
pub use stamp::Stamp;

use canonical::Hex;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// What ends every scope.
const TERMINATOR: &str = "aws4_request";

/// What a request says, beside its header fields, that a signature covers.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub method: &'a str,
    /// As sent: percent-encoded once.
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub body: Hash,
}

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash([u8; SHA256_OUTPUT_LEN]);

/// For what a key is good: a region, a service and a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    pub region: &'a str,
    pub service: &'a str,
}

/// A pair of keys, or three with a session's token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Keys<'a> {
    pub access: &'a str,
    pub secret: &'a str,
    pub session: Option<&'a str>,
}

impl<'a> Keys<'a> {
    /// Reads `AKIA…:secret` or `ASIA…:secret:session token`; `None` for whatever else a text may be.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (access, rest) = text.split_once(':')?;
        let known = ["AKIA", "ASIA"].iter().any(|beginning| access.starts_with(beginning));
        let (secret, session) = match rest.split_once(':') {
            Some((secret, session)) => (secret, Some(session)),
            None => (rest, None),
        };
        let whole = !secret.is_empty() && session != Some("");
        let plain = access.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        (known && plain && whole).then_some(Self { access, secret, session })
    }
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(…)")
    }
}

impl Hash {
    /// The hash of a body that comes in pieces.
    pub fn of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut context = digest::Context::new(&SHA256);
        for piece in pieces {
            context.update(piece);
        }
        Self::finish(context)
    }

    fn finish(context: digest::Context) -> Self {
        let mut hash = [0; SHA256_OUTPUT_LEN];
        for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        Self(hash)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", Hex(&self.0))
    }
}

/// The value of `Authorization` for a request with these header fields, which have to be in order of
/// their names, in lower case, each once, and have to include `host` and `x-amz-date`.
pub fn authorization(
    asked: &Asked<'_>,
    fields: &[(&str, &str)],
    keys: Keys<'_>,
    scope: Scope<'_>,
    at: Stamp,
) -> String {
    let names = || fields.iter().map(|(name, _)| *name);
    let payload = Hex(&asked.body.0).to_string();
    let request = canonical::hash(asked, fields.iter().copied(), names(), &payload);
    let tag = tag(&request, keys.secret, scope, at);
    let mut out = format!(
        "{ALGORITHM} Credential={}/{}/{}/{}/{TERMINATOR}, SignedHeaders=",
        keys.access,
        at.day(),
        scope.region,
        scope.service
    );
    for (index, name) in names().enumerate() {
        if index > 0 {
            out.push(';');
        }
        out.push_str(name);
    }
    out + ", Signature=" + &Hex(tag.as_ref()).to_string()
}

/// The signature of a canonical request.
fn tag(request: &Hash, secret: &str, scope: Scope<'_>, at: Stamp) -> hmac::Tag {
    let day = at.day();
    let first = [b"AWS4", secret.as_bytes()].concat();
    let mut key = hmac::Key::new(HMAC_SHA256, &first);
    for part in [&*day, scope.region, scope.service, TERMINATOR] {
        key = hmac::Key::new(HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
    }
    let text = format!(
        "{ALGORITHM}\n{at}\n{day}/{}/{}/{TERMINATOR}\n{}",
        scope.region,
        scope.service,
        Hex(&request.0)
    );
    hmac::sign(&key, text.as_bytes())
}
