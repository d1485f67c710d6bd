//! The tasks of HTTP/2 streams, and the end of a stream that its caller does not read.
//!
//! Under HTTP/2 a caller stops us by withholding flow-control window: nothing is ever written to the
//! socket, so [`Line`](super::line::Line) sees no stall. hyper asks a body for its next chunk only when
//! the one before has got window, so a chunk that was handed over and not followed by another question
//! for `write_stall` means that the caller does not read. Only that stream is reset: behind a proxy, the
//! others belong to other people.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::Executor;
use parking_lot::Mutex;
use pin_project_lite::pin_project;
use tokio::time::Sleep;

use super::lifecycle::{Lifecycle, Stage};
use super::tasks::Tasks;

type Later = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Whether a stream's last chunk still waits for the caller.
#[derive(Debug, Default)]
pub(super) struct Handed(AtomicBool);

impl Handed {
    pub(super) fn set(&self, waits: bool) {
        self.0.store(waits, Release);
    }
}

/// One connection's streams.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    write_stall: Duration,
    lifecycle: Arc<Lifecycle>,
    /// Of the request that has just been taken in; hyper starts its task right after that.
    newest: Arc<Mutex<Option<Arc<Handed>>>>,
}

impl Streams {
    pub(super) fn new(write_stall: Duration, lifecycle: Arc<Lifecycle>) -> Self {
        Self { write_stall, lifecycle, newest: Arc::default() }
    }

    /// To be called when a request of HTTP/2 comes in, before anything else is done with it.
    pub(super) fn arrive(&self) -> Arc<Handed> {
        let handed = Arc::new(Handed::default());
        *self.newest.lock() = Some(Arc::clone(&handed));
        handed
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, work: F) {
        let handed = self.newest.lock().take();
        let cut_off: Later = Box::pin(self.lifecycle.reached(Stage::CutOff));
        let cut_off = Some(cut_off);
        Tasks::spawn_connection(Stream { work, handed, write_stall: self.write_stall, stall: None, cut_off });
    }
}

pin_project! {
    struct Stream<F> {
        #[pin]
        work: F,
        handed: Option<Arc<Handed>>,
        write_stall: Duration,
        stall: Option<Pin<Box<Sleep>>>,
        // Until it is; then the work is asked once more, which has a look by itself.
        cut_off: Option<Later>,
    }
}

impl<F: Future> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.work.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if this.cut_off.as_mut().is_some_and(|cut_off| cut_off.as_mut().poll(cx).is_ready()) {
            *this.cut_off = None;
            if this.work.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
        }
        if !this.handed.as_ref().is_some_and(|handed| handed.0.load(Acquire)) {
            *this.stall = None;
            return Poll::Pending;
        }
        let limit = *this.write_stall;
        ready!(this.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx));
        // Ending here drops the stream, and that resets it.
        Poll::Ready(())
    }
}
