//! How much was used and what it cost, by anything that sums are kept by.
//!
//! Answered from the sums alone, days where whole days are asked for and hours at the edges, so that a year takes no
//! longer than its days. What has a tag is summed apart and what has none is not: it is all but what has it.

use std::fmt::Write as _;

use super::error::Error;
use super::script::{Row, Script, Value};
use super::sums::{DAY, FIELDS, HOUR, measures};
use super::{Store, units};
use crate::vocab::{Money, Usage};

/// What sums are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    Organisation,
    Team,
    User,
    Key,
    Route,
    Arm,
    Upstream,
    Provider,
    /// As the upstream calls it.
    Model,
    /// `turn`, `hedge`, `leg` or `mirror`.
    Part,
    /// The value of [`Query::tag`].
    Tag,
}

impl Field {
    pub const ALL: [Self; 11] = [
        Self::Organisation,
        Self::Team,
        Self::User,
        Self::Key,
        Self::Route,
        Self::Arm,
        Self::Upstream,
        Self::Provider,
        Self::Model,
        Self::Part,
        Self::Tag,
    ];

    pub(super) const fn column(self) -> &'static str {
        FIELDS[self as usize]
    }
}

/// How time is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Each {
    /// Not at all.
    All,
    Hour,
    /// Of UTC.
    Day,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Microseconds of Unix time; its whole hour counts.
    pub from: i64,
    /// Until then; the hour that it is in counts as well.
    pub to: i64,
    pub by: Vec<Field>,
    pub each: Each,
    /// Whose values [`Field::Tag`] stands for.
    pub tag: Option<String>,
    /// Only where these are so. An empty text: where there is none.
    pub only: Vec<(Field, String)>,
    /// Most rows: the dearest of the first hours or days.
    pub most: u32,
}

/// A sum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// Unix time in seconds at which its hour or day begins, where time is cut.
    pub begins: Option<i64>,
    /// In the order of [`Query::by`]; empty where there is none.
    pub values: Vec<String>,
    pub totals: Totals,
}

/// Requests are counted with the attempt that answered; all else with each attempt, answered or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub requests: u64,
    /// Requests that were refused, failed, or broke off.
    pub errors: u64,
    pub attempts: u64,
    pub failures: u64,
    /// Attempts whose cost nobody knows; it is not in `cost`.
    pub unpriced: u64,
    /// Attempts whose counts are estimates.
    pub estimated: u64,
    pub cost: Money,
    /// `other` is empty: its counts stand beside, and are wider.
    pub tokens: Usage,
    pub images: u64,
    pub searches: u64,
    pub characters: u64,
    pub audio_millis: u64,
}

impl Totals {
    #[must_use]
    pub const fn plus(&self, other: &Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            errors: self.errors.saturating_add(other.errors),
            attempts: self.attempts.saturating_add(other.attempts),
            failures: self.failures.saturating_add(other.failures),
            unpriced: self.unpriced.saturating_add(other.unpriced),
            estimated: self.estimated.saturating_add(other.estimated),
            cost: self.cost.plus(other.cost),
            tokens: self.tokens.plus(&other.tokens),
            images: self.images.saturating_add(other.images),
            searches: self.searches.saturating_add(other.searches),
            characters: self.characters.saturating_add(other.characters),
            audio_millis: self.audio_millis.saturating_add(other.audio_millis),
        }
    }

    /// In the order of [`units`](super::units()).
    pub const fn units(&self) -> [u64; 15] {
        let Usage {
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
            input_audio,
            cache_read_audio,
            output_audio,
            input_image,
            output_image,
            ..
        } = self.tokens;
        let Self { images, searches, characters, audio_millis, .. } = *self;
        [
            input,
            cache_read,
            cache_write,
            cache_write_1h,
            output,
            reasoning,
            input_audio,
            cache_read_audio,
            output_audio,
            input_image,
            output_image,
            images,
            searches,
            characters,
            audio_millis,
        ]
    }
}

