//! What is looked up when somebody scrapes.

use super::catalogue as c;
use super::registry::Metrics;

/// Gauges are written when somebody looks: at a scrape, from the live state. Nothing on the path of
/// a request touches them, so they cannot drift from what they describe.
pub struct Gauges<'a>(pub &'a Metrics);

impl Gauges<'_> {
    pub fn set(&self, metric: &c::Metric, labels: &[&str], value: f64) {
        self.0.found(metric, labels, value);
    }

    /// 1 for the state that holds, 0 for the others; the state is the last label.
    pub fn one_of(&self, metric: &c::Metric, labels: &[&str], states: &[&str], holds: &str) {
        for state in states {
            let mut all = labels.to_vec();
            all.push(state);
            self.set(metric, &all, f64::from(u8::from(*state == holds)));
        }
    }
}
