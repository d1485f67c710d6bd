//! How many requests may be at a key at the same moment: more by one for a round of successes, a fifth
//! less for a word of overload (AIMD). RESILIENCE §4.13.
//!
//! Whole answers' durations say nothing here: they go by the answers' lengths. The time to a stream's
//! first token says something, on average, where `ttft_rise` asks for it. Before anybody said "overloaded"
//! nothing is known, and only `max` holds: a limit made of nothing would refuse what the upstream takes.
//!
//! One more for a round is slow when rounds last for seconds and an overload has taken a hundred down to five, and what
//! a refusal taught gets old: it may have been the upstream's bad minute, at three requests of ours, and the next
//! outage elsewhere brings forty. So after some calm the limit is tried: it grows by a quarter in each round that uses
//! it, the gain with which BBR probes, and doubles by the clock if that is more, used or not. A try that is refused
//! before it held as long as it was waited for makes the next one wait twice as long, so an upstream that has become
//! smaller for good is tried a handful of times.

use std::time::Duration;

use super::tick::Tick;

/// What is left of the limit after a word of overload.
const CUT: f64 = 0.8;
/// What is left of it after first tokens came late.
const SOFT_CUT: f64 = 0.9;
/// How much more a round of successes is worth in a try.
const GAIN: f64 = 0.25;
/// In a try the limit doubles by the clock in so long.
const DOUBLING: Duration = Duration::from_secs(3);
/// Without a word of overload for this long, the limit is tried for the first time. Longer than one takes that goes up
/// and down at what an upstream has room for.
const CALM: Duration = Duration::from_secs(3);
/// No try waits for longer.
const LONGEST_CALM: Duration = Duration::from_mins(5);
/// One overload brings many words of it; they cut once.
const CUT_EVERY: Duration = Duration::from_secs(1);
/// First tokens whose mean says something.
const PACE_SAMPLES: u32 = 20;
/// The share of a new mean in the usual one.
const PACE_GAIN: f64 = 0.05;
/// The same for a mean that counts as late, so that it takes long until late is usual.
const LATE_GAIN: f64 = 0.01;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    pub mode: Mode,
    /// Where the limit begins with the first overload, if no more was in flight.
    pub start: u32,
    /// It never falls below this.
    pub min: u32,
    /// It never grows beyond this, and is this before the first overload.
    pub max: u32,
    /// A mean time to first token of more than so many times the usual one is a slight overload.
    pub ttft_rise: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Adaptive,
    /// Always `max`.
    Fixed,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Aimd {
    settings: Settings,
    /// `None` while no overload was heard of.
    limit: Option<f64>,
    /// Up to here the limit comes back by one for each success, beyond by one for each round of them.
    regain: f64,
    /// Whether anything went well since the last cut.
    proven: bool,
    cut_at: Option<Tick>,
    /// The last success.
    good_at: Tick,
    /// How long it has to be calm before the limit is tried where the last try was refused.
    calm: Duration,
    /// Where that was.
    refused: f64,
    trying: Option<Try>,
    pace: Pace,
}

/// A limit that grows because it has been calm.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Try {
    /// What the limit was before.
    from: f64,
    /// When more than that was first in flight and went well.
    used_at: Option<Tick>,
}

/// Times to first tokens, in seconds.
#[derive(Clone, Debug, Default, PartialEq)]
struct Pace {
    usual: Option<f64>,
    sum: f64,
    count: u32,
}

