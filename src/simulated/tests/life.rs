//! Time, memory and the end of things.

use std::io;
use std::net::SocketAddr;

use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};

use super::client::{Client, Ended, post};
use super::*;

const CHAT: &str = "/v1/chat/completions";
const STREAM: &str = r#"{"model":"m","stream":true}"#;

fn paced(ttft_ms: u64, pace_ms: u64) -> Settings {
    Settings {
        ttft: Duration::from_millis(ttft_ms),
        pace: Duration::from_millis(pace_ms),
        words: 11,
        ..Settings::default()
    }
}

/// A client on a pipe, for paused time.
fn pipe(sim: &Simulated) -> Client<DuplexStream> {
    let (ours, theirs) = duplex(64 * 1024);
    sim.serve_connection(theirs).unwrap();
    Client::over(ours)
}

#[expect(clippy::disallowed_methods, reason = "reads the paused clock of the test")]
fn now() -> Instant {
    Instant::now()
}

/// Let every task do what it can without time passing.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_word_takes_ttft_and_each_other_one_the_pace() {
    let sim = Simulated::in_memory("sim-a", paced(400, 20));
    let mut client = pipe(&sim);
    let started = now();
    client.send("POST", CHAT, &[], STREAM.as_bytes()).await;
    client.until("sim-a.1.1\"").await;
    assert_eq!(started.elapsed(), Duration::from_millis(400));
    client.until("sim-a.1.2\"").await;
    assert_eq!(started.elapsed(), Duration::from_millis(420));
    assert_eq!(client.answer().await.ended, Ended::Whole);
    // 11 words and the seal are 11 gaps.
    assert_eq!(started.elapsed(), Duration::from_millis(400 + 11 * 20));
}

