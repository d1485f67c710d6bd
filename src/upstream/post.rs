//! Posts something small to an address of the operator's, on a connection of its own that is not kept.
//!
//! The address is taken as it is configured: whoever writes the file may mean a host of his own network. Nothing of
//! the answer but its head is read, and redirects are answers like any other.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::USER_AGENT;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use rustls::ClientConfig;
use tokio::sync::OnceCell;
use tokio::time::timeout;

use super::body::Outgoing;
use super::call::{CallLimits, Reuse};
use super::dial::Dial;
use super::pool::Pool;
use super::target::Target;
use super::tls::Roots;
use crate::config::{self, BaseUrl, Http2};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("mainstay/", env!("CARGO_PKG_VERSION")));

/// Posts for whoever asks.
pub struct Poster {
    dial: Arc<dyn Dial>,
    /// Read from the system when first needed.
    tls: OnceCell<Arc<ClientConfig>>,
}

impl Poster {
    pub fn new(dial: Arc<dyn Dial>) -> Self {
        Self { dial, tls: OnceCell::new() }
    }

    /// The head of the answer to `body` at `path` (with its query) of `host`, within `limit`; or why there is none,
    /// without what stands in `path`.
    pub async fn post(
        &self,
        host: &BaseUrl,
        path: &str,
        fields: HeaderMap,
        body: Bytes,
        limit: Duration,
    ) -> Result<(StatusCode, HeaderMap), String> {
        let path = PathAndQuery::try_from(path).map_err(|_| "its path is not one".to_owned())?;
        let mut request = Request::new(Outgoing::Whole(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::from(path);
        *request.headers_mut() = fields;
        request.headers_mut().insert(USER_AGENT, AGENT);
        let posting = async {
            let mut target = Target::new(host, Http2::Never);
            if host.https {
                target = target.with_tls(self.roots().await?, None);
            }
            let settings = config::Pool {
                max_connections: 1,
                max_idle: 0,
                idle_timeout: Duration::ZERO,
                max_lifetime: limit,
                lifetime_jitter: 0.0,
                max_requests: 1,
                reuse_safe_idle: Duration::ZERO,
                http2: Http2::Never,
            };
            let pool = Pool::new("webhook".into(), target, settings, Arc::clone(&self.dial));
            let limits = CallLimits {
                connect: limit,
                tls: limit,
                pool_wait: limit,
                headers: limit,
                reuse: Reuse::Any,
            };
            let answer = pool.call(request, limits).await.map_err(|error| error.to_string())?;
            Ok((answer.status(), answer.headers().clone()))
        };
        let late = |_| Err(format!("no answer came within {limit:?}"));
        timeout(limit, posting).await.unwrap_or_else(late)
    }

    async fn roots(&self) -> Result<Arc<ClientConfig>, String> {
        let load = || async {
            // Reads files.
            let made = tokio::task::spawn_blocking(|| Roots::System.client_config()).await;
            let made = made.map_err(|_| "the certificates to trust could not be read".to_owned())?;
            made.map_err(|error| error.to_string())
        };
        self.tls.get_or_try_init(load).await.cloned()
    }
}
