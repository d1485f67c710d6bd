//! What operators are told of without asking: what is watched, what is told of it and when, and the messages that wait
//! to be delivered.
//!
//! ```text
//! Watch ──┐                           ┌─ Outbox (ops) ── letter ─┐
//! budgets ┼─► Live.alerts ─► Herald ──┤                          ├─► server posts it, and says what came of it
//! …       ┘                  Board    └─ Outbox (chat) ─ letter ─┘
//! ```
//!
//! | file | job |
//! |---|---|
//! | `board` | what fires: each once, several together, again after hours, and when it is over |
//! | `claim` | which of several replicas tells it |
//! | `message` | how a message looks, and its signature |
//! | `outbox` | one webhook's messages in their order, and when the next try is |
//! | `herald` | all of that together, for whoever posts and for the console |
//! | `watch` | live memory, the store and what is spent -> alerts |
//!
//! Nothing here, save for the store, waits for anybody or knows a network: connections are `upstream`'s, tasks
//! `server`'s. So what is told and when follows from alerts and times alone. What fires is forgotten with the process:
//! the next one tells it anew.

mod board;
mod claim;
mod herald;
mod message;
mod outbox;
pub mod watch;

pub use board::News;
pub use claim::untold;
pub use herald::{FiringNow, Happened, Herald, Standing, WebhookNow};
pub use outbox::{Answer, Letter};
pub use watch::{Kept, Watch};
