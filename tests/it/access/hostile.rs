//! What somebody would try who wants in, or wants to know what there is.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{SHOP, asks, asks_of_nobody, sending};
use crate::lab::{Ask, Lab};
use crate::process::{Gateway, wait_for};

const YAML: &str = "
version: 1
access: keys
users: {gone: {expires: 2020-01-01}}
keys:
  shop: {secret: '${LAB_SHOP}'}
  ended: {secret: '${LAB_ENDED}', expires: 2020-01-01}
  orphan: {secret: '${LAB_ORPHAN}', user: gone}
upstreams: {a: {provider: simulated}}
routes: [{model: demo, channels: [{upstream: a}]}]
";

/// Keys that there are, and that are good for nothing; and one that there never was.
const OVER: [&str; 2] = ["secret-of-LAB_ENDED", "secret-of-LAB_ORPHAN"];
const NOBODYS: &str = "secret-of-LAB_NOBODY";

#[tokio::test(start_paused = true)]
async fn no_answer_tells_whether_a_key_was_ever_there_in_any_dialect() {
    let lab = Lab::start(YAML);
    let said = async |ask: &Ask| {
        let mut answer = lab.send(&ask.clone().header("x-request-id", "the-same")).await;
        // By the wall's clock, which goes on between two asks.
        answer.headers.remove("date").expect("every answer has one");
        (answer.status, answer.headers, answer.body)
    };
    for (dialect, ask) in asks("demo").into_iter().chain(asks("no-such-model")).chain(asks_of_nobody()) {
        for way in super::WAYS {
            let stranger = said(&sending(&ask, way, NOBODYS)).await;
            assert!(stranger.0.is_client_error(), "{dialect} {way}");
            for over in OVER {
                assert_eq!(said(&sending(&ask, way, over)).await, stranger, "{dialect} {way} {over}");
            }
        }
        // Nor beside another one.
        let both = |one: &str, other: &str| sending(&sending(&ask, "x-api-key", one), "api-key", other);
        let strangers = said(&both(NOBODYS, "somebody-else's")).await;
        for (one, other) in [(OVER[0], NOBODYS), (OVER[0], OVER[1]), (SHOP, NOBODYS), (SHOP, OVER[0])] {
            assert_eq!(said(&both(one, other)).await, strangers, "{dialect} {one} {other}");
        }
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn whatever_stands_where_a_key_should_is_no_key_and_does_no_harm() {
    let lab = Lab::start(YAML);
    let long = "k".repeat(8000);
    let dotted = format!("eyJ{}", ".".repeat(7000));
    let texts: [&[u8]; 12] = [
        b"\xff\xfe\xfd-not-utf-8",
        b"secret-of-LAB_SHO\xd0\x9f",
        b"secret-of-LAB_SHOP\xc2\xa0",
        b"secret-of-LAB_SHOP, secret-of-LAB_SHOP",
        b"secret-of-LAB_SHOP\tsecret-of-LAB_SHOP",
        b"Bearer secret-of-LAB_SHOP",
        b"\"secret-of-LAB_SHOP\"",
        b"SECRET-OF-LAB_SHOP",
        b"eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.",
        b"shop",
        long.as_bytes(),
        dotted.as_bytes(),
    ];
    for text in texts {
        for (begin, name) in [(&b"Bearer "[..], "authorization"), (b"", "x-api-key"), (b"", "x-goog-api-key")]
        {
            let mut head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{name}: ").into_bytes();
            head.extend_from_slice(begin);
            head.extend_from_slice(text);
            head.extend_from_slice(b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let answer = raw(&lab, &head).await;
            assert!(
                answer.starts_with("HTTP/1.1 401 "),
                "{name} {:?}: {answer}",
                String::from_utf8_lossy(text)
            );
            assert!(!answer.contains("LAB_SHO"), "nothing of it is said back: {answer}");
        }
    }
    for query in [
        "key=secret-of-LAB_SHOP%00",
        "key=%ff%fe",
        "key=secret-of-LAB_SHOP%",
        "KEY=secret-of-LAB_SHOP",
        "key=%",
    ] {
        let head = format!(
            "POST /v1/chat/completions?{query} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
        let answer = raw(&lab, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{query}: {answer}");
    }
    // Two of a kind that differ, folded lines and blanks before the colon.
    let smuggled = [
        "authorization: Bearer secret-of-LAB_SHOP\r\nauthorization: Bearer other\r\n",
        "authorization: Bearer other\r\nauthorization: Bearer secret-of-LAB_SHOP\r\n",
        "authorization : Bearer secret-of-LAB_SHOP\r\n",
        "authorization: Bearer\r\n secret-of-LAB_SHOP\r\n",
        "x-other: x\r\n\r\nauthorization: Bearer secret-of-LAB_SHOP\r\n",
        "x-api-key: secret-of-LAB_SHOP\0\r\n",
        "connection: authorization\r\nx-api-key: nobody\r\nauthorization: Bearer secret-of-LAB_SHOP\r\n",
    ];
    for fields in smuggled {
        let head = format!("GET /v1/models HTTP/1.1\r\nhost: x\r\n{fields}connection: close\r\n\r\n");
        let answer = raw(&lab, head.as_bytes()).await;
        let status = answer.get(9..12).unwrap_or_default();
        assert!(matches!(status, "400" | "401"), "{fields:?}: {answer}");
    }
    let good = format!(
        "GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SHOP}\r\nconnection: close\r\n\r\n"
    );
    assert!(raw(&lab, good.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    lab.assert_quiet().await;
}

async fn raw(lab: &Lab, request: &[u8]) -> String {
    let mut caller = lab.connect();
    // Whoever is refused at the head may be so before its end.
    let _ = caller.write_all(request).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), caller.read_to_end(&mut answer)).await;
    read.expect("an end").expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The binary says all that it can, and none of it is a key.
#[test]
fn nothing_that_callers_prove_themselves_or_pay_with_is_in_a_log() {
    let routing = "version: 1\naccess: keys\nserver: {listen: LISTEN, admin: ADMIN}\n\
        keys: {shop: {secret: '${MAINSTAY_IT_SECRET}'}}\n\
        issuers: {okta: {issuer: 'http://127.0.0.1:1', audience: mainstay}}\n\
        upstreams: {a: {provider: simulated}, b: {provider: custom, dialect: openai, base_url: 'http://127.0.0.1:1/v1', credentials: []}}\n\
        routes:\n  - {model: demo, channels: [{upstream: a}]}\n  - {model: own, byok: require, channels: [{upstream: b}]}\n";
    let gateway = Gateway::start_logging(routing, "trace");
    let secret = "the-secret-of-all-the-gateways-of-tests";
    let token = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJodHRwOi8vMTI3LjAuMC4xOjEifQ.c2lnbmF0dXJl";
    let ask = |path: &str, fields: &str, body: &str| {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\n{fields}content-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
        );
        let mut socket = TcpStream::connect(gateway.callers).expect("a connection");
        socket.write_all(request.as_bytes()).expect("it is read");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("an answer");
        answer
    };
    let body = |model: &str| {
        format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"a-prompt-of-somebody"}}]}}"#)
    };
    let demo = body("demo");
    assert!(ask(&format!("/v1/chat/completions?key={secret}"), "", &demo).contains(" 200 "));
    assert!(
        ask("/v1/chat/completions", &format!("authorization: Bearer {secret}\r\n"), &demo).contains(" 200 ")
    );
    assert!(ask("/v1/chat/completions?key=sk-a-wrong-one", "", &demo).contains(" 401 "));
    assert!(ask(&format!("/no/such/path?key={secret}"), "", &demo).contains(" 404 "));
    assert!(ask("/v1/chat/completions", &format!("x-api-key: {token}\r\n"), &demo).contains(" 503 "));
    let own = format!("x-api-key: {secret}\r\nx-mainstay-provider-key: sk-of-the-caller\r\n");
    assert!(ask("/v1/chat/completions", &own, &body("own")).contains(" 502 "));
    // The last line is there once its request is counted.
    let counted = || gateway.metrics().contains(r#"mainstay_requests_total{route="own""#).then_some(());
    assert!(wait_for(10, counted).is_some());
    let said = gateway.log();
    for word in [secret, "sk-a-wrong-one", token, "c2lnbmF0dXJl", "sk-of-the-caller", "a-prompt-of-somebody"]
    {
        assert!(!said.contains(word), "{word}: {said}");
    }
    assert!(said.contains("mainstay::request"), "it is the log: {said}");
}
