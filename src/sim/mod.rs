//! Rehearsals: a real configuration through the real choosing, judging and remembering, in a time that
//! leaps from one event to the next, with upstreams that fail as a script says.
//!
//! | file | job |
//! |---|---|
//! | `setup` | what a run follows from |
//! | `world`, `turns`, `queue` | arrivals, answers, probes, trials, reloads, freezes: one event after the other |
//! | `fate` | what comes of an answer and our patience |
//! | `drive`, `legs` | one request's way through a [`Plan`](crate::route::Plan), as `proxy::{drive, hedge, onward}` go it |
//! | `bell` | how somebody in a queue hears of his turn where no task waits |
//! | `weather` | what an upstream answers at this moment |
//! | `watch` | probes, synthetic trials and rechecks, by the rules of `server` |
//! | `seen` | what happened, for whoever keeps count |
//! | `ledger`, [`report`] | the count, minute by minute, and what it came to |
//! | [`claim`] | what a report is held to |
//! | [`outages`] | ready-made ones, and what is rehearsed where nobody says |
//! | [`habits`] | how upstreams answered, as an access log has it |
//! | [`unmodelled`] | what no rehearsal of a configuration shows |
//! | [`told`] | from a rehearsal to its report, with what people should know beside it |
//! | [`text`], [`page`], `chart`, [`said`] | a report at a terminal, as one file for a browser, and for programs |
//!
//! Synchronous and alone: no socket, no task, no clock but its own, no chance but its seed's. The same
//! setup gives the same run, event by event. It rehearses decisions, not wires: what a dialect, a
//! connection pool or a slow caller does is `tests/it/lab`'s affair.

mod bell;
mod chart;
pub mod claim;
mod drive;
mod fate;
pub mod habits;
mod ledger;
mod legs;
pub mod outages;
pub mod page;
mod queue;
pub mod report;
pub mod said;
mod seen;
mod setup;
#[cfg(test)]
mod tests;
pub mod text;
pub mod told;
mod turns;
pub mod unmodelled;
mod watch;
mod weather;
mod world;

pub use drive::Parted;
pub use ledger::Ledger;
pub use seen::{Bill, End, Left, Passage, Role, Seen, Witness};
pub use setup::{Freeze, Handover, Rehearsal, Reload, Unroutable, WallStep, pretend_keys};
pub use weather::{PREFILL, PREFILL_AT_HOME, USUAL_PACE, USUAL_TTFT};
pub use world::run;
