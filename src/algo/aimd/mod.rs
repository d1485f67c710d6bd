//! How many requests may be at a key at the same moment: more by one for a round of successes, a fifth
//! less for a word of overload (AIMD). RESILIENCE §4.13.
//!
//! Whole answers' durations say nothing here: they go by the answers' lengths. The time to a stream's
//! first token says something, on average, where `ttft_rise` asks for it. Before anybody said "overloaded"
//! nothing is known, and only `max` holds: a limit made of nothing would refuse what the upstream takes.
//!
//! One more for a round is slow when rounds last for seconds and an overload has taken a hundred down to five. So the
//! limit that held before it is remembered, as TCP remembers a window that was good (RFC 5681, RFC 9438), and after
//! some calm the limit tries to be there again by a quarter more a round, the gain with which BBR probes: one cut
//! takes back what one such round was too much. Where the calm does not last, the next try waits twice as long; an
//! upstream that has become smaller for good is tried a handful of times.

use std::time::Duration;

use super::tick::Tick;

/// What is left of the limit after a word of overload.
const CUT: f64 = 0.8;
/// What is left of it after first tokens came late.
const SOFT_CUT: f64 = 0.9;
/// How much more a round of successes is worth while the limit of before an overload is tried again.
const REGAIN: f64 = 0.25;
/// Without a word of overload for this long, it is tried for the first time. Longer than a limit takes that goes up
/// and down at what an upstream has room for.
const CALM: Duration = Duration::from_secs(5);
/// Who would have to wait for longer has become smaller for good.
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
    /// What held before the overload, while the limit is below it.
    lost: Option<Lost>,
    pace: Pace,
}

/// A limit that is to be regained.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Lost {
    limit: f64,
    /// How long it has to be calm first.
    calm: Duration,
    /// It grew by a try since the last cut.
    tried: bool,
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
            lost: None,
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

    /// A request went well, one of `in_flight`. A limit that is not half used was not what made it go well; and
    /// in the second after a cut, further words of which cut nothing, successes add nothing either, or quick
    /// ones would outrun the cuts.
    pub fn succeeded(&mut self, in_flight: u32, now: Tick) {
        self.proven = true;
        let Some(limit) = self.limit else { return };
        if f64::from(in_flight) * 2.0 < limit || self.is_fresh(now) {
            return;
        }
        let calm = self.cut_at.map_or(Duration::MAX, |at| now.since(at));
        let lost = self.lost.as_mut().filter(|lost| calm >= lost.calm);
        let step = match lost {
            _ if limit < self.regain => 1.0,
            Some(lost) => {
                lost.tried = true;
                REGAIN.max(1.0 / limit)
            }
            None => 1.0 / limit,
        };
        let limit = (limit + step).min(f64::from(self.settings.max));
        self.limit = Some(limit);
        self.lost = self.lost.filter(|lost| limit < lost.limit);
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
        let from = self.limit.unwrap_or_else(|| f64::from(start.max(in_flight)));
        let from = from.min(f64::from(max));
        let limit = (from * factor).max(least).max(1.0);
        self.lost = match self.lost {
            // Of the first overload nobody knows whether what was in flight was good.
            None => Some(Lost {
                limit: if self.limit.is_some() { from } else { limit },
                calm: CALM,
                tried: false,
            }),
            Some(lost) if lost.tried => {
                let calm = lost.calm * 2;
                (calm <= LONGEST_CALM).then_some(Lost { calm, tried: false, ..lost })
            }
            lost @ Some(_) => lost,
        };
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
