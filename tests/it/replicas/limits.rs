//! Limits of several gateways together: exact while Redis answers, in proportion while it does not, and no request
//! waits for it.

use std::net::SocketAddr;
use std::time::Duration;

use super::Replica;
use super::pipe::{Pipe, Way};
use super::redis::{Redis, Reply};
use crate::http;
use crate::process::wait_for;

const ROUTING: &str = "
version: 1
server:
  listen: LISTEN
  admin: ADMIN
  redis: {url: 'redis://REDIS', prefix: it, timeout: TIMEOUT, poll: 300ms}
upstreams:
  sim: {provider: simulated, simulated: {ttft: 1ms, pace: 0ms, words: 2}}
  late: {provider: simulated, simulated: {ttft: 1500ms, pace: 0ms, words: 2}}
routes:
  - {model: m, limits: {LIMITS}, channels: [{upstream: sim}]}
  - {model: late, limits: {concurrency: 3}, channels: [{upstream: late}]}
  - {model: single, limits: {concurrency: 1, tpm: 100000}, channels: [{upstream: late}]}
  - {model: free, channels: [{upstream: sim}]}
";

fn replica(redis: SocketAddr, limits: &str, timeout: &str) -> Replica {
    let routing = ROUTING.replace("REDIS", &redis.to_string()).replace("TIMEOUT", timeout);
    let replica = Replica::of(&routing.replace("LIMITS", limits));
    replica.connected(1);
    replica
}

/// Asks for a model; the status, and how long it took.
#[expect(clippy::disallowed_methods, reason = "what callers have to wait is measured in real time")]
fn ask(to: SocketAddr, model: &str) -> (u16, Duration) {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
    let begun = std::time::Instant::now();
    let status = http::post(to, "/v1/chat/completions", &body).map_or(0, |answer| answer.status);
    (status, begun.elapsed())
}

/// How many of `times` requests were let in.
fn granted(replica: &Replica, times: u32) -> u32 {
    let statuses = (0..times).map(|_| ask(replica.0.callers, "m").0);
    statuses
        .map(|status| match status {
            200 => 1,
            429 => 0,
            other => panic!("{other}:\n{}", replica.0.said()),
        })
        .sum()
}

/// They know of each other.
fn meet(replicas: &[&Replica]) {
    for replica in replicas {
        // Whoever has limits says that he is there.
        assert_eq!(granted(replica, 1), 1);
    }
    for replica in replicas {
        let all = wait_for(30, || {
            (replica.metric("mainstay_limits_replicas") == replicas.len() as u64).then_some(())
        });
        assert!(all.is_some(), "they do not meet:\n{}", replica.0.said());
    }
}

/// What all replicas together have used, by what Redis has.
fn counted(redis: &Redis, unit: &str, wanted: u32) {
    let sum = || match redis.say(&format!("HGET it:limits:1:route:m:{unit} sum")) {
        Reply::Text(text) => String::from_utf8(text).unwrap(),
        Reply::Number(_) | Reply::List(_) | Reply::Nothing | Reply::Error(_) => String::new(),
    };
    let found = wait_for(30, || (sum() == wanted.to_string()).then_some(()));
    assert!(found.is_some(), "{} and not {wanted}", sum());
}

#[test]
fn two_gateways_hold_one_limit() {
    let Some(redis) = Redis::start("shared limits") else { return };
    let [one, other] = [(); 2].map(|()| replica(redis.address, "rpm: 600", "1s"));
    meet(&[&one, &other]);
    counted(&redis, "rpm", 2);
    let asked: u32 = std::thread::scope(|scope| {
        let callers: Vec<_> = [&one, &other, &one, &other]
            .map(|replica| scope.spawn(|| granted(replica, 200)))
            .into_iter()
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    });
    let alone = one.metric("mainstay_limits_alone_total") + other.metric("mainstay_limits_alone_total");
    // The first ones, before they met; and on a machine that stood still.
    assert!(alone <= 6, "{alone} went without Redis");
    assert!((594..=606).contains(&(asked + 2)), "{asked}");
    assert_eq!(granted(&other, 5) + granted(&one, 5), 0);
    assert_eq!(one.json("/admin/limits")["replicas"], 2);
    let key = "it:limits:1:route:m:rpm";
    assert!(matches!(redis.say(&format!("PTTL {key}")), Reply::Number(left) if left > 50_000));
    assert!(matches!(redis.say("TTL it:limits:1:age"), Reply::Number(left) if left > 24 * 3600));
}

