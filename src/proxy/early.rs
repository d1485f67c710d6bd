//! The head of a stream that goes out before anybody has answered, where the route says so (`early_commit`): whoever
//! stands between here and the caller cuts connections that say nothing, and a model may think for longer than that.
//!
//! Nothing else changes. The attempts go on within the answer's body (`reply::Early`), one after the other, hedged,
//! degraded and given up as if nobody had been told anything; what the head alone can say, an error's status above all,
//! is what the caller pays. Only for callers whose SDKs take something that says nothing before the first event.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use tokio::time::timeout;

use super::intake::Guest;
use super::refuse::name_request;
use super::reply::{Answering, Early, Reply};
use super::{Gateway, Snapshot, again, steer};
use crate::dialect::framing::Framing;
use crate::dialect::{translate, trouble};
use crate::state::model::Shape;

/// How long `guest` waits for the head of his answer at most; `None` for whoever waits until there is one.
pub fn silence(snapshot: &Snapshot, guest: &Guest) -> Option<Duration> {
    let silence = snapshot.table.routes[guest.route].config.early_commit?;
    let is_stream = guest.shape == Shape::Stream && translate::generates(guest.operation);
    let is_plain = guest.upgrade.is_none();
    (is_stream && is_plain && trouble::keep_alive(guest.dialect).is_some()).then_some(silence)
}

/// Answers `guest`: with whatever comes of it within `silence`, and then with a stream of which nothing is known yet.
pub async fn serve(
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    mut guest: Box<Guest>,
    silence: Duration,
) -> Response<Reply> {
    let ahead = Arc::new(AtomicBool::new(false));
    guest.settle.ahead = Some(Arc::clone(&ahead));
    let (dialect, request_id) = (guest.dialect, guest.request_id.clone());
    let arm = guest.settle.taken.as_ref().map(|taken| Arc::clone(&taken.arm));
    let (of, with) = (Arc::clone(gateway), Arc::clone(snapshot));
    let mut answering: Answering = Box::pin(async move { again::serve(&of, &with, guest).await });
    // What is not done by then goes on in the body.
    if let Ok(response) = timeout(silence, answering.as_mut()).await {
        return response;
    }
    ahead.store(true, Relaxed);
    let mut response = Response::new(Reply::early(Early::new(gateway, dialect, answering)));
    let kind = translate::stream_type(dialect, Framing::Sse);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    name_request(response.headers_mut(), dialect, &request_id, None);
    steer::say(arm.as_deref(), &mut response);
    response
}
