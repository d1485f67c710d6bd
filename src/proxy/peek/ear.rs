//! Takes in a stream chunk by chunk while nothing of it goes to anybody, and gives it up in time.
//!
//! Knows when something has come and what it was; how much of it is enough is said by whoever listens.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::timeout_at;

use super::{Look, Peeked, Seen};
use crate::algo::tick::Tick;
use crate::config;
use crate::dialect::scan::Thinks;
use crate::proxy::attempt::{Failed, failed};
use crate::state::{Live, Permit};
use crate::upstream::Incoming;
use crate::vocab::Fault;

/// What a terminated stream may still take to end by itself.
const LINGER: Duration = Duration::from_secs(1);

/// When a stream is given up of which nothing goes on yet.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The first content has to be here by then.
    pub first: Tick,
    /// Longest silence behind it.
    pub idle: Duration,
    /// Longest time without content behind it, whatever else comes.
    pub content_idle: Option<Duration>,
    /// The request's own end.
    pub deadline: Tick,
}

impl Times {
    /// `thinks`: the request has its model think.
    pub fn new(first: Tick, timeouts: &config::Timeouts, thinks: Thinks, deadline: Tick) -> Self {
        Self { first, idle: idle(timeouts, thinks), content_idle: timeouts.content_idle, deadline }
    }
}

/// Silence within an answer of a model that is known to think is no longer than this, unless `idle` says so.
const THINKING: Duration = Duration::from_secs(90);

/// Longest silence within an answer: three times as long where the request has its model think.
pub fn idle(timeouts: &config::Timeouts, thinks: Thinks) -> Duration {
    match thinks {
        Thinks::Yes => timeouts.idle.max((timeouts.idle * 3).min(THINKING)),
        Thinks::Unsaid => timeouts.idle,
    }
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Chunk,
    /// The upstream's end.
    End,
    /// The dialect's end, some time ago; the transport's does not come.
    Lingers,
}

pub(super) struct Ear<'e> {
    pub peeked: Peeked,
    pub upstream: Incoming,
    pub seen: Seen,
    /// All that came.
    pub bytes: u64,
    live: &'e Live,
    permit: &'e Permit,
    times: Times,
    /// When the last chunk came, and the last content.
    last: Tick,
    last_content: Tick,
}

impl<'e> Ear<'e> {
    pub fn new(peeked: Peeked, upstream: Incoming, live: &'e Live, permit: &'e Permit, times: Times) -> Self {
        let now = live.now();
        Self {
            peeked,
            upstream,
            seen: Seen::default(),
            bytes: 0,
            live,
            permit,
            times,
            last: now,
            last_content: now,
        }
    }

    /// Waits for the next chunk, and takes it in.
    pub async fn next(&mut self) -> Result<Came, Box<Failed>> {
        loop {
            let until = self.live.clock.instant(self.until());
            let frame = match timeout_at(until, self.upstream.frame()).await {
                Err(_) if self.peeked.watch.is_terminated() => return Ok(Came::Lingers),
                Err(_) => return Err(self.overdue()),
                Ok(Some(Err(error))) => {
                    let fault = if error.fault == Fault::StreamCut { Fault::Truncated } else { error.fault };
                    return Err(failed(fault, self.broken()));
                }
                Ok(None) => {
                    self.peeked.close()?;
                    return Ok(Came::End);
                }
                Ok(Some(Ok(frame))) => frame,
            };
            self.last = self.live.now();
            let Ok(chunk) = frame.into_data() else { continue };
            self.bytes += chunk.len() as u64;
            if self.peeked.take(chunk, &mut self.seen)? == Look::Commits {
                self.last_content = self.last;
                if self.peeked.first_content.is_none() {
                    self.peeked.first_content = Some(self.last);
                    self.permit.content_flows();
                }
            }
            return Ok(Came::Chunk);
        }
    }

    /// Whether content has come.
    pub const fn has_content(&self) -> bool {
        self.peeked.first_content.is_some()
    }

    /// For how long content has come.
    pub fn flowed(&self) -> Option<Duration> {
        self.peeked.first_content.map(|first| self.last_content.since(first))
    }

    fn until(&self) -> Tick {
        let Times { first, idle, content_idle, deadline } = self.times;
        if self.peeked.watch.is_terminated() {
            return self.last_content + LINGER;
        }
        if !self.has_content() {
            return first.min(deadline);
        }
        let empty = content_idle.map_or(Tick::MAX, |limit| self.last_content + limit);
        (self.last + idle).min(empty).min(deadline)
    }

    fn overdue(&self) -> Box<Failed> {
        if !self.has_content() {
            failed(Fault::FirstEventTimeout, "no content in time")
        } else if self.live.now() >= self.times.deadline {
            failed(Fault::DeadlineExceeded, "the deadline passed while the stream was held back")
        } else {
            failed(Fault::StreamStalled, "the stream stalled while it was held back")
        }
    }

    fn broken(&self) -> &'static str {
        if self.has_content() {
            "the stream broke off while it was held back"
        } else {
            "the stream ended before any content"
        }
    }
}
