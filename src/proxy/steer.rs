//! Which route serves a request, asked of `route::steer` with all that is known of it here; and what is said of that.
//!
//! What a request refers to and its upstream alone has (a stored response, a file) goes before any rule: where the
//! route that it would be sent to has no channel there, it stays at its own.

use http::{HeaderName, HeaderValue, Response};

use super::intake::Arrival;
use super::reply::Reply;
use super::{Gateway, Snapshot, needs};
use crate::config::Lineage;
use crate::dialect::entry::Entry;
use crate::dialect::scan::Scan;
use crate::dialect::session;
use crate::route::steer::{self, Course, Occasion};
use crate::route::{Bond, Hold};
use crate::state::model::Shape;
use crate::telemetry::catalogue;
use crate::vocab::Abilities;

/// The arm of a split that an answer came from.
const ARM: HeaderName = HeaderName::from_static("x-mainstay-arm");

/// The course of a request that asks for the route `asked`.
pub fn course(
    gateway: &Gateway,
    snapshot: &Snapshot,
    asked: usize,
    (arrival, lineage): (&Arrival, Option<&Lineage>),
    entry: &Entry<'_>,
    (scan, body): (&Scan, &[u8]),
    bond: Option<Bond>,
) -> Course {
    let table = &snapshot.table;
    let route = &table.routes[asked];
    if !route.config.steering.is_steered() {
        return Course::straight(asked);
    }
    let looks = steer::looks(table, asked);
    let headers = &arrival.head.headers;
    let occasion = Occasion {
        lineage,
        headers,
        prompt_tokens: scan.prompt_tokens,
        shape: if scan.stream { Shape::Stream } else { Shape::Whole },
        brings: if looks.brings { needs::brings(entry, scan, body) } else { Abilities::default() },
        session: if looks.session { session::session(headers, body) } else { None },
        at: gateway.live.clock.unix_now(),
    };
    let course = steer::course(table, asked, &occasion, &mut gateway.live.dice());
    let is_there = |bond: Bond, route: usize| {
        table.routes[route].channels.iter().any(|channel| channel.upstream.identity == bond.upstream)
    };
    let held = bond.filter(|bond| bond.hold == Hold::Firm);
    if held.is_some_and(|bond| !is_there(bond, course.route) && is_there(bond, asked)) {
        return Course::straight(asked);
    }
    if let Some(rule) = course.rule {
        let to = &*table.routes[route.config.steering.rules[rule].to].config.name;
        gateway.live.metrics.counter(&catalogue::RULED, &[&route.config.name, to]).increment(1);
    }
    course
}

/// Says which arm a request was given to.
pub fn say(arm: Option<&str>, response: &mut Response<Reply>) {
    // The configuration lets only names through that a header can carry.
    if let Some(arm) = arm.and_then(|arm| HeaderValue::from_str(arm).ok()) {
        response.headers_mut().insert(ARM, arm);
    }
}