#[test]
fn requests_at_the_same_moment_are_counted_over_all_gateways() {
    let Some(redis) = Redis::start("shared concurrency") else { return };
    let [one, other] = [(); 2].map(|()| replica(redis.address, "rpm: 600", "1s"));
    meet(&[&one, &other]);
    std::thread::scope(|scope| {
        let callers = [&one, &one, &other].map(|replica| scope.spawn(|| ask(replica.0.callers, "late").0));
        let all = wait_for(30, || {
            let running = |replica: &Replica| replica.metric(r#"mainstay_requests_in_flight{route="late"}"#);
            (running(&one) + running(&other) == 3).then_some(())
        });
        assert!(all.is_some(), "three do not get in");
        assert_eq!([ask(one.0.callers, "late").0, ask(other.0.callers, "late").0], [429; 2]);
        for caller in callers {
            assert_eq!(caller.join().unwrap(), 200);
        }
    });
    let free = wait_for(30, || (ask(other.0.callers, "late").0 == 200).then_some(()));
    assert!(free.is_some(), "it is still full");
}

#[test]
fn while_redis_is_gone_each_grants_its_part_and_then_they_count_together_again() {
    let Some(mut redis) = Redis::start("limits without Redis") else { return };
    let [one, other] = [(); 2].map(|()| replica(redis.address, "rpd: 40", "1s"));
    meet(&[&one, &other]);
    assert_eq!(granted(&one, 4) + granted(&other, 4), 8);
    counted(&redis, "rpd", 10);
    redis.kill();
    for replica in [&one, &other] {
        replica.connected(0);
    }
    assert_eq!(granted(&one, 30), 15, "half of forty, of which it has granted five");
    assert_eq!(granted(&other, 2), 2);
    // It comes back, and remembers nothing.
    redis.run();
    for replica in [&one, &other] {
        replica.connected(1);
    }
    counted(&redis, "rpd", 27);
    assert_eq!(granted(&other, 30), 13);
    assert_eq!(granted(&one, 3), 0);
}

#[test]
fn a_redis_that_hangs_or_dawdles_delays_no_request() {
    let Some(redis) = Redis::start("limits behind a bad line") else { return };
    let pipe = Pipe::to(redis.address);
    let one = replica(pipe.address, "rpm: 100000", "20ms");
    meet(&[&one]);
    for way in [Way::Hole, Way::Slow] {
        pipe.set(way);
        let mut took: Vec<Duration> = Vec::new();
        for _ in 0..60 {
            let (status, spent) = ask(one.0.callers, "m");
            assert_eq!(status, 200, "{way:?}");
            took.push(spent);
        }
        took.sort();
        // The longest of all may be the machine's; `billed::silent` tells to the millisecond what is waited for.
        assert!(took[57] < Duration::from_millis(300), "{way:?}: {took:?}");
        one.connected(0);
        pipe.set(Way::Open);
        one.connected(1);
    }
    assert!(one.metric("mainstay_limits_alone_total") >= 50);
}

/// What ends a replica's talk with Redis, and what has it take everything again.
const DEAF: [(&str, &str, &str); 2] = [
    // It is no primary for a while, as in a failover.
    ("a primary that is none", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ("a full one", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
];

#[test]
fn what_ends_while_redis_takes_nothing_is_told_when_it_does_again() {
    for (what, deaf, well) in DEAF {
        let Some(redis) = Redis::start(what) else { return };
        let [one, other] = [(); 2].map(|()| replica(redis.address, "rpm: 600", "1s"));
        meet(&[&one, &other]);
        let tokens = || redis.number("it:limits:1:route:single:tpm", "sum");
        // The first one is told when they know of each other, and put right as any other.
        assert_eq!(ask(one.0.callers, "single").0, 200);
        let right = wait_for(30, || (0 < tokens() && tokens() < 100).then_some(()));
        assert!(right.is_some(), "{what}: {} tokens of an answer of two words", tokens());
        std::thread::scope(|scope| {
            let caller = scope.spawn(|| ask(one.0.callers, "single").0);
            let counted = wait_for(30, || (tokens() >= 500).then_some(()));
            assert!(counted.is_some(), "{what}: it is counted as estimated at first: {}", tokens());
            assert_eq!(redis.say(deaf), Reply::Text(b"OK".to_vec()));
            assert_eq!(caller.join().unwrap(), 200);
        });
        let refused = |operation: &str| {
            one.metric(&format!(
                "mainstay_shared_operations_total{{operation=\"{operation}\",result=\"refused\"}}"
            ))
        };
        let tried = wait_for(30, || (refused("tell") + refused("beat") >= 1).then_some(()));
        assert!(tried.is_some(), "{what}: nobody tells:\n{}", one.0.said());
        assert_eq!(redis.say(well), Reply::Text(b"OK".to_vec()));
        for replica in [&one, &other] {
            replica.connected(1);
        }
        let right = wait_for(30, || (tokens() < 100).then_some(()));
        assert!(right.is_some(), "{what}: {} tokens of an answer of two words", tokens());
        let free = wait_for(30, || (ask(other.0.callers, "single").0 == 200).then_some(()));
        assert!(free.is_some(), "{what}: it is still full");
    }
}
