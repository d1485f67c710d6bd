//! Callers with tokens: that each has budgets of his own, and that their number is bounded.

use super::super::issued::{CROWDED, MOST};
use super::*;

/// Issuers whose callers may spend 100 nano-dollars each month.
fn issuers(limit: &str) -> Vec<Issuer> {
    let file = format!(
        "version: 1\naccess: keys\nissuers: {{okta: {{issuer: 'https://x', audience: m, budgets: [{{per: month, limit: \
         {limit}}}]}}, plain: {{issuer: 'https://y', audience: m}}}}\nupstreams: {{a: {{provider: simulated}}}}\n\
         routes: [{{model: m, channels: [{{upstream: a}}]}}]\n"
    );
    config::load(&file, &config::testing::Given::default()).expect("a good file").blueprint.issuers
}

/// The caller of this name, as his token says.
fn caller(issuers: &[Issuer], subject: &str) -> Lineage {
    let own = Member { name: format!("okta:{subject}").into(), ..issuers[0].own.clone() };
    Lineage::below(None, own)
}

fn expect(bank: &Bank, issuers: &[Issuer]) {
    bank.budgets.expect(&[], issuers.iter(), std::iter::empty());
}

fn hear(bank: &Bank, name: &str, sum: u64) {
    bank.wanted(name, sum);
}

#[test]
fn each_caller_with_a_token_has_a_budget_that_reloads_know_of() {
    let (bank, okta) = (Bank::open(), issuers("0.0000001"));
    expect(&bank, &okta);
    assert_eq!(bank.stand(), Vec::<String>::new(), "nobody is known before he comes");
    bank.buy(&caller(&okta, "ada"), 90);
    bank.buy(&caller(&okta, "bob"), 10);
    let told = bank.alerts();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].text.starts_with("key `okta:ada` has spent"), "{told:?}");
    assert!(bank.ask(&caller(&okta, "ada"), Some(11)).is_ok(), "the last one");
    for _ in 0..3 {
        expect(&bank, &okta);
    }
    assert_eq!(bank.stand(), ["okta:ada month 90 0", "okta:bob month 10 0"]);
    assert_eq!(bank.alerts(), [], "he still has his budget");
    assert!(bank.budgets.seen().iter().all(Seen::is_issued));
    // Another one, and none.
    expect(&bank, &issuers("0.0000002"));
    assert_eq!(bank.alerts().iter().map(|alert| alert.state).collect::<Vec<_>>(), [AlertState::Resolved]);
    expect(&bank, &[]);
    assert_eq!(bank.stand(), Vec::<String>::new());
}

#[test]
fn who_comes_for_the_first_time_begins_with_what_the_store_has_said_before() {
    let (bank, okta) = (Bank::open(), issuers("0.0000001"));
    expect(&bank, &okta);
    assert_eq!(bank.budgets.wanted().len(), 1, "it is asked though nobody has come");
    hear(&bank, "okta:ada", 100);
    let Err(Broke::Refused(refused)) = bank.ask(&caller(&okta, "ada"), Some(1)) else {
        panic!("nothing is left")
    };
    assert_eq!(refused.spent, Money::nano_usd(100));
    assert!(bank.ask(&caller(&okta, "bob"), Some(1)).is_ok());
}

