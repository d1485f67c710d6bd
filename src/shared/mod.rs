//! What the replicas of a gateway have in common: one connection to Redis or Valkey, and what hangs there.
//!
//! ```text
//! a task of server ── Link::hold ── dials, greets, drives, waits, dials again
//!                        │
//!                      Link::ask ── one round trip, bounded; nothing at all while nobody is there
//!                        │
//!                      Board ── notes that expire, for all replicas to read
//!                      Tallies ── what callers have used, counted for all replicas together
//!                      Purses ── what callers have spent, as each replica says it of itself
//! ```
//!
//! The only room that speaks Redis. Whoever asks gets an answer within `server.redis.timeout`, a request for all that
//! it asks, or a [`Silence`], and goes on without: nothing here is needed to serve a request, and while Redis is away
//! asking costs a lock. What is written on the board means nothing here, and no secret may be on it.

mod board;
mod link;
mod purses;
mod tallies;
mod waited;

pub use board::{Board, Entry, MOST};
pub use link::{Link, Silence, Standing};
pub use purses::{Last, Others, Purse, Purses, Verdict, Weighed};
pub use tallies::{Beat, Change, Correction, Row, Stand, Taken, Takes, Tallies, Wait};
pub use waited::Waited;
