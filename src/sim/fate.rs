//! What a request needs, and what becomes of an attempt between an upstream's answer and our patience.

use std::time::Duration;

use http::HeaderMap;

use super::queue::Turn;
use super::weather::{Answer, Ending};
use crate::algo::tick::Tick;
use crate::config::rehearsal::{Call, Delivery, Target};
use crate::config::{Lineage, Replay};
use crate::dialect::scan::Thinks;
use crate::dialect::{Dialect, Operation};
use crate::route::steer::{self, Occasion};
use crate::route::{Failure, Limits, Need, Resend, generation};
use crate::state::Table;
use crate::state::model::Shape;
use crate::vocab::{Abilities, Fault, RateHint, Stage};

/// How long is waited for what comes of an attempt.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    pub limits: Limits,
    pub connect: Duration,
    /// Longest silence behind the first content.
    pub idle: Duration,
    /// Until the request's end.
    pub left: Duration,
}

/// How an attempt turns out, and after how long.
pub fn outcome(id: u32, answer: &Answer, patience: Patience, need: &Need<'_>) -> (Duration, Turn) {
    let Patience { limits, connect, idle, left } = patience;
    let fails = |fault, stage| Turn::Fail(id, Failure { fault, stage, hint: RateHint::default() });
    let no_headers = (limits.headers, fails(Fault::HeadersTimeout, Stage::Waiting));
    let no_content = (limits.first_event, fails(Fault::FirstEventTimeout, Stage::Headers));
    let whole = need.shape == Shape::Whole && need.dialect != Dialect::Http;
    match *answer {
        Answer::Refuses { after, .. } if after >= limits.headers => no_headers,
        Answer::Refuses { after, failure } => (after, Turn::Fail(id, failure)),
        Answer::Unreachable => (connect, fails(Fault::ConnectTimeout, Stage::NotSent)),
        Answer::Silent => no_headers,
        // The headers of a whole answer come with it.
        Answer::HeadersOnly if whole => no_headers,
        Answer::HeadersOnly => no_content,
        Answer::Speaks { ttft, lasts, ending, .. } if whole => match ending {
            Ending::Whole if ttft + lasts >= limits.headers => no_headers,
            Ending::Whole => (ttft + lasts, Turn::Commit(id)),
            Ending::Breaks { after, .. } if ttft + after >= limits.headers => no_headers,
            Ending::Breaks { after, .. } => (ttft + after, fails(Fault::Truncated, Stage::Headers)),
            Ending::Stalls { .. } => no_headers,
        },
        // Most upstreams send their headers with the first token.
        Answer::Speaks { ttft, .. } if ttft >= limits.headers => no_headers,
        Answer::Speaks { ttft, .. } if ttft >= limits.first_event => no_content,
        Answer::Speaks { ttft, pace, lasts, ending } => {
            let held = limits.withheld.map_or(Duration::ZERO, |withheld| withheld.lasts(pace));
            let (after, turn) = match ending {
                Ending::Breaks { after, fault } if after < held => (after, fails(fault, Stage::Headers)),
                Ending::Stalls { after } if after < held => {
                    (after + idle, fails(Fault::StreamStalled, Stage::Headers))
                }
                Ending::Whole | Ending::Breaks { .. } | Ending::Stalls { .. } => {
                    (held.min(lasts), Turn::Commit(id))
                }
            };
            if ttft + after < left {
                (ttft + after, turn)
            } else {
                (left, fails(Fault::DeadlineExceeded, Stage::Headers))
            }
        }
    }
}

/// The route that serves such a request for the route `asked`, as `proxy::steer` has it.
pub fn course(
    table: &Table,
    asked: usize,
    said: &Call,
    (lineage, session): (Option<&Lineage>, Option<u64>),
) -> usize {
    if !table.routes[asked].config.steering.is_steered() {
        return asked;
    }
    let occasion = Occasion {
        lineage,
        headers: &HeaderMap::new(),
        prompt_tokens: said.prompt_tokens,
        shape: shape(said.delivery),
        brings: Abilities::default(),
        session,
        at: table.live.clock.unix_now(),
    };
    steer::course(table, asked, &occasion, &mut table.live.dice()).route
}

const fn shape(delivery: Delivery) -> Shape {
    match delivery {
        Delivery::Stream => Shape::Stream,
        Delivery::Whole => Shape::Whole,
    }
}

/// What `proxy::intake` would understand of such a request.
pub fn need<'t>(table: &'t Table, route: usize, said: &'t Call, now: Tick) -> Need<'t> {
    let config = &table.routes[route].config;
    let common = |dialect, operation, model, shape, resend| Need {
        dialect,
        operation,
        model,
        narrow: false,
        shape,
        resend,
        deadline: now + config.longest_total(),
        most_output: None,
        session: None,
        bond: None,
        prompt_tokens: said.prompt_tokens,
        thinks: Thinks::Unsaid,
        least_window: 0,
        abilities: Abilities::default(),
        lineage: None,
        own: None,
        most_cost: None,
        most_attempts: u32::MAX,
    };
    match &said.target {
        Target::Path(_) => common(Dialect::Http, Operation::Opaque, "", Shape::Whole, Resend::Allowed),
        Target::Model(model) => {
            let first = || table.routes[route].channels.first()?.upstream.config.speaks.first().copied();
            let dialect = said.dialect.or_else(first).unwrap_or(Dialect::OpenAi);
            let resend = match config.retry.replay {
                Replay::Allowed => Resend::Allowed,
                Replay::IfUnsent => Resend::IfUnsent,
            };
            common(dialect, generation(dialect), model, shape(said.delivery), resend)
        }
    }
}
