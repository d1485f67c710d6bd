//! A year of a busy gateway's sums is answered while somebody looks at a dashboard.

use std::time::Duration;

use mainstay::algo::dice::Dice;
use mainstay::store::rows::Batch;
use mainstay::store::{Each, Field, Query};

use super::model::batch;
use super::postgres::Postgres;
use super::{Held, both};

/// A year in hours.
const YEAR: u64 = 365 * 24;
/// Combinations of key, route and upstream in each hour: 100 requests a second are 360,000 in each.
const SERIES: u64 = 40;
/// What is allowed on a machine that does nothing else; the others here build and test.
const QUICK: Duration = Duration::from_millis(200);
/// So many times as long on those, and longer still without the compiler's pains.
const LOADED: u32 = if cfg!(debug_assertions) { 30 } else { 10 };

/// Statements that make a year of sums, for both databases.
fn year() -> Vec<String> {
    let first = super::model::BEGIN / 3600 - YEAR;
    let measures = [
        "requests",
        "errors",
        "attempts",
        "failures",
        "unpriced",
        "estimated",
        "cost",
        "input",
        "cache_read",
        "cache_write",
        "cache_write_1h",
        "output",
        "reasoning",
        "input_audio",
        "cache_read_audio",
        "output_audio",
        "input_image",
        "output_image",
        "images",
        "searches",
        "characters",
        "audio_millis",
    ];
    let names = measures.join(", ");
    // In each hour one of the first, two of the second, and so on.
    let fill = |table: &str, first: u64, buckets: u64, hours: usize| {
        let values: Vec<String> = (1..=measures.len()).map(|number| (number * hours).to_string()).collect();
        format!(
            "WITH RECURSIVE buckets(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM buckets WHERE n < {}) \
             INSERT INTO {table} (tag, bucket, series, {names}) \
             SELECT '', b.n + {first}, s.id, {} FROM buckets b, series s",
            buckets - 1,
            values.join(", ")
        )
    };
    let series = (0..SERIES).map(|number| {
        format!("(decode_hex('{number:032x}'), 'acme', 'team-{}', '', 'key-{number}', 'chat', '', 'west', 'openai', 'model-{}', 'turn', '')", number % 4, number % 5)
    });
    let series: Vec<String> = series.collect();
    vec![
        format!(
            "INSERT INTO series (id, organisation, team, \"user\", key_name, route, arm, upstream, provider, model, part, tag_value) \
             VALUES {}",
            series.join(", ")
        ),
        fill("hours", first, YEAR, 1),
        fill("days", first / 24, YEAR / 24, 24),
    ]
}

#[tokio::test]
async fn a_year_of_hours_is_reported_within_the_blink_of_an_eye() {
    let sqlite = Held::sqlite();
    let file = sqlite.directory.as_ref().unwrap().path().join("ledger.db");
    let mut connection = rusqlite::Connection::open(file).unwrap();
    let transaction = connection.transaction().unwrap();
    for statement in year() {
        transaction.execute_batch(&statement.replace("decode_hex(", "unhex(")).unwrap();
    }
    transaction.commit().unwrap();
    let mut stores = vec![sqlite];
    let server = Postgres::start("a year of reports from PostgreSQL");
    if let Some(server) = &server {
        stores.push(Held::postgres(server).ready().await);
        for statement in year() {
            let statement =
                statement.replace("decode_hex(", "decode(").replace("'), 'acme'", "', 'hex'), 'acme'");
            server.sql(&format!("SET search_path TO mainstay; {statement}"));
        }
        server.sql("ANALYZE mainstay.hours, mainstay.days, mainstay.series");
    }
    let micros = |seconds: u64| i64::try_from(seconds * 1_000_000).unwrap();
    let begin = super::model::BEGIN;
    let year = Query {
        // Neither end is that of a day.
        from: micros(begin - YEAR * 3600 + 5 * 3600),
        to: micros(begin - 3600),
        by: vec![Field::Team, Field::Model],
        each: Each::Day,
        tag: None,
        only: Vec::new(),
        most: 100_000,
    };
    let by_key = Query { by: vec![Field::Key], each: Each::All, ..year.clone() };
    let month = Query { from: micros(begin - 30 * 86_400), by: Vec::new(), each: Each::Hour, ..year.clone() };
    let one = Query { only: vec![(Field::Key, "key-7".to_owned())], by: Vec::new(), ..year.clone() };
    for held in &stores {
        for (query, rows) in [(&year, 365 * 20), (&by_key, 40), (&month, 30 * 24 - 1), (&one, 365)] {
            // The first look finds nothing in memory.
            let mut best = Duration::MAX;
            for _ in 0..4 {
                let (took, found) = timed(held.store.usage(query)).await;
                let found = found.unwrap();
                assert_eq!(found.len(), rows, "{query:?}");
                assert!(found.iter().all(|row| row.totals.requests > 0));
                best = best.min(took);
            }
            let database = held.store.standing().database;
            eprintln!("{database}: {rows} rows of a year in {best:?}");
            assert!(best < QUICK * LOADED, "{database}: {best:?} for {query:?}");
        }
        let total =
            held.store.usage(&Query { by: Vec::new(), each: Each::All, ..year.clone() }).await.unwrap();
        assert_eq!(total[0].totals.requests, (YEAR - 6) * SERIES);
    }
}

#[tokio::test]
async fn five_thousand_requests_and_as_many_attempts_are_written_in_a_second() {
    const REQUESTS: usize = 500;
    let server = Postgres::start("how quickly PostgreSQL writes");
    let mut dice = Dice::seeded(5);
    let batches: Vec<Batch> = (0..10).map(|_| crowd(&mut dice, REQUESTS)).collect();
    for held in both(server.as_ref()).await {
        let (took, ()) = timed(async {
            for batch in &batches {
                held.store.write(batch.clone()).await.unwrap();
            }
        })
        .await;
        let rows: usize = batches.iter().map(|batch| batch.requests.len() + batch.attempts.len()).sum();
        eprintln!("{}: {rows} rows written in {took:?}", held.store.standing().database);
        assert!(took < Duration::from_secs(1) * LOADED, "{took:?}");
    }
}

/// A batch of that many requests at least.
fn crowd(dice: &mut Dice, requests: usize) -> Batch {
    let mut crowd = Batch { id: dice.next_u64().into(), ..Batch::default() };
    while crowd.requests.len() < requests {
        let Batch { requests, attempts, .. } = batch(dice);
        crowd.requests.extend(requests);
        crowd.attempts.extend(attempts);
    }
    crowd
}

#[expect(clippy::disallowed_methods, reason = "what people wait for is measured in real time")]
async fn timed<T>(work: impl Future<Output = T>) -> (Duration, T) {
    let begun = std::time::Instant::now();
    let done = work.await;
    (begun.elapsed(), done)
}
