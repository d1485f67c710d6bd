use ::h2::Reason;
use ::h2::server::{self, SendResponse};

use super::*;

type Respond = SendResponse<Bytes>;

fn shared() -> config::Pool {
    config::Pool { http2: Http2::PriorKnowledge, ..settings() }
}

/// Serves one connection, allowing `streams` at a time; `reply` sees each request's path.
async fn serve2<S>(io: S, streams: u32, mut reply: impl FnMut(String, Request<::h2::RecvStream>, Respond))
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Ok(mut connection) = server::Builder::new().max_concurrent_streams(streams).handshake(io).await
    else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        reply(request.uri().path().to_owned(), request, respond);
    }
}

fn say(mut respond: Respond, body: &str) {
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data(Bytes::copy_from_slice(body.as_bytes()), true).unwrap();
}

/// A peer that answers with the connection's number, after a second where the path is `/slow`.
fn numbered(streams: u32) -> Arc<Memory> {
    Memory::serving(move |n, io| {
        serve2(io, streams, move |path, _, respond| {
            tokio::spawn(async move {
                if path == "/slow" {
                    tokio::time::sleep(SECOND).await;
                }
                say(respond, &n.to_string());
            });
        })
    })
}

fn spawn_ask(pool: &Arc<Pool>, path: &'static str) -> tokio::task::JoinHandle<String> {
    let pool = Arc::clone(pool);
    tokio::spawn(async move { ask(&pool, path).await })
}

#[tokio::test(start_paused = true)]
async fn many_calls_share_one_connection() {
    let peer = numbered(100);
    let pool = peer.pool(shared());
    let calls: Vec<_> = (0..50).map(|_| spawn_ask(&pool, "/slow")).collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), "0");
    }
    assert_eq!(peer.dials(), 1);
    assert_eq!(pool.counts(), counts(1, 0));
    pool.close_idle();
    tokio::time::sleep(SECOND).await;
    assert_eq!((peer.open(), pool.counts()), (0, PoolCounts::default()));
}

