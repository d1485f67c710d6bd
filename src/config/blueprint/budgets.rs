//! What may be spent, and what follows once it is.

use std::sync::Arc;
use std::time::Duration;

use crate::algo::spend::Per;
use crate::config::Percent;
use crate::vocab::Money;

/// One entry of `budgets:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    pub per: Per,
    /// Of all time, the part that counts; since the Unix epoch.
    pub starts: Option<Duration>,
    pub limit: Money,
    /// What operators are told of, the smallest first.
    pub soft: Vec<Percent>,
    pub exceeded: Exceeded,
    pub unpriced: Unpriced,
}

/// What becomes of requests for which too little is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exceeded {
    Refuse,
    /// They are served all the same.
    Alert,
    /// The route of this name serves them.
    Downgrade(Arc<str>),
}

/// What becomes of requests of which nobody can say what they cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpriced {
    Allow,
    Refuse,
}
