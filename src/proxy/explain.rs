//! Tells a caller who asks with `x-mainstay-explain: 1`, and may, why his request went where it went: the decision as
//! it stands when the answer begins in `x-mainstay-decision`, and all of it after the end of a stream whose dialect has
//! comments.
//!
//! Who may is said by his key or anybody above it (`explain: true`); of those without one only whoever calls from this
//! machine itself. All others are answered as if they had not asked. What is told is made for this answer as it leaves,
//! so that no answer that is kept or shared has it.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, FORWARDED};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

use super::intake::Arrival;
use super::reply::{Explained, Reply};
use super::settle::Settle;
use crate::access::Caller;
use crate::config::Lineage;
use crate::dialect::Dialect;
use crate::dialect::trouble;
use crate::ledger::{Account, Request};

const EXPLAIN: HeaderName = HeaderName::from_static("x-mainstay-explain");
const DECISION: HeaderName = HeaderName::from_static("x-mainstay-decision");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Of a decision in a header or a comment, in bytes: clients and proxies take heads of 8 KiB.
const MOST: usize = 4 * 1024;

/// That a request asks for its decision.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// It does not.
    Nothing,
    /// It does, from another machine or through a proxy.
    FromAfar,
    /// It does, and comes from this machine itself.
    FromHere,
}

impl Wish {
    pub fn of(arrival: &Arrival) -> Self {
        let headers = &arrival.head.headers;
        if !headers.get(EXPLAIN).is_some_and(|said| said == "1" || said == "true") {
            return Self::Nothing;
        }
        let here = arrival.from.as_ref().is_some_and(IpAddr::is_loopback) && !was_passed_on(headers);
        if here { Self::FromHere } else { Self::FromAfar }
    }
}

/// Whether a proxy says that it has the request from somebody else.
fn was_passed_on(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED) || headers.contains_key(FORWARDED_FOR)
}

/// What a request's caller is to be told of it.
pub struct Story {
    account: Arc<Account>,
    /// What stands for the request until it has ended.
    so_far: Request,
    dialect: Dialect,
}

/// The story of the request that `settle` books, where its caller asks for it and may.
pub fn granted(wish: Wish, settle: &Settle, dialect: Dialect) -> Option<Story> {
    if wish == Wish::Nothing || !may(wish, &settle.caller) {
        return None;
    }
    Some(Story { account: Arc::clone(settle.account()?), so_far: settle.row_so_far(), dialect })
}

fn may(wish: Wish, caller: &Caller) -> bool {
    caller.lineage().map_or(wish == Wish::FromHere, Lineage::may_explain)
}

/// Puts it on the answer.
pub fn on(story: Option<Story>, mut response: Response<Reply>) -> Response<Reply> {
    let Some(mut story) = story else { return response };
    match response.body().settle() {
        Some(settle) => story.so_far = settle.row_so_far(),
        None => story.so_far.status = response.status().as_u16(),
    }
    if let Some(value) = story.text().and_then(|text| HeaderValue::try_from(text).ok()) {
        response.headers_mut().insert(DECISION, value);
    }
    if takes_comments(&response, story.dialect) {
        return response.map(|reply| Reply::explained(Explained::new(reply, story)));
    }
    response
}

/// Whether a comment after the end of this answer disturbs nobody.
fn takes_comments(response: &Response<Reply>, dialect: Dialect) -> bool {
    let headers = response.headers();
    let is_events =
        headers.get(CONTENT_TYPE).is_some_and(|media| media.as_bytes().starts_with(b"text/event-stream"));
    is_events
        && !headers.contains_key(CONTENT_ENCODING)
        && response.body().is_in_pieces()
        && trouble::has_comments(dialect)
}

impl Story {
    fn text(&self) -> Option<String> {
        self.account.explained(&self.so_far, MOST)
    }

    /// As a comment between events, one line of its own.
    pub fn comment(&self) -> Option<String> {
        self.text().map(|text| format!(": mainstay-decision {text}\n"))
    }
}
