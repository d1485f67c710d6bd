//! What is said of windows to other replicas, and under which names. (What Redis makes of it is shown with a real one.)

use super::super::common::{Beat, Common, What};
use super::*;
use crate::shared::{Link, Purses};
use crate::telemetry::SharedHandles;

fn common(bank: &Bank) -> Arc<Common> {
    let redis = config::Redis {
        tls: false,
        host: "far".into(),
        port: 1,
        database: 0,
        username: None,
        password: None,
        ca_file: None,
        prefix: "x".to_owned(),
        timeout: Duration::from_millis(20),
        poll: Duration::from_secs(1),
        replicas: 1,
    };
    let link = Link::new(redis, SharedHandles::new(&bank.live.metrics));
    Common::new(&bank.budgets, Purses::new(link, 7))
}

#[test]
fn nothing_is_said_anew_under_a_name_that_others_may_have_counted_for_good() {
    let bank = Bank::open();
    let common = common(&bank);
    let line = key("shop", &[budget(Per::Total, 1000)], &[]);
    bank.buy(&line, 100);
    let held = bank.budgets.shelves.all().remove(0);
    let mut books = held.books.lock();
    let windowed = &mut books.purses[0];
    let first = windowed.asks(&held, &common, bank.live.now());
    assert_eq!((first.own, first.known, windowed.is_due(What::News)), (100, 100, true));
    windowed.hear(&first, 5, 0, bank.live.now());
    assert!(!windowed.is_due(What::News));
    // Half a day is nothing; a little more, and the hundred may be among those of processes that are gone.
    bank.hand.move_to(bank.live.now() + Duration::from_hours(12));
    assert_eq!(windowed.asks(&held, &common, bank.live.now()).life, first.life);
    bank.hand.move_to(bank.live.now() + Duration::from_secs(1));
    let second = windowed.asks(&held, &common, bank.live.now());
    assert_ne!(second.life, first.life);
    assert_eq!((second.own, second.known), (0, 105));
    // What they say has it.
    windowed.hear(&second, 105, 0, bank.live.now());
    assert_eq!(windowed.purse.spent(), 105);
    // An answer to what was said under the old name is none to what is said now.
    windowed.hear(&first, 900, 0, bank.live.now());
    assert_eq!(windowed.purse.spent(), 105);
}

#[test]
fn a_bell_that_never_rests_puts_off_no_beat() {
    let mut beat = Beat::new(Tick::ZERO);
    let rings = (0..600).map(|ring| Tick::ZERO + Duration::from_millis(20) * ring);
    let all: Vec<Tick> = rings.filter(|now| beat.rung(*now) == What::All).collect();
    let beats: Vec<Tick> = (1..6).map(|number| Tick::ZERO + Duration::from_secs(2) * number).collect();
    assert_eq!(all, beats, "what is reserved is believed for five seconds");
}

#[test]
fn two_windows_never_have_one_name() {
    let bank = Bank::open();
    let common = common(&bank);
    let lives: Vec<u64> = ["shop", "desk"]
        .iter()
        .flat_map(|name| {
            bank.buy(&key(name, &[budget(Per::Day, 10), budget(Per::Month, 10)], &[]), 1);
            let held =
                bank.budgets.shelves.all().into_iter().find(|held| &&*held.name == name).expect("he is");
            let mut books = held.books.lock();
            books
                .purses
                .iter_mut()
                .map(|windowed| windowed.asks(&held, &common, bank.live.now()).life)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(lives, [1, 2, 3, 4]);
}

#[tokio::test]
async fn of_news_each_is_told_once_and_nobody_else_is_looked_at() {
    let bank = Bank::open();
    assert!(bank.budgets.common.set(common(&bank)).is_ok());
    let common = bank.budgets.common.get().expect("it was set");
    for _ in 0..3 {
        bank.buy(&key("shop", &[budget(Per::Day, 100), budget(Per::Month, 100)], &[]), 1);
    }
    bank.buy(&key("desk", &[budget(Per::Day, 100)], &[]), 1);
    let listed = || common.eager().iter().map(|held| held.name.to_string()).collect::<Vec<_>>();
    assert_eq!(listed(), ["shop", "desk"]);
    // Nobody answers; whoever rings again is told of again, and a beat tells all.
    common.tell(&bank.budgets, What::News).await;
    assert_eq!(listed(), Vec::<String>::new());
    bank.buy(&key("desk", &[budget(Per::Day, 100)], &[]), 1);
    assert_eq!(listed(), ["desk"]);
}