#[test]
fn of_too_many_those_go_who_asked_longest_ago_and_are_known_elsewhere() {
    let (bank, okta) = (Bank::open(), issuers("0.0000001"));
    expect(&bank, &okta);
    let numbered = |number: usize| caller(&okta, &format!("{number:06}"));
    let later = |seconds: u64| bank.hand.move_to(Tick::ZERO + Duration::from_secs(seconds));
    // One with a request under way, one of whom the store knows, one of whom nobody does, all of them long ago.
    let running = bank.ask(&caller(&okta, "running"), Some(1)).map_err(|_| ()).expect("it fits");
    bank.buy(&caller(&okta, "stored"), 95);
    bank.buy(&caller(&okta, "unheard"), 95);
    hear(&bank, "okta:stored", 95);
    later(1);
    let mut looking = Vec::new();
    for number in 0..2 * MOST {
        // Whoever only looks at all keeps nobody from being forgotten.
        if number % 1024 == 1 {
            looking = bank.budgets.shelves.all();
        }
        bank.buy(&numbered(number), 1);
        // All but the one are in the store within a while.
        if number % 4096 == 0 {
            let sums = (0..number).map(|number| (format!("okta:{number:06}").into(), Money::nano_usd(1)));
            let sums: HashMap<_, _> = sums.chain([("okta:stored".into(), Money::nano_usd(95))]).collect();
            bank.budgets.hear(bank.budgets.wanted()[0], sums);
        }
    }
    let seen = bank.budgets.seen();
    assert!(seen.len() <= MOST, "{} are remembered", seen.len());
    let spent =
        |name: &str| seen.iter().find(|seen| &*seen.name == name).map(|seen| seen.spent.as_nano_usd());
    assert_eq!(
        (spent("okta:running"), spent("okta:unheard"), spent("okta:stored")),
        (Some(0), Some(95), None)
    );
    // What operators were told of who is not remembered is taken back, and he goes on where he was.
    let told = bank.alerts();
    let of_stored: Vec<AlertState> =
        told.iter().filter(|alert| alert.subject.contains("okta:stored")).map(|alert| alert.state).collect();
    assert_eq!(of_stored, [AlertState::Firing, AlertState::Resolved]);
    let Err(Broke::Refused(refused)) = bank.ask(&caller(&okta, "unheard"), Some(6)).and_then(|last| {
        let refused = bank.ask(&caller(&okta, "unheard"), Some(6));
        drop(last);
        refused
    }) else {
        panic!("one is the last one")
    };
    assert_eq!(refused.spent, Money::nano_usd(95));
    bank.buy(&caller(&okta, "stored"), 5);
    assert!(bank.ask(&caller(&okta, "stored"), Some(1)).is_err(), "all of it is spent");
    drop((running, looking));
}

#[tokio::test]
async fn room_is_made_ahead_and_who_is_gone_is_told_of_no_more() {
    let (bank, okta) = (Bank::open(), issuers("0.0000001"));
    expect(&bank, &okta);
    let running = bank.ask(&caller(&okta, "running"), Some(1)).map_err(|_| ()).expect("it fits");
    bank.buy(&caller(&okta, "stored"), 95);
    hear(&bank, "okta:stored", 95);
    bank.hand.move_to(Tick::ZERO + Duration::from_secs(1));
    let mut number = 0;
    while bank.budgets.seen().len() < CROWDED {
        for _ in 0..CROWDED / 8 {
            bank.buy(&caller(&okta, &format!("{number:06}")), 1);
            number += 1;
        }
    }
    let before = bank.budgets.shelves.all();
    let room = &bank.budgets.shelves.room;
    room.make_ahead(bank.budgets.shelves.issued(), &bank.live.alerts).await;
    let seen = bank.budgets.seen();
    assert_eq!(seen.len(), before.len() - MOST / 8);
    let is_there = |name: &str| seen.iter().any(|seen| &*seen.name == name);
    assert_eq!((is_there("okta:running"), is_there("okta:stored")), (true, false));
    // Whoever had found him before that says nothing more of him.
    let stored = before.iter().find(|held| &*held.name == "okta:stored").expect("he was there");
    stored.books.lock().tell(stored, &bank.live.alerts);
    let told: Vec<AlertState> = bank.alerts().iter().map(|alert| alert.state).collect();
    assert_eq!(told, [AlertState::Firing, AlertState::Resolved]);
    // Nobody goes while there is room.
    while bank.budgets.seen().len() >= CROWDED {
        room.make_ahead(bank.budgets.shelves.issued(), &bank.live.alerts).await;
    }
    let left = bank.budgets.seen().len();
    room.make_ahead(bank.budgets.shelves.issued(), &bank.live.alerts).await;
    assert_eq!(bank.budgets.seen().len(), left);
    drop(running);
}
