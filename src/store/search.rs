//! Single requests and their attempts, looked up.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use super::error::Error;
use super::rows::{RowId, Who};
use super::script::{Row, Script, Value};
use super::write::{ATTEMPTS, REQUESTS, micros};
use super::{Database, Store, slots, units};
use crate::telemetry::RequestOutcome;
use crate::vocab::{Money, RequestId, Usage};

/// Requests whose attempts are looked up together: no database takes more than some thousands of parameters.
pub const MOST_AT_ONCE: usize = 1000;

/// Which requests; all of what is said has to be so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    pub key: Option<String>,
    /// As the caller named it.
    pub model: Option<String>,
    /// As `telemetry::RequestOutcome` is called.
    pub outcome: Option<String>,
    pub team: Option<String>,
    /// The one that served it.
    pub route: Option<String>,
    /// One that was asked, as `upstream/model` or by its upstream's name alone.
    pub channel: Option<String>,
    /// Of one of its attempts.
    pub verdict: Option<String>,
    /// Those that took so long, or longer.
    pub slower_than: Option<Duration>,
    /// Microseconds of Unix time.
    pub from: Option<i64>,
    /// That moment excluded.
    pub to: Option<i64>,
    /// Only older ones than this.
    pub before: Option<Cursor>,
    pub most: u32,
}

/// A place in the order of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub at_micros: i64,
    pub id: RowId,
}

/// A text for who wants to go on from here; [`Cursor::parse`] reads it.
impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at_micros, self.id)
    }
}

impl Cursor {
    pub fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.rsplit_once('-')?;
        let id = u128::from_str_radix(id, 16).ok().filter(|_| id.len() == 32)?;
        Some(Self { at_micros: at.parse().ok()?, id: RowId(id) })
    }
}

/// A request, as [`RequestRow`](super::rows::RequestRow) was written.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRequest {
    pub id: RowId,
    pub request_id: String,
    pub at_micros: i64,
    pub who: Who,
    pub tags: Vec<(String, String)>,
    pub route: String,
    pub arm: Option<String>,
    pub dialect: String,
    pub operation: String,
    pub model: String,
    pub stream: bool,
    pub outcome: String,
    pub replayed: Option<String>,
    pub attempts: u64,
    pub took: Duration,
    pub first_byte: Option<Duration>,
    pub own: Duration,
    pub usage: Usage,
    pub cost: Option<Money>,
    pub estimated: bool,
}

impl FoundRequest {
    /// Where the search for older ones goes on.
    pub fn cursor(&self) -> Cursor {
        Cursor { at_micros: self.at_micros, id: self.id }
    }
}

/// An attempt, as [`AttemptRow`](super::rows::AttemptRow) was written.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundAttempt {
    pub request: RowId,
    pub number: u64,
    pub at_micros: i64,
    pub part: String,
    pub upstream: String,
    pub provider: String,
    pub model: String,
    pub credential: u64,
    pub verdict: String,
    pub stage: String,
    pub took: Duration,
    pub first_byte: Option<Duration>,
    pub usage: Usage,
    pub estimated: bool,
    pub cost: Option<Money>,
    pub priced: String,
    pub tier: String,
}

impl Store {
    /// The newest first.
    pub async fn requests(&self, search: &Search) -> Result<Vec<FoundRequest>, Error> {
        let way = match &self.database {
            Database::Sqlite(_) => Way::of(search),
            Database::Postgres => Way::Straight,
        };
        let rows = self.look(script(search, way)).await?;
        Ok(rows.iter().map(request).collect())
    }

    /// The one of this name, as it stood in the answer's `x-mainstay-request-id`; where callers have given it to
    /// several, the last, and of those that another Mainstay gave, as to its retries, the last within a minute.
    pub async fn request(&self, request_id: &str) -> Result<Option<FoundRequest>, Error> {
        for script in by_name(request_id) {
            if let Some(row) = self.look(script).await?.first() {
                return Ok(Some(request(row)));
            }
        }
        Ok(None)
    }

