//! What operators are told of without asking: scenarios in memory, a receiver on a real socket, and what the store's
//! sums say of an hour.

pub mod receiver;
mod replicas;
mod scenarios;
mod spending;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Whether a signature is good, as a receiver finds out who knows the specification and nothing of ours.
fn is_signed(secret: &str, id: &str, timestamp: &str, signatures: &str, body: &[u8]) -> bool {
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => BASE64_STANDARD.decode(encoded).unwrap(),
        None => secret.as_bytes().to_vec(),
    };
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(body);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
    signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,")).any(|signature| {
        let tag = BASE64_STANDARD.decode(signature).unwrap();
        hmac::verify(&key, &signed, &tag).is_ok()
    })
}
