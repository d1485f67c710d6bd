//! Pure algorithms: no async, clock, lock, log or global. `now` and `dice` are arguments.

pub mod dice;
pub mod tick;
