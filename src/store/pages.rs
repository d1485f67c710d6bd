//! All rows of a time, in the order in which their requests came, a page at a time: nobody holds more of them than a
//! page, and rows that come meanwhile are on a later page or were there before it. An attempt is of the time of its
//! request, to the millisecond, so that the attempts of a time belong to the requests of that time.

use std::time::Duration;

use super::Store;
use super::error::Error;
use super::rows::RowId;
use super::script::{Script, Value};
use super::search::{FoundAttempt, FoundRequest, attempt, names, request};
use super::write::{ATTEMPTS, REQUESTS};

/// A page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<P> {
    /// Microseconds of Unix time.
    pub from: i64,
    /// That moment excluded.
    pub to: i64,
    /// Only those behind it.
    pub after: P,
    pub most: u32,
}

/// A request's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtRequest {
    pub at_micros: i64,
    pub id: RowId,
}

/// An attempt's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtAttempt {
    pub request: RowId,
    pub number: u64,
}

impl AtRequest {
    /// Before all others.
    pub const START: Self = Self { at_micros: i64::MIN, id: RowId(0) };
}

impl AtAttempt {
    /// Before all others.
    pub const START: Self = Self { request: RowId(0), number: 0 };
}

impl FoundRequest {
    pub fn place(&self) -> AtRequest {
        AtRequest { at_micros: self.at_micros, id: self.id }
    }
}

impl FoundAttempt {
    pub fn place(&self) -> AtAttempt {
        AtAttempt { request: self.request, number: self.number }
    }
}

impl Store {
    pub async fn page_of_requests(&self, page: &Page<AtRequest>) -> Result<Vec<FoundRequest>, Error> {
        let sql = format!(
            "SELECT {} FROM requests WHERE at_micros >= $1 AND at_micros < $2 AND (at_micros, id) > ($3, $4) \
             ORDER BY at_micros, id LIMIT $5",
            names(&REQUESTS.columns)
        );
        let values = vec![
            // Says the same as the place does, in the way that leaves out whole months.
            Value::Int(page.from.max(page.after.at_micros)),
            Value::Int(page.to),
            Value::Int(page.after.at_micros),
            Value::id(page.after.id.0),
            Value::Int(page.most.into()),
        ];
        let rows = self.look(Script::ask(sql, values)).await?;
        Ok(rows.iter().map(request).collect())
    }

    pub async fn page_of_attempts(&self, page: &Page<AtAttempt>) -> Result<Vec<FoundAttempt>, Error> {
        let sql = format!(
            "SELECT {} FROM attempts WHERE at_micros >= $1 AND request >= $2 AND request < $3 \
             AND (request, number) > ($4, $5) ORDER BY request, number LIMIT $6",
            names(&ATTEMPTS.columns)
        );
        let first = |micros: i64| RowId::new(Duration::from_micros(micros.max(0).unsigned_abs()), 0);
        let values = vec![
            // No attempt begins before its request does; that leaves out whole months.
            Value::Int(page.from),
            Value::id(first(page.from).max(page.after.request).0),
            Value::id(first(page.to).0),
            Value::id(page.after.request.0),
            Value::Int(page.after.number.cast_signed()),
            Value::Int(page.most.into()),
        ];
        let rows = self.look(Script::ask(sql, values)).await?;
        Ok(rows.iter().map(|row| attempt(row, 0)).collect())
    }
}
