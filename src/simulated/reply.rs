//! The body of an answer: steps with gaps between them, and one of several ways to end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use super::line::{End, Orders};
use super::speech::Part;
use super::visit::Visit;

/// On HTTP/2 a cut is a reset of the stream, which discards what is still queued on it; written data
/// gets this long to leave.
const FLUSH_H2: Duration = Duration::from_millis(5);

/// One piece of a body, `gap` after the piece before it.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) gap: Duration,
    pub(super) part: Part,
    pub(super) bytes: Bytes,
}

pub(super) type Steps = Box<dyn Iterator<Item = Step> + Send>;

/// What comes after the last step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The end as HTTP has it.
    Clean,
    /// The connection is ended in the middle of the body.
    Cut(End),
    /// The stream is reset (HTTP/2, where a connection belongs to others too).
    ResetStream,
    /// Nothing, for ever.
    Silence,
}

pub(super) struct Reply {
    steps: Steps,
    next: Option<Step>,
    wait: Option<Pin<Box<Sleep>>>,
    ending: Ending,
    /// Announced as `content-length`, whether or not that much comes.
    length: Option<u64>,
    visit: Visit,
    orders: Arc<Orders>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Stepping,
    Ending,
    Ended,
}

impl Reply {
    pub(super) fn new(
        steps: Steps,
        ending: Ending,
        length: Option<u64>,
        visit: Visit,
        orders: Arc<Orders>,
    ) -> Self {
        let mut reply =
            Self { steps, next: None, wait: None, ending, length, visit, orders, stage: Stage::Stepping };
        reply.advance();
        reply
    }

    /// No body at all: the request is done with the head.
    pub(super) fn bodiless(mut visit: Visit, orders: Arc<Orders>) -> Self {
        visit.end();
        Self::new(Box::new(std::iter::empty()), Ending::Clean, None, visit, orders)
    }

    /// Fetch the next step, whose gap begins now. After the last step of a good answer the visit is
    /// over: the HTTP library need not ask again.
    fn advance(&mut self) {
        self.next = self.steps.next();
        self.wait = match &self.next {
            Some(step) if !step.gap.is_zero() => Some(Box::pin(tokio::time::sleep(step.gap))),
            Some(_) => None,
            None => {
                self.stage = Stage::Ending;
                match self.ending {
                    Ending::ResetStream => Some(Box::pin(tokio::time::sleep(FLUSH_H2))),
                    Ending::Clean | Ending::Cut(_) | Ending::Silence => None,
                }
            }
        };
    }

    fn emit(&mut self, step: Step) -> Frame<Bytes> {
        if step.part == Part::Content {
            self.visit.event();
        }
        self.advance();
        if self.next.is_none() && self.ending == Ending::Clean {
            self.visit.end();
        }
        Frame::data(step.bytes)
    }

    fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.ending {
            Ending::Silence => return Poll::Pending,
            Ending::Clean => {}
            Ending::Cut(end) => {
                if self.stage == Stage::Ending {
                    self.stage = Stage::Ended;
                    self.visit.end();
                    self.orders.end_after_flush(end);
                    // One more round of the connection's loop flushes, and the flush ends it.
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
            Ending::ResetStream => {
                self.stage = Stage::Ended;
                self.visit.end();
                return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
            }
        }
        self.stage = Stage::Ended;
        self.visit.end();
        Poll::Ready(None)
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if let Some(wait) = this.wait.as_mut() {
            ready!(wait.as_mut().poll(cx));
            this.wait = None;
        }
        match this.next.take() {
            Some(step) => Poll::Ready(Some(Ok(this.emit(step)))),
            None => this.poll_ending(cx),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
