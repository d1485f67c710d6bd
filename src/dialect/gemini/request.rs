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
//! | `signed` | whether calls lack the signatures that Gemini 3 wants |
//! | `thinking` | how much a model may think, which depends on the model |

mod chunks;
mod config;
mod contents;
mod pairs;
mod read;
mod settings;
mod signed;
mod thinking;
mod tools;
mod write;

pub use read::{read, read_to_count};
pub use settings::holds_to_form;
pub use signed::lacks_signatures;
pub use thinking::tells_levels_in_vain;
pub use write::write;
