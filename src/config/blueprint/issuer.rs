//! Whose signed tokens are taken in place of a key.

use std::sync::Arc;

use super::access::{Level, Lineage, Member, Urgency};

/// Somebody who says in signed tokens who a caller is.
#[derive(Clone, Debug, PartialEq)]
pub struct Issuer {
    /// Its name in the file: what metrics call it, and its callers' names begin with.
    pub name: Arc<str>,
    /// `iss` of its tokens.
    pub iss: Arc<str>,
    /// One of these is among `aud`.
    pub audiences: Vec<Arc<str>>,
    pub keys: KeysAt,
    /// PEM file of the roots that are trusted there.
    pub ca_file: Option<String>,
    pub algorithms: Vec<Algorithm>,
    /// Claims that name somebody of the tree, the nearest first.
    pub claims: Vec<(Level, Arc<str>)>,
    /// Whose those are whom no claim places; `None` refuses them.
    pub otherwise: Option<Lineage>,
    /// `sub` of those who are refused.
    pub refuse: Vec<Arc<str>>,
    /// What each of its callers' own keys would say, but for its name.
    pub own: Member,
    pub urgency: Urgency,
}

/// Where the public keys of an issuer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeysAt {
    Here(Arc<str>),
    /// What stands there says where.
    SaidBy(Arc<str>),
}

impl KeysAt {
    /// What is asked first.
    pub fn url(&self) -> &str {
        match self {
            Self::Here(url) | Self::SaidBy(url) => url,
        }
    }
}

/// Signatures that anybody can check and only the issuer can make (RFC 7518 §3.1, RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    pub const ALL: [Self; 5] = [Self::Rs256, Self::Ps256, Self::Es256, Self::Es384, Self::EdDsa];

    /// As tokens have it in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
        }
    }
}
