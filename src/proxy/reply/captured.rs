//! An answer that is seen on its way to the caller, for whoever captures it. What a caller is told besides
//! (`explained`) is no part of it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

use super::{Broken, Reply};
use crate::capture::Taking;

pub struct Captured {
    inner: Reply,
    taking: Arc<Taking>,
}

impl Captured {
    pub fn new(inner: Reply, taking: Arc<Taking>) -> Self {
        Self { inner, taking }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.taking.piece(data);
        }
        polled
    }

    pub(super) fn inner(&self) -> &Reply {
        &self.inner
    }
}