#[tokio::test(start_paused = true)]
async fn nobody_queues_inside_a_connection_whose_peer_has_not_said_how_many_streams_it_takes() {
    let peer = Memory::serving(|_, io| async move {
        tokio::time::sleep(SECOND / 10).await;
        serve2(io, 1, |_, _, respond| {
            tokio::spawn(async move {
                tokio::time::sleep(SECOND).await;
                say(respond, "");
            });
        })
        .await;
    });
    let pool = peer.pool(shared());
    let calls: Vec<_> = (0..6).map(|_| spawn_ask(&pool, "/slow")).collect();
    let begun = now();
    for call in calls {
        call.await.unwrap();
    }
    // The first shows what the peer allows; the others then open theirs side by side.
    assert!(now() - begun < SECOND * 13 / 10, "{:?}", now() - begun);
    assert_eq!(peer.dials(), 6);
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_peer_gets_another_connection() {
    let peer = numbered(1);
    let pool = peer.pool(shared());
    let slow = spawn_ask(&pool, "/slow");
    tokio::time::sleep(SECOND / 10).await;
    let begun = now();
    assert_eq!(ask(&pool, "/").await, "1");
    assert!(now() - begun < SECOND / 10, "it did not queue behind the slow one");
    assert_eq!(slow.await.unwrap(), "0");
    assert_eq!(ask(&pool, "/").await, "0");
    assert_eq!(peer.dials(), 2);
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn another_connection_is_opened_at_four_fifths_of_what_the_peer_allows() {
    let peer = numbered(10);
    let pool = peer.pool(shared());
    let first: Vec<_> = (0..8).map(|_| spawn_ask(&pool, "/slow")).collect();
    tokio::time::sleep(SECOND / 10).await;
    assert_eq!((peer.dials(), pool.counts().streams), (1, 8));
    assert_eq!(ask(&pool, "/").await, "1");
    for call in first {
        call.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn where_no_other_connection_may_be_opened_the_last_fifth_is_used_and_then_waited_for() {
    let peer = numbered(2);
    let pool = peer.pool(config::Pool { max_connections: 1, ..shared() });
    let calls: Vec<_> = (0..4).map(|_| spawn_ask(&pool, "/slow")).collect();
    let begun = now();
    for call in calls {
        assert_eq!(call.await.unwrap(), "0");
    }
    assert!((SECOND * 2..SECOND * 3).contains(&(now() - begun)));
    let _held: Vec<_> = [spawn_ask(&pool, "/slow"), spawn_ask(&pool, "/slow")].into();
    tokio::time::sleep(SECOND / 10).await;
    let hasty = CallLimits { pool_wait: SECOND / 10, ..limits() };
    assert_eq!(fault(pool.call(get("/"), hasty).await), (Fault::PoolFull, Stage::NotSent));
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_was_not_processed() {
    let peer = Memory::serving(|_, io| {
        serve2(io, 100, |_, _, mut respond| respond.send_reset(Reason::REFUSED_STREAM))
    });
    let pool = peer.pool(shared());
    assert_eq!(fault(pool.call(post("body"), limits()).await).0, Fault::NotProcessed);
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn any_other_reset_may_have_been_processed() {
    let peer = Memory::serving(|_, io| {
        serve2(io, 100, |_, _, mut respond| respond.send_reset(Reason::INTERNAL_ERROR))
    });
    let pool = peer.pool(shared());
    assert_eq!(fault(pool.call(post("body"), limits()).await), (Fault::Reset, Stage::Waiting));
    comes_to_rest(&pool).await;
}

/// GOAWAY as raw bytes: the last stream that was acted upon, and the reason.
fn goaway(last: u32, reason: u32) -> Vec<u8> {
    let mut frame = vec![0, 0, 8, 7, 0, 0, 0, 0, 0];
    frame.extend(last.to_be_bytes());
    frame.extend(reason.to_be_bytes());
    frame
}

#[tokio::test(start_paused = true)]
async fn a_goaway_tells_what_was_processed_and_the_connection_gets_no_more() {
    // Empty SETTINGS; then, when the request has come, GOAWAY.
    let peer = |last| {
        Memory::serving(move |n, mut io| async move {
            if n > 0 {
                return serve2(io, 100, |_, _, respond| say(respond, "fresh")).await;
            }
            io.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
            tokio::time::sleep(SECOND).await;
            io.write_all(&goaway(last, 0)).await.unwrap();
            tokio::time::sleep(SECOND).await;
        })
    };
    for (last, expected) in [(0, Fault::NotProcessed), (1, Fault::Reset)] {
        let peer = peer(last);
        let pool = peer.pool(shared());
        let first = tokio::spawn({
            let pool = Arc::clone(&pool);
            async move { fault(pool.call(get("/"), limits()).await).0 }
        });
        tokio::time::sleep(SECOND * 3 / 2).await;
        assert_eq!(ask(&pool, "/").await, "fresh", "a new connection, unseen by the caller");
        assert_eq!((first.await.unwrap(), peer.dials()), (expected, 2));
        comes_to_rest(&pool).await;
    }
}

#[tokio::test(start_paused = true)]
async fn dropping_a_body_in_the_middle_resets_the_stream_and_keeps_the_connection() {
    let (reset, mut was_reset) = tokio::sync::mpsc::unbounded_channel();
    let peer = Memory::serving(move |_, io| {
        let reset = reset.clone();
        serve2(io, 100, move |path, _, mut respond| {
            if path == "/" {
                return say(respond, "whole");
            }
            let reset = reset.clone();
            tokio::spawn(async move {
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                stream.send_data(Bytes::from_static(b"begun"), false).unwrap();
                let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
                reset.send(reason.unwrap()).unwrap();
            });
        })
    });
    let pool = peer.pool(shared());
    let mut body = pool.call(get("/endless"), limits()).await.unwrap().into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "begun");
    assert_eq!(pool.counts(), PoolCounts { in_use: 1, streams: 1, ..PoolCounts::default() });
    drop(body);
    let within = tokio::time::timeout(SECOND / 10, was_reset.recv()).await;
    assert_eq!(within, Ok(Some(Reason::CANCEL)));
    assert_eq!(ask(&pool, "/").await, "whole");
    assert_eq!(peer.dials(), 1);
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_that_waits_for_headers_resets_the_stream() {
    let (reset, mut was_reset) = tokio::sync::mpsc::unbounded_channel();
    let peer = Memory::serving(move |_, io| {
        let reset = reset.clone();
        serve2(io, 100, move |_, _, mut respond| {
            let reset = reset.clone();
            tokio::spawn(async move {
                let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
                reset.send(reason.unwrap()).unwrap();
            });
        })
    });
    let pool = peer.pool(shared());
    let call = spawn_ask(&pool, "/");
    tokio::time::sleep(SECOND).await;
    call.abort();
    assert_eq!(was_reset.recv().await, Some(Reason::CANCEL));
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_cut_by_the_connections_end_is_cut() {
    let peer = Memory::serving(|_, io| async move {
        let mut connection = server::handshake(io).await.unwrap();
        let (_, mut respond) = connection.accept().await.unwrap().unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(Bytes::from_static(b"begun"), false).unwrap();
        let _ = tokio::time::timeout(SECOND, connection.accept()).await;
    });
    let pool = peer.pool(shared());
    let body = pool.call(get("/"), limits()).await.unwrap().into_body();
    assert_eq!(body.collect().await.map(drop), Err(BodyFault { fault: Fault::StreamCut }));
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_kept_a_caller_waiting_is_suspect_until_it_answers_a_ping() {
    let peer = Memory::serving(|n, io| serve2(io, 100, move |_, _, respond| say(respond, &n.to_string())));
    let pool = peer.pool(shared());
    assert_eq!(ask(&pool, "/").await, "0");
    pool.mark_suspect(now(), now());
    assert_eq!(ask(&pool, "/").await, "1", "no new stream before the PING's answer");
    tokio::time::sleep(SECOND).await;
    assert_eq!(ask(&pool, "/").await, "0", "it answered");
    comes_to_rest(&pool).await;
}

/// A peer whose connection goes deaf when told to: nothing more is read or written.
async fn deaf_after(io: DuplexStream, n: usize, deaf: Arc<std::sync::atomic::AtomicBool>) {
    let serving = serve2(io, 100, move |_, _, respond| say(respond, &n.to_string()));
    let mut serving = std::pin::pin!(serving);
    std::future::poll_fn(|cx| {
        if n == 0 && deaf.load(Ordering::SeqCst) {
            return std::task::Poll::Pending;
        }
        serving.as_mut().poll(cx)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_blackholed_connection_costs_one_call_and_is_then_dropped() {
    let deaf = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let script = Arc::clone(&deaf);
    let peer = Memory::serving(move |n, io| deaf_after(io, n, Arc::clone(&script)));
    let pool = peer.pool(shared());
    assert_eq!(ask(&pool, "/").await, "0");
    deaf.store(true, Ordering::SeqCst);
    let impatient = CallLimits { headers: 5 * SECOND, ..limits() };
    let error = pool.call(get("/"), impatient).await.unwrap_err();
    assert_eq!((error.fault, error.doubt), (Fault::HeadersTimeout, Doubt::Connection));
    assert_eq!(ask(&pool, "/").await, "1");
    tokio::time::sleep(11 * SECOND).await;
    assert_eq!(pool.counts(), counts(1, 0), "the deaf one is gone");
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_with_open_streams_is_asked_every_half_minute_whether_it_lives() {
    let deaf = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let script = Arc::clone(&deaf);
    let peer = Memory::serving(move |n, io| deaf_after(io, n, Arc::clone(&script)));
    let pool = peer.pool(shared());
    ask(&pool, "/").await;
    deaf.store(true, Ordering::SeqCst);
    let patient = CallLimits { headers: 600 * SECOND, ..limits() };
    let begun = now();
    assert_eq!(fault(pool.call(get("/"), patient).await), (Fault::Reset, Stage::Waiting));
    assert!(now() - begun <= 41 * SECOND, "{:?}", now() - begun);
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn a_retired_pool_lets_its_streams_finish_and_opens_no_more_on_the_same_connection() {
    let peer = numbered(100);
    let pool = peer.pool(shared());
    let slow = spawn_ask(&pool, "/slow");
    tokio::time::sleep(SECOND / 10).await;
    pool.retire();
    assert_eq!(pool.counts(), PoolCounts { in_use: 1, streams: 1, ..PoolCounts::default() });
    assert_eq!(ask(&pool, "/").await, "1");
    assert_eq!(slow.await.unwrap(), "0");
    tokio::time::sleep(SECOND / 10).await;
    assert_eq!(pool.counts(), PoolCounts::default());
    assert_eq!(ask(&pool, "/").await, "2", "nothing was kept");
}

#[tokio::test(start_paused = true)]
async fn a_worn_connection_gets_no_new_streams() {
    let peer = numbered(100);
    let pool = peer.pool(config::Pool { max_requests: 2, ..shared() });
    for expected in ["0", "0", "1", "1", "2"] {
        assert_eq!(ask(&pool, "/").await, expected);
    }
    let pool = peer.pool(config::Pool { max_lifetime: SECOND, lifetime_jitter: 0.0, ..shared() });
    let first = ask(&pool, "/").await;
    tokio::time::sleep(SECOND).await;
    assert_ne!(ask(&pool, "/").await, first);
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn a_sweep_closes_a_connection_without_streams_when_it_has_been_idle_for_long_enough() {
    let peer = numbered(100);
    let pool = peer.pool(shared());
    tokio::time::sleep(30 * SECOND).await;
    ask(&pool, "/").await;
    tokio::time::sleep(40 * SECOND).await;
    ask(&pool, "/").await;
    tokio::time::sleep(59 * SECOND).await;
    pool.sweep();
    assert_eq!(pool.counts(), counts(1, 0));
    tokio::time::sleep(SECOND).await;
    pool.sweep();
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[tokio::test(start_paused = true)]
async fn one_failed_dial_fails_all_who_waited_for_it() {
    struct Refusing(AtomicUsize);
    impl Dial for Refusing {
        fn dial(&self, _: Arc<Target>) -> Dialing {
            self.0.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {
                tokio::time::sleep(SECOND).await;
                Err(DialError { fault: Fault::Connect, detail: "refused".into() })
            })
        }
    }
    let dial = Arc::new(Refusing(AtomicUsize::new(0)));
    let target = plain("h", 80, Http2::PriorKnowledge);
    let pool = Pool::new("x".into(), target, shared(), Arc::clone(&dial) as Arc<dyn Dial>);
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { fault(pool.call(get("/"), limits()).await) })
        })
        .collect();
    let begun = now();
    for call in calls {
        assert_eq!(call.await.unwrap(), (Fault::Connect, Stage::NotSent));
    }
    assert_eq!((dial.0.load(Ordering::SeqCst), now() - begun), (1, SECOND));
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[tokio::test(start_paused = true)]
async fn bodies_go_both_ways_beyond_the_flow_control_windows() {
    let peer = Memory::serving(|_, io| {
        serve2(io, 100, |_, request, mut respond| {
            assert!(request.headers().get("connection").is_none());
            assert_eq!(request.uri().authority().unwrap(), "peer.test");
            tokio::spawn(async move {
                let mut body = request.into_body();
                let mut stream = respond.send_response(Response::new(()), false).unwrap();
                while let Some(Ok(data)) = body.data().await {
                    body.flow_control().release_capacity(data.len()).unwrap();
                    stream.send_data(data, false).unwrap();
                }
                stream.send_data(Bytes::new(), true).unwrap();
            });
        })
    });
    let pool = peer.pool(shared());
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    let body = Outgoing::pieces(sent.chunks(70_000).map(Bytes::copy_from_slice));
    let mut request = Request::builder().method(Method::POST).uri("/").body(body).unwrap();
    request.headers_mut().insert("connection", "keep-alive".parse().unwrap());
    let response = pool.call(request, limits()).await.unwrap();
    let echoed = response.into_body().collect().await.unwrap().to_bytes();
    assert!(echoed == sent, "{} bytes of {}", echoed.len(), sent.len());
    comes_to_rest(&pool).await;
}
