//! Sums, by anything that sums are kept by.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Failed;
use super::period::moment_of;
use super::sheet::{self, Cell, Format};
use super::what_if::{self, Other, WhatIf};
use super::words::{FIELDS, UsageAsked};
use crate::catalog::Catalog;
use crate::store::{Each, Field, Query, Store, Totals, UsageRow, units};
use crate::vocab::Part;

/// More lines are no report; a shorter time, or less to tell apart, has fewer.
const MOST: u32 = 100_000;

/// Columns of every table.
const ALWAYS: [&str; 3] = ["requests", "errors", "attempts"];

/// When it begins, and the values of what is told apart.
type Place = (Option<i64>, Vec<String>);

/// A line of the report.
struct Line {
    place: Place,
    totals: Totals,
    at: Vec<WhatIf>,
}

/// The whole report, in its format.
pub async fn usage(store: &Store, catalog: &Catalog, asked: &UsageAsked) -> Result<String, Failed> {
    let on = asked.period.last_day();
    let others: Vec<Other<'_>> =
        asked.at.iter().map(|said| what_if::find(catalog, said, on)).collect::<Result<_, _>>()?;
    // Prices are looked up for what one model used: only that is of one kind.
    let mut by = asked.query.by.clone();
    if !others.is_empty() {
        let apart =
            [Field::Provider, Field::Model].into_iter().filter(|field| !asked.query.by.contains(field));
        by.extend(apart);
    }
    // Nobody asked for what was mirrored but the operator, whom a report has to ask for it.
    let hides = asked.hides_mirrors();
    if hides {
        by.push(Field::Part);
    }
    let query = Query { by, most: MOST + 1, ..asked.query.clone() };
    if let Some(first) = store.keeps_days_before(&query).await? {
        let before = match first.checked_mul(3_600_000_000) {
            Some(at) => format!("what is before {}", moment_of(at)),
            None => "all of it".to_owned(),
        };
        return Failed::wrong(format!(
            "of {before} only whole days are kept (store.retention.hours): begin and end at midnight, as in \
             `from` 2026-11-01, and not by hour"
        ));
    }
    let mut found = store.usage(&query).await?;
    if found.len() > MOST as usize {
        return Failed::wrong(format!(
            "that would be more than {MOST} lines; ask for a shorter time, or leave out a word of `by`"
        ));
    }
    if hides {
        found.retain(|row| row.values.last().is_none_or(|part| part != Part::Mirror.name()));
    }
    let lines = gathered(&found, asked.query.by.len(), &others);
    Ok(Report { asked, others, lines }.written())
}

impl UsageAsked {
    /// Whether it says nothing of what attempts were to their requests.
    fn hides_mirrors(&self) -> bool {
        let Query { by, only, .. } = &self.query;
        by.iter().chain(only.iter().map(|(field, _)| field)).all(|field| *field != Field::Part)
    }
}

