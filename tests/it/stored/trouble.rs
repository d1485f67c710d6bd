//! What befalls a database, and what becomes of a batch that was on its way.

use std::time::Duration;

use mainstay::algo::dice::Dice;
use mainstay::store::rows::Batch;
use mainstay::store::{Each, Error, Presence, Query};

use super::model::{self, batch};
use super::postgres::Postgres;
use super::{Held, both};

fn everything() -> Query {
    Query {
        from: 0,
        to: i64::try_from(model::BEGIN).unwrap() * 2_000_000,
        by: Vec::new(),
        each: Each::All,
        tag: None,
        only: Vec::new(),
        most: 1,
    }
}

/// Requests and attempts, as the sums say and as the batches do.
async fn counts(held: &Held, written: &[Batch]) {
    let found = held.store.usage(&everything()).await.unwrap();
    assert_eq!(found, model::usage_of(written.iter(), &everything()));
    assert!(found.first().is_some_and(|row| row.totals.requests > 0), "{found:?}");
}

fn batches(number: u64) -> Vec<Batch> {
    let mut dice = Dice::seeded(number);
    let some = std::iter::repeat_with(|| batch(&mut dice)).filter(|batch| !batch.attempts.is_empty());
    some.take(usize::try_from(number).unwrap()).collect()
}

