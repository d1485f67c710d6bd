//! Costs made again, after a price was put right: of the counts that rows hold, at the prices that the catalog has for
//! the day of each attempt.
//!
//! A page of requests is changed at once, with the sums that it is in, or not at all; so whoever stops halfway has
//! exact books, and goes on by beginning again. What its provider priced itself stays, and so does what a caller paid
//! himself and what nobody knows the usage of. Rows that are no longer kept cannot be priced again: their sums stay as
//! they are, and the outcome says how many attempts that is.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Failed;
use super::period::moment_of;
use super::sheet::{self, Cell};
use super::words::{Mode, RepriceAsked};
use crate::catalog::{Catalog, Date, Rates, charge, cost};
use crate::store::rows::CALLERS_OWN;
use crate::store::{AtRequest, Each, Error, Field, FoundAttempt, Page, Priced, Query, Repriced, Store};
use crate::vocab::{Money, Tier, Usage};

/// Requests that are changed at once.
const PAGE: u32 = 500;
/// An attempt begins within this of its request, in microseconds; far longer than any deadline.
const LONGEST: i64 = 6 * 3_600_000_000;
/// How often a page is read again because somebody else has changed it.
const TRIES: u32 = 5;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repricing {
    pub models: BTreeMap<String, OfModel>,
    /// Attempts of the time whose rows are gone.
    pub gone: u64,
}

/// A model's attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfModel {
    pub attempts: u64,
    /// Those that cost something else now.
    pub changed: u64,
    pub before: Money,
    pub after: Money,
    pub unpriced_before: u64,
    pub unpriced_after: u64,
}

/// Prices what was asked for again.
pub async fn reprice(store: &Store, catalog: &Catalog, asked: &RepriceAsked) -> Result<Repricing, Failed> {
    let mut prices = Prices { catalog, known: HashMap::new() };
    let mut outcome = Repricing::default();
    let mut after = AtRequest::START;
    let mut tries = 0;
    let from = asked.period.from.saturating_sub(LONGEST);
    loop {
        let found = store.priced(&Page { from, to: asked.period.to, after, most: PAGE }).await?;
        let Some(last) = found.last() else { break };
        let mut page = outcome.clone();
        let mut all = Vec::new();
        for (request, attempt) in
            found.iter().flat_map(|request| request.attempts.iter().map(move |a| (request, a)))
        {
            if asked.is_of(attempt) {
                all.push(prices.again(request, attempt, &mut page));
            }
        }
        match asked.mode {
            Mode::DryRun => {}
            Mode::Correct => match store.reprice(&all).await {
                Ok(_) => {}
                Err(Error::Changed) if tries < TRIES => {
                    tries += 1;
                    continue;
                }
                Err(error) => return Err(error.into()),
            },
        }
        (outcome, after, tries) = (page, last.place, 0);
    }
    outcome.gone =
        asked.counted(store).await?.saturating_sub(outcome.models.values().map(|of| of.attempts).sum());
    Ok(outcome)
}

impl RepriceAsked {
    fn is_of(&self, attempt: &FoundAttempt) -> bool {
        (self.period.from..self.period.to).contains(&attempt.at_micros)
            && self.names(&attempt.provider, &attempt.model)
    }

    fn names(&self, provider: &str, model: &str) -> bool {
        let is = |said: &String| {
            *said == model
                || said.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')) == Some(model)
        };
        self.models.is_empty() || self.models.iter().any(is)
    }

    /// Attempts of the time, as the sums say.
    async fn counted(&self, store: &Store) -> Result<u64, Failed> {
        let query = Query {
            from: self.period.from,
            to: self.period.to,
            by: vec![Field::Provider, Field::Model],
            each: Each::All,
            tag: None,
            only: Vec::new(),
            most: u32::MAX,
        };
        let rows = store.usage(&query).await?;
        let named = rows.iter().filter(|row| self.names(&row.values[0], &row.values[1]));
        Ok(named.map(|row| row.totals.attempts).sum())
    }
}

/// Looked up once for each model.
struct Prices<'c> {
    catalog: &'c Catalog,
    known: HashMap<(String, String), Option<Rates>>,
}

