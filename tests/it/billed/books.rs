//! Compares what the ledger says with what the vendors billed, by SQL of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::callers::Answered;
use super::vendor::{Bill, Bills, Fate};
use crate::stored::postgres::Postgres;

/// Where the rows are.
pub enum Books<'a> {
    Sqlite(&'a Path),
    Postgres(&'a Postgres),
}

/// An attempt, as a row says.
#[derive(Clone, Debug)]
struct Attempt {
    upstream: String,
    verdict: String,
    stage: String,
    input: u64,
    cached: u64,
    output: u64,
    cost: Option<u64>,
    estimated: bool,
}

#[derive(Clone, Debug)]
struct Request {
    attempts: u64,
    cost: Option<u64>,
    estimated: bool,
}

/// How far estimates were from what was billed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Error {
    pub estimates: u32,
    /// Tokens of those, as billed and as booked.
    pub billed: (u64, u64),
    pub booked: (u64, u64),
    /// The furthest of all, in tokens of the answer.
    pub furthest: u64,
}

impl Books<'_> {
    fn ask(&self, sql: &str) -> Vec<Vec<String>> {
        match self {
            Self::Postgres(server) => {
                let said = server.sql(&format!("SET search_path TO mainstay; {sql}"));
                let lines = said.lines().filter(|line| !line.is_empty());
                lines.map(|line| line.split('|').map(str::to_owned).collect()).collect()
            }
            Self::Sqlite(file) => {
                let open = rusqlite::Connection::open(file).unwrap();
                open.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
                let mut statement = open.prepare(sql).unwrap();
                let width = statement.column_count();
                let text = |row: &rusqlite::Row<'_>, at: usize| match row.get_ref(at).unwrap() {
                    rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                    rusqlite::types::ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                    _ => String::new(),
                };
                let rows = statement.query_map([], |row| Ok((0..width).map(|at| text(row, at)).collect()));
                rows.unwrap().map(Result::unwrap).collect()
            }
        }
    }

    /// How many requests there are.
    pub fn requests(&self) -> usize {
        self.ask("SELECT count(*) FROM requests")[0][0].parse().unwrap()
    }

    /// What the requests of each route cost, in nano-USD.
    pub fn costs(&self) -> BTreeMap<String, u64> {
        let sql = "SELECT route, sum(cost) FROM requests GROUP BY route";
        let costs = self.ask(sql).into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap_or_default()));
        costs.filter(|(_, cost)| *cost > 0).collect()
    }

    /// The numbers of all requests in it, each once.
    pub fn numbers(&self) -> BTreeSet<u32> {
        self.read().into_keys().collect()
    }

    fn read(&self) -> BTreeMap<u32, (Request, Vec<Attempt>)> {
        let mut all = BTreeMap::new();
        for row in self.ask("SELECT tags, attempts, cost, estimated FROM requests") {
            let request =
                Request { attempts: count(&row[1]), cost: row[2].parse().ok(), estimated: row[3] == "1" };
            let twice = all.insert(number(&row[0]), (request, Vec::new()));
            assert!(twice.is_none(), "booked twice: {row:?}");
        }
        let attempts = "SELECT r.tags, a.upstream, a.verdict, a.stage, a.input, a.cache_read, a.output, a.cost, \
                        a.estimated FROM attempts a JOIN requests r ON r.id = a.request ORDER BY a.request, a.number";
        for row in self.ask(attempts) {
            let (_, attempts) = all.get_mut(&number(&row[0])).expect("a row of a request");
            attempts.push(Attempt {
                upstream: row[1].clone(),
                verdict: row[2].clone(),
                stage: row[3].clone(),
                input: count(&row[4]),
                cached: count(&row[5]),
                output: count(&row[6]),
                cost: row[7].parse().ok(),
                estimated: row[8] == "1",
            });
        }
        let orphans = "SELECT count(*) FROM attempts WHERE request NOT IN (SELECT id FROM requests)";
        assert_eq!(self.ask(orphans)[0][0], "0", "attempts without a request");
        all
    }

    /// Each request has one row, each that was billed an attempt with the same tokens at their price, what was not said
    /// is marked as an estimate, and sums are what rows add up to.
    pub fn equal(&self, bills: &Bills, answered: &[Answered], what: &str) -> Error {
        let all = self.read();
        let asked: BTreeSet<u32> = answered.iter().map(|answer| answer.number).collect();
        let booked: BTreeSet<u32> = all.keys().copied().collect();
        let missing: Vec<&u32> = asked.difference(&booked).collect();
        assert!(missing.is_empty(), "{what}: {} of {} are missing: {missing:?}", missing.len(), asked.len());
        assert!(booked.is_subset(&asked), "{what}: booked and never asked: {:?}", booked.difference(&asked));
        let mut error = Error::default();
        let mut charged = 0;
        for (number, (request, attempts)) in &all {
            let what = format!("{what}, request {number}: {attempts:?}");
            charged += balance(*number, request, attempts, bills, &mut error, &what);
        }
        let sum = |of: &str| {
            let columns = "sum(requests), sum(attempts), sum(input), sum(output), sum(cost), sum(estimated)";
            self.ask(&format!("SELECT {columns} FROM {of} WHERE tag = ''"))[0].clone()
        };
        let rows = || all.values().flat_map(|(_, attempts)| attempts);
        let expected: Vec<String> = [
            all.len() as u64,
            rows().count() as u64,
            rows().map(|attempt| attempt.input).sum(),
            rows().map(|attempt| attempt.output).sum(),
            charged,
            rows().map(|attempt| u64::from(attempt.estimated)).sum(),
        ]
        .map(|sum| sum.to_string())
        .into();
        assert_eq!(sum("hours"), expected, "{what}: by hour");
        assert_eq!(sum("days"), expected, "{what}: by day");
        error
    }
}

