//! The ledger's batches: written whole or not at all, and once however often they come.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use super::error::Error;
use super::old::Witness;
use super::rows::{AttemptRow, Batch, RequestRow, RowId};
use super::script::{Kind, Script, Table, Value};
use super::sums::Sums;
use super::{Store, units};

/// How long the id of a batch is remembered; of one that is older its rows say whether it was written.
pub const REMEMBERED: Duration = Duration::from_hours(7 * 24);

/// Without a word on what becomes of one that is there: it is an error.
static BATCHES: LazyLock<Table> =
    LazyLock::new(|| Table::new("batches", vec![("id", Kind::Bytes), ("at_micros", Kind::Int)], ""));

pub static REQUESTS: LazyLock<Table> = LazyLock::new(|| {
    let columns = [
        ("at_micros", Kind::Int),
        ("id", Kind::Bytes),
        ("request_id", Kind::Text),
        ("organisation", Kind::Text),
        ("team", Kind::Text),
        ("\"user\"", Kind::Text),
        ("key_name", Kind::Text),
        ("tags", Kind::Text),
        ("route", Kind::Text),
        ("arm", Kind::Text),
        ("dialect", Kind::Text),
        ("operation", Kind::Text),
        ("model", Kind::Text),
        ("stream", Kind::Int),
        ("outcome", Kind::Text),
        ("replayed", Kind::Text),
        ("attempts", Kind::Int),
        ("took", Kind::Int),
        ("first_byte", Kind::Int),
        ("own", Kind::Int),
        ("cost", Kind::Int),
        ("estimated", Kind::Int),
    ];
    // Two rows of one id would be a mistake of the writer's; it must not hold up all that comes after.
    Table::new("requests", columns.into_iter().chain(units::columns()).collect(), "ON CONFLICT DO NOTHING")
});

pub static ATTEMPTS: LazyLock<Table> = LazyLock::new(|| {
    let columns = [
        ("at_micros", Kind::Int),
        ("request", Kind::Bytes),
        ("number", Kind::Int),
        ("part", Kind::Text),
        ("upstream", Kind::Text),
        ("provider", Kind::Text),
        ("model", Kind::Text),
        ("credential", Kind::Int),
        ("verdict", Kind::Text),
        ("stage", Kind::Text),
        ("took", Kind::Int),
        ("first_byte", Kind::Int),
        ("cost", Kind::Int),
        ("estimated", Kind::Int),
        ("priced", Kind::Text),
        ("tier", Kind::Text),
    ];
    Table::new("attempts", columns.into_iter().chain(units::columns()).collect(), "ON CONFLICT DO NOTHING")
});

impl Store {
    /// Writes a batch. One that was written before is a success and changes nothing, so that whoever does not know what
    /// came of it says it again. So is one of which nobody can tell any more: it is counted as lost.
    ///
    /// An attempt is counted to whom its request belongs, which has to be in the same batch; else to nobody. No
    /// row is refused for what is in it: texts and counts that are too large are cut.
    pub async fn write(&self, batch: &Batch) -> Result<(), Error> {
        let (_, unix) = self.watch.now();
        let known = match Witness::of(batch, unix) {
            None => Script::default().only_if(
                "INSERT INTO batches (id, at_micros) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                name(batch, unix),
            ),
            Some(witness) if witness.is_kept(self.kept(), unix) => {
                Script::default().only_if(witness.put, witness.behind(name(batch, unix)))
            }
            Some(witness) => return self.recall(batch, &witness).await,
        };
        self.change(rows(known, std::slice::from_ref(batch))).await.map(drop)
    }

    /// As [`Store::write`], with all of them in one transaction where none is known yet: what takes long for each that is
    /// asked, as a server far away does, takes it once.
    pub async fn write_all(&self, batches: &[Batch]) -> Result<(), Error> {
        let (_, unix) = self.watch.now();
        let are_known = batches.iter().all(|batch| Witness::of(batch, unix).is_none());
        if let [_, _, ..] = batches
            && are_known
        {
            let names = batches.iter().map(|batch| name(batch, unix)).collect();
            match self.change(rows(Script::default().fill(&BATCHES, names), batches)).await {
                // One of them is there already, so that they go one by one.
                Err(Error::Taken) => {}
                result => return result.map(drop),
            }
        }
        for batch in batches {
            self.write(batch).await?;
        }
        Ok(())
    }
}

/// What a batch is known by, and since when.
fn name(batch: &Batch, unix: Duration) -> Vec<Value> {
    vec![Value::id(batch.id), Value::Int(micros(unix))]
}

