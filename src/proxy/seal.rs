//! What is put last on the answer of a request that is served or refused, whoever made it.

use std::sync::Arc;

use http::Response;

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
}

impl Seal {
    /// For the request that `settle` books.
    pub fn of(settle: &Settle, dialect: Dialect, wish: explain::Wish) -> Self {
        Self {
            dialect,
            limits: limits::shown(settle),
            trace: settle.trace,
            taking: settle.taking.clone(),
            story: explain::granted(wish, settle, dialect),
        }
    }

    pub fn of_refused(refusal: &Refusal, wish: explain::Wish) -> Self {
        match &refusal.settle {
            Some(settle) => Self::of(settle, refusal.dialect, wish),
            None => Self {
                dialect: refusal.dialect,
                limits: None,
                trace: refusal.trace,
                taking: None,
                story: None,
            },
        }
    }

    /// First the fields that every answer has, then whoever captures it sees it as it is, and then the caller alone is
    /// told why.
    pub fn put(self, gateway: &Gateway, mut response: Response<Reply>) -> Response<Reply> {
        let Self { dialect, limits, trace, taking, story } = self;
        cost::say(&mut response);
        let status = response.status();
        let headers = response.headers_mut();
        if let Some(standing) = &limits {
            limits::say(gateway, headers, dialect, standing);
        }
        trace::say(headers, status, trace);
        explain::on(story, capture::on(taking, response))
    }
}
