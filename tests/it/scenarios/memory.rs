//! More bytes than the gateway may hold (S29, S32): slow uploads and slow readers keep others out, the least first,
//! and the total never grows beyond its bound.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::after;
use crate::lab::{Ask, Lab, Said, Scribe};

const MIB: u64 = 1 << 20;

const TIGHT: &str = "
version: 1
server: {limits: {max_body: 1MiB, memory: 8MiB}}
keys:
  boss: {secret: '${LAB_BOSS}', max_priority: critical_plus}
upstreams:
  a: {provider: simulated, simulated: {ttft: 20ms, pace: 1ms, words: 3}}
  files: {provider: http, base_url: 'http://files'}
routes:
  - {model: demo, channels: [{upstream: a}]}
  - {path: /files/, channels: [{upstream: files}]}
";

fn wants(ask: Ask, priority: &str) -> Ask {
    ask.header("authorization", "Bearer secret-of-LAB_BOSS").header("x-mainstay-priority", priority)
}

fn held(lab: &Lab) -> u64 {
    lab.gateway.live.holdings.bytes()
}

/// A connection on which the head of an upload was sent, and nothing of its body.
async fn announce(lab: &Lab, framing: &str, priority: &str) -> DuplexStream {
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{framing}\r\n\
         authorization: Bearer secret-of-LAB_BOSS\r\nx-mainstay-priority: {priority}\r\n\r\n"
    );
    let mut caller = lab.connect();
    caller.write_all(head.as_bytes()).await.unwrap();
    after(Duration::from_millis(1)).await;
    caller
}

/// What came back so far.
async fn heard(caller: &mut DuplexStream) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let patience = Duration::from_millis(50);
    while let Ok(Ok(count @ 1..)) = tokio::time::timeout(patience, caller.read(&mut buffer)).await {
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(answer).unwrap()
}

fn assert_shed(answer: &str) {
    let head = answer.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 503 "), "{answer}");
    assert!(head.contains("\r\nx-mainstay-shed: memory\r\n"), "{answer}");
    assert!((1..=3).any(|wait| head.contains(&format!("\r\nretry-after: {wait}\r\n"))), "{answer}");
    assert!(head.contains("\r\nconnection: close\r\n"), "what is left of the body is not read: {answer}");
    assert!(answer.contains("server.limits.memory"), "{answer}");
}

/// Looks at the total every millisecond; gives back the most that it was.
fn watch(lab: &Arc<Lab>) -> (Arc<AtomicU64>, tokio::task::JoinHandle<()>) {
    let most = Arc::new(AtomicU64::new(0));
    let (lab, seen) = (Arc::clone(lab), Arc::clone(&most));
    let watching = tokio::spawn(async move {
        loop {
            seen.fetch_max(held(&lab), Relaxed);
            after(Duration::from_millis(1)).await;
        }
    });
    (most, watching)
}

