//! Costs that are put right after prices were: rows, what requests cost, and the sums, together or not at all.
//!
//! A few requests at a time, so that no batch waits for long, and each only where it still costs what was read: told
//! twice, or by two at once, it is done once, and whoever stopped in between begins again. Counts of tokens are
//! never touched, nor sums of hours that are kept no more.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::error::Error;
use super::pages::{AtRequest, Page};
use super::rows::{RowId, Who};
use super::schema::LOCK;
use super::script::{Answer, Kind, Row, Script, Table, Value};
use super::search::{FoundAttempt, attempt, names, tags};
use super::sums::{Corrections, Counted};
use super::write::ATTEMPTS;
use super::{Database, Store, units};
use crate::vocab::Money;

/// Under which PostgreSQL lets one correct at a time, since what a request costs is summed of what another one may be
/// about to change.
const TURN: i64 = LOCK + 1;

/// A request, as far as its costs are counted to somebody, with its attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct Priced {
    pub place: AtRequest,
    pub who: Who,
    pub tags: Vec<(String, String)>,
    pub route: String,
    pub arm: Option<String>,
    /// In the order in which they began.
    pub attempts: Vec<FoundAttempt>,
}

/// What an attempt is to cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Repriced<'a> {
    pub request: &'a Priced,
    pub attempt: &'a FoundAttempt,
    pub cost: Option<Money>,
    /// As [`AttemptRow::priced`](super::rows::AttemptRow::priced).
    pub priced: String,
}

static COSTS: LazyLock<Table> = LazyLock::new(|| {
    Table {
    columns: vec![
        ("at_micros", Kind::Int),
        ("request", Kind::Bytes),
        ("number", Kind::Int),
        ("old_cost", Kind::Int),
        ("old_priced", Kind::Text),
        ("cost", Kind::Int),
        ("priced", Kind::Text),
    ],
    sqlite: "UPDATE attempts SET cost = ?6, priced = ?7 WHERE at_micros = ?1 AND request = ?2 AND number = ?3 \
             AND cost IS ?4 AND priced = ?5"
        .to_owned(),
    short: None,
    postgres: "UPDATE attempts AS a SET cost = u.cost, priced = u.priced \
               FROM unnest($1::bigint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::text[]) \
               AS u(at_micros, request, number, old_cost, old_priced, cost, priced) \
               WHERE a.at_micros = u.at_micros AND a.request = u.request AND a.number = u.number \
               AND a.cost IS NOT DISTINCT FROM u.old_cost AND a.priced = u.old_priced"
        .to_owned(),
}
});

/// What a request costs is what its attempts do, mirrors left out; nobody knows it where one is unknown.
static WHOLE: LazyLock<Table> = LazyLock::new(|| {
    let sum = |request: &str| {
        format!(
            "(SELECT CASE WHEN count(*) = count(a.cost) THEN CAST(coalesce(sum(a.cost), 0) AS BIGINT) END \
             FROM attempts a WHERE a.request = {request} AND a.part <> 'mirror')"
        )
    };
    Table {
        columns: vec![("at_micros", Kind::Int), ("id", Kind::Bytes)],
        sqlite: format!("UPDATE requests SET cost = {} WHERE at_micros = ?1 AND id = ?2", sum("?2")),
        short: None,
        postgres: format!(
            "UPDATE requests AS r SET cost = {} FROM unnest($1::bigint[], $2::bytea[]) AS u(at_micros, id) \
             WHERE r.at_micros = u.at_micros AND r.id = u.id",
            sum("u.id")
        ),
    }
});

impl Store {
    /// Requests with their attempts, in the order in which they began.
    pub async fn priced(&self, page: &Page<AtRequest>) -> Result<Vec<Priced>, Error> {
        let own = "at_micros, id, organisation, team, \"user\", key_name, tags, route, arm";
        let of = |table: &str, names: &str| {
            names.split(", ").map(|name| format!("{table}.{name}")).collect::<Vec<_>>().join(", ")
        };
        // An attempt never begins before its request does.
        let sql = format!(
            "SELECT {}, {} FROM (SELECT {own} FROM requests WHERE at_micros >= $1 AND at_micros < $2 \
             AND (at_micros, id) > ($3, $4) ORDER BY at_micros, id LIMIT $5) AS r \
             LEFT JOIN attempts a ON a.request = r.id AND a.at_micros >= $1 ORDER BY r.at_micros, r.id, a.number",
            of("r", own),
            of("a", &names(&ATTEMPTS.columns)),
        );
        let values = vec![
            Value::Int(page.from.max(page.after.at_micros)),
            Value::Int(page.to),
            Value::Int(page.after.at_micros),
            Value::id(page.after.id.0),
            Value::Int(page.most.into()),
        ];
        let mut found: Vec<Priced> = Vec::new();
        for row in self.look(Script::ask(sql, values)).await? {
            let place = AtRequest { at_micros: row.int(0), id: RowId(row.id(1)) };
            if found.last().is_none_or(|last| last.place != place) {
                found.push(request(&row, place));
            }
            if let Some(last) = found.last_mut()
                && row.maybe_int(OWN).is_some()
            {
                last.attempts.push(attempt(&row, OWN));
            }
        }
        Ok(found)
    }

    /// How many of them cost something else now. `Err(Changed)` where one does not cost any more what was read; then
    /// none was changed.
    pub async fn reprice(&self, all: &[Repriced<'_>]) -> Result<usize, Error> {
        let mut costs = Vec::new();
        let mut requests = BTreeSet::new();
        let mut corrections = Corrections::default();
        for Repriced { request, attempt, cost, priced } in all {
            let (before, after) = (attempt.cost.map(units::nano_usd), cost.map(units::nano_usd));
            let priced = Value::text(priced);
            if before == after && priced.as_text() == Some(&*attempt.priced) {
                continue;
            }
            costs.push(vec![
                Value::Int(attempt.at_micros),
                Value::id(attempt.request.0),
                Value::Int(attempt.number.cast_signed()),
                Value::maybe(before, Value::Int),
                Value::text(&attempt.priced),
                Value::maybe(after, Value::Int),
                priced,
            ]);
            requests.insert((request.place.at_micros, request.place.id));
            let counted = Counted {
                who: &request.who,
                tags: &request.tags,
                route: &request.route,
                arm: request.arm.as_deref(),
                upstream: &attempt.upstream,
                provider: &attempt.provider,
                model: &attempt.model,
                part: &attempt.part,
                at_micros: attempt.at_micros,
            };
            corrections.correct(&counted, before, after);
        }
        let changed = costs.len();
        if changed == 0 {
            return Ok(0);
        }
        let script = match &self.database {
            Database::Sqlite(_) => Script::default(),
            Database::Postgres => {
                Script::default().say("SELECT pg_advisory_xact_lock($1)", vec![Value::Int(TURN)])
            }
        };
        let whole = requests.into_iter().map(|(at_micros, id)| vec![Value::Int(at_micros), Value::id(id.0)]);
        let script = script.only_if_all(&COSTS, costs).fill(&WHOLE, whole.collect::<Vec<_>>());
        match self.change(corrections.put(script)).await? {
            Answer::Done(_) => Ok(changed),
            Answer::Undone => Err(Error::Changed),
        }
    }
}

/// Where an attempt's columns begin behind those of its request.
const OWN: usize = 9;

fn request(row: &Row, place: AtRequest) -> Priced {
    Priced {
        place,
        who: Who { organisation: row.name(2), team: row.name(3), user: row.name(4), key: row.name(5) },
        tags: tags(row, 6),
        route: row.text(7),
        arm: row.maybe_text(8),
        attempts: Vec::new(),
    }
}
