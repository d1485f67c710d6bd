//! The breaker's numbers, with where each default comes from (RESILIENCE 4.4, E8).

use std::time::Duration;

/// Everything a breaker can be told.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// A breaker that is not enabled counts and never trips.
    pub enabled: bool,
    pub consecutive: Consecutive,
    /// The short window: finds a total failure in half its length.
    pub fast: Rule,
    /// The long window: finds a partial failure.
    pub slow: Rule,
    /// Off unless asked for: what is slow depends on the model.
    pub slow_call: Option<SlowCall>,
    pub open: Open,
    pub half_open: HalfOpen,
    /// Closed time after which the open time halves again (one level of [`Open::mult`]).
    pub decay_interval: Duration,
    /// The shortest open time, also for a probe that rose meanwhile.
    pub min_open: Duration,
}

/// Trip after this many failures with no success between them, or this many broken streams with no complete
/// one between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Consecutive {
    /// 0 turns the rule off; above 1,024 counts as 1,024.
    pub failures: u32,
    /// Failures further apart than this are not one outage.
    pub max_age: Duration,
}

/// Trip when at least `min` calls of a window have a verdict and `rate` of them are bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    pub window: Duration,
    /// 0 is taken as 1.
    pub min: u32,
    pub rate: f64,
}

/// Trip when `rate` of at least `min` calls of the slow window took longer than `ttfb`.
///
/// The caller measures; the breaker is only told that a call was slow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowCall {
    pub ttfb: Duration,
    pub rate: f64,
    /// 0 is taken as 1.
    pub min: u32,
}

/// How long to stay open: `min(base * mult^(level - 1), max)`, give or take `jitter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Open {
    pub base: Duration,
    pub mult: f64,
    pub max: Duration,
    /// 0.2 is ±20 %.
    pub jitter: f64,
    /// The longest wait an upstream may ask for.
    pub retry_after_cap: Duration,
}

/// How a recovery is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HalfOpen {
    /// Trials in flight at once; 0 is taken as 1.
    pub max_concurrent: u8,
    /// Trials that must pass; 0 is taken as 1.
    pub success_threshold: u8,
    /// A trial without a verdict after this long has failed.
    pub probe_timeout: Duration,
    /// How long a stream must have flowed before its caller settles the trial as a success.
    pub hold: Duration,
    /// Trials in a row that may end without a verdict before a synthetic probe is asked for.
    pub max_neutral: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            // Envoy, Finagle, linkerd: 5. With 10 % noise the first run of 5 is due after 111,000 calls.
            consecutive: Consecutive { failures: 5, max_age: Duration::from_mins(10) },
            // False trip at 10 % noise: 7e-6 a window.
            fast: Rule { window: Duration::from_secs(10), min: 20, rate: 0.5 },
            // False trip at 20 % noise: 9e-4 a window.
            slow: Rule { window: Duration::from_mins(1), min: 50, rate: 0.4 },
            slow_call: None,
            open: Open::default(),
            half_open: HalfOpen::default(),
            decay_interval: Duration::from_secs(30),
            min_open: Duration::from_secs(1),
        }
    }
}

impl Default for Open {
    fn default() -> Self {
        Self {
            // Polly and Hystrix: 5 s.
            base: Duration::from_secs(5),
            mult: 2.0,
            // E8: a channel should be back within seconds of its recovery.
            max: Duration::from_mins(1),
            // Without it every gateway tries again in the same instant.
            jitter: 0.2,
            // linkerd2-proxy's cap.
            retry_after_cap: Duration::from_mins(5),
        }
    }
}

impl Default for HalfOpen {
    fn default() -> Self {
        Self {
            max_concurrent: 1,
            // One lucky success is not a recovery (Polly #239).
            success_threshold: 3,
            probe_timeout: Duration::from_secs(30),
            hold: Duration::from_secs(2),
            max_neutral: 5,
        }
    }
}

impl Open {
    /// The open time of a level before jitter; `max` where the power leaves all bounds.
    pub(super) fn nominal(&self, level: u32) -> Duration {
        let power = i32::try_from(level.saturating_sub(1)).unwrap_or(i32::MAX);
        let wanted = self.base.as_secs_f64() * self.mult.powi(power);
        Duration::try_from_secs_f64(wanted).map_or(self.max, |wanted| wanted.min(self.max))
    }

    /// The level after one more opening. A level that would not lengthen the wait is not climbed: it
    /// would only take longer to decay once the upstream is well (Envoy bounds its multiplier alike).
    pub(super) fn climb(&self, level: u32) -> u32 {
        let next = level.saturating_add(1);
        if level == 0 || self.nominal(next) > self.nominal(level) { next } else { level }
    }
}
