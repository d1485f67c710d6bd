//! An answer of Anthropic's on its way to a caller who has Bedrock's mode of its SDKs, or AWS' own: outermost, so that
//! nobody else knows of it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame};

use super::{Broken, Reply};
use crate::algo::tick::Tick;
use crate::dialect::invoke::Invoked;
use crate::dialect::{Dialect, trouble};
use crate::state::Live;
use crate::vocab::Fault;

/// Of an error's words so much is read: none that says more than a page does is longer.
const LONGEST_ERROR: usize = 64 * 1024;

pub struct Wrapped {
    inner: Reply,
    rewriting: Rewriting,
}

/// What becomes of it.
enum Rewriting {
    Stream {
        invoked: Box<Invoked>,
        live: Arc<Live>,
        begun: Tick,
    },
    Error {
        status: StatusCode,
        said: Vec<u8>,
    },
    /// Nothing follows.
    Over,
}

impl Wrapped {
    /// A stream of a request that came at `begun`.
    pub fn stream(inner: Reply, live: Arc<Live>, begun: Tick) -> Self {
        Self { inner, rewriting: Rewriting::Stream { invoked: Box::default(), live, begun } }
    }

    /// An error answer with this status, which is said anew once all of it is there.
    pub fn error(inner: Reply, status: StatusCode) -> Self {
        Self { inner, rewriting: Rewriting::Error { status, said: Vec::new() } }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if matches!(self.rewriting, Rewriting::Over) {
            return Poll::Ready(None);
        }
        loop {
            let polled = ready!(Pin::new(&mut self.inner).poll_frame(cx));
            let data = match polled {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some(data),
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Some(Err(broken)) => return Poll::Ready(Some(Err(broken))),
                None => None,
            };
            let is_over = data.is_none();
            match self.rewriting.take(data) {
                Ok(out) => {
                    if is_over {
                        self.rewriting = Rewriting::Over;
                    }
                    if !out.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::data(out))));
                    }
                    if is_over {
                        return Poll::Ready(None);
                    }
                }
                Err(broken) => return Poll::Ready(Some(Err(broken))),
            }
        }
    }

    pub(super) fn inner(&self) -> &Reply {
        &self.inner
    }
}

impl Rewriting {
    /// What is to be said for this; `None` is the end.
    fn take(&mut self, data: Option<Bytes>) -> Result<Bytes, Broken> {
        match (self, data) {
            (Self::Stream { invoked, live, begun }, data) => {
                let took = live.now().since(*begun);
                let messages = match data {
                    Some(data) => invoked.push(data, took).map_err(|_| Broken(Fault::Protocol))?,
                    None => invoked.end(took),
                };
                Ok(messages.into())
            }
            (Self::Error { said, .. }, Some(data)) => {
                let room = LONGEST_ERROR.saturating_sub(said.len());
                said.extend_from_slice(data.get(..room).unwrap_or(&data));
                Ok(Bytes::new())
            }
            (Self::Error { status, said }, None) => Ok(said_anew(*status, said)),
            (Self::Over, _) => Ok(Bytes::new()),
        }
    }
}

/// An error of Anthropic's as Amazon says it.
fn said_anew(status: StatusCode, body: &[u8]) -> Bytes {
    trouble::render(&trouble::told(status, body), Dialect::Bedrock, "")
}
