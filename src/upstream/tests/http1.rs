use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, Wake, Waker};

use http_body::Body;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::mpsc;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_after_a_clean_end() {
    let peer = Memory::serving(|n, io| serve(io, move |_| answer(&format!("connection {n}"))));
    let pool = peer.pool(settings());
    for _ in 0..3 {
        assert_eq!(ask(&pool, "/").await, "connection 0");
        assert_eq!(pool.counts(), counts(1, 0));
    }
    assert_eq!(peer.dials(), 1);
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn a_chunked_answer_gives_its_connection_back_even_to_a_reader_that_does_not_look_for_the_end() {
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n[DONE]\r\n0\r\n\r\n";
    let peer = Memory::serving(|_, io| serve(io, |_| chunked.to_vec()));
    let pool = peer.pool(settings());
    let mut body = pool.call(get("/"), limits()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "[DONE]");
    drop(body);
    assert_eq!(pool.counts(), counts(1, 0));
    assert_eq!(ask(&pool, "/").await, "[DONE]");
    assert_eq!(peer.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_body_gives_its_connection_back_with_its_head() {
    let peer = Memory::serving(|_, io| serve(io, |_| b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()));
    let pool = peer.pool(settings());
    let response = pool.call(get("/"), limits()).await.unwrap();
    assert_eq!(pool.counts(), counts(1, 0));
    assert!(response.body().is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn connection_close_is_obeyed() {
    let reply = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
    let peer = Memory::serving(|_, io| serve(io, |_| reply.to_vec()));
    let pool = peer.pool(settings());
    assert_eq!(ask(&pool, "/").await, "ok");
    assert_eq!(pool.counts(), PoolCounts::default());
    assert_eq!(ask(&pool, "/").await, "ok");
    assert_eq!(peer.dials(), 2);
}

#[tokio::test]
async fn dropping_a_body_in_the_middle_closes_the_peers_socket_at_once() {
    let (gone, mut went) = mpsc::unbounded_channel();
    let peer = Peer::serving(move |_, mut io| {
        let gone = gone.clone();
        async move {
            read_request(&mut io).await;
            io.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun").await.unwrap();
            let ended = matches!(io.read(&mut [0]).await, Ok(0) | Err(_));
            gone.send(ended).unwrap();
        }
    })
    .await;
    let pool = peer.pool(settings());
    let mut body = pool.call(get("/"), limits()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "begun");
    assert_eq!(pool.counts(), counts(0, 1));
    drop(body);
    let within = tokio::time::timeout(10 * SECOND, went.recv()).await;
    assert_eq!(within, Ok(Some(true)));
    comes_to_rest(&pool).await;
}

#[tokio::test]
async fn dropping_a_call_that_waits_for_headers_closes_the_peers_socket_at_once() {
    let (gone, mut went) = mpsc::unbounded_channel();
    let peer = Peer::serving(move |_, mut io| {
        let gone = gone.clone();
        async move {
            read_request(&mut io).await;
            gone.send(()).unwrap();
            let _ = io.read(&mut [0]).await;
            gone.send(()).unwrap();
        }
    })
    .await;
    let pool = peer.pool(settings());
    let call = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { pool.call(get("/"), limits()).await.map(drop) }
    });
    went.recv().await.unwrap();
    call.abort();
    let within = tokio::time::timeout(10 * SECOND, went.recv()).await;
    assert_eq!(within, Ok(Some(())));
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_cut_short_is_truncated_before_its_first_byte_and_cut_after_it() {
    let peer = Memory::serving(|n, mut io| async move {
        read_request(&mut io).await;
        let begun = if n == 0 { "" } else { "begun" };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{begun}");
        io.write_all(head.as_bytes()).await.unwrap();
    });
    let pool = peer.pool(settings());
    for expected in [Fault::Truncated, Fault::StreamCut] {
        let body = pool.call(get("/"), limits()).await.unwrap().into_body();
        assert_eq!(body.collect().await.map(drop), Err(BodyFault { fault: expected }));
        assert_eq!(pool.counts(), PoolCounts::default());
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_chunk_is_a_protocol_fault() {
    let reply = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n";
    let peer = Memory::serving(|_, io| serve(io, |_| reply.to_vec()));
    let pool = peer.pool(settings());
    let body = pool.call(get("/"), limits()).await.unwrap().into_body();
    assert_eq!(body.collect().await.map(drop), Err(BodyFault { fault: Fault::Protocol }));
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_http_is_a_protocol_fault() {
    let peer = Memory::serving(|_, io| serve(io, |_| b"SSH-2.0-OpenSSH_9.6\r\n\r\n".to_vec()));
    let pool = peer.pool(settings());
    assert_eq!(fault(pool.call(get("/"), limits()).await), (Fault::Protocol, Stage::Waiting));
}

#[tokio::test]
async fn a_connection_that_the_peer_closed_while_idle_is_replaced_unseen() {
    // The peer lives on a thread of its own and the test blocks on it, so that the runtime's driver has
    // no chance to see the FIN before the next call.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (closed, wait_closed) = std::sync::mpsc::channel();
    let peer = std::thread::spawn(move || {
        use std::io::{Read, Write};
        for n in 0..20 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"once") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            stream.write_all(&answer(&format!("connection {n}"))).unwrap();
            drop(stream);
            closed.send(()).unwrap();
        }
    });
    let pool = Pool::new("x".into(), plain("127.0.0.1", port, Http2::Auto), settings(), Arc::new(TcpDial));
    for n in 0..20 {
        let response = pool.call(post("once"), careful()).await.expect("no error is seen");
        assert_eq!(text(response).await, format!("connection {n}"));
        wait_closed.recv().unwrap();
        // Reuse is judged by what the kernel knows, not by a habit learned from the round before.
        pool.forget_habits();
    }
    peer.join().unwrap();
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_the_peer_spoke_out_of_turn_is_not_used() {
    let peer = Memory::serving(|n, mut io| async move {
        read_request(&mut io).await;
        io.write_all(&answer(&format!("connection {n}"))).await.unwrap();
        io.write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
        let _ = io.read(&mut [0]).await;
    });
    let pool = peer.pool(settings());
    assert_eq!(ask(&pool, "/").await, "connection 0");
    tokio::time::sleep(SECOND).await;
    assert_eq!(ask(&pool, "/").await, "connection 1");
}

#[tokio::test(start_paused = true)]
async fn a_reused_connection_that_dies_after_the_request_left_is_a_reset_and_nothing_is_sent_twice() {
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let peer = Memory::serving(move |_, mut io| {
        let seen = Arc::clone(&count);
        async move {
            read_request(&mut io).await;
            io.write_all(&answer("first")).await.unwrap();
            if read_request(&mut io).await.is_some() {
                seen.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let pool = peer.pool(settings());
    assert_eq!(ask(&pool, "/").await, "first");
    assert_eq!(fault(pool.call(post("once"), limits()).await), (Fault::Reset, Stage::Waiting));
    assert_eq!((seen.load(Ordering::SeqCst), peer.dials()), (1, 1));
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_must_not_be_sent_twice_uses_only_freshly_idle_connections() {
    let peer = Memory::serving(|n, io| serve(io, move |_| answer(&n.to_string())));
    let pool = peer.pool(settings());
    let once = async |pool: &Arc<Pool>| text(pool.call(post(""), careful()).await.unwrap()).await;
    assert_eq!(once(&pool).await, "0");
    tokio::time::sleep(Duration::from_millis(3_999)).await;
    assert_eq!(once(&pool).await, "0");
    tokio::time::sleep(4 * SECOND).await;
    assert_eq!(once(&pool).await, "1");
    tokio::time::sleep(5 * SECOND).await;
    assert_eq!(ask(&pool, "/").await, "1", "others are not so particular");
}

#[tokio::test(start_paused = true)]
async fn a_peer_seen_to_close_idle_connections_is_not_trusted_with_half_of_that_time() {
    let peer = Memory::serving(|n, mut io| async move {
        while let Ok(Some(_)) = tokio::time::timeout(SECOND, read_request(&mut io)).await {
            io.write_all(&answer(&n.to_string())).await.unwrap();
        }
    });
    let pool = peer.pool(settings());
    let once = async |pool: &Arc<Pool>| text(pool.call(post(""), careful()).await.unwrap()).await;
    assert_eq!(once(&pool).await, "0");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(once(&pool).await, "1");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(once(&pool).await, "1");
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(once(&pool).await, "2", "alive still, but too close to its end");
}

#[tokio::test(start_paused = true)]
async fn an_announced_keep_alive_is_believed_with_a_second_off() {
    let reply = b"HTTP/1.1 200 OK\r\nkeep-alive: timeout=5, max=100\r\ncontent-length: 0\r\n\r\n";
    let peer = Memory::serving(|_, io| serve(io, |_| reply.to_vec()));
    let pool = peer.pool(settings());
    ask(&pool, "/").await;
    tokio::time::sleep(Duration::from_millis(3_999)).await;
    ask(&pool, "/").await;
    assert_eq!(peer.dials(), 1);
    tokio::time::sleep(4 * SECOND).await;
    ask(&pool, "/").await;
    assert_eq!(peer.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_retires_after_its_lifetime_its_requests_and_its_idle_time() {
    let short = |change: fn(&mut config::Pool)| {
        let mut settings = settings();
        change(&mut settings);
        settings
    };
    let peer = Memory::serving(|_, io| serve(io, |_| answer("")));

    let pool = peer.pool(short(|s| (s.max_lifetime, s.lifetime_jitter) = (10 * SECOND, 0.0)));
    ask(&pool, "/").await;
    tokio::time::sleep(Duration::from_millis(9_999)).await;
    ask(&pool, "/").await;
    assert_eq!(peer.dials(), 1);
    tokio::time::sleep(Duration::from_millis(1)).await;
    ask(&pool, "/").await;
    assert_eq!(peer.dials(), 2, "lifetime");

    let pool = peer.pool(short(|s| s.max_requests = 3));
    for _ in 0..4 {
        ask(&pool, "/").await;
    }
    assert_eq!(peer.dials(), 4, "requests");

    let pool = peer.pool(short(|s| s.idle_timeout = SECOND));
    ask(&pool, "/").await;
    tokio::time::sleep(SECOND).await;
    pool.sweep();
    assert_eq!(pool.counts(), PoolCounts::default(), "idle time");
}

#[tokio::test(start_paused = true)]
async fn a_sweep_finds_what_the_peer_has_closed() {
    let peer = Memory::serving(|_, mut io| async move {
        read_request(&mut io).await;
        io.write_all(&answer("")).await.unwrap();
        tokio::time::sleep(SECOND).await;
    });
    let pool = peer.pool(settings());
    ask(&pool, "/").await;
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(pool.counts(), counts(1, 0));
    pool.sweep();
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[tokio::test(start_paused = true)]
async fn a_full_pool_makes_the_next_call_wait_and_then_says_so() {
    let peer = Memory::serving(|_, io| serve(io, |_| answer("a body")));
    let pool = peer.pool(config::Pool { max_connections: 1, ..settings() });
    let held = pool.call(get("/"), limits()).await.unwrap();
    let begun = now();
    assert_eq!(fault(pool.call(get("/"), limits()).await), (Fault::PoolFull, Stage::NotSent));
    assert_eq!(now() - begun, 2 * SECOND);

    let waiting = tokio::spawn({
        let pool = Arc::clone(&pool);
        async move { ask(&pool, "/").await }
    });
    tokio::time::sleep(SECOND).await;
    assert_eq!(text(held).await, "a body");
    assert_eq!(waiting.await.unwrap(), "a body");
    assert_eq!(peer.dials(), 1, "it was handed over");
}

#[tokio::test(start_paused = true)]
async fn idle_connections_beyond_the_shelf_are_closed() {
    let peer = Memory::serving(|_, io| serve(io, |_| answer("x")));
    let pool = peer.pool(config::Pool { max_idle: 2, ..settings() });
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(pool.call(get("/"), limits()).await.unwrap());
    }
    assert_eq!(pool.counts(), counts(0, 5));
    for response in held {
        text(response).await;
    }
    assert_eq!(pool.counts(), counts(2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_retired_pool_finishes_what_it_has_and_keeps_nothing() {
    let peer = Memory::serving(|_, io| serve(io, |_| answer("whole")));
    let pool = peer.pool(settings());
    ask(&pool, "/").await;
    let held = pool.call(get("/"), limits()).await.unwrap();
    pool.retire();
    assert_eq!(text(held).await, "whole");
    assert_eq!(pool.counts(), PoolCounts::default());
    assert_eq!(ask(&pool, "/").await, "whole", "a request that still holds it is served");
    assert_eq!((pool.counts(), peer.dials()), (PoolCounts::default(), 2));
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_headers_timeout_and_the_connection_is_gone() {
    let peer = Memory::serving(|_, mut io| async move {
        read_request(&mut io).await;
        let _ = io.read(&mut [0]).await;
    });
    let pool = peer.pool(settings());
    let begun = now();
    assert_eq!(fault(pool.call(post("body"), limits()).await), (Fault::HeadersTimeout, Stage::Waiting));
    assert_eq!(now() - begun, 30 * SECOND);
    assert_eq!(pool.counts(), PoolCounts::default());
}

/// Answers until it goes deaf, and then takes in what comes and says nothing.
async fn deaf_once(mut io: DuplexStream, deaf: Arc<AtomicBool>) {
    while read_request(&mut io).await.is_some() && !deaf.load(Ordering::SeqCst) {
        io.write_all(&answer("here")).await.unwrap();
    }
    let _ = io.read_to_end(&mut Vec::new()).await;
}

#[tokio::test(start_paused = true)]
async fn connections_that_died_on_the_shelf_are_doubted_and_those_made_since_are_not() {
    let (all, old) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (everybody, first) = (Arc::clone(&all), Arc::clone(&old));
    let peer =
        Memory::serving(move |n, io| deaf_once(io, Arc::clone(if n < 3 { &first } else { &everybody })));
    let pool = peer.pool(settings());
    let call = || pool.call(get("/"), limits());
    let (one, two, three) = tokio::join!(call(), call(), call());
    for response in [one, two, three] {
        assert_eq!(text(response.unwrap()).await, "here");
    }
    assert_eq!((pool.counts().idle, peer.dials()), (3, 3));
    old.store(true, Ordering::SeqCst);

    tokio::time::sleep(SECOND).await;
    let impatient = || CallLimits { headers: 10 * SECOND, ..limits() };
    let doubt = async || pool.call(get("/"), impatient()).await.map(drop).unwrap_err().doubt;
    let (one, two) = tokio::join!(doubt(), doubt());
    assert_eq!((one, two), (Doubt::Connection, Doubt::Connection));
    assert_eq!(pool.counts().idle, 0, "the third, idle for as long, was not waited for");

    assert_eq!((ask(&pool, "/").await, peer.dials()), ("here".to_owned(), 4));
    all.store(true, Ordering::SeqCst);
    assert_eq!(doubt().await, Doubt::Upstream, "it was made after the silence");
    assert_eq!(doubt().await, Doubt::Upstream, "it was made for this call");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_leaves_the_request_half_sent() {
    let peer = Memory::serving(|_, io| async move {
        tokio::time::sleep(60 * SECOND).await;
        drop(io);
    });
    let pool = peer.pool(settings());
    let large = "x".repeat(1024 * 1024);
    let body = Outgoing::pieces(large.as_bytes().chunks(1000).map(Bytes::copy_from_slice));
    let request = Request::builder().method(Method::POST).uri("/").body(body).unwrap();
    assert_eq!(fault(pool.call(request, limits()).await), (Fault::HeadersTimeout, Stage::Sending));
}

fn streamed(mut chunks: mpsc::Receiver<Result<&'static str, BoxError>>) -> Request<Outgoing> {
    let stream = futures_stream(move |cx| chunks.poll_recv(cx));
    let body = BoxBody::new(StreamBody::new(stream));
    Request::builder().method(Method::POST).uri("/").body(Outgoing::Streamed(body)).unwrap()
}

/// A stream out of a poll function.
fn futures_stream<F>(poll: F) -> Chunks<F>
where
    F: FnMut(&mut Context<'_>) -> Poll<Option<Result<&'static str, BoxError>>>,
{
    Chunks(poll)
}

struct Chunks<F>(F);

impl<F> futures_core::Stream for Chunks<F>
where
    F: FnMut(&mut Context<'_>) -> Poll<Option<Result<&'static str, BoxError>>> + Unpin,
{
    type Item = Result<Frame<Bytes>, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        (self.0)(cx)
            .map(|item| item.map(|item| item.map(|text| Frame::data(Bytes::from_static(text.as_bytes())))))
    }
}

async fn read_chunked(io: &mut DuplexStream) -> String {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"0\r\n\r\n") {
        if io.read(&mut byte).await.unwrap_or(0) == 0 {
            break;
        }
        request.push(byte[0]);
    }
    String::from_utf8(request).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_time_for_headers_begins_when_a_streamed_body_has_ended() {
    let peer = Memory::serving(|_, mut io| async move {
        read_chunked(&mut io).await;
        tokio::time::sleep(29 * SECOND).await;
        io.write_all(&answer("late")).await.unwrap();
    });
    let pool = peer.pool(settings());
    let (chunk, chunks) = mpsc::channel(1);
    tokio::spawn(async move {
        for _ in 0..4 {
            tokio::time::sleep(20 * SECOND).await;
            chunk.send(Ok("slow")).await.unwrap();
        }
    });
    assert_eq!(text(pool.call(streamed(chunks), limits()).await.unwrap()).await, "late");
}

#[tokio::test(start_paused = true)]
async fn a_streamed_body_that_stops_or_has_ended_without_an_answer_is_given_the_limit_and_no_more() {
    let peer = Memory::serving(|_, mut io| async move {
        read_chunked(&mut io).await;
        let _ = io.read(&mut [0]).await;
    });
    let pool = peer.pool(settings());
    for (ends, expected) in [(true, Stage::Waiting), (false, Stage::Sending)] {
        let (chunk, chunks) = mpsc::channel(1);
        let caller = tokio::spawn(async move {
            for _ in 0..2 {
                tokio::time::sleep(20 * SECOND).await;
                chunk.send(Ok("slow")).await.unwrap();
            }
            if !ends {
                chunk.closed().await;
            }
        });
        let begun = now();
        let outcome = fault(pool.call(streamed(chunks), limits()).await);
        assert_eq!(outcome, (Fault::HeadersTimeout, expected));
        let waited = now() - begun;
        if ends {
            assert_eq!(waited, 70 * SECOND);
        } else {
            assert!((70 * SECOND..=100 * SECOND).contains(&waited), "{waited:?}");
        }
        caller.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_streamed_body_that_fails_is_the_callers_doing() {
    let peer = Memory::serving(|_, mut io| async move {
        read_chunked(&mut io).await;
    });
    let pool = peer.pool(settings());
    let (chunk, chunks) = mpsc::channel(2);
    chunk.send(Ok("begun")).await.unwrap();
    chunk.send(Err("the caller hung up".into())).await.unwrap();
    assert_eq!(fault(pool.call(streamed(chunks), limits()).await).0, Fault::Cancelled);
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[tokio::test]
async fn a_refused_connection_is_told_from_a_slow_one() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let pool = Pool::new("x".into(), plain("127.0.0.1", closed, Http2::Auto), settings(), Arc::new(TcpDial));
    assert_eq!(fault(pool.call(get("/"), limits()).await), (Fault::Connect, Stage::NotSent));
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_a_dns_fault() {
    let target = plain("no-such-host.invalid", 80, Http2::Auto);
    let pool = Pool::new("x".into(), target, settings(), Arc::new(TcpDial));
    let patient = CallLimits { connect: 60 * SECOND, ..limits() };
    assert_eq!(fault(pool.call(get("/"), patient).await), (Fault::Dns, Stage::NotSent));
}

struct Never;

impl Dial for Never {
    fn dial(&self, _: Arc<Target>) -> Dialing {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_does_not_end_is_a_connect_timeout() {
    let pool = Pool::new("x".into(), plain("h", 80, Http2::Auto), settings(), Arc::new(Never));
    let begun = now();
    assert_eq!(fault(pool.call(get("/"), limits()).await), (Fault::ConnectTimeout, Stage::NotSent));
    assert_eq!(now() - begun, 3 * SECOND);
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[tokio::test(start_paused = true)]
async fn every_connection_is_dialed_anew_so_a_moved_name_is_followed() {
    let peer = Memory::serving(|n, mut io| async move {
        read_request(&mut io).await;
        io.write_all(&answer(&format!("address {n}"))).await.unwrap();
    });
    let pool = peer.pool(settings());
    for n in 0..3 {
        assert_eq!(ask(&pool, "/").await, format!("address {n}"));
        tokio::time::sleep(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn host_is_the_targets_unless_the_request_names_another() {
    let peer = Memory::serving(|_, io| serve(io, answer));
    let pool = peer.pool(settings());
    assert!(ask(&pool, "/a?b=c").await.contains("GET /a?b=c HTTP/1.1\r\nhost: peer.test\r\n"));
    let mut named = get("/");
    named.headers_mut().insert("host", "other.test".parse().unwrap());
    assert!(text(pool.call(named, limits()).await.unwrap()).await.contains("host: other.test\r\n"));
}

#[tokio::test(start_paused = true)]
async fn a_websocket_gets_the_bare_connection_with_what_came_early() {
    let peer = Memory::serving(|_, mut io| async move {
        let request = read_request(&mut io).await.unwrap();
        assert!(request.contains("upgrade: websocket"));
        let head =
            b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nearly";
        io.write_all(head).await.unwrap();
        let mut echo = [0; 5];
        while io.read_exact(&mut echo).await.is_ok() {
            io.write_all(&echo).await.unwrap();
        }
    });
    let pool = peer.pool(settings());
    let mut request = get("/socket");
    request.headers_mut().insert("connection", "upgrade".parse().unwrap());
    request.headers_mut().insert("upgrade", "websocket".parse().unwrap());
    let mut response = pool.call(request, limits()).await.unwrap();
    assert_eq!(response.status(), 101);
    let mut socket = response.body_mut().take_upgrade().expect("it switched");
    assert!(response.body_mut().take_upgrade().is_none());
    let mut heard = [0; 5];
    socket.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"early");
    socket.write_all(b"hello").await.unwrap();
    socket.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
    assert_eq!(pool.counts(), counts(0, 1), "it counts while it lasts");
    drop(socket);
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[tokio::test(start_paused = true)]
async fn an_ordinary_answer_has_no_bare_connection_to_give() {
    let peer = Memory::serving(|_, io| serve(io, |_| answer("plain")));
    let pool = peer.pool(settings());
    let mut response = pool.call(get("/"), limits()).await.unwrap();
    assert!(response.body_mut().take_upgrade().is_none());
    assert_eq!(text(response).await, "plain");
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Hands out one prepared socket.
struct Once(std::sync::Mutex<Option<DuplexStream>>);

impl Dial for Once {
    fn dial(&self, _: Arc<Target>) -> Dialing {
        let socket = self.0.lock().unwrap().take().expect("one dial only");
        Box::pin(async move { Ok(Box::new(socket) as Box<dyn Socket>) })
    }
}

#[tokio::test]
async fn a_request_over_a_kept_connection_wakes_its_task_once_for_each_time_the_peer_speaks() {
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let dial = Arc::new(Once(std::sync::Mutex::new(Some(ours))));
    let pool = Pool::new("x".into(), plain("h", 80, Http2::Auto), settings(), dial);
    for round in 0..3 {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let mut cx = Context::from_waker(&waker);
        let mut call = Box::pin(pool.call(post("question"), limits()));
        assert!(call.as_mut().poll(&mut cx).is_pending());
        assert!(read_request(&mut theirs).await.unwrap().ends_with("question"));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0, "round {round}");

        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n";
        theirs.write_all(head).await.unwrap();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        let Poll::Ready(Ok(response)) = call.as_mut().poll(&mut cx) else { panic!("no answer") };
        let mut body = response.into_body();
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);

        theirs.write_all(b"3\r\ntwo\r\n").await.unwrap();
        assert_eq!(wakes.0.load(Ordering::SeqCst), 2);
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_ready());
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
        theirs.write_all(b"0\r\n\r\n").await.unwrap();
        assert!(matches!(Pin::new(&mut body).poll_frame(&mut cx), Poll::Ready(None)));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 3);
        assert_eq!(pool.counts(), counts(1, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_tasks_over_real_sockets_get_their_own_answers_and_leave_nothing_behind() {
    // Answers come in two pieces, so that reading waits in the middle of a body.
    let peer = Peer::serving(|_, mut io| async move {
        while let Some(request) = read_request(&mut io).await {
            let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
            let (first, second) = path.split_at(path.len() / 2);
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{first}", path.len());
            if io.write_all(head.as_bytes()).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
            if io.write_all(second.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    let pool = peer.pool(config::Pool { max_connections: 6, ..settings() });
    let mut tasks = JoinSet::new();
    for task in 0..12 {
        let pool = Arc::clone(&pool);
        tasks.spawn(async move {
            for n in 0..100 {
                let path = format!("/task/{task}/request/{n}");
                let response = pool.call(get(&path), limits()).await.expect("an answer");
                if n % 7 == 3 {
                    drop(response);
                } else {
                    assert_eq!(text(response).await, path);
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("the task holds its assertions");
        assert!(pool.counts().in_use <= 6);
    }
    comes_to_rest(&pool).await;
}
