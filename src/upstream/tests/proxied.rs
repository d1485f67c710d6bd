//! Peers that are reached by a forward proxy.

use tokio::io::copy_bidirectional;

use super::secured::authority;
use super::*;
use crate::config::ProbeKind;
use crate::dialect::provider::Auth;
use crate::upstream::probe::{Introduction, probe};
use crate::vocab::Secret;

/// A forward proxy that leads everybody to one peer, whatever he asks for, and says what it was asked.
struct Forward {
    peer: Peer,
    asked: Arc<parking_lot::Mutex<Vec<String>>>,
}

impl Forward {
    async fn to(port: u16) -> Self {
        let asked = Arc::<parking_lot::Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&asked);
        let peer = Peer::serving(move |_, mut stream| {
            let heard = Arc::clone(&heard);
            async move {
                let Some(request) = read_request(&mut stream).await else { return };
                heard.lock().push(request);
                let mut there = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                stream.write_all(b"HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut there).await;
            }
        })
        .await;
        Self { peer, asked }
    }

    fn proxy(&self, account: Option<&str>) -> Arc<Proxy> {
        proxy(self.peer.port, account)
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }
}

fn proxy(port: u16, account: Option<&str>) -> Arc<Proxy> {
    Proxy::new(&config::Proxy { host: "127.0.0.1".into(), port, account: account.map(Secret::new) })
}

fn pool_by(proxy: Arc<Proxy>, target: Target) -> Arc<Pool> {
    Pool::new("peer".into(), target.through(Some(proxy)), settings(), Arc::new(TcpDial))
}

/// A proxy that answers every request with `reply`.
async fn answering(reply: &'static [u8]) -> Peer {
    Peer::serving(move |_, stream| serve(stream, move |_| reply.to_vec())).await
}

#[tokio::test]
async fn what_is_sent_goes_through_the_proxy_and_the_connection_is_kept() {
    let peer = Peer::serving(|n, stream| serve(stream, move |_| answer(&format!("peer {n}")))).await;
    let forward = Forward::to(peer.port).await;
    // Its name is nobody's but the proxy's to look up.
    let pool = pool_by(forward.proxy(Some("ada:lace")), plain("peer.invalid", 8080, Http2::Auto));
    for _ in 0..3 {
        assert_eq!(ask(&pool, "/").await, "peer 0");
    }
    let asked = "CONNECT peer.invalid:8080 HTTP/1.1\r\nhost: peer.invalid:8080\r\n\
                 proxy-authorization: Basic YWRhOmxhY2U=\r\n\r\n";
    assert_eq!(forward.asked(), [asked], "once for a connection, and nothing of the requests");
    let asks = ProbeKind::Tcp;
    assert_eq!(probe(&pool, &asks, Introduction::default(), SECOND).await, Ok(()));
    assert_eq!(forward.asked().len(), 1, "probes take the way of the traffic");
    comes_to_rest(&pool).await;
    let pool = pool_by(forward.proxy(None), plain("::1", 80, Http2::Auto));
    ask(&pool, "/").await;
    assert_eq!(forward.asked(), ["CONNECT [::1]:80 HTTP/1.1\r\nhost: [::1]:80\r\n\r\n"]);
}

#[tokio::test]
async fn encryption_is_with_the_peer_and_not_with_the_proxy() {
    for (offered, spoken) in [(&[&b"http/1.1"[..]][..], "h1"), (&[b"h2"], "h2")] {
        let authority = authority(&["peer.test"], offered);
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&authority.server));
        let peer = Peer::serving(move |_, stream| {
            let acceptor = acceptor.clone();
            async move {
                let stream = acceptor.accept(stream).await.unwrap();
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    let mut connection = ::h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((_, mut respond))) = connection.accept().await {
                        let mut body = respond.send_response(Response::new(()), false).unwrap();
                        body.send_data(Bytes::from("h2"), true).unwrap();
                    }
                } else {
                    serve(stream, |_| answer("h1")).await;
                }
            }
        })
        .await;
        let forward = Forward::to(peer.port).await;
        let tls = Roots::Pem(authority.pem.as_bytes()).client_config().unwrap();
        let target = Target { https: true, ..plain("peer.test", 443, Http2::Auto) }.with_tls(tls, None);
        let pool = pool_by(forward.proxy(None), target);
        assert_eq!(ask(&pool, "/").await, spoken);
        assert_eq!(forward.asked(), ["CONNECT peer.test:443 HTTP/1.1\r\nhost: peer.test:443\r\n\r\n"]);
    }
}

