//! Cells in columns, and the three ways in which they are written.
//!
//! CSV is that of RFC 4180: a head, lines that end in CR LF, quotes where they are needed. A spreadsheet would run a
//! text that begins with `=`, `+`, `-` or `@`, and callers choose some of the texts (models, tags): such a text has a
//! `'` before it, and so has one that begins with `'` itself, so that whoever takes one `'` off the front of a text has
//! it as it was. JSON has every text as it is.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Failed;
use crate::vocab::Money;

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Table,
    Csv,
    Json,
}

impl Format {
    pub const ALL: [(&str, Self); 3] = [("table", Self::Table), ("csv", Self::Csv), ("json", Self::Json)];

    pub fn parse(word: &str) -> Result<Self, Failed> {
        let found = Self::ALL.iter().find(|(name, _)| *name == word);
        found
            .map(|(_, format)| *format)
            .ok_or_else(|| Failed::Wrong(format!("`{word}` is no format; there are table, csv and json")))
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Table => "text/plain; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
        }
    }
}

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing, or what nobody knows.
    None,
    Text(String),
    Count(u64),
    Flag(bool),
    Money(Money),
    /// Nano-USD, more or less than none.
    Difference(i128),
    Tags(Vec<(String, String)>),
}

impl Cell {
    /// Without a text there is nothing.
    pub fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.is_empty() { Self::None } else { Self::Text(text) }
    }

    pub fn maybe<T>(value: Option<T>, of: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::None, of)
    }

    fn json(&self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Text(text) => text.as_str().into(),
            Self::Count(count) => (*count).into(),
            Self::Flag(flag) => (*flag).into(),
            Self::Money(_) | Self::Difference(_) => self.plain().into(),
            Self::Tags(tags) => {
                let tags = tags.iter().map(|(name, value)| (name.clone(), value.as_str().into()));
                Value::Object(tags.collect())
            }
        }
    }

    /// As it stands in a table, and behind its guard in CSV.
    fn plain(&self) -> String {
        match self {
            Self::None => String::new(),
            Self::Text(text) => text.clone(),
            Self::Count(count) => count.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::Money(money) => money.fixed(),
            Self::Difference(nano) => {
                let sign = if *nano < 0 { "-" } else { "" };
                let money = u64::try_from(nano.unsigned_abs()).map_or(Money::MAX, Money::nano_usd);
                format!("{sign}{}", money.fixed())
            }
            Self::Tags(_) => self.json().to_string(),
        }
    }

    fn csv(&self, out: &mut String) {
        const RUN: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\''];
        let plain = self.plain();
        let guard = if matches!(self, Self::Text(_)) && plain.starts_with(RUN) { "'" } else { "" };
        let is_simple = !plain.contains([',', '"', '\r', '\n']) && plain.trim() == plain;
        if is_simple {
            out.push_str(guard);
            out.push_str(&plain);
        } else {
            let _ = write!(out, "\"{guard}{}\"", plain.replace('"', "\"\""));
        }
    }

    const fn is_number(&self) -> bool {
        match self {
            Self::Count(_) | Self::Money(_) | Self::Difference(_) => true,
            Self::None | Self::Text(_) | Self::Flag(_) | Self::Tags(_) => false,
        }
    }
}

/// The head of a CSV.
pub fn csv_head<'c>(columns: impl IntoIterator<Item = &'c str>) -> String {
    let cells: Vec<Cell> = columns.into_iter().map(Cell::text).collect();
    csv_line(&cells)
}

pub fn csv_line(cells: &[Cell]) -> String {
    let mut line = String::new();
    for (number, cell) in cells.iter().enumerate() {
        if number > 0 {
            line.push(',');
        }
        cell.csv(&mut line);
    }
    line.push_str("\r\n");
    line
}

/// An object with a member for each column.
pub fn json_row<'c>(columns: impl IntoIterator<Item = &'c str>, cells: &[Cell]) -> Value {
    let members = columns.into_iter().zip(cells).map(|(name, cell)| (name.to_owned(), cell.json()));
    Value::Object(members.collect::<Map<_, _>>())
}

