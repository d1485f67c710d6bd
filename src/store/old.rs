//! Batches whose names may be forgotten: a spool that was left for longer than [`REMEMBERED`] is told once more, and
//! nobody's names say any more whether it was written then. Its rows do, for as long as they are kept.
//!
//! What is older than its rows would be can be told by nothing. It is not counted twice, and is lost if it was never
//! counted once.

use std::time::Duration;

use super::Store;
use super::error::Error;
use super::rows::Batch;
use super::script::{Script, Value};
use super::write::{REMEMBERED, micros};

/// Clocks of replicas may be apart by this.
const APART: Duration = Duration::from_hours(1);

/// A row that is there if its batch was written, and goes last of all that it brought.
pub struct Witness {
    at_micros: i64,
    values: Vec<Value>,
    /// Puts the batch's name down, unless the row is there.
    pub put: &'static str,
    ask: &'static str,
}

impl Witness {
    /// The last row of a batch that may be forgotten; none where its name says all.
    pub fn of(batch: &Batch, unix: Duration) -> Option<Self> {
        // A name begins with its time in milliseconds.
        let made = Duration::from_millis(u64::try_from(batch.id >> 80).unwrap_or(u64::MAX));
        if unix.saturating_sub(made) < REMEMBERED.saturating_sub(APART) {
            return None;
        }
        let own = batch.requests.iter().filter(|row| row.is_own());
        let request = own.max_by_key(|row| row.at_micros).map(|row| Self {
            at_micros: row.at_micros,
            values: vec![Value::Int(row.at_micros), Value::id(row.id.0)],
            put: "INSERT INTO batches (id, at_micros) SELECT $1, $2 WHERE NOT EXISTS \
                  (SELECT 1 FROM requests WHERE at_micros = $3 AND id = $4) ON CONFLICT DO NOTHING",
            ask: "SELECT at_micros FROM batches WHERE id = $1 UNION ALL \
                  SELECT at_micros FROM requests WHERE at_micros = $2 AND id = $3",
        });
        // A mirror's may be alone.
        let attempt = || batch.attempts.iter().max_by_key(|row| row.at_micros);
        request.or_else(|| {
            attempt().map(|row| Self {
                at_micros: row.at_micros,
                values: vec![
                    Value::Int(row.at_micros),
                    Value::id(row.request.0),
                    Value::Int(row.number.into()),
                ],
                put: "INSERT INTO batches (id, at_micros) SELECT $1, $2 WHERE NOT EXISTS \
                      (SELECT 1 FROM attempts WHERE at_micros = $3 AND request = $4 AND number = $5) \
                      ON CONFLICT DO NOTHING",
                ask: "SELECT at_micros FROM batches WHERE id = $1 UNION ALL \
                      SELECT at_micros FROM attempts WHERE at_micros = $2 AND request = $3 AND number = $4",
            })
        })
    }

    /// For [`Witness::put`], behind `name`.
    pub fn behind(&self, mut name: Vec<Value>) -> Vec<Value> {
        name.extend(self.values.iter().cloned());
        name
    }

    /// Whether rows of its time are kept, so that it says for certain what was written.
    pub fn is_kept(&self, kept: Duration, unix: Duration) -> bool {
        self.at_micros >= micros(unix.saturating_sub(kept).saturating_add(APART))
    }
}

impl Store {
    /// What is too old to be written: that it was written is said by what is left of it, or else it is counted as lost.
    pub(super) async fn recall(&self, batch: &Batch, witness: &Witness) -> Result<(), Error> {
        let found = self.look(Script::ask(witness.ask, witness.behind(vec![Value::id(batch.id)]))).await?;
        if found.is_empty() {
            let rows = batch.requests.len() + batch.attempts.len();
            self.watch.handles.too_old.increment(rows as u64);
            tracing::error!(
                rows,
                "rows are lost that were spooled for longer than store.retention.requests: nobody can tell whether they \
                 were counted before"
            );
        }
        Ok(())
    }
}
