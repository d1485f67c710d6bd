//! What befalls SQLite's file and the disk that it is on.

use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use super::Trial;
use super::books::Books;
use crate::process::{program, skip, wait_for};

const STORE: &str = "store: {url: 'sqlite:ledger.db'}\n";

fn file(trial: &Trial) -> PathBuf {
    trial.gateway.directory().join("ledger.db")
}

/// Until some of them wait somewhere.
fn is_behind(trial: &Trial, metric: &str) {
    let behind = wait_for(30, || (trial.metric(metric) > 0.0).then_some(()));
    assert!(behind.is_some(), "{metric}\n{}", trial.gateway.said());
}

#[test]
fn a_file_that_somebody_holds_for_ten_seconds_gets_all_of_its_rows() {
    let mut trial = Trial::start(STORE);
    let file = file(&trial);
    trial.under_load(150, "well", |_| {});
    trial.is_booked(&Books::Sqlite(&file), "well");
    let holder = rusqlite::Connection::open(&file).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    trial.under_load(250, "held", |trial| {
        is_behind(trial, "mainstay_ledger_spool_batches");
        trial.comes_to("mainstay_store_up", 0.0);
        assert!(trial.status()["store"]["why"].to_string().contains("locked"), "{}", trial.status()["store"]);
        assert!(trial.ready().contains("degraded: the store is away"));
        sleep(Duration::from_secs(9));
    });
    holder.execute_batch("ROLLBACK").unwrap();
    drop(holder);
    trial.is_booked(&Books::Sqlite(&file), "held");
}

#[test]
fn a_file_that_is_removed_is_missed_and_taken_back_with_all_that_came_meanwhile() {
    let mut trial = Trial::start(STORE);
    let file = file(&trial);
    let aside = trial.gateway.directory().join("aside");
    std::fs::create_dir(&aside).unwrap();
    trial.under_load(60, "well", |_| {});
    trial.under_load(150, "removed", |trial| {
        for suffix in ["", "-wal", "-shm"] {
            let name = format!("ledger.db{suffix}");
            std::fs::rename(trial.gateway.directory().join(&name), aside.join(&name)).unwrap();
        }
        trial.comes_to("mainstay_store_up", 0.0);
        is_behind(trial, "mainstay_ledger_spool_batches");
    });
    assert!(!file.exists(), "nobody makes a new one in its place");
    let why = trial.status()["store"]["why"].to_string();
    assert!(why.contains("was removed while it was open; put it back"), "{why}");
    for suffix in ["-shm", "-wal", ""] {
        let name = format!("ledger.db{suffix}");
        std::fs::rename(aside.join(&name), trial.gateway.directory().join(&name)).unwrap();
    }
    trial.is_booked(&Books::Sqlite(&file), "put back");

    // From a backup: another file with what there is so far.
    let backup = aside.join("backup.db");
    let open = rusqlite::Connection::open(&file).unwrap();
    open.execute("VACUUM INTO ?1", [backup.to_str().unwrap()]).unwrap();
    drop(open);
    std::fs::remove_file(&file).unwrap();
    trial.under_load(100, "removed for good", |trial| trial.comes_to("mainstay_store_up", 0.0));
    std::fs::rename(&backup, &file).unwrap();
    trial.is_booked(&Books::Sqlite(&file), "restored from a backup");
    trial.under_load(60, "restored", |_| {});
    trial.is_booked(&Books::Sqlite(&file), "restored");
    assert!(trial.gateway.log().contains("was replaced by another one"), "{}", trial.gateway.said());
}

#[test]
fn a_full_disk_loses_nothing_while_memory_can_hold_it() {
    let Some(prlimit) = program("prlimit") else {
        return skip("a full disk", "prlimit is not installed (package util-linux)");
    };
    let mut trial = Trial::start(STORE);
    let file = file(&trial);
    let limit = |trial: &Trial, most: &str| {
        let mut command = Command::new(&prlimit);
        let id = trial.gateway.id().to_string();
        assert!(
            command.args(["--pid", &id, &format!("--fsize={most}:unlimited")]).status().unwrap().success()
        );
    };
    trial.under_load(60, "well", |_| {});
    trial.under_load(200, "full disk", |trial| {
        // No file can grow: neither the database nor the spool.
        limit(trial, "0");
        trial.comes_to("mainstay_ledger_spool_failed", 1.0);
        is_behind(trial, "mainstay_ledger_queue");
        // On a loaded machine the disk is needed, and fails, before the store has said that it does.
        trial.comes_to("mainstay_store_up", 0.0);
        assert!(trial.metric("mainstay_store_errors_total") > 0.0);
        assert!(trial.ready().contains("neither the store nor the disk takes the ledger's rows"));
        assert_eq!(trial.status()["ledger"]["disk"], "fails");
    });
    limit(&trial, "unlimited");
    trial.is_booked(&Books::Sqlite(&file), "a full disk");
    trial.under_load(60, "room again", |_| {});
    trial.is_booked(&Books::Sqlite(&file), "room again");
}
