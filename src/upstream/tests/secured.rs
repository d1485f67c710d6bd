use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate authority of one certificate, for `names`.
pub(super) struct Authority {
    pub(super) pem: String,
    pub(super) server: Arc<ServerConfig>,
}

pub(super) fn authority(names: &[&str], protocols: &[&[u8]]) -> Authority {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let issued = rcgen::generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![issued.cert.der().clone()], key)
        .unwrap();
    server.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Authority { pem: issued.cert.pem(), server: Arc::new(server) }
}

impl Authority {
    /// A peer that says which protocol it speaks, and on which connection.
    fn peer(&self) -> Arc<Memory> {
        let acceptor = TlsAcceptor::from(Arc::clone(&self.server));
        Memory::serving(move |n, io| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(stream) = acceptor.accept(io).await else { return };
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    let Ok(mut connection) = ::h2::server::handshake(stream).await else { return };
                    while let Some(Ok((_, mut respond))) = connection.accept().await {
                        let mut body = respond.send_response(Response::new(()), false).unwrap();
                        body.send_data(Bytes::from(format!("h2 {n}")), true).unwrap();
                    }
                } else {
                    serve(stream, move |_| answer(&format!("h1 {n}"))).await;
                }
            }
        })
    }

    fn target(&self, host: &str, http2: Http2) -> Target {
        let tls = Roots::Pem(self.pem.as_bytes()).client_config().unwrap();
        Target { https: true, ..plain(host, 443, http2) }.with_tls(tls, None)
    }
}

fn pool_to(peer: &Arc<Memory>, target: Target) -> Arc<Pool> {
    Pool::new("peer".into(), target, settings(), Arc::clone(peer) as Arc<dyn Dial>)
}

#[tokio::test(start_paused = true)]
async fn alpn_settles_which_http_is_spoken() {
    for (offered, wanted, spoken) in [
        (&[&b"h2"[..], b"http/1.1"][..], Http2::Auto, "h2 0"),
        (&[b"http/1.1"], Http2::Auto, "h1 0"),
        (&[], Http2::Auto, "h1 0"),
        (&[b"h2", b"http/1.1"], Http2::Never, "h1 0"),
        (&[b"h2"], Http2::PriorKnowledge, "h2 0"),
    ] {
        let authority = authority(&["peer.test"], offered);
        let peer = authority.peer();
        let pool = pool_to(&peer, authority.target("peer.test", wanted));
        for _ in 0..2 {
            assert_eq!(ask(&pool, "/").await, spoken);
        }
        assert_eq!(pool.counts(), counts(1, 0));
        comes_to_rest(&pool).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_protocol_switch_gets_an_http_1_connection_of_its_own() {
    let authority = authority(&["peer.test"], &[b"h2", b"http/1.1"]);
    let peer = authority.peer();
    let pool = pool_to(&peer, authority.target("peer.test", Http2::Auto));
    assert_eq!(ask(&pool, "/").await, "h2 0");
    let mut request = get("/socket");
    request.headers_mut().insert("upgrade", "websocket".parse().unwrap());
    request.headers_mut().insert("connection", "upgrade".parse().unwrap());
    assert_eq!(text(pool.call(request, limits()).await.unwrap()).await, "h1 1");
    assert_eq!(ask(&pool, "/").await, "h2 0");
    comes_to_rest(&pool).await;
}

#[tokio::test(start_paused = true)]
async fn a_certificate_for_another_name_is_refused() {
    let authority = authority(&["peer.test"], &[]);
    let peer = authority.peer();
    let pool = pool_to(&peer, authority.target("other.test", Http2::Auto));
    assert_eq!(fault(pool.call(get("/"), limits()).await), (Fault::Tls, Stage::NotSent));

    let named =
        Target { server_name: Some("peer.test".into()), ..authority.target("other.test", Http2::Auto) };
    assert_eq!(ask(&pool_to(&peer, named), "/").await, "h1 1");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_no_trusted_root_signed_is_refused() {
    let (theirs, trusted) = (authority(&["peer.test"], &[]), authority(&["peer.test"], &[]));
    let pool = pool_to(&theirs.peer(), trusted.target("peer.test", Http2::Auto));
    assert_eq!(fault(pool.call(get("/"), limits()).await), (Fault::Tls, Stage::NotSent));
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_stalls_is_given_up() {
    let authority = authority(&["peer.test"], &[]);
    let deaf = Memory::serving(|_, io| async move {
        tokio::time::sleep(60 * SECOND).await;
        drop(io);
    });
    let pool = pool_to(&deaf, authority.target("peer.test", Http2::Auto));
    let begun = now();
    assert_eq!(fault(pool.call(get("/"), limits()).await), (Fault::Tls, Stage::NotSent));
    assert_eq!(now() - begun, 5 * SECOND);
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_speaks_no_tls_is_a_tls_fault() {
    let authority = authority(&["peer.test"], &[]);
    let plain = Memory::serving(|_, mut io| async move {
        io.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = io.read(&mut [0; 1024]).await;
    });
    let pool = pool_to(&plain, authority.target("peer.test", Http2::Auto));
    assert_eq!(fault(pool.call(get("/"), limits()).await), (Fault::Tls, Stage::NotSent));
}

#[test]
fn roots_that_are_no_certificates_are_refused() {
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(matches!(Roots::Pem(text.as_bytes()).client_config(), Err(RootsError::Pem(_))), "{text:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_wants_to_know_who_calls_is_shown_the_certificate() {
    let authority = authority(&["peer.test"], &[b"http/1.1"]);
    let us = rcgen::generate_simple_self_signed(vec!["us".to_owned()]).unwrap();
    let roots = Arc::new(Roots::Pem(us.cert.pem().as_bytes()).store().unwrap());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["peer.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let strict = Authority { pem: own.cert.pem(), server: Arc::new(server) };
    let peer = strict.peer();
    let target = |tls| Target { https: true, ..plain("peer.test", 443, Http2::Auto) }.with_tls(tls, None);
    let stranger = pool_to(&peer, target(Roots::Pem(strict.pem.as_bytes()).client_config().unwrap()));
    assert!(stranger.call(get("/"), limits()).await.is_err(), "nobody is let in without one");
    let (chain, key) = (us.cert.pem(), us.signing_key.serialize_pem());
    let showing = |pem: &str| Roots::Pem(pem.as_bytes()).showing(chain.as_bytes(), key.as_bytes()).unwrap();
    let pool = pool_to(&peer, target(showing(&strict.pem)));
    assert_eq!(ask(&pool, "/").await, "h1 1");
    comes_to_rest(&pool).await;
    // Who does not ask for it does not mind it.
    let peer = authority.peer();
    assert_eq!(ask(&pool_to(&peer, target(showing(&authority.pem))), "/").await, "h1 0");
}
