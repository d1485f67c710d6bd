//! A retry is paid twice: from its route's budget and from the one of all routes.
//!
//! Never from one of them alone, however many pay at the same moment; and never both locked at once, so the
//! order in which they are locked is nobody's concern. Who may retry is the verdict's question.

use crate::algo::budget::Budget;
use crate::algo::tick::Tick;
use crate::state::sync::Mutex;

/// Takes one retry from the route's budget and one from everybody's, or none from either.
pub fn pay(own: &Mutex<Budget>, everybodys: &Mutex<Budget>, now: Tick) -> bool {
    if !own.lock().withdraw(now) {
        return false;
    }
    let granted = everybodys.lock().withdraw(now);
    if !granted {
        own.lock().refund(now);
    }
    granted
}

/// Gives back what [`pay`] took.
pub fn refund(own: &Mutex<Budget>, everybodys: &Mutex<Budget>, now: Tick) {
    own.lock().refund(now);
    everybodys.lock().refund(now);
}
