//! Requests.
//!
//! | file | job |
//! |---|---|
//! | `read` | a body -> what it asks for |
//! | `write` | what is asked for -> a body, its members in an order that suits prompt caches |
//! | `arrange`, `ids` | turns -> messages as the API takes them: who speaks when, results first, ids |
//! | `say`, `marks` | parts -> content blocks; cache marks |
//! | `tools` | tools, the choice among them, the form of the answer |
//! | `think` | how much the model may think |
//! | `schema` | schemas as the API takes them |
//! | `deferred` | the search for tools, for those who have none |
//! | `line` | what a model's name tells, where nothing else does |
//!
//! What comes from this dialect is said again as it was, member by member. For what comes from another
//! one these decisions hold; bodies are valid for `anthropic-version: 2023-06-01`:
//!
//! - The first message has to be the user's: if it is not, or if there is none, a user's `.` goes first.
//! - System turns at the beginning are the `system` prompt. Later ones stay where they are if the model
//!   takes them; else they are user text in `<system>` tags, behind results that have to come first.
//! - An answer that the request has begun (a prefill) is continued by models that can. For others the
//!   user asks to go on exactly there, and `prefill` is reported.
//! - `max_tokens` is required: the caller's, at most what the model can; else all that the model can;
//!   else 32,000 for a Claude that nobody knows (4,096 and 8,192 for the third generation), and 4,096
//!   for other models, whose windows may be small.
//! - Any JSON object as the form of the answer has no equal: it is one more instruction, and
//!   `response_format` is reported. A schema is `output_config.format`, or for models without it, and for
//!   schemas that no grammar can hold an answer to, a tool that has to be called (see `stand_in`). Schemas
//!   of answers and of strict tools are closed and lose their limits, which the API demands (see `schema`);
//!   a tool whose schema cannot be is not strict.
//! - A custom tool is a tool with one string (see `stand_in`); one with a grammar is refused.
//! - Forced tools and thinking exclude each other: the tools win, and `reasoning` is reported.
//! - At most four cache marks, and none of an hour behind one of five minutes: the last ones count.

mod arrange;
mod deferred;
pub mod fit;
mod flat;
mod ids;
mod line;
mod marks;
mod read;
mod say;
mod schema;
mod think;
mod tools;
mod write;

pub use deferred::offer;
pub use ids::Called;
pub use marks::Marks;
pub use read::read;
pub use schema::{imposed, of_tool};
pub use write::write;

use crate::dialect::hub::Terms;

/// Whether a Claude of this line continues an answer that the request has begun.
pub fn continues(terms: &Terms<'_>) -> bool {
    line::Line::of(terms.kind()).continues(terms)
}
