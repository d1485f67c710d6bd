//! Web pages of other sites whose scripts ask the gateway: their browsers ask beforehand, and read who may read.

use std::sync::Arc;

use http::Method;

use crate::lab::{Answer, Ask, Lab, Said, Scribe};

const PAGE: &str = "https://chat.example.com";
const OTHERS: &str = "https://evil.example";
const SHOP: &str = "secret-of-LAB_SHOP";

/// Where each dialect is asked.
const PATHS: [&str; 8] = [
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1beta/models/demo:generateContent",
    "/cohere/v2/chat",
    "/bedrock/model/demo/converse",
    "/v1/files",
    "/v1/no-such-endpoint",
];

fn yaml(access: &str, cors: &str) -> String {
    format!(
        "
version: 1
access: {access}
server: {{{cors}}}
keys: {{shop: {{secret: '${{LAB_SHOP}}'}}}}
upstreams: {{sim: {{provider: simulated}}, a: {{provider: http, base_url: 'http://a'}}}}
routes:
  - {{model: demo, channels: [{{upstream: sim}}]}}
  - {{path: /open/, access: open, channels: [{{upstream: a}}]}}
  - {{path: /closed/, access: keys, channels: [{{upstream: a}}]}}
"
    )
}

/// A service that says itself who may read it.
fn beside(access: &str, cors: &str) -> (Lab, Arc<Scribe>) {
    let said = Said::status(200).header("access-control-allow-origin", "https://its.own").data("served");
    let scribe = Scribe::saying(said);
    (Lab::beside(&yaml(access, cors), &[("a", &scribe)]), scribe)
}

const NAMED: &str = "cors: {origins: ['https://chat.example.com', 'https://*.apps.example.com']}";

