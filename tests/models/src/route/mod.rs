//! How a retry is paid.

#[path = "../../../../src/route/purse.rs"]
pub mod purse;
