//! An answer to a request for a stream whose content type does not say that it is one.

use bytes::BytesMut;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, response};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::read::{Failed, failed};
use crate::dialect::framing::{Begin, Framing, begin};
use crate::upstream::Incoming;
use crate::vocab::Fault;

/// The framing of what has come so far as `said`: events, where it begins as such, whatever its name. Nothing of it is
/// consumed.
pub(super) async fn framing(
    said: Framing,
    head: &mut response::Parts,
    upstream: &mut Incoming,
    until: Instant,
) -> Result<Framing, Box<Failed>> {
    let mut seen = BytesMut::new();
    let is = loop {
        let frame = match timeout_at(until, upstream.frame()).await {
            Err(_) => return Err(failed(Fault::FirstEventTimeout, "no content in time")),
            Ok(Some(Err(error))) => {
                let fault = if error.fault == Fault::StreamCut { Fault::Truncated } else { error.fault };
                return Err(failed(fault, "the answer is cut short"));
            }
            Ok(None) => break Begin::Other,
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        if seen.is_empty()
            && let Some(is) = begin(&data)
        {
            upstream.unread(data);
            return Ok(as_events(is, said, head));
        }
        seen.extend_from_slice(&data);
        if let Some(is) = begin(&seen) {
            break is;
        }
    };
    upstream.unread(seen.freeze());
    Ok(as_events(is, said, head))
}

/// Whoever reads the head from here on is told what follows it.
fn as_events(is: Begin, said: Framing, head: &mut response::Parts) -> Framing {
    match is {
        Begin::Events => {
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            Framing::Sse
        }
        Begin::Other => said,
    }
}
