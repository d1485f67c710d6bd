//! What has been read from a connection and not been taken yet.
//!
//! An idle connection holds no buffer. Small reads land on the stack and are copied into an allocation of
//! their own size, so a pending read costs no memory and a short event keeps no long buffer alive. Reads
//! that come back full are followed by larger ones, which are handed out as they are.

use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::super::dial::Socket;

/// The size of a read, as long as none has come back full: a page, more than a head or an event needs.
const SMALL: usize = 4 * 1024;
/// The size of a read while a body flows: what a kernel's buffer usually has ready.
const LARGE: usize = 64 * 1024;
/// By how much a read is larger than a full one before it, and smaller than one that was less full.
const STEP: usize = 4;

pub(super) struct Inbox {
    pub(super) unread: Bytes,
    read_size: usize,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { unread: Bytes::new(), read_size: SMALL }
    }

    /// A head is next, whose fields outlive a body's chunks: it is not read into a large buffer.
    pub(super) fn expect_head(&mut self) {
        self.read_size = SMALL;
    }

    /// Reads once. `Ok(0)` is the end of the stream.
    pub(super) fn poll_fill(
        &mut self,
        socket: &mut Box<dyn Socket>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let n = if self.read_size <= SMALL {
            let mut room = [MaybeUninit::uninit(); SMALL];
            let mut room = ReadBuf::uninit(&mut room);
            ready!(Pin::new(socket).poll_read(cx, &mut room))?;
            self.append(room.filled());
            room.filled().len()
        } else {
            let mut room = BytesMut::with_capacity(self.read_size);
            let n = ready!(pin!(socket.read_buf(&mut room)).poll(cx))?;
            // A buffer may be kept for as long as what is in it, so it must not be much larger.
            if n <= self.read_size / STEP || !self.unread.is_empty() {
                self.append(&room);
            } else {
                self.unread = room.freeze();
            }
            n
        };
        if n >= self.read_size {
            self.read_size = (self.read_size * STEP).min(LARGE);
        } else if n < self.read_size / STEP {
            self.read_size = (self.read_size / STEP).max(SMALL);
        }
        Poll::Ready(Ok(n))
    }

    fn append(&mut self, read: &[u8]) {
        if self.unread.is_empty() {
            self.unread = Bytes::copy_from_slice(read);
        } else {
            // Only a head in pieces comes here. It is nobody else's yet, so growing it copies little.
            let unread = std::mem::take(&mut self.unread);
            let mut joined = unread.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&*shared));
            joined.extend_from_slice(read);
            self.unread = joined.freeze();
        }
    }
}
