//! An answer that is written down while the caller gets it, to be kept when it has come to its end.
//!
//! What breaks, is cut off or grows too large is forgotten at once; the caller notices nothing of it.

use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::{Broken, Reply};
use crate::proxy::again::Keep;
use crate::state::holding::Holding;

pub struct Recorded {
    inner: Reply,
    keep: Option<Box<Keep>>,
    body: Vec<u8>,
    /// Where each piece ends in `body`.
    pieces: Vec<u32>,
    most: usize,
    holding: Holding,
    /// Our own sign of life, which is no part of the answer.
    nudge: Option<&'static [u8]>,
}

impl Recorded {
    /// `keep` gets the whole of `inner` unless it is larger than `most` bytes, or than `holding` may become.
    pub fn new(
        inner: Reply,
        keep: Box<Keep>,
        most: u64,
        holding: Holding,
        nudge: Option<&'static [u8]>,
    ) -> Self {
        // Offsets of pieces are of 32 bits.
        let most = most.min(u64::from(u32::MAX)) as usize;
        Self { inner, keep: Some(keep), body: Vec::new(), pieces: Vec::new(), most, holding, nudge }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = std::pin::Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    self.write_down(data);
                }
                // Whoever knows an answer's length, or has a stream's last event, does not ask for its end.
                if self.inner.is_end_stream() || self.inner.has_said_all() {
                    self.end();
                }
            }
            Poll::Ready(Some(Err(_))) => {
                self.keep = None;
                self.forget();
            }
            Poll::Ready(None) => self.end(),
            Poll::Pending => {}
        }
        polled
    }

    fn write_down(&mut self, data: &[u8]) {
        if self.keep.is_none() || self.nudge == Some(data) {
            return;
        }
        let length = self.body.len() + data.len();
        if length > self.most || self.holding.try_hold(length as u64).is_err() {
            self.forget();
            if let Some(keep) = self.keep.take() {
                keep.too_large();
            }
            return;
        }
        self.body.extend_from_slice(data);
        self.pieces.push(self.body.len() as u32);
    }

    fn end(&mut self) {
        let Some(keep) = self.keep.take() else { return };
        let pieces = std::mem::take(&mut self.pieces);
        let pieces = self.inner.is_in_pieces().then(|| pieces.into_boxed_slice());
        keep.whole(std::mem::take(&mut self.body).into(), pieces, self.inner.usage());
        self.holding.hold(0);
    }

    fn forget(&mut self) {
        self.body = Vec::new();
        self.pieces = Vec::new();
        self.holding.hold(0);
    }

    pub(super) fn inner(&self) -> &Reply {
        &self.inner
    }
}
