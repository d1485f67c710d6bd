//! How somebody in a queue hears of his turn where no task waits: the bell's future is polled by hand, and its waker
//! writes down who was called.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Who was called and has not answered yet, in order: slot and number of a request.
#[derive(Clone, Default)]
pub struct Calls(Arc<Mutex<Vec<(usize, u64)>>>);

/// A bell that somebody listens to.
pub struct Listening {
    bell: Pin<Box<OwnedNotified>>,
    waker: Waker,
}

struct Caller {
    slot: usize,
    number: u64,
    calls: Calls,
}

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        self.calls.0.lock().push((self.slot, self.number));
    }
}

impl Calls {
    /// Listens to `bell` for a request; `None` where it has rung already, which is among the calls then.
    pub fn listen(&self, bell: &Arc<Notify>, slot: usize, number: u64) -> Option<Listening> {
        let caller = Caller { slot, number, calls: self.clone() };
        let waker = Waker::from(Arc::new(caller));
        let mut listening = Box::pin(Arc::clone(bell).notified_owned());
        if listening.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            self.0.lock().push((slot, number));
            return None;
        }
        Some(Listening { bell: listening, waker })
    }

    /// Everybody who has been called since.
    pub fn take(&self) -> Vec<(usize, u64)> {
        std::mem::take(&mut self.0.lock())
    }
}

impl Listening {
    /// Whether it has rung.
    pub fn has_rung(&mut self) -> bool {
        self.bell.as_mut().poll(&mut Context::from_waker(&self.waker)) == Poll::Ready(())
    }
}
