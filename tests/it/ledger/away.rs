//! A store that refuses, hangs, is late, and comes back: every row gets there once, within a second it is somewhere,
//! and no request waits.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay::ledger::Spool;

use crate::lab::books::{Books, Mood};
use crate::lab::{Ask, Lab};

const YAML: &str = "
version: 1
upstreams:
  a: {provider: simulated}
routes:
  - model: demo
    channels: [{upstream: a}]
";

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Sends one and says its name.
async fn ask(lab: &Lab) -> String {
    let answer = lab.send(&Ask::chat("demo")).await;
    assert!(answer.took < ms(800), "a request waited for the ledger: {:?}", answer.took);
    answer.header("x-mainstay-request-id").to_owned()
}

/// Waits until the spool is empty, and compares the store with the requests that there were.
async fn assert_all_there(lab: &Lab, books: &Books, asked: &[String]) {
    for _ in 0..600 {
        books.rows().await;
        if lab.metric("mainstay_ledger_spool_batches") == 0.0 {
            break;
        }
        tokio::time::sleep(ms(100)).await;
    }
    let (requests, attempts) = books.rows().await;
    let names: Vec<String> = requests.iter().map(|row| row.request_id.to_string()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>(), asked.iter().collect::<BTreeSet<_>>());
    assert_eq!((names.len(), attempts.len()), (asked.len(), asked.len()), "each once");
    assert_eq!(lab.metric_sum("mainstay_ledger_lost_rows_total", &[]), 0.0);
    for gauge in
        ["mainstay_ledger_spool_batches", "mainstay_ledger_spool_bytes", "mainstay_ledger_lag_seconds"]
    {
        assert_eq!(lab.metric(gauge), 0.0, "{gauge}");
    }
    assert_eq!(lab.metric("mainstay_ledger_queue"), 0.0);
}

fn kept(lab: &Lab) -> f64 {
    ["direct", "spooled"]
        .map(|way| lab.metric(&format!("mainstay_ledger_rows_total{{way=\"{way}\"}}")))
        .iter()
        .sum()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_gets_every_row_once_when_it_is_back() {
    for mood in [Mood::Refuses, Mood::Hangs, Mood::AnswersLate] {
        let lab = Lab::start(YAML);
        let books = lab.keep_books();
        let mut asked = vec![ask(&lab).await];
        tokio::time::sleep(ms(500)).await;
        books.is(mood);
        for _ in 0..20 {
            asked.push(ask(&lab).await);
            tokio::time::sleep(ms(1_000)).await;
            // Two rows each: in the store or on disk by now.
            assert_eq!(kept(&lab), 2.0 * asked.len() as f64, "{mood:?}");
        }
        assert!(lab.metric("mainstay_ledger_rows_total{way=\"spooled\"}") > 0.0, "{mood:?}");
        if mood != Mood::AnswersLate {
            assert_eq!(lab.metric("mainstay_ledger_rows_total{way=\"direct\"}"), 2.0, "{mood:?}");
            assert!(lab.metric("mainstay_ledger_spool_batches") >= 19.0, "{mood:?}");
            assert!(lab.metric("mainstay_ledger_lag_seconds") > 0.0, "{mood:?}");
        }
        books.is(Mood::Well);
        asked.push(ask(&lab).await);
        assert_all_there(&lab, &books, &asked).await;
        assert_eq!(books.told_again() > 0, mood == Mood::AnswersLate, "{mood:?}");
        // And then again without the disk.
        let direct = lab.metric("mainstay_ledger_rows_total{way=\"direct\"}");
        asked.push(ask(&lab).await);
        assert_all_there(&lab, &books, &asked).await;
        assert_eq!(lab.metric("mainstay_ledger_rows_total{way=\"direct\"}"), direct + 2.0, "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_comes_and_goes_loses_and_doubles_nothing() {
    let lab = Lab::start(YAML);
    let books = lab.keep_books();
    let moods = [Mood::Refuses, Mood::Well, Mood::AnswersLate, Mood::Hangs, Mood::Well, Mood::Hangs];
    let mut asked = Vec::new();
    for round in 0..60_usize {
        books.is(moods[round / 4 % moods.len()]);
        asked.push(ask(&lab).await);
        tokio::time::sleep(ms(130 * (round as u64 % 7))).await;
    }
    books.is(Mood::Well);
    assert_all_there(&lab, &books, &asked).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_spool_loses_what_comes_says_so_and_keeps_what_it_has() {
    let lab = Lab::start(YAML);
    let books = lab.keep_books_within(2_000);
    books.is(Mood::Refuses);
    let mut asked = Vec::new();
    for _ in 0..20 {
        asked.push(ask(&lab).await);
        tokio::time::sleep(ms(1_000)).await;
    }
    let spooled = lab.metric("mainstay_ledger_rows_total{way=\"spooled\"}");
    let lost = lab.metric("mainstay_ledger_lost_rows_total{reason=\"spool_full\"}");
    assert_eq!(spooled + lost, 40.0, "no row is lost without a word");
    assert!(spooled > 0.0 && lost > 0.0 && lab.metric("mainstay_ledger_spool_bytes") <= 2_000.0);
    books.is(Mood::Well);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (requests, _) = books.rows().await;
    let names: Vec<String> = requests.iter().map(|row| row.request_id.to_string()).collect();
    assert_eq!(names.first(), asked.first(), "what was there first is kept");
    let places: Vec<_> = names.iter().map(|name| asked.iter().position(|asked| asked == name)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "in order: {places:?}");
    assert_eq!(names.len() as f64 * 2.0, spooled);
}

#[tokio::test(start_paused = true)]
async fn what_a_process_leaves_on_disk_the_next_one_brings_to_the_store() {
    let lab = Lab::start(YAML);
    let books = lab.keep_books();
    books.is(Mood::Hangs);
    let mut asked = Vec::new();
    for _ in 0..5 {
        asked.push(ask(&lab).await);
        tokio::time::sleep(ms(1_000)).await;
    }
    let left = books.crash();
    let next = Lab::start(YAML);
    let books = next.keep_books_in(Spool::open(&left, 1 << 30).unwrap());
    asked.push(ask(&next).await);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_all_there(&next, &books, &asked).await;
    std::fs::remove_dir_all(left).unwrap();
}
