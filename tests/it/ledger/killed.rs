//! The real binary with SQLite, killed while it serves and while somebody else holds its database: what callers were
//! answered is in the store when it is started again, each request once, and the tokens are those that its upstream
//! wrote.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use mainstay::store::{Each, Query, Store, Totals};
use mainstay::telemetry::{Metrics, StoreHandles};
use tempfile::TempDir;

use crate::http;
use crate::process::{Guest, Place, wait_for};

/// An answer has five words and a seal.
const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN, drain: {pre_stop_delay: 0s, close_spread: 0s}}
store: {url: 'sqlite:ledger.db'}
upstreams:
  sim: {provider: simulated, simulated: {ttft: 1ms, words: 5}}
routes:
  - model: demo
    channels: [{upstream: sim}]
";

const TOKENS: u64 = 6;

struct Served {
    guest: Guest,
    callers: SocketAddr,
    admin: SocketAddr,
    _places: [Place; 2],
}

fn serve(directory: &Path, name: &str) -> Served {
    let places = [Place::reserve(), Place::reserve()];
    let [callers, admin] = [places[0].address, places[1].address];
    let file = directory.join("routing.yaml");
    let text = ROUTING.replace("LISTEN", &callers.to_string()).replace("ADMIN", &admin.to_string());
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args([OsStr::new("serve"), OsStr::new("--config"), file.as_os_str()]);
    let mut guest = Guest::start(&mut command, directory, name);
    guest.is_ready(admin);
    Served { guest, callers, admin, _places: places }
}

impl Served {
    /// Asks until it is told to stop or nobody answers, and says how many answers there were.
    fn asked(&self, goes_on: impl Fn(u64) -> bool) -> u64 {
        let mut answered = 0;
        while goes_on(answered) {
            let body = r#"{"model":"demo","messages":[{"role":"user","content":"hi"}]}"#;
            match http::post(self.callers, "/v1/chat/completions", body) {
                Ok(answer) if answer.status == 200 => answered += 1,
                Ok(answer) => panic!("{}: {}", answer.status, answer.body),
                Err(_) => break,
            }
        }
        answered
    }

    fn metric(&self, series: &str) -> f64 {
        let text = http::get(self.admin, "/metrics").unwrap().body;
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Requests that are in the store or on disk, as it says itself; two rows each.
    fn kept(&self) -> u64 {
        let rows = |way| self.metric(&format!("mainstay_ledger_rows_total{{way=\"{way}\"}}"));
        (rows("direct") + rows("spooled")) as u64 / 2
    }

    /// Waits until the store has all that is on disk.
    fn brings_all(&self) {
        let is_empty = || (self.metric("mainstay_ledger_spool_batches") == 0.0).then_some(());
        wait_for(60, is_empty).expect("what is on disk is brought to the store");
    }
}

/// What the store has of all time.
fn totals(directory: &Path) -> Totals {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let time = Arc::new(|| (mainstay::algo::tick::Tick::ZERO, Duration::ZERO));
        let handles = StoreHandles::new(&Metrics::new());
        let store = Store::sqlite(&directory.join("ledger.db"), time, handles).unwrap();
        let query = Query {
            from: 0,
            to: i64::MAX / 2,
            by: Vec::new(),
            each: Each::All,
            tag: None,
            only: Vec::new(),
            most: 10,
        };
        let rows = store.usage(&query).await.unwrap();
        rows.first().map(|row| row.totals).unwrap_or_default()
    })
}

#[test]
fn a_kill_loses_nothing_that_was_kept_and_counts_nothing_twice() {
    let directory = TempDir::with_prefix("mainstay-ledger-").unwrap();
    let (mut all, mut kept) = (0, 0);
    for round in 0..3 {
        let served = serve(directory.path(), &format!("round {round}"));
        let killed = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| served.asked(|_| !killed.load(SeqCst)));
            kept += wait_for(60, || Some(served.kept()).filter(|kept| *kept > 20)).expect("rows are kept");
            // In the middle of whatever it does.
            let id = served.guest.id().to_string();
            assert!(Command::new("kill").args(["-KILL", &id]).status().unwrap().success());
            killed.store(true, SeqCst);
            // One may have been answered, and written down, that nobody heard of.
            all += asking.join().unwrap() + 1;
        });
    }
    let served = serve(directory.path(), "last");
    served.brings_all();
    drop(served);
    let totals = totals(directory.path());
    assert!((kept..=all).contains(&totals.requests), "{} of {kept} to {all}", totals.requests);
    assert_eq!((totals.attempts, totals.tokens.output), (totals.requests, totals.requests * TOKENS));
}

