//! Streamed answers: chunks, each of which looks like a whole answer.

mod partial;
mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;