#[tokio::test(start_paused = true)]
async fn a_slow_upstream_is_late_and_otherwise_well() {
    let sim = Simulated::in_memory("sim-a", paced(10, 0));
    sim.control().set(vec![Rule::new(Fault::Slow { ttft: Duration::from_secs(5) })]);
    let mut client = pipe(&sim);
    let started = now();
    client.send("POST", CHAT, &[], br#"{"model":"m"}"#).await;
    let exchange = client.answer().await;
    assert_eq!((exchange.status, started.elapsed()), (200, Duration::from_secs(5)));
    let seen = sim.control().seen().remove(0);
    assert_eq!((seen.outcome, seen.fault), (Outcome::Completed, Some("slow")));
}

#[tokio::test(start_paused = true)]
async fn a_dripped_answer_is_whole_and_takes_a_gap_per_byte() {
    let sim = Simulated::in_memory("sim-a", paced(0, 0));
    sim.control().set(vec![Rule::new(Fault::Drip { gap: Duration::from_secs(1) })]);
    let mut client = pipe(&sim);
    let started = now();
    client.send("POST", "/echo", &[], b"").await;
    let exchange = client.answer().await;
    assert_eq!(exchange.json()["path"], "/echo");
    assert!(started.elapsed() > Duration::from_secs(exchange.body.len() as u64 + 50), "headers drip too");
    sim.control().clear();
    let started = now();
    client.send("POST", "/echo", &[], b"").await;
    assert_eq!(client.answer().await.status, 200);
    assert!(started.elapsed() <= Duration::from_secs(1), "the connection is fast again");
}

#[tokio::test(start_paused = true)]
async fn a_hung_request_is_never_answered_and_its_end_is_the_peers() {
    let sim = Simulated::in_memory("sim-a", paced(0, 0));
    sim.control().set(vec![Rule::new(Fault::Hang)]);
    let mut client = pipe(&sim);
    client.send("POST", CHAT, &[], STREAM.as_bytes()).await;
    assert!(timeout(Duration::from_hours(1), client.io.read_u8()).await.is_err());
    assert_eq!(sim.control().counts().in_flight, 1);
    drop(client);
    settle().await;
    let seen = sim.control().seen().remove(0);
    assert_eq!((seen.outcome, seen.fault), (Outcome::Aborted { after_events: 0 }, Some("hang")));
    let counts = sim.control().counts();
    assert_eq!((counts.in_flight, counts.connections_open, counts.aborted), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stalled_answer_goes_silent_after_its_events() {
    let sim = Simulated::in_memory("sim-a", paced(0, 10));
    sim.control().set(vec![Rule::new(Fault::Stall { after_events: 3 })]);
    let mut client = pipe(&sim);
    client.send("POST", CHAT, &[], STREAM.as_bytes()).await;
    client.until("sim-a.1.3\"").await;
    assert!(timeout(Duration::from_hours(1), client.io.read_u8()).await.is_err());
    drop(client);
    settle().await;
    assert_eq!(sim.control().seen()[0].outcome, Outcome::Aborted { after_events: 3 });

    let mut client = pipe(&sim);
    client.send("POST", CHAT, &[], br#"{"model":"m"}"#).await;
    client.until("content-length").await;
    assert!(timeout(Duration::from_hours(1), client.answer()).await.is_err(), "half of a whole body");
}

#[tokio::test(start_paused = true)]
async fn an_abort_is_seen_at_once_and_with_its_number_of_events() {
    let sim = Simulated::in_memory("sim-a", paced(0, 1000));
    let mut client = pipe(&sim);
    client.send("POST", CHAT, &[("x-test-id", "t-7"), ("x-attempt", "2")], STREAM.as_bytes()).await;
    client.until("sim-a.1.2\"").await;
    assert_eq!(sim.control().seen()[0].outcome, Outcome::Open);
    drop(client);
    settle().await;
    let seen = sim.control().seen().remove(0);
    assert_eq!(seen.outcome, Outcome::Aborted { after_events: 2 });
    assert_eq!((seen.test_id.as_deref(), seen.attempt.as_deref()), (Some("t-7"), Some("2")));
    assert_eq!((seen.model.as_deref(), seen.body_bytes), (Some("m"), STREAM.len() as u64));
}

#[tokio::test]
async fn an_abort_on_a_real_socket_is_seen_too() {
    let sim = Simulated::start("sim-a", paced(0, 60_000)).unwrap();
    let mut client = Client::connect(sim.address()).await.unwrap();
    client.send("POST", CHAT, &[], STREAM.as_bytes()).await;
    client.until("sim-a.1.1\"").await;
    drop(client);
    while sim.control().counts().in_flight > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(sim.control().seen()[0].outcome, Outcome::Aborted { after_events: 1 });
}

#[tokio::test(start_paused = true)]
async fn more_than_the_capacity_is_refused_as_overload() {
    let sim = Simulated::in_memory("sim-a", Settings { capacity: Some(1), ..paced(1000, 0) });
    let (mut first, mut second) = (pipe(&sim), pipe(&sim));
    first.send("POST", CHAT, &[], STREAM.as_bytes()).await;
    settle().await;
    second.send("POST", "/v1/messages", &[], STREAM.as_bytes()).await;
    let refused = second.answer().await;
    assert_eq!((refused.status, refused.json()["error"]["type"].as_str()), (529, Some("overloaded_error")));
    assert_eq!(first.answer().await.status, 200);
    second.send("POST", "/v1/messages", &[], STREAM.as_bytes()).await;
    assert_eq!(second.answer().await.status, 200);
    assert_eq!(sim.control().seen()[1].outcome, Outcome::Faulted("capacity"));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_keep_alive_and_a_busy_one_is_not() {
    let sim = Simulated::in_memory(
        "sim-a",
        Settings { keep_alive: Some(Duration::from_secs(1)), ..paced(5000, 0) },
    );
    let mut client = pipe(&sim);
    client.send("POST", CHAT, &[], STREAM.as_bytes()).await;
    assert_eq!(client.answer().await.status, 200);
    sleep(Duration::from_millis(900)).await;
    client.send("POST", CHAT, &[], STREAM.as_bytes()).await;
    assert_eq!(client.answer().await.status, 200);
    let idle_since = now();
    assert_eq!(client.nothing().await, Ended::Fin);
    assert_eq!(idle_since.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn in_memory_a_refusing_upstream_takes_no_connection() {
    let sim = Simulated::in_memory("sim-a", quick());
    let mut open = pipe(&sim);
    settle().await;
    sim.control().set(vec![Rule::new(Fault::Refuse)]);
    assert_eq!(open.nothing().await, Ended::Fin);
    let refused = sim.serve_connection(duplex(64).1).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    sim.control().clear();
    let mut healed = pipe(&sim);
    healed.send("POST", CHAT, &[], STREAM.as_bytes()).await;
    assert_eq!(healed.answer().await.status, 200);
}

#[tokio::test]
async fn no_task_is_left_after_stop_and_connecting_is_refused() {
    let sim = Simulated::start("sim-a", paced(0, 60_000)).unwrap();
    let mut clients = Vec::new();
    for _ in 0..5 {
        let mut client = Client::connect(sim.address()).await.unwrap();
        client.send("POST", CHAT, &[], STREAM.as_bytes()).await;
        client.until("sim-a.").await;
        clients.push(client);
    }
    assert!(Handle::current().metrics().num_alive_tasks() >= 6);
    sim.stop().await;
    assert_eq!(Handle::current().metrics().num_alive_tasks(), 0);
    let counts = sim.control().counts();
    assert_eq!((counts.in_flight, counts.connections_open, counts.connections), (0, 0, 5));
    sim.control().clear();
    assert!(Client::connect(sim.address()).await.is_err());
    assert!(sim.serve_connection(duplex(64).1).is_err());
    sim.stop().await;
}

/// A whole exchange with a server that may die at any moment.
async fn try_post(address: SocketAddr) -> io::Result<String> {
    let mut io = TcpStream::connect(address).await?;
    let length = STREAM.len();
    let head =
        format!("POST {CHAT} HTTP/1.1\r\nhost: s\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    io.write_all(format!("{head}{STREAM}").as_bytes()).await?;
    let mut answer = String::new();
    io.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flapping_under_load_leaves_nothing_behind() {
    let sim = start();
    let address = sim.address();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn(async move {
                for _ in 0..200 {
                    // Fails whenever it meets a closed door; what matters is what is left afterwards.
                    let _ = try_post(address).await;
                }
            })
        })
        .collect();
    while callers.iter().any(|caller| !caller.is_finished()) {
        sim.control().set(vec![Rule::new(Fault::Refuse)]);
        tokio::task::yield_now().await;
        sim.control().clear();
        while sim.control().counts().completed == 0 {
            tokio::task::yield_now().await;
        }
    }
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(try_post(address).await.unwrap().contains("[DONE]"), "it is well after the last flap");
    while sim.control().counts().connections_open > 0 {
        tokio::task::yield_now().await;
    }
    let counts = sim.control().counts();
    assert_eq!(counts.in_flight, 0);
    assert_eq!(counts.arrived, counts.completed + counts.aborted + counts.faulted);
    sim.stop().await;
}

#[tokio::test]
async fn dropping_it_ends_its_tasks_too() {
    let sim = start();
    let mut client = Client::connect(sim.address()).await.unwrap();
    drop(sim);
    assert_ne!(client.nothing().await, Ended::Whole);
    while Handle::current().metrics().num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_memory_holds_no_prompt_and_no_whole_credential() {
    let sim = start();
    let body = r#"{"model":"m","messages":[{"role":"user","content":"the secret plan"}]}"#;
    let headers = [("authorization", "Bearer sk-live-1234567890")];
    let path = "/v1/chat/completions?key=sk-live-1234567890";
    client::ask(sim.address(), "POST", path, &headers, body).await;
    let shown = format!("{:?}{}", sim, serde_json::to_string(&sim.control().seen()).unwrap());
    assert!(shown.contains("7890") && !shown.contains("sk-live") && !shown.contains("secret"), "{shown}");
    sim.control().forget();
    assert!(sim.control().seen().is_empty());
    post(sim.address(), CHAT, body).await;
    assert_eq!(sim.control().seen()[0].serial, 2, "serial numbers go on");
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_and_cut_by_a_stream_reset() {
    let sim = start();
    let io = TcpStream::connect(sim.address()).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = || {
        let uri = format!("http://{}{CHAT}", sim.address());
        Request::post(uri).body(Full::new(bytes::Bytes::from_static(STREAM.as_bytes()))).unwrap()
    };
    let whole = client.send_request(request()).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert!(whole.ends_with(b"data: [DONE]\n\n"));

    sim.control().set(vec![Rule::new(Fault::Cut { after_events: 4, how: How::Rst })]);
    let mut body = client.send_request(request()).await.unwrap().into_body();
    let mut text = String::new();
    let error = loop {
        match body.frame().await.unwrap() {
            Ok(frame) => text.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap()),
            Err(error) => break error,
        }
    };
    assert!(!error.is_canceled());
    assert_eq!(text.matches("sim-a.").count(), 4);
    sim.control().clear();
    assert_eq!(client.send_request(request()).await.unwrap().status(), 200, "the connection lives on");
    drop((client, body));
    sim.stop().await;
    let _ = connection.await;
}
