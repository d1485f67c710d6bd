//! Streamed answers: chunks, `data: {…}` until `data: [DONE]`.
//!
//! | file | holds |
//! |---|---|
//! | `read` | an upstream's chunks -> events |
//! | `answer` | one choice of it: what is open, what was said |
//! | `slots` | its tool calls, which vendors number and name each in their own way |
//! | `write` | events -> a caller's chunks |

mod answer;
mod read;
mod slots;
mod write;

pub use read::Reader;
pub use write::Writer;
