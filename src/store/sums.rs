//! What batches add up to, by hour and by day: kept beside the rows and changed with them, so that sums are exact
//! however long ago their rows were thrown away.
//!
//! A *series* is one combination of all that can be asked for: whose key, which route, which upstream and so on.
//! Most of these are the operator's words, so that there are few; a caller's tag is not, so what has a tag is summed
//! apart, once more for each of its tags. Requests as such are counted with the attempt that answered.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use rustc_hash::FxHashMap;
use sha2::{Digest as _, Sha256};

use super::rows::{AttemptRow, RequestRow, Who};
use super::script::{Kind, Script, Table, Value, fit};
use super::units;

/// The columns of a series, its id left out.
pub const FIELDS: [&str; 11] = [
    "organisation",
    "team",
    "\"user\"",
    "key_name",
    "route",
    "arm",
    "upstream",
    "provider",
    "model",
    "part",
    "tag_value",
];

/// What is counted beside the units of [`units::names`].
const COUNTS: [&str; 7] = ["requests", "errors", "attempts", "failures", "unpriced", "estimated", "cost"];
const MEASURES: usize = COUNTS.len() + units::UNITS;

/// Microseconds in an hour.
pub const HOUR: i64 = 3_600_000_000;
/// Hours in a day.
pub const DAY: i64 = 24;

/// Outcomes of requests that count as errors: what a caller can do nothing about. Names of
/// `telemetry::RequestOutcome`.
const ERRORS: [&str; 3] = ["refused", "failed", "broken"];
/// Verdicts of attempts that are no failure.
const NO_FAILURE: [&str; 2] = ["ok", "cancelled"];

/// The names of all measures, in order.
pub fn measures() -> impl Iterator<Item = &'static str> {
    COUNTS.into_iter().chain(units::names())
}

static SERIES: LazyLock<Table> = LazyLock::new(|| {
    let fields = FIELDS.into_iter().map(|name| (name, Kind::Text));
    let columns = std::iter::once(("id", Kind::Bytes)).chain(fields).collect();
    Table::new("series", columns, "ON CONFLICT DO NOTHING")
});

static HOURS: LazyLock<Table> = LazyLock::new(|| table("hours"));
static DAYS: LazyLock<Table> = LazyLock::new(|| table("days"));

fn table(name: &'static str) -> Table {
    let key = [("tag", Kind::Text), ("bucket", Kind::Int), ("series", Kind::Bytes)];
    let columns = key.into_iter().chain(measures().map(|name| (name, Kind::Int))).collect();
    let sums: Vec<String> =
        measures().map(|measure| format!("{measure} = {name}.{measure} + excluded.{measure}")).collect();
    let conflict = format!("ON CONFLICT (tag, bucket, series) DO UPDATE SET {}", sums.join(", "));
    Table::new(name, columns, &conflict)
}

type Id = [u8; 16];
/// Of one series in one hour or day.
type Measures = [i64; MEASURES];
/// What a series is of, in the order of [`FIELDS`].
type Fields<'a> = [Name<'a>; FIELDS.len()];
/// A tag's name (empty for everything), the hour or day, the series. In this order everybody puts them down, so that
/// no two replicas wait for each other.
type Place = (Box<str>, i64, Id);

/// A text that is told from others by where it lies: a batch's rows share the names that the configuration has, and
/// what lies elsewhere and is the same comes together when it is put down.
#[derive(Clone, Copy)]
struct Name<'a>(&'a str);

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Name<'_> {}

impl Hash for Name<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.0.as_ptr().addr());
    }
}

/// What one batch adds.
#[derive(Default)]
pub struct Sums<'a>(FxHashMap<(Name<'a>, i64, Fields<'a>), Measures>);

impl<'a> Sums<'a> {
    pub fn attempt(&mut self, request: Option<&'a RequestRow>, attempt: &'a AttemptRow) {
        let mut added = [0; MEASURES];
        // In the order of `COUNTS`.
        added[2] = 1;
        added[3] = (!NO_FAILURE.contains(&attempt.verdict)).into();
        added[4] = attempt.cost.is_none().into();
        added[5] = attempt.estimated.into();
        added[6] = attempt.cost.map_or(0, units::nano_usd);
        added[COUNTS.len()..].copy_from_slice(&units::counts(&attempt.usage));
        self.add(request, Some(attempt), attempt.at_micros, &added);
    }

    /// `attempt` is the one that it is counted with.
    pub fn request(&mut self, request: &'a RequestRow, attempt: Option<&'a AttemptRow>) {
        let mut added = [0; MEASURES];
        added[0] = 1;
        added[1] = ERRORS.contains(&request.outcome).into();
        self.add(Some(request), attempt, request.at_micros, &added);
    }

    fn add(
        &mut self,
        request: Option<&'a RequestRow>,
        attempt: Option<&'a AttemptRow>,
        at: i64,
        added: &Measures,
    ) {
        let hour = at.div_euclid(HOUR);
        let who = request.map(|request| &request.who);
        let named = |name: Option<&'a Arc<str>>| name.map_or("", |name| &**name);
        let mut fields = [
            named(who.and_then(|who| who.organisation.as_ref())),
            named(who.and_then(|who| who.team.as_ref())),
            named(who.and_then(|who| who.user.as_ref())),
            named(who.and_then(|who| who.key.as_ref())),
            named(request.map(|request| &request.route)),
            named(request.and_then(|request| request.arm.as_ref())),
            named(attempt.map(|attempt| &attempt.upstream)),
            attempt.map_or("", |attempt| &*attempt.provider),
            named(attempt.map(|attempt| &attempt.model)),
            attempt.map_or("", |attempt| attempt.part.name()),
            "",
        ]
        .map(Name);
        let mut put = |tag: &'a str, fields: Fields<'a>| {
            add(self.0.entry((Name(tag), hour, fields)).or_insert([0; MEASURES]), added);
        };
        put("", fields);
        for (name, value) in request.iter().flat_map(|request| &request.tags) {
            fields[FIELDS.len() - 1] = Name(value);
            put(name, fields);
        }
    }

