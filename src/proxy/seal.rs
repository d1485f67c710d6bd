//! What is put last on the answer of a request that is served or refused, whoever made it.

use std::sync::Arc;

use http::Response;

use super::intake::Arrival;
use super::refuse::Refusal;
use super::reply::Reply;
use super::settle::Settle;
use super::{Gateway, capture, cost, explain, limits, trace};
use crate::capture::Taking;
use crate::dialect::Dialect;
use crate::dialect::allowance::Standing;
use crate::vocab::Trace;

/// Taken from a request before it is served, since it is its answer's by then.
pub struct Seal {
    dialect: Dialect,
    limits: Option<Standing>,
    trace: Option<Trace>,
    taking: Option<Arc<Taking>>,
    story: Option<explain::Story>,
    cost: cost::Wish,
}

/// What a caller asks to be told.
#[derive(Clone, Copy)]
pub struct Wishes {
    story: explain::Wish,
    cost: cost::Wish,
}

impl Wishes {
    pub fn of(arrival: &Arrival) -> Self {
        Self { story: explain::Wish::of(arrival), cost: cost::Wish::of(arrival) }
    }
}

impl Seal {
    /// For the request that `settle` books.
    pub fn of(settle: &Settle, dialect: Dialect, wishes: Wishes) -> Self {
        Self {
            dialect,
            limits: limits::shown(settle),
            trace: settle.trace,
            taking: settle.taking.clone(),
            story: explain::granted(wishes.story, settle, dialect),
            cost: wishes.cost,
        }
    }

    pub fn of_refused(refusal: &Refusal, wishes: Wishes) -> Self {
        match &refusal.settle {
            Some(settle) => Self::of(settle, refusal.dialect, wishes),
            None => Self {
                dialect: refusal.dialect,
                limits: None,
                trace: refusal.trace,
                taking: None,
                story: None,
                cost: wishes.cost,
            },
        }
    }

    /// First the fields that every answer has, then whoever captures it sees it as it is, and then the caller alone is
    /// told why.
    pub fn put(self, gateway: &Gateway, mut response: Response<Reply>) -> Response<Reply> {
        let Self { dialect, limits, trace, taking, story, cost } = self;
        if cost == cost::Wish::Asked {
            cost::say(&mut response);
        }
        let status = response.status();
        let headers = response.headers_mut();
        if let Some(standing) = &limits {
            limits::say(gateway, headers, dialect, standing);
        }
        trace::say(headers, status, trace);
        explain::on(story, capture::on(taking, response))
    }
}
