//! What batches add up to, by hour and by day: kept beside the rows and changed with them, so that sums are exact
//! however long ago their rows were thrown away.
//!
//! A *series* is one combination of all that can be asked for: whose key, which route, which upstream and so on.
//! Most of these are the operator's words, so that there are few; a caller's tag is not, so what has a tag is summed
//! apart, once more for each of its tags. Requests as such are counted with the attempt that answered.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use sha2::{Digest as _, Sha256};

use super::rows::{AttemptRow, RequestRow, Who};
use super::script::{Kind, Script, Table, Value};
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

/// What is counted beside the units of [`units::USAGE`].
const COUNTS: [&str; 7] = ["requests", "errors", "attempts", "failures", "unpriced", "estimated", "cost"];
const MEASURES: usize = COUNTS.len() + units::USAGE.len();

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
    COUNTS.into_iter().chain(units::USAGE)
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
/// A tag's name (empty for everything), the hour or day, the series. In this order everybody puts them down, so that
/// no two replicas wait for each other.
type Place = (Box<str>, i64, Id);

/// What one batch adds.
#[derive(Default)]
pub struct Sums {
    series: BTreeMap<Id, Vec<Value>>,
    hours: BTreeMap<Place, Measures>,
}

impl Sums {
    pub fn attempt(&mut self, request: Option<&RequestRow>, attempt: &AttemptRow) {
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
    pub fn request(&mut self, request: &RequestRow, attempt: Option<&AttemptRow>) {
        let mut added = [0; MEASURES];
        added[0] = 1;
        added[1] = ERRORS.contains(&request.outcome).into();
        self.add(Some(request), attempt, request.at_micros, &added);
    }

    fn add(&mut self, request: Option<&RequestRow>, attempt: Option<&AttemptRow>, at: i64, added: &Measures) {
        let hour = at.div_euclid(HOUR);
        self.put_down("", "", request, attempt, hour, added);
        for (name, value) in request.iter().flat_map(|request| &request.tags) {
            self.put_down(name, value, request, attempt, hour, added);
        }
    }

    fn put_down(
        &mut self,
        tag: &str,
        tag_value: &str,
        request: Option<&RequestRow>,
        attempt: Option<&AttemptRow>,
        hour: i64,
        added: &Measures,
    ) {
        let who = request.map(|request| &request.who);
        let named = |name: Option<&Arc<str>>| name.map_or(NONE, Value::shared);
        let fields = [
            named(who.and_then(|who| who.organisation.as_ref())),
            named(who.and_then(|who| who.team.as_ref())),
            named(who.and_then(|who| who.user.as_ref())),
            named(who.and_then(|who| who.key.as_ref())),
            named(request.map(|request| &request.route)),
            named(request.and_then(|request| request.arm.as_ref())),
            named(attempt.map(|attempt| &attempt.upstream)),
            named(attempt.map(|attempt| &attempt.provider)),
            named(attempt.map(|attempt| &attempt.model)),
            attempt.map_or(NONE, |attempt| Value::Text(attempt.part.name().into())),
            Value::text(tag_value),
        ];
        let id = id(&fields);
        self.series.entry(id).or_insert_with(|| fields.to_vec());
        add(self.hours.entry((cut(tag), hour, id)).or_insert([0; MEASURES]), added);
    }

    /// The statements that put it down.
    pub fn put(self, script: Script) -> Script {
        let mut days: BTreeMap<Place, Measures> = BTreeMap::new();
        for ((tag, hour, series), added) in &self.hours {
            let place = (tag.clone(), hour.div_euclid(DAY), *series);
            add(days.entry(place).or_insert([0; MEASURES]), added);
        }
        let series = self
            .series
            .into_iter()
            .map(|(id, fields)| std::iter::once(Value::bytes(&id)).chain(fields).collect());
        script.fill(&SERIES, series.collect()).fill(&HOURS, rows(self.hours)).fill(&DAYS, rows(days))
    }
}

const NONE: Value = Value::Text(std::borrow::Cow::Borrowed(""));

/// As it stands in the column.
fn cut(tag: &str) -> Box<str> {
    Value::text(tag).as_text().unwrap_or_default().into()
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
        let named = |name: &Option<Arc<str>>| name.as_ref().map_or(NONE, Value::shared);
        let mut fields = [
            named(&who.organisation),
            named(&who.team),
            named(&who.user),
            named(&who.key),
            Value::text(counted.route),
            counted.arm.map_or(NONE, Value::text),
            Value::text(counted.upstream),
            Value::text(counted.provider),
            Value::text(counted.model),
            Value::text(counted.part),
            NONE,
        ];
        let cost = after.unwrap_or(0) - before.unwrap_or(0);
        let unpriced = i64::from(after.is_none()) - i64::from(before.is_none());
        let hour = counted.at_micros.div_euclid(HOUR);
        let mut put = |tag: &str, fields: &[Value; FIELDS.len()]| {
            let correction = self.0.entry((cut(tag), hour, id(fields))).or_default();
            correction.cost = correction.cost.saturating_add(cost);
            correction.unpriced += unpriced;
        };
        put("", &fields);
        for (name, value) in counted.tags {
            fields[FIELDS.len() - 1] = Value::text(value);
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
fn id(fields: &[Value; FIELDS.len()]) -> Id {
    let mut hash = Sha256::new();
    for field in fields {
        let text = field.as_text().unwrap_or_default();
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    let whole: [u8; 32] = hash.finalize().into();
    let mut id = [0; 16];
    id.copy_from_slice(&whole[..16]);
    id
}