impl Aimd {
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            limit: None,
            regain: 0.0,
            proven: false,
            cut_at: None,
            good_at: Tick::ZERO,
            calm: CALM,
            refused: 0.0,
            trying: None,
            pace: Pace::default(),
        }
    }

    /// Keeps what was learnt.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Most requests in flight.
    pub fn limit(&self) -> u32 {
        let Settings { mode, min, max, .. } = self.settings;
        match (mode, self.limit) {
            (Mode::Adaptive, Some(limit)) => (limit as u32).clamp(min.min(max), max),
            (Mode::Adaptive, None) | (Mode::Fixed, _) => max,
        }
    }

    /// A request went well, one of `in_flight`. A limit that is not half used was not what made it go well, so only the
    /// clock adds to it; and in the second after a cut, further words of which cut nothing, successes add nothing
    /// either, or quick ones would outrun the cuts.
    pub fn succeeded(&mut self, in_flight: u32, now: Tick) {
        self.proven = true;
        let before = std::mem::replace(&mut self.good_at, now);
        let Some(limit) = self.limit.filter(|_| !self.is_fresh(now)) else { return };
        // Far below where a try was refused, that says nothing; and one that goes on is not stopped there.
        let from = self.trying.map_or(limit, |tried| tried.from);
        let calm = if from * 2.0 < self.refused { CALM } else { self.calm };
        let calm_at = self.cut_at.map_or(now, |at| at + calm);
        let (gain, aged) = if now >= calm_at {
            let tried = self.trying.get_or_insert(Try { from: limit, used_at: None });
            if f64::from(in_flight) > tried.from {
                tried.used_at.get_or_insert(now);
            }
            (GAIN, limit * (now.since(calm_at.max(before)).as_secs_f64() / DOUBLING.as_secs_f64()).exp2())
        } else {
            (0.0, limit)
        };
        let step = if f64::from(in_flight) * 2.0 < limit {
            0.0
        } else if limit < self.regain {
            1.0
        } else {
            gain.max(1.0 / limit)
        };
        self.limit = Some((limit + step).max(aged).min(f64::from(self.settings.max)));
    }

    /// The upstream said that this was too much, with `in_flight` requests of ours.
    pub fn overloaded(&mut self, in_flight: u32, now: Tick) {
        self.cut(CUT, f64::from(self.settings.min), in_flight, now);
    }

    /// A stream's first token came after `ttft`.
    pub fn first_token(&mut self, ttft: Duration, in_flight: u32, now: Tick) {
        let Some(rise) = self.settings.ttft_rise else { return };
        let pace = &mut self.pace;
        pace.sum += ttft.as_secs_f64();
        pace.count += 1;
        if pace.count < PACE_SAMPLES {
            return;
        }
        let mean = pace.sum / f64::from(pace.count);
        (pace.sum, pace.count) = (0.0, 0);
        let usual = pace.usual.unwrap_or(mean);
        let late = mean > usual * rise;
        pace.usual = Some(usual + (mean - usual) * if late { LATE_GAIN } else { PACE_GAIN });
        // Nobody refused anything, so this never takes the limit below where it begins.
        let least = f64::from(self.settings.start).max(f64::from(self.settings.min));
        if late && self.limit.is_none_or(|limit| limit > least) {
            self.cut(SOFT_CUT, least, in_flight, now);
        }
    }

    /// Whether the last cut is too new for its effect to be seen.
    fn is_fresh(&self, now: Tick) -> bool {
        self.cut_at.is_some_and(|at| now.since(at) < CUT_EVERY)
    }

    fn cut(&mut self, factor: f64, least: f64, in_flight: u32, now: Tick) {
        if self.is_fresh(now) {
            return;
        }
        let Settings { start, max, .. } = self.settings;
        let (tried, in_use) = (self.trying.take(), f64::from(in_flight));
        let from = match (self.limit, tried) {
            (None, _) => in_use.max(f64::from(start)),
            // What was allowed and not used was not what was too much.
            (Some(limit), Some(tried)) => limit.min(in_use.max(tried.from)),
            (Some(limit), None) => limit,
        };
        let limit = (from.min(f64::from(max)) * factor).max(least).max(1.0);
        match tried {
            Some(Try { used_at: Some(at), .. }) if now.since(at) >= self.calm => self.calm = CALM,
            Some(tried) if tried.used_at.is_some() || in_use > tried.from => {
                self.calm = if from * 2.0 < self.refused { CALM } else { self.calm };
                self.calm = (self.calm * 2).min(LONGEST_CALM);
                self.refused = from;
            }
            _ => {}
        }
        // Cuts with nothing good in between are one overload: what its first one left was not yet found wrong.
        if self.proven || self.limit.is_none() {
            self.regain = limit;
        }
        self.limit = Some(limit);
        self.proven = false;
        self.cut_at = Some(now);
    }
}

#[cfg(test)]
mod tests;
