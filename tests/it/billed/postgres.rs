//! What befalls a PostgreSQL.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Trial;
use super::books::Books;
use super::callers::Answered;
use super::line::{Line, Way};
use crate::process::wait_for;
use crate::stored::postgres::Postgres;

fn is_said(trial: &Trial, what: &str) {
    let status = trial.status();
    assert!(status["store"]["here"] == false && status["store"]["why"].is_string(), "{what}: {status}");
    assert!(trial.ready().contains("degraded: the store is away"), "{what}");
}

/// Until something had to go to disk.
fn spools(trial: &Trial) {
    let spooled = wait_for(30, || {
        let ledger = &trial.status()["ledger"];
        (ledger["spooled_batches"].as_u64() > Some(0) && ledger["lag_seconds"].as_f64() > Some(0.0))
            .then_some(())
    });
    assert!(spooled.is_some(), "nothing is kept on disk: {}", trial.status()["ledger"]);
    assert!(trial.metric("mainstay_ledger_lag_seconds") > 0.0);
}

#[test]
fn whatever_befalls_a_postgres_its_rows_are_what_was_billed() {
    let Some(mut server) = Postgres::start("a ledger in a PostgreSQL that has troubles") else { return };
    let line = Line::to(server.address);
    let url = server.url().replace(&server.address.to_string(), &line.address.to_string());
    let mut trial = Trial::start(&format!("store: {{url: '{url}'}}\n"));
    trial.comes_to("mainstay_store_up", 1.0);
    trial.under_load(150, "well", |_| {});
    trial.is_booked(&Books::Postgres(&server), "well");

    trial.under_load(150, "black hole", |trial| {
        line.set(Way::Hole);
        trial.comes_to("mainstay_store_up", 0.0);
        is_said(trial, "black hole");
        spools(trial);
    });
    // It comes back slow, and has to be made acquaintance with: its rows get there all the same.
    line.set(Way::Slow(Duration::from_millis(400)));
    trial.is_booked(&Books::Postgres(&server), "black hole");
    trial.under_load(150, "slow", spools);
    trial.is_booked(&Books::Postgres(&server), "slow");
    line.set(Way::Open);

    let before = line.lost();
    trial.under_load(150, "answers to COMMIT lost", |_| line.set(Way::LosesCommits));
    let lost = wait_for(30, || (line.lost() >= before + 2).then_some(()));
    assert!(lost.is_some(), "no COMMIT was lost");
    line.set(Way::Open);
    trial.is_booked(&Books::Postgres(&server), "answers to COMMIT lost");

    let killed = &mut server;
    trial.under_load(200, "killed", |trial| {
        sleep(Duration::from_millis(150));
        killed.kill();
        trial.comes_to("mainstay_store_up", 0.0);
        is_said(trial, "killed");
        spools(trial);
        killed.run();
    });
    trial.is_booked(&Books::Postgres(&server), "killed");
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a kill costs what happened within a second of real time before it"
)]
fn a_gateway_that_is_killed_while_its_store_is_away_loses_a_second_at_most_and_books_nothing_twice() {
    let Some(server) = Postgres::start("a gateway that is killed") else { return };
    let line = Line::to(server.address);
    let url = server.url().replace(&server.address.to_string(), &line.address.to_string());
    let mut trial = Trial::start(&format!("store: {{url: '{url}'}}\n"));
    trial.comes_to("mainstay_store_up", 1.0);
    trial.under_load(40, "before", |_| {});
    line.set(Way::Hole);
    let mut answered = Vec::new();
    for _ in 0..2 {
        let id = trial.gateway.id().to_string();
        let (heard, _, at) = trial.crowd(0, |trial| {
            let spooled = || (trial.metric("mainstay_ledger_spool_batches") >= 12.0).then_some(());
            assert!(wait_for(60, spooled).is_some(), "{}", trial.gateway.said());
            assert!(Command::new("kill").args(["-KILL", &id]).status().unwrap().success());
            Instant::now()
        });
        trial.next = heard.iter().map(|one| one.number + 1).max().unwrap_or(trial.next);
        answered.extend(heard.into_iter().map(|one| (one, at)));
        trial.gateway.again();
    }
    line.set(Way::Open);
    trial.settles();
    let booked = Books::Postgres(&server).numbers();
    let known: BTreeSet<u32> = trial.answered.iter().map(|answer| answer.number).collect();
    assert!(known.is_subset(&booked), "what was written before");
    // Who was answered more than a second before the kill is there, and nobody who never asked.
    let (mut lost, mut furthest) = (0, Duration::ZERO);
    for (one, killed) in answered.iter().filter(|(one, _)| one.status == 200 && !booked.contains(&one.number))
    {
        // What was on its way when it was killed may be read a moment later.
        let before = killed.checked_duration_since(one.at).unwrap_or_default();
        (lost, furthest) = (lost + 1, furthest.max(before));
    }
    println!("killed twice: {lost} of {} lost, the first {furthest:?} before", answered.len());
    assert!(furthest <= Duration::from_secs(1), "{lost} lost, {furthest:?} before the kill");
    let there = answered.into_iter().map(|(one, _)| one).filter(|one| booked.contains(&one.number));
    let there: Vec<Answered> = there.collect();
    assert!(there.len() > 50, "{}", there.len());
    trial.keep(there);
    super::is_bounded(&Books::Postgres(&server).equal(
        &trial.office.bills(),
        &trial.answered,
        "killed twice",
    ));
}
