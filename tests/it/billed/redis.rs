//! What befalls a Redis that counts limits and budgets while the ledger is kept, and a spent budget has another route
//! serve.

use std::time::Duration;

use super::books::Books;
use super::line::{Line, Way};
use super::{DEAREST, SCARCE, Trial};
use crate::process::wait_for;
use crate::replicas::redis::{Redis, Reply};

#[test]
fn whatever_befalls_redis_nobody_waits_for_it_and_all_is_booked_as_billed() {
    let Some(mut redis) = Redis::start("limits and a ledger while Redis has troubles") else { return };
    let line = Line::to(redis.address);
    let more = "store: {url: 'sqlite:ledger.db'}\n".to_owned();
    let mut trial = Trial::limited(&more, &line.address.to_string());
    let file = trial.gateway.directory().join("ledger.db");
    trial.comes_to("mainstay_shared_connected", 1.0);
    trial.under_load(150, "well", |_| {});
    trial.is_booked(&Books::Sqlite(&file), "well");
    let before = trial.metric("mainstay_limits_alone_total");
    // So slow that it is not too late: what budgets and limits ask is one after the other, and within one time.
    line.set(Way::Slow(Duration::from_millis(15)));
    trial.under_load(120, "slow, not dead", |_| {});
    line.set(Way::Open);
    trial.comes_to("mainstay_shared_connected", 1.0);
    trial.is_booked(&Books::Sqlite(&file), "slow, not dead");
    for (what, way) in [("black hole", Way::Hole), ("slow", Way::Slow(Duration::from_millis(600)))] {
        trial.under_load(120, what, |trial| {
            line.set(way);
            trial.comes_to("mainstay_shared_connected", 0.0);
            is_said(trial, what);
        });
        line.set(Way::Open);
        trial.comes_to("mainstay_shared_connected", 1.0);
    }
    trial.under_load(120, "full", |trial| {
        redis.say("CONFIG SET maxmemory 1");
        let is_said = || trial.ready().contains("degraded: Redis refuses").then_some(());
        assert!(wait_for(30, is_said).is_some(), "{}", trial.ready());
        redis.say("CONFIG SET maxmemory 0");
    });
    trial.under_load(200, "killed", |trial| {
        redis.kill();
        trial.comes_to("mainstay_shared_connected", 0.0);
        is_said(trial, "killed");
        // With nothing of what it knew.
        redis.run();
        trial.comes_to("mainstay_shared_connected", 1.0);
    });
    let alone = trial.metric("mainstay_limits_alone_total");
    assert!(alone > before, "some were counted by this one alone");
    trial.is_booked(&Books::Sqlite(&file), "Redis in trouble");
    // It is told again what it has lost: all that was granted within the window.
    let wanted = trial.answered.len() as u64;
    let used = || {
        redis.number("it:limits:1:route:plain:rpd", "sum")
            + redis.number("it:limits:1:route:raced:rpd", "sum")
    };
    let told = wait_for(30, || (used() == wanted).then_some(()));
    assert!(told.is_some(), "{} of {wanted}", used());
    // One route's budget is spent, and overrun by less than a request; the other route served the rest.
    let costs = Books::Sqlite(&file).costs();
    assert!((SCARCE..SCARCE + DEAREST).contains(&costs["plain"]), "{costs:?}");
    assert!(costs["spare"] > SCARCE, "{costs:?}");
    assert!(trial.metric("mainstay_budget_downgrades_total") > 0.0);
    assert!(trial.metric("mainstay_budgets_alone_total") > 0.0, "some were let in by this one alone");
    for (route, cost) in &costs {
        let said = || match redis.say(&format!("HVALS it:budgets:1:route:{route}:total:0")) {
            Reply::List(said) => said.iter().map(own).sum::<u64>(),
            other => panic!("{other:?}"),
        };
        let told = wait_for(30, || (said() == *cost).then_some(()));
        assert!(told.is_some(), "{route}: {} and not {cost}", said());
    }
}

/// What a replica says to have spent.
fn own(said: &Reply) -> u64 {
    let Reply::Text(said) = said else { panic!("{said:?}") };
    let said = String::from_utf8_lossy(said);
    said.split(':').nth(1).and_then(|own| own.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

fn is_said(trial: &Trial, what: &str) {
    let status = trial.status();
    assert!(
        status["shared"]["connected"] == false && status["shared"]["why"].is_string(),
        "{what}: {status}"
    );
    assert!(trial.ready().contains("degraded: Redis is away"), "{what}");
}
