//! What `state::sync` of the program names, with loom's words behind the same names.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub use loom::sync::atomic;

/// `parking_lot`'s, as far as the program asks for it.
#[derive(Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().expect("a model that panics while it holds a lock has failed already")
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

/// tokio's own, one call at a time, so that loom may put any other thread's call between two of them.
#[derive(Debug, Default)]
pub struct Notify {
    inner: tokio::sync::Notify,
    turn: Mutex<()>,
}

pub struct Notified<'a> {
    inner: Pin<Box<tokio::sync::futures::Notified<'a>>>,
    turn: &'a Mutex<()>,
}

impl Notify {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn notified(&self) -> Notified<'_> {
        let _turn = self.turn.lock();
        Notified { inner: Box::pin(self.inner.notified()), turn: &self.turn }
    }

    pub fn notify_one(&self) {
        let _turn = self.turn.lock();
        self.inner.notify_one();
    }

    pub fn notify_waiters(&self) {
        let _turn = self.turn.lock();
        self.inner.notify_waiters();
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _turn = self.turn.lock();
        self.inner.as_mut().poll(cx)
    }
}
