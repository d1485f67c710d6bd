//! The byte stream under an HTTP/1.1 connection, with a meter on what has really left.
//!
//! hyper does not tell whether a byte of a request reached the socket, and whether a failed request may
//! be sent again hangs on exactly that.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::Socket;
use crate::vocab::Stage;

/// How far the present request has got. One task writes and reads it, so `Relaxed` is enough; it is
/// atomic because hyper owns the wire and the body that feed it.
#[derive(Debug, Default)]
pub(super) struct Meter {
    written: AtomicU64,
    body_taken: AtomicBool,
}

impl Meter {
    /// A new request begins.
    pub(super) fn reset(&self) {
        self.written.store(0, Ordering::Relaxed);
        self.body_taken.store(false, Ordering::Relaxed);
    }

    /// Bytes of the present request that the socket has taken.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// The last of the request's body has been handed over for sending.
    pub(super) fn finish_body(&self) {
        self.body_taken.store(true, Ordering::Relaxed);
    }

    pub(super) fn body_finished(&self) -> bool {
        self.body_taken.load(Ordering::Relaxed)
    }

    /// What is known for sure errs towards "more has left".
    pub(super) fn stage(&self) -> Stage {
        match (self.written(), self.body_finished()) {
            (0, _) => Stage::NotSent,
            (_, false) => Stage::Sending,
            (_, true) => Stage::Waiting,
        }
    }
}

pub(super) struct Wire {
    socket: Box<dyn Socket>,
    meter: Arc<Meter>,
}

impl Wire {
    pub(super) fn new(socket: Box<dyn Socket>, meter: Arc<Meter>) -> Self {
        Self { socket, meter }
    }

    fn count(&self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(n)) = polled {
            self.meter.written.fetch_add(n as u64, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.count(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.count(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
