//! What is left of a key's quota at one model, so that a request goes elsewhere before it is refused.
//!
//! Two sources. What the upstream says with each answer (`x-ratelimit-*` and its like) is the truth of a
//! moment: what was sent since is taken off, and what flows back is added where the limit is known, for
//! those who publish such headers run token buckets that fill evenly (OpenAI's and Anthropic's
//! documentation of rate limits). It only advises: an upstream may have more than it says, so a key
//! that looks short is asked when nobody else is left, and no prompt is ever too large to be sent. What the
//! operator configures (requests and tokens, a minute and a day) is counted here and binds; tokens
//! are let through while any of them is left, or the largest prompts would starve beside small ones.

mod kept;
mod limits;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use self::kept::{Kept, KeptLimit};
use self::limits::Limit;
pub use self::limits::{PerLimit, Tokens};
use super::slots::Slots;
use super::tick::Tick;

/// Slots of a minute, and one more that remembers: no sixty seconds see more than a minute's cap.
const MINUTE_SLOTS: usize = 12;
/// Slots of a day, and one more.
const DAY_SLOTS: usize = 24;
const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// A channel gets its whole weight down to this share of its quota, and less and less below it.
const AMPLE: f64 = 0.25;

/// What the operator allows; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens of prompts and answers a minute.
    pub tpm: Option<u64>,
    /// Requests in any 24 hours.
    pub rpd: Option<u64>,
    /// Tokens of prompts and answers in any 24 hours.
    pub tpd: Option<u64>,
}

/// What an upstream says of one of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    pub remaining: u64,
    pub limit: Option<u64>,
    /// From now until it is full again.
    pub reset_after: Option<Duration>,
}

/// Whether a request fits what is left.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    /// It does; the share of the scarcest limit that is left, 0..=1, is 1 where nothing is known.
    Fits { share: f64 },
    /// The upstream would probably refuse it.
    Short,
    /// A configured cap is reached; at this time enough of what was used has left its window.
    Capped { until: Tick },
}

#[derive(Clone, Debug)]
pub struct Quota {
    caps: Caps,
    /// What the upstream said.
    limits: PerLimit<Option<Limit>>,
    minute: Slots<Spent, { MINUTE_SLOTS + 1 }>,
    day: Slots<Spent, { DAY_SLOTS + 1 }>,
    /// How often the upstream said something. What it said last knows of all that was booked before.
    heard: u64,
}

/// What was booked for one request, to be set right when more is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booking {
    tokens: Tokens,
    at: Tick,
    heard: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spent {
    requests: u64,
    tokens: u64,
}

impl Quota {
    pub fn new(caps: Caps) -> Self {
        let (minute, day) = (Slots::new(minute_window()), Slots::new(day_window()));
        Self { caps, limits: PerLimit::default(), minute, day, heard: 0 }
    }

    /// Other caps; what was spent stays spent.
    pub fn reconfigure(&mut self, caps: Caps) {
        self.caps = caps;
    }

    /// How a request of about `tokens` stands now.
    pub fn standing(&self, tokens: Tokens, now: Tick) -> Standing {
        if let Some(until) = self.capped(now) {
            return Standing::Capped { until };
        }
        let mut share = 1.0_f64;
        for (limit, wanted) in self.limits.as_ref().zip(tokens.of_each()) {
            let Some((limit, left)) = limit.as_ref().and_then(|limit| Some((limit, limit.left(now)?))) else {
                continue;
            };
            // What is larger than the whole limit never fits; the upstream has to say what it makes of it.
            let wanted = limit.told.limit.map_or(wanted, |most| wanted.min(most));
            if left < wanted {
                return Standing::Short;
            }
            share = share.min(limit.share(left));
        }
        for (cap, used) in self.used(now).into_iter().flatten() {
            share = share.min(1.0 - used as f64 / cap.max(1) as f64);
        }
        Standing::Fits { share }
    }

    /// Books a request of about `tokens` that is about to leave.
    pub fn spend(&mut self, tokens: Tokens, now: Tick) -> Booking {
        for spent in [self.minute.current(now), self.day.current(now)] {
            spent.requests += 1;
            spent.tokens = spent.tokens.saturating_add(tokens.sum());
        }
        for (limit, spent) in self.limits.as_mut().zip(tokens.of_each()) {
            if let Some(limit) = limit {
                limit.spent = limit.spent.saturating_add(spent);
            }
        }
        Booking { tokens, at: now, heard: self.heard }
    }

    /// Takes back what [`spend`](Self::spend) booked for a request that never left.
    pub fn refund(&mut self, booking: Booking, now: Tick) {
        self.rebook(booking, PerLimit::default(), now);
    }

