//! Whether a request was signed by who holds the secret of the key that it names.

use std::borrow::Cow;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

use super::{ALGORITHM, Asked, Hash, Hex, Scope, Stamp, TERMINATOR, canonical, tag};

/// How old a signature may be, and how far ahead the signer's clock ("within five minutes", ibid.).
const SKEW: Duration = Duration::from_mins(5);
/// Most header fields that a signature may name; SDKs sign about six.
const MAX_FIELDS: usize = 100;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");
/// What stands there for a body that the signature does not cover.
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Whether a signature has to cover the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    Signed,
    /// Signers leave it out only where TLS protects it (botocore's `SigV4Auth.payload`).
    MayBeUnsigned,
}

/// What a request's `Authorization` claims, not yet believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// Which key's secret the signature is to be checked with.
    pub access: &'a str,
    pub scope: Scope<'a>,
    day: &'a str,
    names: SmallVec<[&'a str; 12]>,
    signature: [u8; 32],
    payload: Payload,
}

/// Why a signature is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the request has no AWS Signature Version 4 in its Authorization header")]
    Unsigned,
    #[error("the Authorization header is not a whole AWS signature")]
    Malformed,
    #[error("the signature does not cover the host and the date")]
    Uncovered,
    #[error("the signature's date is more than five minutes away from now")]
    Stale,
    #[error("the body is not the one that was signed")]
    OtherBody,
    #[error("the signature is not the one that this key makes for this request")]
    Mismatch,
}

impl<'a> Claim<'a> {
    /// Reads what the headers claim. No secret is needed yet: `access` says whose it has to be.
    pub fn read(headers: &'a HeaderMap) -> Result<Self, Refused> {
        let value = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let rest = value.and_then(|value| value.strip_prefix(ALGORITHM)).ok_or(Refused::Unsigned)?;
        let (mut credential, mut names, mut signature) = (None, None, None);
        for part in rest.split(',') {
            match part.trim().split_once('=') {
                Some(("Credential", value)) => credential = Some(value),
                Some(("SignedHeaders", value)) => names = Some(value),
                Some(("Signature", value)) => signature = unhex(value),
                _ => return Err(Refused::Malformed),
            }
        }
        let (Some(credential), Some(names), Some(signature)) = (credential, names, signature) else {
            return Err(Refused::Malformed);
        };
        // The key's name comes first and may have slashes of its own.
        let mut parts = credential.rsplitn(5, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty()).ok_or(Refused::Malformed);
        let (end, service, region, day, access) = (next()?, next()?, next()?, next()?, next()?);
        let names: SmallVec<[&str; 12]> = names.split(';').take(MAX_FIELDS + 1).collect();
        let sorted = names.is_sorted_by(|one, two| one < two);
        if end != TERMINATOR || !sorted || names.len() > MAX_FIELDS {
            return Err(Refused::Malformed);
        }
        let payload = Payload::Signed;
        Ok(Self { access, scope: Scope { region, service }, day, names, signature, payload })
    }

    /// Takes `payload` for enough; a claim that was just read has to cover the body.
    #[must_use]
    pub fn covering(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// Whether the claim holds for this request. `authority` stands in for a `Host` that HTTP/2 has
    /// not; `asked.body` is the hash of what was received.
    pub fn verify(
        &self,
        asked: &Asked<'_>,
        headers: &HeaderMap,
        authority: Option<&str>,
        secret: &str,
        now: Stamp,
    ) -> Result<(), Refused> {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if ![HOST, DATE].iter().all(|name| self.names.contains(&name.as_str())) {
            return Err(Refused::Uncovered);
        }
        let at = text(&DATE).and_then(Stamp::parse).ok_or(Refused::Malformed)?;
        if at.day() != self.day {
            return Err(Refused::Malformed);
        }
        if at.apart(now) > SKEW {
            return Err(Refused::Stale);
        }
        let payload = self.payload_of(text(&CONTENT_HASH), asked.body)?;
        let mut fields: SmallVec<[(&str, Cow<'_, str>); 12]> = SmallVec::new();
        for name in &self.names {
            let host = authority.filter(|_| *name == HOST.as_str());
            fields.push((*name, value(headers, name).or(host.map(Cow::Borrowed)).ok_or(Refused::Mismatch)?));
        }
        let fields = fields.iter().map(|(name, value)| (*name, &**value));
        let request = canonical::hash(asked, fields, self.names.iter().copied(), &payload);
        let expected = tag(&request, secret, self.scope, at);
        verify_slices_are_equal(expected.as_ref(), &self.signature).map_err(|_| Refused::Mismatch)
    }
}

impl Claim<'_> {
    /// What the canonical request has for its body, where the header `said` may name it.
    fn payload_of(&self, said: Option<&str>, body: Hash) -> Result<Cow<'static, str>, Refused> {
        let hash = || Cow::Owned(Hex(&body.0).to_string());
        let covered = self.names.contains(&CONTENT_HASH.as_str());
        match said {
            None => Ok(hash()),
            Some(said) if unhex(said).map(Hash) == Some(body) => Ok(hash()),
            Some(UNSIGNED) if covered && self.payload == Payload::MayBeUnsigned => Ok(UNSIGNED.into()),
            Some(_) => Err(Refused::OtherBody),
        }
    }
}

/// All values of a field, as one.
fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    let mut values = headers.get_all(name).iter().map(|value| value.to_str().unwrap_or_default());
    let first = values.next()?;
    Some(values.fold(Cow::Borrowed(first), |all, next| Cow::Owned(format!("{all},{next}"))))
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    if pairs.len() != out.len() {
        return None;
    }
    for (to, [high, low]) in out.iter_mut().zip(pairs) {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
        *to = (digit(high)? * 16 + digit(low)?) as u8;
    }
    Some(out)
}