/// Columns under each other, numbers to the right; `foot` stands below all others.
pub fn table(columns: &[&str], rows: &[Vec<Cell>], foot: &[Cell]) -> String {
    let plain = |cells: &[Cell]| {
        cells.iter().map(|cell| Cell::plain(cell).replace(['\n', '\r', '\t'], " ")).collect()
    };
    let lines: Vec<Vec<String>> = rows.iter().map(|row| plain(row)).chain([plain(foot)]).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| {
            let cells = lines.iter().filter_map(|line| line.get(at)).map(|cell| cell.chars().count());
            cells.chain([columns[at].len()]).max().unwrap_or(0)
        })
        .collect();
    let is_number = |at: usize| {
        rows.iter().map(Vec::as_slice).chain([foot]).any(|row| row.get(at).is_some_and(Cell::is_number))
    };
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (at, cell) in cells.enumerate() {
            let gap = if at == 0 { "" } else { "  " };
            let width = widths[at];
            let _ = if is_number(at) {
                write!(line, "{gap}{cell:>width$}")
            } else {
                write!(line, "{gap}{cell:<width$}")
            };
        }
        line.trim_end().to_owned()
    };
    let head = line(&mut columns.iter().copied());
    let body = lines.iter().map(|cells| line(&mut cells.iter().map(String::as_str)));
    std::iter::once(head).chain(body).collect::<Vec<_>>().join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads RFC 4180 as anybody would, independently of what writes it.
    fn read_csv(text: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut cell) = (Vec::new(), Vec::new(), String::new());
        let (mut chars, mut quoted) = (text.chars().peekable(), false);
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    cell.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut cell)),
                '\r' if !quoted && chars.peek() == Some(&'\n') => {
                    chars.next();
                    row.push(std::mem::take(&mut cell));
                    rows.push(std::mem::take(&mut row));
                }
                c => cell.push(c),
            }
        }
        assert!(row.is_empty() && cell.is_empty() && !quoted, "it ends with a line");
        rows
    }

    fn cell() -> impl Strategy<Value = Cell> {
        prop_oneof![
            Just(Cell::None),
            "[=+@'\",\r\n\t a-zä-]{0,8}".prop_map(Cell::text),
            any::<u64>().prop_map(Cell::Count),
            any::<bool>().prop_map(Cell::Flag),
            any::<u64>().prop_map(|nano| Cell::Money(Money::nano_usd(nano))),
            any::<i64>().prop_map(|nano| Cell::Difference(nano.into())),
            prop::collection::vec(("[a-z]{1,3}", "[=\",a-z]{0,5}"), 0..3).prop_map(Cell::Tags),
        ]
    }

    /// What JSON says of a cell, as CSV would.
    fn text_of(value: &Value) -> String {
        match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    proptest! {
        #[test]
        fn csv_read_back_is_what_json_says(rows in prop::collection::vec(prop::collection::vec(cell(), 3), 0..6)) {
            const NAMES: [&str; 3] = ["one", "two", "three"];
            let csv: String = std::iter::once(csv_head(NAMES)).chain(rows.iter().map(|row| csv_line(row))).collect();
            let read = read_csv(&csv);
            prop_assert_eq!(read.len(), rows.len() + 1);
            prop_assert_eq!(&read[0], &NAMES.map(str::to_owned).to_vec());
            for (row, line) in rows.iter().zip(&read[1..]) {
                let json = json_row(NAMES, row);
                for ((name, cell), field) in NAMES.iter().zip(row).zip(line) {
                    let text = matches!(cell, Cell::Text(_));
                    // No spreadsheet takes a text for something to run.
                    prop_assert!(!text || !field.starts_with(['=', '+', '-', '@', '\t', '\r']), "{}", field);
                    let bare = field.strip_prefix('\'').filter(|_| text).unwrap_or(field);
                    prop_assert_eq!(bare, text_of(&json[*name]));
                }
            }
        }
    }

    #[test]
    fn a_table_has_its_numbers_to_the_right() {
        let rows = vec![
            vec![Cell::text("gpt"), Cell::Count(7), Cell::Difference(-1_500_000_000)],
            vec![Cell::text("größte"), Cell::Count(12), Cell::None],
        ];
        let foot = [Cell::text("total"), Cell::Count(19), Cell::None];
        let shown = table(&["model", "requests", "difference"], &rows, &foot);
        let wanted = "\
model   requests    difference
gpt            7  -1.500000000
größte        12
total         19
";
        assert_eq!(shown, wanted);
    }
}
