//! What is left of a key's quota at one model, so that a request goes elsewhere before it is refused.
//!
//! Two sources. What the upstream says with each answer (`x-ratelimit-*` and its like) is the truth of a
//! moment: what was sent since is taken off, and what flows back is added where the limit is known, for
//! those who publish such headers run token buckets that fill evenly (OpenAI's and Anthropic's
//! documentation of rate limits). It only advises: an upstream may have more than it says, so a key
//! that looks short is asked when nobody else is left, and no prompt is ever too large to be sent. What the
//! operator configures (requests and tokens a minute, requests a day) is counted here and binds; tokens
//! are let through while any of them is left, or the largest prompts would starve beside small ones.

mod kept;

use std::time::Duration;

pub use self::kept::{Kept, KeptLimit};
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
    /// A configured cap is reached; at this time there is room again.
    Capped { until: Tick },
}

#[derive(Clone, Debug)]
pub struct Quota {
    caps: Caps,
    requests: Option<Limit>,
    tokens: Option<Limit>,
    minute: Slots<Spent, { MINUTE_SLOTS + 1 }>,
    day: Slots<Spent, { DAY_SLOTS + 1 }>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spent {
    requests: u64,
    tokens: u64,
}

/// A limit of the upstream's, as it said and as it was used since.
#[derive(Clone, Copy, Debug)]
struct Limit {
    told: Told,
    at: Tick,
    spent: u64,
}

impl Limit {
    /// What is left; `None` when what was said has had its time.
    fn left(&self, now: Tick) -> Option<u64> {
        let reset = self.told.reset_after.unwrap_or(MINUTE);
        let passed = now.since(self.at);
        if passed >= reset {
            return None;
        }
        let missing = self.told.limit.map_or(0, |limit| limit.saturating_sub(self.told.remaining));
        // `passed < reset`, so `reset` is not zero.
        let back = missing as f64 * passed.as_secs_f64() / reset.as_secs_f64();
        Some(self.told.remaining.saturating_add(back as u64).saturating_sub(self.spent))
    }

    fn share(&self, left: u64) -> f64 {
        self.told.limit.map_or(1.0, |limit| left as f64 / limit.max(1) as f64)
    }
}

impl Quota {
    pub fn new(caps: Caps) -> Self {
        let (minute, day) = (Slots::new(minute_window()), Slots::new(day_window()));
        Self { caps, requests: None, tokens: None, minute, day }
    }

    /// Other caps; what was spent stays spent.
    pub fn reconfigure(&mut self, caps: Caps) {
        self.caps = caps;
    }

