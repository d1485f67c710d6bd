//! Hedging that cannot happen. What it costs is nobody's mistake, so nothing is said of that.

use std::time::Duration;

use crate::config::blueprint::{FirstEvent, HedgeDelay, Matcher, Replay, Route, Timeouts};
use crate::config::check::route_path;
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::tree::Node;
use crate::config::units::shown;

pub fn lint(route: &Route, index: usize, root: &Node, findings: &mut Findings) {
    if !route.hedge.enabled {
        return;
    }
    let path = route_path(index);
    let layers = [path.clone(), Path::root().key("defaults")];
    let said = |within: &[&str]| root.said_at(&layers, within);
    if route.channels.len() == 1 {
        findings.warn_at_key(
            &path.key("channels"),
            "one channel: there is no second one for `hedge` to ask",
            "add a channel, or write `hedge: {enabled: false}` here",
        );
    }
    if route.retry.max_attempts == 1 {
        findings.warn(
            &said(&["retry", "max_attempts"]),
            "one attempt: a hedge would be the second",
            "use 2 or more, or write `hedge: {enabled: false}`",
        );
    }
    if route.retry.replay == Replay::IfUnsent && matches!(route.matcher, Matcher::Model { .. }) {
        findings.warn(
            &said(&["retry", "replay"]),
            "no request is sent twice, so none is hedged",
            "write `replay: allowed`, or `hedge: {enabled: false}`",
        );
    }
    if route.hedge.max_share == 0.0 {
        findings.warn(
            &said(&["hedge", "max_share"]),
            "a share of nothing: no request is ever hedged",
            "write a share above 0 (0.05 is the usual), or `hedge: {enabled: false}`",
        );
    }
    let HedgeDelay::Fixed(delay) = route.hedge.delay else { return };
    for channel in &route.channels {
        let (name, limit) = patience(&channel.timeouts);
        if delay >= limit {
            findings.warn(
                &said(&["hedge", "delay"]),
                format!(
                    "`delay` ({}) never passes: `timeouts.{name}` ({}) ends the attempt before",
                    shown(delay),
                    shown(limit)
                ),
                "make `delay` shorter, or write auto",
            );
            return;
        }
    }
}

/// What ends a silent attempt first, and its name.
fn patience(timeouts: &Timeouts) -> (&'static str, Duration) {
    match timeouts.first_event {
        FirstEvent::Fixed(limit) if limit <= timeouts.ttfb => ("first_event", limit),
        FirstEvent::Fixed(_) | FirstEvent::Auto | FirstEvent::Off => ("ttfb", timeouts.ttfb),
    }
}
