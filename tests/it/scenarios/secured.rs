//! Upstreams whose TLS fails, with the whole program: S35.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use crate::http;
use crate::process::Gateway;

const CHAT: &str = r#"{"model": "demo", "messages": [{"role": "user", "content": "hello"}]}"#;

/// What answers where TLS is expected.
#[derive(Clone, Copy)]
enum Stranger {
    /// Plain HTTP.
    Speaks,
    /// Nothing, for as long as the test runs.
    Stalls,
}

fn listen(stranger: Stranger) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the process of the tests.
    thread::spawn(move || {
        let mut kept = Vec::new();
        for mut socket in listener.incoming().flatten() {
            match stranger {
                Stranger::Speaks => {
                    let _ = socket.read(&mut [0; 64]);
                    let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
                }
                Stranger::Stalls => kept.push(socket),
            }
        }
    });
    address
}

#[test]
fn s35_a_handshake_that_fails_or_stalls_is_another_channels_work() {
    for stranger in [Stranger::Speaks, Stranger::Stalls] {
        let gateway = Gateway::start(&format!(
            "
version: 1
server: {{listen: LISTEN, admin: ADMIN}}
upstreams:
  a: {{provider: custom, dialect: openai, base_url: \"https://{}/v1\", timeouts: {{tls: 500ms}}, probe: {{kind: \"off\"}}}}
  b: {{provider: simulated}}
routes:
  - model: demo
    channels: [{{upstream: a}}, {{upstream: b}}]
",
            listen(stranger)
        ));
        for _ in 0..6 {
            let answer = http::post(gateway.callers, "/v1/chat/completions", CHAT).unwrap();
            assert_eq!(
                (answer.status, answer.header("x-mainstay-channel")),
                (200, Some("b/demo")),
                "{}",
                answer.body
            );
        }
        let metrics = gateway.metrics();
        let count = |series: &str| {
            let line = metrics.lines().find(|line| line.starts_with(series)).unwrap_or_default();
            line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0)
        };
        let failed = count(r#"mainstay_faults_total{upstream="a",fault="tls",stage="not_sent"}"#);
        assert!((1.0..=6.0).contains(&failed), "{failed}");
        assert_eq!(
            count(r#"mainstay_failovers_total{route="demo"}"#),
            failed,
            "each was somebody else's work"
        );
        assert_eq!(count(r#"mainstay_requests_in_flight{route="demo"}"#), 0.0);
        assert_eq!(count(r#"mainstay_attempts_in_flight{upstream="a",model="demo"}"#), 0.0);
    }
}
