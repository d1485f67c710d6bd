//! What of a caller's body nobody reads, because the answer was clear before.
//!
//! Under HTTP/2 a body that is let go of before its end has its stream reset behind the answer (`NO_ERROR`, RFC 9113
//! §8.1). By that RFC nobody may throw the answer away for it, and many do: curl before 8.4 and Python's httpx report a
//! broken stream, Node's http2 waits for ever. They send on whatever they are answered, and read the answer then. So
//! the rest of a body is read for a while, and dropped piece by piece; streams of a connection are bounded, and so is
//! this. HTTP/1.1 has no stream to reset: there hyper closes the connection, behind the answer.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::time::timeout;

/// Most bytes that are read for nobody: twice the default of `server.limits.max_body`. Of a body that says that it has more
/// nothing is read.
const MOST: u64 = 128 << 20;
/// How long they are read.
const LONGEST: Duration = Duration::from_secs(30);

/// A caller's body as it comes. Dropped before its end, it is read on.
#[derive(Debug)]
pub struct Arriving(Option<Incoming>, Reset);

/// What happens to a body that is let go of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reset {
    Stream,
    Nothing,
}

impl Arriving {
    pub fn new(body: Incoming, version: Version) -> Self {
        Self(Some(body), if version == Version::HTTP_2 { Reset::Stream } else { Reset::Nothing })
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|_| self.1 == Reset::Stream) else { return };
        let too_long = body.size_hint().exact().is_some_and(|rest| rest > MOST);
        if too_long || body.is_end_stream() {
            return;
        }
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(timeout(LONGEST, drop_all(body)));
    }
}

/// Ends with the body, its connection, or [`MOST`].
async fn drop_all(mut body: Incoming) {
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
