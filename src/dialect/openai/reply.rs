//! Answers in one piece.
//!
//! | file | holds |
//! |---|---|
//! | `read` | what an upstream answered, in its vendor's variant (WIRE §3.4, §3.8) |
//! | `write` | what a caller gets, as OpenAI's SDKs read it |

mod read;
mod write;

pub use read::{cite, image, read, sources};
pub use write::{call_id, id, write, write_annotation, write_image};
