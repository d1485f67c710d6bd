//! Costs that are put right: as if the prices had been right from the beginning, in rows and in every sum.

use std::collections::BTreeMap;

use mainstay::algo::dice::Dice;
use mainstay::catalog::{Catalog, Date, DatedPrices, Meter, Own, OwnModel, Price};
use mainstay::report::words::Mode;
use mainstay::report::{RepriceAsked, Repricing, Words, reprice};
use mainstay::store::rows::{Batch, CALLERS_OWN, Part, RequestRow};
use mainstay::store::{Search, Store};
use mainstay::vocab::{Money, Tier, Usage};

use super::model::{self, batch, query, usage_of};
use super::postgres::Postgres;
use super::{Held, both};

type Prices = BTreeMap<Meter, Price>;

/// Prices of all that rows here have, in units of this many femto-dollars.
fn prices(of_one: u64) -> Prices {
    let words = [
        "input",
        "output",
        "cache_read",
        "cache_write",
        "cache_write_1h",
        "queries",
        "output_images",
        "input_characters",
        "input_batch",
        "output_batch",
    ];
    words.iter().zip(1..).map(|(word, at)| (Meter::by_word(word).unwrap(), Price::new(of_one * at))).collect()
}

fn catalog(large: DatedPrices, small: DatedPrices) -> Catalog {
    let mut own = Own::default();
    for (model, prices) in [("large", large), ("small", small)] {
        own.add("openai", model, OwnModel { prices, ..OwnModel::default() });
    }
    Catalog::embedded().overridden_by(own)
}

/// As it was, with a mistake in it.
fn wrong() -> Catalog {
    catalog(DatedPrices::new([(None, prices(1_000_000))]), DatedPrices::default())
}

/// Dearer from the third day on; and the small one has a price as well, but not for all that was used.
fn right() -> Catalog {
    let third = Date::of_unix(model::BEGIN + 2 * 86_400);
    let mut few = prices(7_000_000);
    few.retain(|meter, _| meter.unit.word() != "queries");
    catalog(
        DatedPrices::new([(None, prices(1_000_000)), (Some(third), prices(3_000_001))]),
        DatedPrices::new([(None, few)]),
    )
}

/// The batch as it would have been written at these prices.
fn at(catalog: &Catalog, batch: &Batch) -> Batch {
    let mut batch = batch.clone();
    for attempt in &mut batch.attempts {
        let is_callers = attempt.credential == CALLERS_OWN;
        if is_callers || attempt.priced.starts_with("as its") || attempt.usage == Usage::default() {
            continue;
        }
        let usage = Usage { tier: Tier::parse(attempt.tier), ..attempt.usage };
        let on = Date::of_unix(u64::try_from(attempt.at_micros).unwrap() / 1_000_000);
        let cost = catalog.cost("openai", &attempt.model, &usage, on);
        attempt.cost = cost.as_ref().map(|cost| cost.money);
        attempt.priced = cost.map(|cost| cost.to_string()).unwrap_or_default().into();
    }
    for request in &mut batch.requests {
        let own = batch.attempts.iter().filter(|of| of.request == request.id && of.part != Part::Mirror);
        request.cost = own.map(|attempt| attempt.cost).sum();
    }
    batch
}

/// Rows of which some were priced by their provider, some by nobody, some are of another tier, and some their callers
/// paid themselves.
fn written(seed: u64, batches: usize) -> Vec<Batch> {
    let mut dice = Dice::seeded(seed);
    let one = |dice: &mut Dice| {
        let mut batch = batch(dice);
        for attempt in &mut batch.attempts {
            match dice.below(8) {
                0 => {
                    attempt.cost = Some(Money::nano_usd(77));
                    attempt.priced = "as its provider says".into();
                }
                1 => {
                    (attempt.usage, attempt.cost) = (Usage::default(), None);
                    attempt.priced = "".into();
                }
                2 => attempt.tier = "batch",
                3 => {
                    (attempt.credential, attempt.cost) = (CALLERS_OWN, Some(Money::default()));
                    attempt.priced = "".into();
                }
                _ => {}
            }
        }
        batch
    };
    (0..batches).map(|_| at(&wrong(), &one(&mut dice))).collect()
}

