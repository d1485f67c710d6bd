//! One budget of several gateways: exact while Redis answers, and in parts while it does not.

use std::net::SocketAddr;

use tempfile::TempDir;

use super::Replica;
use super::redis::{Redis, Reply};
use crate::http;
use crate::process::{Place, wait_for};

/// A dollar for every token of an answer, which has ten.
const PRICES: &str = "providers: {simulated: {x: {price: {input: 0, output: 1000000}}}}\n";

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN, redis: {url: 'redis://REDIS', prefix: it, timeout: 1s, poll: 300ms}}
catalog: {file: 'PRICES'}
upstreams: {sim: {provider: simulated, simulated: {ttft: 2ms, pace: 0ms, words: 9}}}
routes: [{model: m, budgets: [{per: total, limit: LIMIT}], channels: [{upstream: sim, model: x}]}]
";

const TEN: u64 = 10_000_000_000;

fn replica(redis: SocketAddr, limit: u32, directory: &TempDir) -> Replica {
    let prices = directory.path().join("models.yaml");
    std::fs::write(&prices, PRICES).unwrap();
    let routing = ROUTING.replace("REDIS", &redis.to_string()).replace("LIMIT", &limit.to_string());
    let replica = Replica::of(&routing.replace("PRICES", &prices.display().to_string()));
    replica.connected(1);
    replica
}

fn ask(replica: &Replica) -> u16 {
    let body = r#"{"model":"m","max_tokens":10,"messages":[{"role":"user","content":"hi"}]}"#;
    http::post(replica.0.callers, "/v1/chat/completions", body).unwrap().status
}

/// How many of `times` requests are served.
fn served(replica: &Replica, times: u32) -> u32 {
    let statuses = (0..times).map(|_| ask(replica));
    statuses
        .map(|status| match status {
            200 => 1,
            429 => 0,
            other => panic!("{other}:\n{}", replica.0.said()),
        })
        .sum()
}

fn spent(replica: &Replica) -> u64 {
    let said = replica.json("/admin/budgets");
    said["budgets"][0]["spent_nano_usd"].as_u64().unwrap_or_else(|| panic!("{said}"))
}

fn comes_to(replica: &Replica, wanted: u64) {
    let found = wait_for(30, || (spent(replica) == wanted).then_some(()));
    assert!(found.is_some(), "{} and not {wanted}\n{}", spent(replica), replica.0.said());
}