/// The rows of `batches`, and what they add up to.
fn rows(script: Script, batches: &[Batch]) -> Script {
    let attempts = batches.iter().flat_map(|batch| &batch.attempts);
    let mut sums = Sums::default();
    for batch in batches {
        let requests: HashMap<RowId, &RequestRow> = batch.requests.iter().map(|row| (row.id, row)).collect();
        for attempt in &batch.attempts {
            sums.attempt(requests.get(&attempt.request).copied(), attempt);
        }
        let answering = answering(&batch.attempts);
        for request in batch.requests.iter().filter(|row| row.is_own()) {
            sums.request(request, answering.get(&request.id).copied());
        }
    }
    let own = batches.iter().flat_map(|batch| &batch.requests).filter(|row| row.is_own());
    let requests = own.map(request).collect();
    sums.put(script.fill(&REQUESTS, requests).fill(&ATTEMPTS, attempts.map(attempt).collect()))
}

/// By request, the attempt that it is counted with: the last that went well, or else the last. What goes to a shadow
/// channel answers nobody.
fn answering(attempts: &[AttemptRow]) -> HashMap<RowId, &AttemptRow> {
    let mut found: HashMap<RowId, &AttemptRow> = HashMap::new();
    let rank = |attempt: &AttemptRow| (attempt.verdict == "ok", attempt.number);
    for attempt in attempts.iter().filter(|attempt| attempt.part != super::rows::Part::Mirror) {
        let known = found.entry(attempt.request).or_insert(attempt);
        if rank(attempt) > rank(known) {
            *known = attempt;
        }
    }
    found
}

/// Time as rows have it; what no row can hold is as late as one can say.
pub fn micros(unix: Duration) -> i64 {
    i64::try_from(unix.as_micros()).unwrap_or(i64::MAX)
}

fn nanos(duration: Duration) -> Value {
    Value::Int(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

fn request(row: &RequestRow) -> Vec<Value> {
    let mut values = Vec::with_capacity(REQUESTS.columns.len());
    values.extend([
        Value::Int(row.at_micros),
        Value::id(row.id.0),
        Value::text(&row.request_id),
        Value::maybe(row.who.organisation.as_ref(), Value::shared),
        Value::maybe(row.who.team.as_ref(), Value::shared),
        Value::maybe(row.who.user.as_ref(), Value::shared),
        Value::maybe(row.who.key.as_ref(), Value::shared),
        tags(row),
        Value::shared(&row.route),
        Value::maybe(row.arm.as_ref(), Value::shared),
        Value::Text(row.dialect.into()),
        Value::Text(row.operation.into()),
        Value::text(&row.model),
        Value::Int(row.stream.into()),
        Value::Text(row.outcome.into()),
        Value::maybe(row.replayed, |how| Value::Text(how.into())),
        Value::Int(row.attempts.into()),
        nanos(row.took),
        Value::maybe(row.first_byte, nanos),
        nanos(row.own),
        units::cost(row.cost),
        Value::Int(row.estimated.into()),
    ]);
    values.extend(units::counts(&row.usage).map(Value::Int));
    values
}

/// As a JSON list of pairs, in the operator's order.
fn tags(row: &RequestRow) -> Value {
    if row.tags.is_empty() {
        return Value::Null;
    }
    let pairs: Vec<(&str, &str)> = row.tags.iter().map(|(name, value)| (&**name, &**value)).collect();
    // Texts always are JSON, and it has the zero as an escape, which no column minds.
    Value::maybe(serde_json::to_string(&pairs).ok(), |json| Value::Text(json.into()))
}

fn attempt(row: &AttemptRow) -> Vec<Value> {
    let mut values = Vec::with_capacity(ATTEMPTS.columns.len());
    values.extend([
        Value::Int(row.at_micros),
        Value::id(row.request.0),
        Value::Int(row.number.into()),
        Value::Text(row.part.name().into()),
        Value::shared(&row.upstream),
        Value::shared(&row.provider),
        Value::shared(&row.model),
        Value::Int(row.credential.into()),
        Value::Text(row.verdict.into()),
        Value::Text(row.stage.into()),
        nanos(row.took),
        Value::maybe(row.first_byte, nanos),
        units::cost(row.cost),
        Value::Int(row.estimated.into()),
        Value::text(&row.priced),
        Value::Text(row.tier.into()),
    ]);
    values.extend(units::counts(&row.usage).map(Value::Int));
    values
}
