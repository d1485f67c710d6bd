//! What was spent in a part of an hour, by whose it is: what sums cannot say, which are kept by hours.
//!
//! Of attempts' rows, so only as long as these are kept. Mirrored attempts are left out: nobody asked for them but the
//! operator.

use super::error::Error;
use super::script::{Script, Value};
use super::usage::Field;
use super::{Store, sums};
use crate::vocab::{Money, Part};

/// So long before its attempt a request may have come.
const LONGEST: i64 = sums::HOUR;

impl Store {
    /// By the values of `field`, from the first to before the second moment (microseconds of Unix time). `None` where
    /// rows of that time may be gone.
    pub async fn spent(
        &self,
        field: Field,
        (from, to): (i64, i64),
        most: u32,
    ) -> Result<Option<Vec<(String, Money)>>, Error> {
        let (_, unix) = self.watch.now();
        let oldest = i64::try_from(unix.saturating_sub(self.kept()).as_micros()).unwrap_or(i64::MAX);
        if from < oldest {
            return Ok(None);
        }
        let column = field.column();
        let sql = format!(
            "SELECT r.name, CAST(SUM(a.cost) AS BIGINT) FROM attempts a \
             JOIN (SELECT id, {column} AS name FROM requests WHERE at_micros >= $1 AND at_micros < $3) AS r \
             ON r.id = a.request WHERE a.at_micros >= $2 AND a.at_micros < $3 AND a.part <> $4 \
             AND r.name IS NOT NULL AND a.cost IS NOT NULL GROUP BY r.name ORDER BY 2 DESC LIMIT $5"
        );
        let values = vec![
            Value::Int(from.saturating_sub(LONGEST)),
            Value::Int(from),
            Value::Int(to),
            Value::text(Part::Mirror.name()),
            Value::Int(most.into()),
        ];
        let rows = self.look(Script::ask(sql, values)).await?;
        Ok(Some(rows.iter().map(|row| (row.text(0), Money::nano_usd(row.count(1)))).collect()))
    }
}
