//! Rows of all kinds, and what they add up to, worked out from the rows alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mainstay::algo::dice::Dice;
use mainstay::store::rows::{AttemptRow, Batch, Part, RequestRow, RowId, Who};
use mainstay::store::{Each, Field, Query, Totals, UsageRow};
use mainstay::vocab::usage::Other;
use mainstay::vocab::{Money, RequestId, Usage};

/// The beginning of 20 November 2026, in seconds.
pub const BEGIN: u64 = 1_795_132_800;
/// Hours over which rows are spread.
pub const HOURS: u64 = 100;

const OUTCOMES: [&str; 6] = ["ok", "client_fault", "refused", "failed", "broken", "cancelled"];
const VERDICTS: [&str; 4] = ["ok", "cancelled", "timeout", "server_error"];

pub fn hour(number: u64) -> i64 {
    i64::try_from((BEGIN + number * 3600) * 1_000_000).unwrap()
}

fn pick<'a>(dice: &mut Dice, of: &[&'a str]) -> &'a str {
    of[usize::try_from(dice.below(of.len() as u64)).unwrap()]
}

fn name(dice: &mut Dice, of: &[&str]) -> Option<Arc<str>> {
    dice.chance(0.8).then(|| pick(dice, of).into())
}

fn usage(dice: &mut Dice) -> Usage {
    let mut count = |most| if dice.chance(0.3) { 0 } else { dice.below(most) };
    let text = Usage {
        input: count(10_000),
        cache_read: count(500),
        cache_write: count(50),
        cache_write_1h: count(50),
        output: count(2_000),
        reasoning: count(100),
        ..Usage::default()
    };
    // Most that are used in life are of text alone.
    if dice.chance(0.6) {
        return text;
    }
    let mut count = |most| if dice.chance(0.3) { 0 } else { dice.below(most) };
    let tokens = Usage {
        input_audio: count(9),
        cache_read_audio: count(9),
        output_audio: count(9),
        input_image: count(9),
        output_image: count(9),
        ..text
    };
    let mut few = |most| u32::try_from(count(most)).unwrap();
    let other = Other { images: few(4), searches: few(4), characters: few(900), audio_millis: few(9_000) };
    Usage { other, ..tokens }
}

/// A batch like any: requests with none to three attempts, of any outcome.
pub fn batch(dice: &mut Dice) -> Batch {
    let mut batch =
        Batch { id: (u128::from(dice.next_u64()) << 64) | u128::from(dice.next_u64()), ..Batch::default() };
    // More of each kind than one statement takes.
    for _ in 0..dice.below(40) {
        let at = Duration::from_micros((BEGIN * 1_000_000) + dice.below(HOURS * 3_600_000_000));
        let id = RowId::new(at, u128::from(dice.next_u64()));
        let at_micros = i64::try_from(at.as_micros()).unwrap();
        let attempts = u32::try_from(dice.below(4)).unwrap();
        for number in 1..=attempts {
            let part = Part::ALL[usize::try_from(dice.below(4)).unwrap()];
            batch.attempts.push(AttemptRow {
                request: id,
                number,
                // Some end in the hour after.
                at_micros: at_micros + i64::try_from(dice.below(1_000_000_000)).unwrap(),
                part,
                upstream: pick(dice, &["west", "east"]).into(),
                provider: "openai".into(),
                model: pick(dice, &["large", "small", "größte"]).into(),
                credential: 1,
                verdict: pick(dice, &VERDICTS),
                stage: "headers",
                took: Duration::from_nanos(dice.below(1 << 40)),
                first_byte: dice.chance(0.5).then(|| Duration::from_nanos(dice.below(1 << 40))),
                usage: usage(dice),
                estimated: dice.chance(0.2),
                cost: dice.chance(0.9).then(|| Money::nano_usd(dice.below(1 << 30))),
                priced: "input 1 x 2/M".into(),
                tier: "standard",
            });
        }
        let mut tags: Vec<(Arc<str>, Box<str>)> = Vec::new();
        if dice.chance(0.5) {
            tags.push(("x-customer".into(), pick(dice, &["ada", "bo", ""]).into()));
        }
        if dice.chance(0.3) {
            tags.push(("x-job".into(), pick(dice, &["1", "2"]).into()));
        }
        let who = Who {
            organisation: name(dice, &["acme"]),
            team: name(dice, &["growth", "core"]),
            user: name(dice, &["ann", "ben"]),
            key: name(dice, &["shop", "bot", "lab"]),
        };
        batch.requests.push(RequestRow {
            id,
            // Ours, ours of another clock, and callers' own.
            request_id: match dice.below(4) {
                0 => RequestId::given(at, dice.next_u64()),
                1 => RequestId::given(at.saturating_sub(Duration::from_mins(9)), dice.next_u64()),
                2 => format!("req_{:024x}", (u128::from(dice.next_u64()) << 32) | 1 << 95).into(),
                _ => format!("req-{}", dice.next_u64()).into(),
            },
            at_micros,
            who,
            tags,
            route: pick(dice, &["chat", "fast"]).into(),
            arm: name(dice, &["a", "b"]),
            dialect: "openai",
            operation: "chat",
            model: pick(dice, &["gpt", "o'x \"quoted\""]).into(),
            stream: dice.chance(0.5),
            outcome: pick(dice, &OUTCOMES),
            replayed: dice.chance(0.1).then_some("hit"),
            attempts,
            took: Duration::from_nanos(dice.below(1 << 40)),
            first_byte: dice.chance(0.5).then(|| Duration::from_nanos(dice.below(1 << 40))),
            own: Duration::from_nanos(dice.below(1 << 20)),
            usage: usage(dice),
            cost: dice.chance(0.9).then(|| Money::nano_usd(dice.below(1 << 30))),
            estimated: dice.chance(0.2),
        });
    }
    batch
}

