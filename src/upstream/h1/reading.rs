//! The body of a response, and what becomes of its connection.

use std::io;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::super::body::Broken;
use super::super::upgrade::Upgraded;
use super::Connection;
use super::framing::{Decoded, Framing};
use super::sending::Sending;

/// The part of a response that is still to come, and the connection that it comes on.
pub(in super::super) struct Reading {
    /// Taken when the response has ended.
    pub(super) connection: Option<Box<Connection>>,
    pub(super) framing: Framing,
    /// The rest of a request whose answer came before its end.
    pub(super) sending: Option<Box<Sending>>,
    pub(super) persistent: bool,
    pub(super) switching: bool,
}

impl Reading {
    pub(in super::super) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let polled = ready!(self.poll_open(cx));
        match &polled {
            Some(Ok(_)) => {}
            Some(Err(_)) => drop(self.connection.take()),
            None => self.give_back(),
        }
        Poll::Ready(polled)
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
        let Connection { socket, inbox, .. } = &mut **connection;
        if let Some(sending) = &mut self.sending {
            match sending.poll(socket, cx) {
                Poll::Pending => {}
                // The peer need not have taken all of it to go on with its answer.
                Poll::Ready(Ok(())) => {
                    self.persistent &= sending.is_finished();
                    self.sending = None;
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Some(Err(Broken::Cut))),
            }
        }
        loop {
            match self.framing.decode(&mut inbox.unread) {
                Ok(Decoded::Data(data)) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Ok(Decoded::Trailers(fields)) => return Poll::Ready(Some(Ok(Frame::trailers(fields)))),
                Ok(Decoded::End) => return Poll::Ready(None),
                Ok(Decoded::Hungry) => {}
                Err(_) => return Poll::Ready(Some(Err(Broken::Malformed))),
            }
            match ready!(inbox.poll_fill(socket, cx)) {
                Ok(0) if self.framing == Framing::UntilClose => self.framing = Framing::Ended,
                Ok(0) => return Poll::Ready(Some(Err(Broken::Cut))),
                Ok(_) => {}
                // Broken TLS records.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Poll::Ready(Some(Err(Broken::Malformed)));
                }
                Err(_) => return Poll::Ready(Some(Err(Broken::Cut))),
            }
        }
    }

    pub(in super::super) fn is_ended(&self) -> bool {
        self.connection.is_none() || (!self.switching && self.framing == Framing::Ended)
    }

    /// Gives the connection back if the whole body has been read.
    pub(in super::super) fn finish_if_ended(&mut self) -> bool {
        if self.is_ended() {
            self.give_back();
            true
        } else {
            false
        }
    }

    pub(in super::super) fn hint(&self) -> SizeHint {
        self.framing.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }

    fn give_back(&mut self) {
        if let Some(mut connection) = self.connection.take()
            && self.persistent
            && self.sending.is_none()
            && connection.is_fit()
            && let Some(slot) = connection.slot.take()
        {
            slot.shelve(connection);
        }
    }

    /// The bare connection, where the peer has switched protocols.
    pub(in super::super) fn into_upgraded(mut self) -> Result<Upgraded, Self> {
        if !self.switching {
            return Err(self);
        }
        let Some(mut connection) = self.connection.take() else { return Err(self) };
        let slot = connection.slot.take();
        let Connection { socket, inbox, .. } = *connection;
        Ok(Upgraded::new(socket, inbox.unread, slot))
    }
}

impl Drop for Reading {
    /// A reader that stopped at a stream's own terminator has often not seen the transport's end, which
    /// came with it. One look tells; anything else closes the connection.
    fn drop(&mut self) {
        if !self.switching && self.persistent && self.sending.is_none() {
            let _ = self.poll_frame(&mut Context::from_waker(Waker::noop()));
        }
    }
}
