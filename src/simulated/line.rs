//! The wire under one connection: where faults that HTTP libraries rightly make hard are done.
//!
//! A [`Line`] wraps the socket and obeys an [`Orders`] shared with the code that answers: end the
//! connection by FIN or RST, at once or after what is already written has been flushed, and let bytes
//! out one at a time. It knows nothing of HTTP.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::time::Sleep;

/// How the wire ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Fin,
    Rst,
}

/// What the answering side wants from the wire.
#[derive(Debug)]
pub(super) struct Orders {
    wishes: Mutex<Wishes>,
    now: Notify,
    /// Requests being served, for the idle timeout.
    busy: watch::Sender<u32>,
}

#[derive(Debug, Default)]
struct Wishes {
    end: Option<End>,
    after_flush: bool,
    drip: Option<Duration>,
}

impl Orders {
    pub(super) fn new() -> Self {
        let (busy, _) = watch::channel(0);
        Self { wishes: Mutex::default(), now: Notify::new(), busy }
    }

    /// End the connection now, whatever is still in buffers.
    pub(super) fn end_now(&self, end: End) {
        self.wishes.lock().end = Some(end);
        self.now.notify_one();
    }

    /// End the connection as soon as everything written so far is with the kernel.
    pub(super) fn end_after_flush(&self, end: End) {
        let mut wishes = self.wishes.lock();
        wishes.end = Some(end);
        wishes.after_flush = true;
    }

    /// From now on, one byte per gap; `None` ends that.
    pub(super) fn drip(&self, gap: Option<Duration>) {
        self.wishes.lock().drip = gap;
    }

    pub(super) fn begin(&self) {
        self.busy.send_modify(|busy| *busy = busy.saturating_add(1));
    }

    pub(super) fn finish(&self) {
        self.busy.send_modify(|busy| *busy = busy.saturating_sub(1));
    }

    /// Resolves when the connection is to end now.
    pub(super) async fn ended(&self) {
        self.now.notified().await;
    }

    /// Resolves when no request was served for that long; never without a limit.
    pub(super) async fn idle(&self, limit: Option<Duration>) {
        let Some(limit) = limit else { return std::future::pending().await };
        let mut busy = self.busy.subscribe();
        loop {
            if busy.wait_for(|busy| *busy == 0).await.is_err() {
                return;
            }
            if tokio::time::timeout(limit, busy.wait_for(|busy| *busy > 0)).await.is_err() {
                return;
            }
        }
    }
}

/// A byte stream that can also be ended by RST, where it is a real socket.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Make closing send RST instead of FIN.
    fn reset_on_close(&self);
}

impl Wire for TcpStream {
    fn reset_on_close(&self) {
        // Fails only on a socket that is already gone, and then there is nothing to reset.
        let _ = self.set_zero_linger();
    }
}

/// Any other stream: a reset is a plain drop.
pub(super) struct InMemory<S>(pub(super) S);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Wire for InMemory<S> {
    fn reset_on_close(&self) {}
}

impl<S: AsyncRead + Unpin> AsyncRead for InMemory<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for InMemory<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

pub(super) struct Line<W: Wire> {
    wire: W,
    orders: Arc<Orders>,
    /// Runs while a dripped byte has left and its gap is not over.
    gap: Option<Pin<Box<Sleep>>>,
}

impl<W: Wire> Line<W> {
    pub(super) fn new(wire: W, orders: Arc<Orders>) -> Self {
        Self { wire, orders, gap: None }
    }
}

impl<W: Wire> Drop for Line<W> {
    fn drop(&mut self) {
        if self.orders.wishes.lock().end == Some(End::Rst) {
            self.wire.reset_on_close();
        }
    }
}

impl<W: Wire> AsyncRead for Line<W> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_read(cx, buf)
    }
}

impl<W: Wire> AsyncWrite for Line<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let drip = self.orders.wishes.lock().drip;
        let Some(gap) = drip else { return Pin::new(&mut self.wire).poll_write(cx, buf) };
        if let Some(running) = self.gap.as_mut() {
            ready!(running.as_mut().poll(cx));
            self.gap = None;
        }
        let drop_of_it = buf.get(..1).unwrap_or_default();
        let written = ready!(Pin::new(&mut self.wire).poll_write(cx, drop_of_it))?;
        self.gap = Some(Box::pin(tokio::time::sleep(gap)));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.wire).poll_flush(cx))?;
        if self.orders.wishes.lock().after_flush {
            // The error makes the HTTP library let go of the connection, and so of this wire.
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn dripping_lets_one_byte_out_per_gap() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let orders = Arc::new(Orders::new());
        orders.drip(Some(Duration::from_secs(5)));
        let mut line = Line::new(InMemory(ours), orders.clone());
        let writing = tokio::spawn(async move {
            line.write_all(b"abc").await.unwrap();
            line
        });
        let mut byte = [0; 8];
        for expected in b"abc" {
            assert_eq!(theirs.read(&mut byte).await.unwrap(), 1);
            assert_eq!(byte[0], *expected);
            let early = tokio::time::timeout(Duration::from_millis(4999), theirs.read(&mut byte)).await;
            assert!(early.is_err(), "the next byte came too early");
        }
        let mut line = writing.await.unwrap();
        orders.drip(None);
        line.write_all(b"rest").await.unwrap();
        assert_eq!(theirs.read(&mut byte).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn an_end_after_flush_lets_everything_out_first() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let orders = Arc::new(Orders::new());
        let mut line = Line::new(InMemory(ours), orders.clone());
        line.write_all(b"last words").await.unwrap();
        orders.end_after_flush(End::Fin);
        assert!(line.flush().await.is_err());
        drop(line);
        let mut all = Vec::new();
        theirs.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"last words");
    }

    #[tokio::test(start_paused = true)]
    async fn idleness_is_counted_from_the_end_of_the_last_request() {
        let orders = Arc::new(Orders::new());
        let idle = tokio::spawn({
            let orders = orders.clone();
            async move { orders.idle(Some(Duration::from_secs(10))).await }
        });
        tokio::time::sleep(Duration::from_secs(9)).await;
        orders.begin();
        tokio::time::sleep(Duration::from_mins(1)).await;
        orders.finish();
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(!idle.is_finished());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(idle.is_finished());
    }
}
