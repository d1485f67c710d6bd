//! Slow start: a channel that comes back gets its share bit by bit (RESILIENCE 4.9, Envoy's formula).

use std::time::Duration;

/// The share of its weight a channel has `elapsed` after it came back: from `floor` to 1 over `window`, in
/// a straight line at an `aggression` of 1 and faster at first above it.
pub fn factor(elapsed: Duration, window: Duration, floor: f64, aggression: f64) -> f64 {
    if elapsed >= window {
        return 1.0;
    }
    let floor = if floor.is_nan() { 0.0 } else { floor.clamp(0.0, 1.0) };
    // Nothing sensible is below this, and 1/0 would be no number.
    let exponent = 1.0 / aggression.max(0.01);
    elapsed.div_duration_f64(window).powf(exponent).clamp(floor, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(30);

    #[test]
    fn it_is_a_straight_line_from_a_tenth_to_all() {
        let at = |s| factor(Duration::from_secs(s), WINDOW, 0.1, 1.0);
        assert_eq!([at(0), at(3), at(15), at(30), at(99)], [0.1, 0.1, 0.5, 1.0, 1.0]);
        assert!(factor(Duration::from_secs(15), WINDOW, 0.1, 2.0) > 0.7);
        assert_eq!(factor(Duration::ZERO, Duration::ZERO, 0.1, 1.0), 1.0);
    }

    proptest! {
        #[test]
        fn p_s08_it_never_falls_and_stays_in_its_bounds(
            a in 0..40_000_u64, b in 0..40_000_u64, floor in 0.0..1.0_f64, aggression in prop::num::f64::ANY,
        ) {
            let at = |ms| factor(Duration::from_millis(ms), WINDOW, floor, aggression);
            prop_assert!((floor..=1.0).contains(&at(a)));
            prop_assert!(at(a.min(b)) <= at(a.max(b)));
        }
    }
}
