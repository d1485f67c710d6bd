//! Several budgets at once, what is told of them, and what the store says.

mod issued;
mod together;

use super::*;
use crate::algo::tick::Tick;
use crate::config::{Level, Member, Percent, Reach};
use crate::state::clock::Hand;
use crate::vocab::{Alert, AlertState};

fn budget(per: Per, limit: u64) -> Budget {
    Budget {
        per,
        starts: None,
        limit: Money::nano_usd(limit),
        soft: vec![Percent::parse("80%").expect("a share")],
        exceeded: Exceeded::Refuse,
        unpriced: Unpriced::Allow,
    }
}

fn member(level: Level, name: &str, budgets: &[Budget]) -> Member {
    Member {
        level,
        name: name.into(),
        tags: Vec::new(),
        reach: Reach::default(),
        limits: crate::algo::limit::Allowance::default(),
        budgets: budgets.into(),
        max_cost: None,
        explain: false,
        zero_log: false,
        most: None,
        expires: None,
    }
}

/// The key `name` of a team.
fn key(name: &str, own: &[Budget], team: &[Budget]) -> Lineage {
    let team = Lineage::below(None, member(Level::Team, "blue", team));
    Lineage::below(Some(&team), member(Level::Key, name, own))
}

struct Bank {
    budgets: Arc<Budgets>,
    live: Arc<Live>,
    hand: Hand,
}

impl Bank {
    fn open() -> Self {
        let hand = Hand::default();
        let live = Arc::new(Live::moved_by(&hand, 3));
        Self { budgets: Budgets::new(&live), live, hand }
    }

    fn ask(&self, line: &Lineage, most: Option<u64>) -> Result<Reserved, Broke> {
        self.ask_by(line, most, "m")
    }

    fn ask_by(&self, line: &Lineage, most: Option<u64>, serving: &str) -> Result<Reserved, Broke> {
        let subjects = self.budgets.members(line);
        self.budgets.alone(subjects, most.map(Money::nano_usd), serving, 1)
    }

    /// A request that costs so much.
    fn buy(&self, line: &Lineage, cost: u64) {
        let reserved = self.ask(line, Some(cost)).map_err(|_| ()).expect("something is left");
        reserved.spend(Some(Money::nano_usd(cost)));
    }

    /// Who has spent how much and reserved how much.
    fn stand(&self) -> Vec<String> {
        let said = |seen: &Seen| {
            let (spent, reserved) = (seen.spent.as_nano_usd(), seen.reserved.as_nano_usd());
            format!("{} {} {spent} {reserved}", seen.name, seen.budget.per.name())
        };
        self.budgets.seen().iter().map(said).collect()
    }

    fn alerts(&self) -> Vec<Alert> {
        let mut alerts = Vec::new();
        let mut next = Box::pin(self.live.alerts.next());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        while let std::task::Poll::Ready(alert) = next.as_mut().poll(&mut context) {
            alerts.push(alert);
            next = Box::pin(self.live.alerts.next());
        }
        alerts
    }

    fn wanted(&self, name: &str, sum: u64) {
        for wanted in self.budgets.wanted() {
            self.budgets.hear(wanted, HashMap::from([(name.into(), Money::nano_usd(sum))]));
        }
    }
}

#[test]
fn who_is_refused_by_one_has_reserved_nothing_of_the_others() {
    let bank = Bank::open();
    let line = key("shop", &[budget(Per::Day, 100)], &[budget(Per::Month, 30)]);
    bank.buy(&line, 30);
    let Err(Broke::Refused(refused)) = bank.ask(&line, Some(1)) else { panic!("the team has nothing left") };
    assert_eq!((refused.holder, &*refused.name), (Holder::Member(Level::Team), "blue"));
    assert_eq!(
        (refused.spent, refused.limit, refused.why),
        (Money::nano_usd(30), Money::nano_usd(30), Why::Spent)
    );
    assert_eq!(bank.stand(), ["blue month 30 0", "shop day 30 0"]);
}

