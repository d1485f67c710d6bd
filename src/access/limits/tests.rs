//! Several limits at once, many requests at once, and how it is all given back.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use super::*;
use crate::algo::limit::Spent;
use crate::config::Reach;

fn member(level: Level, name: &str, limits: Allowance) -> Member {
    Member {
        level,
        name: name.into(),
        tags: Vec::new(),
        reach: Reach::default(),
        limits,
        budgets: Arc::default(),
        max_cost: None,
        explain: false,
        zero_log: false,
        most: None,
        expires: None,
    }
}

/// The key `name` of a team.
fn key(name: &str, own: Allowance, team: Allowance) -> Lineage {
    let team = Lineage::below(None, member(Level::Team, "growth", team));
    Lineage::below(Some(&team), member(Level::Key, name, own))
}

const NONE: Allowance = Allowance { rpm: None, rpd: None, tpm: None, tpd: None, concurrency: None };

fn rpm(limit: u64) -> Allowance {
    Allowance { rpm: Some(limit), ..NONE }
}

struct Desk(Arc<Limiter>);

impl Desk {
    fn open() -> Self {
        Self(Limiter::new(&Arc::new(Live::seeded(3))))
    }

    async fn ask(&self, line: &Lineage, tokens: u64) -> Result<Booking, Box<Refused>> {
        let subjects = self.0.members(line);
        self.0.reserve(subjects, tokens, &mut Waited::default()).await.map(|(booking, _)| booking)
    }

    fn used(&self) -> Vec<String> {
        let row = |seen: &Seen, row: &Row| format!("{} {} {}", seen.name, row.unit.name(), row.used);
        self.0.seen().iter().flat_map(|seen| seen.rows.iter().map(|one| row(seen, one))).collect()
    }
}

fn spend(mut booking: Booking, spent: Spent) {
    booking.spend(spent);
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_by_one_has_taken_nothing_of_the_others() {
    let desk = Desk::open();
    let [shop, desk_key] = ["shop", "desk"].map(|name| key(name, rpm(5), rpm(2)));
    for line in [&shop, &desk_key] {
        spend(desk.ask(line, 0).await.map_err(|_| ()).expect("both may"), Spent::Tokens(0));
    }
    let refused = desk.ask(&shop, 0).await.err().expect("the team has had its two");
    assert_eq!((refused.holder, &*refused.name, refused.limit), (Holder::Member(Level::Team), "growth", 2));
    assert_eq!(desk.used(), ["growth rpm 2", "desk rpm 1", "shop rpm 1"]);
    let Until::In(wait) = refused.until else { panic!("{refused:?}") };
    tokio::time::sleep(wait.saturating_sub(Duration::from_millis(1))).await;
    assert!(desk.ask(&shop, 0).await.is_err(), "a moment too early");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(desk.ask(&shop, 0).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_route_limits_those_without_a_key_too() {
    let desk = Desk::open();
    let subjects = || desk.0.subjects(&Caller::default(), (&"m".into(), rpm(1)));
    let booking =
        desk.0.reserve(subjects(), 0, &mut Waited::default()).await.map_err(|_| ()).expect("the first one").0;
    spend(booking, Spent::Tokens(0));
    let refused = desk.0.reserve(subjects(), 0, &mut Waited::default()).await.err().expect("the second one");
    assert_eq!((refused.holder, &*refused.name), (Holder::Route, "m"));
    assert!(desk.0.subjects(&Caller::default(), (&"m".into(), NONE)).is_empty());
}

#[tokio::test(start_paused = true)]
async fn tokens_are_settled_to_what_they_were() {
    let desk = Desk::open();
    let limits = Allowance { tpm: Some(1000), rpm: Some(100), ..NONE };
    let line = key("shop", limits, NONE);
    let [one, two] = [desk.ask(&line, 400).await, desk.ask(&line, 600).await];
    assert_eq!(desk.used(), ["shop rpm 2", "shop tpm 1000"]);
    let refused = desk.ask(&line, 1).await.err().expect("all is taken");
    assert_eq!((refused.unit, desk.used().len()), (Unit::Tpm, 2));
    spend(one.map_err(|_| ()).expect("it was granted"), Spent::Tokens(50));
    assert_eq!(desk.used(), ["shop rpm 2", "shop tpm 650"]);
    // It never got to anybody.
    drop(two);
    assert_eq!(desk.used(), ["shop rpm 1", "shop tpm 50"]);
    let refused = desk.ask(&line, 1001).await.err().expect("more than there ever is");
    assert_eq!(refused.until, Until::Never);
}

/// No reload, and no other limit, makes anybody forget.
#[tokio::test(start_paused = true)]
async fn what_was_used_outlives_the_limits() {
    let desk = Desk::open();
    let booking = desk.ask(&key("shop", rpm(5), NONE), 0).await;
    spend(booking.map_err(|_| ()).expect("the first one"), Spent::Tokens(0));
    assert!(desk.ask(&key("shop", rpm(1), NONE), 0).await.is_err());
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(desk.ask(&key("shop", rpm(1), NONE), 0).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_at_once_get_what_there_is_and_leave_nothing_behind() {
    let desk = Arc::new(Desk::open());
    let now = Arc::new(AtomicU32::new(0));
    let most = Arc::new(AtomicU32::new(0));
    let limits = Allowance { concurrency: Some(7), ..rpm(150) };
    let callers = (0..200).map(|number| {
        let (desk, now, most) = (Arc::clone(&desk), Arc::clone(&now), Arc::clone(&most));
        tokio::spawn(async move {
            let line = key(if number % 2 == 0 { "shop" } else { "desk" }, NONE, limits);
            let mut granted = 0;
            for _ in 0..50 {
                let Ok(booking) = desk.ask(&line, 0).await else { continue };
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, SeqCst);
                spend(booking, Spent::Tokens(0));
                granted += 1;
            }
            granted
        })
    });
    let callers: Vec<_> = callers.collect();
    let mut granted = 0;
    for caller in callers {
        granted += caller.await.expect("a caller does not panic");
    }
    assert!((1..=7).contains(&most.load(SeqCst)), "{most:?}");
    assert_eq!(granted, 150);
    assert_eq!(desk.used(), ["growth rpm 150", "growth concurrency 0"]);
}

#[tokio::test(start_paused = true)]
async fn names_that_come_and_go_are_forgotten() {
    let desk = Desk::open();
    for number in 0..20_000 {
        let booking = desk.ask(&key(&format!("k{number}"), rpm(5), NONE), 0).await;
        spend(booking.map_err(|_| ()).expect("its first one"), Spent::Tokens(0));
        if number % 1000 == 0 {
            tokio::time::sleep(Duration::from_secs(61)).await;
        }
    }
    let known = desk.0.seen().len();
    assert!(known <= 8 * 2048, "{known} are known");
}
