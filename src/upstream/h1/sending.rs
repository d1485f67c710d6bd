//! A request on its way out: its head and body, written together and kept no longer than needed.
//!
//! It knows to the byte what the socket has taken, because whether a failed request may be sent again
//! hangs on exactly that.

use std::io::{self, IoSlice, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http::{Method, request};
use tokio::io::AsyncWrite;

use super::super::body::{BoxError, Outgoing};
use super::super::dial::Socket;
use super::head::{self, Delimited};
use crate::vocab::Stage;

/// Buffers given to one write: a head and more pieces than a spliced body has.
const MAX_SLICES: usize = 16;

pub(super) struct Sending {
    /// The head, or a chunk's, and how much of it has left.
    lead: Vec<u8>,
    lead_written: usize,
    /// A streamed body's present piece, and what ends it.
    piece: Bytes,
    tail: &'static [u8],
    /// What lies ready of it is written from where it is.
    body: Outgoing,
    pace: Pace,
    written: u64,
    flushed: bool,
    /// Why the peer takes no more.
    refused: Option<String>,
}

/// How the rest of the body comes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    /// All of it is there.
    Ready,
    /// In pieces of its own, this many bytes altogether.
    Counted(u64),
    Chunked,
}

/// Why a request cannot be sent to its end.
enum Stuck {
    Socket(io::Error),
    Source(BoxError),
}

impl Sending {
    pub(super) fn new(parts: &request::Parts, body: Outgoing) -> Self {
        let body = if body.is_finished() { Outgoing::Empty } else { body };
        let streamed = matches!(body, Outgoing::Streamed(_));
        let known = body.hint().exact();
        // A streamed body's length may be known from its request only.
        let stated = || head::content_length(&parts.headers).ok().flatten();
        let (delimited, pace) = match known.or_else(stated) {
            Some(0) if !streamed => {
                let expected = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
                (if expected { Delimited::Length(0) } else { Delimited::Absent }, Pace::Ready)
            }
            Some(length) if streamed => (Delimited::Length(length), Pace::Counted(length)),
            Some(length) => (Delimited::Length(length), Pace::Ready),
            None => (Delimited::Chunked, Pace::Chunked),
        };
        Self {
            lead: head::write(parts, delimited),
            lead_written: 0,
            piece: Bytes::new(),
            tail: b"",
            body,
            pace,
            written: 0,
            flushed: true,
            refused: None,
        }
    }