/// As the question cuts them, by time and then the dearest first.
fn gathered(found: &[UsageRow], fields: usize, others: &[Other<'_>]) -> Vec<Line> {
    let mut lines: BTreeMap<Place, Line> = BTreeMap::new();
    for row in found {
        let place = (row.begins, row.values[..fields].to_vec());
        let line = lines.entry(place.clone()).or_insert_with(|| Line {
            place,
            totals: Totals::default(),
            at: vec![WhatIf::default(); others.len()],
        });
        line.add(&row.totals, &others.iter().map(|other| other.price(&row.totals)).collect::<Vec<_>>());
    }
    let mut lines: Vec<Line> = lines.into_values().collect();
    lines.sort_by_key(|line| (line.place.0, Reverse(line.totals.cost)));
    lines
}

impl Line {
    fn add(&mut self, totals: &Totals, at: &[WhatIf]) {
        self.totals = self.totals.plus(totals);
        for (sum, added) in self.at.iter_mut().zip(at) {
            sum.add(added);
        }
    }

    fn numbers(&self) -> Vec<Cell> {
        let Totals { requests, errors, attempts, failures, unpriced, estimated, cost, .. } = self.totals;
        let mut cells: Vec<Cell> = [requests, errors, attempts, failures].map(Cell::Count).into();
        cells.extend(self.totals.units().map(Cell::Count));
        cells.extend([Cell::Money(cost), Cell::Count(unpriced), Cell::Count(estimated)]);
        cells.extend(self.at.iter().flat_map(|at| at.cells(&self.totals)));
        cells
    }
}

struct Report<'a, 'c> {
    asked: &'a UsageAsked,
    others: Vec<Other<'c>>,
    lines: Vec<Line>,
}

impl Report<'_, '_> {
    fn written(&self) -> String {
        let head = self.head();
        let names: Vec<String> = head.iter().cloned().chain(self.names()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let rows: Vec<Vec<Cell>> = self.lines.iter().map(|line| self.cells(line)).collect();
        let total = self.total();
        match self.asked.format {
            Format::Csv => std::iter::once(sheet::csv_head(names))
                .chain(rows.iter().map(|row| sheet::csv_line(row)))
                .collect(),
            Format::Json => {
                let rows: Vec<Value> =
                    rows.iter().map(|row| sheet::json_row(names.iter().copied(), row)).collect();
                let report = json!({
                    "from": moment_of(self.asked.period.from),
                    "to": moment_of(self.asked.period.to),
                    "rows": rows,
                    "total": sheet::json_row(names[head.len()..].iter().copied(), &total.numbers()),
                });
                report.to_string() + "\n"
            }
            Format::Table => self.table(&names, rows, &total),
        }
    }

    /// What is not zero all the way down, with the sum of all below it.
    fn table(&self, names: &[&str], rows: Vec<Vec<Cell>>, total: &Line) -> String {
        let head = self.head().len();
        let mut foot: Vec<Cell> =
            (0..head).map(|at| if at == 0 { Cell::text("total") } else { Cell::None }).collect();
        foot.extend(total.numbers());
        let shown: Vec<bool> = names
            .iter()
            .zip(&foot)
            .enumerate()
            .map(|(at, (name, sum))| at < head || ALWAYS.contains(name) || *sum != Cell::Count(0))
            .collect();
        let kept = |cells: Vec<Cell>| -> Vec<Cell> {
            cells.into_iter().zip(&shown).filter(|(_, shown)| **shown).map(|(cell, _)| cell).collect()
        };
        let names: Vec<&str> =
            names.iter().zip(&shown).filter(|(_, shown)| **shown).map(|(name, _)| *name).collect();
        let rows: Vec<Vec<Cell>> = rows.into_iter().map(kept).collect();
        let foot = kept(foot);
        let when = format!("{} to {}\n", moment_of(self.asked.period.from), moment_of(self.asked.period.to));
        // Where nothing is told apart, there is but the total.
        when + &sheet::table(&names, if head == 0 { &[] } else { &rows }, &foot)
    }

    fn head(&self) -> Vec<String> {
        let when = match self.asked.query.each {
            Each::All => None,
            Each::Hour => Some("hour".to_owned()),
            Each::Day => Some("day".to_owned()),
        };
        let field = |field: &Field| {
            let word = FIELDS.iter().find(|(_, known)| known == field).map(|(word, _)| (*word).to_owned());
            word.unwrap_or_else(|| format!("tag:{}", self.asked.query.tag.as_deref().unwrap_or_default()))
        };
        when.into_iter().chain(self.asked.query.by.iter().map(field)).collect()
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let first = ["requests", "errors", "attempts", "failures"];
        let last = ["cost_usd", "unpriced", "estimated"];
        let own = first.into_iter().chain(units()).chain(last).map(str::to_owned);
        own.chain(self.others.iter().flat_map(Other::columns))
    }

    fn cells(&self, line: &Line) -> Vec<Cell> {
        let (begins, values) = &line.place;
        let when = begins.map(|seconds| {
            let whole = moment_of(seconds.saturating_mul(1_000_000));
            let day = whole.split('T').next().unwrap_or_default();
            Cell::text(if self.asked.query.each == Each::Day { day } else { &whole })
        });
        let values = values.iter().map(|value| Cell::text(value.as_str()));
        when.into_iter().chain(values).chain(line.numbers()).collect()
    }

    fn total(&self) -> Line {
        let mut total = Line {
            place: (None, Vec::new()),
            totals: Totals::default(),
            at: vec![WhatIf::default(); self.others.len()],
        };
        self.lines.iter().for_each(|line| total.add(&line.totals, &line.at));
        total
    }
}
