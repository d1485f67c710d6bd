//! What a pool keeps.

use crate::around::{call, h1, now};

pub mod pool;
#[path = "../../../../src/upstream/shelf.rs"]
mod shelf;
#[path = "../../../../src/upstream/slot.rs"]
mod slot;
