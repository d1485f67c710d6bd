//! What may be spent, and what follows once it is.

use std::sync::Arc;
use std::time::Duration;

use crate::algo::limit::{Allowance, Measure, Unit};
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

/// The field that refuses requests for what they cost or for how many tokens they have, if one does: who has it cannot
/// let in what nobody measures.
pub fn measures(budgets: &[Budget], max_cost: Option<Money>, limits: &Allowance) -> Option<&'static str> {
    let counts = |unit: &Unit| unit.measure() == Measure::Tokens && limits.limit(*unit).is_some();
    let refuses = budgets.iter().any(|budget| budget.exceeded != Exceeded::Alert);
    let budgets = refuses.then_some("budgets");
    let tokens = Unit::ALL.into_iter().find(counts).map(Unit::name);
    budgets.or(max_cost.map(|_| "max_cost")).or(tokens)
}
