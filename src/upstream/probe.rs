//! One active health check. When to probe and what follows from it is decided elsewhere.
//!
//! Probes take the way of the traffic: same dialer, same TLS, same pool. They are never retried.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;

use super::body::Outgoing;
use super::call::{CallError, CallLimits, Reuse};
use super::pool::Pool;
use super::tls::Offer;
use crate::config::ProbeKind;
use crate::dialect::provider::Auth;
use crate::vocab::{Fault, Secret};

/// Bytes of an answer that are read to save the connection: lists of models are up to 100 KB.
const MAX_ANSWER: usize = 256 * 1024;

/// Why a probe failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {detail}", fault.name())]
pub struct ProbeFault {
    pub fault: Fault,
    pub detail: String,
}

/// What a probe says of itself beyond its kind.
#[derive(Clone, Debug, Default)]
pub struct Introduction {
    pub credential: Option<(Auth, Secret)>,
    /// Fields that the upstream wants on every request.
    pub headers: HeaderMap,
}

/// Asks once whether the upstream is alive. The whole probe takes at most `timeout`.
pub async fn probe(
    pool: &Arc<Pool>,
    kind: &ProbeKind,
    introduction: Introduction,
    timeout: Duration,
) -> Result<(), ProbeFault> {
    let asked = tokio::time::timeout(timeout, ask(pool, kind, introduction, timeout));
    asked.await.unwrap_or_else(|_| {
        Err(ProbeFault { fault: Fault::HeadersTimeout, detail: format!("no answer within {timeout:?}") })
    })
}

async fn ask(
    pool: &Arc<Pool>,
    kind: &ProbeKind,
    introduction: Introduction,
    timeout: Duration,
) -> Result<(), ProbeFault> {
    let limits = CallLimits {
        connect: timeout,
        tls: timeout,
        pool_wait: timeout,
        headers: timeout,
        reuse: Reuse::Any,
    };
    match kind {
        ProbeKind::Off => Ok(()),
        ProbeKind::Tcp => pool.connect(Offer::Configured, &limits).await.map(drop).map_err(from_call),
        ProbeKind::Http { method, path, expect } => {
            let status = status_of(pool, method.clone(), path.clone(), introduction, limits).await?;
            if expect.contains(&status.as_u16()) { Ok(()) } else { Err(unexpected(status)) }
        }
        ProbeKind::ListModels { path } => {
            let status = status_of(pool, Method::GET, path.clone(), introduction, limits).await?;
            // A host that refuses the credential or asks for patience is alive.
            let alive = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];
            if status.is_success() || alive.contains(&status) { Ok(()) } else { Err(unexpected(status)) }
        }
    }
}

async fn status_of(
    pool: &Arc<Pool>,
    method: Method,
    path: String,
    introduction: Introduction,
    limits: CallLimits,
) -> Result<StatusCode, ProbeFault> {
    let misfit = |detail: String| ProbeFault { fault: Fault::BadRequest, detail };
    let mut headers = introduction.headers;
    let uri = Uri::try_from(path).map_err(|_| misfit("the probe's path is not a path".into()))?;
    headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("*/*"));
    headers
        .entry(header::USER_AGENT)
        .or_insert(HeaderValue::from_static(concat!("mainstay/", env!("CARGO_PKG_VERSION"))));
    let mut request = Request::new(Outgoing::Empty);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    if let Some((auth, secret)) = &introduction.credential {
        match pool.authorize(&mut request, *auth, secret, &limits).await {
            // Without a credential a host that lives says 401, and that will do.
            Ok(()) | Err(CallError { fault: Fault::AuthRefused, .. }) => {}
            Err(error) => return Err(from_call(error)),
        }
    }
    let (head, mut body) = pool.call(request, limits).await.map_err(from_call)?.into_parts();
    // Read, so that the connection can be kept; dropped where that would cost more than a new one.
    let mut read = 0;
    while read < MAX_ANSWER
        && let Some(Ok(frame)) = body.frame().await
    {
        read += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
    Ok(head.status)
}

fn from_call(error: CallError) -> ProbeFault {
    ProbeFault { fault: error.fault, detail: error.detail }
}

fn unexpected(status: StatusCode) -> ProbeFault {
    let fault = match status.as_u16() {
        500 => Fault::ServerError,
        503 | 529 => Fault::Overloaded,
        400..=499 => Fault::BadRequest,
        _ => Fault::BadGateway,
    };
    ProbeFault { fault, detail: format!("unexpected status {}", status.as_u16()) }
}