    /// How a request of about `tokens` stands now.
    pub fn standing(&self, tokens: u64, now: Tick) -> Standing {
        if let Some(until) = self.capped(now) {
            return Standing::Capped { until };
        }
        let mut share = 1.0_f64;
        for (limit, wanted) in [(&self.requests, 1), (&self.tokens, tokens)] {
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
    pub fn spend(&mut self, tokens: u64, now: Tick) {
        for spent in [self.minute.current(now), self.day.current(now)] {
            spent.requests += 1;
            spent.tokens = spent.tokens.saturating_add(tokens);
        }
        for (limit, spent) in [(&mut self.requests, 1), (&mut self.tokens, tokens)] {
            if let Some(limit) = limit {
                limit.spent = limit.spent.saturating_add(spent);
            }
        }
    }

    /// Takes back what [`spend`](Self::spend) booked for a request that never left.
    pub fn refund(&mut self, tokens: u64, now: Tick) {
        let newest = [self.minute.live_mut(now).find(|spent| spent.requests > 0)];
        let day = [self.day.live_mut(now).find(|spent| spent.requests > 0)];
        for spent in newest.into_iter().chain(day).flatten() {
            spent.requests -= 1;
            spent.tokens = spent.tokens.saturating_sub(tokens);
        }
        for (limit, spent) in [(&mut self.requests, 1), (&mut self.tokens, tokens)] {
            if let Some(limit) = limit {
                limit.spent = limit.spent.saturating_sub(spent);
            }
        }
    }

    /// What the upstream said with an answer that was read just now.
    pub fn heard(&mut self, requests: Option<Told>, tokens: Option<Told>, now: Tick) {
        for (limit, told) in [(&mut self.requests, requests), (&mut self.tokens, tokens)] {
            if let Some(told) = told {
                *limit = Some(Limit { told, at: now, spent: 0 });
            }
        }
    }

    /// What is believed to be left, for people: requests and tokens, of what the upstream said and of the caps.
    pub fn left(&self, now: Tick) -> (Option<u64>, Option<u64>) {
        let told = |limit: &Option<Limit>| limit.as_ref().and_then(|limit| limit.left(now));
        let [rpm, tpm, rpd] = self.used(now).map(|cap| cap.map(|(cap, used)| cap.saturating_sub(used)));
        let requests = [told(&self.requests), rpm, rpd].into_iter().flatten().min();
        let tokens = [told(&self.tokens), tpm].into_iter().flatten().min();
        (requests, tokens)
    }

    /// When a cap that is reached has room again: the end of the slot in which enough of it expires is not
    /// looked for; the next slot's begin is soon enough to ask again.
    fn capped(&self, now: Tick) -> Option<Tick> {
        let [rpm, tpm, rpd] = self.used(now);
        let reached = |cap: Option<(u64, u64)>| cap.is_some_and(|(cap, used)| used >= cap);
        if reached(rpd) {
            return Some(now + DAY / DAY_SLOTS as u32);
        }
        (reached(rpm) || reached(tpm)).then(|| now + MINUTE / MINUTE_SLOTS as u32)
    }

    /// Cap and use of requests a minute, tokens a minute, requests a day.
    fn used(&self, now: Tick) -> [Option<(u64, u64)>; 3] {
        let minute = |of: fn(&Spent) -> u64| self.minute.live(now).map(of).fold(0, u64::saturating_add);
        let day = || self.day.live(now).map(|spent| spent.requests).sum();
        [
            self.caps.rpm.map(|cap| (cap, minute(|spent| spent.requests))),
            self.caps.tpm.map(|cap| (cap, minute(|spent| spent.tokens))),
            self.caps.rpd.map(|cap| (cap, day())),
        ]
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: u64) -> Tick {
        Tick::ZERO + Duration::from_secs(secs)
    }

    fn told(remaining: u64, limit: u64, secs: u64) -> Told {
        Told { remaining, limit: Some(limit), reset_after: Some(Duration::from_secs(secs)) }
    }

    #[test]
    fn what_the_upstream_said_is_used_up_and_flows_back() {
        let mut quota = Quota::new(Caps::default());
        assert_eq!(quota.standing(1_000_000, at(0)), Standing::Fits { share: 1.0 });
        quota.heard(Some(told(10, 100, 60)), Some(told(500, 10_000, 60)), at(0));
        assert_eq!(quota.standing(500, at(0)), Standing::Fits { share: 0.05 });
        assert_eq!(quota.standing(501, at(0)), Standing::Short);
        quota.spend(400, at(0));
        assert_eq!(quota.left(at(0)), (Some(9), Some(100)));
        assert_eq!(quota.standing(101, at(0)), Standing::Short);
        quota.refund(400, at(0));
        assert_eq!(quota.left(at(0)), (Some(10), Some(500)));
        // Half of what is missing is back after half of the time.
        assert_eq!(quota.left(at(30)), (Some(55), Some(5_250)));
        assert_eq!(quota.left(at(60)), (None, None));
        assert_eq!(quota.standing(9_999, at(60)), Standing::Fits { share: 1.0 });
    }

    #[test]
    fn a_prompt_beyond_the_whole_limit_waits_for_a_full_one_and_no_longer() {
        let mut quota = Quota::new(Caps::default());
        quota.heard(None, Some(told(9_999, 10_000, 60)), at(0));
        assert_eq!(quota.standing(50_000, at(0)), Standing::Short);
        quota.heard(None, Some(told(10_000, 10_000, 60)), at(1));
        assert_eq!(quota.standing(50_000, at(1)), Standing::Fits { share: 1.0 });
    }

    #[test]
    fn a_cap_binds_and_lets_go() {
        let mut quota = Quota::new(Caps { rpm: Some(3), ..Caps::default() });
        for _ in 0..3 {
            assert!(matches!(quota.standing(1, at(7)), Standing::Fits { .. }));
            quota.spend(1, at(7));
        }
        assert_eq!(quota.left(at(7)), (Some(0), None));
        assert_eq!(quota.standing(1, at(7)), Standing::Capped { until: at(12) });
        assert!(matches!(quota.standing(1, at(64)), Standing::Capped { .. }));
        assert_eq!(quota.standing(1, at(75)), Standing::Fits { share: 1.0 });
    }

    #[test]
    fn a_cap_of_a_day_asks_again_after_an_hour_and_the_share_is_what_it_leaves() {
        let mut quota = Quota::new(Caps { rpd: Some(4), ..Caps::default() });
        quota.spend(1, at(0));
        assert_eq!(quota.standing(1, at(0)), Standing::Fits { share: 0.75 });
        quota.reconfigure(Caps { rpd: Some(1), ..Caps::default() });
        assert_eq!(quota.standing(1, at(9)), Standing::Capped { until: at(9 + 3_600) });
    }

    #[test]
    fn what_never_left_is_given_back_to_the_caps_also_in_a_later_slot() {
        let minute = Caps { rpm: Some(10), tpm: Some(100), rpd: None };
        let day = Caps { rpd: Some(10), ..Caps::default() };
        for (caps, later, spent, full) in [
            (minute, 20, (Some(9), Some(93)), (Some(10), Some(100))),
            (day, 7_200, (Some(9), None), (Some(10), None)),
        ] {
            let mut quota = Quota::new(caps);
            quota.spend(7, at(0));
            assert_eq!(quota.left(at(later)), spent);
            quota.refund(7, at(later));
            assert_eq!(quota.left(at(later)), full);
            quota.refund(7, at(later));
            assert_eq!(quota.left(at(later)), full, "nothing to give back");
        }
    }

    #[test]
    fn what_was_spent_counts_for_all_of_a_minute_and_all_of_a_day() {
        let minute = Caps { rpm: Some(1), ..Caps::default() };
        let day = Caps { rpd: Some(1), ..Caps::default() };
        for step in 0..300 {
            for (caps, window) in [(minute, MINUTE), (day, DAY)] {
                let mut quota = Quota::new(caps);
                let now = Tick::ZERO + window * step / 1_000;
                quota.spend(1, now);
                let later = now + window.saturating_sub(Duration::from_millis(1));
                assert!(matches!(quota.standing(1, later), Standing::Capped { .. }), "{caps:?} {step}");
            }
        }
    }

    #[test]
    fn a_large_prompt_goes_through_a_token_cap_and_is_paid_for_after() {
        let mut quota = Quota::new(Caps { tpm: Some(1_000), ..Caps::default() });
        quota.spend(999, at(0));
        assert!(matches!(quota.standing(50_000, at(1)), Standing::Fits { .. }));
        quota.spend(50_000, at(1));
        assert!(matches!(quota.standing(1, at(59)), Standing::Capped { .. }));
        assert!(matches!(quota.standing(1, at(70)), Standing::Fits { .. }));
    }

    #[test]
    fn a_channel_keeps_its_weight_while_there_is_plenty() {
        let check = |share: f64, expected: f64| assert!((factor(share) - expected).abs() < 1e-9, "{share}");
        check(1.0, 1.0);
        check(0.25, 1.0);
        check(0.125, 0.5);
        check(0.0, 0.05);
    }

    proptest! {
        #[test]
        fn no_minute_sees_more_requests_than_its_cap(cap in 1_u64..20, gaps in proptest::collection::vec(0_u64..20_000, 1..300)) {
            let mut quota = Quota::new(Caps { rpm: Some(cap), ..Caps::default() });
            let (mut millis, mut sent) = (0, Vec::new());
            for gap in gaps {
                millis += gap;
                let now = Tick::ZERO + Duration::from_millis(millis);
                if matches!(quota.standing(1, now), Standing::Fits { .. }) {
                    quota.spend(1, now);
                    sent.push(millis);
                }
            }
            for &end in &sent {
                let within = sent.iter().filter(|&&at| at <= end && at + 60_000 > end).count() as u64;
                prop_assert!(within <= cap, "{within} in the minute before {end} ms");
            }
        }

        #[test]
        fn nothing_that_is_said_upsets_it(
            remaining: u64, limit: Option<u64>, reset: Option<u32>, spend: u64, later: u32, tokens: u64,
        ) {
            let mut quota = Quota::new(Caps { rpm: limit, tpm: Some(remaining), rpd: None });
            let reset_after = reset.map(|secs| Duration::from_secs(secs.into()));
            let told = Some(Told { remaining, limit, reset_after });
            quota.heard(told, told, at(1));
            quota.spend(spend, at(1));
            let _ = quota.standing(tokens, at(u64::from(later)));
            quota.refund(spend, at(2));
            if let Standing::Fits { share } = quota.standing(tokens, at(u64::from(later))) {
                prop_assert!((0.05..=1.0).contains(&factor(share)));
            }
        }
    }
}
