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
