//! How many requests may be at a key at the same moment: more by one for a round of successes, a fifth
//! less for a word of overload (AIMD). RESILIENCE §4.13.
//!
//! Whole answers' durations say nothing here: they go by the answers' lengths. The time to a stream's
//! first token says something, on average, where `ttft_rise` asks for it. Before anybody said "overloaded"
//! nothing is known, and only `max` holds: a limit made of nothing would refuse what the upstream takes.

use std::time::Duration;

use super::tick::Tick;

/// What is left of the limit after a word of overload.
const CUT: f64 = 0.8;
/// What is left of it after first tokens came late.
const SOFT_CUT: f64 = 0.9;
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
    pace: Pace,
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
        Self { settings, limit: None, regain: 0.0, proven: false, cut_at: None, pace: Pace::default() }
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
        let step = if limit < self.regain { 1.0 } else { 1.0 / limit };
        self.limit = Some((limit + step).min(f64::from(self.settings.max)));
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
        let limit = (from.min(f64::from(max)) * factor).max(least).max(1.0);
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const USUAL: Settings = Settings { mode: Mode::Adaptive, start: 32, min: 1, max: 1024, ttft_rise: None };

    fn at(millis: u64) -> Tick {
        Tick::ZERO + Duration::from_millis(millis)
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Good(u32),
        Bad(u32),
        Token(u64),
        Wait(u64),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            (0_u32..200).prop_map(Event::Good),
            (0_u32..200).prop_map(Event::Bad),
            (1_u64..9_000).prop_map(Event::Token),
            (0_u64..3_000).prop_map(Event::Wait),
        ];
        proptest::collection::vec(event, 0..300)
    }

    proptest! {
        #[test]
        fn the_limit_stays_within_its_bounds_and_is_cut_at_most_once_a_second(
            events in events(), start in 1_u32..64, min in 1_u32..8, max in 8_u32..128,
            ttft_rise in proptest::option::of(1.1_f64..4.0),
        ) {
            let mut aimd = Aimd::new(Settings { mode: Mode::Adaptive, start, min, max, ttft_rise });
            let (mut millis, mut cut_at): (u64, Option<u64>) = (0, None);
            for event in events {
                let before = aimd.limit.unwrap_or(f64::INFINITY);
                match event {
                    Event::Good(in_flight) => aimd.succeeded(in_flight, at(millis)),
                    Event::Bad(in_flight) => aimd.overloaded(in_flight, at(millis)),
                    Event::Token(ttft) => aimd.first_token(Duration::from_millis(ttft), 50, at(millis)),
                    Event::Wait(more) => millis += more,
                }
                prop_assert!((min..=max).contains(&aimd.limit()), "{}", aimd.limit());
                let after = aimd.limit.unwrap_or(f64::INFINITY);
                if after < before {
                    prop_assert!(cut_at.is_none_or(|at| millis - at >= 1_000));
                    cut_at = Some(millis);
                }
                if let Event::Good(in_flight) = event {
                    prop_assert!(after <= before + 1.0);
                    if f64::from(in_flight) * 2.0 < before || cut_at.is_some_and(|at| millis - at < 1_000) {
                        prop_assert_eq!(after.to_bits(), before.to_bits(), "grown while unused, or just cut");
                    }
                }
            }
        }

        #[test]
        fn after_an_overload_a_round_of_successes_is_worth_one_more(in_flight in 32_u32..500) {
            let mut aimd = Aimd::new(USUAL);
            aimd.overloaded(in_flight, at(0));
            let limit = aimd.limit();
            prop_assert_eq!(limit, (f64::from(in_flight) * 0.8) as u32);
            for _ in 0..=limit {
                aimd.succeeded(limit, at(1_000));
            }
            prop_assert!((limit + 1..=limit + 2).contains(&aimd.limit()), "{} after {limit}", aimd.limit());
        }

        #[test]
        fn against_a_fixed_capacity_the_limit_settles_around_it(capacity in 4_u32..100) {
            let mut aimd = Aimd::new(USUAL);
            let mut seen = Vec::new();
            // Each round every place is used once, and what is beyond the capacity is refused.
            for round in 0..400_u64 {
                let limit = aimd.limit().min(200);
                for _ in 0..limit.min(capacity) {
                    aimd.succeeded(limit, at(round * 1_000));
                }
                if limit > capacity {
                    aimd.overloaded(limit, at(round * 1_000));
                }
                seen.push(aimd.limit());
            }
            for limit in &seen[100..] {
                prop_assert!((capacity * 7 / 10..=capacity + 2).contains(limit), "{limit} of {capacity}");
            }
        }
    }

    #[test]
    fn before_anybody_spoke_of_overload_only_max_holds() {
        let mut aimd = Aimd::new(USUAL);
        aimd.succeeded(900, at(0));
        assert_eq!(aimd.limit(), 1024);
        aimd.overloaded(3, at(0));
        assert_eq!(aimd.limit(), 25, "little was in flight, so it begins at `start`");
    }

    #[test]
    fn a_storm_without_any_success_is_one_overload_and_soon_forgotten() {
        let mut aimd = Aimd::new(USUAL);
        for second in 0..60 {
            aimd.overloaded(500, at(second * 1_000));
        }
        assert_eq!(aimd.limit(), 1);
        for _ in 0..400 {
            aimd.succeeded(aimd.limit(), at(60_000));
        }
        assert_eq!(aimd.limit(), 400, "back where the first cut left it");
    }

    #[test]
    fn a_fixed_limit_hears_nothing() {
        let mut aimd = Aimd::new(Settings { mode: Mode::Fixed, max: 7, ..USUAL });
        aimd.overloaded(7, at(0));
        assert_eq!(aimd.limit(), 7);
    }

    #[test]
    fn first_tokens_that_come_late_on_average_cut_softly_and_never_below_the_start() {
        let mut aimd = Aimd::new(Settings { ttft_rise: Some(2.0), ..USUAL });
        let round = |aimd: &mut Aimd, second: u64, millis| {
            for _ in 0..PACE_SAMPLES {
                aimd.first_token(Duration::from_millis(millis), 100, at(second * 1_000));
            }
        };
        round(&mut aimd, 0, 200);
        round(&mut aimd, 1, 390);
        assert_eq!(aimd.limit(), 1024, "less than twice the usual");
        round(&mut aimd, 2, 900);
        assert_eq!(aimd.limit(), 90);
        for second in 3..60 {
            round(&mut aimd, second, 4_000);
        }
        assert_eq!(aimd.limit(), 32);
    }
}
