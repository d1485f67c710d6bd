//! One call: a connection, one exchange on it, and at most a quiet second try where nothing had left.

use std::sync::Arc;
use std::time::Duration;

use http::header::{HOST, UPGRADE};
use http::{Request, Response, Version};

use super::body::{Incoming, Outgoing};
use super::h1;
use super::h2;
use super::now;
use super::obtain::Line;
use super::pool::Pool;
use super::tls::Offer;
use crate::vocab::{Fault, Stage};

/// Connections that may turn out to be closing when a request is handed to them, before a call insists on
/// a new one. Nothing has left by then, so trying again is nobody's second try.
const STALE_TRIES: usize = 2;

/// How long each part of a call may take.
#[derive(Clone, Copy, Debug)]
pub struct CallLimits {
    /// Name resolution and TCP.
    pub connect: Duration,
    /// The TLS handshake.
    pub tls: Duration,
    /// Waiting for one of the pool's connections.
    pub pool_wait: Duration,
    /// From the sending of the request to the response's headers. For a streamed body it begins when the
    /// body ends; until then it is the longest time without progress.
    pub headers: Duration,
    pub reuse: Reuse,
}

/// Which kept connections will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    Any,
    /// None: they may be dead. Once a new one has had an answer, those that are kept are closed.
    Never,
    /// Only those so recently used that the peer will hardly be closing them: for a request that must
    /// not be sent twice.
    SafeOnly,
}

/// Why there is no response.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{} ({}): {detail}", fault.name(), stage.name())]
pub struct CallError {
    pub fault: Fault,
    /// How far the request had got.
    pub stage: Stage,
    /// For people; without secrets.
    pub detail: String,
    pub doubt: Doubt,
}

/// What a failed call leaves in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Whoever is at the other end.
    Upstream,
    /// The connection itself: it was kept from earlier, and not a byte came over it since the request had it. It
    /// may have been dead before.
    Connection,
}

impl CallError {
    pub(super) fn unsent(fault: Fault, detail: impl Into<String>) -> Self {
        Self { fault, stage: Stage::NotSent, detail: detail.into(), doubt: Doubt::Upstream }
    }
}

/// How an exchange on a connection failed.
pub(super) enum Failure {
    /// Not a byte has left, and here is the request again.
    Unsent(Box<Request<Outgoing>>, String),
    Failed(CallError),
}

impl Pool {
    /// Sends `request` and waits for the response's headers. Its URI is in origin form (`/path?query`);
    /// `Host` is added where it is missing. Dropping the future closes the connection or resets the
    /// stream.
    pub async fn call(
        self: &Arc<Self>,
        request: Request<Outgoing>,
        limits: CallLimits,
    ) -> Result<Response<Incoming>, CallError> {
        self.call_noting(request, limits, || ()).await
    }

    /// As [`Pool::call`]; `leaves` is called whenever there is a connection and the request is about to leave on it.
    pub async fn call_noting(
        self: &Arc<Self>,
        mut request: Request<Outgoing>,
        limits: CallLimits,
        mut leaves: impl FnMut(),
    ) -> Result<Response<Incoming>, CallError> {
        let offer = if request.headers().contains_key(UPGRADE) { Offer::Http1 } else { Offer::Configured };
        let mut detail = String::new();
        let mut opened = now();
        for attempt in 0..=STALE_TRIES {
            let fresh = match limits.reuse {
                Reuse::Any | Reuse::SafeOnly if attempt < STALE_TRIES => Freshness::Kept(limits.reuse),
                Reuse::Any | Reuse::SafeOnly | Reuse::Never => Freshness::New,
            };
            let taken = now();
            let line = self.obtain(offer, fresh, &limits).await?;
            leaves();
            let (exchanged, idle) = match line {
                Line::Http1(connection, idle) => {
                    opened = connection.opened;
                    *request.version_mut() = Version::HTTP_11;
                    if !request.headers().contains_key(HOST) {
                        request.headers_mut().insert(HOST, self.host().clone());
                    }
                    (h1::exchange(connection, request, limits.headers).await, idle)
                }
                Line::Http2(lease) => {
                    (h2::exchange(lease, request, self.base_uri(), limits.headers).await, None)
                }
            };
            match exchanged {
                Ok(response) => {
                    if limits.reuse == Reuse::Never {
                        self.distrust(taken);
                    }
                    return Ok(response);
                }
                Err(Failure::Unsent(unsent, why)) => {
                    self.learn_closed(idle);
                    (request, detail) = (*unsent, why);
                }
                Err(Failure::Failed(mut error)) => {
                    if matches!(error.fault, Fault::NotProcessed | Fault::Reset) {
                        self.learn_closed(idle);
                    }
                    if let (Some(_), Doubt::Connection) = (idle, error.doubt) {
                        error.doubt = self.mark_suspect(opened, taken);
                    }
                    return Err(error);
                }
            }
        }
        Err(CallError::unsent(Fault::NotProcessed, detail))
    }
}

/// Which connections a call accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    Kept(Reuse),
    New,
}