#[test]
fn two_gateways_spend_one_budget() {
    let Some(redis) = Redis::start("shared budgets") else { return };
    let directory = TempDir::with_prefix("mainstay-budgets-").unwrap();
    let [one, other] = [(); 2].map(|()| replica(redis.address, 295, &directory));
    let asked: u32 = std::thread::scope(|scope| {
        let callers: Vec<_> = [&one, &other, &one, &other]
            .map(|replica| scope.spawn(|| served(replica, 50)))
            .into_iter()
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    let alone = one.metric("mainstay_budgets_alone_total") + other.metric("mainstay_budgets_alone_total");
    // On a machine that stood still.
    assert!(alone <= 4, "{alone} went without Redis");
    // Twenty-nine, and the last one, whoever it was; a request without Redis may be one more.
    assert!((30..=30 + alone).contains(&asked.into()), "{asked} were served, {alone} without Redis");
    for replica in [&one, &other] {
        comes_to(replica, u64::from(asked) * TEN);
        assert_eq!(served(replica, 3), 0);
    }
    // Who comes later learns it with its first request.
    let late = replica(redis.address, 295, &directory);
    assert_eq!(served(&late, 3), 0);
    assert_eq!(spent(&late), u64::from(asked) * TEN);
}

#[test]
fn replicas_whose_callers_are_different_ones_count_each_other_all_the_same() {
    let Some(mut redis) = Redis::start("shared budgets of two keys") else { return };
    let directory = TempDir::with_prefix("mainstay-budgets-").unwrap();
    let prices = directory.path().join("models.yaml");
    std::fs::write(&prices, PRICES).unwrap();
    let routes = "routes:
  - {model: m, budgets: [{per: total, limit: 100}], channels: [{upstream: sim, model: x}]}
  - {model: n, budgets: [{per: total, limit: 100}], channels: [{upstream: sim, model: x}]}
";
    let (head, _) = ROUTING.split_once("routes:").unwrap();
    let routing = format!("{head}{routes}").replace("REDIS", &redis.address.to_string());
    let routing = routing.replace("PRICES", &prices.display().to_string());
    let [one, other] = [(); 2].map(|()| Replica::of(&routing));
    for replica in [&one, &other] {
        replica.connected(1);
    }
    let ask = |replica: &Replica, model: &str| {
        let body = r#"{"model":"MODEL","max_tokens":10,"messages":[{"role":"user","content":"hi"}]}"#;
        let body = body.replace("MODEL", model);
        http::post(replica.0.callers, "/v1/chat/completions", &body).unwrap().status
    };
    // None of the two has ever heard of the other one's route; all of it is told within two seconds.
    assert_eq!((ask(&one, "m"), ask(&other, "n")), (200, 200));
    let of_two = wait_for(30, || {
        let members = redis.say("ZCARD it:budgets:1:replicas");
        (members == Reply::Number(2)).then_some(())
    });
    assert!(of_two.is_some(), "both are there");
    assert_eq!((ask(&one, "m"), ask(&other, "n")), (200, 200));
    redis.kill();
    for replica in [&one, &other] {
        replica.connected(0);
    }
    // Half of the eighty dollars that are left of each, wherever it is asked for.
    let served = |replica, model| (0..9).filter(|_| ask(replica, model) == 200).count();
    assert_eq!((served(&one, "m"), served(&other, "n")), (4, 4));
}

#[test]
fn without_redis_each_spends_its_part_and_what_was_spent_is_told_later() {
    let Some(mut redis) = Redis::start("shared budgets, for a while") else { return };
    let directory = TempDir::with_prefix("mainstay-budgets-").unwrap();
    let [one, other] = [(); 2].map(|()| replica(redis.address, 100, &directory));
    assert_eq!((served(&one, 1), served(&other, 1)), (1, 1));
    comes_to(&one, 2 * TEN);
    redis.kill();
    for replica in [&one, &other] {
        replica.connected(0);
    }
    // Half of what was left each: four requests.
    assert_eq!((served(&one, 9), served(&other, 2)), (4, 2));
    redis.run();
    for replica in [&one, &other] {
        replica.connected(1);
        comes_to(replica, 8 * TEN);
    }
    assert_eq!(served(&one, 9) + served(&other, 9), 2, "what the other one had left is anybody's again");
}

/// The window of the route's budget.
const WINDOW: &str = "it:budgets:1:route:m:total:0";

#[test]
fn what_replicas_that_are_long_gone_have_spent_is_added_up_in_one() {
    let Some(redis) = Redis::start("budgets after many restarts") else { return };
    let directory = TempDir::with_prefix("mainstay-budgets-").unwrap();
    // Forty processes a day or more ago, and one that ended a minute ago, as Redis tells the time.
    for number in 0..40 {
        redis.say(&format!("HSET {WINDOW} {number:016x}.1 7:{TEN}:{TEN}:1"));
    }
    let Reply::List(time) = redis.say("TIME") else { panic!("Redis has a clock") };
    let Some(Reply::Text(seconds)) = time.first() else { panic!("{time:?}") };
    let seconds: u64 = String::from_utf8_lossy(seconds).parse().unwrap();
    redis.say(&format!("HSET {WINDOW} {:016x}.1 7:{TEN}:{TEN}:{}", 40, (seconds - 60) * 1000));
    let only = replica(redis.address, 430, &directory);
    assert_eq!(served(&only, 1), 1);
    comes_to(&only, 42 * TEN);
    let own = wait_for(30, || {
        let Reply::List(fields) = redis.say(&format!("HGETALL {WINDOW}")) else { panic!("no hash") };
        let text = |reply: &Reply| match reply {
            Reply::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => panic!("{other:?}"),
        };
        let mut fields: Vec<(String, String)> =
            fields.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect();
        fields.sort();
        let past = fields.iter().position(|(name, _)| name == "past").expect("they are added up");
        let (_, sum) = fields.remove(past);
        assert_eq!(sum, format!("0:{}:0:0", 40 * TEN));
        assert_eq!(fields.len(), 2, "{fields:?}");
        assert!(fields.iter().any(|(name, _)| *name == format!("{:016x}.1", 40)), "{fields:?}");
        fields.into_iter().find(|(_, said)| said.contains(&format!(":{TEN}:0:")))
    });
    assert!(own.is_some(), "it says what it has spent");
    // Whoever comes next counts all of it once.
    let next = replica(redis.address, 430, &directory);
    assert_eq!((served(&next, 9), served(&only, 1)), (1, 0));
    comes_to(&only, 43 * TEN);
}

#[test]
fn no_request_brings_a_script_along_unless_redis_was_made_to_forget_it() {
    let Some(redis) = Redis::start("scripts that Redis knows") else { return };
    let directory = TempDir::with_prefix("mainstay-budgets-").unwrap();
    let only = replica(redis.address, 1000, &directory);
    let evals = || match redis.say("INFO commandstats") {
        Reply::Text(said) => String::from_utf8_lossy(&said).contains("cmdstat_eval:"),
        other => panic!("{other:?}"),
    };
    assert_eq!(served(&only, 3), 3);
    assert!(!evals(), "it was taught before");
    redis.say("SCRIPT FLUSH");
    assert_eq!(served(&only, 3), 3);
    assert!(evals(), "it was sent once more");
    assert_eq!(only.metric("mainstay_budgets_alone_total"), 0);
    comes_to(&only, 6 * TEN);
}

#[test]
fn whoever_starts_while_redis_is_away_has_its_part_and_not_all() {
    let directory = TempDir::with_prefix("mainstay-budgets-").unwrap();
    let prices = directory.path().join("models.yaml");
    std::fs::write(&prices, PRICES).unwrap();
    // Nobody listens behind it.
    let closed = Place::reserve();
    let routing = ROUTING.replace("poll: 300ms", "poll: 300ms, replicas: 3").replace("LIMIT", "300");
    let routing = routing.replace("REDIS", &closed.address.to_string());
    let only = Replica::of(&routing.replace("PRICES", &prices.display().to_string()));
    assert_eq!(served(&only, 20), 10, "a third of what there is");
}
