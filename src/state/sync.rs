//! The words that threads share: the machine's atomics, and the one mutex of this program.
//!
//! Nothing is made here; the names are only fetched from one place. `tests/models` compiles the files that fetch
//! theirs here with other ones, under which every order of events can be tried. Arcs, and what is awaited while
//! time goes by, are not among them.

pub use std::sync::atomic;

pub use parking_lot::Mutex;
pub use tokio::sync::Notify;
