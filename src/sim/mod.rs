//! Rehearsals: a real configuration through the real choosing, judging and remembering, in a time that
//! leaps from one event to the next, with upstreams that fail as a script says.
//!
//! | file | job |
//! |---|---|
//! | `setup` | what a run follows from |
//! | `world`, `turns`, `queue` | arrivals, answers, probes, trials, reloads, freezes: one event after the other |
//! | `fate` | what comes of an answer and our patience |
//! | `drive` | one request's way through a [`Plan`](crate::route::Plan), as `proxy::drive` goes it |
//! | `weather` | what an upstream answers at this moment |
//! | `watch` | probes, synthetic trials and rechecks, by the rules of `server` |
//! | `seen` | what happened, for whoever keeps count |
//! | `ledger`, [`report`] | the count, minute by minute, and what it came to |
//! | [`claim`] | what a report is held to |
//! | [`outages`] | ready-made ones, and what is rehearsed where nobody says |
//! | [`text`], [`page`], `chart` | a report at a terminal, and as one file for a browser |
//!
//! Synchronous and alone: no socket, no task, no clock but its own, no chance but its seed's. The same
//! setup gives the same run, event by event. It rehearses decisions, not wires: what a dialect, a
//! connection pool or a slow caller does is `tests/it/lab`'s affair.

mod chart;
pub mod claim;
mod drive;
mod fate;
mod ledger;
pub mod outages;
pub mod page;
mod queue;
pub mod report;
mod seen;
mod setup;
#[cfg(test)]
mod tests;
pub mod text;
mod turns;
mod watch;
mod weather;
mod world;

pub use drive::Parted;
pub use ledger::Ledger;
pub use seen::{End, Left, Passage, Seen, Witness};
pub use setup::{Freeze, Rehearsal, Reload, Unroutable, pretend_keys};
pub use weather::{USUAL_PACE, USUAL_TTFT};
pub use world::run;
