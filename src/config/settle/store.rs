//! Defaults of the `store:` section.

use std::time::Duration;

use super::span;
use crate::config::blueprint::Retention;
use crate::config::file::store;

const fn days(number: u64) -> Duration {
    Duration::from_hours(number * 24)
}

/// A month to look at a request that went wrong; a year and the month to compare it with, by the hour; days for good.
pub fn retention(said: &store::Retention) -> Retention {
    Retention {
        requests: span(said.requests, days(30)),
        hours: span(said.hours, days(400)),
        days: said.days.map(|days| days.0),
    }
}
