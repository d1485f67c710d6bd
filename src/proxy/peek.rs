//! Holds a stream back until its first content, so that an error that comes inside a 200 can still
//! be answered by another channel (RESILIENCE §5.5).
//!
//! Lifecycle events, role-only deltas, pings and comments do not commit. What was held goes to the
//! caller afterwards byte for byte.

use std::collections::VecDeque;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::attempt::{Failed, failed};
use super::intake::Guest;
use crate::config::Limits;
use crate::dialect::classify::InBand;
use crate::dialect::framing::{Frame, Framing, Splitter};
use crate::dialect::watch::{Beat, Ending, Watch};
use crate::route::Failure;
use crate::upstream::Incoming;
use crate::vocab::{Fault, Stage};

/// A stream in the middle: what was read and not sent, and who understands what follows.
pub struct Peeked {
    pub splitter: Splitter,
    pub watch: Watch,
    /// Ready for the caller, in order.
    pub ready: VecDeque<Bytes>,
    /// Drop the chunk with usage that only we asked for.
    pub strip_usage: bool,
    /// The upstream has said all.
    pub ended: bool,
    /// An in-band error came right behind the content that committed; `ready` ends with it.
    pub error: Option<Fault>,
    pub broken_events: u64,
}

/// What a look at the frames at hand says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Nothing,
    Commits,
}

pub async fn peek(
    guest: &Guest,
    framing: Framing,
    mut upstream: Incoming,
    strip_usage: bool,
    limits: &Limits,
    until: Instant,
) -> Result<(Peeked, Incoming), Box<Failed>> {
    let mut peeked = Peeked {
        splitter: Splitter::new(framing),
        watch: Watch::new(guest.dialect, guest.operation, framing),
        ready: VecDeque::new(),
        strip_usage,
        ended: false,
        error: None,
        broken_events: 0,
    };
    let (mut bytes, mut events) = (0_u64, 0_u32);
    loop {
        let frame = match timeout_at(until, upstream.frame()).await {
            Err(_) => return Err(failed(Fault::FirstEventTimeout, "no content in time")),
            Ok(Some(Err(error))) => {
                let fault = if error.fault == Fault::StreamCut { Fault::Truncated } else { error.fault };
                return Err(failed(fault, "the stream ended before any content"));
            }
            Ok(None) => return peeked.close().map(|peeked| (peeked, upstream)),
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(chunk) = frame.into_data() else { continue };
        bytes += chunk.len() as u64;
        let look = peeked.take(chunk, &mut events)?;
        if look == Look::Commits || bytes >= limits.peek_bytes || events >= limits.peek_events {
            return Ok((peeked, upstream));
        }
    }
}

impl Peeked {
    fn take(&mut self, chunk: Bytes, events: &mut u32) -> Result<Look, Box<Failed>> {
        let mut look = Look::Nothing;
        self.splitter.push(chunk);
        loop {
            let frame = match self.splitter.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(look),
                Err(error) => return Err(failed(Fault::Protocol, &error.to_string())),
            };
            *events += 1;
            if self.look(&frame)? == Look::Commits {
                look = Look::Commits;
            }
        }
    }

    fn look(&mut self, frame: &Frame) -> Result<Look, Box<Failed>> {
        let beat = self.watch.frame(frame);
        match beat {
            Beat::Error(in_band) if self.error.is_none() && self.watch.content_events() == 0 => {
                return Err(fault_of(in_band));
            }
            Beat::Error(_) => self.error = Some(Fault::StreamError),
            Beat::Broken => self.broken_events += 1,
            Beat::UsageOnly if self.strip_usage => return Ok(Look::Nothing),
            Beat::UsageOnly | Beat::Lifecycle | Beat::Content | Beat::Finish | Beat::Terminal => {}
        }
        self.ready.push_back(frame.raw.clone());
        Ok(match beat {
            Beat::Content | Beat::Finish | Beat::Terminal | Beat::Error(_) => Look::Commits,
            Beat::Lifecycle | Beat::UsageOnly | Beat::Broken => Look::Nothing,
        })
    }

    /// The upstream ended cleanly and nothing has committed.
    fn close(mut self) -> Result<Self, Box<Failed>> {
        if let Some(rest) = self.splitter.leftover() {
            self.look(&rest)?;
        }
        match self.watch.end() {
            Ending::Complete { missing_terminator } => {
                self.ready.extend(missing_terminator.map(Bytes::from_static));
                self.ended = true;
                Ok(self)
            }
            Ending::Truncated => Err(failed(Fault::Truncated, "the stream ended before any content")),
        }
    }
}

fn fault_of(in_band: InBand) -> Box<Failed> {
    let failure = Failure { fault: in_band.fault, stage: Stage::Headers, hint: in_band.hint };
    Box::new(Failed {
        failure,
        message: Some(in_band.message),
        detail: Some("an error inside a 200".to_owned()),
        spare: None,
    })
}
