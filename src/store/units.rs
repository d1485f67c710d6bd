//! What is counted, in the columns' order: all that a provider charges for, and what of it a row may hold.

use super::script::{Kind, Row, Value};
use crate::vocab::usage::Other;
use crate::vocab::{Money, Usage};

/// The columns of [`Usage`].
pub const USAGE: [&str; 15] = [
    "input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
    "input_audio",
    "cache_read_audio",
    "output_audio",
    "input_image",
    "output_image",
    "images",
    "searches",
    "characters",
    "audio_millis",
];

/// More of anything than this is no count but a provider's mistake, and eight million of them fit into a sum.
pub const MOST_UNITS: u64 = 1 << 40;
/// Nine million dollars, in nano-USD.
pub const MOST_COST: u64 = 1 << 53;

pub fn columns() -> impl Iterator<Item = (&'static str, Kind)> {
    USAGE.iter().map(|name| (*name, Kind::Int))
}

pub fn counts(usage: &Usage) -> [i64; 15] {
    let Usage {
        input,
        cache_read,
        cache_write,
        cache_write_1h,
        output,
        reasoning,
        input_audio,
        cache_read_audio,
        output_audio,
        input_image,
        output_image,
        other: Other { images, searches, characters, audio_millis },
        ..
    } = *usage;
    [
        input,
        cache_read,
        cache_write,
        cache_write_1h,
        output,
        reasoning,
        input_audio,
        cache_read_audio,
        output_audio,
        input_image,
        output_image,
        images.into(),
        searches.into(),
        characters.into(),
        audio_millis.into(),
    ]
    .map(|count| count.min(MOST_UNITS).cast_signed())
}

pub fn nano_usd(cost: Money) -> i64 {
    cost.as_nano_usd().min(MOST_COST).cast_signed()
}

pub fn cost(cost: Option<Money>) -> Value {
    Value::maybe(cost.map(nano_usd), Value::Int)
}

/// The columns of [`USAGE`] from `at` on.
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
