//! A signed token in its compact form (RFC 7515 §7.1): taken apart, not believed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A token as it was sent; only its signature can say whether any of it is true.
pub struct Token<'a> {
    /// How it says to be signed.
    pub algorithm: String,
    /// Which of the issuer's keys it says to be signed with.
    pub key_id: Option<String>,
    pub claims: Map<String, Value>,
    /// What the signature is of.
    pub signed: &'a [u8],
    pub signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    /// Extensions that have to be understood; none are here.
    crit: Option<Value>,
}

/// Takes a token apart; `None` where it is none.
pub fn read(text: &[u8]) -> Option<Token<'_>> {
    let mut dots = memchr::memchr_iter(b'.', text);
    let (first, second) = (dots.next()?, dots.next()?);
    if dots.next().is_some() {
        return None;
    }
    let part = |range: std::ops::Range<usize>| URL_SAFE_NO_PAD.decode(text.get(range)?).ok();
    let header: Header = serde_json::from_slice(&part(0..first)?).ok()?;
    if header.crit.is_some() {
        return None;
    }
    let Ok(Value::Object(claims)) = serde_json::from_slice(&part(first + 1..second)?) else { return None };
    Some(Token {
        algorithm: header.alg,
        key_id: header.kid,
        claims,
        signed: text.get(..second)?,
        signature: part(second + 1..text.len())?,
    })
}

impl Token<'_> {
    /// Who it says has made it.
    pub fn iss(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }
}
