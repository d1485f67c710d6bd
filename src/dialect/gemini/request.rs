//! Requests.
//!
//! | file | what |
//! |---|---|
//! | `read` | a request as a whole: contents and system instruction |
//! | `pairs` | whose result is whose |
//! | `chunks` | histories that hold the chunks of streams |
//! | `config` | `generationConfig` and `toolConfig` of a caller |
//! | `tools` | tools, read and written |
//! | `write`, `contents` | a request for an upstream |
//! | `settings` | `generationConfig` for an upstream |
//! | `thinking` | how much a model may think, which depends on the model |

mod chunks;
mod config;
mod contents;
mod pairs;
mod read;
mod settings;
mod thinking;
mod tools;
mod write;

pub use read::read;
pub use write::write;