/// A question like any.
pub fn query(dice: &mut Dice) -> Query {
    let from = dice.below(HOURS + 4);
    let mut fields: BTreeSet<Field> = BTreeSet::new();
    let field = |dice: &mut Dice| Field::ALL[usize::try_from(dice.below(11)).unwrap()];
    for _ in 0..dice.below(4) {
        fields.insert(field(dice));
    }
    let value = |field: Field, dice: &mut Dice| match field {
        Field::Organisation => "acme",
        Field::Team => pick(dice, &["growth", "core", ""]),
        Field::User => "ann",
        Field::Key => pick(dice, &["shop", "bot"]),
        Field::Route => "chat",
        Field::Arm => pick(dice, &["a", ""]),
        Field::Upstream => pick(dice, &["west", ""]),
        Field::Provider => "openai",
        Field::Model => pick(dice, &["large", "größte", "nobody's"]),
        Field::Part => pick(dice, &["turn", "mirror"]),
        Field::Tag => pick(dice, &["ada", ""]),
    };
    let only: Vec<Field> = (0..dice.below(3)).map(|_| field(dice)).collect();
    let edge = |dice: &mut Dice| {
        if dice.chance(0.5) { 0 } else { i64::try_from(dice.below(3_600_000_000)).unwrap() }
    };
    Query {
        from: hour(from) + edge(dice),
        to: hour(from + dice.below(HOURS)) + edge(dice),
        by: fields.into_iter().collect(),
        each: [Each::All, Each::Hour, Each::Day][usize::try_from(dice.below(3)).unwrap()],
        tag: match dice.below(4) {
            0 => Some("x-customer".to_owned()),
            1 => Some("x-job".to_owned()),
            _ => None,
        },
        only: only.into_iter().map(|field| (field, value(field, dice).to_owned())).collect(),
        most: 10_000,
    }
}

