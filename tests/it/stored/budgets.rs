//! Budgets of real gateways: they outlast the process, and replicas that share a store know of each other's spending.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use super::postgres::Postgres;
use crate::http;
use crate::process::{Gateway, wait_for};

/// A dollar for every token of an answer, which has ten.
const PRICES: &str = "providers: {simulated: {x: {price: {input: 0, output: 1000000}}}}\n";

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN}
store: {url: 'URL'}
catalog: {file: 'PRICES'}
upstreams: {sim: {provider: simulated, simulated: {ttft: 2ms, pace: 0ms, words: 9}}}
routes: [{model: m, budgets: [{per: total, limit: 45}], channels: [{upstream: sim, model: x}]}]
";

const TEN: u64 = 10_000_000_000;

fn gateway(url: &str, directory: &Path) -> Gateway {
    gateway_of(ROUTING, url, directory)
}

fn gateway_of(routing: &str, url: &str, directory: &Path) -> Gateway {
    let prices = directory.join("models.yaml");
    std::fs::write(&prices, PRICES).unwrap();
    let spool = directory.join("spool");
    let routing = routing.replace("URL", url).replace("PRICES", &prices.display().to_string());
    Gateway::start(&format!("{routing}ledger: {{spool: {{path: '{}'}}}}\n", spool.display()))
}

fn ask(gateway: &Gateway) -> u16 {
    let body = r#"{"model":"m","max_tokens":10,"messages":[{"role":"user","content":"hi"}]}"#;
    http::post(gateway.callers, "/v1/chat/completions", body).unwrap().status
}

fn spent(gateway: &Gateway) -> u64 {
    let said: Value = http::get(gateway.admin, "/admin/budgets").unwrap().json();
    said["budgets"][0]["spent_nano_usd"].as_u64().unwrap_or_else(|| panic!("{said}"))
}

fn comes_to(gateway: &Gateway, wanted: u64) {
    let found = wait_for(30, || (spent(gateway) == wanted).then_some(()));
    assert!(found.is_some(), "{} and not {wanted}\n{}", spent(gateway), gateway.said());
}

/// Until the store has so many rows of requests and attempts; those that it did not take at once come by way of the
/// disk.
fn written(gateway: &Gateway, rows: u32) {
    let all = || {
        let text = gateway.metrics();
        let value = |series: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
            line.map_or(0, |value| value.parse::<u32>().unwrap())
        };
        let [direct, replayed] =
            ["direct", "replayed"].map(|way| value(&format!("mainstay_ledger_rows_total{{way=\"{way}\"}}")));
        (direct + replayed >= rows && value("mainstay_ledger_spool_batches") == 0).then_some(())
    };
    assert!(wait_for(30, all).is_some(), "{}", gateway.metrics());
}

#[test]
fn what_was_spent_before_a_kill_is_known_before_the_first_request() {
    let directory = TempDir::with_prefix("mainstay-budgets-").unwrap();
    let url = format!("sqlite:{}", directory.path().join("ledger.db").display());
    let first = gateway(&url, directory.path());
    assert_eq!([ask(&first), ask(&first)], [200; 2]);
    comes_to(&first, 2 * TEN);
    written(&first, 4);
    // It is killed.
    drop(first);
    let second = gateway(&url, directory.path());
    assert_eq!(spent(&second), 2 * TEN);
    assert_eq!([ask(&second), ask(&second), ask(&second)], [200; 3], "two fit, and the last one");
    assert_eq!(ask(&second), 429);
    // What it has booked itself does not count twice once the store has it.
    written(&second, 7);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(spent(&second), 5 * TEN);
}

#[test]
fn what_was_left_on_disk_is_known_before_the_first_request() {
    let directory = TempDir::with_prefix("mainstay-budgets-").unwrap();
    let file = directory.path().join("ledger.db");
    let url = format!("sqlite:{}", file.display());
    let first = gateway(&url, directory.path());
    let holder = Connection::open(&file).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!([ask(&first), ask(&first)], [200; 2]);
    let spooled = || {
        let said: Value = http::get(first.admin, "/admin/status").unwrap().json();
        let ledger = &said["ledger"];
        (ledger["waiting"] == 0 && ledger["spooled_batches"].as_u64() > Some(0)).then_some(())
    };
    assert!(wait_for(30, spooled).is_some(), "{}", first.said());
    // It is killed.
    drop(first);
    holder.execute_batch("ROLLBACK").unwrap();
    let second = gateway(&url, directory.path());
    assert_eq!(spent(&second), 2 * TEN);
    assert_eq!([ask(&second), ask(&second), ask(&second)], [200; 3], "two fit, and the last one");
    assert_eq!(ask(&second), 429);
}

#[test]
fn replicas_of_one_store_hear_of_each_other_and_count_nothing_twice() {
    let Some(server) = Postgres::start("budgets over PostgreSQL") else { return };
    let directories = [(); 2].map(|()| TempDir::with_prefix("mainstay-budgets-").unwrap());
    let [one, other] = [0, 1].map(|at| gateway(&server.url(), directories[at].path()));
    assert_eq!([ask(&one), ask(&one), ask(&other)], [200; 3]);
    comes_to(&one, 3 * TEN);
    comes_to(&other, 3 * TEN);
    assert_eq!(ask(&other), 200);
    comes_to(&one, 4 * TEN);
    assert_eq!(ask(&one), 200, "half of one is left, and it is the last one");
    comes_to(&other, 5 * TEN);
    assert_eq!([ask(&one), ask(&other)], [429; 2]);
    assert_eq!(server.sql("SELECT sum(cost) FROM mainstay.attempts"), (5 * TEN).to_string());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a time in the configuration is the machine's")]
fn what_was_spent_in_the_same_hour_before_a_budget_began_does_not_count() {
    let directory = TempDir::with_prefix("mainstay-budgets-").unwrap();
    let url = format!("sqlite:{}", directory.path().join("ledger.db").display());
    let first = gateway(&url, directory.path());
    assert_eq!([ask(&first), ask(&first)], [200; 2]);
    written(&first, 4);
    drop(first);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let starts = now() + 1;
    let begun = wait_for(30, || (now() > starts).then_some(()));
    assert!(begun.is_some());
    let (day, second) = (mainstay::algo::spend::day(starts), starts % 86_400);
    let time = format!("{day}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
    let begins = |directory: &Path| {
        let routing = ROUTING.replace("per: total,", &format!("per: total, starts: '{time}',"));
        gateway_of(&routing, &url, directory)
    };
    let second = begins(directory.path());
    assert_eq!(spent(&second), 0, "all of it was before");
    assert_eq!([ask(&second), ask(&second)], [200; 2]);
    written(&second, 4);
    drop(second);
    let third = begins(directory.path());
    assert_eq!(spent(&third), 2 * TEN);
    // The task that looks every few seconds comes to the same.
    let looked = wait_for(30, || {
        let said: Value = http::get(third.admin, "/admin/budgets").unwrap().json();
        said["budgets"][0]["begins_at"].as_u64()
    });
    assert_eq!(looked, Some(starts));
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(spent(&third), 2 * TEN);
}