impl Store {
    /// By time, then the dearest first.
    pub async fn usage(&self, query: &Query) -> Result<Vec<UsageRow>, Error> {
        let rows = self.look(script(query)).await?;
        let mut found: Vec<UsageRow> = rows.iter().map(|row| read(row, query)).collect();
        // What costs the same is put in an order that is the same in every database.
        found.sort_by(|one, two| {
            let key = |row: &UsageRow| (row.begins, std::cmp::Reverse(row.totals.cost));
            key(one).cmp(&key(two)).then_with(|| one.values.cmp(&two.values))
        });
        Ok(found)
    }
}

impl Store {
    /// The hour since the Unix epoch before which only whole days are kept, where `query` asks for hours of them; the
    /// last one that there can be, where no hour is left.
    pub async fn keeps_days_before(&self, query: &Query) -> Result<Option<i64>, Error> {
        let (first, after) = hours(query);
        let mut pieces = pieces(first, after, query.each).into_iter().filter(|(table, ..)| *table == "hours");
        let Some(begin) = pieces.next().map(|(_, from, _)| from) else { return Ok(None) };
        let sql = "SELECT (SELECT min(bucket) FROM days WHERE tag = ''), (SELECT min(bucket) FROM hours WHERE tag = '')";
        let rows = self.look(Script::ask(sql, Vec::new())).await?;
        let found = |at| rows.first().and_then(|row| row.maybe_int(at));
        let Some(first_day) = found(0) else { return Ok(None) };
        let first_hour = found(1).unwrap_or(i64::MAX);
        // What began within its first day has all its hours.
        let dropped = first_hour >= (first_day + 1) * DAY;
        Ok((dropped && begin < first_hour && after > first_day * DAY).then_some(first_hour))
    }
}

/// The hours that a query asks for: from the first to before the second.
const fn hours(query: &Query) -> (i64, i64) {
    (query.from.div_euclid(HOUR), query.to.div_euclid(HOUR) + (query.to.rem_euclid(HOUR) != 0) as i64)
}

