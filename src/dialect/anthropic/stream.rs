//! Streamed answers.
//!
//! `message_start (content_block_start content_block_delta* content_block_stop)* message_delta
//! message_stop`, one block at a time, with `ping` anywhere (WIRE §3.4). The counts of `message_delta`
//! are totals and win over those of `message_start`.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;
