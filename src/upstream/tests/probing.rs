use super::probe::{Introduction, probe};
use super::*;
use crate::config::ProbeKind;
use crate::dialect::provider::Auth;
use crate::vocab::Secret;

fn status(code: u16) -> Arc<Memory> {
    Memory::serving(move |_, io| {
        serve(io, move |_| format!("HTTP/1.1 {code} X\r\ncontent-length: 2\r\n\r\n{{}}").into_bytes())
    })
}

async fn outcome(peer: &Arc<Memory>, kind: &ProbeKind) -> Result<(), Fault> {
    let pool = peer.pool(settings());
    let result = probe(&pool, kind, Introduction::default(), 5 * SECOND).await;
    comes_to_rest(&pool).await;
    result.map_err(|failed| failed.fault)
}

fn models() -> ProbeKind {
    ProbeKind::ListModels { path: "/v1/models".into() }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_refuses_the_credential_is_alive() {
    for (code, expected) in [
        (200, Ok(())),
        (401, Ok(())),
        (403, Ok(())),
        (429, Ok(())),
        (404, Err(Fault::BadRequest)),
        (500, Err(Fault::ServerError)),
        (502, Err(Fault::BadGateway)),
        (503, Err(Fault::Overloaded)),
    ] {
        assert_eq!(outcome(&status(code), &models()).await, expected, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_http_probe_passes_on_the_expected_statuses_only() {
    let kind = |expect: &[u16]| ProbeKind::Http {
        method: Method::HEAD,
        path: "/healthz".into(),
        expect: expect.to_vec(),
    };
    assert_eq!(outcome(&status(404), &kind(&[200, 404])).await, Ok(()));
    assert_eq!(outcome(&status(200), &kind(&[204])).await, Err(Fault::BadGateway));
}

#[tokio::test(start_paused = true)]
async fn a_tcp_probe_needs_a_connection_and_no_answer() {
    let silent =
        Memory::serving(
            |_, mut io| async move { while io.read(&mut [0; 1024]).await.is_ok_and(|n| n > 0) {} },
        );
    assert_eq!(outcome(&silent, &ProbeKind::Tcp).await, Ok(()));
    assert_eq!(outcome(&silent, &models()).await, Err(Fault::HeadersTimeout));
    assert_eq!(outcome(&silent, &ProbeKind::Off).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_probe_introduces_itself_and_keeps_its_connection() {
    let peer = Memory::serving(|_, io| {
        serve(io, |request| {
            let known = request.starts_with("GET /v1/models?key=s%26k HTTP/1.1\r\n")
                && request.contains("x-version: 1\r\n")
                && request.contains("user-agent: mainstay/");
            format!("HTTP/1.1 {} X\r\ncontent-length: 0\r\n\r\n", if known { 200 } else { 500 }).into_bytes()
        })
    });
    let pool = peer.pool(settings());
    for _ in 0..2 {
        let mut introduction = Introduction {
            credential: Some((Auth::Query("key"), Secret::new("s&k"))),
            ..Introduction::default()
        };
        introduction.headers.insert("x-version", "1".parse().unwrap());
        assert_eq!(probe(&pool, &models(), introduction, SECOND).await, Ok(()));
    }
    assert_eq!((peer.dials(), pool.counts()), (1, counts(1, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_probe_of_nobody_says_what_is_wrong() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let target = plain("127.0.0.1", closed, Http2::Auto);
    let pool = Pool::new("x".into(), target, settings(), Arc::new(TcpDial));
    let failed = probe(&pool, &ProbeKind::Tcp, Introduction::default(), SECOND).await.unwrap_err();
    assert_eq!(failed.fault, Fault::Connect);
    assert!(failed.detail.contains("127.0.0.1"), "{}", failed.detail);
}