async fn wait(mut look: impl FnMut() -> bool) -> bool {
    for _ in 0..600 {
        if look() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// Writes until it is written, as the ledger does.
async fn insist(held: &Held, batch: &Batch) {
    for _ in 0..200 {
        match held.store.write(batch.clone()).await {
            Ok(()) => return,
            Err(Error::Away(_) | Error::Late) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it is never written: {:?}", held.store.standing());
}

#[tokio::test]
async fn a_batch_that_is_on_its_way_when_postgres_is_killed_is_written_once() {
    let Some(mut server) = Postgres::start("a PostgreSQL that is killed") else { return };
    let held = Held::postgres(&server).ready().await;
    let all = batches(60);
    let store = std::sync::Arc::clone(&held.store);
    let sent = all.clone();
    let writing = tokio::spawn(async move {
        for batch in sent.iter().cycle() {
            store.write(batch.clone()).await?;
        }
        Ok(())
    });
    let first =
        wait(|| held.metric("mainstay_store_seconds_count").is_some_and(|writes| writes >= 5.0)).await;
    assert!(first, "nothing is written");
    let killed = tokio::task::spawn_blocking(move || {
        server.kill();
        server
    });
    let ended: Result<(), Error> = writing.await.unwrap();
    assert!(matches!(ended, Err(Error::Away(_))), "{ended:?}");
    server = killed.await.unwrap();
    assert!(matches!(held.store.standing().presence, Presence::Away { .. }));
    assert_eq!(held.metric("mainstay_store_up"), Some(0.0));
    assert!(held.metric("mainstay_store_errors_total{kind=\"away\"}").unwrap() > 0.0);

    server.run();
    held.becomes_here().await;
    // All of them again, since nobody knows of the last.
    for batch in &all {
        insist(&held, batch).await;
    }
    counts(&held, &all).await;
    assert_eq!(held.metric("mainstay_store_up"), Some(1.0));
    assert!(held.metric("mainstay_store_seconds_count").unwrap() >= 60.0);
}

#[tokio::test]
async fn a_postgres_that_says_nothing_is_given_up_in_time_and_taken_back() {
    let Some(server) = Postgres::start("a PostgreSQL that hangs") else { return };
    let held = Held::postgres(&server).ready().await;
    let all = batches(3);
    insist(&held, &all[0]).await;
    server.signal("-STOP");
    let late = tokio::time::timeout(Duration::from_secs(20), held.store.write(all[1].clone())).await;
    assert_eq!(late.expect("within its deadline"), Err(Error::Late));
    // Nobody waits for what is known to be away: no deadline passes again.
    let next = tokio::time::timeout(Duration::from_secs(15), held.store.write(all[2].clone())).await;
    assert!(matches!(next, Ok(Err(Error::Away(_)))), "{next:?}: {:?}", held.store.standing());
    server.signal("-CONT");
    held.becomes_here().await;
    for batch in &all {
        insist(&held, batch).await;
    }
    counts(&held, &all).await;
}

#[tokio::test]
async fn a_postgres_that_is_away_at_the_start_is_waited_for_by_nobody() {
    let Some(mut server) = Postgres::start("a PostgreSQL that comes later") else { return };
    server.kill();
    let held = Held::postgres(&server);
    let all = batches(2);
    assert!(matches!(held.store.write(all[0].clone()).await, Err(Error::Away(_))));
    assert!(matches!(held.store.usage(&everything()).await, Err(Error::Away(_))));
    server.run();
    held.becomes_here().await;
    insist(&held, &all[0]).await;
    counts(&held, &all[..1]).await;
}

#[tokio::test]
async fn two_replicas_write_the_same_sums_without_waiting_for_each_other_for_good() {
    let Some(server) = Postgres::start("two replicas that write") else { return };
    let (one, other) = tokio::join!(Held::postgres(&server).ready(), Held::postgres(&server).ready());
    let all = batches(40);
    let half = |held: &Held, which: usize| {
        let store = std::sync::Arc::clone(&held.store);
        // Each batch is told by both.
        let mut mine = all.clone();
        mine.rotate_left(which * 20);
        tokio::spawn(async move {
            for batch in &mine {
                assert_eq!(store.write(batch.clone()).await, Ok(()));
            }
        })
    };
    let (first, second) = tokio::join!(half(&one, 0), half(&other, 1));
    first.unwrap();
    second.unwrap();
    counts(&one, &all).await;
}

#[tokio::test]
async fn what_was_written_an_hour_ago_is_in_a_copy_of_the_file_alone() {
    let held = Held::sqlite();
    let directory = held.directory.as_ref().unwrap().path();
    let copied = || {
        let copy = directory.join("copy.db");
        std::fs::copy(directory.join("ledger.db"), &copy).unwrap();
        let count = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        rusqlite::Connection::open(copy).unwrap().query_row("SELECT COUNT(*) FROM requests", [], count)
    };
    let all = batches(20);
    for batch in &all {
        held.store.write(batch.clone()).await.unwrap();
    }
    assert!(copied().is_err(), "not even the tables are there");
    let kept = Duration::from_hours(24 * 400);
    let retention = mainstay::config::Retention { requests: kept, hours: kept, days: None };
    held.store.tend(&retention).await.unwrap();
    let requests = all.iter().map(|batch| batch.requests.len()).sum::<usize>();
    assert_eq!(copied(), Ok(i64::try_from(requests).unwrap()));
}

#[tokio::test]
async fn what_is_old_goes_and_the_sums_by_day_stay() {
    use mainstay::config::Retention;
    let server = Postgres::start("old rows in PostgreSQL");
    for held in both(server.as_ref()).await {
        let all = batches(60);
        for batch in &all {
            held.store.write(batch.clone()).await.unwrap();
        }
        let days = |days: u64| Duration::from_hours(24 * days);
        let retention = Retention { requests: days(30), hours: days(60), days: None };
        held.store.tend(&retention).await.unwrap();
        let some = mainstay::store::Search { most: 1, ..mainstay::store::Search::default() };
        assert_eq!(held.store.requests(&some).await.unwrap().len(), 1, "nothing is old yet");
        assert!(held.store.standing().bytes.unwrap() > 10_000);
        counts(&held, &all).await;

        // Seventy days on.
        held.clock.0.store(model::BEGIN + 75 * 86_400, std::sync::atomic::Ordering::SeqCst);
        held.store.tend(&retention).await.unwrap();
        assert_eq!(held.store.requests(&some).await.unwrap(), []);
        assert_eq!(held.store.attempts_of(all[0].attempts[0].request).await.unwrap(), []);
        // A second time there is nothing to do.
        held.store.tend(&retention).await.unwrap();
        counts(&held, &all).await;
        let by_hour = Query { each: Each::Hour, ..everything() };
        assert_eq!(held.store.usage(&by_hour).await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_file_that_another_program_holds_is_late_and_written_once() {
    let held = Held::sqlite();
    let all = batches(2);
    held.store.write(all[0].clone()).await.unwrap();
    let file = held.directory.as_ref().unwrap().path().join("ledger.db");
    let other = rusqlite::Connection::open(&file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(held.store.write(all[1].clone()).await, Err(Error::Refused(_))));
    assert_eq!(held.metric("mainstay_store_up"), Some(0.0));
    // Whoever reads does not wait for it.
    counts(&held, &all[..1]).await;
    other.execute_batch("ROLLBACK").unwrap();
    held.store.write(all[1].clone()).await.unwrap();
    counts(&held, &all).await;
    assert_eq!(held.metric("mainstay_store_up"), Some(1.0));
}

#[tokio::test]
async fn sums_by_day_go_when_they_are_not_for_good_and_what_nothing_is_left_of_goes_with_them() {
    use mainstay::config::Retention;
    let server = Postgres::start("old days in PostgreSQL");
    for held in both(server.as_ref()).await {
        let old = batches(40);
        for batch in &old {
            held.store.write(batch.clone()).await.unwrap();
        }
        let days = |days: u64| Duration::from_hours(24 * days);
        let retention = Retention { requests: days(30), hours: days(60), days: Some(days(100)) };
        held.clock.0.store(model::BEGIN + 99 * 86_400, std::sync::atomic::Ordering::SeqCst);
        held.store.tend(&retention).await.unwrap();
        counts(&held, &old).await;

        // One batch comes much later, with some of the same keys and models.
        let mut late = old[0].clone();
        late.id = 1;
        let later = i64::try_from(days(150).as_micros()).unwrap();
        late.requests.iter_mut().for_each(|row| row.at_micros += later);
        late.attempts.iter_mut().for_each(|row| row.at_micros += later);
        held.store.write(late.clone()).await.unwrap();
        held.clock.0.store(model::BEGIN + 151 * 86_400, std::sync::atomic::Ordering::SeqCst);
        held.store.tend(&retention).await.unwrap();
        counts(&held, std::slice::from_ref(&late)).await;
        let [series, used] = if let Some(directory) = &held.directory {
            let file = rusqlite::Connection::open(directory.path().join("ledger.db")).unwrap();
            ["SELECT count(*) FROM series", "SELECT count(DISTINCT series) FROM days"]
                .map(|sql| file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap())
        } else {
            let server = server.as_ref().unwrap();
            ["SELECT count(*) FROM mainstay.series", "SELECT count(DISTINCT series) FROM mainstay.days"]
                .map(|sql| server.sql(sql).parse().unwrap())
        };
        assert_eq!(series, used, "only what has sums is left");
        assert!(series > 0);
    }
}
