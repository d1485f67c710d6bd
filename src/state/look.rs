//! One look at a route's channels, as it was taken when somebody was to be picked: for whoever asks later why a request
//! went where it went.

use std::sync::Arc;

use smallvec::SmallVec;

use super::route::Route;
use crate::algo::tick::Tick;

/// Who was picked, and what was thought of everybody.
#[derive(Clone, Debug)]
pub struct Look {
    pub at: Tick,
    pub route: Arc<Route>,
    /// Of each channel of the route, in its order: how gladly it would have been picked, or why not. Empty where that
    /// was not the question: a second channel beside a silent one, or the least bad one where nobody is eligible.
    pub judged: Judgements,
    /// The place of the one that was picked; `None` where nobody could be.
    pub picked: Option<usize>,
}

/// What is thought of those who could be picked, the most gladly first.
pub const ELIGIBLE: [&str; 6] = ["ready", "doubted", "stalled", "last", "short_of_quota", "trial"];

/// One of [`ELIGIBLE`], or why not, as `route::shortlist` calls it.
pub type Judgements = SmallVec<[&'static str; 4]>;
