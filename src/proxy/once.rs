//! A request body too large to be kept: it streams through, and can be sent once.
//!
//! An attempt that fails before it read a byte of it (nobody listens, no connection in time) leaves it whole, so
//! another channel may still have it. Where the caller does not send the rest as it should be, the attempt fails for
//! that, and it is kept why.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::{Sleep, sleep};

use super::intake::Arriving;
use super::intake::body::Unread;
use crate::upstream::{BoxBody, BoxError, Outgoing};

/// The body, until an attempt begins to read it.
pub struct Once {
    slot: Arc<Mutex<Option<Large>>>,
    hint: SizeHint,
    unread: Arc<OnceLock<Unread>>,
}

impl Once {
    /// `begin` was read already; of both together at most `most` bytes are let through.
    pub fn new(begin: Bytes, rest: Option<Arriving>, most: u64, patience: Duration) -> Self {
        let mut hint = SizeHint::new();
        if let Some(rest) = rest.as_ref().and_then(|rest| rest.size_hint().exact()) {
            hint.set_exact(rest + begin.len() as u64);
        }
        let unread = Arc::default();
        let large = Large {
            begin: Some(begin),
            rest,
            left: most,
            patience,
            timer: None,
            unread: Arc::clone(&unread),
        };
        Self { slot: Arc::new(Mutex::new(Some(large))), hint, unread }
    }

    /// Its length in bytes, or as much of it as is sure.
    pub fn length(&self) -> u64 {
        self.hint.exact().unwrap_or_else(|| self.hint.lower())
    }

    /// Whether an attempt has read of it.
    pub fn is_spent(&self) -> bool {
        self.slot.lock().is_none()
    }

    /// Why the caller's rest did not come as it should.
    pub fn unread(&self) -> Option<&Unread> {
        self.unread.get()
    }

    /// The body for one attempt; it is taken when that attempt reads it.
    pub fn lend(&self) -> Outgoing {
        let lent = Lent { slot: Arc::clone(&self.slot), hint: self.hint, taken: None };
        Outgoing::Streamed(BoxBody::new(lent))
    }
}

struct Lent {
    slot: Arc<Mutex<Option<Large>>>,
    hint: SizeHint,
    taken: Option<Large>,
}

impl Body for Lent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if this.taken.is_none() {
            this.taken = this.slot.lock().take();
        }
        match &mut this.taken {
            Some(large) => large.poll_frame(cx),
            None => Poll::Ready(Some(Err("the body was sent before".into()))),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

struct Large {
    begin: Option<Bytes>,
    rest: Option<Arriving>,
    left: u64,
    patience: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    unread: Arc<OnceLock<Unread>>,
}

impl Large {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(begin) = self.begin.take() {
            self.left = self.left.saturating_sub(begin.len() as u64);
            return Poll::Ready(Some(Ok(Frame::data(begin))));
        }
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        match Pin::new(rest).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.timer = None;
                let Some(frame) = frame else { return Poll::Ready(None) };
                let frame = match frame {
                    Ok(frame) => frame,
                    Err(error) => return Poll::Ready(Some(Err(self.ends(Unread::Broken, error.into())))),
                };
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                let Some(left) = self.left.checked_sub(length) else {
                    let why = "the body is larger than server.limits.max_body";
                    return Poll::Ready(Some(Err(self.ends(Unread::TooLarge, why.into()))));
                };
                self.left = left;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Pending => {
                let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.patience)));
                ready!(timer.as_mut().poll(cx));
                let why = "no byte of the body came for server.timeouts.body_read";
                Poll::Ready(Some(Err(self.ends(Unread::Slow(self.patience), why.into()))))
            }
        }
    }

    /// Keeps why there is no more of it.
    fn ends(&self, unread: Unread, error: BoxError) -> BoxError {
        // Nothing is read behind the first.
        let _ = self.unread.set(unread);
        error
    }
}
