//! Live memory: the program's files, but for what surrounds them.

pub use crate::around::{model, upstream};
pub use crate::sync;

pub mod reach;

#[path = "../../../../src/state/credential.rs"]
pub mod credential;
#[path = "../../../../src/state/fate.rs"]
pub mod fate;
#[path = "../../../../src/state/gate.rs"]
pub mod gate;
#[path = "../../../../src/state/network.rs"]
pub mod network;
#[path = "../../../../src/state/queue.rs"]
pub mod queue;
#[path = "../../../../src/state/room.rs"]
pub mod room;
