//! Tells a caller who asks with `x-mainstay-cost: 1` what his request has cost, where that is known before its answer
//! leaves: of an answer that is there as a whole, all attempts included. It is said of this answer as it leaves, so that
//! none that is kept or shared has it. A stream's head is gone before anybody knows.

use http::{HeaderName, HeaderValue, Response};

use super::intake::Arrival;
use super::reply::Reply;

const COST: HeaderName = HeaderName::from_static("x-mainstay-cost");

/// Whether a request asks for its cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Asked,
    Nothing,
}

impl Wish {
    pub fn of(arrival: &Arrival) -> Self {
        let asks = |said: &HeaderValue| said == "1" || said == "true";
        if arrival.head.headers.get(COST).is_some_and(asks) { Self::Asked } else { Self::Nothing }
    }
}

/// Says it in US dollars; nothing where an attempt has no price, or no books are kept.
pub fn say(response: &mut Response<Reply>) {
    let body = response.body();
    let whole = body.as_whole().and_then(|_| body.settle());
    // Who was refused before anybody was asked hears no price of nothing.
    let served = whole.filter(|settle| settle.attempts > 0 || settle.replayed.is_some());
    let cost = served.and_then(|settle| settle.account()).and_then(|account| account.cost());
    if let Some(value) = cost.and_then(|cost| HeaderValue::try_from(cost.fixed()).ok()) {
        response.headers_mut().insert(COST, value);
    }
}
