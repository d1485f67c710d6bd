//! Signs a request with a pair of AWS keys.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request};
use smallvec::SmallVec;

use super::{refused, sensitive};
use crate::algo::sigv4::{Asked, Hash, Keys, Scope, Stamp, authorization};
use crate::dialect::provider::aws_region;
use crate::upstream::body::Outgoing;
use crate::upstream::call::CallError;
use crate::upstream::pool::Pool;

const DATE: &str = "x-amz-date";
const SESSION: &str = "x-amz-security-token";
/// What callers who sign add for their own body.
const CONTENT_HASH: &str = "x-amz-content-sha256";

/// Signs what is about to be sent: method, path, body, and of the header fields those that no machine
/// on the way changes. A signature that a caller left is replaced, session and all.
pub(super) fn sign(
    request: &mut Request<Outgoing>,
    keys: Keys<'_>,
    service: &str,
    pool: &Pool,
) -> Result<(), CallError> {
    let target = pool.target();
    let region = target.aws_region.as_deref().or_else(|| aws_region(&target.host));
    let region = region
        .ok_or_else(|| refused(format!("no AWS region is known for {}: set `aws_region`", target.host)))?;
    let body = match request.body() {
        Outgoing::Empty => Hash::of([]),
        Outgoing::Whole(bytes) => Hash::of([&**bytes]),
        Outgoing::Pieces(pieces) => Hash::of(pieces.as_slice().iter().map(|piece| &**piece)),
        Outgoing::Streamed(_) => return Err(refused("a body that is not all here cannot be signed")),
    };
    let at = Stamp::at(pool.vault().unix_now());
    let date = at.to_string();
    for name in [CONTENT_HASH, SESSION] {
        request.headers_mut().remove(name);
    }
    let host = request.headers().get(HOST).unwrap_or_else(|| pool.host());
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned);
    let host = text(host).map_err(|_| refused("the host's name cannot be signed"))?;
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| text(value).ok());
    let mut fields: SmallVec<[(&str, &str); 4]> = SmallVec::new();
    fields.extend(content_type.as_deref().map(|kind| ("content-type", kind)));
    fields.extend([("host", &*host), (DATE, &*date)]);
    fields.extend(keys.session.map(|session| (SESSION, session)));
    let asked = Asked {
        method: request.method().as_str(),
        path: request.uri().path(),
        query: request.uri().query(),
        body,
    };
    let signature = authorization(&asked, &fields, keys, Scope { region, service }, at);
    let value = |text: &str| sensitive(text.as_bytes()).map_err(|error| refused(error.to_string()));
    let (signature, date) = (value(&signature)?, value(&date)?);
    let session = keys.session.map(value).transpose()?;
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, signature);
    headers.insert(DATE, date);
    if let Some(session) = session {
        headers.insert(SESSION, session);
    }
    Ok(())
}
