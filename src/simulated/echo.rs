//! Plain HTTP: what arrived is said back, and a WebSocket upgrade is answered byte for byte.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::encode::{base64, sha1};
use super::speech::Speech;
use super::text::hex;

/// RFC 6455 §1.3.
const WEBSOCKET_GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const SEC_WEBSOCKET_KEY: HeaderName = header::SEC_WEBSOCKET_KEY;

/// Method, path, query, size and hash of the body: enough to see that a request came through untouched.
pub(super) fn speech(name: &str, head: &Parts, body: &Bytes) -> Speech {
    Speech::json(&json!({
        "upstream": name,
        "method": head.method.as_str(),
        "path": head.uri.path(),
        "query": head.uri.query(),
        "body_bytes": body.len(),
        "body_sha256": hex(&Sha256::digest(body)),
    }))
}

pub(super) fn wants_websocket<B>(request: &Request<B>) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
        && request.headers().contains_key(SEC_WEBSOCKET_KEY)
}

/// The headers of a 101.
pub(super) fn accept_websocket(asked: &HeaderMap, answer: &mut HeaderMap) {
    answer.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    answer.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    let key = asked.get(SEC_WEBSOCKET_KEY).map_or(&b""[..], HeaderValue::as_bytes);
    if let Ok(accept) = HeaderValue::from_str(&websocket_accept(key)) {
        answer.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    }
}

fn websocket_accept(key: &[u8]) -> String {
    base64(&sha1(&[key, WEBSOCKET_GUID].concat()))
}

/// Send every byte back until either side ends or the upstream begins to refuse.
pub(super) async fn echo_bytes(upgrade: OnUpgrade, mut evicted: watch::Receiver<()>) {
    let echo = async {
        let Ok(upgraded) = upgrade.await else { return };
        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
        // An error is the peer's end of it.
        let _ = tokio::io::copy(&mut read, &mut write).await;
    };
    // Losing drops the connection, which is meant in both branches.
    tokio::select! {
        () = echo => {}
        _ = evicted.changed() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_header_is_that_of_rfc_6455() {
        assert_eq!(websocket_accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
