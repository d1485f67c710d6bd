//! The circuit breaker: what the recent past says about one upstream, or one model of it.
//!
//! ```text
//!            consecutive | fast | slow | slow calls                    until passed | probe rose
//!   Closed ───────────────────────────────────────────► Open{until} ──────────────────────► HalfOpen
//!      ▲                                                    ▲                                │   │
//!      │                                                    └── trial failed | lease expired ┘   │
//!      └───────────────────────────── trials passed ─────────────────────────────────────────────┘
//!   ForcedClosed, ForcedOpen, MetricsOnly: an operator's word, from anywhere and back to Closed
//! ```
//!
//! Three ideas carry it, each against a defect that recurs in the field (RESILIENCE D4, D5, D6):
//!
//! - **A permit knows its generation.** Every transition begins a new one, and an outcome of an older
//!   generation changes nothing at all: a request sent before the trip can neither fail nor pass the
//!   trials that follow it, however late it ends.
//! - **A trial is a lease.** It has a deadline, and a lease without a verdict at its deadline is a
//!   failed trial, so a hung request cannot leave the breaker half open for ever.
//! - **A stream is judged twice**: when its first content arrives, and again if it breaks later.
//!   Waiting for the end of a ten-minute answer would leave a ten-second window blind. So broken streams have a
//!   run of their own, which first contents do not end. A half-open breaker may close on first contents of streams
//!   that break later; it opens again at the next break, since closing does not end that run either.
//!
//! State is evidence, not policy (D1): what to do when every breaker of a route is open is decided
//! elsewhere. There is no lock here either; whoever shares a breaker puts it behind one.

#[cfg(test)]
mod commands;
mod core;
mod evidence;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod model;
mod settings;
mod streak;
#[cfg(test)]
mod tests;
mod trials;
mod words;

pub use self::core::Breaker;
pub use self::core::kept::{Kept, Stage as KeptStage};
pub use self::settings::{Consecutive, HalfOpen, Open, Rule, Settings, SlowCall};
pub use self::words::{
    Admissible, Forced, Kind, Permit, Reason, Refused, Settled, Signal, Snapshot, State, Transition,
};