    /// Of each of `requests`, by request, and in the order in which they began. [`MOST_AT_ONCE`] requests at most.
    pub async fn attempts_of_all(&self, requests: &[RowId]) -> Result<Vec<FoundAttempt>, Error> {
        let requests = &requests[..requests.len().min(MOST_AT_ONCE)];
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (1..=requests.len()).map(|place| format!("${place}")).collect();
        let sql = format!(
            "SELECT {} FROM attempts WHERE request IN ({}) ORDER BY request, number",
            names(&ATTEMPTS.columns),
            places.join(", ")
        );
        let rows = self.look(Script::ask(sql, requests.iter().map(|id| Value::id(id.0)).collect())).await?;
        Ok(rows.iter().map(|row| attempt(row, 0)).collect())
    }

    /// In the order in which they began.
    pub async fn attempts_of(&self, request: RowId) -> Result<Vec<FoundAttempt>, Error> {
        let sql =
            format!("SELECT {} FROM attempts WHERE request = $1 ORDER BY number", names(&ATTEMPTS.columns));
        let rows = self.look(Script::ask(sql, vec![Value::id(request.0)])).await?;
        Ok(rows.iter().map(|row| attempt(row, 0)).collect())
    }
}

pub(super) fn names<T>(columns: &[(&str, T)]) -> String {
    columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// How requests are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// From the newest on, or by an index of the database's choice.
    Straight,
    /// From slot to slot in which the key asked, the newest first.
    BySlots,
}

impl Way {
    /// SQLite's. What went wrong is in an index of its own, and is little.
    fn of(search: &Search) -> Self {
        if search.key.is_some() && !search.is_for_wrong() { Self::BySlots } else { Self::Straight }
    }
}

impl Search {
    fn is_for_wrong(&self) -> bool {
        self.outcome.as_deref().is_some_and(|outcome| outcome != RequestOutcome::Ok.name())
    }
}

fn script(search: &Search, way: Way) -> Script {
    let mut values = Vec::new();
    let mut conditions = String::new();
    let text = |text: &Option<String>| text.as_deref().map(Value::text);
    let said = [
        ("key_name =", text(&search.key)),
        ("model =", text(&search.model)),
        ("outcome =", text(&search.outcome)),
        ("team =", text(&search.team)),
        ("route =", text(&search.route)),
        ("took >=", search.slower_than.map(|least| Value::Int(whole_nanos(least)))),
        ("at_micros >=", search.from.map(Value::Int)),
        ("at_micros <", search.to.map(Value::Int)),
        // Says the same as the one below, in the way that leaves out whole months.
        ("at_micros <=", search.before.map(|cursor| Value::Int(cursor.at_micros))),
    ];
    for (condition, value) in said {
        if let Some(value) = value {
            values.push(value);
            let join = if values.len() == 1 { "WHERE" } else { "AND" };
            let _ = write!(conditions, "{join} {condition} ${} ", values.len());
        }
    }
    // In the words of the index of all that went wrong: databases do not conclude it from a parameter.
    if search.is_for_wrong() {
        conditions.push_str("AND outcome <> 'ok' ");
    }
    for (name, condition) in [
        (&search.channel, "(a.upstream = $N OR a.upstream || '/' || a.model = $N)"),
        (&search.verdict, "a.verdict = $N"),
    ] {
        if let Some(name) = name {
            values.push(Value::text(name));
            let join = if values.len() == 1 { "WHERE" } else { "AND" };
            let condition = condition.replace("$N", &format!("${}", values.len()));
            let _ = write!(
                conditions,
                "{join} EXISTS (SELECT 1 FROM attempts a WHERE a.request = requests.id AND {condition}) "
            );
        }
    }
    if let Some(Cursor { at_micros, id }) = search.before {
        values.extend([Value::Int(at_micros), Value::id(id.0)]);
        let _ = write!(conditions, "AND (at_micros, id) < (${}, ${}) ", values.len() - 1, values.len());
    }
    let (from, order) = match way {
        Way::Straight => (String::from("requests"), ""),
        Way::BySlots => (from_slots(search, &mut values), "slot DESC, "),
    };
    values.push(Value::Int(search.most.into()));
    let sql = format!(
        "SELECT {} FROM {from} {conditions}ORDER BY {order}at_micros DESC, id DESC LIMIT ${}",
        names(&REQUESTS.columns),
        values.len()
    );
    Script::ask(sql, values)
}

