//! Random batches, some of them twice, and random questions: the model, SQLite and PostgreSQL agree on every answer.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use mainstay::algo::dice::Dice;
use mainstay::config::Retention;
use mainstay::store::rows::{AttemptRow, Batch, RequestRow, RowId};
use mainstay::store::{FoundAttempt, FoundRequest, MOST_AT_ONCE, Search};

use super::model::{BEGIN, HOURS, batch, hour, query, usage_of};
use super::postgres::Postgres;
use super::{Held, both};

/// What is looked for, and whether a row is that.
type Way<'f> = (Search, &'f dyn Fn(&RequestRow) -> bool);

#[tokio::test]
async fn whatever_is_written_and_asked_the_answer_is_what_the_rows_add_up_to() {
    let server = Postgres::start("the store's laws against PostgreSQL");
    let stores = both(server.as_ref()).await;
    for seed in 1..=4 {
        let mut dice = Dice::seeded(seed);
        let mut written: Vec<Batch> = Vec::new();
        let mut told = 0;
        // Every seed goes on with what the ones before have written, so their rows are told apart by their clock.
        for step in 0..24 {
            // Alone, or some in one go.
            for _ in 0..=dice.below(4) {
                let next = if !written.is_empty() && dice.chance(0.2) {
                    written[usize::try_from(dice.below(written.len() as u64)).unwrap()].clone()
                } else {
                    later(batch(&mut dice), seed)
                };
                written.push(next);
            }
            let new: Vec<Arc<Batch>> = written[told..].iter().cloned().map(Arc::new).collect();
            for Held { store, .. } in &stores {
                store.write_all(&new).await.unwrap();
            }
            told = written.len();
            let mut question = query(&mut dice);
            for time in [&mut question.from, &mut question.to] {
                *time += years(seed);
            }
            let wanted = usage_of(written.iter(), &question);
            for Held { store, .. } in &stores {
                let found = store.usage(&question).await.unwrap();
                let database = store.standing().database;
                assert_eq!(found, wanted, "{database}, seed {seed}, step {step}: {question:?}");
            }
        }
    }
}

/// Microseconds of that many years.
fn years(number: u64) -> i64 {
    i64::try_from(number).unwrap() * 365 * 86_400_000_000
}

fn later(mut batch: Batch, years_later: u64) -> Batch {
    batch.requests.iter_mut().for_each(|request| request.at_micros += years(years_later));
    batch.attempts.iter_mut().for_each(|attempt| attempt.at_micros += years(years_later));
    batch
}

fn same_request(found: &FoundRequest, row: &RequestRow) -> bool {
    let tags: Vec<(&str, &str)> = row.tags.iter().map(|(name, value)| (&**name, &**value)).collect();
    let found_tags: Vec<(&str, &str)> = found.tags.iter().map(|(name, value)| (&**name, &**value)).collect();
    found_tags == tags
        && (found.id, &*found.request_id, found.at_micros, &found.who)
            == (row.id, &*row.request_id, row.at_micros, &row.who)
        && (&*found.route, found.arm.as_deref(), &*found.dialect, &*found.operation, &*found.model)
            == (&*row.route, row.arm.as_deref(), row.dialect, row.operation, &*row.model)
        && (found.stream, &*found.outcome, found.replayed.as_deref(), found.attempts)
            == (row.stream, row.outcome, row.replayed, row.attempts.into())
        && (found.took, found.first_byte, found.own) == (row.took, row.first_byte, row.own)
        && (found.usage, found.cost, found.estimated) == (row.usage, row.cost, row.estimated)
}

fn same_attempt(found: &FoundAttempt, row: &AttemptRow) -> bool {
    (found.request, found.number, found.at_micros, &*found.part)
        == (row.request, row.number.into(), row.at_micros, row.part.name())
        && (&*found.upstream, &*found.provider, &*found.model, found.credential)
            == (&*row.upstream, &*row.provider, &*row.model, row.credential.into())
        && (&*found.verdict, &*found.stage, found.took, found.first_byte)
            == (row.verdict, row.stage, row.took, row.first_byte)
        && (found.usage, found.estimated, found.cost) == (row.usage, row.estimated, row.cost)
        && (&*found.priced, &*found.tier) == (&*row.priced, row.tier)
}