/// A server may be the first to speak.
#[tokio::test]
async fn what_a_peer_says_at_once_behind_the_proxys_answer_is_not_lost() {
    let peer = Peer::serving(|_, stream| async move {
        let Ok(mut connection) = ::h2::server::handshake(stream).await else { return };
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let mut body = respond.send_response(Response::new(()), false).unwrap();
            body.send_data(Bytes::from("h2c"), true).unwrap();
        }
    })
    .await;
    let forward = Forward::to(peer.port).await;
    let settings = config::Pool { http2: Http2::PriorKnowledge, ..settings() };
    let target = plain("peer.test", 80, Http2::PriorKnowledge).through(Some(forward.proxy(None)));
    let pool = Pool::new("peer".into(), target, settings, Arc::new(TcpDial));
    assert_eq!(ask(&pool, "/").await, "h2c");
}

#[tokio::test]
async fn a_proxy_that_does_not_lead_on_is_a_failed_connection_and_says_why_without_the_password() {
    for (reply, says) in [
        (
            &b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n"[..],
            "does not take the user",
        ),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n<html>", "it answered 403 Forbidden"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "it answered 502 Bad Gateway"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://login/\r\n\r\n", "it answered 302 Found"),
        (b"SSH-2.0-x\r\n\r\n", "its answer is not HTTP"),
    ] {
        let refusing = answering(reply).await;
        let pool = pool_by(proxy(refusing.port, Some("ada:lace")), plain("peer.test", 80, Http2::Auto));
        let error = pool.call(get("/"), limits()).await.expect_err("it does not lead on");
        assert_eq!((error.fault, error.stage), (Fault::Connect, Stage::NotSent), "{says}");
        let expected = format!("the proxy 127.0.0.1:{} did not lead to peer.test:80: ", refusing.port);
        assert!(error.detail.starts_with(&expected) && error.detail.contains(says), "{}", error.detail);
        assert!(!format!("{error:?} {:?}", pool.target()).contains("lace"), "{error:?}");
        assert_eq!(pool.counts(), PoolCounts::default());
    }
    let unknown = answering(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let pool = pool_by(proxy(unknown.port, None), plain("peer.test", 80, Http2::Auto));
    let error = pool.call(get("/"), limits()).await.expect_err("it wants to know who asks");
    assert!(error.detail.contains("it wants a user and a password"), "{}", error.detail);
}

#[tokio::test]
async fn a_proxy_that_hangs_closes_or_is_gone_takes_no_longer_than_a_connection_may() {
    let silent =
        Peer::serving(|_, mut stream| async move { while read_request(&mut stream).await.is_some() {} })
            .await;
    let pool = pool_by(proxy(silent.port, None), plain("peer.test", 80, Http2::Auto));
    let limits = CallLimits { connect: Duration::from_millis(50), ..limits() };
    let error = pool.call(get("/"), limits).await.expect_err("it says nothing");
    assert_eq!((error.fault, error.stage), (Fault::ConnectTimeout, Stage::NotSent));
    assert!(error.detail.contains("by the proxy"), "{}", error.detail);
    let limits = super::limits();
    let closing = Peer::serving(|_, stream| async move { drop(stream) }).await;
    let pool = pool_by(proxy(closing.port, None), plain("peer.test", 80, Http2::Auto));
    assert_eq!(fault(pool.call(get("/"), limits).await), (Fault::Connect, Stage::NotSent));
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let pool = pool_by(proxy(gone, None), plain("peer.test", 80, Http2::Auto));
    let error = pool.call(get("/"), limits).await.expect_err("nobody is there");
    assert_eq!(error.fault, Fault::Connect);
    assert!(error.detail.starts_with("the proxy cannot be had"), "{}", error.detail);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_fetched_by_the_proxy_save_from_this_machine() {
    let heard = Arc::<parking_lot::Mutex<Vec<String>>>::default();
    let book = Arc::clone(&heard);
    let far = Memory::serving(move |_, io| {
        let book = Arc::clone(&book);
        async move {
            let led = "HTTP/1.1 200 OK\r\n\r\n".to_owned().into_bytes();
            let token = answer(r#"{"access_token":"t","expires_in":3600}"#);
            serve(io, move |request| {
                book.lock().push(request.lines().next().unwrap_or_default().to_owned());
                if request.starts_with("CONNECT") { led.clone() } else { token.clone() }
            })
            .await;
        }
    });
    let person = r#"{"type":"authorized_user","client_id":"i","client_secret":"s","refresh_token":"r","token_uri":"http://tokens.test/token"}"#;
    for (secret, expected) in [
        (person, &["CONNECT tokens.test:80 HTTP/1.1", "POST /token HTTP/1.1"][..]),
        ("metadata", &["GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1"]),
    ] {
        let target = plain("peer.test", 80, Http2::Auto).through(Some(proxy(3128, None)));
        let pool = Pool::new("peer".into(), target, settings(), Arc::clone(&far) as Arc<dyn Dial>);
        let mut request = get("/v1/x");
        pool.authorize(&mut request, Auth::Google, &Secret::new(secret), &limits()).await.expect("a token");
        assert_eq!(request.headers()["authorization"], "Bearer t");
        assert_eq!(std::mem::take(&mut *heard.lock()), expected);
    }
}
