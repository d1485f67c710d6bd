//! What operators have said of upstreams, and what has befallen those lately, as the views show it.

use schemars::JsonSchema;
use serde::Serialize;

use super::status::seconds;
use crate::algo::tick::Tick;
use crate::state::Live;
use crate::state::overrides::Override;
use crate::state::timeline::{Change, Timeline};

/// What an operator has said.
#[derive(Serialize, JsonSchema)]
pub(super) struct OverrideStatus {
    /// `disabled`, `draining`, `forced_open`, `forced_closed`.
    kind: &'static str,
    /// Unix time in seconds.
    since: f64,
    /// When it ends by itself, if it does, and in how many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    for_seconds: Option<f64>,
    reason: String,
    by: String,
}

impl OverrideStatus {
    pub(super) fn of(said: &Override, now: Tick) -> Self {
        Self {
            kind: said.kind.name(),
            since: seconds(said.since_unix),
            until: said.until_unix.map(seconds),
            for_seconds: said.until.map(|until| seconds(until.since(now))),
            reason: said.reason.to_string(),
            by: said.by.to_string(),
        }
    }
}

/// Something that has changed.
#[derive(Serialize, JsonSchema)]
pub(super) struct ChangeStatus {
    /// Unix time in seconds.
    at: f64,
    /// `breaker`, `health`, `override`.
    of: &'static str,
    from: &'static str,
    to: &'static str,
    reason: String,
}

impl ChangeStatus {
    pub(super) fn of(change: &Change, live: &Live) -> Self {
        Self {
            at: seconds(live.clock.unix_at(change.at)),
            of: change.of.name(),
            from: change.from,
            to: change.to,
            reason: change.reason.to_string(),
        }
    }
}

/// All that is remembered, the oldest first.
pub(super) fn told(timeline: &Timeline, live: &Live) -> Vec<ChangeStatus> {
    timeline.all().iter().map(|change| ChangeStatus::of(change, live)).collect()
}
