//! One model for each word: a few threads, and what must hold whatever the order in which they come.
//!
//! A model says which outcomes there are, and fails as well when loom has not come across one of them: an order of
//! events that is never tried proves nothing.

mod connections;
mod credential;
mod fate;
mod gate;
mod network;
mod purse;
mod queue;
mod room;
mod shelf;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mainstay_models::algo::dice::Dice;
use mainstay_models::algo::tick::Tick;

/// How often loom takes a thread from its work where it could go on. Every mistake that these models have found
/// shows at two; `LOOM_MAX_PREEMPTIONS=3` takes ten times as long.
const PREEMPTIONS: usize = 2;

/// Tries every order of events of `model`, whose answer is how it went; all of `outcomes` must come about, and
/// nothing else.
fn explore<T>(outcomes: &[T], model: impl Fn() -> T + Send + Sync + 'static)
where
    T: Clone + Ord + std::fmt::Debug + Send + 'static,
{
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTIONS);
    let noted = Arc::clone(&seen);
    builder.check(move || {
        let outcome = model();
        noted.lock().expect("one model at a time").insert(outcome);
    });
    let seen = seen.lock().expect("the models have ended");
    assert_eq!(*seen, outcomes.iter().cloned().collect(), "what came about, and what should");
}

type Work<T> = Box<dyn FnOnce() -> T + Send>;

/// Runs all of them at once; what they say, in their order.
fn together<T: Send + 'static, const N: usize>(works: [Work<T>; N]) -> [T; N] {
    let running = works.map(loom::thread::spawn);
    running.map(|thread| thread.join().expect("no thread of a model panics"))
}

fn at(secs: u64) -> Tick {
    Tick::ZERO + Duration::from_secs(secs)
}

fn dice() -> Dice {
    Dice::seeded(7)
}