#[test]
fn one_request_that_does_not_fit_is_let_in_while_anything_is_left() {
    let bank = Bank::open();
    let line = key("shop", &[budget(Per::Day, 10)], &[]);
    let within = bank.ask(&line, Some(8)).map_err(|_| ()).expect("it fits");
    let last = bank.ask(&line, Some(8)).map_err(|_| ()).expect("the last one");
    let why = |amount| match bank.ask(&line, Some(amount)) {
        Err(Broke::Refused(refused)) => Some(refused.why),
        Ok(_) | Err(Broke::Downgraded(..)) => None,
    };
    assert_eq!(why(1), Some(Why::Reserved), "nothing is left");
    assert_eq!(bank.stand(), ["shop day 0 16"]);
    within.spend(Some(Money::nano_usd(3)));
    drop(within);
    assert_eq!(why(1), Some(Why::Reserved), "3 are spent and 8 reserved");
    drop(last);
    assert_eq!(bank.stand(), ["shop day 3 0"]);
    bank.buy(&line, 7);
    assert_eq!(why(0), Some(Why::Spent), "all of it is spent, to the last nano-dollar");
}

#[test]
fn what_is_corrected_in_the_store_is_given_back() {
    let bank = Bank::open();
    let line = key("shop", &[budget(Per::Day, 30)], &[]);
    bank.buy(&line, 12);
    // Another replica's 20 are in it.
    bank.wanted("shop", 32);
    assert_eq!(bank.stand(), ["shop day 32 0"]);
    assert!(bank.ask(&line, Some(1)).is_err());
    // All of it at an eighth of the price, and then two more that the store does not have yet.
    bank.wanted("shop", 4);
    assert_eq!(bank.stand(), ["shop day 4 0"]);
    bank.buy(&line, 2);
    bank.wanted("shop", 4);
    assert_eq!(bank.stand(), ["shop day 6 0"], "nothing counts twice, and nothing is forgotten");
    bank.wanted("shop", 6);
    assert_eq!(bank.stand(), ["shop day 6 0"]);
}

#[test]
fn two_budgets_of_one_window_share_what_is_spent() {
    let bank = Bank::open();
    let cheap = Budget { exceeded: Exceeded::Downgrade("small".into()), ..budget(Per::Day, 10) };
    let line = key("shop", &[cheap, budget(Per::Day, 15)], &[]);
    bank.buy(&line, 10);
    let Err(Broke::Downgraded(to, _)) = bank.ask(&line, Some(1)) else { panic!("10 are spent") };
    assert_eq!(&*to, "small");
    let reserved = bank.ask_by(&line, Some(5), "small").map_err(|_| ()).expect("there it is let in");
    reserved.spend(Some(Money::nano_usd(5)));
    drop(reserved);
    let Err(Broke::Refused(refused)) = bank.ask_by(&line, Some(1), "small") else { panic!("15 are spent") };
    assert_eq!(refused.limit, Money::nano_usd(15));
    assert_eq!(bank.stand(), ["shop day 15 0", "shop day 15 0"]);
}

#[test]
fn a_request_of_unknown_cost_passes_unless_somebody_will_not_have_it() {
    let bank = Bank::open();
    let line = key("shop", &[budget(Per::Day, 10)], &[]);
    let reserved = bank.ask(&line, None).map_err(|_| ()).expect("it is allowed");
    reserved.spend(None);
    drop(reserved);
    assert!(bank.live.metrics.render().contains("mainstay_budget_unpriced_total 1"));
    let strict = Budget { unpriced: Unpriced::Refuse, ..budget(Per::Day, 10) };
    let line = key("desk", &[strict], &[]);
    let Err(Broke::Refused(refused)) = bank.ask(&line, None) else { panic!("it is refused") };
    assert_eq!(refused.why, Why::Unpriced);
    bank.budgets.count(&refused);
    let series = r#"mainstay_budget_refusals_total{level="key",per="day",reason="unpriced"} 1"#;
    assert!(bank.live.metrics.render().contains(series));
}

#[test]
fn a_threshold_is_told_once_in_a_window_and_taken_back_after_it() {
    let bank = Bank::open();
    let line = key("shop", &[budget(Per::Day, 10)], &[]);
    bank.buy(&line, 7);
    assert_eq!(bank.alerts(), []);
    bank.buy(&line, 1);
    bank.buy(&line, 1);
    let told = bank.alerts();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(&*told[0].subject, "key shop, day, 80% of $0.00000001");
    assert_eq!(told[0].state, AlertState::Firing);
    assert!(
        told[0].text.starts_with("key `shop` has spent $0.000000008 of $0.00000001 this day"),
        "{told:?}"
    );
    let ends = bank.budgets.seen()[0].ends.expect("a day ends");
    let wait = Duration::from_secs(ends).saturating_sub(bank.live.clock.unix_now());
    bank.hand.move_to(Tick::ZERO + wait);
    bank.budgets.turn();
    let told = bank.alerts();
    assert_eq!((told.len(), told[0].state), (1, AlertState::Resolved), "{told:?}");
    assert_eq!(bank.stand(), ["shop day 0 0"]);
    bank.buy(&line, 9);
    assert_eq!(bank.alerts().len(), 1, "another day");
}