#[test]
fn a_database_that_somebody_holds_gets_its_rows_when_it_is_let_go() {
    let directory = TempDir::with_prefix("mainstay-ledger-").unwrap();
    let served = serve(directory.path(), "held");
    let mut all = served.asked(|answered| answered < 10);
    wait_for(60, || (served.kept() == all).then_some(())).expect("they are written");
    let holder = rusqlite::Connection::open(directory.path().join("ledger.db")).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    all += served.asked(|answered| answered < 50);
    wait_for(60, || (served.kept() == all).then_some(())).expect("they are on disk");
    assert!(served.metric("mainstay_ledger_spool_batches") > 0.0, "{}", served.guest.said());
    // Killed while what came last is on disk alone.
    drop(served);
    holder.execute_batch("ROLLBACK").unwrap();
    drop(holder);
    let served = serve(directory.path(), "after");
    served.brings_all();
    drop(served);
    let totals = totals(directory.path());
    assert_eq!((totals.requests, totals.tokens.output), (all, all * TOKENS));
}

#[test]
fn a_byte_that_is_damaged_on_disk_costs_the_batch_that_it_is_in_and_is_told() {
    let directory = TempDir::with_prefix("mainstay-ledger-").unwrap();
    let served = serve(directory.path(), "held");
    let holder = rusqlite::Connection::open(directory.path().join("ledger.db")).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut all = 0;
    for _ in 0..4 {
        all += served.asked(|answered| answered < 10);
        wait_for(60, || (served.kept() == all).then_some(())).expect("they are on disk");
    }
    let batches = served.metric("mainstay_ledger_spool_batches");
    assert!(batches > 2.0, "{batches}: {}", served.guest.said());
    drop(served);
    holder.execute_batch("ROLLBACK").unwrap();
    drop(holder);
    let segment = directory.path().join("mainstay-spool/0000000000000000.rows");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[300] ^= 1;
    std::fs::write(&segment, bytes).unwrap();

    let served = serve(directory.path(), "after");
    served.brings_all();
    let lost = served.metric("mainstay_ledger_lost_rows_total{reason=\"unreadable\"}") as u64;
    let said = served.guest.said();
    drop(served);
    assert!(lost > 0 && said.contains("rows of the ledger are damaged"), "{lost}: {said}");
    assert!(segment.with_extension("unreadable").exists());
    // A request is two rows.
    assert_eq!(totals(directory.path()).requests, all - lost / 2);
}

/// Rows that the store was too slow for at some moment are on disk beside it, and come into the file with the next
/// start.
fn catch_up(directory: &Path) {
    let beside = std::fs::read_dir(directory.join("mainstay-spool")).into_iter().flatten().flatten();
    if beside.filter(|file| file.path().extension() == Some(OsStr::new("rows"))).count() > 0 {
        let mut served = serve(directory, "later");
        served.brings_all();
        served.guest.terminate();
    }
}

/// What a copy of the file alone has.
fn copied(directory: &Path) -> u64 {
    let copy = TempDir::with_prefix("mainstay-copy-").unwrap();
    std::fs::copy(directory.join("ledger.db"), copy.path().join("ledger.db")).unwrap();
    totals(copy.path()).requests
}

#[test]
fn a_clean_stop_leaves_all_in_the_file_even_where_somebody_reads_it() {
    let directory = TempDir::with_prefix("mainstay-ledger-").unwrap();
    let mut served = serve(directory.path(), "alone");
    let mut all = served.asked(|answered| answered < 20);
    served.guest.terminate();
    catch_up(directory.path());
    assert_eq!(copied(directory.path()), all, "{}", served.guest.said());

    // Another program that is in the middle of reading keeps the log, and nobody from leaving.
    let mut served = serve(directory.path(), "read");
    let reader = rusqlite::Connection::open(directory.path().join("ledger.db")).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM days").unwrap();
    all += served.asked(|answered| answered < 20);
    served.guest.terminate();
    assert!(served.guest.said().contains("stay in the -wal file"), "{}", served.guest.said());
    drop(reader);
    catch_up(directory.path());
    assert_eq!(totals(directory.path()).requests, all);
}
