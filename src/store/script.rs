//! What is asked of a database, said once for both: a few statements that are done together or not at all.
//!
//! A script is made by the files about rows, keys and reports, which know no database, and run by
//! [`sqlite`](super::sqlite) or [`postgres`](super::postgres), which know no rows. Statements are written so that
//! both understand them; parameters are `$1`, `$2` and so on.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use smallvec::SmallVec;

/// Most bytes of a text that comes from elsewhere: what is longer is cut. An index of PostgreSQL takes no entry of
/// more than 2,704 bytes, and a row that cannot be written would hold up all behind it.
const LONGEST: usize = 512;

/// What stands in a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Int(i64),
    Text(Cow<'static, str>),
    Bytes(SmallVec<[u8; 32]>),
}

/// The same, seen where it lies: what is written is not copied before it is.
#[derive(Debug, PartialEq, Eq)]
pub enum Cell<'a> {
    Null,
    Int(i64),
    Text(Cow<'a, str>),
    Bytes(&'a [u8]),
    Id([u8; 16]),
}

impl<'a> Cell<'a> {
    /// As [`Value::text`].
    pub fn text(text: &'a str) -> Self {
        Self::Text(fit(text))
    }

    /// A word of ours.
    pub const fn word(word: &'static str) -> Self {
        Self::Text(Cow::Borrowed(word))
    }

    pub const fn id(id: u128) -> Self {
        Self::Id(id.to_be_bytes())
    }

    pub fn maybe<T>(value: Option<T>, of: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Null, of)
    }
}

/// Rows on their way into a table.
pub trait Rows: fmt::Debug + Send + Sync {
    fn count(&self) -> usize;

    /// What a row, counted from 0, has in the table's column of that place.
    fn cell(&self, row: usize, column: usize) -> Cell<'_>;

    /// Whether a row has nothing but zeros in the columns that are [rarely](Table::rarely) filled.
    fn is_short(&self, _row: usize) -> bool {
        false
    }
}

impl Rows for Vec<Vec<Value>> {
    fn count(&self) -> usize {
        self.len()
    }

    fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        self[row].get(column).map_or(Cell::Null, Value::cell)
    }
}

impl Value {
    /// A text of anybody's: cut where it is too long, and without the zero that PostgreSQL takes in no text.
    pub fn text(text: &str) -> Self {
        Self::Text(Cow::Owned(fit(text).into_owned()))
    }

    /// A text of ours, of any length.
    pub fn whole(text: &str) -> Self {
        Self::Text(Cow::Owned(if text.contains('\0') {
            text.replace('\0', "\u{fffd}")
        } else {
            text.to_owned()
        }))
    }

    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Bytes(SmallVec::from_slice(bytes))
    }

    pub fn id(id: u128) -> Self {
        Self::bytes(&id.to_be_bytes())
    }

    pub fn maybe<T>(value: Option<T>, of: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Null, of)
    }

    pub fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Int(number) => Cell::Int(*number),
            Self::Text(text) => Cell::Text(Cow::Borrowed(text)),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Int(_) | Self::Bytes(_) => None,
        }
    }
}

pub fn fit(text: &str) -> Cow<'_, str> {
    let text = &text[..text.floor_char_boundary(LONGEST)];
    if text.contains('\0') { Cow::Owned(text.replace('\0', "?")) } else { Cow::Borrowed(text) }
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub Vec<Value>);

/// What a database has in a column is what was put there, so that other types than the expected are as good as
/// nothing.
impl Row {
    pub fn int(&self, at: usize) -> i64 {
        self.maybe_int(at).unwrap_or(0)
    }

    pub fn maybe_int(&self, at: usize) -> Option<i64> {
        match self.0.get(at) {
            Some(Value::Int(number)) => Some(*number),
            Some(Value::Null | Value::Text(_) | Value::Bytes(_)) | None => None,
        }
    }

    /// A count.
    pub fn count(&self, at: usize) -> u64 {
        self.int(at).max(0).unsigned_abs()
    }

    pub fn text(&self, at: usize) -> String {
        self.maybe_text(at).unwrap_or_default()
    }

    pub fn maybe_text(&self, at: usize) -> Option<String> {
        self.0.get(at).and_then(Value::as_text).map(str::to_owned)
    }

    pub fn name(&self, at: usize) -> Option<Arc<str>> {
        self.0.get(at).and_then(Value::as_text).map(Arc::from)
    }

    pub fn bytes(&self, at: usize) -> &[u8] {
        match self.0.get(at) {
            Some(Value::Bytes(bytes)) => bytes,
            Some(Value::Null | Value::Int(_) | Value::Text(_)) | None => &[],
        }
    }

    pub fn id(&self, at: usize) -> u128 {
        self.bytes(at).try_into().map_or(0, u128::from_be_bytes)
    }
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Text,
    Bytes,
}

/// How a row is put into a table that has nothing but zeros in the last columns: what SQLite need not be told of costs
/// nothing.
#[derive(Debug)]
pub struct Short {
    pub columns: usize,
    pub sqlite: String,
}

