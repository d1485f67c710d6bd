//! A request that the gateway makes of itself, for an operator who tries it out: over a connection in memory, so that
//! it goes the way of every caller's, whatever the listener's address and TLS are.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::duplex;
use tokio::time::timeout;

use super::front::Front;
use crate::admin::Uncalled;

/// Longest that somebody at a page waits.
const PATIENCE: Duration = Duration::from_mins(1);
/// Bytes of an answer that is to be looked at.
const ANSWER_MAX: usize = 1 << 20;
/// Bytes on their way.
const BUFFER: usize = 64 * 1024;

/// The whole answer to `request`.
pub(super) async fn call(front: &Arc<Front>, request: Request<Bytes>) -> Result<Response<Bytes>, Uncalled> {
    timeout(PATIENCE, exchange(front, request)).await.map_err(|_| Uncalled::Late(PATIENCE))?
}

async fn exchange(front: &Arc<Front>, request: Request<Bytes>) -> Result<Response<Bytes>, Uncalled> {
    let (ours, theirs) = duplex(BUFFER);
    front.serve(theirs);
    let broken = |error: hyper::Error| Uncalled::Broken(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(ours)).await.map_err(broken)?;
    let answer = async {
        let response = sender.send_request(request.map(Full::new)).await.map_err(broken)?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_MAX).collect().await;
        let body = body.map_err(|error| Uncalled::Broken(error.to_string()))?;
        Ok(Response::from_parts(head, body.to_bytes()))
    };
    let mut answer = pin!(answer);
    // Whoever ends first: the answer, after which the connection is of no use, or a connection that brings none.
    tokio::select! {
        answer = &mut answer => answer,
        ended = connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(broken(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Bench, FILE};
    use super::*;

    fn asking(model: &str) -> Request<Bytes> {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        Request::post("/v1/chat/completions")
            .header("host", "localhost")
            .body(body.into())
            .expect("a request")
    }

    #[tokio::test(start_paused = true)]
    async fn a_visitor_gets_what_callers_get() {
        let bench = Bench::start(FILE);
        let front = &bench.host.front;
        let answer = call(front, asking("demo")).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().contains_key("x-mainstay-channel"), "{:?}", answer.headers());
        assert_eq!(call(front, asking("nobody-has-this")).await.expect("an answer").status(), 404);
        for sim in bench.sims.values() {
            sim.control()
                .set(vec![crate::simulated::Rule::new(crate::simulated::Fault::Hang).path("/v1/chat")]);
        }
        let late = call(front, asking("demo")).await;
        assert!(
            matches!(&late, Err(Uncalled::Late(_)))
                || late.is_ok_and(|answer| answer.status().is_server_error())
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_of_a_visitor_stays() {
        let bench = Bench::start(FILE);
        call(&bench.host.front, asking("demo")).await.expect("an answer");
        bench.host.front.emptied().await;
        assert_eq!(bench.host.gateway().in_flight(), 0);
    }
}
