//! An issuer's public keys, as it publishes them (RFC 7517): those that a signature can be checked with.
//!
//! Which signatures a key is for follows from the key, never from a token: a token's `alg` has to be one of them. What
//! is secret, or meant for encryption, is left out.

use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, EcdsaVerificationAlgorithm,
    RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

use super::jws::Token;
use crate::config::Algorithm;

/// Keys of one issuer that are looked at.
const MOST: usize = 64;
/// And tried for one token: whoever has no token yet has this much computed for him, and no more.
const MOST_TRIED: usize = 4;

/// What an issuer has published.
#[derive(Debug, Default)]
pub struct KeySet(Vec<PublicKey>);

#[derive(Debug)]
struct PublicKey {
    id: Option<String>,
    /// What it may be used for, where that is said.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Debug)]
enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point, uncompressed (SEC 1 §2.3.3).
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// Why what was published is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it is no JSON Web Key Set (RFC 7517)")]
    NoSet,
    #[error("there is no key in it that a signature could be checked with")]
    NoKey,
}

/// What the keys say to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    Holds,
    /// It was not signed with the key that it names.
    Fails,
    /// None of them is the one that it names, or it names none and holds for none.
    NoKey,
}

#[derive(Deserialize)]
struct Published {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a set. Keys of kinds that are unknown here are passed over, as RFC 7517 §5 wants it; one without any
    /// that is of use is a set all the same: its issuer has taken all keys back.
    pub fn read(text: &[u8]) -> Result<Self, Unreadable> {
        let published: Published = serde_json::from_slice(text).map_err(|_| Unreadable::NoSet)?;
        let keys = published.keys.into_iter().filter_map(|key| public(serde_json::from_value(key).ok()?));
        Ok(Self(keys.take(MOST).collect()))
    }

    /// Whether no token can be good.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What they are called.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|key| key.id.as_deref())
    }

    /// Whether one of them made this token's signature, in one of the ways that are `taken`.
    pub fn verify(&self, token: &Token<'_>, taken: &[Algorithm]) -> Found {
        let Some(algorithm) = taken.iter().copied().find(|taken| taken.name() == token.algorithm) else {
            return Found::Fails;
        };
        let named = token.key_id.as_deref();
        let mut candidates =
            self.0.iter().filter(|key| named.is_none() || key.id.as_deref() == named).peekable();
        if candidates.peek().is_none() {
            return Found::NoKey;
        }
        let mut tried = candidates.filter(|key| key.is_for(algorithm)).take(MOST_TRIED);
        if tried.any(|key| key.verifies(token, algorithm)) {
            Found::Holds
        } else if named.is_none() {
            Found::NoKey
        } else {
            Found::Fails
        }
    }
}

impl PublicKey {
    /// Whether signatures of this kind can be its.
    fn is_for(&self, algorithm: Algorithm) -> bool {
        let is_of_kind = match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => matches!(self.material, Material::Rsa { .. }),
            Algorithm::Es256 => matches!(self.material, Material::P256(_)),
            Algorithm::Es384 => matches!(self.material, Material::P384(_)),
            Algorithm::EdDsa => matches!(self.material, Material::Ed25519(_)),
        };
        is_of_kind && self.algorithm.as_deref().is_none_or(|own| own == algorithm.name())
    }

    /// Whether it made this signature, which costs what a signature costs to check.
    fn verifies(&self, token: &Token<'_>, algorithm: Algorithm) -> bool {
        let (signed, signature) = (token.signed, &token.signature);
        let on_curve = |curve: &'static EcdsaVerificationAlgorithm, point: &[u8]| {
            UnparsedPublicKey::new(curve, point).verify(signed, signature)
        };
        let holds = match (&self.material, algorithm) {
            (Material::Rsa { n, e }, Algorithm::Rs256) => {
                PublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            }
            (Material::Rsa { n, e }, Algorithm::Ps256) => {
                PublicKeyComponents { n, e }.verify(&RSA_PSS_2048_8192_SHA256, signed, signature)
            }
            (Material::P256(point), Algorithm::Es256) => on_curve(&ECDSA_P256_SHA256_FIXED, point),
            (Material::P384(point), Algorithm::Es384) => on_curve(&ECDSA_P384_SHA384_FIXED, point),
            (Material::Ed25519(point), Algorithm::EdDsa) => {
                UnparsedPublicKey::new(&ED25519, point).verify(signed, signature)
            }
            (Material::Rsa { .. }, Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa)
            | (
                Material::P256(_),
                Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es384 | Algorithm::EdDsa,
            )
            | (
                Material::P384(_),
                Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 | Algorithm::EdDsa,
            )
            | (
                Material::Ed25519(_),
                Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 | Algorithm::Es384,
            ) => return false,
        };
        holds.is_ok()
    }
}

/// The key, if signatures can be checked with it.
fn public(key: Jwk) -> Option<PublicKey> {
    if key.purpose.is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?.trim_end_matches('=')).ok();
    let point = |length: usize| {
        let (x, y) = (bytes(&key.x)?, bytes(&key.y)?);
        (x.len() == length && y.len() == length).then(|| [&[4], x.as_slice(), y.as_slice()].concat())
    };
    let material = match (key.kty.as_str(), key.crv.as_deref()) {
        ("RSA", _) => Material::Rsa { n: bytes(&key.n)?, e: bytes(&key.e)? },
        ("EC", Some("P-256")) => Material::P256(point(32)?),
        ("EC", Some("P-384")) => Material::P384(point(48)?),
        ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&key.x).filter(|x| x.len() == 32)?),
        _ => return None,
    };
    Some(PublicKey { id: key.kid, algorithm: key.alg, material })
}
