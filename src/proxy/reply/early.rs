//! A stream whose head is out, and for which somebody is still asked (`proxy::early`). Whoever answers has his events
//! follow; where nobody can, the caller reads the error in the stream, and then the abnormal end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame};
use tokio::time::{Sleep, sleep};

use super::patience::{Ends, Overdue, Patience};
use super::{Broken, FLUSH, KEEP_ALIVE, Reply};
use crate::algo::tick::Tick;
use crate::dialect::Dialect;
use crate::dialect::trouble::{self, Kind, Trouble};
use crate::proxy::{Gateway, refuse};
use crate::vocab::Fault;

/// The request's own work. Dropping it cancels what is under way upstream, or has it read to its end.
pub type Answering = Pin<Box<dyn Future<Output = Response<Reply>> + Send>>;

/// Most of an error's body that is read to say it again.
const MOST_OF_ERROR: usize = 16 * 1024;

pub struct Early {
    gateway: Arc<Gateway>,
    dialect: Dialect,
    stage: Stage,
}

enum Stage {
    Asking {
        answering: Answering,
        patience: Patience,
        /// When the caller hears of it next.
        nudge: Tick,
    },
    Answered {
        reply: Reply,
        /// Nothing of it has gone out.
        begins: bool,
    },
    /// Nobody answers; this is what the caller would have read.
    Refused {
        status: StatusCode,
        reply: Reply,
        said: BytesMut,
    },
    /// Gives the connection time to flush the error event before it is torn down.
    Flushing(Fault, Pin<Box<Sleep>>),
    Over,
}

impl Early {
    pub fn new(gateway: &Arc<Gateway>, dialect: Dialect, answering: Answering) -> Self {
        let now = gateway.live.now();
        let patience = Patience::new(gateway, now);
        let stage = Stage::Asking { answering, patience, nudge: now };
        Self { gateway: Arc::clone(gateway), dialect, stage }
    }

    /// The answer, once there is one.
    pub(super) fn inner(&self) -> Option<&Reply> {
        match &self.stage {
            Stage::Answered { reply, .. } | Stage::Refused { reply, .. } => Some(reply),
            Stage::Asking { .. } | Stage::Flushing(..) | Stage::Over => None,
        }
    }

    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            match &mut self.stage {
                Stage::Asking { answering, patience, nudge } => {
                    if let Poll::Ready(response) = answering.as_mut().poll(cx) {
                        self.stage = heard(response);
                        continue;
                    }
                    // Its own deadlines are kept by whoever asks.
                    match ready!(patience.poll(&self.gateway, Ends { nudge: *nudge, ..Ends::default() }, cx))
                    {
                        Overdue::CutOff => {
                            let refusal = refuse::too_late(self.dialect, "");
                            return self.fail(&refusal.trouble, Fault::Cancelled);
                        }
                        Overdue::Nudge | Overdue::Silent | Overdue::Stalled | Overdue::TooLate => {
                            *nudge = self.gateway.live.now() + KEEP_ALIVE;
                            let sign = trouble::keep_alive(self.dialect).unwrap_or_default();
                            return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(sign)))));
                        }
                    }
                }
                Stage::Answered { reply, begins } => {
                    let polled = Pin::new(reply).poll_frame(cx);
                    let Poll::Ready(Some(Ok(frame))) = polled else { return polled };
                    let begins = std::mem::take(begins);
                    return Poll::Ready(Some(Ok(if begins { frame.map_data(unmarked) } else { frame })));
                }
                Stage::Refused { status, reply, said } => {
                    if let Some(Ok(frame)) = ready!(Pin::new(reply).poll_frame(cx)) {
                        said.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
                        if said.len() < MOST_OF_ERROR {
                            continue;
                        }
                    }
                    let trouble = trouble_of(*status, said);
                    return self.fail(&trouble, Fault::BadGateway);
                }
                Stage::Flushing(fault, timer) => {
                    ready!(timer.as_mut().poll(cx));
                    let fault = *fault;
                    self.stage = Stage::Over;
                    return Poll::Ready(Some(Err(Broken(fault))));
                }
                Stage::Over => return Poll::Ready(None),
            }
        }
    }

    /// Says it in the stream; what was still under way is let go of.
    fn fail(&mut self, trouble: &Trouble, fault: Fault) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.stage = Stage::Flushing(fault, Box::pin(sleep(FLUSH)));
        let event = trouble::in_band(trouble, self.dialect, 0, None);
        Poll::Ready(Some(Ok(Frame::data(event))))
    }
}

/// What follows a response of which only the body can still go out.
fn heard(response: Response<Reply>) -> Stage {
    let (head, reply) = response.into_parts();
    let status = head.status;
    if status.is_success() && is_events(&head.headers) {
        Stage::Answered { reply, begins: true }
    } else {
        Stage::Refused { status, reply, said: BytesMut::new() }
    }
}

/// Without the mark that means nothing at the very begin of a stream, and is a part of a line behind it.
fn unmarked(mut begin: Bytes) -> Bytes {
    if begin.starts_with(b"\xef\xbb\xbf") {
        begin.advance(3);
    }
    begin
}

fn is_events(headers: &HeaderMap) -> bool {
    let essence = headers.get(CONTENT_TYPE).map_or(&[][..], |kind| kind.as_bytes());
    essence.get(..17).is_some_and(|essence| essence.eq_ignore_ascii_case(b"text/event-stream"))
}

/// What an answer that is no stream says to somebody who reads one.
fn trouble_of(status: StatusCode, said: &[u8]) -> Trouble {
    if status.is_success() {
        return Trouble::new(Kind::BadGateway, "the upstream gave a whole answer to a request for a stream");
    }
    trouble::told(status, said)
}