/// What a request costs, by its rows, which are what was billed.
fn balance(
    number: u32,
    request: &Request,
    attempts: &[Attempt],
    bills: &Bills,
    error: &mut Error,
    what: &str,
) -> u64 {
    assert_eq!(request.attempts, attempts.len() as u64, "{what}");
    assert_eq!(request.estimated, attempts.iter().any(|attempt| attempt.estimated), "{what}");
    let costs: Option<u64> = attempts.iter().map(|attempt| attempt.cost).sum();
    assert!(costs.is_some() && request.cost == costs, "{what}: {:?}", request.cost);
    for upstream in ["a", "b"] {
        let sent =
            attempts.iter().filter(|attempt| attempt.upstream == upstream && attempt.stage != "not_sent");
        let sent: Vec<&Attempt> = sent.collect();
        let billed = bills.get(&(number, upstream)).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(sent.len(), billed.len(), "{what}: {billed:?}");
        for (attempt, bill) in sent.into_iter().zip(billed) {
            agree(attempt, bill, error, &format!("{what}: {bill:?}"));
        }
    }
    costs.unwrap_or_default()
}

fn agree(attempt: &Attempt, bill: &Bill, error: &mut Error, what: &str) {
    let booked = (attempt.input, attempt.cached, attempt.output);
    let billed = (bill.input, bill.cached, bill.output);
    assert_eq!(attempt.cost, Some(price(booked)), "{what}");
    if !attempt.estimated {
        assert_eq!(booked, billed, "{what}");
        return;
    }
    // Only what the vendor has not said to the end is ever estimated, and what it has said is believed.
    match bill.fate {
        Fate::CutOnceTold if bill.told => assert_eq!(booked, billed, "{what}"),
        Fate::Cut | Fate::CutOnceTold | Fate::Hole => {}
        Fate::Well | Fate::Broken | Fate::Empty => assert_eq!(attempt.verdict, "cancelled", "{what}"),
    }
    error.estimates += 1;
    error.billed = (error.billed.0 + bill.input, error.billed.1 + bill.output);
    error.booked = (error.booked.0 + attempt.input, error.booked.1 + attempt.output);
    // Of a whole answer that was cut nobody knows how long it would have been.
    if attempt.output > 0 {
        error.furthest = error.furthest.max(attempt.output.abs_diff(bill.output));
    }
}

/// By OpenAI's list for gpt-4o, in nano-USD: 2.50, 1.25 and 10 dollars for a million.
fn price((input, cached, output): (u64, u64, u64)) -> u64 {
    (input - cached) * 2_500 + cached * 1_250 + output * 10_000
}

fn count(text: &str) -> u64 {
    text.parse().unwrap()
}

/// From a list of pairs in JSON.
fn number(tags: &str) -> u32 {
    let tags: Vec<(String, String)> = serde_json::from_str(tags).unwrap();
    tags.iter().find(|(name, _)| name == "x-number").unwrap().1.parse().unwrap()
}