/// How rows are put into a table, many at a time.
#[derive(Debug)]
pub struct Table {
    pub columns: Vec<(&'static str, Kind)>,
    /// For one row.
    pub sqlite: String,
    /// For a short one, where there are such.
    pub short: Option<Short>,
    /// For all of them, a list for each column.
    pub postgres: String,
}

impl Table {
    /// `conflict` says what becomes of a row that is there already.
    pub fn new(name: &str, columns: Vec<(&'static str, Kind)>, conflict: &str) -> Self {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        let (mut marks, mut lists) = (String::new(), String::new());
        for (at, (_, kind)) in columns.iter().enumerate() {
            let (comma, number) = (if at == 0 { "" } else { ", " }, at + 1);
            let list = match kind {
                Kind::Int => "bigint",
                Kind::Text => "text",
                Kind::Bytes => "bytea",
            };
            let _ = write!(marks, "{comma}?{number}");
            let _ = write!(lists, "{comma}${number}::{list}[]");
        }
        Self {
            sqlite: format!("INSERT INTO {name} ({names}) VALUES ({marks}) {conflict}"),
            short: None,
            postgres: format!("INSERT INTO {name} ({names}) SELECT * FROM unnest({lists}) {conflict}"),
            columns,
        }
    }

    /// The last columns, so many of them, have only zeros as a rule.
    #[must_use]
    pub fn rarely(mut self, columns: usize) -> Self {
        let all = self.columns.len();
        let columns = all - columns.min(all);
        let mut sqlite = self.sqlite.clone();
        for rare in (columns + 1..=all).rev() {
            sqlite = sqlite.replace(&format!("?{rare}"), "0");
        }
        self.short = Some(Short { columns, sqlite });
        self
    }
}

/// What is done.
#[derive(Clone, Debug)]
pub enum Step {
    Say {
        sql: Cow<'static, str>,
        values: Vec<Value>,
        then: Then,
    },
    /// The rows that it gives are the answer.
    Ask {
        sql: Cow<'static, str>,
        values: Vec<Value>,
    },
    /// One row after the other; each of them has to change something where the rest depends on it.
    Fill {
        table: &'static Table,
        rows: Arc<dyn Rows>,
        then: Then,
    },
}

/// Whether the rest is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    GoOn,
    /// Only where something was changed; else what was done before is undone as well.
    IfChanged,
}

#[derive(Clone, Debug, Default)]
pub struct Script(pub Vec<Step>);

impl Script {
    pub fn ask(sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Self {
        Self(vec![Step::Ask { sql: sql.into(), values }])
    }

    #[must_use]
    pub fn say(mut self, sql: impl Into<Cow<'static, str>>, values: Vec<Value>) -> Self {
        self.0.push(Step::Say { sql: sql.into(), values, then: Then::GoOn });
        self
    }

    /// As [`Script::say`], and all is undone where it changes nothing.
    #[must_use]
    pub fn only_if(mut self, sql: &'static str, values: Vec<Value>) -> Self {
        self.0.push(Step::Say { sql: sql.into(), values, then: Then::IfChanged });
        self
    }

    /// As [`Script::say`], alone, for a statement that is made up.
    pub fn say_dynamic(sql: String) -> Self {
        Self(vec![Step::Say { sql: sql.into(), values: Vec::new(), then: Then::GoOn }])
    }

    /// As [`Script::only_if`], alone, for a statement that is made up.
    pub fn only_if_dynamic(sql: String, values: Vec<Value>) -> Self {
        Self(vec![Step::Say { sql: sql.into(), values, then: Then::IfChanged }])
    }

    #[must_use]
    pub fn fill(self, table: &'static Table, rows: impl Rows + 'static) -> Self {
        self.filled(table, rows, Then::GoOn)
    }

    /// As [`Script::fill`], and all is undone where a row changes nothing.
    #[must_use]
    pub fn only_if_all(self, table: &'static Table, rows: impl Rows + 'static) -> Self {
        self.filled(table, rows, Then::IfChanged)
    }

    fn filled(mut self, table: &'static Table, rows: impl Rows + 'static, then: Then) -> Self {
        if rows.count() > 0 {
            self.0.push(Step::Fill { table, rows: Arc::new(rows), then });
        }
        self
    }

    #[must_use]
    pub fn then_ask(mut self, sql: &'static str, values: Vec<Value>) -> Self {
        self.0.push(Step::Ask { sql: sql.into(), values });
        self
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// All was done, and these are the last answer's rows.
    Done(Vec<Row>),
    /// A condition did not hold, and nothing was done.
    Undone,
}

impl Answer {
    pub fn rows(self) -> Vec<Row> {
        match self {
            Self::Done(rows) => rows,
            Self::Undone => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_too_long_or_holds_what_postgres_does_not_take() {
        let check = |text: &str, kept: &str| {
            assert_eq!(Value::text(text).as_text(), Some(kept));
            assert_eq!(fit(text), kept);
        };
        check("gpt", "gpt");
        check("g\0t", "g?t");
        check(&"x".repeat(LONGEST), &"x".repeat(LONGEST));
        check(&"x".repeat(LONGEST + 1), &"x".repeat(LONGEST));
        check(&"ä".repeat(LONGEST), &"ä".repeat(LONGEST / 2));
        check(&format!("x{}", "ä".repeat(LONGEST)), &format!("x{}", "ä".repeat(LONGEST / 2 - 1)));
    }

    #[test]
    fn a_table_is_filled_row_by_row_or_column_by_column() {
        let table = Table::new("t", vec![("a", Kind::Int), ("b", Kind::Bytes)], "ON CONFLICT DO NOTHING");
        assert_eq!(table.sqlite, "INSERT INTO t (a, b) VALUES (?1, ?2) ON CONFLICT DO NOTHING");
        assert_eq!(
            table.postgres,
            "INSERT INTO t (a, b) SELECT * FROM unnest($1::bigint[], $2::bytea[]) ON CONFLICT DO NOTHING"
        );
    }

    #[test]
    fn a_short_row_is_put_without_its_zeros() {
        let columns =
            ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"].map(|name| (name, Kind::Int));
        let table = Table::new("t", columns.into(), "").rarely(10);
        let Short { columns, sqlite } = table.short.expect("it was said");
        assert_eq!(columns, 2);
        assert!(sqlite.ends_with("VALUES (?1, ?2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) "), "{sqlite}");
    }
}
