//! What befalls a Redis that counts limits while the ledger is kept.

use std::time::Duration;

use super::Trial;
use super::books::Books;
use super::line::{Line, Way};
use crate::process::wait_for;
use crate::replicas::redis::Redis;

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
    for (what, way) in [("black hole", Way::Hole), ("slow", Way::Slow(Duration::from_millis(100)))] {
        trial.under_load(120, what, |trial| {
            line.set(way);
            trial.comes_to("mainstay_shared_connected", 0.0);
            is_said(trial, what);
        });
        line.set(Way::Open);
        trial.comes_to("mainstay_shared_connected", 1.0);
    }
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
}

fn is_said(trial: &Trial, what: &str) {
    let status = trial.status();
    assert!(
        status["shared"]["connected"] == false && status["shared"]["why"].is_string(),
        "{what}: {status}"
    );
    assert!(trial.ready().contains("degraded: Redis is away"), "{what}");
}
