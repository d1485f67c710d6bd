//! What was used and what it cost, for people and for spreadsheets; and costs put right once prices were.
//!
//! | file | job |
//! |---|---|
//! | [`words`] | what is asked for, as the command line and the admin side both say it |
//! | `period` | its time |
//! | [`mod@usage`] | sums by anything that sums are kept by |
//! | `what_if` | the same tokens at other models |
//! | [`rows`] | requests and attempts one by one, a page at a time |
//! | [`mod@reprice`] | costs made again of the counts that rows hold |
//! | `sheet` | cells and columns; as a table, as CSV, as JSON |
//!
//! Everything is asked of the store, of a gateway that runs or of a file alone: nobody's live state is looked at, and
//! no clock. Money is whole nano-dollars all the way, and is written with all nine decimals.

mod period;
pub mod reprice;
pub mod rows;
mod sheet;
pub mod usage;
mod what_if;
pub mod words;

pub use period::moment_of;
pub use reprice::{Repricing, reprice};
pub use rows::Export;
pub use sheet::Format;
pub use usage::usage;
pub use words::{RepriceAsked, RowsAsked, UsageAsked, Words};

use crate::store::Error;

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// What is wrong with the question, and how it is asked.
    #[error("{0}")]
    Wrong(String),
    #[error(transparent)]
    Store(#[from] Error),
}

impl Failed {
    fn wrong<T>(why: impl Into<String>) -> Result<T, Self> {
        Err(Self::Wrong(why.into()))
    }
}
