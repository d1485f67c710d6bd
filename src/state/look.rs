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
    /// Of each channel of the route, in its order: how gladly it would have been picked, or why not. Empty where that was
    /// not the question: a second channel beside a silent one, or the least bad one where nobody is eligible.
    pub judged: Judgements,
    /// The place of the one that was picked; `None` where nobody could be.
    pub picked: Option<usize>,
}

/// As `route::shortlist` calls them.
pub type Judgements = SmallVec<[&'static str; 4]>;
