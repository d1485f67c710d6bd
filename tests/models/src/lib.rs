//! The words that the gateway's threads share, as its own files say them, where every order of events can be tried.
//!
//! Each module with a `#[path]` is a file of the program, not a copy of one. They fetch their atomics, mutexes and
//! notifications from `state::sync`, which here ([`sync`]) gives those of [loom]: it runs a model again and
//! again, each time in another order, until it has tried all that may differ, stale reads of weaker orderings
//! included. What those files need beside them and threads do not share has a stand-in in [`around`].
//!
//! loom alone, and no checker that draws orders by lot: the words are small enough for every order, and most of what
//! could go wrong with them is an ordering too weak, which only loom sees. The price is that whatever stands on tokio's
//! own waits is judged between its calls, not within them; those are tokio's to prove. What stands on still more of
//! other people's words is hammered by real threads in `tests/it/hammer/threads.rs`.
//!
//! A model must come out the same way in every run of the same order, so the program's files may not walk a map that
//! has an order of its own in each process.
//!
//! ```sh
//! scripts/models            # all of them, as scripts/check runs them
//! scripts/models queue      # those whose names have it
//! ```

#![allow(dead_code, reason = "a file of the program is here whole, and models need parts of it")]

pub mod algo;
mod around;
pub mod route;
pub mod server;
pub mod state;
pub mod sync;
pub mod upstream;
pub mod vocab;

use around::{admin, config, telemetry};
