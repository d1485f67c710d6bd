//! What the keeper writes, what it leaves alone, and how long anybody waits for it.

use std::fs;
use std::future::pending;
use std::path::Path;

use super::super::shutdown::{Drained, drain};
use super::super::testing::{Bench, FILE};
use super::*;

const FAILED: &str = "mainstay_state_file_failed";
const WRITTEN: &str = "mainstay_state_file_written_timestamp_seconds";

fn bench(path: &Path) -> Bench {
    let file = format!("{{state_file: '{}', drain: ", path.display());
    Bench::start(&FILE.replace("server: {drain: ", &format!("server: {file}")))
}

#[tokio::test]
async fn a_file_that_is_none_of_ours_is_never_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let foreign =
        ["version: 1", "sk-secret\n", "{\"mainstay\": 1}", "[{\"mainstay_state\":1}]", "\u{0}\u{0}"];
    for text in foreign {
        let path = directory.path().join("theirs");
        fs::write(&path, text).unwrap();
        let bench = bench(&path);
        bench.host.keep().await;
        bench.host.keep().await;
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
        assert_eq!(bench.metric(FAILED).to_bits(), 1_f64.to_bits());
        assert_eq!(bench.metric(WRITTEN).to_bits(), 0_f64.to_bits(), "never");
        let keeper = bench.host.keeper.as_ref().expect("it has a file");
        assert_eq!(keeper.failed.lock().as_deref(), Some(file::FOREIGN), "said at the start, and once");

        fs::remove_file(&path).unwrap();
        bench.host.keep().await;
        assert!(
            Memoir::decode(&file::read(&path).unwrap(), bench.host.gateway().live.clock.unix_now()).is_ok()
        );
        assert_eq!(bench.metric(FAILED).to_bits(), 0_f64.to_bits());
        assert!(bench.metric(WRITTEN) > 1e9);
        fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_was_damaged_or_is_from_before_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    for left in ["", "{\"mainstay_state\":1,\"sha", "{\"mainstay_state\":0}"] {
        fs::write(&path, left).unwrap();
        let bench = bench(&path);
        assert_eq!(bench.metric(FAILED).to_bits(), 1_f64.to_bits(), "{left}");
        bench.host.keep().await;
        assert_eq!(bench.metric(FAILED).to_bits(), 0_f64.to_bits(), "{left}");
        assert!(
            Memoir::decode(&file::read(&path).unwrap(), bench.host.gateway().live.clock.unix_now()).is_ok()
        );
    }
    let written = bench(&path).metric(WRITTEN);
    assert!(written > 1e9, "the next process knows when it was: {written}");
}

#[tokio::test]
async fn a_file_that_a_newer_version_wrote_is_set_aside_once_and_never_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let aside = directory.path().join("state.json.v9");
    for left in ["{\"mainstay_state\":9,\"of\":1}", "{\"mainstay_state\":9,\"of\":2}"] {
        fs::write(&path, left).unwrap();
        let older = bench(&path);
        assert_eq!(fs::read_to_string(&aside).unwrap(), left, "the newest of them");
        assert_eq!(older.metric(FAILED).to_bits(), 1_f64.to_bits(), "it was not believed");
        older.host.keep().await;
        assert_eq!(older.metric(FAILED).to_bits(), 0_f64.to_bits());
        let unix = older.host.gateway().live.clock.unix_now();
        assert!(Memoir::decode(&file::read(&path).unwrap(), unix).is_ok());
        drop(bench(&path));
        assert_eq!(fs::read_to_string(&aside).unwrap(), left, "a file of our own moves nothing");

        // A newer process has begun while this one still runs.
        fs::write(&path, left).unwrap();
        older.host.keep().await;
        assert_eq!(fs::read_to_string(&path).unwrap(), left);
        assert_eq!(older.metric(FAILED).to_bits(), 1_f64.to_bits());
    }

    // What is in the way there is somebody's.
    fs::write(&aside, "version: 1").unwrap();
    let theirs = bench(&path);
    theirs.host.keep().await;
    assert_eq!(fs::read_to_string(&aside).unwrap(), "version: 1");
    assert!(fs::read_to_string(&path).unwrap().starts_with("{\"mainstay_state\":9"), "nor is it lost");
    let keeper = theirs.host.keeper.as_ref().expect("it has a file");
    assert_eq!(keeper.failed.lock().as_deref(), Some(file::NEWER), "said at the start, and once");
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_hangs_does_not_keep_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let bench = bench(&directory.path().join("state.json"));
    let keeper = bench.host.keeper.clone().expect("it has a file");
    // As a periodic write does that never ends.
    let hangs = keeper.written.lock().await;
    let drained = timeout(Duration::from_mins(1), drain(&bench.host, pending())).await;
    assert_eq!(drained, Ok(Drained::Clean), "it ends");
    drop(hangs);
}
