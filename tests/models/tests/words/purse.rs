//! L-05: `route::purse`, a retry that is paid from two budgets. By loom: two locks, never held together.

use std::sync::Arc;

use mainstay_models::algo::budget::{Budget, Settings};
use mainstay_models::route::purse;
use mainstay_models::sync::Mutex;

use super::{Work, at, explore, together};

fn budget(retries: f64) -> Arc<Mutex<Budget>> {
    let settings = Settings { ratio: 0.0, reserve_per_sec: retries / 10.0, ..Settings::default() };
    Arc::new(Mutex::new(Budget::new(settings)))
}

fn pays(own: &Arc<Mutex<Budget>>, everybodys: &Arc<Mutex<Budget>>) -> Work<u32> {
    let (own, everybodys) = (Arc::clone(own), Arc::clone(everybodys));
    Box::new(move || u32::from(purse::pay(&own, &everybodys, at(1))))
}

#[test]
fn l05_three_at_once_spend_not_one_more_than_there_is() {
    explore(&[2], || {
        let (own, everybodys) = (budget(2.0), budget(9.0));
        let works = [pays(&own, &everybodys), pays(&own, &everybodys), pays(&own, &everybodys)];
        let granted: u32 = together(works).iter().sum();
        assert_eq!((own.lock().balance(at(1)), everybodys.lock().balance(at(1))), (0.0, 7.0));
        granted
    });
}

#[test]
fn l05_routes_that_pay_at_once_share_the_common_budget_and_keep_what_they_did_not_get() {
    explore(&[1], || {
        let (one, other, everybodys) = (budget(2.0), budget(2.0), budget(1.0));
        let works = [pays(&one, &everybodys), pays(&other, &everybodys), pays(&one, &everybodys)];
        let granted = together(works);
        let left = [&one, &other, &everybodys].map(|budget| budget.lock().balance(at(1)));
        let of_one = f64::from(granted[0] + granted[2]);
        assert_eq!(left, [2.0 - of_one, 2.0 - f64::from(granted[1]), 0.0]);
        granted.iter().sum::<u32>()
    });
}

#[test]
fn l05_what_is_given_back_meanwhile_is_spent_once() {
    explore(&[0, 1], || {
        let (own, everybodys) = (budget(1.0), budget(1.0));
        assert!(purse::pay(&own, &everybodys, at(1)));
        let (given, to) = (Arc::clone(&own), Arc::clone(&everybodys));
        let [granted, _] = together([
            pays(&own, &everybodys),
            Box::new(move || {
                purse::refund(&given, &to, at(1));
                0
            }),
        ]);
        let left = f64::from(1 - granted);
        assert_eq!((own.lock().balance(at(1)), everybodys.lock().balance(at(1))), (left, left));
        granted
    });
}
