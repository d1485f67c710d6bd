//! One question to a running gateway's admin listener, for the commands that ask it.
//!
//! HTTP/1.1, over TLS where the admin side has that.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header, request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::proof::Proof;

/// The gateway answers from memory, or once its store has taken a change or has not.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two pieces of a long answer, or before its first.
const SLOW: Duration = Duration::from_mins(1);
/// Far beyond any explanation.
const ANSWER_MAX: usize = 16 << 20;

/// What it said.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    pub method: Method,
    pub path: String,
    pub body: Bytes,
    /// The revision that has to be in force.
    if_match: Option<String>,
}

impl Question {
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), body: Bytes::new(), if_match: None }
    }

    #[must_use]
    pub fn saying(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    #[must_use]
    pub fn matching(mut self, revision: Option<&str>) -> Self {
        self.if_match = revision.map(|revision| format!("\"{revision}\""));
        self
    }

    /// The answer of the admin listener at `base`.
    pub async fn put_to(self, base: &str, proof: &Proof) -> anyhow::Result<Answer> {
        let Self { method, path, body, if_match } = self;
        let mut request = by(proof, method, &path)?;
        if let Some(revision) = if_match {
            request = request.header(header::IF_MATCH, revision);
        }
        let exchange = send(base, proof, request, body, PATIENCE, whole);
        timeout(PATIENCE, exchange).await.with_context(|| format!("{base} did not answer in time"))?
    }
}

/// `GET`s `path` from the admin listener at `base`, for example `http://127.0.0.1:9090`.
pub async fn ask(base: &str, path: &str, proof: &Proof) -> anyhow::Result<Answer> {
    tell(base, Method::GET, path, proof, Bytes::new()).await
}

/// Sends `path` of the admin listener at `base` a `body`.
pub async fn tell(
    base: &str,
    method: Method,
    path: &str,
    proof: &Proof,
    body: Bytes,
) -> anyhow::Result<Answer> {
    tell_for(base, method, path, proof, body, PATIENCE).await
}

/// As [`tell`], for what takes its time.
pub async fn tell_for(
    base: &str,
    method: Method,
    path: &str,
    proof: &Proof,
    body: Bytes,
    patience: Duration,
) -> anyhow::Result<Answer> {
    let exchange = send(base, proof, by(proof, method, path)?, body, patience, whole);
    timeout(patience, exchange).await.with_context(|| format!("{base} did not answer in time"))?
}

/// `GET`s what has no known end, and writes it to `out` as it comes, if it is what was asked for. What was refused is
/// in the answer, and nothing is written.
pub async fn copy(base: &str, path: &str, proof: &Proof, out: &mut dyn Write) -> anyhow::Result<Answer> {
    let late = || format!("{base} did not answer in time");
    let take = async |response: Response<Incoming>| {
        let status = response.status();
        if !status.is_success() {
            return timeout(SLOW, whole(response)).await.with_context(late)?;
        }
        let mut body = response.into_body();
        while let Some(frame) = timeout(SLOW, body.frame()).await.with_context(late)? {
            let frame = frame.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?;
            if let Some(data) = frame.data_ref()
                && let Err(error) = out.write_all(data)
            {
                // A reader that has gone away, such as `head`, has had enough.
                let enough = error.kind() == std::io::ErrorKind::BrokenPipe;
                return if enough { Ok(Answer { status, body: Bytes::new() }) } else { Err(error.into()) };
            }
        }
        Ok(Answer { status, body: Bytes::new() })
    };
    // However long it is, something of it comes all the time.
    send(base, proof, by(proof, Method::GET, path)?, Bytes::new(), SLOW, take).await
}

fn by(proof: &Proof, method: Method, path: &str) -> anyhow::Result<request::Builder> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = &proof.token {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose()))?;
        value.set_sensitive(true);
        request = request.header(header::AUTHORIZATION, value);
    }
    Ok(request)
}

async fn whole(response: Response<Incoming>) -> anyhow::Result<Answer> {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
    let body = body.map_err(|error| anyhow::anyhow!("the answer broke off: {error}"))?.to_bytes();
    Ok(Answer { status, body })
}

async fn send(
    base: &str,
    proof: &Proof,
    request: request::Builder,
    body: Bytes,
    patience: Duration,
    take: impl AsyncFnOnce(Response<Incoming>) -> anyhow::Result<Answer>,
) -> anyhow::Result<Answer> {
    let with_scheme = if base.contains("://") { base.to_owned() } else { format!("http://{base}") };
    let uri: Uri = with_scheme.parse().with_context(|| format!("{base} is not a URL"))?;
    let (is_tls, usual_port) = match uri.scheme_str() {
        Some("http") => (false, 80),
        Some("https") => (true, 443),
        _ => anyhow::bail!("{base}: the admin side speaks http or https"),
    };
    let host = uri.host().with_context(|| format!("{base} names no host"))?;
    let port = uri.port_u16().unwrap_or(usual_port);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream =
        TcpStream::connect((bare, port)).await.with_context(|| format!("cannot connect to {base}"))?;
    let request = request.header(header::HOST, format!("{host}:{port}")).body(Full::new(body))?;
    if !is_tls {
        return exchange(base, stream, request, patience, take).await;
    }
    let name = ServerName::try_from(bare.to_owned()).with_context(|| format!("{base} names no server"))?;
    let connecting = TlsConnector::from(Arc::new(proof.tls()?)).connect(name, stream);
    let stream =
        timeout(patience, connecting).await.with_context(|| format!("{base} did not answer in time"))?;
    let stream = stream.with_context(|| {
        format!("{base} is not the gateway that it should be, or takes no such certificate")
    })?;
    exchange(base, stream, request, patience, take).await
}

async fn exchange(
    base: &str,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
    patience: Duration,
    take: impl AsyncFnOnce(Response<Incoming>) -> anyhow::Result<Answer>,
) -> anyhow::Result<Answer> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async {
        let response = timeout(patience, sender.send_request(request)).await;
        take(response.with_context(|| format!("{base} did not answer in time"))??).await
    };
    let mut exchange = std::pin::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    // The connection has to be driven while its answer is awaited; it may end before the body is read.
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = &mut connection => {
            ended.with_context(|| format!("the connection to {base} broke"))?;
            exchange.await
        }
    }
}
