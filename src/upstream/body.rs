//! Bodies: [`Outgoing`] leaves with a request, [`Incoming`] comes with a response.
//!
//! An `Incoming` owns its connection. Read to its clean end it gives the connection back to the pool; dropped before,
//! it closes the HTTP/1.1 connection or resets the HTTP/2 stream at once, which is how a caller's hang-up reaches the
//! upstream; of one whose bytes all came, only the end is waited for. It has no time limits: idle and total are the
//! reader's.

use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;

use super::h1::Reading;
use super::h2::Receiving;
use crate::vocab::Fault;

pub type BoxError = Box<dyn StdError + Send + Sync>;
pub type BoxBody = UnsyncBoxBody<Bytes, BoxError>;

/// A request's body.
#[derive(Default)]
pub enum Outgoing {
    #[default]
    Empty,
    Whole(Bytes),
    /// Several pieces, sent as one body of known length. Made by [`Outgoing::pieces`].
    Pieces(vec::IntoIter<Bytes>),
    /// A body of which not all is here yet; it cannot be sent twice.
    Streamed(BoxBody),
}

impl Outgoing {
    /// One body out of pieces, none of which is copied.
    pub fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let mut pieces: Vec<Bytes> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        match pieces.len() {
            0 => Self::Empty,
            1 => Self::Whole(pieces.swap_remove(0)),
            _ => Self::Pieces(pieces.into_iter()),
        }
    }

    /// The error is the body's own: it can only come from whoever streams it.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Pieces(pieces) => Poll::Ready(pieces.next().map(|piece| Ok(Frame::data(piece)))),
            Self::Streamed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Pieces(pieces) => pieces.len() == 0,
            Self::Streamed(body) => body.is_end_stream(),
        }
    }

    pub(super) fn hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Pieces(pieces) => {
                SizeHint::with_exact(pieces.as_slice().iter().map(|piece| piece.len() as u64).sum())
            }
            Self::Streamed(body) => body.size_hint(),
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({:?})", self.hint().exact())
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.get_mut().poll_next(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.is_finished()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint()
    }
}

/// Why a response's body stopped short: `Truncated` when none of it had come, `StreamCut` after that,
/// `Protocol` when the peer broke its own framing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the response's body ended early: {}", fault.name())]
pub struct BodyFault {
    pub fault: Fault,
}

/// A response's body.
#[must_use = "dropping it cancels the exchange"]
pub struct Incoming {
    source: Source,
    delivered: Delivered,
    /// What was read, and is to be read again.
    unread: Bytes,
}

enum Source {
    /// Ended, one way or the other.
    Done,
    Http1(Reading),
    Http2(Receiving),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Delivered {
    Nothing,
    Something,
}

impl Incoming {
    pub(super) fn empty() -> Self {
        Self::new(Source::Done)
    }

    pub(super) fn http1(reading: Reading) -> Self {
        Self::new(Source::Http1(reading))
    }

    pub(super) fn http2(receiving: Receiving) -> Self {
        Self::new(Source::Http2(receiving))
    }

    fn new(source: Source) -> Self {
        Self { source, delivered: Delivered::Nothing, unread: Bytes::new() }
    }

    /// Puts back what was read of the beginning: it comes once more, before the rest.
    pub fn unread(&mut self, begin: Bytes) {
        self.unread = begin;
    }

    /// Takes the connection out of a `101 Switching Protocols` response. `None` for any other response
    /// and the second time.
    pub fn take_upgrade(&mut self) -> Option<super::Upgraded> {
        match std::mem::replace(&mut self.source, Source::Done) {
            Source::Http1(reading) => match reading.into_upgraded() {
                Ok(upgraded) => Some(upgraded),
                Err(reading) => {
                    self.source = Source::Http1(reading);
                    None
                }
            },
            other => {
                self.source = other;
                None
            }
        }
    }
}

/// How a body broke, before it is known what that means to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// The transport ended.
    Cut,
    /// What came was not what HTTP allows.
    Malformed,
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = self.get_mut();
        if !this.unread.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.unread)))));
        }
        let polled = match &mut this.source {
            Source::Done => return Poll::Ready(None),
            Source::Http1(reading) => ready!(reading.poll_frame(cx)),
            Source::Http2(receiving) => ready!(receiving.poll_frame(cx)),
        };
        match polled {
            Some(Ok(frame)) => {
                if frame.is_data() {
                    this.delivered = Delivered::Something;
                }
                let finished = match &mut this.source {
                    Source::Done => true,
                    Source::Http1(reading) => reading.finish_if_ended(),
                    Source::Http2(receiving) => receiving.is_ended(),
                };
                if finished {
                    this.source = Source::Done;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(broken)) => {
                this.source = Source::Done;
                let fault = match (broken, this.delivered) {
                    (Broken::Malformed, _) => Fault::Protocol,
                    (Broken::Cut, Delivered::Nothing) => Fault::Truncated,
                    (Broken::Cut, Delivered::Something) => Fault::StreamCut,
                };
                Poll::Ready(Some(Err(BodyFault { fault })))
            }
            None => {
                this.source = Source::Done;
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_ended = match &self.source {
            Source::Done => true,
            Source::Http1(reading) => reading.is_ended(),
            Source::Http2(receiving) => receiving.is_ended(),
        };
        is_ended && self.unread.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let hint = match &self.source {
            Source::Done => SizeHint::with_exact(0),
            Source::Http1(reading) => reading.hint(),
            Source::Http2(receiving) => receiving.hint(),
        };
        match (hint.exact(), self.unread.len() as u64) {
            (Some(rest), again @ 1..) => SizeHint::with_exact(rest + again),
            (None, _) | (_, 0) => hint,
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Source::Http2(receiving) = std::mem::replace(&mut self.source, Source::Done) {
            receiving.see_its_end();
        }
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            Source::Done => "done",
            Source::Http1(_) => "http1",
            Source::Http2(_) => "http2",
        };
        f.debug_tuple("Incoming").field(&source).finish()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn pieces_make_one_body_of_known_length() {
        let body =
            Outgoing::pieces(["{\"a\":", "", "1", "}"].map(|text| Bytes::from_static(text.as_bytes())));
        assert_eq!(body.size_hint().exact(), Some(7));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "{\"a\":1}");
    }

    #[test]
    fn a_body_without_bytes_is_empty_whatever_it_was_made_of() {
        for body in [
            Outgoing::Empty,
            Outgoing::pieces([]),
            Outgoing::pieces([Bytes::new()]),
            Outgoing::Whole(Bytes::new()),
        ] {
            assert!(body.is_end_stream());
            assert_eq!(body.size_hint().exact(), Some(0));
        }
    }
}