#[tokio::test]
async fn every_row_is_found_again_as_it_was_written_the_newest_first() {
    let server = Postgres::start("the store's rows in PostgreSQL");
    let mut dice = Dice::seeded(7);
    let batches: Vec<Batch> = (0..12).map(|_| batch(&mut dice)).collect();
    for held in both(server.as_ref()).await {
        let store = &held.store;
        for batch in &batches {
            store.write(batch.clone()).await.unwrap();
        }
        let mut rows: Vec<&RequestRow> = batches.iter().flat_map(|batch| &batch.requests).collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.at_micros, row.id)));
        let mut search = Search { most: 7, ..Search::default() };
        let mut found = Vec::new();
        loop {
            let page = store.requests(&search).await.unwrap();
            let Some(last) = page.last() else { break };
            search.before = Some(last.cursor());
            found.extend(page);
        }
        assert_eq!(found.len(), rows.len());
        for (found, row) in found.iter().zip(&rows) {
            assert!(same_request(found, row), "{found:?}\n{row:?}");
            let attempts = store.attempts_of(row.id).await.unwrap();
            let mine =
                batches.iter().flat_map(|batch| &batch.attempts).filter(|attempt| attempt.request == row.id);
            let mine: Vec<&AttemptRow> = mine.collect();
            assert_eq!(attempts.len(), mine.len());
            assert!(
                attempts.iter().zip(&mine).all(|(found, row)| same_attempt(found, row)),
                "{attempts:?}\n{mine:?}"
            );
        }

        let one = rows[rows.len() / 2];
        for row in &rows {
            let found = store.request(&row.request_id).await.unwrap();
            assert!(found.as_ref().is_some_and(|found| same_request(found, row)), "{found:?}\n{row:?}");
        }
        for nobodys in ["", "req_0", "req-0", "req_01a2037000000000000000", "req_01a203725dbf31e703a03746"] {
            assert_eq!(store.request(nobodys).await.unwrap(), None);
        }
        let narrow = Search {
            key: one.who.key.as_deref().map(str::to_owned),
            model: Some(one.model.to_string()),
            outcome: Some(one.outcome.to_owned()),
            from: Some(one.at_micros),
            to: Some(one.at_micros + 1),
            most: 9,
            ..Search::default()
        };
        let found = store.requests(&narrow).await.unwrap();
        assert!(matches!(&found[..], [found] if same_request(found, one)), "{found:?}");
        let none = Search { to: Some(one.at_micros), ..narrow };
        assert_eq!(store.requests(&none).await.unwrap(), []);

        // Each way of looking finds what is so, and nothing else.
        let attempts = |row: &RequestRow| {
            let id = row.id;
            batches.iter().flat_map(|batch| &batch.attempts).filter(move |attempt| attempt.request == id)
        };
        let middle = rows[rows.len() / 3].took;
        let ways: [Way<'_>; 8] = [
            (Search { outcome: Some("ok".into()), ..Search::default() }, &|row| row.outcome == "ok"),
            (Search { outcome: Some("failed".into()), ..Search::default() }, &|row| row.outcome == "failed"),
            (Search { team: Some("core".into()), ..Search::default() }, &|row| {
                row.who.team.as_deref() == Some("core")
            }),
            (Search { route: Some("fast".into()), ..Search::default() }, &|row| &*row.route == "fast"),
            (Search { slower_than: Some(middle), ..Search::default() }, &|row| row.took >= middle),
            (Search { channel: Some("west".into()), ..Search::default() }, &|row| {
                attempts(row).any(|attempt| &*attempt.upstream == "west")
            }),
            (
                Search {
                    channel: Some("east/größte".into()),
                    slower_than: Some(Duration::from_nanos(1)),
                    ..Search::default()
                },
                &|row| {
                    let asked =
                        |attempt: &AttemptRow| &*attempt.upstream == "east" && &*attempt.model == "größte";
                    row.took >= Duration::from_nanos(1) && attempts(row).any(asked)
                },
            ),
            (
                Search { verdict: Some("timeout".into()), channel: Some("east".into()), ..Search::default() },
                &|row| {
                    attempts(row).any(|attempt| attempt.verdict == "timeout")
                        && attempts(row).any(|attempt| &*attempt.upstream == "east")
                },
            ),
        ];
        let mut fruitful = 0;
        for (search, is_so) in ways {
            let found = store.requests(&Search { most: 10_000, ..search.clone() }).await.unwrap();
            let expected: Vec<_> = rows.iter().filter(|row| is_so(row)).map(|row| row.id).collect();
            fruitful += usize::from(!expected.is_empty());
            assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), expected, "{search:?}");
            let ids: Vec<_> = expected.iter().copied().take(MOST_AT_ONCE).collect();
            let together = store.attempts_of_all(&ids).await.unwrap();
            let mut apart = Vec::new();
            for id in &ids {
                apart.extend(store.attempts_of(*id).await.unwrap());
            }
            apart.sort_by_key(|attempt| attempt.request);
            assert_eq!(together, apart, "{search:?}");
        }
        assert!(fruitful >= 4, "{fruitful} ways found anything");
    }
}

