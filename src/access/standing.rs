//! What a request proves about its caller: at once, or when its body is there.

use std::sync::Arc;
use std::time::Duration;

use http::{Uri, request};

use super::ring::Key;
use super::tokens::Rejected;
use crate::algo::sigv4::{Asked, Claim, Hash, Payload, Refused, Stamp};
use crate::vocab::Secret;

/// What the signatures of strangers are held against, so that they take as long as others; none of them holds.
const NOBODYS: &str = "the-secret-that-nobody-has-or-can-use";

/// A caller that the head names.
#[derive(Clone, Debug)]
pub enum Standing {
    /// He sent the key's secret.
    Known(Arc<Key>),
    /// He sent the key's name and a signature, which covers the body too.
    Signs(Arc<Key>),
    /// He signs with the name of no key that is in use. It is not said before a wrong signature would be.
    Stranger,
}

/// Why a caller is nobody we know.
#[derive(Clone, Debug)]
pub enum Denied {
    /// There is nothing that could be a key.
    Missing,
    /// What there is leads to no key.
    Unknown,
    /// It leads to one whose time, or that of somebody above it, is over. Callers are told what they are told of
    /// unknown ones.
    Over(Arc<Key>),
    /// There are several, and not all lead to the same key.
    Disagreeing,
    /// A signed token of a known issuer that is no way in.
    Token(Rejected),
    /// A signature that is not whole, or does not hold for the key that it names.
    Signature { why: Refused, key: Option<Arc<Key>> },
}

/// A whole request, as a signature has to cover it.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    pub head: &'a request::Parts,
    /// As it was asked for.
    pub uri: &'a Uri,
    pub body: &'a [u8],
    /// Whether the signature has to cover the body.
    pub payload: Payload,
    /// Since the Unix epoch.
    pub now: Duration,
}

impl Standing {
    /// The key that the head names, proven or not.
    pub fn named(&self) -> Option<&Arc<Key>> {
        match self {
            Self::Known(key) | Self::Signs(key) => Some(key),
            Self::Stranger => None,
        }
    }

    /// The key that the head proves by itself.
    pub fn known(&self) -> Option<&Arc<Key>> {
        match self {
            Self::Known(key) => Some(key),
            Self::Signs(_) | Self::Stranger => None,
        }
    }

    /// The key, once the whole request is there.
    ///
    /// # Errors
    /// The signature is made with none of the key's secrets, too long ago, or for another request.
    pub fn proven(self, received: &Received<'_>) -> Result<Arc<Key>, Denied> {
        match self {
            Self::Known(key) => Ok(key),
            Self::Signs(key) => match verify(&key.secrets, received) {
                Ok(()) => Ok(key),
                Err(why) => Err(Denied::Signature { why, key: Some(key) }),
            },
            Self::Stranger => {
                let why = verify(&[Secret::new(NOBODYS)], received).err().unwrap_or(Refused::Mismatch);
                Err(Denied::Signature { why, key: None })
            }
        }
    }

    /// The key, where there is no way to sign.
    ///
    /// # Errors
    /// A signature proves nothing there.
    pub fn unsigned(self) -> Result<Arc<Key>, Denied> {
        match self {
            Self::Known(key) => Ok(key),
            Self::Signs(_) | Self::Stranger => Err(Denied::Missing),
        }
    }
}

fn verify(secrets: &[Secret], received: &Received<'_>) -> Result<(), Refused> {
    let Received { head, uri, .. } = received;
    let claim = Claim::read(&head.headers)?.covering(received.payload);
    let asked = Asked {
        method: head.method.as_str(),
        path: uri.path(),
        query: uri.query(),
        body: Hash::of([received.body]),
    };
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let now = Stamp::at(received.now);
    let mut result = Err(Refused::Mismatch);
    for secret in secrets {
        result = claim.verify(&asked, &head.headers, authority, secret.expose(), now);
        // Another secret mends a wrong signature and nothing else.
        if result != Err(Refused::Mismatch) {
            break;
        }
    }
    result
}