    /// Moves as much as the peer takes. `Ready(Ok)` when nothing more will leave: everything has, or the
    /// peer takes no more. The error is the body's own; what the peer thinks, its answer tells.
    pub(super) fn poll(
        &mut self,
        socket: &mut Box<dyn Socket>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BoxError>> {
        if self.refused.is_some() {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(match ready!(self.poll_move(socket, cx)) {
            Ok(()) => Ok(()),
            Err(Stuck::Socket(error)) => {
                self.refused = Some(error.to_string());
                Ok(())
            }
            Err(Stuck::Source(error)) => Err(error),
        })
    }

    fn poll_move(&mut self, socket: &mut Box<dyn Socket>, cx: &mut Context<'_>) -> Poll<Result<(), Stuck>> {
        loop {
            // Before the first write too, so that a body's beginning leaves together with the head.
            let starved = self.wants_piece() && self.poll_piece(cx)?.is_pending();
            if self.has_bytes() {
                ready!(self.poll_write(socket, cx)).map_err(Stuck::Socket)?;
            } else if starved || !self.wants_piece() {
                if !self.flushed {
                    ready!(Pin::new(&mut *socket).poll_flush(cx)).map_err(Stuck::Socket)?;
                    self.flushed = true;
                }
                return if starved { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
        }
    }

    fn wants_piece(&self) -> bool {
        self.pace != Pace::Ready && self.piece.is_empty() && self.tail.is_empty()
    }

    fn has_bytes(&self) -> bool {
        !(self.lead.is_empty() && self.piece.is_empty() && self.tail.is_empty())
            || (self.pace == Pace::Ready && !self.body.is_finished())
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Stuck>> {
        let failed = |reason: &str| Poll::Ready(Err(Stuck::Source(reason.into())));
        let frame = ready!(self.body.poll_next(cx)).transpose().map_err(Stuck::Source)?;
        let ended = frame.is_none() || self.body.is_finished();
        // Trailers are dropped: no upstream has asked for any (RFC 9110 §6.5.1).
        let data = frame.and_then(|frame| frame.into_data().ok()).unwrap_or_default();
        match &mut self.pace {
            Pace::Ready => {}
            Pace::Counted(left) => {
                let Some(rest) = left.checked_sub(data.len() as u64) else {
                    return failed("it is longer than announced");
                };
                *left = rest;
                if ended && rest > 0 {
                    return failed("it is shorter than announced");
                }
            }
            Pace::Chunked => {
                if !data.is_empty() {
                    // Writing to memory does not fail.
                    let _ = write!(self.lead, "{:x}\r\n", data.len());
                    self.tail = b"\r\n";
                }
                if ended {
                    self.tail = if data.is_empty() { b"0\r\n\r\n" } else { b"\r\n0\r\n\r\n" };
                }
            }
        }
        self.piece = data;
        if ended {
            self.body = Outgoing::Empty;
            self.pace = Pace::Ready;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, socket: &mut Box<dyn Socket>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let ready: &[Bytes] = match &self.body {
            Outgoing::Whole(bytes) => std::slice::from_ref(bytes),
            Outgoing::Pieces(pieces) => pieces.as_slice(),
            Outgoing::Empty | Outgoing::Streamed(_) => &[],
        };
        let lead = self.lead.get(self.lead_written..).unwrap_or_default();
        let all = [lead, &self.piece, self.tail].into_iter().chain(ready.iter().map(|bytes| &**bytes));
        let mut filled = 0;
        for (slice, bytes) in slices.iter_mut().zip(all.filter(|bytes| !bytes.is_empty())) {
            *slice = IoSlice::new(bytes);
            filled += 1;
        }
        let slices = slices.get(..filled).unwrap_or_default();
        let n = ready!(Pin::new(socket).poll_write_vectored(cx, slices))?;
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.written += n as u64;
        self.flushed = false;
        self.advance(n);
        Poll::Ready(Ok(()))
    }

    /// Lets go of the `n` bytes that the socket has taken.
    fn advance(&mut self, mut n: usize) {
        let lead = n.min(self.lead.len() - self.lead_written);
        self.lead_written += lead;
        n -= lead;
        if self.lead_written == self.lead.len() {
            (self.lead, self.lead_written) = (Vec::new(), 0);
        }
        n -= pass(&mut self.piece, n);
        let tail = n.min(self.tail.len());
        self.tail = self.tail.get(tail..).unwrap_or_default();
        n -= tail;
        match &mut self.body {
            Outgoing::Whole(bytes) => {
                pass(bytes, n);
            }
            Outgoing::Pieces(pieces) => {
                while let Some(first) = pieces.as_mut_slice().first_mut() {
                    n -= pass(first, n);
                    if !first.is_empty() {
                        break;
                    }
                    pieces.next();
                }
            }
            Outgoing::Empty | Outgoing::Streamed(_) => {}
        }
    }

    /// Bytes that the socket has taken.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn is_finished(&self) -> bool {
        self.pace == Pace::Ready && !self.has_bytes() && self.flushed
    }

    /// What is known for sure errs towards "more has left".
    pub(super) fn stage(&self) -> Stage {
        match (self.written, self.is_finished()) {
            (0, _) => Stage::NotSent,
            (_, false) => Stage::Sending,
            (_, true) => Stage::Waiting,
        }
    }

    /// Why the peer took no more, if that is so.
    pub(super) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// The body, if it is as it was: nothing of the request has left, and no source has been drawn on.
    pub(super) fn into_unsent(self) -> Option<Outgoing> {
        let drawn = !self.piece.is_empty() || !self.tail.is_empty();
        (self.written == 0 && !drawn && self.pace == Pace::Ready).then_some(self.body)
    }
}

/// Drops up to `n` bytes from the front and says how many.
fn pass(bytes: &mut Bytes, n: usize) -> usize {
    let n = n.min(bytes.len());
    if n == bytes.len() {
        *bytes = Bytes::new();
    } else {
        bytes.advance(n);
    }
    n
}
