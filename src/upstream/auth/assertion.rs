//! What a service account states to get a token: who it is, what for, and until when, signed with its
//! key. Source: RFC 7523; developers.google.com/identity/protocols/oauth2/service-account.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use crate::vocab::Secret;

/// The longest that Google allows.
const LIFE: Duration = Duration::from_hours(1);

/// Whose statement it is.
pub(super) struct Stating<'a> {
    pub(super) email: &'a str,
    pub(super) key: &'a Secret,
    pub(super) key_id: Option<&'a str>,
    /// To whom it is made: the endpoint's address.
    pub(super) audience: &'a str,
    pub(super) scope: &'a str,
}

impl Stating<'_> {
    /// A JSON Web Token, signed with RS256. The error is for people.
    pub(super) fn sign(&self, unix_now: Duration) -> Result<String, &'static str> {
        let pair = self.pair().ok_or("the private key is not an RSA key")?;
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = self.key_id {
            header["kid"] = id.into();
        }
        let claims = json!({
            "iss": self.email,
            "scope": self.scope,
            "aud": self.audience,
            "iat": unix_now.as_secs(),
            "exp": (unix_now + LIFE).as_secs(),
        });
        let mut token = BASE64_URL_SAFE_NO_PAD.encode(header.to_string().as_bytes());
        token.push('.');
        token += &BASE64_URL_SAFE_NO_PAD.encode(claims.to_string().as_bytes());
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .map_err(|_| "the private key does not sign")?;
        token.push('.');
        token += &BASE64_URL_SAFE_NO_PAD.encode(&signature);
        Ok(token)
    }

    fn pair(&self) -> Option<RsaKeyPair> {
        match PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes()).ok()? {
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
            _ => None,
        }
    }
}
