//! The ledger's batches: written whole or not at all, and once however often they come.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::error::Error;
use super::old::Witness;
use super::rows::{AttemptRow, Batch, Part, RequestRow, RowId};
use super::script::{Cell, Kind, Rows, Script, Table, Value};
use super::sums::Sums;
use super::{Database, Store, slots, units};
use crate::vocab::{Money, Usage};

/// How long the id of a batch is remembered; of one that is older its rows say whether it was written.
pub const REMEMBERED: Duration = Duration::from_hours(7 * 24);

/// Without a word on what becomes of one that is there: it is an error.
static BATCHES: LazyLock<Table> =
    LazyLock::new(|| Table::new("batches", vec![("id", Kind::Bytes), ("at_micros", Kind::Int)], ""));

/// A column, and what a row has in it.
type Column<R> = (&'static str, Kind, for<'a> fn(&'a R) -> Cell<'a>);

const REQUEST: [Column<RequestRow>; 22] = [
    ("at_micros", Kind::Int, |row| Cell::Int(row.at_micros)),
    ("id", Kind::Bytes, |row| Cell::id(row.id.0)),
    ("request_id", Kind::Text, |row| Cell::text(&row.request_id)),
    ("organisation", Kind::Text, |row| Cell::maybe(row.who.organisation.as_deref(), Cell::text)),
    ("team", Kind::Text, |row| Cell::maybe(row.who.team.as_deref(), Cell::text)),
    ("\"user\"", Kind::Text, |row| Cell::maybe(row.who.user.as_deref(), Cell::text)),
    ("key_name", Kind::Text, |row| Cell::maybe(row.who.key.as_deref(), Cell::text)),
    ("tags", Kind::Text, tags),
    ("route", Kind::Text, |row| Cell::text(&row.route)),
    ("arm", Kind::Text, |row| Cell::maybe(row.arm.as_deref(), Cell::text)),
    ("dialect", Kind::Text, |row| Cell::word(row.dialect)),
    ("operation", Kind::Text, |row| Cell::word(row.operation)),
    ("model", Kind::Text, |row| Cell::text(&row.model)),
    ("stream", Kind::Int, |row| Cell::Int(row.stream.into())),
    ("outcome", Kind::Text, |row| Cell::word(row.outcome)),
    ("replayed", Kind::Text, |row| Cell::maybe(row.replayed, Cell::word)),
    ("attempts", Kind::Int, |row| Cell::Int(row.attempts.into())),
    ("took", Kind::Int, |row| nanos(row.took)),
    ("first_byte", Kind::Int, |row| Cell::maybe(row.first_byte, nanos)),
    ("own", Kind::Int, |row| nanos(row.own)),
    ("cost", Kind::Int, |row| Cell::maybe(row.cost, cost)),
    ("estimated", Kind::Int, |row| Cell::Int(row.estimated.into())),
];

const ATTEMPT: [Column<AttemptRow>; 16] = [
    ("at_micros", Kind::Int, |row| Cell::Int(row.at_micros)),
    ("request", Kind::Bytes, |row| Cell::id(row.request.0)),
    ("number", Kind::Int, |row| Cell::Int(row.number.into())),
    ("part", Kind::Text, |row| Cell::word(row.part.name())),
    ("upstream", Kind::Text, |row| Cell::text(&row.upstream)),
    ("provider", Kind::Text, |row| Cell::text(&row.provider)),
    ("model", Kind::Text, |row| Cell::text(&row.model)),
    ("credential", Kind::Int, |row| Cell::Int(row.credential.into())),
    ("verdict", Kind::Text, |row| Cell::word(row.verdict)),
    ("stage", Kind::Text, |row| Cell::word(row.stage)),
    ("took", Kind::Int, |row| nanos(row.took)),
    ("first_byte", Kind::Int, |row| Cell::maybe(row.first_byte, nanos)),
    ("cost", Kind::Int, |row| Cell::maybe(row.cost, cost)),
    ("estimated", Kind::Int, |row| Cell::Int(row.estimated.into())),
    ("priced", Kind::Text, |row| Cell::text(&row.priced)),
    ("tier", Kind::Text, |row| Cell::word(row.tier)),
];

// Two rows of one id would be a mistake of the writer's; it must not hold up all that comes after.
pub static REQUESTS: LazyLock<Table> =
    LazyLock::new(|| Table::new("requests", columns(&REQUEST), "ON CONFLICT DO NOTHING").rarely(units::RARE));
pub static ATTEMPTS: LazyLock<Table> =
    LazyLock::new(|| Table::new("attempts", columns(&ATTEMPT), "ON CONFLICT DO NOTHING").rarely(units::RARE));

/// These, and behind them what was used.
fn columns<R>(own: &[Column<R>]) -> Vec<(&'static str, Kind)> {
    own.iter().map(|(name, kind, _)| (*name, *kind)).chain(units::columns()).collect()
}

/// What a row has in a column.
fn cell<'a, R>(own: &[Column<R>], row: &'a R, used: &Usage, column: usize) -> Cell<'a> {
    match own.get(column) {
        Some((_, _, cell)) => cell(row),
        None => Cell::Int(units::count(used, column - own.len())),
    }
}

/// A batch's requests, by their places; those that nobody keeps are left out.
#[derive(Debug)]
struct Requests(Arc<Batch>, Vec<usize>);

impl Rows for Requests {
    fn count(&self) -> usize {
        self.1.len()
    }

    fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        let row = &self.0.requests[self.1[row]];
        cell(&REQUEST, row, &row.usage, column)
    }

    fn is_short(&self, row: usize) -> bool {
        !units::has_rare(&self.0.requests[self.1[row]].usage)
    }
}

/// A batch's attempts.
#[derive(Debug)]
struct Attempts(Arc<Batch>);

impl Rows for Attempts {
    fn count(&self) -> usize {
        self.0.attempts.len()
    }

    fn cell(&self, row: usize, column: usize) -> Cell<'_> {
        let row = &self.0.attempts[row];
        cell(&ATTEMPT, row, &row.usage, column)
    }

    fn is_short(&self, row: usize) -> bool {
        !units::has_rare(&self.0.attempts[row].usage)
    }
}

impl Store {
    /// Writes a batch. One that was written before is a success and changes nothing, so that whoever does not know what
    /// came of it says it again. So is one of which nobody can tell any more: it is counted as lost.
    ///
    /// An attempt is counted to whom its request belongs, which has to be in the same batch; else to nobody. No
    /// row is refused for what is in it: texts and counts that are too large are cut.
    pub async fn write(&self, batch: impl Into<Arc<Batch>>) -> Result<(), Error> {
        let batch = batch.into();
        let (_, unix) = self.watch.now();
        let known = match Witness::of(&batch, unix) {
            None => Script::default().only_if(
                "INSERT INTO batches (id, at_micros) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                name(&batch, unix),
            ),
            Some(witness) if witness.is_kept(self.kept(), unix) => {
                Script::default().only_if(witness.put, witness.behind(name(&batch, unix)))
            }
            Some(witness) => return self.recall(&batch, &witness).await,
        };
        self.change(rows(&self.database, known, std::slice::from_ref(&batch))).await.map(drop)
    }

    /// As [`Store::write`], with all of them in one transaction where none is known yet: what takes long for each that
    /// is asked, as a server far away does, takes it once.
    pub async fn write_all(&self, batches: &[Arc<Batch>]) -> Result<(), Error> {
        let (_, unix) = self.watch.now();
        let are_known = batches.iter().all(|batch| Witness::of(batch, unix).is_none());
        if let [_, _, ..] = batches
            && are_known
        {
            let names: Vec<_> = batches.iter().map(|batch| name(batch, unix)).collect();
            match self.change(rows(&self.database, Script::default().fill(&BATCHES, names), batches)).await {
                // One of them is there already, so that they go one by one.
                Err(Error::Taken) => {}
                result => return result.map(drop),
            }
        }
        for batch in batches {
            self.write(Arc::clone(batch)).await?;
        }
        Ok(())
    }
}

/// What a batch is known by, and since when.
fn name(batch: &Batch, unix: Duration) -> Vec<Value> {
    vec![Value::id(batch.id), Value::Int(micros(unix))]
}

/// The rows of `batches`, where they are found by their keys, and what they add up to.
fn rows(database: &Database, mut script: Script, batches: &[Arc<Batch>]) -> Script {
    script = match database {
        Database::Sqlite(_) => slots::put(script, batches),
        Database::Postgres => script,
    };
    let mut sums = Sums::default();
    for batch in batches {
        let mut known: FxHashMap<RowId, Known<'_>> =
            batch.requests.iter().map(|request| (request.id, Known { request, answering: None })).collect();
        for attempt in &batch.attempts {
            let known = known.get_mut(&attempt.request);
            sums.attempt(known.as_ref().map(|known| known.request), attempt);
            if let Some(known) = known {
                known.hear(attempt);
            }
        }
        let mut own = Vec::with_capacity(batch.requests.len());
        for (place, request) in batch.requests.iter().enumerate().filter(|(_, row)| row.is_own()) {
            sums.request(request, known.get(&request.id).and_then(|known| known.answering));
            own.push(place);
        }
        script = script.fill(&REQUESTS, Requests(Arc::clone(batch), own));
        script = script.fill(&ATTEMPTS, Attempts(Arc::clone(batch)));
    }
    sums.put(script)
}

/// What a batch has of a request.
struct Known<'a> {
    request: &'a RequestRow,
    /// The attempt that it is counted with: the last that went well, or else the last.
    answering: Option<&'a AttemptRow>,
}

impl<'a> Known<'a> {
    fn hear(&mut self, attempt: &'a AttemptRow) {
        let rank = |attempt: &AttemptRow| (attempt.verdict == "ok", attempt.number);
        // What goes to a shadow channel answers nobody.
        if attempt.part != Part::Mirror && self.answering.is_none_or(|known| rank(attempt) > rank(known)) {
            self.answering = Some(attempt);
        }
    }
}

/// Time as rows have it; what no row can hold is as late as one can say.
pub fn micros(unix: Duration) -> i64 {
    i64::try_from(unix.as_micros()).unwrap_or(i64::MAX)
}

fn nanos(duration: Duration) -> Cell<'static> {
    Cell::Int(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

fn cost(cost: Money) -> Cell<'static> {
    Cell::Int(units::nano_usd(cost))
}

/// As a JSON list of pairs, in the operator's order.
fn tags(row: &RequestRow) -> Cell<'_> {
    if row.tags.is_empty() {
        return Cell::Null;
    }
    let pairs: Vec<(&str, &str)> = row.tags.iter().map(|(name, value)| (&**name, &**value)).collect();
    // Texts always are JSON, and it has the zero as an escape, which no column minds.
    Cell::maybe(serde_json::to_string(&pairs).ok(), |json| Cell::Text(json.into()))
}
