//! Gets one document that the operator named: small, whole, and soon. A connection of its own that is not kept.
//!
//! Redirects are not followed, nothing is unpacked, no credential goes along. Whom it is right to ask is the caller's
//! to know (strangers' URLs are `fetch`'s).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use rustls::ClientConfig;
use tokio::time::timeout;

use super::body::Outgoing;
use super::call::{CallLimits, Reuse};
use super::dial::Dial;
use super::pool::Pool;
use super::target::Target;
use super::tls::Roots;
use crate::config::{self, Http2};

const AGENT: HeaderValue = HeaderValue::from_static(concat!("mainstay/", env!("CARGO_PKG_VERSION")));

/// Why a document is not there. For operators.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("`{0}` is not a URL")]
    Url(String),
    #[error("{0}")]
    Failed(String),
    #[error("{0} answered {1}")]
    Status(String, StatusCode),
    #[error("the answer of {0} broke off or has more than {1} bytes")]
    Broken(String, usize),
    #[error("{0} did not answer within {1:?}")]
    Late(String, Duration),
}

/// What stands at `url`, if that is not longer than `most` and comes within `patience`. `roots` are trusted there, or
/// the system's.
pub async fn document(
    dial: &Arc<dyn Dial>,
    url: &str,
    roots: Option<Arc<ClientConfig>>,
    most: usize,
    patience: Duration,
) -> Result<Bytes, DocumentError> {
    let nowhere = || DocumentError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| nowhere())?;
    let host = uri.host().ok_or_else(nowhere)?.to_owned();
    let get = async {
        let (pool, request) = prepare(dial, &uri, &host, (roots, patience)).await?;
        let limits = CallLimits {
            connect: patience,
            tls: patience,
            pool_wait: patience,
            headers: patience,
            reuse: Reuse::Any,
        };
        let answer = pool.call(request, limits).await;
        let (head, body) = answer.map_err(|error| DocumentError::Failed(error.to_string()))?.into_parts();
        if head.status != StatusCode::OK {
            return Err(DocumentError::Status(host.clone(), head.status));
        }
        let body = Limited::new(body, most).collect().await;
        Ok(body.map_err(|_| DocumentError::Broken(host.clone(), most))?.to_bytes())
    };
    timeout(patience, get).await.unwrap_or_else(|_| Err(DocumentError::Late(host.clone(), patience)))
}

async fn prepare(
    dial: &Arc<dyn Dial>,
    uri: &Uri,
    host: &str,
    (roots, patience): (Option<Arc<ClientConfig>>, Duration),
) -> Result<(Arc<Pool>, Request<Outgoing>), DocumentError> {
    let https = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let base = config::BaseUrl { https, host: host.into(), port, path: String::new() };
    let mut target = Target::new(&base, Http2::Never);
    if https {
        let roots = match roots {
            Some(roots) => roots,
            None => system_roots().await?,
        };
        target = target.with_tls(roots, None);
    }
    let settings = config::Pool {
        max_connections: 1,
        max_idle: 0,
        idle_timeout: Duration::ZERO,
        max_lifetime: patience,
        lifetime_jitter: 0.0,
        max_requests: 1,
        reuse_safe_idle: Duration::ZERO,
        http2: Http2::Never,
    };
    let pool = Pool::new("document".into(), target, settings, Arc::clone(dial));
    let mut request = Request::new(Outgoing::Empty);
    *request.uri_mut() = Uri::from(uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(USER_AGENT, AGENT);
    Ok((pool, request))
}

async fn system_roots() -> Result<Arc<ClientConfig>, DocumentError> {
    // Reads files.
    let made = tokio::task::spawn_blocking(|| Roots::System.client_config()).await;
    let made = made.map_err(|error| DocumentError::Failed(error.to_string()))?;
    made.map_err(|error| DocumentError::Failed(error.to_string()))
}
