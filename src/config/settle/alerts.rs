//! When something is worth telling, where the file does not say.

use std::time::Duration;

use super::span;
use crate::algo::alarm::{failures, spending};
use crate::config::file::alerts;
use crate::vocab::Money;

pub fn down_after(said: &alerts::Alerts) -> Duration {
    span(said.down_after, Duration::from_mins(1))
}

pub fn error_spike(said: &alerts::ErrorSpike) -> failures::Settings {
    let base = failures::Settings::default();
    failures::Settings {
        share: said.share.map_or(base.share, crate::config::Percent::share),
        factor: said.factor.unwrap_or(base.factor),
        least: said.requests.map_or(base.least, u64::from),
    }
}

pub fn spend_spike(said: &alerts::SpendSpike) -> spending::Settings {
    // A bound for comparisons, which no sum is made of.
    let floor = Money::parse(&said.floor.unwrap_or(1.0).to_string()).unwrap_or_default();
    spending::Settings { factor: said.factor.unwrap_or(3.0), floor: floor.as_nano_usd() }
}
