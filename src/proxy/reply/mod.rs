//! The body that goes to the caller. It owns what the answer still holds upstream, so dropping it
//! cancels the upstream's work at once, or leaves it to be read to its end (`attended`).
//!
//! A stream that breaks after the commit ends with the dialect's own error event and then with an
//! abnormal end of transport: most SDKs take a cleanly ended truncated stream for a whole one
//! (WIRE §0.4). Nothing here can try again.

mod attended;
mod captured;
mod early;
mod explained;
mod followed;
mod opaque;
mod patience;
mod recorded;
mod replayed;
mod run;
mod streaming;
mod wrapped;

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

pub use attended::{Lasting, read_out};
pub use captured::Captured;
pub use early::{Answering, Early};
pub use explained::Explained;
pub use followed::{Followed, Follower};
pub use opaque::Opaque;
pub use recorded::Recorded;
pub use replayed::Replayed;
pub use streaming::{Said, Streaming};
pub use wrapped::Wrapped;

use attended::Attended;

use super::settle::Settle;
use crate::vocab::{Fault, Usage};

/// Time for what was said to leave before its connection is cut: hyper drops what it has buffered
/// when a body fails.
const FLUSH: Duration = Duration::from_millis(20);

/// A caller who hears nothing for this long is told that the stream goes on: proxies and load balancers
/// on his way close connections that are silent for a minute, some for half of one. How long the upstream
/// may be silent is another matter (`timeouts.idle`), and ends this too.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    Caller,
    /// He hung up, or has another one; it is read for what it says of its usage.
    Nobody,
}

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
    Opaque(Attended<Opaque>),
    Streaming(Attended<Streaming>),
    Recorded(Box<Recorded>),
    Followed(Box<Followed>),
    Replayed(Replayed),
    Explained(Box<Explained>),
    Captured(Box<Captured>),
    Early(Box<Early>),
    Wrapped(Box<Wrapped>),
}

impl Reply {
    pub fn whole(body: Bytes, settle: Option<Settle>) -> Self {
        Self(Shape::Whole { body, settle })
    }

    pub fn empty() -> Self {
        Self::whole(Bytes::new(), None)
    }

    pub fn opaque(opaque: Opaque) -> Self {
        Self(Shape::Opaque(Attended::new(opaque)))
    }

    pub fn streaming(streaming: Streaming) -> Self {
        Self(Shape::Streaming(Attended::new(streaming)))
    }

    pub fn recorded(recorded: Recorded) -> Self {
        Self(Shape::Recorded(Box::new(recorded)))
    }

    pub fn followed(followed: Followed) -> Self {
        Self(Shape::Followed(Box::new(followed)))
    }

    pub fn replayed(replayed: Replayed) -> Self {
        Self(Shape::Replayed(replayed))
    }

    pub fn explained(explained: Explained) -> Self {
        Self(Shape::Explained(Box::new(explained)))
    }

    pub fn captured(captured: Captured) -> Self {
        Self(Shape::Captured(Box::new(captured)))
    }

    pub fn early(early: Early) -> Self {
        Self(Shape::Early(Box::new(early)))
    }

    pub fn wrapped(wrapped: Wrapped) -> Self {
        Self(Shape::Wrapped(Box::new(wrapped)))
    }

    /// All of it, where it is here.
    pub fn as_whole(&self) -> Option<&Bytes> {
        match &self.0 {
            Shape::Whole { body, .. } => Some(body),
            Shape::Opaque(_)
            | Shape::Streaming(_)
            | Shape::Recorded(_)
            | Shape::Followed(_)
            | Shape::Replayed(_)
            | Shape::Explained(_)
            | Shape::Captured(_)
            | Shape::Early(_)
            | Shape::Wrapped(_) => None,
        }
    }

    /// Whether it is a stream, whose pieces mean something each.
    pub fn is_in_pieces(&self) -> bool {
        match &self.0 {
            Shape::Whole { .. } | Shape::Opaque(_) => false,
            Shape::Streaming(_) | Shape::Replayed(_) | Shape::Explained(_) | Shape::Early(_) => true,
            Shape::Recorded(recorded) => recorded.inner().is_in_pieces(),
            Shape::Followed(followed) => followed.is_in_pieces(),
            Shape::Captured(captured) => captured.inner().is_in_pieces(),
            Shape::Wrapped(wrapped) => wrapped.inner().is_in_pieces(),
        }
    }