/// What the store has to answer, having been given these.
pub fn usage_of<'a>(batches: impl Iterator<Item = &'a Batch>, query: &Query) -> Vec<UsageRow> {
    let mut found: BTreeMap<(Option<i64>, Vec<String>), Totals> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for batch in batches.filter(|batch| seen.insert(batch.id)) {
        for attempt in &batch.attempts {
            let request = batch.requests.iter().find(|request| request.id == attempt.request);
            let totals = Totals {
                attempts: 1,
                failures: u64::from(!["ok", "cancelled"].contains(&attempt.verdict)),
                unpriced: u64::from(attempt.cost.is_none()),
                estimated: u64::from(attempt.estimated),
                cost: attempt.cost.unwrap_or_default(),
                tokens: Usage { other: Other::default(), ..attempt.usage },
                images: attempt.usage.other.images.into(),
                searches: attempt.usage.other.searches.into(),
                characters: attempt.usage.other.characters.into(),
                audio_millis: attempt.usage.other.audio_millis.into(),
                ..Totals::default()
            };
            count(&mut found, query, request, Some(attempt), attempt.at_micros, &totals);
        }
        for request in &batch.requests {
            let own = batch
                .attempts
                .iter()
                .filter(|attempt| attempt.request == request.id && attempt.part != Part::Mirror);
            let answering = own.max_by_key(|attempt| (attempt.verdict == "ok", attempt.number));
            let errors = u64::from(["refused", "failed", "broken"].contains(&request.outcome));
            let totals = Totals { requests: 1, errors, ..Totals::default() };
            count(&mut found, query, Some(request), answering, request.at_micros, &totals);
        }
    }
    let row = |((begins, values), totals)| UsageRow { begins, values, totals };
    let mut rows: Vec<UsageRow> = found.into_iter().map(row).collect();
    rows.sort_by(|one, two| {
        let key = |row: &UsageRow| (row.begins, std::cmp::Reverse(row.totals.cost));
        key(one).cmp(&key(two)).then_with(|| one.values.cmp(&two.values))
    });
    rows
}

fn count(
    found: &mut BTreeMap<(Option<i64>, Vec<String>), Totals>,
    query: &Query,
    request: Option<&RequestRow>,
    attempt: Option<&AttemptRow>,
    at: i64,
    totals: &Totals,
) {
    const HOUR: i64 = 3_600_000_000;
    let hour = at / HOUR;
    if hour < query.from / HOUR || hour >= (query.to + HOUR - 1) / HOUR {
        return;
    }
    let tags = request.map(|request| &request.tags[..]).unwrap_or_default();
    let tag = tags.iter().find(|(name, _)| query.tag.as_deref() == Some(&**name));
    let tag_value = tag.map_or("", |(_, value)| &**value);
    let value = |field| {
        let who = request.map(|request| &request.who);
        let named = |name: Option<&Arc<str>>| name.map(ToString::to_string).unwrap_or_default();
        match field {
            Field::Organisation => named(who.and_then(|who| who.organisation.as_ref())),
            Field::Team => named(who.and_then(|who| who.team.as_ref())),
            Field::User => named(who.and_then(|who| who.user.as_ref())),
            Field::Key => named(who.and_then(|who| who.key.as_ref())),
            Field::Route => named(request.map(|request| &request.route)),
            Field::Arm => named(request.and_then(|request| request.arm.as_ref())),
            Field::Upstream => named(attempt.map(|attempt| &attempt.upstream)),
            Field::Provider => attempt.map(|attempt| attempt.provider.to_string()).unwrap_or_default(),
            Field::Model => named(attempt.map(|attempt| &attempt.model)),
            Field::Part => attempt.map(|attempt| attempt.part.name()).unwrap_or_default().to_owned(),
            Field::Tag => tag_value.to_owned(),
        }
    };
    if query.only.iter().any(|(field, wanted)| value(*field) != *wanted) {
        return;
    }
    let begins = match query.each {
        Each::All => None,
        Each::Hour => Some(hour * 3600),
        Each::Day => Some(hour / 24 * 86_400),
    };
    let sum = found.entry((begins, query.by.iter().map(|field| value(*field)).collect())).or_default();
    *sum = Totals {
        requests: sum.requests + totals.requests,
        errors: sum.errors + totals.errors,
        attempts: sum.attempts + totals.attempts,
        failures: sum.failures + totals.failures,
        unpriced: sum.unpriced + totals.unpriced,
        estimated: sum.estimated + totals.estimated,
        cost: sum.cost.plus(totals.cost),
        tokens: sum.tokens.plus(&totals.tokens),
        images: sum.images + totals.images,
        searches: sum.searches + totals.searches,
        characters: sum.characters + totals.characters,
        audio_millis: sum.audio_millis + totals.audio_millis,
    };
}
