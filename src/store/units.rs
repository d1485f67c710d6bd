//! What is counted, in the columns' order: all that a provider charges for, and what of it a row may hold.

use super::script::{Kind, Row};
use crate::vocab::usage::Other;
use crate::vocab::{Money, Usage};

/// A column of [`Usage`], and what stands in it.
type Column = (&'static str, fn(&Usage) -> u64);

const COLUMNS: [Column; 15] = [
    ("input", |used| used.input),
    ("cache_read", |used| used.cache_read),
    ("cache_write", |used| used.cache_write),
    ("cache_write_1h", |used| used.cache_write_1h),
    ("output", |used| used.output),
    ("reasoning", |used| used.reasoning),
    ("input_audio", |used| used.input_audio),
    ("cache_read_audio", |used| used.cache_read_audio),
    ("output_audio", |used| used.output_audio),
    ("input_image", |used| used.input_image),
    ("output_image", |used| used.output_image),
    ("images", |used| used.other.images.into()),
    ("searches", |used| used.other.searches.into()),
    ("characters", |used| used.other.characters.into()),
    ("audio_millis", |used| used.other.audio_millis.into()),
];

/// How many there are.
pub const UNITS: usize = COLUMNS.len();
/// Of them, the last ones, which hardly any request uses: sound, pictures, searches, characters.
pub const RARE: usize = 9;

/// More of anything than this is no count but a provider's mistake, and eight million of them fit into a sum.
pub const MOST_UNITS: u64 = 1 << 40;
/// Nine million dollars, in nano-USD.
pub const MOST_COST: u64 = 1 << 53;

/// The names of the columns.
pub fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS.into_iter().map(|(name, _)| name)
}

pub fn columns() -> impl Iterator<Item = (&'static str, Kind)> {
    names().map(|name| (name, Kind::Int))
}

/// What stands in them.
pub fn counts(usage: &Usage) -> [i64; UNITS] {
    std::array::from_fn(|at| count(usage, at))
}

/// What stands in one of them; nothing where there are not so many.
pub fn count(usage: &Usage, at: usize) -> i64 {
    COLUMNS.get(at).map_or(0, |(_, count)| count(usage).min(MOST_UNITS).cast_signed())
}

/// Whether any of the last [`RARE`] was used.
pub fn has_rare(usage: &Usage) -> bool {
    COLUMNS[UNITS - RARE..].iter().any(|(_, count)| count(usage) > 0)
}

pub fn nano_usd(cost: Money) -> i64 {
    cost.as_nano_usd().min(MOST_COST).cast_signed()
}

/// What stands in the columns from `at` on.
pub fn usage(row: &Row, at: usize) -> Usage {
    let few = |number: usize| u32::try_from(row.count(at + number)).unwrap_or(u32::MAX);
    let other = Other { images: few(11), searches: few(12), characters: few(13), audio_millis: few(14) };
    Usage { other, ..tokens(row, at) }
}

/// As [`usage`], without what is no token.
pub fn tokens(row: &Row, at: usize) -> Usage {
    let count = |number: usize| row.count(at + number);
    Usage {
        input: count(0),
        cache_read: count(1),
        cache_write: count(2),
        cache_write_1h: count(3),
        output: count(4),
        reasoning: count(5),
        input_audio: count(6),
        cache_read_audio: count(7),
        output_audio: count(8),
        input_image: count(9),
        output_image: count(10),
        ..Usage::default()
    }
}
