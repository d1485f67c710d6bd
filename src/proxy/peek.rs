//! Holds a stream back until its first content, so that an error that comes inside a 200 can still
//! be answered by another channel (RESILIENCE §5.5).
//!
//! Lifecycle events, role-only deltas, pings and comments do not commit. What was held goes to the
//! caller afterwards byte for byte.

use std::collections::VecDeque;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::attempt::{Failed, Spoken, failed};
use crate::config::Limits;
use crate::dialect::classify::InBand;
use crate::dialect::framing::{Frame, Framing, Splitter};
use crate::dialect::translate;
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
    /// An in-band error came right behind the content that committed; in the same dialect `ready` ends
    /// with it.
    pub error: Option<InBand>,
    pub broken_events: u64,
    /// For a caller of another dialect.
    translation: Option<translate::Stream>,
    /// The caller's terminator is among what is ready.
    end_said: bool,
}

/// How a stream is listened to.
pub struct Listener<'l> {
    pub spoken: &'l Spoken,
    pub framing: Framing,
    pub strip_usage: bool,
    pub translation: Option<translate::Stream>,
}

/// What a look at the frames at hand says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Nothing,
    Commits,
}

pub async fn peek(
    listener: Listener<'_>,
    mut upstream: Incoming,
    limits: &Limits,
    until: Instant,
) -> Result<(Peeked, Incoming), Box<Failed>> {
    let Listener { spoken, framing, strip_usage, translation } = listener;
    let mut peeked = Peeked {
        splitter: Splitter::new(framing),
        watch: Watch::new(spoken.dialect, spoken.operation, framing),
        ready: VecDeque::new(),
        strip_usage,
        ended: false,
        error: None,
        broken_events: 0,
        translation,
        end_said: false,
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
        match self.watch.frame(frame) {
            Beat::Error(in_band) if self.error.is_none() && self.watch.content_events() == 0 => {
                return Err(fault_of(in_band));
            }
            Beat::Error(in_band) => {
                if !self.is_translated() {
                    self.ready.push_back(frame.raw.clone());
                }
                self.error = Some(in_band);
                return Ok(Look::Commits);
            }
            Beat::Broken => {
                self.broken_events += 1;
                self.pass(frame);
                return Ok(Look::Nothing);
            }
            Beat::UsageOnly if self.strip_usage => return Ok(Look::Nothing),
            Beat::UsageOnly | Beat::Lifecycle => {
                self.pass(frame);
                return Ok(Look::Nothing);
            }
            Beat::Content | Beat::Finish => self.pass(frame),
            Beat::Terminal => {
                self.pass(frame);
                self.say_end();
            }
        }
        Ok(Look::Commits)
    }

    pub fn is_translated(&self) -> bool {
        self.translation.is_some()
    }

    /// Makes a frame ready for the caller: as it is, or as his dialect says it.
    pub fn pass(&mut self, frame: &Frame) {
        match &mut self.translation {
            None => self.ready.push_back(frame.raw.clone()),
            Some(translation) => match translation.frame(frame) {
                Ok(said) => {
                    if !said.is_empty() {
                        self.ready.push_back(said);
                    }
                }
                // What cannot be read can be said to nobody.
                Err(_) => self.broken_events += 1,
            },
        }
    }

    /// Says the caller's own end, once; in the same dialect the upstream has said it.
    pub fn say_end(&mut self) {
        if let Some(translation) = &mut self.translation
            && !std::mem::replace(&mut self.end_said, true)
        {
            self.ready.push_back(translation.end());
        }
    }

    /// The whole answer, once, where it has ended and is to be remembered.
    pub fn take_whole(&mut self) -> Option<String> {
        self.translation.as_mut()?.take_whole()
    }

    /// The number of the caller's next event, where its dialect counts them.
    pub fn next_sequence(&self) -> u64 {
        match &self.translation {
            Some(translation) => translation.next_sequence(),
            None => self.watch.next_sequence(),
        }
    }

    /// The upstream ended cleanly and nothing has committed.
    fn close(mut self) -> Result<Self, Box<Failed>> {
        if let Some(rest) = self.splitter.leftover() {
            self.look(&rest)?;
        }
        match self.watch.end() {
            Ending::Complete { missing_terminator } => {
                self.complete(missing_terminator);
                self.ended = true;
                Ok(self)
            }
            Ending::Truncated => Err(failed(Fault::Truncated, "the stream ended before any content")),
        }
    }
}

impl Peeked {
    /// The stream is whole; the caller gets what his dialect ends with.
    pub fn complete(&mut self, missing_terminator: Option<&'static [u8]>) {
        if self.is_translated() {
            self.say_end();
        } else {
            self.ready.extend(missing_terminator.map(Bytes::from_static));
        }
    }
}

fn fault_of(in_band: InBand) -> Box<Failed> {
    let failure = Failure { fault: in_band.fault, stage: Stage::Headers, hint: in_band.hint };
    Box::new(Failed {
        message: Some(in_band.message),
        detail: Some("an error inside a 200".to_owned()),
        ..Failed::new(failure)
    })
}
