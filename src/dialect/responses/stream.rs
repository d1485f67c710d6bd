//! Streamed answers. Sources: as for requests; WIRE §2.3, §3.4.

mod blocks;
mod follow;
mod open;
mod output;
mod reader;
mod writer;

pub use follow::Follower;
pub use reader::Reader;
pub use writer::Writer;