fn preflight(path: &str, origin: &str) -> Ask {
    Ask::bare(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,x-stainless-os")
}

fn readers(answer: &Answer) -> (&str, &str, &str) {
    (
        answer.header("access-control-allow-origin"),
        answer.header("access-control-expose-headers"),
        answer.header("vary"),
    )
}

const NOBODY: (&str, &str, &str) = ("", "", "");

#[tokio::test(start_paused = true)]
async fn a_page_that_is_named_may_ask_everywhere_and_reads_errors_too() {
    for access in ["open", "keys"] {
        let (lab, _) = beside(access, NAMED);
        for origin in [PAGE, "https://a.b.apps.example.com"] {
            let may_read = (origin, "*", "origin");
            for path in PATHS {
                let answer = lab.send(&preflight(path, origin)).await;
                assert_eq!((answer.status.as_u16(), answer.text()), (204, ""), "{path}");
                assert_eq!(readers(&answer), may_read, "{path}");
                assert_eq!(answer.header("access-control-allow-methods"), "POST");
                let headers = answer.header("access-control-allow-headers");
                assert_eq!(headers, "authorization,content-type,x-stainless-os");
                assert_eq!(answer.header("access-control-max-age"), "7200");
                assert_eq!(answer.header("access-control-allow-credentials"), "", "a page brings no cookies");
            }
            let with_key =
                |ask: Ask| ask.header("origin", origin).header("authorization", &format!("Bearer {SHOP}"));
            for (ask, status) in [
                (with_key(Ask::chat("demo")), 200),
                (with_key(Ask::stream("demo")), 200),
                (with_key(Ask::get("/v1/models")), 200),
                (with_key(Ask::chat("nobody's")), 404),
                (with_key(Ask::post("/v1/chat/completions", "{")), 400),
                (with_key(Ask::get("/v1/chat/completions")), 405),
                (with_key(Ask::get("/nowhere")), 404),
                (Ask::chat("demo").header("origin", origin), if access == "keys" { 401 } else { 200 }),
            ] {
                let answer = lab.send(&ask).await;
                assert_eq!(answer.status, status, "{} {}", ask.path, answer.text());
                assert_eq!(readers(&answer), may_read, "{} {status}", ask.path);
            }
        }
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_not_named_hears_that_and_reads_nothing() {
    for cors in ["", NAMED] {
        let (lab, _) = beside("keys", cors);
        let varies = if cors.is_empty() { NOBODY } else { ("", "", "origin") };
        for origin in [OTHERS, "null", "https://chat.example.com.evil.example", "https://apps.example.com"] {
            for path in PATHS {
                let answer = lab.send(&preflight(path, origin)).await;
                assert_eq!(answer.status, 403, "{path} {}", answer.text());
                let said = answer.text();
                assert!(said.contains(origin) && said.contains("server.cors.origins"), "{path} {said}");
                assert_eq!(readers(&answer), varies, "{path}");
                assert_eq!(answer.header("access-control-allow-methods"), "");
            }
            let ask = Ask::chat("demo").header("authorization", &format!("Bearer {SHOP}"));
            let answer = lab.send(&ask.clone().header("origin", origin)).await;
            assert_eq!((answer.status.as_u16(), readers(&answer)), (200, varies));
            let answer = lab.send(&ask).await;
            assert_eq!((answer.status.as_u16(), readers(&answer)), (200, varies), "no browser");
        }
        // No question beforehand, as it has no method or nobody who asks.
        for ask in [
            Ask::bare(Method::OPTIONS, "/v1/messages"),
            Ask::bare(Method::OPTIONS, "/v1/messages").header("origin", PAGE),
            Ask::bare(Method::OPTIONS, "/v1/messages").header("access-control-request-method", "POST"),
        ] {
            assert_eq!(lab.send(&ask).await.status, 405);
        }
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_says_itself_who_may_read_it_unless_a_key_is_asked_for() {
    let (lab, service) = beside("keys", NAMED);
    for origin in [PAGE, OTHERS] {
        let answer = lab.send(&preflight("/open/x", origin)).await;
        assert_eq!((answer.status.as_u16(), readers(&answer)), (200, ("https://its.own", "", "")));
        assert_eq!(service.only().method, Method::OPTIONS);
        let answer = lab.send(&Ask::get("/open/x").header("origin", origin)).await;
        assert_eq!((answer.status.as_u16(), readers(&answer)), (200, ("https://its.own", "", "")));
        service.only();
    }
    let answer = lab.send(&preflight("/closed/x", OTHERS)).await;
    assert_eq!((answer.status.as_u16(), readers(&answer)), (403, ("", "", "origin")));
    let answer = lab.send(&preflight("/closed/x", PAGE)).await;
    assert_eq!((answer.status.as_u16(), readers(&answer)), (204, (PAGE, "*", "origin")));
    assert!(service.heard().is_empty(), "nobody showed a key");
    let ask = Ask::get("/closed/x").header("origin", PAGE);
    let answer = lab.send(&ask).await;
    assert_eq!((answer.status.as_u16(), readers(&answer)), (401, (PAGE, "*", "origin")));
    let answer = lab.send(&ask.header("authorization", &format!("Bearer {SHOP}"))).await;
    assert_eq!((answer.status.as_u16(), readers(&answer)), (200, (PAGE, "*", "origin")));
    assert_eq!(service.heard().len(), 1);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn any_page_may_ask_where_that_is_said_and_a_reload_takes_it_back() {
    let (lab, _) = beside("keys", "cors: {origins: ['*']}");
    for origin in [PAGE, OTHERS, "null"] {
        let answer = lab.send(&preflight("/v1/messages", origin)).await;
        assert_eq!((answer.status.as_u16(), readers(&answer)), (204, ("*", "*", "")));
        let ask = Ask::stream("demo").header("origin", origin).header("x-api-key", SHOP);
        let answer = lab.send(&ask).await;
        assert_eq!((answer.status.as_u16(), readers(&answer)), (200, ("*", "*", "")));
    }
    lab.reload(&yaml("keys", NAMED));
    assert_eq!(lab.send(&preflight("/v1/messages", OTHERS)).await.status, 403);
    assert_eq!(lab.send(&preflight("/v1/messages", PAGE)).await.status, 204);
    lab.assert_quiet().await;
}

/// What a browser sends without a question beforehand, to a gateway that asks nobody for a key.
#[tokio::test(start_paused = true)]
async fn a_page_that_is_named_is_no_drive_by() {
    let (lab, _) = beside("open", NAMED);
    for (origin, status) in [(PAGE, 200), (OTHERS, 403), ("null", 403)] {
        let mut ask = Ask::chat("demo").header("origin", origin).header("sec-fetch-site", "cross-site");
        ask.headers.retain(|(name, _)| *name != "content-type");
        let answer = lab.send(&ask.header("content-type", "text/plain")).await;
        assert_eq!(answer.status, status, "{origin} {}", answer.text());
    }
    lab.assert_quiet().await;
}

/// With a real browser's rules, and the official SDKs on the page.
#[test]
fn official_sdks_ask_from_a_page_in_a_browser() {
    if !std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/js/node_modules/openai").is_dir() {
        return super::process::skip(
            "cors.mjs",
            "the SDKs are not installed (scripts/check does it in tests/sdk/js)",
        );
    }
    let settings = "version: 1
access: keys
keys: {page: {secret: \"${MAINSTAY_IT_SECRET}\"}}
server: {cors: {origins: [\"http://chat.localhost\"]}, ";
    super::console::run("cors.mjs", ("version: 1\nserver: {", settings));
}
