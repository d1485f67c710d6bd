//! A stream that breaks off: another channel is asked to go on with it, or its caller is told.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;

use super::super::patience::{Ends, Overdue};
use super::super::{Audience, KEEP_ALIVE};
use super::{Flow, Streaming};
use crate::algo::tick::Tick;
use crate::dialect::Dialect;
use crate::dialect::classify::InBand;
use crate::dialect::translate::Untold;
use crate::dialect::trouble::{self, Kind, Trouble};
use crate::dialect::watch::Ending;
use crate::proxy::drive::parting;
use crate::proxy::onward::{Ended, Joined, Onward, Party};
use crate::proxy::strike;
use crate::state::permit::Repeat;
use crate::telemetry::StreamOutcome;
use crate::vocab::{Class, Fault, RateHint, Stage};

/// What becomes of a stream that broke off.
pub(super) struct Pending {
    pub(super) joining: Pin<Box<dyn Future<Output = Result<Joined, Ended>> + Send>>,
    pub(super) broken: Break,
}

/// How a stream broke off.
pub(super) struct Break {
    pub(super) fault: Fault,
    /// What the upstream said of it.
    pub(super) in_band: Option<InBand>,
    /// Its own words, where they could go to the caller as they are.
    pub(super) raw: VecDeque<Bytes>,
}

impl Streaming {
    /// The stream cannot go on as it is: another channel goes on, or the caller is told.
    pub(super) fn breaks(&mut self, mut broken: Break) {
        if self.audience == Audience::Nobody {
            return self.ends_unheard();
        }
        if broken.in_band.is_none()
            && self.peeked.told().is_some()
            && let Ending::Complete { missing_terminator } = self.peeked.watch.end()
        {
            // Nothing but the end was still to come.
            match self.peeked.complete(missing_terminator) {
                Ok(()) => return self.finish(StreamOutcome::Unterminated),
                Err(untold) => broken = untold.into(),
            }
        }
        if broken.may_be_gone_on_with() && self.peeked.told().is_some() {
            self.go_on(broken);
        } else {
            self.fail_as(broken);
        }
    }

    /// Asks another channel to go on.
    pub(super) fn go_on(&mut self, broken: Break) {
        if !matches!(self.open, Some((_, Party::Onward(_)))) {
            return self.fail_as(broken);
        }
        self.book_usage();
        let (Some((permit, Party::Onward(onward))), Some(stream)) =
            (self.open.take(), self.peeked.hand_over())
        else {
            return;
        };
        permit.fail(broken.fault.behind_content(), Stage::Committed, &RateHint::default(), Repeat::First);
        let joining = Box::pin(onward.go_on(stream, Arc::clone(&self.channel)));
        self.stage = Flow::Onward(Box::new(Pending { joining, broken }));
    }

    /// Nothing of the next channel comes for now.
    pub(super) fn wait_for_another(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let nudge = self.keep_alive.map_or(Tick::MAX, |_| self.last_said + KEEP_ALIVE);
        // Whoever asks keeps all deadlines, and looks whether everything has to end.
        match ready!(self.patience.poll(&self.gateway, Ends { nudge, ..Ends::default() }, cx)) {
            Overdue::Nudge => {
                self.last_said = self.gateway.live.now();
                self.peeked.ready.extend(self.keep_alive.map(Bytes::from_static));
            }
            Overdue::CutOff | Overdue::TooLate | Overdue::Silent | Overdue::Stalled => {}
        }
        Poll::Ready(())
    }

    /// Another channel goes on, or none does.
    pub(super) fn went_on(&mut self, joined: Result<Joined, Ended>) {
        let Flow::Onward(pending) = std::mem::replace(&mut self.stage, Flow::Over) else { return };
        match joined {
            Ok(Joined { onward, permit, peeked, upstream, method }) => {
                self.mark(&onward, method);
                let before = std::mem::take(&mut self.peeked.ready);
                self.peeked = *peeked;
                for bytes in before.into_iter().rev() {
                    self.peeked.ready.push_front(bytes);
                    self.peeked.error_at += 1;
                }
                self.channel = Arc::clone(permit.channel());
                self.open = Some((permit, Party::Onward(onward)));
                self.stage = if self.peeked.ended { Flow::Ended } else { Flow::Open(upstream) };
                let now = self.gateway.live.now();
                (self.last, self.last_content, self.last_said) = (now, now, now);
                (self.flows_since, self.longest_gap) = (now, Duration::ZERO);
                self.begin();
            }
            Err(Ended { onward, stream, why }) => {
                if let Some(stream) = stream {
                    self.peeked.take_back(stream);
                }
                let mut party = Party::Onward(onward);
                self.say_failure(why.map_or(pending.broken, Break::of), &mut party);
            }
        }
    }

