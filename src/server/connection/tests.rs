//! Whole connections over an in-memory pipe: what is refused, and when one is over.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{advance, sleep, timeout};

use super::super::testing::{Bench, FILE, chat, read_to};

const S: Duration = Duration::from_secs(1);

fn with_limits(limits: &str) -> Bench {
    Bench::start(&FILE.replace("server: {", &format!("server: {{limits: {{{limits}}}, ")))
}

/// A request to the echo route whose head has these lines.
fn request(lines: &str, body: &str) -> String {
    format!("POST /echo/x HTTP/1.1\r\nHost: x\r\n{lines}\r\n{body}")
}

#[tokio::test(start_paused = true)]
async fn ambiguous_lengths_are_refused_and_the_connection_is_closed() {
    let bench = Bench::start(FILE);
    let chunked = "5\r\nhello\r\n0\r\n\r\n";
    for (lines, body) in [
        // SEC-01
        ("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", chunked),
        ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", chunked),
        ("transfer-encoding: chunked\r\nCONTENT-LENGTH: 15\r\n", chunked),
        // SEC-02, 03
        ("Content-Length: 5\r\nContent-Length: 6\r\n", "hello!"),
        ("Content-Length: 5, 5\r\n", "hello"),
        ("Content-Length: +5\r\n", "hello"),
        ("Content-Length: 0x5\r\n", "hello"),
        // SEC-04
        ("Transfer-Encoding: chunked, identity\r\n", chunked),
        ("Transfer-Encoding: identity, chunked\r\n", chunked),
        ("Transfer-Encoding: xchunked\r\n", chunked),
        ("Transfer-Encoding: chunked\x0b\r\n", chunked),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", chunked),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunked),
        ("Transfer-Encoding : chunked\r\n", chunked),
        ("Transfer-Encoding\r\n : chunked\r\n", chunked),
        // SEC-05, 06
        ("X: y\nTransfer-Encoding: chunked\r\n", chunked),
        ("X: y\r\n folded\r\nContent-Length: 5\r\n", "hello"),
        ("Host: y\r\nContent-Length: 5\r\n", "hello"),
    ] {
        let answer = bench.say(request(lines, body) + &request("Content-Length: 0\r\n", "")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lines:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{lines:?}: what follows was answered: {answer}");
    }
    let answer = bench.say("POST /echo/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.") && answer.contains(" 400 "), "SEC-07: {answer}");
    assert!(bench.sims.values().all(|sim| sim.control().counts().completed == 0), "none went on");
    assert!(bench.metric(r#"mainstay_rejected_total{reason="smuggling"}"#) >= 3.0);
}

#[tokio::test(start_paused = true)]
async fn honest_chunked_requests_pass_however_they_are_pipelined() {
    let bench = Bench::start(FILE);
    let chunked =
        request("Transfer-Encoding: chunked\r\n", "3;x=y\r\nabc\r\n4\r\n\r\n\r\n\r\n0\r\nT: r\r\n\r\n");
    let sized = request("Content-Length: 3\r\n", "abc");
    let last = request("Transfer-Encoding: Chunked\r\nConnection: close\r\n", "0\r\n\r\n");
    let answer = bench.say([&*chunked, &sized, &chunked, &sized, &sized, &last].concat()).await;
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 6, "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_long_target_is_refused_in_the_callers_dialect() {
    let bench = with_limits("max_uri: 100");
    let path = |length: usize| format!("/v1/messages?{}", "x".repeat(length - "/v1/messages?".len()));
    let ask = |length| format!("POST {} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path(length));
    let answer = bench.say(ask(101)).await;
    assert!(answer.starts_with("HTTP/1.1 414 "), "{answer}");
    assert!(answer.contains(r#""type":"error""#), "anthropic's shape: {answer}");
    let answer = bench.say(ask(100)).await;
    assert!(!answer.starts_with("HTTP/1.1 414 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn large_heads_are_refused_in_words_as_far_as_they_can_be_read() {
    let bench = with_limits("max_header_bytes: 8KiB, max_headers: 20");
    let ask = |lines: &str| format!("GET /v1/models HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n");
    let many = |count: usize| "X: y\r\n".repeat(count);
    assert!(bench.say(ask(&many(18))).await.starts_with("HTTP/1.1 200 "));
    let answer = bench.say(ask(&many(19))).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains(r#""error""#), "{answer}");
    let large = |bytes: usize| format!("X: {}\r\n", "y".repeat(bytes));
    assert!(bench.say(ask(&large(8_000))).await.starts_with("HTTP/1.1 200 "));
    let answer = bench.say(ask(&large(9_000))).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains(r#""error""#), "{answer}");
    assert!(bench.say(ask(&large(100_000))).await.starts_with("HTTP/1.1 431 "), "hyper's own");
    assert!(bench.say(ask(&many(200))).await.starts_with("HTTP/1.1 431 "), "hyper's own");
}

#[tokio::test(start_paused = true)]
async fn silent_callers_are_hung_up_on_in_their_time() {
    let bench =
        Bench::start(&FILE.replace("server: {", "server: {timeouts: {header_read: 10s, keep_alive: 75s}, "));
    let mut byte = [0; 1];

    let mut silent = bench.connect(1 << 16);
    let end = timeout(S * 9, silent.read(&mut byte)).await;
    assert!(end.is_err(), "still open after 9 s");
    assert_eq!(timeout(S * 2, silent.read(&mut byte)).await.expect("closed after 10 s").unwrap_or(0), 0);

    let mut slow = bench.connect(1 << 16);
    slow.write_all(chat("", false).as_bytes()).await.unwrap();
    read_to(&mut slow, "usage").await;
    sleep(S * 60).await;
    slow.write_all(b"POST /v1/chat").await.unwrap();
    assert!(timeout(S * 9, slow.read(&mut byte)).await.is_err(), "a head has its own ten seconds");
    assert_eq!(timeout(S * 2, slow.read(&mut byte)).await.expect("closed").unwrap_or(0), 0);

    let mut idle = bench.connect(1 << 16);
    idle.write_all(chat("", false).as_bytes()).await.unwrap();
    read_to(&mut idle, "usage").await;
    assert!(timeout(S * 70, idle.read(&mut byte)).await.is_err(), "kept for the next request");
    assert_eq!(timeout(S * 10, idle.read(&mut byte)).await.expect("closed").unwrap_or(0), 0);
    assert_eq!(bench.host.front.open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_does_not_read_is_disconnected_and_its_upstream_released() {
    let bench = Bench::start(&FILE.replace("server: {", "server: {timeouts: {write_stall: 30s}, "));
    let mut deaf = bench.connect(256);
    deaf.write_all(chat("", true).as_bytes()).await.unwrap();
    sleep(S * 20).await;
    assert_eq!(bench.host.front.open(), 1);
    sleep(S * 20).await;
    assert_eq!(bench.host.front.open(), 0);
    assert_eq!(bench.host.gateway().in_flight(), 0);
    drop(deaf);
}

#[tokio::test(start_paused = true)]
async fn one_deaf_stream_of_http2_is_reset_and_the_others_go_on() {
    let bench = Bench::start(&FILE.replace("server: {", "server: {timeouts: {write_stall: 30s}, "));
    let io = TokioIo::new(bench.connect(1 << 20));
    // The smallest window that hyper sends: a stream that is not read is stopped soon.
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(1_000)
        .handshake::<_, Full<Bytes>>(io)
        .await
        .expect("HTTP/2 with prior knowledge");
    let connection = tokio::spawn(connection);
    let ask = |stream: bool| {
        let body = format!(r#"{{"model":"demo","stream":{stream},"messages":[]}}"#);
        let request =
            Request::post("http://x/v1/chat/completions").header("content-type", "application/json");
        sender.clone().send_request(request.body(Full::new(Bytes::from(body))).unwrap())
    };
    let deaf = ask(true).await.expect("headers");
    assert_eq!(deaf.status(), 200);
    sleep(S * 45).await;
    let error = deaf.into_body().collect().await.expect_err("the stream was reset");
    let error = std::error::Error::source(&error).expect("a cause").to_string();
    assert!(error.contains("stream"), "{error}");
    let other = ask(false).await.expect("the connection goes on");
    assert!(other.into_body().collect().await.is_ok());
    assert_eq!(bench.host.gateway().in_flight(), 0);
    connection.abort();
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_of_http2_is_closed_too() {
    let bench = Bench::start(FILE);
    let io = TokioIo::new(bench.connect(1 << 20));
    let handshake =
        hyper::client::conn::http2::Builder::new(TokioExecutor::new()).handshake::<_, Full<Bytes>>(io);
    let (mut sender, connection) = handshake.await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let request = Request::get("http://x/v1/models").body(Full::default()).unwrap();
    let answer = sender.send_request(request).await.expect("headers");
    answer.into_body().collect().await.expect("a body");
    advance(S * 60).await;
    assert_eq!(bench.host.front.open(), 1);
    assert!(timeout(S * 120, connection).await.expect("closed").is_ok());
    assert_eq!(bench.host.front.open(), 0);
}

/// Sends a head over HTTP/2 and so many bytes in pieces; whether all of them could be sent, and what was answered.
async fn whole_over_http2(bench: &Bench, head: http::request::Builder, bytes: usize) -> (bool, u16, String) {
    let (client, connection) = h2::client::handshake(bench.connect(1 << 20)).await.expect("HTTP/2");
    let connection = tokio::spawn(connection);
    let mut client = client.ready().await.expect("room for a stream");
    let (answer, mut body) = client.send_request(head.body(()).unwrap(), false).expect("a stream");
    let mut left = bytes;
    while left > 0 {
        body.reserve_capacity(left.min(16 * 1024));
        let Some(Ok(room)) = poll_fn(|cx| body.poll_capacity(cx)).await else { break };
        let piece = room.min(left);
        left -= piece;
        body.send_data(Bytes::from(vec![b'x'; piece]), left == 0).expect("an open stream");
    }
    let (head, mut body) = answer.await.expect("an answer").into_parts();
    let mut text = Vec::new();
    while let Some(data) = body.data().await {
        text.extend_from_slice(&data.expect("no error in place of its end"));
    }
    connection.abort();
    (left == 0, head.status.as_u16(), String::from_utf8(text).expect("text"))
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_early_over_http2_may_send_all_of_his_body_and_has_the_answer() {
    let bench = with_limits("max_body: 1MiB, max_uri: 100");
    let post =
        |path: &str| Request::post(format!("http://x{path}")).header("content-type", "application/json");
    for (path, status) in
        [("/v1/nothing", 404), ("/v1/chat/completions", 413), (&*format!("/{}", "x".repeat(100)), 414)]
    {
        // More than the windows of a stream and of its connection.
        let (all, answered, text) = whole_over_http2(&bench, post(path), 3 << 20).await;
        assert!(all && answered == status && text.contains("error"), "{path}: {all} {answered} {text}");
        let announced = post(path).header("content-length", 3 << 20);
        let (all, answered, text) = whole_over_http2(&bench, announced, 3 << 20).await;
        assert!(all && answered == status && text.contains("error"), "{path}: {all} {answered} {text}");
    }
    let (most, body) = (128 << 20, 300 << 10);
    for (length, read) in [(most, true), (most + 1, false)] {
        let announced = post("/v1/nothing").header("content-length", length);
        let (client, connection) = h2::client::handshake(bench.connect(1 << 20)).await.expect("HTTP/2");
        let connection = tokio::spawn(connection);
        let mut client = client.ready().await.expect("room for a stream");
        let (answer, mut sent) = client.send_request(announced.body(()).unwrap(), false).expect("a stream");
        assert_eq!(answer.await.expect("an answer").status(), 404);
        sleep(S).await;
        sent.reserve_capacity(body);
        let _ = sent.send_data(Bytes::from(vec![b'x'; body]), false);
        let reset = timeout(S * 25, poll_fn(|cx| sent.poll_reset(cx))).await;
        assert_eq!(reset.is_err(), read, "{length}: nothing is read of what says to be too long");
        let reset = timeout(S * 10, poll_fn(|cx| sent.poll_reset(cx))).await;
        let reset = reset.expect("nor is anything read for ever").expect("a reset");
        assert_eq!(reset, h2::Reason::NO_ERROR);
        connection.abort();
    }
}
