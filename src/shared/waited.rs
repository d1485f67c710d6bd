//! How long one request has waited for Redis, whatever it asked there.
//!
//! Whoever asks more than once (its budgets, those of another route, its limits) has one time limit for all of it.
//! Tasks beside the requests have one for each question.

use std::time::Duration;

/// For all that was asked so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waited(Duration);

impl Waited {
    /// What is left of `limit`; `None` where nothing is.
    pub(super) fn left_of(self, limit: Duration) -> Option<Duration> {
        limit.checked_sub(self.0).filter(|left| !left.is_zero())
    }

    pub(super) fn add(&mut self, waited: Duration) {
        self.0 = self.0.saturating_add(waited);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_is_taken_from_what_is_left_until_nothing_is() {
        let limit = Duration::from_millis(20);
        let mut waited = Waited::default();
        assert_eq!(waited.left_of(limit), Some(limit));
        waited.add(Duration::from_millis(15));
        assert_eq!(waited.left_of(limit), Some(Duration::from_millis(5)));
        waited.add(Duration::from_millis(5));
        assert_eq!(waited.left_of(limit), None);
        waited.add(Duration::MAX);
        assert_eq!(waited.left_of(limit), None);
    }
}