/// The slots in which the key asked and that may hold what is looked for, each with all its requests. SQLite goes
/// through what a cross join names in the order in which it is named.
fn from_slots(search: &Search, values: &mut Vec<Value>) -> String {
    let mut slots = String::from("(SELECT slot FROM key_slots WHERE ");
    let key = search.key.as_deref().map_or(Value::Null, Value::text);
    let moment = |at: Option<i64>| at.map(|at| Value::Int(slots::of(at)));
    let said = [
        ("key_name =", Some(key)),
        ("AND slot >=", moment(search.from)),
        ("AND slot <=", moment(search.to)),
        ("AND slot <=", moment(search.before.map(|cursor| cursor.at_micros))),
    ];
    for (condition, value) in said {
        if let Some(value) = value {
            values.push(value);
            let _ = write!(slots, "{condition} ${} ", values.len());
        }
    }
    let slot = slots::SLOT;
    let _ = write!(
        slots,
        ") CROSS JOIN requests ON at_micros >= slot * {slot} AND at_micros < (slot + 1) * {slot}"
    );
    slots
}

/// So long before and after the time that a name of ours tells of its row may be: clocks are put right while a request
/// lasts, and a Mainstay before this one may have given the name to a request that it sent on later, or again. Few rows
/// are looked at first, and never those of hours.
const APART: [(Duration, Duration); 2] =
    [(Duration::from_secs(1), Duration::from_mins(1)), (Duration::from_mins(1), Duration::from_mins(10))];

/// What is asked, one after the other, for the request of this name. Those that we give tell of their time and are in
/// no index; callers' own are.
fn by_name(request_id: &str) -> Vec<Script> {
    let ask = |condition: &str, values| {
        let names = names(&REQUESTS.columns);
        let sql = format!(
            "SELECT {names} FROM requests WHERE request_id = $1{condition} ORDER BY at_micros DESC, id DESC LIMIT 1"
        );
        Script::ask(sql, values)
    };
    let id = Value::text(request_id);
    match RequestId::arrival(request_id) {
        Some(at) => APART
            .map(|(before, after)| {
                let (from, to) = (micros(at.saturating_sub(before)), micros(at + after));
                let values = vec![id.clone(), Value::Int(from), Value::Int(to)];
                ask(" AND at_micros >= $2 AND at_micros <= $3", values)
            })
            .into(),
        None if !RequestId::may_be_callers(request_id) => Vec::new(),
        // In the words of the index.
        None => vec![ask(" AND substr(request_id, 1, 5) <> 'req_0'", vec![id])],
    }
}

fn whole_nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn nanos(row: &Row, at: usize) -> Duration {
    Duration::from_nanos(row.count(at))
}

fn maybe_nanos(row: &Row, at: usize) -> Option<Duration> {
    row.maybe_int(at).map(|_| nanos(row, at))
}

fn cost(row: &Row, at: usize) -> Option<Money> {
    row.maybe_int(at).map(|_| Money::nano_usd(row.count(at)))
}

pub(super) fn request(row: &Row) -> FoundRequest {
    FoundRequest {
        at_micros: row.int(0),
        id: RowId(row.id(1)),
        request_id: row.text(2),
        who: Who { organisation: row.name(3), team: row.name(4), user: row.name(5), key: row.name(6) },
        tags: tags(row, 7),
        route: row.text(8),
        arm: row.maybe_text(9),
        dialect: row.text(10),
        operation: row.text(11),
        model: row.text(12),
        stream: row.int(13) != 0,
        outcome: row.text(14),
        replayed: row.maybe_text(15),
        attempts: row.count(16),
        took: nanos(row, 17),
        first_byte: maybe_nanos(row, 18),
        own: nanos(row, 19),
        cost: cost(row, 20),
        estimated: row.int(21) != 0,
        usage: units::usage(row, 22),
    }
}

