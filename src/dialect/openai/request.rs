//! Requests: `POST /chat/completions`.
//!
//! | file | holds |
//! |---|---|
//! | `read` | what a caller says, Cursor's Responses-shaped bodies among it |
//! | `write` | what an upstream is asked, in the manner of its vendor |

mod read;
mod write;

pub use read::read;
pub use write::{holds_to, write};
