//! Requests or attempts one by one: a page is read when the one before it has been taken.

use std::sync::Arc;

use super::period::moment_of;
use super::sheet::{self, Cell, Format};
use super::words::{Rows, RowsAsked};
use crate::store;
use crate::store::{AtAttempt, AtRequest, Error, FoundAttempt, FoundRequest, Page, Store, Totals};
use crate::vocab::Usage;

/// Rows of a page.
const PAGE: u32 = 1000;

const REQUEST: [&str; 22] = [
    "at",
    "id",
    "request_id",
    "organisation",
    "team",
    "user",
    "key",
    "tags",
    "route",
    "arm",
    "dialect",
    "operation",
    "model",
    "stream",
    "outcome",
    "replayed",
    "attempts",
    "took_ns",
    "first_byte_ns",
    "own_ns",
    "cost_usd",
    "estimated",
];
const ATTEMPT: [&str; 16] = [
    "at",
    "request",
    "number",
    "part",
    "upstream",
    "provider",
    "model",
    "credential",
    "verdict",
    "stage",
    "took_ns",
    "first_byte_ns",
    "cost_usd",
    "estimated",
    "priced",
    "tier",
];

/// What is left of an export.
pub struct Export {
    store: Arc<Store>,
    asked: RowsAsked,
    place: Place,
    written: u64,
}

enum Place {
    Request(AtRequest),
    Attempt(AtAttempt),
    End,
}

impl Export {
    pub fn new(store: Arc<Store>, asked: RowsAsked) -> Self {
        let place = match asked.rows {
            Rows::Requests => Place::Request(AtRequest::START),
            Rows::Attempts => Place::Attempt(AtAttempt::START),
        };
        Self { store, asked, place, written: 0 }
    }

    /// The next piece of the text; `None` after the last one. With an error it has ended in the middle.
    pub async fn next(&mut self) -> Option<Result<String, Error>> {
        let rows = match self.page().await? {
            Ok(rows) => rows,
            Err(error) => {
                self.place = Place::End;
                return Some(Err(error));
            }
        };
        let is_last = rows.len() < PAGE as usize;
        let names = self.names();
        let mut text = String::new();
        if self.written == 0 {
            text += &match self.asked.format {
                Format::Csv | Format::Table => sheet::csv_head(names.iter().copied()),
                Format::Json => "[".to_owned(),
            };
        }
        for row in rows {
            match self.asked.format {
                Format::Csv | Format::Table => text += &sheet::csv_line(&row),
                Format::Json => {
                    text += if self.written == 0 { "\n" } else { ",\n" };
                    text += &sheet::json_row(names.iter().copied(), &row).to_string();
                }
            }
            self.written += 1;
        }
        if is_last {
            self.place = Place::End;
            if self.asked.format == Format::Json {
                text += "\n]\n";
            }
        }
        Some(Ok(text))
    }

    fn names(&self) -> Vec<&'static str> {
        let own: &[&str] = match self.asked.rows {
            Rows::Requests => &REQUEST,
            Rows::Attempts => &ATTEMPT,
        };
        own.iter().copied().chain(store::units()).collect()
    }

    async fn page(&mut self) -> Option<Result<Vec<Vec<Cell>>, Error>> {
        let (from, to) = (self.asked.period.from, self.asked.period.to);
        match self.place {
            Place::End => None,
            Place::Request(after) => {
                let found = self.store.page_of_requests(&Page { from, to, after, most: PAGE }).await;
                Some(found.map(|found| {
                    self.place = found.last().map_or(Place::End, |last| Place::Request(last.place()));
                    found.iter().map(request).collect()
                }))
            }
            Place::Attempt(after) => {
                let found = self.store.page_of_attempts(&Page { from, to, after, most: PAGE }).await;
                Some(found.map(|found| {
                    self.place = found.last().map_or(Place::End, |last| Place::Attempt(last.place()));
                    found.iter().map(attempt).collect()
                }))
            }
        }
    }
}

fn nanos(duration: std::time::Duration) -> Cell {
    Cell::Count(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

fn units(usage: &Usage) -> [Cell; 15] {
    let other = usage.other;
    let totals = Totals {
        tokens: *usage,
        images: other.images.into(),
        searches: other.searches.into(),
        characters: other.characters.into(),
        audio_millis: other.audio_millis.into(),
        ..Totals::default()
    };
    totals.units().map(Cell::Count)
}

fn request(row: &FoundRequest) -> Vec<Cell> {
    let name = |name: &Option<Arc<str>>| Cell::text(name.as_deref().unwrap_or_default());
    let mut cells = vec![
        Cell::text(moment_of(row.at_micros)),
        Cell::text(row.id.to_string()),
        Cell::text(row.request_id.as_str()),
        name(&row.who.organisation),
        name(&row.who.team),
        name(&row.who.user),
        name(&row.who.key),
        Cell::Tags(row.tags.clone()),
        Cell::text(row.route.as_str()),
        Cell::text(row.arm.as_deref().unwrap_or_default()),
        Cell::text(row.dialect.as_str()),
        Cell::text(row.operation.as_str()),
        Cell::text(row.model.as_str()),
        Cell::Flag(row.stream),
        Cell::text(row.outcome.as_str()),
        Cell::text(row.replayed.as_deref().unwrap_or_default()),
        Cell::Count(row.attempts),
        nanos(row.took),
        Cell::maybe(row.first_byte, nanos),
        nanos(row.own),
        Cell::maybe(row.cost, Cell::Money),
        Cell::Flag(row.estimated),
    ];
    cells.extend(units(&row.usage));
    cells
}

fn attempt(row: &FoundAttempt) -> Vec<Cell> {
    let mut cells = vec![
        Cell::text(moment_of(row.at_micros)),
        Cell::text(row.request.to_string()),
        Cell::Count(row.number),
        Cell::text(row.part.as_str()),
        Cell::text(row.upstream.as_str()),
        Cell::text(row.provider.as_str()),
        Cell::text(row.model.as_str()),
        Cell::Count(row.credential),
        Cell::text(row.verdict.as_str()),
        Cell::text(row.stage.as_str()),
        nanos(row.took),
        Cell::maybe(row.first_byte, nanos),
        Cell::maybe(row.cost, Cell::Money),
        Cell::Flag(row.estimated),
        Cell::text(row.priced.as_str()),
        Cell::text(row.tier.as_str()),
    ];
    cells.extend(units(&row.usage));
    cells
}