#[tokio::test(start_paused = true)]
async fn slow_uploads_stay_within_the_bound_and_those_who_matter_more_still_pass() {
    let lab = Arc::new(Lab::start(TIGHT));
    let (most, watching) = watch(&lab);
    let mut uploads = Vec::new();
    for number in 0..40 {
        let mut caller = announce(&lab, "content-length: 1000000", "sheddable").await;
        // 80 % of eight are six of them, and what they may still send counts.
        if number < 6 {
            caller.write_all(&vec![b' '; 30_000]).await.unwrap();
            uploads.push((caller, 30_000));
        } else {
            assert_shed(&heard(&mut caller).await);
        }
        if number % 4 == 0 {
            lab.send(&Ask::chat("demo")).await.spoken().unwrap();
        }
    }
    for round in 0..20 {
        lab.send(&Ask::chat("demo")).await.spoken().unwrap();
        lab.send(&wants(Ask::stream("demo"), "critical_plus")).await.spoken().unwrap();
        let (upload, sent) = &mut uploads[round % 6];
        upload.write_all(&[b' '; 1_000]).await.unwrap();
        *sent += 1_000;
        after(Duration::from_millis(500)).await;
    }
    assert_eq!(lab.metric("mainstay_memory_held_bytes"), held(&lab) as f64);
    assert_eq!(lab.metric("mainstay_memory_limit_bytes"), 8.0 * MIB as f64);
    let refused = r#"mainstay_shed_total{route="",reason="memory",priority="sheddable"}"#;
    assert_eq!(lab.metric(refused), 34.0);
    // Some hang up, the others send nonsense to its end.
    uploads.truncate(3);
    for (mut upload, sent) in uploads {
        upload.write_all(&vec![b'}'; 1_000_000 - sent]).await.unwrap();
        assert!(heard(&mut upload).await.starts_with("HTTP/1.1 400 "));
    }
    watching.abort();
    let most = most.load(Relaxed);
    assert!((5 * MIB..=8 * MIB).contains(&most), "{most}");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn each_class_has_its_share_and_the_last_of_it_is_for_the_highest() {
    let lab = Lab::start(TIGHT);
    let mut uploads = Vec::new();
    // In MiB: 6.4, 7.2, 7.6 and 8.
    for (priority, fit, length) in [
        ("sheddable", 6, "1000000"),
        ("sheddable_plus", 1, "1000000"),
        ("critical", 1, "600000"),
        ("critical_plus", 1, "450000"),
    ] {
        let framing = format!("content-length: {length}");
        for _ in 0..fit {
            uploads.push(announce(&lab, &framing, priority).await);
        }
        let mut refused = announce(&lab, &framing, priority).await;
        assert_shed(&heard(&mut refused).await);
    }
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        let before = held(&lab);
        let answer = lab.send(&wants(ask, "critical")).await;
        assert_eq!(answer.status, 503, "{dialect}: {}", answer.text());
        assert_eq!(answer.header("x-mainstay-shed"), "memory", "{dialect}");
        assert!(answer.json().get("error").is_some(), "{dialect}: {}", answer.text());
        assert_eq!(held(&lab), before);
    }
    let file =
        Ask { method: http::Method::PUT, ..wants(Ask::post("/files/x", vec![7; 400_000]), "critical") };
    assert_eq!(lab.send(&file).await.header("x-mainstay-shed"), "memory");
    assert_eq!(lab.arrived("a"), 0, "nobody was asked for them");
    drop(uploads);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_of_unknown_length_is_refused_where_it_outgrows_what_is_left() {
    let lab = Lab::start(TIGHT);
    let mut uploads = Vec::new();
    for _ in 0..6 {
        uploads.push(announce(&lab, "content-length: 1000000", "sheddable").await);
    }
    let mut chunked = announce(&lab, "transfer-encoding: chunked", "sheddable").await;
    assert_eq!(heard(&mut chunked).await, "", "it may be small");
    let chunk = format!("{:x}\r\n{}\r\n", 60_000, " ".repeat(60_000));
    let mut answer = String::new();
    for _ in 0..12 {
        if answer.is_empty() && chunked.write_all(chunk.as_bytes()).await.is_ok() {
            answer = heard(&mut chunked).await;
        }
    }
    assert_shed(&answer);
    drop(uploads);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_growing_buffer_has_to_spare_is_held_with_what_is_in_it() {
    let lab = Lab::start(TIGHT);
    let mut chunked = announce(&lab, "transfer-encoding: chunked", "critical").await;
    let chunk = format!("{:x}\r\n{}\r\n", 50_000, " ".repeat(50_000));
    for _ in 0..9 {
        chunked.write_all(chunk.as_bytes()).await.unwrap();
        after(Duration::from_millis(1)).await;
    }
    // Doubled from 100,000 on.
    assert!(held(&lab) >= 800_000, "{}", held(&lab));
    drop(chunked);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_route_that_matters_less_than_its_body_let_hope_is_refused_once_it_is_known() {
    let yaml = TIGHT
        .replace("routes:", "routes:\n  - {model: batch, priority: sheddable, channels: [{upstream: a}]}");
    let lab = Lab::start(&yaml);
    let mut uploads = Vec::new();
    for _ in 0..7 {
        uploads.push(announce(&lab, "content-length: 1000000", "critical").await);
    }
    let answer = lab.send(&Ask::chat("batch")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("x-mainstay-shed")),
        (503, "memory"),
        "{}",
        answer.text()
    );
    assert_eq!(lab.metric(r#"mainstay_shed_total{route="batch",reason="memory",priority="sheddable"}"#), 1.0);
    lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    drop(uploads);
    lab.assert_quiet().await;
}

/// A stream of so many bytes, and some.
fn long_stream(bytes: usize) -> Said {
    let mut said = Said::status(200).header("content-type", "text/event-stream");
    let event = format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n",
        "x".repeat(10_000)
    );
    for _ in 0..bytes.div_ceil(event.len()) {
        said = said.data(event.clone());
    }
    said.data("data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_reads_are_held_within_the_bound_and_come_whole_in_the_end() {
    let scribe = Scribe::saying(long_stream(1_500_000));
    let yaml = "
version: 1
server: {limits: {max_body: 1MiB, memory: 8MiB}}
upstreams:
  a: {provider: custom, base_url: 'http://a', dialect: openai}
  b: {provider: simulated, simulated: {ttft: 20ms, pace: 1ms, words: 3}}
routes:
  - {model: long, delivery: buffered, channels: [{upstream: a}]}
  - {model: demo, channels: [{upstream: b}]}
";
    let lab = Arc::new(Lab::beside(yaml, &[("a", &scribe)]));
    let (most, watching) = watch(&lab);
    let mut readers = Vec::new();
    for _ in 0..12 {
        readers.push(lab.open(&Ask::stream("long")).await);
        lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    }
    let at_rest = held(&lab);
    assert!((4 * MIB..=8 * MIB).contains(&at_rest), "{at_rest}");
    for mut reader in readers.drain(..6) {
        let mut bytes = 0;
        while let Some(piece) = reader.next().await {
            bytes += piece.len();
        }
        assert!(bytes > 1_500_000, "{bytes}");
        reader.hang_up();
    }
    readers.into_iter().for_each(crate::lab::Kept::hang_up);
    watching.abort();
    let most = most.load(Relaxed);
    assert!(most <= 8 * MIB, "{most}");
    lab.assert_quiet().await;
}