    /// Says, where the caller's dialect has comments, that somebody else goes on.
    pub(super) fn mark(&mut self, onward: &Onward, method: crate::dialect::continuation::Method) {
        if trouble::has_comments(self.dialect) {
            let mark = format!(": mainstay-continued leg={} method={}\n", onward.legs(), method.name());
            self.peeked.ready.push_back(mark.into());
        }
    }

    /// Ends a stream that broke off in the middle.
    pub(super) fn fail_as(&mut self, broken: Break) {
        if self.audience == Audience::Nobody {
            return self.ends_unheard();
        }
        self.book_usage();
        let Some((permit, mut party)) = self.open.take() else { return };
        permit.fail(broken.fault.behind_content(), Stage::Committed, &RateHint::default(), Repeat::First);
        self.say_failure(broken, &mut party);
    }

    /// In the upstream's own words if the caller can read them, in ours otherwise.
    pub(super) fn say_failure(&mut self, broken: Break, party: &mut Party) {
        let Break { fault, mut in_band, mut raw } = broken;
        if let Some(in_band) = &mut in_band {
            strike::text(&self.channel, &mut in_band.message);
        }
        for words in &mut raw {
            strike::bytes(&self.channel, words);
        }
        self.stage = Flow::Failing(fault);
        if raw.is_empty() {
            let trouble = match in_band {
                Some(in_band) => self.trouble_of(in_band),
                None => trouble_of(fault, &self.channel.label),
            };
            let sequence = self.peeked.next_sequence();
            let begun = self.peeked.begun();
            self.peeked.ready.push_back(trouble::in_band(&trouble, self.dialect, sequence, begun.as_ref()));
        } else {
            self.peeked.ready.extend(raw);
            // Behind its own words Gemini ends its streams cleanly. Its CLI asks again then, and gives up where the
            // connection breaks as well.
            if self.dialect == Dialect::Gemini {
                self.stage = Flow::Ended;
            }
        }
        party.settle_mut().stream_ends(outcome_of(fault));
    }

    /// What the upstream said, for a caller of another dialect.
    pub(super) fn trouble_of(&self, in_band: InBand) -> Trouble {
        let (kind, what) = parting::kind_of(in_band.fault);
        let words = format!("{}: {what} ({})", self.channel.label, in_band.message);
        let mut trouble = Trouble::new(kind, trouble::known_by(kind, self.dialect, words));
        trouble.code = in_band.code.or_else(|| Some(in_band.fault.name().into()));
        trouble
    }
}

impl Break {
    pub(super) fn of(fault: Fault) -> Self {
        Self { fault, in_band: None, raw: VecDeque::new() }
    }

    /// The upstream said inside its stream that it failed; `raw` is how, for a caller of its dialect.
    pub(super) fn said(in_band: InBand, raw: impl Into<VecDeque<Bytes>>) -> Self {
        Self { fault: Fault::StreamError, in_band: Some(in_band), raw: raw.into() }
    }

    /// The upstream's failure, and not the request's: that would go with it.
    pub(super) fn may_be_gone_on_with(&self) -> bool {
        let about_request =
            self.in_band.as_ref().is_some_and(|said| said.fault.class() == Class::ClientFault);
        !about_request && !matches!(self.fault, Fault::DeadlineExceeded | Fault::Cancelled)
    }
}

impl From<Untold> for Break {
    fn from(untold: Untold) -> Self {
        match untold {
            Untold::Unreadable(_) => Self::of(Fault::Protocol),
            Untold::Failed(message) => Self::said(InBand::unnamed(message), []),
        }
    }
}

pub(super) fn outcome_of(fault: Fault) -> StreamOutcome {
    match fault {
        Fault::StreamError => StreamOutcome::Error,
        Fault::StreamStalled => StreamOutcome::Stalled,
        _ => StreamOutcome::Cut,
    }
}

pub(super) fn trouble_of(fault: Fault, channel: &str) -> Trouble {
    let (kind, what) = match fault {
        Fault::StreamStalled => (Kind::Timeout, "went silent in the middle of its answer"),
        Fault::DeadlineExceeded => (Kind::Timeout, "had not ended when the request's deadline passed"),
        Fault::Cancelled => (Kind::Unavailable, "was cut off because the gateway shuts down"),
        _ => (Kind::BadGateway, "broke off in the middle of its answer"),
    };
    let mut trouble =
        Trouble::new(kind, format!("the stream of {channel} {what}; what was sent is incomplete"));
    trouble.code = Some(fault.name().into());
    trouble
}