#[test]
fn what_was_told_of_a_budget_is_taken_back_when_it_is_raised_or_gone() {
    let bank = Bank::open();
    let told = || {
        let alerts = bank.alerts();
        alerts.iter().map(|alert| (alert.subject.to_string(), alert.state)).collect::<Vec<_>>()
    };
    let expect = |line: &Lineage| {
        bank.budgets.expect(std::slice::from_ref(line), std::iter::empty(), std::iter::empty());
    };
    bank.buy(&key("shop", &[budget(Per::Day, 10)], &[]), 9);
    assert_eq!(told(), [("key shop, day, 80% of $0.00000001".to_owned(), AlertState::Firing)]);
    expect(&key("shop", &[budget(Per::Day, 10)], &[]));
    assert_eq!(told(), [], "it is the same one");
    expect(&key("shop", &[budget(Per::Day, 11)], &[]));
    assert_eq!(
        told(),
        [
            ("key shop, day, 80% of $0.00000001".to_owned(), AlertState::Resolved),
            ("key shop, day, 80% of $0.000000011".to_owned(), AlertState::Firing),
        ]
    );
    expect(&key("shop", &[], &[]));
    assert_eq!(told(), [("key shop, day, 80% of $0.000000011".to_owned(), AlertState::Resolved)]);
    expect(&key("shop", &[], &[]));
    assert_eq!(told(), []);
}

#[test]
fn a_budget_that_is_not_in_force_yet_refuses_nothing_that_has_no_price() {
    let bank = Bank::open();
    let starts = bank.live.clock.unix_now() + Duration::from_mins(1);
    let strict = Budget { starts: Some(starts), unpriced: Unpriced::Refuse, ..budget(Per::Total, 5) };
    let line = key("shop", &[strict], &[]);
    let unpriced = || bank.budgets.unpriced(&bank.budgets.members(&line));
    assert_eq!(unpriced(), Unpriced::Allow);
    bank.hand.move_to(Tick::ZERO + Duration::from_mins(1));
    assert_eq!(unpriced(), Unpriced::Refuse);
}

#[test]
fn what_the_store_has_of_others_counts_and_our_own_does_not_count_twice() {
    let bank = Bank::open();
    let line = key("shop", &[budget(Per::Month, 100)], &[]);
    bank.budgets.expect(std::slice::from_ref(&line), std::iter::empty(), std::iter::empty());
    // Before this process began.
    bank.wanted("shop", 40);
    assert_eq!(bank.stand(), ["shop month 40 0"]);
    bank.buy(&line, 10);
    assert_eq!(bank.stand(), ["shop month 50 0"]);
    // The store has all of it now, and 5 of another replica's.
    bank.wanted("shop", 55);
    assert_eq!(bank.stand(), ["shop month 55 0"]);
    bank.buy(&line, 10);
    bank.wanted("shop", 55);
    assert_eq!(bank.stand(), ["shop month 65 0"], "a sum that is late takes nothing away");
    assert!(bank.ask(&line, Some(35)).is_ok());
    // Whoever is met later begins with what was said of him.
    let late = key("late", &[budget(Per::Month, 100)], &[]);
    let wanted = bank.budgets.wanted();
    bank.budgets.hear(wanted[0], HashMap::from([("late".into(), Money::nano_usd(99))]));
    bank.buy(&late, 1);
    assert!(bank.ask(&late, Some(1)).is_err());
    // Who has no budget any more is not shown.
    bank.budgets.expect(std::slice::from_ref(&line), std::iter::empty(), std::iter::empty());
    assert_eq!(bank.stand(), ["shop month 65 0"]);
}

#[test]
fn a_budget_that_begins_later_lets_everything_pass_until_then() {
    let bank = Bank::open();
    let starts = bank.live.clock.unix_now() + Duration::from_mins(1);
    let line = key("shop", &[Budget { starts: Some(starts), ..budget(Per::Total, 5) }], &[]);
    bank.buy(&line, 50);
    assert_eq!(bank.stand(), ["shop total 0 0"]);
    bank.hand.move_to(Tick::ZERO + Duration::from_mins(1));
    bank.buy(&line, 5);
    assert!(bank.ask(&line, Some(1)).is_err());
}
