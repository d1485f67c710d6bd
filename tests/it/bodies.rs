//! Bodies that come in an unusual way: compressed, or in drops.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::lab::{Ask, Lab, Said, Scribe};

const YAML: &str = "
version: 1
server: {limits: {max_body: 64KiB}, timeouts: {body_read: 5s}}
upstreams:
  a: {provider: simulated}
  chat: {provider: custom, dialect: openai, base_url: 'http://chat/v1', probe: {kind: 'off'}, credentials: [k]}
  orders: {provider: http, base_url: 'http://orders', probe: {kind: 'off'}}
routes:
  - {model: demo, channels: [{upstream: a}]}
  - {model: heard, channels: [{upstream: chat}]}
  - {path: /orders/, channels: [{upstream: orders}]}
";

const CHAT: &str = "/v1/chat/completions";

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// The same request, compressed.
fn packed(mut ask: Ask) -> Ask {
    ask.body = gzip(&ask.body).into();
    ask.header("content-encoding", "gzip")
}

#[tokio::test(start_paused = true)]
async fn what_a_caller_compressed_is_read_and_goes_on_plain() {
    let [chat, orders] =
        [r#"{"id":"x","object":"chat.completion","choices":[{"message":{"content":"hi"}}]}"#, "{}"]
            .map(|said| Scribe::saying(Said::json(200, said)));
    let lab = Lab::beside(YAML, &[("chat", &chat), ("orders", &orders)]);
    let ask = Ask::chat("heard");
    assert_eq!(lab.send(&packed(ask.clone())).await.status, 200);
    assert_eq!(lab.send(&ask).await.status, 200);
    let heard = chat.heard();
    assert_eq!(heard[0].body, heard[1].body, "as if it had come plain");
    assert_eq!(heard[0].header("content-encoding"), "");
    assert_eq!(heard[0].header("content-length"), heard[1].header("content-length"));

    let ask = Ask { path: "/orders/7".to_owned(), ..packed(ask) };
    assert_eq!(lab.send(&ask).await.status, 200);
    let heard = orders.only();
    assert_eq!((&heard.body, heard.header("content-encoding")), (&ask.body, "gzip"), "not ours to read");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_unpacked_is_refused_and_says_what_can() {
    let lab = Lab::start(YAML);
    for path in
        [CHAT, "/v1/responses", "/anthropic/v1/messages", "/gemini/v1beta/models/demo:generateContent"]
    {
        let answer = lab.send(&Ask::post(path, "(\u{b5}/").header("content-encoding", "zstd")).await;
        assert_eq!((answer.status.as_u16(), answer.header("accept-encoding")), (415, "gzip"), "{path}");
        assert!(answer.text().contains("`zstd` is not read"), "{path}: {}", answer.text());

        let answer = lab.send(&Ask::post(path, "{}").header("content-encoding", "gzip")).await;
        assert_eq!(answer.status.as_u16(), 400, "{path}");
        assert!(answer.text().contains("not the gzip"), "{path}: {}", answer.text());

        let bomb = gzip(&vec![b' '; 1 << 20]);
        assert!(bomb.len() < 2000);
        let answer = lab.send(&Ask::post(path, bomb).header("content-encoding", "gzip")).await;
        assert_eq!(answer.status.as_u16(), 413, "{path}: {}", answer.text());
    }
    assert_eq!(lab.metric(r#"mainstay_rejected_total{reason="unsupported_media_type"}"#), 4.0);
    assert_eq!(lab.arrived("a"), 0);
    lab.assert_quiet().await;
}

/// Sends a chat of `size` bytes, `step` of them each second, and returns the answer and when it began to come.
async fn in_drops(lab: &Lab, size: usize, step: usize) -> (String, Duration) {
    let begin = r#"{"model":"demo","messages":[{"role":"user","content":""#;
    let end = r#""}]}"#;
    let body = format!("{begin}{}{end}", "x".repeat(size - begin.len() - end.len()));
    let (mut reader, mut writer) = tokio::io::split(lab.connect());
    let head =
        format!("POST {CHAT} HTTP/1.1\r\nhost: g\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n");
    writer.write_all(head.as_bytes()).await.unwrap();
    let began = lab.gateway.live.now();
    let sending = tokio::spawn(async move {
        for drop in body.as_bytes().chunks(step) {
            if writer.write_all(drop).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(1)).await;
        }
        writer
    });
    let mut answer = vec![0; 1];
    reader.read_exact(&mut answer).await.expect("an answer");
    let took = lab.gateway.live.now().since(began);
    // It may be reset behind an answer that did not wait for the body.
    drop(reader.read_to_end(&mut answer).await);
    drop(reader);
    drop(sending.await);
    (String::from_utf8_lossy(&answer).into_owned(), took)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_by_the_byte_does_not_keep_its_place() {
    let lab = Lab::start(YAML);
    let (answer, took) = in_drops(&lab, 60_000, 1).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("less than 240 bytes a second"), "{answer}");
    assert_eq!(took.as_secs(), 5, "body_read, and what the bytes have earned");
    // Who announces much has a place for much, and has to come the faster for it.
    let roomy = Lab::start(&YAML.replace("64KiB", "1MiB"));
    let (answer, took) = in_drops(&roomy, 90_000, 100).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("less than 300 bytes a second"), "{answer}");
    assert_eq!(took.as_secs(), 7);
    // What is slow and steady is waited for.
    let (answer, took) = in_drops(&lab, 60_000, 300).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(took.as_secs(), 199);
    lab.assert_quiet().await;
}