impl Prices<'_> {
    fn again<'a>(
        &mut self,
        request: &'a Priced,
        attempt: &'a FoundAttempt,
        outcome: &mut Repricing,
    ) -> Repriced<'a> {
        let (cost, priced) = self.price(attempt);
        let of = outcome.models.entry(format!("{}/{}", attempt.provider, attempt.model)).or_default();
        of.attempts += 1;
        of.changed += u64::from(cost != attempt.cost);
        of.before = of.before.plus(attempt.cost.unwrap_or_default());
        of.after = of.after.plus(cost.unwrap_or_default());
        of.unpriced_before += u64::from(attempt.cost.is_none());
        of.unpriced_after += u64::from(cost.is_none());
        Repriced { request, attempt, cost, priced }
    }

    /// As `ledger` priced it at first.
    fn price(&mut self, attempt: &FoundAttempt) -> (Option<Money>, String) {
        // Whoever came with a key of his own has paid it himself, whatever it costs.
        let is_callers = attempt.credential == u64::from(CALLERS_OWN);
        if is_callers || attempt.priced == cost::SAID || attempt.usage == Usage::default() {
            return (attempt.cost, attempt.priced.clone());
        }
        let key = (attempt.provider.clone(), attempt.model.clone());
        let rates = self.known.entry(key).or_insert_with(|| {
            self.catalog.find(&attempt.provider, &attempt.model).map(|entry| Rates::of(&entry))
        });
        let on = Date::of_unix(attempt.at_micros.max(0).unsigned_abs() / 1_000_000);
        let usage = Usage { tier: Tier::parse(&attempt.tier), ..attempt.usage };
        let cost = charge(&usage, || rates.as_ref().map(|rates| rates.prices(on)));
        (cost.as_ref().map(|cost| cost.money), cost.map(|cost| cost.to_string()).unwrap_or_default())
    }
}

const COLUMNS: [&str; 7] =
    ["model", "attempts", "changed", "before_usd", "after_usd", "unpriced_before", "unpriced_after"];

impl Repricing {
    fn total(&self) -> OfModel {
        self.models.values().fold(OfModel::default(), |sum, of| OfModel {
            attempts: sum.attempts + of.attempts,
            changed: sum.changed + of.changed,
            before: sum.before.plus(of.before),
            after: sum.after.plus(of.after),
            unpriced_before: sum.unpriced_before + of.unpriced_before,
            unpriced_after: sum.unpriced_after + of.unpriced_after,
        })
    }

    /// For machines, and for the audit trail.
    pub fn json(&self, asked: &RepriceAsked) -> Value {
        let row = |name: &str, of: &OfModel| sheet::json_row(COLUMNS, &of.cells(name));
        json!({
            "from": moment_of(asked.period.from),
            "to": moment_of(asked.period.to),
            "dry_run": asked.mode == Mode::DryRun,
            "models": self.models.iter().map(|(name, of)| row(name, of)).collect::<Vec<_>>(),
            "total": row("", &self.total()),
            "attempts_without_rows": self.gone,
        })
    }

    /// For people, of what [`Repricing::json`] made.
    pub fn table(said: &Value) -> String {
        let cells = |row: &Value, first: Option<&str>| -> Vec<Cell> {
            let cell = |name: &str| match &row[name] {
                Value::Number(number) => Cell::maybe(number.as_u64(), Cell::Count),
                Value::String(text) => match Money::parse(text).filter(|_| name.ends_with("_usd")) {
                    Some(money) => Cell::Money(money),
                    None => Cell::text(text.as_str()),
                },
                Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Cell::None,
            };
            let mut cells: Vec<Cell> = COLUMNS.into_iter().map(cell).collect();
            if let Some(first) = first {
                cells[0] = Cell::text(first);
            }
            cells
        };
        let models = said["models"].as_array().into_iter().flatten();
        let rows: Vec<Vec<Cell>> = models.map(|row| cells(row, None)).collect();
        let mut text = sheet::table(&COLUMNS, &rows, &cells(&said["total"], Some("total")));
        if let Some(gone @ 1..) = said["attempts_without_rows"].as_u64() {
            let _ = writeln!(
                text,
                "{gone} attempts of that time have no rows any more (store.retention.requests): what they cost stays as it is"
            );
        }
        if said["dry_run"] == true {
            text += "nothing was changed (--dry-run)\n";
        }
        text
    }
}

impl OfModel {
    fn cells(&self, name: &str) -> Vec<Cell> {
        vec![
            Cell::text(name),
            Cell::Count(self.attempts),
            Cell::Count(self.changed),
            Cell::Money(self.before),
            Cell::Money(self.after),
            Cell::Count(self.unpriced_before),
            Cell::Count(self.unpriced_after),
        ]
    }
}
