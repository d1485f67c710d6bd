//! How long an exchange waits for response headers.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::now;

/// Stands for "never" where a sum of times does not fit.
const A_CENTURY: Duration = Duration::from_hours(100 * 365 * 24);

/// What has left of the request so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) bytes: u64,
    pub(super) finished: bool,
}

pin_project_lite::pin_project! {
    /// A body that lies ready is the upstream's to take, so the time runs from the start. A streamed one
    /// is paced by the caller: while it flows, each piece of progress starts the time anew, and so does
    /// its end.
    pub(super) struct Patience {
        #[pin]
        sleep: Sleep,
        limit: Duration,
        // What had left when the time was last started; `None` once it is final.
        seen: Option<Sent>,
    }
}

impl Patience {
    pub(super) fn new(limit: Duration, streamed: bool) -> Self {
        let seen = streamed.then_some(Sent { bytes: 0, finished: false });
        Self { sleep: tokio::time::sleep(limit), limit, seen }
    }

    /// Ready when waiting has lasted too long.
    pub(super) fn poll_over(self: Pin<&mut Self>, cx: &mut Context<'_>, sent: Sent) -> Poll<()> {
        let mut this = self.project();
        if this.seen.is_some() && sent.finished {
            *this.seen = None;
            this.sleep.as_mut().reset(after(*this.limit));
        }
        loop {
            if this.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            match this.seen {
                Some(seen) if seen.bytes != sent.bytes => {
                    *seen = sent;
                    this.sleep.as_mut().reset(after(*this.limit));
                }
                _ => return Poll::Ready(()),
            }
        }
    }
}

fn after(limit: Duration) -> Instant {
    let now = now();
    now.checked_add(limit).unwrap_or_else(|| now + A_CENTURY)
}
