//! The program's own words.

#[path = "../../../../src/vocab/mod.rs"]
mod words;
pub use words::*;
