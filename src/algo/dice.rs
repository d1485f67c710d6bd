//! Seeded randomness, so that a run can be repeated from its seed.
//!
//! SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014):
//! one word of state, passes BigCrush, and any seed will do. For balancing and jitter only; nothing
//! that must be unguessable may come from here.

use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `[low, high)`; `low` when the range is empty.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.unit() * (high - low).max(0.0)
    }

    /// Uniform in `0..n`; 0 when `n` is 0. The bias of the multiply-shift is below `n / 2^64`.
    pub const fn below(&mut self, n: u64) -> u64 {
        ((self.next_u64() as u128 * n as u128) >> 64) as u64
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// `duration` times a factor uniform in `[1 - spread, 1 + spread)`.
    pub fn jitter(&mut self, duration: Duration, spread: f64) -> Duration {
        let spread = spread.clamp(0.0, 1.0);
        scale(duration, self.between(1.0 - spread, 1.0 + spread))
    }

    /// As [`jitter`](Self::jitter), but never shorter: for waits that somebody else asked for.
    pub fn jitter_up(&mut self, duration: Duration, spread: f64) -> Duration {
        scale(duration, self.between(1.0, 1.0 + spread.clamp(0.0, 1.0))).max(duration)
    }
}

/// `duration` itself where the product is no duration: a wait of centuries needs no jitter.
fn scale(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let (mut a, mut b) = (Dice::seeded(7), Dice::seeded(7));
        assert!((0..100).all(|_| a.next_u64() == b.next_u64()));
    }

    #[test]
    fn it_is_the_published_generator() {
        let mut dice = Dice::seeded(1_234_567);
        let drawn = [dice.next_u64(), dice.next_u64(), dice.next_u64()];
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn no_chance_never_comes_and_a_quarter_comes_in_a_quarter() {
        // The seed whose first draw is 0.
        assert!(!Dice::seeded(0_u64.wrapping_sub(0x9e37_79b9_7f4a_7c15)).chance(0.0));
        let mut dice = Dice::seeded(4);
        assert!((0..1_000).all(|_| dice.chance(1.0)));
        assert!((2_300..2_700).contains(&(0..10_000).filter(|_| dice.chance(0.25)).count()));
    }

    #[test]
    fn draws_stay_in_range_and_fill_it() {
        let mut dice = Dice::seeded(1);
        let mut seen = [0_u32; 10];
        let (mut least, mut most) = (f64::INFINITY, 0.0_f64);
        for _ in 0..10_000 {
            seen[dice.below(10) as usize] += 1;
            let x = dice.between(0.5, 1.5);
            assert!((0.5..1.5).contains(&x));
            (least, most) = (least.min(x), most.max(x));
        }
        assert!(least < 0.51 && most > 1.49, "{least} {most}");
        assert!(seen.iter().all(|&n| n > 800), "{seen:?}");
        assert_eq!(dice.below(0), 0);
    }

    #[test]
    fn jitter_stays_in_its_spread_and_survives_any_input() {
        let mut dice = Dice::seeded(3);
        let ten = Duration::from_secs(10);
        let (mut least, mut most, mut most_up) = (ten, ten, ten);
        for _ in 0..1_000 {
            let (both, up) = (dice.jitter(ten, 0.2), dice.jitter_up(ten, 0.2));
            assert!((Duration::from_secs(8)..Duration::from_secs(12)).contains(&both), "{both:?}");
            assert!((ten..Duration::from_secs(12)).contains(&up), "{up:?}");
            (least, most, most_up) = (least.min(both), most.max(both), most_up.max(up));
        }
        assert!(least < Duration::from_millis(8_100), "{least:?}");
        assert!(most.min(most_up) > Duration::from_millis(11_900), "{most:?} {most_up:?}");
        assert!(dice.jitter(Duration::MAX, 1.0) <= Duration::MAX);
        assert_eq!(dice.jitter(ten, f64::NAN), ten);
        assert_eq!(dice.jitter_up(Duration::MAX, 0.5), Duration::MAX);
    }
}
