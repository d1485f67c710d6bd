//! A key's quota for the time between two processes. The caps are the configuration's.

use super::{Caps, Limit, PerLimit, Quota, Spent, Told, day_window, minute_window};
use crate::algo::ring::KeptSlots;
use crate::algo::slots::Slots;
use crate::algo::tick::Tick;

/// What an upstream said of one limit, when, and what was sent since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptLimit {
    pub told: Told,
    pub at: Tick,
    pub spent: u64,
}

/// Windows hold requests and tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub limits: PerLimit<Option<KeptLimit>>,
    pub minute: KeptSlots<[u64; 2]>,
    pub day: KeptSlots<[u64; 2]>,
}

impl Quota {
    pub fn keep(&self) -> Kept {
        let limit =
            |limit: Option<Limit>| limit.map(|Limit { told, at, spent }| KeptLimit { told, at, spent });
        let spent = |spent: Spent| [spent.requests, spent.tokens];
        Kept {
            limits: self.limits.map(limit),
            minute: self.minute.keep().map(spent),
            day: self.day.keep().map(spent),
        }
    }

    pub fn restore(caps: Caps, kept: &Kept) -> Self {
        let limit =
            |kept: Option<KeptLimit>| kept.map(|KeptLimit { told, at, spent }| Limit { told, at, spent });
        let spent = |[requests, tokens]: [u64; 2]| Spent { requests, tokens };
        let mut quota = Self::new(caps);
        quota.limits = kept.limits.map(limit);
        if let Some(minute) = Slots::restore(minute_window(), &kept.minute.clone().map(spent)) {
            quota.minute = minute;
        }
        if let Some(day) = Slots::restore(day_window(), &kept.day.clone().map(spent)) {
            quota.day = day;
        }
        quota
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::algo::quota::Tokens;

    proptest! {
        #[test]
        fn a_quota_that_was_kept_goes_on_as_if_nothing_had_been(
            past in prop::collection::vec((0..30_000_u64, 0..500_u64, prop::option::of((0..900_u64, 1..120_u64))), 0..40),
            pause in 0..200_000_u64,
            future in prop::collection::vec((0..30_000_u64, 0..500_u64), 1..20),
        ) {
            let caps = Caps { rpm: Some(8), tpm: Some(2_000), rpd: Some(60), tpd: Some(9_000) };
            let (mut lived, mut millis) = (Quota::new(caps), 0);
            let cost = |tokens: u64| Tokens { input: tokens / 2, output: tokens - tokens / 2 };
            let at = |millis: u64| Tick::ZERO + Duration::from_millis(millis);
            for (gap, tokens, told) in past {
                millis += gap;
                lived.spend(cost(tokens), at(millis));
                if let Some((remaining, secs)) = told {
                    let told = Told { remaining, limit: Some(900), reset_after: Some(Duration::from_secs(secs)) };
                    let less = Told { remaining: remaining / 3, ..told };
                    let said = PerLimit { requests: told, input: less, output: told, tokens: told };
                    lived.heard(said.map(Some), at(millis));
                }
            }
            let mut kept = Quota::restore(caps, &lived.keep());
            prop_assert_eq!(kept.keep(), lived.keep());
            millis += pause;
            for (gap, tokens) in future {
                millis += gap;
                let now = at(millis);
                prop_assert_eq!(kept.standing(cost(tokens), now), lived.standing(cost(tokens), now));
                prop_assert_eq!(kept.left(now), lived.left(now));
                lived.spend(cost(tokens), now);
                kept.spend(cost(tokens), now);
            }
        }
    }
}
