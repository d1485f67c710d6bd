//! Connections that die without a word: what is written goes nowhere, and nothing comes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

/// How often the connections to an upstream were lost.
#[derive(Clone, Default)]
pub struct Era(Arc<AtomicU64>);

impl Era {
    pub fn lose(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection that is lost the next time.
    pub fn socket(&self, io: DuplexStream) -> impl AsyncRead + AsyncWrite + Send + Unpin + 'static {
        Deafened { io, born: self.0.load(Ordering::Relaxed), era: Arc::clone(&self.0) }
    }
}

struct Deafened {
    io: DuplexStream,
    born: u64,
    era: Arc<AtomicU64>,
}

impl Deafened {
    fn is_lost(&self) -> bool {
        self.era.load(Ordering::Relaxed) != self.born
    }
}

impl AsyncRead for Deafened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_lost() {
            return Poll::Pending;
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Deafened {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_lost() {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_lost() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
