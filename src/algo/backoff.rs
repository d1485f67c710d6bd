//! Full-jitter exponential backoff (M. Brooker, "Exponential Backoff And Jitter", AWS 2015).
//!
//! A wait is uniform between nothing and a ceiling that doubles: of all forms this one spreads a crowd
//! of retries best. It knows nothing of Retry-After, which is never shortened; see E1.

use std::time::Duration;

use super::dice::Dice;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The ceiling of the first wait.
    pub base: Duration,
    /// The ceiling of every wait.
    pub cap: Duration,
}

impl Backoff {
    /// Before another channel is asked (RESILIENCE 4.10).
    pub const OTHER_CHANNEL: Self = Self { base: Duration::from_millis(25), cap: Duration::from_millis(250) };
    /// Before the same channel is asked again.
    pub const SAME_CHANNEL: Self = Self { base: Duration::from_millis(250), cap: Duration::from_secs(10) };

    /// The wait before retry `attempt`, counted from 0.
    pub fn delay(&self, attempt: u32, dice: &mut Dice) -> Duration {
        full_jitter(attempt, self.base, self.cap, dice)
    }
}

/// Uniform in `[0, min(cap, base * 2^attempt))`, for any attempt whatever.
pub fn full_jitter(attempt: u32, base: Duration, cap: Duration, dice: &mut Dice) -> Duration {
    let ceiling = base.saturating_mul(2_u32.saturating_pow(attempt)).min(cap);
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(dice.below(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_fill_a_ceiling_that_doubles_to_its_cap() {
        let dice = &mut Dice::seeded(2);
        for (attempt, ceiling) in
            [(0, 25), (1, 50), (2, 100), (3, 200), (4, 250), (1_000, 250), (u32::MAX, 250)]
        {
            let waits: Vec<u128> =
                (0..2_000).map(|_| Backoff::OTHER_CHANNEL.delay(attempt, dice).as_millis()).collect();
            assert!(waits.iter().all(|&wait| wait < ceiling));
            let mean = waits.iter().sum::<u128>() as f64 / waits.len() as f64;
            assert!((mean / ceiling as f64 - 0.5).abs() < 0.05, "{attempt}: {mean} of {ceiling}");
        }
    }

    #[test]
    fn no_number_overflows_it() {
        let dice = &mut Dice::seeded(2);
        assert!(full_jitter(u32::MAX, Duration::MAX, Duration::MAX, dice) < Duration::MAX);
        assert_eq!(full_jitter(3, Duration::ZERO, Duration::MAX, dice), Duration::ZERO);
    }
}
