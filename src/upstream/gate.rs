//! The waker that an inline-driven connection sees instead of its task's.
//!
//! hyper's connection, request channel and body channel wake each other, because they are meant to be
//! polled by different tasks. Here one task polls all of them in turn, so such a wake-up would only make
//! the task run once more for nothing, once per chunk. The gate swallows what is woken while the polling
//! is going on and asks for another round instead; everything else goes to the task. It also keeps a
//! parked connection from holding on to the task that last used it.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use parking_lot::Mutex;

/// Rounds of polling before the task is woken the ordinary way, so that others get their turn: hyper
/// and tokio both wake their own task to yield.
const ROUNDS: usize = 3;

pub(super) struct Gate {
    inner: Arc<Inner>,
    /// `inner` as a waker, made once.
    waker: Waker,
}

#[derive(Default)]
struct Inner(Mutex<Slot>);

#[derive(Default)]
struct Slot {
    task: Option<Waker>,
    moment: Moment,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Moment {
    #[default]
    Outside,
    Polling,
    /// Polling, and something has been woken since the round began.
    Woken,
}

impl Gate {
    pub(super) fn new() -> Self {
        let inner = Arc::new(Inner::default());
        let waker = Waker::from(Arc::clone(&inner));
        Self { inner, waker }
    }

    /// Polls `round` with the gate's waker until it is ready or nothing is left to do.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        mut round: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.enter(cx.waker());
        let mut inner_cx = Context::from_waker(&self.waker);
        for _ in 0..ROUNDS {
            let polled = round(&mut inner_cx);
            let mut slot = self.inner.0.lock();
            // A wake-up is owed only after `Pending`: whoever got a value asks again.
            if polled.is_ready() || slot.moment != Moment::Woken {
                slot.moment = Moment::Outside;
                return polled;
            }
            slot.moment = Moment::Polling;
        }
        self.inner.0.lock().moment = Moment::Outside;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Polls once on behalf of nobody, and forgets the task: later wake-ups go nowhere.
    pub(super) fn quietly<T>(&self, round: impl FnOnce(&mut Context<'_>) -> T) -> T {
        self.inner.0.lock().task = None;
        round(&mut Context::from_waker(&self.waker))
    }

    fn enter(&self, task: &Waker) {
        let mut slot = self.inner.0.lock();
        slot.moment = Moment::Polling;
        if !slot.task.as_ref().is_some_and(|known| known.will_wake(task)) {
            slot.task = Some(task.clone());
        }
    }
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let task = {
            let mut slot = self.0.lock();
            match slot.moment {
                Moment::Outside => slot.task.clone(),
                Moment::Polling | Moment::Woken => {
                    slot.moment = Moment::Woken;
                    None
                }
            }
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::new(Count::default());
        (Arc::clone(&count), Waker::from(count))
    }

    #[test]
    fn what_is_woken_while_polling_is_polled_again_and_wakes_nobody() {
        let (count, waker) = counted();
        let gate = Gate::new();
        let mut rounds = 0;
        let polled = gate.poll(&mut Context::from_waker(&waker), |cx| {
            rounds += 1;
            if rounds == 1 {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert_eq!((rounds, count.0.load(Ordering::Relaxed)), (2, 0));
    }

    #[test]
    fn what_never_comes_to_rest_yields_to_the_executor() {
        let (count, waker) = counted();
        let mut rounds = 0;
        let polled = Gate::new().poll(&mut Context::from_waker(&waker), |cx| {
            rounds += 1;
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(polled.is_pending());
        assert_eq!((rounds, count.0.load(Ordering::Relaxed)), (ROUNDS, 1));
    }

    #[test]
    fn a_later_wake_up_reaches_the_task_until_the_connection_is_parked() {
        let (count, waker) = counted();
        let gate = Gate::new();
        let mut kept = None;
        let _ = gate.poll(&mut Context::from_waker(&waker), |cx| {
            kept = Some(cx.waker().clone());
            Poll::<()>::Pending
        });
        let kept = kept.expect("the round ran");
        kept.wake_by_ref();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        gate.quietly(|_| ());
        kept.wake();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}