    /// Books what a request has used instead of what it was thought to use, where and when that was booked. What
    /// has left its window stays out of it.
    #[must_use]
    pub fn correct(&mut self, booking: Booking, used: Tokens, now: Tick) -> Booking {
        self.rebook(booking, used.of_each(), now);
        Booking { tokens: used, ..booking }
    }

    fn rebook(&mut self, booking: Booking, used: PerLimit<u64>, now: Tick) {
        let was = booking.tokens.of_each();
        let instead = |sum: u64, was: u64, used: u64| sum.saturating_sub(was).saturating_add(used);
        for spent in [self.minute.of(booking.at, now), self.day.of(booking.at, now)].into_iter().flatten() {
            spent.requests = instead(spent.requests, was.requests, used.requests);
            spent.tokens = instead(spent.tokens, was.tokens, used.tokens);
        }
        if booking.heard != self.heard {
            return;
        }
        for ((limit, was), used) in self.limits.as_mut().zip(was).zip(used) {
            if let Some(limit) = limit {
                limit.spent = instead(limit.spent, was, used);
            }
        }
    }

    /// What the upstream said with an answer that was read just now.
    pub fn heard(&mut self, said: PerLimit<Option<Told>>, now: Tick) {
        self.heard += 1;
        for (limit, told) in self.limits.as_mut().zip(said) {
            if let Some(told) = told {
                *limit = Some(Limit { told, at: now, spent: 0 });
            }
        }
    }

    /// What is believed to be left, for people, of what the upstream said and of the caps.
    pub fn left(&self, now: Tick) -> PerLimit<Option<u64>> {
        let told = self.limits.map(|limit| limit.and_then(|limit| limit.left(now)));
        let [rpm, tpm, rpd, tpd] = self.used(now).map(|cap| cap.map(|(cap, used)| cap.saturating_sub(used)));
        let requests = [told.requests, rpm, rpd].into_iter().flatten().min();
        let tokens = [told.tokens, tpm, tpd].into_iter().flatten().min();
        PerLimit { requests, tokens, ..told }
    }

    /// When the last of the caps that are reached has room again.
    fn capped(&self, now: Tick) -> Option<Tick> {
        let (requests, tokens) = (|spent: &Spent| spent.requests, |spent: &Spent| spent.tokens);
        let rpm = self.caps.rpm.and_then(|cap| room_at(&self.minute, requests, cap, now));
        let tpm = self.caps.tpm.and_then(|cap| room_at(&self.minute, tokens, cap, now));
        let rpd = self.caps.rpd.and_then(|cap| room_at(&self.day, requests, cap, now));
        let tpd = self.caps.tpd.and_then(|cap| room_at(&self.day, tokens, cap, now));
        rpm.max(tpm).max(rpd).max(tpd)
    }

    /// Cap and use of requests and tokens a minute, and of both a day.
    fn used(&self, now: Tick) -> [Option<(u64, u64)>; 4] {
        let minute = |of: fn(&Spent) -> u64| self.minute.live(now).map(of).fold(0, u64::saturating_add);
        let day = |of: fn(&Spent) -> u64| self.day.live(now).map(of).fold(0, u64::saturating_add);
        [
            self.caps.rpm.map(|cap| (cap, minute(|spent| spent.requests))),
            self.caps.tpm.map(|cap| (cap, minute(|spent| spent.tokens))),
            self.caps.rpd.map(|cap| (cap, day(|spent| spent.requests))),
            self.caps.tpd.map(|cap| (cap, day(|spent| spent.tokens))),
        ]
    }
}

/// When less than `cap` will be used, unless that is so now.
fn room_at<const B: usize>(
    slots: &Slots<Spent, B>,
    of: impl Fn(&Spent) -> u64,
    cap: u64,
    now: Tick,
) -> Option<Tick> {
    let mut used = slots.live(now).map(&of).fold(0, u64::saturating_add);
    let mut until = None;
    for (leaves, spent) in slots.leaving(now) {
        if used < cap {
            break;
        }
        used = used.saturating_sub(of(spent));
        until = Some(leaves);
    }
    until
}

fn minute_window() -> Duration {
    MINUTE.saturating_mul(MINUTE_SLOTS as u32 + 1) / MINUTE_SLOTS as u32
}

fn day_window() -> Duration {
    DAY.saturating_mul(DAY_SLOTS as u32 + 1) / DAY_SLOTS as u32
}

/// The part of its weight that a channel gets with this share of its quota left.
pub fn factor(share: f64) -> f64 {
    (share / AMPLE).clamp(0.05, 1.0)
}
