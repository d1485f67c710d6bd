//! Streamed answers: `message-start`, then content, plans and calls, then `message-end` and `[DONE]`.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;
