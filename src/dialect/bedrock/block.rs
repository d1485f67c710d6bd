//! Content blocks: what messages, answers and tools' results are made of.
//!
//! A block is an object with one member, which says what it is. Cache points are blocks of their own
//! behind what they mark.

mod read;
mod write;

pub use read::{Side, cache_mark, cite, parts, redacted};
pub use write::{cache_point, call, citations, media, thought, write_citation};

/// The extra under which a tool's result keeps that it was JSON and no text.
pub const JSON: &str = "json";
/// The extras under which texts keep what stood around them.
pub const GUARDED: &str = "guardContent";
pub const CITED: &str = "citationsContent";
