//! Somebody who signs tokens as an issuer does, and publishes the key.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub struct Pen {
    id: &'static str,
    pair: Ed25519KeyPair,
}

fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Pen {
    pub fn new(id: &'static str) -> Self {
        Self { id, pair: Ed25519KeyPair::generate().expect("a key") }
    }

    /// A set of its one key.
    pub fn published(&self) -> String {
        let x = base64(self.pair.public_key());
        json!({ "keys": [{"kty": "OKP", "crv": "Ed25519", "kid": self.id, "use": "sig", "x": x}] })
            .to_string()
    }

    pub fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "kid": self.id}).to_string();
        let signed = format!("{}.{}", base64(header), base64(claims.to_string()));
        let signature = base64(self.pair.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}
