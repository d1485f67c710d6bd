//! The stream of bytes under a caller's connection: shows what is read to [`Conduct`], and ends a
//! connection whose caller does not read what we write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use super::conduct::Conduct;
use super::framing::Heard;

/// The place that an open connection takes, to be given back when its socket is closed.
pub(super) type Place = Box<dyn Send + Sync>;

pub(super) struct Line<T> {
    io: T,
    conduct: Arc<Conduct>,
    following: bool,
    write_stall: Duration,
    /// Runs while a write waits.
    stall: Option<Pin<Box<Sleep>>>,
    /// Held as long as the socket, which outlives the connection where protocols are switched.
    _place: Option<Place>,
}

impl<T> Line<T> {
    pub(super) fn new(io: T, conduct: Arc<Conduct>, write_stall: Duration, place: Option<Place>) -> Self {
        Self { io, conduct, following: true, write_stall, stall: None, _place: place }
    }

    /// Passes on what a write said, and gives up when it has said "not now" for too long.
    fn watch<R>(&mut self, written: Poll<io::Result<R>>, cx: &mut Context<'_>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let limit = self.write_stall;
        let stall = self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(stall.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the caller does not read")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Line<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        if this.following {
            let read = buf.filled().get(before..).unwrap_or_default();
            this.following = read.is_empty() || this.conduct.heard(read) != Heard::Nothing;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Line<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, buf);
        this.watch(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, bufs);
        this.watch(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.io).poll_flush(cx);
        // A flush without anything to flush says nothing of a write that waits.
        if flushed.is_ready() { flushed } else { this.watch(flushed, cx) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let ended = Pin::new(&mut this.io).poll_shutdown(cx);
        this.watch(ended, cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::config::ServerTimeouts;
    use crate::state::Live;

    const STALL: Duration = Duration::from_secs(30);

    fn line<T>(io: T) -> Line<T> {
        let timeouts =
            ServerTimeouts { header_read: STALL, body_read: STALL, keep_alive: STALL, write_stall: STALL };
        let conduct = Conduct::new(&Arc::new(Live::seeded(1)), &timeouts, 1024);
        Line::new(io, conduct, STALL, None)
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_does_not_read_is_given_up_after_the_limit() {
        let (ours, _theirs) = duplex(4);
        let begun = tokio::time::sleep(Duration::ZERO).deadline();
        let error = line(ours).write_all(b"12345678").await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let waited = tokio::time::sleep(Duration::ZERO).deadline() - begun;
        assert!(waited >= STALL && waited < STALL * 2, "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_caller_is_kept_as_long_as_it_reads_at_all() {
        let (ours, mut theirs) = duplex(4);
        let reader = async {
            let mut byte = [0; 4];
            for _ in 0..5 {
                tokio::time::sleep(STALL.mul_f64(0.9)).await;
                theirs.read_exact(&mut byte).await.expect("bytes");
            }
        };
        let mut line = line(ours);
        let (written, ()) = tokio::join!(line.write_all(&[b'x'; 20]), reader);
        written.expect("every wait was shorter than the limit");
    }
}
