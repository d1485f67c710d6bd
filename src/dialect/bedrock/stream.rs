//! Streamed answers: messages of Amazon's event stream, whose names say what they are.

mod read;
mod write;

pub use read::Reader;
pub use write::Writer;