#[tokio::test]
async fn nothing_that_a_row_may_hold_makes_it_unwritable() {
    let server = Postgres::start("odd rows in PostgreSQL");
    for held in both(server.as_ref()).await {
        let store = &held.store;
        let mut dice = Dice::seeded(3);
        let mut odd = batch(&mut dice);
        while odd.attempts.is_empty() {
            odd = batch(&mut dice);
        }
        let request = odd.requests.iter_mut().find(|row| odd.attempts[0].request == row.id).unwrap();
        request.model = format!("a\0b{}", "ü".repeat(100_000)).into();
        request.request_id = "x".repeat(5_000).into();
        request.tags = vec![("x-customer".into(), "\0'\"".repeat(5_000).into())];
        request.at_micros = -5;
        let attempt = &mut odd.attempts[0];
        attempt.usage.input = u64::MAX;
        attempt.cost = Some(mainstay::vocab::Money::MAX);
        attempt.at_micros = i64::MAX / 2;
        let wrong = attempt.request;
        // A second time within the batch, and once more in another one.
        odd.requests.push(odd.requests[0].clone());
        store.write(odd.clone()).await.unwrap();
        for id in 1..20 {
            store.write(Batch { id: u128::MAX - id, ..odd.clone() }).await.unwrap();
        }
        let found = store.attempts_of(wrong).await.unwrap();
        assert_eq!(found[0].usage.input, 1 << 40, "cut to what is still a count");
        // An attempt whose request is somewhere else is nobody's, and counts.
        let alone =
            Batch { id: u128::MAX - 99, requests: Vec::new(), attempts: vec![odd.attempts[0].clone()] };
        store.write(alone.clone()).await.unwrap();
    }
}

/// All in one minute.
fn crowded(mut batch: Batch) -> Batch {
    let begin = hour(HOURS - 1);
    batch.requests.iter_mut().for_each(|row| row.at_micros = begin + row.at_micros % 60_000_000);
    batch
}

#[tokio::test]
async fn what_a_key_asked_is_found_page_by_page_until_it_is_thrown_away() {
    let server = Postgres::start("what a key asked in PostgreSQL");
    let mut dice = Dice::seeded(23);
    let mut batches: Vec<Batch> = (0..6).map(|_| batch(&mut dice)).collect();
    batches.extend((0..6).map(|_| crowded(batch(&mut dice))));
    let mut rows: Vec<&RequestRow> = batches.iter().flat_map(|batch| &batch.requests).collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.at_micros, row.id)));
    let asked = |key: &str, from: Option<i64>, to: Option<i64>| {
        let is_so = |row: &&&RequestRow| {
            row.who.key.as_deref() == Some(key)
                && from.is_none_or(|from| row.at_micros >= from)
                && to.is_none_or(|to| row.at_micros < to)
        };
        rows.iter().filter(is_so).map(|row| row.id).collect::<Vec<_>>()
    };
    for held in both(server.as_ref()).await {
        for batch in &batches {
            held.store.write(batch.clone()).await.unwrap();
        }
        let (newest, oldest) = (rows[rows.len() / 4].at_micros, rows[rows.len() * 3 / 4].at_micros);
        for key in ["shop", "bot", "nobody's"] {
            for (from, to) in [(None, None), (Some(oldest), None), (Some(oldest), Some(newest))] {
                let search = Search { key: Some(key.to_owned()), from, to, most: 3, ..Search::default() };
                let found = page_by_page(&held, search).await;
                assert_eq!(found, asked(key, from, to), "{key}, from {from:?} to {to:?}");
            }
        }
        assert!(asked("shop", Some(oldest), Some(newest)).len() > 3);

        // PostgreSQL drops whole months.
        let Some(directory) = &held.directory else { continue };
        let kept = Duration::from_hours(2);
        held.clock.0.store(BEGIN + HOURS * 3600, SeqCst);
        held.store.tend(&Retention { requests: kept, hours: kept, days: None }).await.unwrap();
        let gone = hour(HOURS - 2);
        for key in ["shop", "bot"] {
            let search = Search { key: Some(key.to_owned()), most: 50, ..Search::default() };
            assert_eq!(page_by_page(&held, search).await, asked(key, Some(gone), None), "{key}");
        }
        let file = rusqlite::Connection::open(directory.path().join("ledger.db")).unwrap();
        let count = |sql: &str| file.query_row(sql, [gone / 10_000_000], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM key_slots WHERE slot < ?1"), 0);
        // Six of ten seconds, three keys, and what else was asked in these two hours.
        let left = count("SELECT count(*) FROM key_slots WHERE slot >= ?1");
        assert!((18..60).contains(&left), "{left}");
    }
}

/// What all pages have.
async fn page_by_page(held: &Held, mut search: Search) -> Vec<RowId> {
    let mut found = Vec::new();
    loop {
        let page = held.store.requests(&search).await.unwrap();
        let Some(last) = page.last() else { return found };
        search.before = Some(last.cursor());
        found.extend(page.iter().map(|row| row.id));
    }
}
