//! A stream after whose end its caller is told why it came from where it came from: a comment, which parsers of events
//! leave out. It follows the last event of one that breaks as well, before the abnormal end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::{Sleep, sleep};

use super::{Broken, FLUSH, Reply};
use crate::proxy::explain::Story;

/// What ends an event; a stream may have either.
const BLANK_LINES: [&[u8]; 2] = [b"\n\n", b"\n\r\n"];

pub struct Explained {
    inner: Reply,
    /// Until it is told.
    story: Option<Story>,
    /// What was said last ended an event.
    between: bool,
    /// It broke; the connection gets this long to flush the comment.
    failing: Option<(Broken, Pin<Box<Sleep>>)>,
}

impl Explained {
    pub fn new(inner: Reply, story: Story) -> Self {
        Self { inner, story: Some(story), between: true, failing: None }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        if let Some((broken, timer)) = &mut self.failing {
            ready!(timer.as_mut().poll(cx));
            return Poll::Ready(Some(Err(*broken)));
        }
        if self.story.is_none() {
            return Poll::Ready(None);
        }
        match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let ends_event = BLANK_LINES.iter().any(|blank| data.ends_with(blank));
                    self.between = ends_event || (self.between && is_comment(data));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(broken)) => Poll::Ready(Some(match self.comment() {
                Some(comment) => {
                    self.failing = Some((broken, Box::pin(sleep(FLUSH))));
                    Ok(comment)
                }
                None => Err(broken),
            })),
            None => Poll::Ready(self.comment().map(Ok)),
        }
    }

    fn comment(&mut self) -> Option<Frame<Bytes>> {
        let comment = self.story.take()?.comment()?;
        // Half an event is ended first: a comment within it would be a part of it.
        let comment = if self.between { comment } else { format!("\n\n{comment}") };
        Some(Frame::data(comment.into()))
    }

    pub(super) fn inner(&self) -> &Reply {
        &self.inner
    }
}

/// Whether it is a comment and nothing else, behind which stands what stood before it.
fn is_comment(data: &[u8]) -> bool {
    data.starts_with(b":") && memchr::memchr(b'\n', data) == data.len().checked_sub(1)
}