    /// The statements that put it down.
    pub fn put(self, script: Script) -> Script {
        let mut series: BTreeMap<Id, Vec<Value>> = BTreeMap::new();
        let mut hours: BTreeMap<Place, Measures> = BTreeMap::new();
        let mut days: BTreeMap<Place, Measures> = BTreeMap::new();
        for ((tag, hour, fields), added) in &self.0 {
            let fields = fields.map(|name| fit(name.0));
            let id = id(&fields);
            let values = || fields.iter().map(|field| Value::Text(Cow::Owned(String::from(&**field))));
            series.entry(id).or_insert_with(|| std::iter::once(Value::bytes(&id)).chain(values()).collect());
            let tag: Box<str> = fit(tag.0).into();
            add(hours.entry((tag.clone(), *hour, id)).or_insert([0; MEASURES]), added);
            add(days.entry((tag, hour.div_euclid(DAY), id)).or_insert([0; MEASURES]), added);
        }
        let series: Vec<Vec<Value>> = series.into_values().collect();
        script.fill(&SERIES, series).fill(&HOURS, rows(hours)).fill(&DAYS, rows(days))
    }
}

/// What corrected costs add to sums that are there, or take from them.
#[derive(Default)]
pub struct Corrections(BTreeMap<Place, Correction>);

#[derive(Clone, Copy, Default)]
struct Correction {
    /// In nano-USD.
    cost: i64,
    unpriced: i64,
}

/// An attempt that was counted, as the series that it was counted in call it.
pub struct Counted<'a> {
    pub who: &'a Who,
    pub tags: &'a [(String, String)],
    pub route: &'a str,
    pub arm: Option<&'a str>,
    pub upstream: &'a str,
    pub provider: &'a str,
    pub model: &'a str,
    pub part: &'a str,
    pub at_micros: i64,
}

impl Corrections {
    /// `before` and `after` are what it cost, where that was known.
    pub fn correct(&mut self, counted: &Counted<'_>, before: Option<i64>, after: Option<i64>) {
        let who = counted.who;
        let mut fields = [
            who.organisation.as_deref().unwrap_or_default(),
            who.team.as_deref().unwrap_or_default(),
            who.user.as_deref().unwrap_or_default(),
            who.key.as_deref().unwrap_or_default(),
            counted.route,
            counted.arm.unwrap_or_default(),
            counted.upstream,
            counted.provider,
            counted.model,
            counted.part,
            "",
        ]
        .map(fit);
        let cost = after.unwrap_or(0) - before.unwrap_or(0);
        let unpriced = i64::from(after.is_none()) - i64::from(before.is_none());
        let hour = counted.at_micros.div_euclid(HOUR);
        let mut put = |tag: &str, fields: &[Cow<'_, str>; FIELDS.len()]| {
            let correction = self.0.entry((fit(tag).into(), hour, id(fields))).or_default();
            correction.cost = correction.cost.saturating_add(cost);
            correction.unpriced += unpriced;
        };
        put("", &fields);
        for (name, value) in counted.tags {
            fields[FIELDS.len() - 1] = fit(value);
            put(name, &fields);
        }
    }

    const SET: &str =
        "SET cost = cost + $4, unpriced = unpriced + $5 WHERE tag = $1 AND bucket = $2 AND series = $3";

    /// The statements that do it, in the order in which batches put sums down. Sums that are there no more stay so.
    pub fn put(self, mut script: Script) -> Script {
        let mut days: BTreeMap<Place, Correction> = BTreeMap::new();
        for ((tag, hour, series), correction) in &self.0 {
            let day = days.entry((tag.clone(), hour.div_euclid(DAY), *series)).or_default();
            day.cost = day.cost.saturating_add(correction.cost);
            day.unpriced += correction.unpriced;
        }
        for (table, corrections) in [("hours", self.0), ("days", days)] {
            for ((tag, bucket, series), Correction { cost, unpriced }) in corrections {
                let key = [Value::Text(String::from(tag).into()), Value::Int(bucket), Value::bytes(&series)];
                let values = key.into_iter().chain([Value::Int(cost), Value::Int(unpriced)]).collect();
                script = script.say(format!("UPDATE {table} {}", Self::SET), values);
            }
        }
        script
    }
}

fn add(to: &mut Measures, added: &Measures) {
    for (to, added) in to.iter_mut().zip(added) {
        *to = to.saturating_add(*added);
    }
}

fn rows(sums: BTreeMap<Place, Measures>) -> Vec<Vec<Value>> {
    let row = |((tag, bucket, series), measures): (Place, Measures)| {
        let key = [Value::Text(String::from(tag).into()), Value::Int(bucket), Value::bytes(&series)];
        key.into_iter().chain(measures.map(Value::Int)).collect()
    };
    sums.into_iter().map(row).collect()
}

/// Cryptographic, so that no tag can be made up that is summed as another one.
fn id(fields: &[Cow<'_, str>; FIELDS.len()]) -> Id {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(&**field);
    }
    let whole: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&whole[..16]);
    id
}