/// Its columns from `at` on.
pub(super) fn attempt(row: &Row, at: usize) -> FoundAttempt {
    FoundAttempt {
        at_micros: row.int(at),
        request: RowId(row.id(at + 1)),
        number: row.count(at + 2),
        part: row.text(at + 3),
        upstream: row.text(at + 4),
        provider: row.text(at + 5),
        model: row.text(at + 6),
        credential: row.count(at + 7),
        verdict: row.text(at + 8),
        stage: row.text(at + 9),
        took: nanos(row, at + 10),
        first_byte: maybe_nanos(row, at + 11),
        cost: cost(row, at + 12),
        estimated: row.int(at + 13) != 0,
        priced: row.text(at + 14),
        tier: row.text(at + 15),
        usage: units::usage(row, at + 16),
    }
}

pub(super) fn tags(row: &Row, at: usize) -> Vec<(String, String)> {
    row.maybe_text(at).and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use rusqlite::types::Null;

    use super::*;
    use crate::store::script::Step;

    /// How SQLite finds what a script asks for.
    fn plan(connection: &Connection, Script(steps): &Script) -> String {
        let [Step::Ask { sql, values }] = &steps[..] else { panic!("{steps:?}") };
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("SQL");
        let values = rusqlite::params_from_iter(values.iter().map(|_| Null));
        let steps = plan.query_map(values, |row| row.get::<_, String>(3)).expect("a plan");
        steps.collect::<Result<Vec<_>, _>>().expect("a plan").join("; ")
    }

    fn made() -> Connection {
        let mut connection = Connection::open_in_memory().expect("memory is there");
        crate::store::schema::sqlite(&mut connection).expect("a new one");
        connection
    }

    #[test]
    fn a_request_is_found_by_its_name_without_a_look_at_all_others() {
        let connection = made();
        let plans = |name: &str| -> Vec<String> {
            by_name(name).iter().map(|script| plan(&connection, script)).collect()
        };
        let ours = RequestId::given(Duration::from_hours(498_648), 7);
        for plan in plans(&ours) {
            assert!(
                plan.contains("SEARCH requests USING PRIMARY KEY (at_micros>? AND at_micros<?)"),
                "{plan}"
            );
        }
        for theirs in ["order-17", "req_abc"] {
            let plans = plans(theirs);
            assert!(plans[0].contains("requests_by_callers_id (request_id=?)"), "{plans:?}");
        }
        assert!(plans("req_011CSHoEeqs5C35K2UUqR7Fy").is_empty());
    }

    #[test]
    fn what_went_wrong_is_found_without_a_look_at_all_that_went_well() {
        let connection = made();
        let plan = |outcome: &str| {
            let search = Search { outcome: Some(outcome.to_owned()), most: 9, ..Search::default() };
            plan(&connection, &script(&search, Way::of(&search)))
        };
        assert!(plan("failed").contains("requests_gone_wrong"), "{}", plan("failed"));
        assert!(!plan("ok").contains("requests_gone_wrong"), "{}", plan("ok"));
    }

    #[test]
    fn what_a_key_asked_is_found_slot_by_slot_without_a_look_at_those_of_others() {
        let connection = made();
        let cursor = Cursor { at_micros: 1_795_132_800_000_001, id: RowId(1) };
        let mut search = Search { key: Some("shop".to_owned()), most: 9, ..Search::default() };
        for before in [None, Some(cursor)] {
            search.before = before;
            let plan = plan(&connection, &script(&search, Way::of(&search)));
            assert!(plan.contains("SEARCH key_slots USING PRIMARY KEY (key_name=?"), "{plan}");
            assert!(
                plan.contains("SEARCH requests USING PRIMARY KEY (at_micros>? AND at_micros<?)"),
                "{plan}"
            );
            // They come in the order in which they are wanted, so that no more are looked at than that.
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
        search.outcome = Some("failed".to_owned());
        let plan = plan(&connection, &script(&search, Way::of(&search)));
        assert!(plan.contains("requests_gone_wrong"), "{plan}");
    }

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let cursor = Cursor { at_micros: 1_795_132_800_000_001, id: RowId(u128::MAX / 3) };
        assert_eq!(Cursor::parse(&cursor.to_string()), Some(cursor));
        for text in ["", "-", "1-2", "x-00000000000000000000000000000000", "1"] {
            assert_eq!(Cursor::parse(text), None, "{text}");
        }
    }
}
