//! Where a key's requests are among all others: the slots of time in which it asked for any.
//!
//! An index by key would hold an entry for each request, which go to as many places as there are keys. A slot is put
//! down once, however much a key asks within it, and whoever looks for a key's requests goes through its slots alone.
//! This is SQLite's way; PostgreSQL keeps an index, which is its own server's work.

use std::sync::{Arc, LazyLock};

use rustc_hash::FxHashSet;

use super::rows::{Batch, RequestRow};
use super::script::{Kind, Script, Table, Value};

/// Microseconds of a slot; migration 6 says the same. As many rows are looked through for a request of a key that
/// hardly asks for any: at 2,000 requests a second some 20,000, which take it 2 ms.
pub const SLOT: i64 = 10_000_000;

static KEY_SLOTS: LazyLock<Table> = LazyLock::new(|| {
    Table::new("key_slots", vec![("key_name", Kind::Text), ("slot", Kind::Int)], "ON CONFLICT DO NOTHING")
});

/// Puts down where the keys of `batches` asked.
pub fn put(script: Script, batches: &[Arc<Batch>]) -> Script {
    let own = batches.iter().flat_map(|batch| &batch.requests).filter(|row| row.is_own());
    let slots: FxHashSet<(&str, i64)> = own.filter_map(slot).collect();
    let rows: Vec<_> =
        slots.into_iter().map(|(key, slot)| vec![Value::text(key), Value::Int(slot)]).collect();
    script.fill(&KEY_SLOTS, rows)
}

fn slot(row: &RequestRow) -> Option<(&str, i64)> {
    Some((row.who.key.as_deref()?, of(row.at_micros)))
}

/// The slot of a moment.
pub const fn of(at_micros: i64) -> i64 {
    at_micros.div_euclid(SLOT)
}