fn asked(more: &str) -> RepriceAsked {
    let words = format!("from=2026-11-20&to=2026-11-27&{more}");
    let pairs = words.split('&').filter_map(|pair| pair.split_once('='));
    let words = Words(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    words.reprice(std::time::Duration::from_secs(model::BEGIN)).unwrap()
}

/// Rows, requests and any sum are those of `batches`.
async fn is_as_if_written(store: &Store, batches: &[Batch], what: &str) {
    let database = store.standing().database;
    let mut dice = Dice::seeded(11);
    for _ in 0..40 {
        let question = query(&mut dice);
        let wanted = usage_of(batches.iter(), &question);
        assert_eq!(store.usage(&question).await.unwrap(), wanted, "{database}, {what}: {question:?}");
    }
    let found = store.requests(&Search { most: 10_000, ..Search::default() }).await.unwrap();
    let rows: BTreeMap<_, &RequestRow> =
        batches.iter().flat_map(|batch| &batch.requests).map(|row| (row.id.0, row)).collect();
    assert_eq!(found.len(), rows.len());
    for request in found {
        assert_eq!(request.cost, rows[&request.id.0].cost, "{database}, {what}: {request:?}");
        let attempts = store.attempts_of(request.id).await.unwrap();
        let wanted = batches.iter().flat_map(|batch| &batch.attempts).filter(|row| row.request == request.id);
        for (found, row) in attempts.iter().zip(wanted) {
            assert_eq!((found.cost, &*found.priced), (row.cost, &*row.priced), "{database}, {what}");
        }
    }
}

fn changed(outcome: &Repricing) -> u64 {
    outcome.models.values().map(|of| of.changed).sum()
}

#[tokio::test]
async fn costs_are_put_right_as_if_they_had_never_been_wrong() {
    let server = Postgres::start("repricing in PostgreSQL");
    let before = written(21, 60);
    let after: Vec<Batch> = before.iter().map(|batch| at(&right(), batch)).collect();
    for held in both(server.as_ref()).await {
        let store = &held.store;
        for batch in &before {
            store.write(batch.clone()).await.unwrap();
        }
        let same = reprice(store, &wrong(), &asked("")).await.unwrap();
        assert_eq!(changed(&same), 0, "unchanged prices change nothing: {same:?}");
        is_as_if_written(store, &before, "at unchanged prices").await;

        let dry = reprice(store, &right(), &asked("dry_run=true")).await.unwrap();
        assert!(changed(&dry) > 50, "{dry:?}");
        is_as_if_written(store, &before, "after a dry run").await;

        // A model at a time, as if the first had been interrupted before the second.
        let large = reprice(store, &right(), &asked("model=openai/large")).await.unwrap();
        assert_eq!(large.models.keys().collect::<Vec<_>>(), ["openai/large"]);
        let rest = reprice(store, &right(), &asked("")).await.unwrap();
        assert_eq!(changed(&large) + changed(&rest), changed(&dry));
        is_as_if_written(store, &after, "at the right prices").await;

        let again = reprice(store, &right(), &asked("")).await.unwrap();
        assert_eq!((changed(&again), again.gone), (0, 0), "a second time there is nothing to do");
        is_as_if_written(store, &after, "a second time").await;
        let sums = |outcome: &Repricing| {
            outcome.models.values().map(|of| (of.after, of.unpriced_after)).collect::<Vec<_>>()
        };
        assert_eq!(sums(&again), sums(&dry), "a dry run tells what will be");
        let back = reprice(store, &wrong(), &asked("")).await.unwrap();
        assert_eq!(changed(&back), changed(&dry));
        is_as_if_written(store, &before, "and back").await;
    }
}

#[tokio::test]
async fn two_who_put_costs_right_at_once_do_it_once_while_batches_come() {
    let Some(server) = Postgres::start("two who reprice at once") else { return };
    let (one, other) = tokio::join!(Held::postgres(&server).ready(), Held::postgres(&server).ready());
    let before = written(22, 80);
    let late = written(23, 40).iter().map(|batch| at(&right(), batch)).collect::<Vec<_>>();
    for batch in &before {
        one.store.write(batch.clone()).await.unwrap();
    }
    let (wrong, right) = (wrong(), right());
    let both = asked("");
    let (first, second, ()) =
        tokio::join!(reprice(&one.store, &right, &both), reprice(&other.store, &right, &both), async {
            for batch in &late {
                one.store.write(batch.clone()).await.unwrap();
            }
        });
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    let after: Vec<Batch> = before.iter().map(|batch| at(&right, batch)).chain(late).collect();
    is_as_if_written(&other.store, &after, "by two at once").await;
    let _ = reprice(&other.store, &wrong, &asked("dry_run=true")).await.unwrap();
    is_as_if_written(&one.store, &after, "after a dry run").await;
}

#[tokio::test]
async fn what_has_no_rows_any_more_keeps_its_costs_and_is_counted() {
    use mainstay::config::Retention;
    let server = Postgres::start("repricing what is gone");
    let batches = written(24, 30);
    let days = |days: u64| std::time::Duration::from_hours(24 * days);
    for held in both(server.as_ref()).await {
        for batch in &batches {
            held.store.write(batch.clone()).await.unwrap();
        }
        let attempts: usize = batches.iter().map(|batch| batch.attempts.len()).sum();
        held.clock.0.store(model::BEGIN + 75 * 86_400, std::sync::atomic::Ordering::SeqCst);
        let retention = Retention { requests: days(30), hours: days(400), days: None };
        held.store.tend(&retention).await.unwrap();
        let outcome = reprice(&held.store, &right(), &asked("")).await.unwrap();
        assert_eq!((outcome.models.len(), outcome.gone), (0, attempts as u64));
        let text = Repricing::table(&outcome.json(&RepriceAsked { mode: Mode::DryRun, ..asked("") }));
        assert!(text.contains(&format!("{attempts} attempts of that time have no rows any more")), "{text}");
        whole_days_are_told_of_dropped_hours(&held).await;
    }
}

/// A report of hours that are kept as days only is refused, and none of them is taken for nothing.
async fn whole_days_are_told_of_dropped_hours(held: &Held) {
    use mainstay::config::Retention;
    let usage = async |query: &str| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let words = Words(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
        let asked = words.usage(std::time::Duration::from_secs(model::BEGIN)).unwrap();
        mainstay::report::usage(&held.store, &right(), &asked).await
    };
    let day = "2026-11-20";
    let by_hour = format!("from={day}&to={day}T05:00:00Z&by=hour");
    assert!(usage(&by_hour).await.is_ok(), "the hours are there");
    let days = |days: u64| std::time::Duration::from_hours(24 * days);
    held.store.tend(&Retention { requests: days(30), hours: days(31), days: None }).await.unwrap();
    for query in
        [by_hour, format!("from={day}T01:00:00Z&to=2100-01-01"), format!("from={day}&to={day}T05:00:00Z")]
    {
        let refused = usage(&query).await.expect_err(&query).to_string();
        assert!(refused.contains("only whole days are kept"), "{query}: {refused}");
    }
    assert!(usage(&format!("from={day}&to=2100-01-01&by=day")).await.is_ok());
}
