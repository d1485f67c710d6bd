//! What comes late: a spool that was left for so long that names are forgotten, and mirrors' attempts without their
//! requests.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use mainstay::algo::dice::Dice;
use mainstay::catalog::Catalog;
use mainstay::config::Retention;
use mainstay::report::{Words, usage};
use mainstay::store::rows::{Batch, MIRRORED, Part, RequestRow, RowId};
use mainstay::store::{Field, Query, Search};

use super::model::{self, BEGIN, usage_of};
use super::postgres::Postgres;
use super::{Held, both};

const DAY: u64 = 86_400;
const TOO_OLD: &str = "mainstay_ledger_lost_rows_total{reason=\"too_old\"}";

fn retention(days: u64) -> Retention {
    Retention { requests: Duration::from_hours(24 * days), hours: Duration::from_hours(24 * 400), days: None }
}

/// Batches with rows, with names of their time.
fn spooled(seed: u64, count: usize) -> Vec<Batch> {
    let mut dice = Dice::seeded(seed);
    let some = std::iter::repeat_with(|| model::batch(&mut dice)).filter(|batch| !batch.attempts.is_empty());
    let named = |(batch, chance): (Batch, u128)| {
        let made = Duration::from_secs(BEGIN) + Duration::from_hours(model::HOURS);
        Batch { id: RowId::new(made, chance).0, ..batch }
    };
    some.zip(1..).map(named).take(count).collect()
}

fn all() -> Query {
    let (from, to) = (model::hour(0), model::hour(model::HOURS + 48));
    Query {
        from,
        to,
        by: vec![Field::Team],
        each: mainstay::store::Each::All,
        tag: None,
        only: Vec::new(),
        most: 99,
    }
}

async fn counts(held: &Held, written: &[Batch], what: &str) {
    let database = held.store.standing().database;
    assert_eq!(
        held.store.usage(&all()).await.unwrap(),
        usage_of(written.iter(), &all()),
        "{database}: {what}"
    );
}

#[tokio::test]
async fn a_spool_of_last_week_is_written_once_though_its_names_are_forgotten() {
    let server = Postgres::start("a spool of last week in PostgreSQL");
    for held in both(server.as_ref()).await {
        let (store, batches) = (&held.store, spooled(31, 8));
        let (known, left) = batches.split_at(4);
        for batch in known {
            store.write(batch.clone()).await.unwrap();
        }
        held.clock.0.store(BEGIN + 20 * DAY, SeqCst);
        store.tend(&retention(30)).await.unwrap();
        store.write_all(&shared(&batches)).await.unwrap();
        counts(&held, &batches, "what was there is not counted again, and what was not is").await;
        store.write_all(&shared(left)).await.unwrap();
        counts(&held, &batches, "a second time").await;
        assert_eq!(held.metric(TOO_OLD), Some(0.0));
    }
}

#[tokio::test]
async fn what_nobody_can_tell_any_more_is_not_counted_twice_and_said_to_be_lost() {
    let server = Postgres::start("a spool of long ago in PostgreSQL");
    for held in both(server.as_ref()).await {
        let (store, batches) = (&held.store, spooled(32, 4));
        let (known, left) = batches.split_at(3);
        for batch in known {
            store.write(batch.clone()).await.unwrap();
        }
        held.clock.0.store(BEGIN + 75 * DAY, SeqCst);
        store.tend(&retention(30)).await.unwrap();
        store.write_all(&shared(&batches)).await.unwrap();
        counts(&held, known, "rows that are gone").await;
        let rows: usize = batches.iter().map(|batch| batch.requests.len() + batch.attempts.len()).sum();
        assert_eq!(held.metric(TOO_OLD), Some(rows as f64), "{} of them would have been new", left.len());
    }
}

/// One request of `batch` without its attempts but the mirrored one, as a mirror leaves it.
fn mirror(of: &RequestRow, batch: &Batch) -> Batch {
    let request = RequestRow { outcome: MIRRORED, attempts: 0, ..of.clone() };
    let mut attempt = batch.attempts.iter().find(|attempt| attempt.request == of.id).unwrap().clone();
    (attempt.number, attempt.part) = (0, Part::Mirror);
    Batch { id: batch.id + 1000, requests: vec![request], attempts: vec![attempt] }
}

#[tokio::test]
async fn a_mirrors_attempt_is_its_callers_and_stands_in_reports_that_ask_for_it() {
    let server = Postgres::start("mirrors in PostgreSQL");
    for held in both(server.as_ref()).await {
        let (store, mut caller) = (&held.store, spooled(33, 1).remove(0));
        caller.attempts.iter_mut().for_each(|attempt| attempt.part = Part::Turn);
        let request = caller.requests.iter_mut().find(|row| row.id == caller.attempts[0].request).unwrap();
        request.who.team = Some("growth".into());
        let request = request.clone();
        let mirror = mirror(&request, &caller);
        // Whichever ends first.
        store.write(mirror.clone()).await.unwrap();
        assert_eq!(store.requests(&Search { most: 9, ..Search::default() }).await.unwrap(), []);
        store.write(caller.clone()).await.unwrap();
        let whole = Batch {
            attempts: caller.attempts.iter().chain(&mirror.attempts).cloned().collect(),
            ..caller.clone()
        };
        counts(&held, std::slice::from_ref(&whole), "sums are as if they had come at once").await;
        let attempts = store.attempts_of(request.id).await.unwrap();
        assert_eq!(attempts[0].part, "mirror");
        // Its name is forgotten as well, and its row is not.
        held.clock.0.store(BEGIN + 20 * DAY, SeqCst);
        store.tend(&retention(30)).await.unwrap();
        store.write(mirror.clone()).await.unwrap();
        counts(&held, std::slice::from_ref(&whole), "a mirror of last week").await;

        let report = async |more: &str| {
            let words = format!("from=2026-11-20&to=2026-11-27&format=csv{more}");
            let pairs = words.split('&').filter_map(|pair| pair.split_once('='));
            let words = Words(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
            let asked = words.usage(Duration::from_secs(BEGIN)).unwrap();
            usage(store, &Catalog::embedded(), &asked).await.unwrap()
        };
        let attempts = |csv: &str, at: usize| -> usize {
            csv.lines().skip(1).map(|line| line.split(',').nth(at).unwrap().parse::<usize>().unwrap()).sum()
        };
        assert_eq!(attempts(&report("").await, 2), caller.attempts.len());
        assert_eq!(attempts(&report("&by=team").await, 3), caller.attempts.len());
        assert_eq!(attempts(&report("&by=part").await, 3), whole.attempts.len());
        assert_eq!(attempts(&report("&only=part=mirror&by=team").await, 3), 1);
    }
}

fn shared(batches: &[Batch]) -> Vec<Arc<Batch>> {
    batches.iter().cloned().map(Arc::new).collect()
}
