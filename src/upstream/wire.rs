//! The byte stream under an HTTP/1.1 connection, with a meter on what has really left.
//!
//! hyper does not tell whether a byte of a request reached the socket, and whether a failed request may
//! be sent again hangs on exactly that.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::dial::Socket;
use crate::vocab::Stage;

/// How far the present request has got. One task writes and reads it, so `Relaxed` is enough; it is
/// atomic because hyper owns the wire and the body that feed it.
#[derive(Debug, Default)]
pub(super) struct Meter {
    written: AtomicU64,
    body_taken: AtomicBool,
    look_closely: AtomicBool,
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

    /// The next read that finds nothing asks the kernel itself whether the peer has closed: tokio knows
    /// only what its driver has seen, and that may be older than the peer's FIN.
    pub(super) fn look_closely(&self) {
        self.look_closely.store(true, Ordering::Relaxed);
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
        let polled = Pin::new(&mut self.socket).poll_read(cx, buf);
        if polled.is_pending()
            && self.meter.look_closely.swap(false, Ordering::Relaxed)
            && peer_has_closed(&*self.socket)
        {
            // Nothing read is how a stream says that it has ended.
            return Poll::Ready(Ok(()));
        }
        polled
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

fn peer_has_closed(socket: &dyn Socket) -> bool {
    let socket = socket.as_any();
    if let Some(tcp) = socket.downcast_ref::<TcpStream>() {
        let mut byte = [MaybeUninit::uninit()];
        match SockRef::from(tcp).peek(&mut byte) {
            Ok(n) => n == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    } else if let Some(tls) = socket.downcast_ref::<TlsStream<Box<dyn Socket>>>() {
        peer_has_closed(&**tls.get_ref().0)
    } else {
        false
    }
}
