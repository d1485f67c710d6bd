//! The body that goes to the caller. It owns what the answer still holds upstream, so dropping it
//! cancels the upstream's work at once.
//!
//! A stream that breaks after the commit ends with the dialect's own error event and then with an
//! abnormal end of transport: most SDKs take a cleanly ended truncated stream for a whole one
//! (WIRE §0.4). Nothing here can try again.

mod opaque;
mod patience;
mod run;
mod streaming;

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

pub use opaque::Opaque;
pub use streaming::{Said, Streaming};

use super::settle::Settle;
use crate::vocab::Fault;

/// Time for what was said to leave before its connection is cut: hyper drops what it has buffered
/// when a body fails.
const FLUSH: Duration = Duration::from_millis(20);

/// Why a body ends abnormally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken(pub Fault);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the answer broke: {}", self.0.name())
    }
}

impl StdError for Broken {}

/// An answer's body.
pub struct Reply(Shape);

enum Shape {
    Whole { body: Bytes, settle: Option<Settle> },
    Opaque(Box<Opaque>),
    Streaming(Box<Streaming>),
}

impl Reply {
    pub fn whole(body: Bytes, settle: Option<Settle>) -> Self {
        Self(Shape::Whole { body, settle })
    }

    pub fn empty() -> Self {
        Self::whole(Bytes::new(), None)
    }

    pub fn opaque(opaque: Opaque) -> Self {
        Self(Shape::Opaque(Box::new(opaque)))
    }

    pub fn streaming(streaming: Streaming) -> Self {
        Self(Shape::Streaming(Box::new(streaming)))
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.get_mut().0 {
            Shape::Whole { body, settle } => {
                drop(settle.take());
                let body = std::mem::take(body);
                Poll::Ready((!body.is_empty()).then(|| Ok(Frame::data(body))))
            }
            Shape::Opaque(opaque) => opaque.poll_frame(cx),
            Shape::Streaming(streaming) => streaming.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Shape::Whole { body, .. } => body.is_empty(),
            Shape::Opaque(opaque) => opaque.is_end(),
            Shape::Streaming(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Shape::Whole { body, .. } => SizeHint::with_exact(body.len() as u64),
            Shape::Opaque(opaque) => opaque.hint(),
            Shape::Streaming(_) => SizeHint::default(),
        }
    }
}
