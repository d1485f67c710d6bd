//! A kept stream on its way to another caller: its pieces one after the other, as they were sent, and
//! without the pauses between them.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http_body::Frame;

use super::Broken;
use crate::cache::Kept;
use crate::proxy::settle::Settle;
use crate::telemetry::StreamOutcome;

pub struct Replayed {
    kept: Arc<Kept>,
    next: usize,
    settle: Option<Settle>,
}

impl Replayed {
    pub fn new(kept: Arc<Kept>, settle: Settle) -> Self {
        Self { kept, next: 0, settle: Some(settle) }
    }

    pub(super) fn settle(&self) -> Option<&Settle> {
        self.settle.as_ref()
    }

    pub(super) fn poll_frame(&mut self) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let piece = self.kept.piece(self.next);
        self.next += 1;
        if piece.is_none()
            && let Some(mut settle) = self.settle.take()
        {
            settle.stream_ends(StreamOutcome::Complete);
        }
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }
}

impl Drop for Replayed {
    fn drop(&mut self) {
        if let Some(settle) = &mut self.settle {
            settle.stream_ends(StreamOutcome::Cancelled);
        }
    }
}
