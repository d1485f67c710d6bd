use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{Clerk, Journal, Wanted};
use crate::algo::tick::Tick;
use crate::ledger::Readers;
use crate::ledger::account::{Request, turned_away};
use crate::state::Live;
use crate::telemetry::RequestOutcome;

/// A journal of its own, with who writes it.
fn journal(most: usize) -> (Arc<Live>, Arc<Readers>, Arc<Journal>, Clerk) {
    let live = Arc::new(Live::seeded(1));
    let (journal, clerk) = Journal::open(&live, most);
    let readers = Arc::new(Readers::default());
    readers.keep_journal(Arc::clone(&journal));
    (live, readers, journal, clerk)
}

fn request(number: u64, status: u16) -> Request {
    Request {
        route: if number.is_multiple_of(2) { "even" } else { "odd" }.into(),
        operation: "chat",
        model: "demo".into(),
        outcome: if status < 400 { RequestOutcome::Ok } else { RequestOutcome::Refused },
        status,
        took: Duration::from_millis(number),
        ..Request::bare(format!("req_{number}").into(), "openai", Tick::ZERO, Duration::from_secs(number))
    }
}

proptest! {
    #[test]
    fn the_last_ones_are_at_hand_newest_first_and_pages_are_all_of_them(
        most in 0_usize..40,
        statuses in proptest::collection::vec(prop_oneof![Just(200_u16), Just(429), Just(503)], 0..80),
        page in 1_usize..20,
        fewer in 0_usize..40,
    ) {
        let (_live, readers, journal, mut clerk) = journal(most);
        for (number, status) in (1..).zip(&statuses) {
            turned_away(&readers, request(number, *status));
        }
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(clerk.read());
        journal.keep_most(fewer.min(most));
        let numbered = statuses.iter().copied().enumerate().rev().take(fewer.min(most));
        let last: Vec<_> = numbered.map(|(number, status)| (format!("req_{}", number + 1), status)).collect();
        prop_assert_eq!(journal.length(), last.len());
        for (wanted, fits) in [
            (Wanted::default(), &(|_: &str, _: u16| true) as &dyn Fn(&str, u16) -> bool),
            (Wanted { status: Some(5), ..Wanted::default() }, &|_, status| status == 503),
            (Wanted { status: Some(429), ..Wanted::default() }, &|_, status| status == 429),
            (Wanted { outcome: Some("ok".to_owned()), ..Wanted::default() }, &|_, status| status == 200),
        ] {
            let mut found = Vec::new();
            let mut wanted = Wanted { most: page, ..wanted };
            loop {
                let (some, next) = journal.search(&wanted, |decision| decision.request.to_owned());
                prop_assert!(some.len() <= page);
                found.extend(some);
                if next.is_none() {
                    break;
                }
                wanted.before = next;
            }
            let expected: Vec<_> = last.iter().filter(|(id, status)| fits(id, *status)).map(|(id, _)| id.clone()).collect();
            prop_assert_eq!(found, expected);
        }
        for (id, status) in &last {
            prop_assert_eq!(journal.find(id, |decision| decision.status), Some(Some(*status)));
        }
        prop_assert_eq!(journal.find("req_0", |_| ()), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_a_request_is_what_is_found_by_it() {
    let (_live, readers, journal, mut clerk) = journal(100);
    for number in 1..=10 {
        turned_away(&readers, request(number, 200));
    }
    clerk.read().await;
    let found = |wanted: Wanted| journal.search(&wanted, |decision| decision.request.to_owned()).0;
    let any = Wanted::default;
    assert_eq!(found(Wanted { route: Some("even".to_owned()), ..any() }).len(), 5);
    assert_eq!(found(Wanted { model: Some("demo".to_owned()), ..any() }).len(), 10);
    assert_eq!(found(Wanted { model: Some("other".to_owned()), ..any() }).len(), 0);
    assert_eq!(found(Wanted { from: Some(Duration::from_secs(9)), ..any() }), ["req_10", "req_9"]);
    assert_eq!(found(Wanted { to: Some(Duration::from_secs(2)), ..any() }), ["req_1"]);
    assert_eq!(found(Wanted { slower_than: Some(Duration::from_millis(10)), ..any() }), ["req_10"]);
    assert_eq!(found(Wanted { key: Some("nobody".to_owned()), ..any() }).len(), 0);
    assert_eq!(found(Wanted { channel: Some("near".to_owned()), ..any() }).len(), 0);
    assert_eq!(found(Wanted { verdict: Some("connect".to_owned()), ..any() }).len(), 0);
}

#[tokio::test]
async fn ten_thousand_are_looked_through_within_the_blink_of_an_eye() {
    let (live, readers, journal, mut clerk) = journal(10_000);
    for number in 1..=10_000 {
        turned_away(&readers, request(number, 200));
    }
    clerk.read().await;
    let slow = Wanted { slower_than: Some(Duration::from_hours(1)), ..Wanted::default() };
    let (any, none) = (Wanted::default(), Wanted { channel: Some("near".to_owned()), ..slow.clone() });
    for (what, wanted) in [("the newest 100", any), ("the slowest", slow), ("nobody", none)] {
        let begun = live.now();
        let (found, _) = journal.search(&wanted, |decision| serde_json::json!(decision));
        let took = live.now().since(begun);
        println!("{what}: {} of 10,000 in {took:?}", found.len());
        // Of an unoptimised build on a busy machine.
        assert!(took < Duration::from_secs(2), "{what}: {took:?}");
    }
    let begun = live.now();
    assert!(journal.find("req_1", |_| ()).is_some());
    println!("the oldest by its id in {:?}", live.now().since(begun));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_flush_finds_all_that_was_left_before() {
    let (_live, readers, journal, clerk) = journal(100);
    let clerk = tokio::spawn(clerk.run());
    turned_away(&readers, request(1, 200));
    journal.flush(Duration::from_secs(1)).await;
    assert_eq!(journal.length(), 1);
    clerk.abort();
}

#[test]
fn what_nobody_reads_in_time_is_lost_and_counted() {
    let (live, readers, _journal, clerk) = journal(10);
    for number in 0..super::QUEUE as u64 + 3 {
        turned_away(&readers, request(number, 200));
    }
    let text = live.metrics.render();
    assert!(text.contains("mainstay_journal_lost_total 3"), "{text}");
    drop(clerk);
}