/// A table, and which of its buckets: from the first to before the second.
type Piece = (&'static str, i64, i64);

/// The tables that hold a span of hours, none of it twice.
fn pieces(from: i64, to: i64, each: Each) -> Vec<Piece> {
    let (first, last) = (from.div_euclid(DAY) + i64::from(from.rem_euclid(DAY) != 0), to.div_euclid(DAY));
    let all = match each {
        Each::All | Each::Day if first < last => {
            vec![("hours", from, first * DAY), ("days", first, last), ("hours", last * DAY, to)]
        }
        Each::All | Each::Day | Each::Hour => vec![("hours", from, to)],
    };
    all.into_iter().filter(|(_, from, to)| from < to).collect()
}

/// Sums that are taken together where values of a tag are told apart.
#[derive(Clone, Copy)]
enum Share {
    /// By the values of the tag; where no tag is asked for, of everything.
    OfTag,
    /// Of everything, as if it had no tag,
    All,
    /// less what has one.
    LessOfTag,
}

impl Share {
    /// Whose sums they are, their sign, and whether they stand for what has no tag.
    const fn terms(self) -> (&'static str, &'static str, u8) {
        match self {
            Self::OfTag => ("$1", "", 0),
            Self::All => ("''", "", 1),
            Self::LessOfTag => ("$1", "-", 1),
        }
    }
}

/// What a sum has in a column of its series. What has no tag has no value of it.
fn column(field: Field) -> String {
    match field {
        Field::Tag => "CASE p.untagged WHEN 1 THEN '' ELSE s.tag_value END".to_owned(),
        Field::Organisation
        | Field::Team
        | Field::User
        | Field::Key
        | Field::Route
        | Field::Arm
        | Field::Upstream
        | Field::Provider
        | Field::Model
        | Field::Part => format!("s.{}", field.column()),
    }
}

fn script(query: &Query) -> Script {
    let (first, after) = hours(query);
    let mut pieces = pieces(first, after, query.each);
    if pieces.is_empty() {
        pieces.push(("hours", 0, 0));
    }
    let mut values = vec![Value::text(query.tag.as_deref().unwrap_or_default())];
    let shares: &[Share] = match query.tag {
        Some(_) => &[Share::OfTag, Share::All, Share::LessOfTag],
        None => &[Share::OfTag],
    };
    let mut parts = Vec::new();
    for (table, from, to) in pieces {
        let bucket = match (query.each, table) {
            (Each::All, _) => "CAST(0 AS BIGINT)",
            (Each::Day, "hours") => "bucket / 24",
            (Each::Day | Each::Hour, _) => "bucket",
        };
        // Where time is cut hardly any two rows are of one series, so that they are summed but once.
        let (open, close, group) = match query.each {
            Each::All => ("SUM(", ")", " GROUP BY 1, 2"),
            Each::Hour | Each::Day => ("", "", ""),
        };
        let number = values.len();
        for share in shares {
            let (tag, sign, untagged) = share.terms();
            let sums: Vec<String> =
                measures().map(|name| format!("{sign}{open}{name}{close} AS {name}")).collect();
            parts.push(format!(
                "SELECT series, {bucket} AS at, {untagged} AS untagged, {} FROM {table} \
                 WHERE tag = {tag} AND bucket >= ${} AND bucket < ${}{group}",
                sums.join(", "),
                number + 1,
                number + 2
            ));
        }
        values.extend([Value::Int(from), Value::Int(to)]);
    }
    let fields: Vec<String> = query.by.iter().map(|field| format!("{}, ", column(*field))).collect();
    let fields = fields.concat();
    let sums: Vec<String> = measures().map(|name| format!("CAST(SUM(p.{name}) AS BIGINT)")).collect();
    let mut only = String::new();
    for (at, (field, value)) in query.only.iter().enumerate() {
        let join = if at == 0 { "WHERE" } else { "AND" };
        values.push(Value::text(value));
        let _ = write!(only, "{join} {} = ${} ", column(*field), values.len());
    }
    values.push(Value::Int(query.most.into()));
    let sql = format!(
        "SELECT {fields}p.at, {} FROM ({}) AS p JOIN series s ON s.id = p.series {only}GROUP BY {fields}p.at \
         HAVING SUM(p.requests) + SUM(p.attempts) > 0 \
         ORDER BY p.at, SUM(p.cost) DESC, SUM(p.requests) DESC LIMIT ${}",
        sums.join(", "),
        parts.join(" UNION ALL "),
        values.len()
    );
    Script::ask(sql, values)
}

fn read(row: &Row, query: &Query) -> UsageRow {
    let fields = query.by.len();
    let count = |at: usize| row.count(fields + 1 + at);
    UsageRow {
        begins: match query.each {
            Each::All => None,
            Each::Hour => Some(row.int(fields) * 3600),
            Each::Day => Some(row.int(fields) * 86_400),
        },
        values: (0..fields).map(|at| row.text(at)).collect(),
        totals: Totals {
            requests: count(0),
            errors: count(1),
            attempts: count(2),
            failures: count(3),
            unpriced: count(4),
            estimated: count(5),
            cost: Money::nano_usd(count(6)),
            tokens: units::tokens(row, fields + 8),
            images: count(18),
            searches: count(19),
            characters: count(20),
            audio_millis: count(21),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_put_together_of_whole_days_and_the_hours_at_its_edges() {
        let check = |from, to, each, wanted: &[Piece]| assert_eq!(pieces(from, to, each), wanted);
        check(0, 48, Each::All, &[("days", 0, 2)]);
        check(23, 49, Each::Day, &[("hours", 23, 24), ("days", 1, 2), ("hours", 48, 49)]);
        check(1, 47, Each::All, &[("hours", 1, 47)]);
        check(0, 48, Each::Hour, &[("hours", 0, 48)]);
        check(-25, 24, Each::All, &[("hours", -25, -24), ("days", -1, 1)]);
        check(5, 5, Each::All, &[]);
        check(7, 5, Each::Day, &[]);
    }

    proptest::proptest! {
        #[test]
        fn every_hour_is_in_exactly_one_piece(from in -200_i64..200, length in 0_i64..200) {
            let to = from + length;
            let mut hours: Vec<i64> = pieces(from, to, Each::All)
                .into_iter()
                .flat_map(|(table, from, to)| if table == "days" { from * DAY..to * DAY } else { from..to })
                .collect();
            hours.sort_unstable();
            proptest::prop_assert_eq!(hours, (from..to).collect::<Vec<_>>());
        }
    }
}