    /// Whether it is a stream whose last event is out, though its end may take a while yet.
    pub fn has_said_all(&self) -> bool {
        match &self.0 {
            Shape::Streaming(streaming) => streaming.get().is_some_and(Streaming::has_said_all),
            Shape::Recorded(recorded) => recorded.inner().has_said_all(),
            Shape::Captured(captured) => captured.inner().has_said_all(),
            Shape::Wrapped(wrapped) => wrapped.inner().has_said_all(),
            Shape::Whole { .. }
            | Shape::Opaque(_)
            | Shape::Followed(_)
            | Shape::Replayed(_)
            | Shape::Explained(_)
            | Shape::Early(_) => false,
        }
    }

    /// The tokens of it, as far as they are known by now.
    pub fn usage(&self) -> Option<Usage> {
        match &self.0 {
            Shape::Whole { settle, .. } => settle.as_ref()?.usage,
            Shape::Opaque(opaque) => opaque.get()?.usage(),
            Shape::Streaming(streaming) => streaming.get()?.usage(),
            Shape::Recorded(recorded) => recorded.inner().usage(),
            Shape::Followed(followed) => followed.usage(),
            Shape::Replayed(_) => None,
            Shape::Explained(explained) => explained.inner().usage(),
            Shape::Captured(captured) => captured.inner().usage(),
            Shape::Early(early) => early.inner()?.usage(),
            Shape::Wrapped(wrapped) => wrapped.inner().usage(),
        }
    }

    /// Who books its request's end, where that is tied to this answer's.
    pub fn settle(&self) -> Option<&Settle> {
        match &self.0 {
            Shape::Whole { settle, .. } => settle.as_ref(),
            Shape::Opaque(opaque) => opaque.get()?.settle(),
            Shape::Streaming(streaming) => streaming.get()?.settle(),
            Shape::Recorded(recorded) => recorded.inner().settle(),
            Shape::Followed(followed) => followed.settle(),
            Shape::Replayed(replayed) => replayed.settle(),
            Shape::Explained(explained) => explained.inner().settle(),
            Shape::Captured(captured) => captured.inner().settle(),
            Shape::Early(early) => early.inner()?.settle(),
            Shape::Wrapped(wrapped) => wrapped.inner().settle(),
        }
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
            Shape::Recorded(recorded) => recorded.poll_frame(cx),
            Shape::Followed(followed) => followed.poll_frame(cx),
            Shape::Replayed(replayed) => replayed.poll_frame(),
            Shape::Explained(explained) => explained.poll_frame(cx),
            Shape::Captured(captured) => captured.poll_frame(cx),
            Shape::Early(early) => early.poll_frame(cx),
            Shape::Wrapped(wrapped) => wrapped.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Shape::Whole { body, .. } => body.is_empty(),
            Shape::Opaque(opaque) => opaque.get().is_none_or(Opaque::is_end),
            Shape::Streaming(_)
            | Shape::Followed(_)
            | Shape::Replayed(_)
            | Shape::Explained(_)
            | Shape::Early(_)
            | Shape::Wrapped(_) => false,
            Shape::Recorded(recorded) => recorded.inner().is_end_stream(),
            Shape::Captured(captured) => captured.inner().is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Shape::Whole { body, .. } => SizeHint::with_exact(body.len() as u64),
            Shape::Opaque(opaque) => opaque.get().map_or_else(SizeHint::default, Opaque::hint),
            Shape::Streaming(_)
            | Shape::Followed(_)
            | Shape::Replayed(_)
            | Shape::Explained(_)
            | Shape::Early(_)
            | Shape::Wrapped(_) => SizeHint::default(),
            Shape::Recorded(recorded) => recorded.inner().size_hint(),
            Shape::Captured(captured) => captured.inner().size_hint(),
        }
    }
}
