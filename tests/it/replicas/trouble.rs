//! What befalls Redis, and what callers notice of it: nothing.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::pipe::{Pipe, Way};
use super::redis::{Redis, Reply};
use super::vendor::{Mood, Vendor};
use super::{BOARD, FIRST, Replica, SECOND, told};
use crate::http;
use crate::process::wait_for;

/// Callers who ask one after the other.
struct Load {
    stop: Arc<AtomicBool>,
    caller: JoinHandle<Vec<(u16, Duration)>>,
}

impl Load {
    #[expect(clippy::disallowed_methods, reason = "what callers have to wait is measured in real time")]
    fn on(replica: &Replica) -> Self {
        let (stop, to) = (Arc::<AtomicBool>::default(), replica.0.callers);
        let stopped = Arc::clone(&stop);
        let caller = std::thread::spawn(move || {
            let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
            let mut seen = Vec::new();
            while !stopped.load(SeqCst) {
                let begun = std::time::Instant::now();
                let status = http::post(to, "/v1/chat/completions", body).map_or(0, |answer| answer.status);
                seen.push((status, begun.elapsed()));
            }
            seen
        });
        Self { stop, caller }
    }

    /// All were answered, and not later than without any Redis: it may take a second for each command.
    fn well(self, phase: &str) {
        self.stop.store(true, SeqCst);
        let mut seen = self.caller.join().unwrap();
        assert!(seen.len() >= 20, "{phase}: {} requests are no load", seen.len());
        assert!(seen.iter().all(|(status, _)| *status == 200), "{phase}: {seen:?}");
        seen.sort_by_key(|(_, took)| *took);
        let (_, most) = seen[seen.len() * 9 / 10];
        assert!(most < Duration::from_millis(500), "{phase}: nine of ten within {most:?}");
    }
}

#[test]
fn a_redis_that_hangs_dawdles_or_dies_delays_no_request_and_is_caught_up_with() {
    let Some(mut redis) = Redis::start("trouble with Redis") else { return };
    let (vendor, pipe) = (Vendor::open(), Pipe::to(redis.address));
    let one = Replica::start(pipe.address, &vendor);
    let other = Replica::start(redis.address, &vendor);

    for (way, phase) in [(Way::Hole, "a black hole"), (Way::Slow, "a slow one")] {
        let load = Load::on(&one);
        pipe.set(way);
        one.connected(0);
        pipe.set(Way::Open);
        one.connected(1);
        load.well(phase);
    }
    assert_eq!(one.0.log().matches("not connected").count(), 2, "once each:\n{}", one.0.said());
    assert_eq!(one.metric("mainstay_shared_connected"), 1);
    assert!(one.metric(r#"mainstay_shared_operations_total{operation="read",result="timeout"}"#) >= 3);

    let load = Load::on(&one);
    redis.kill();
    for replica in [&one, &other] {
        replica.connected(0);
    }
    let why = other.json("/admin/status");
    assert_eq!(why["shared"]["connected"], false, "{why}");
    // What is found out meanwhile is known here only, and everywhere when Redis is back.
    vendor.treat(FIRST, Mood::Quota);
    one.key_comes_to(0, "cooling");
    assert_eq!(other.keys()[0], "ready");
    redis.run();
    other.key_comes_to(0, "cooling");
    load.well("a dead one");
    let asked = vendor.asked(FIRST);
    other.many(6);
    assert_eq!(vendor.asked(FIRST), asked);
    assert_eq!(other.metric(&told("long", "taken")), 1);
}

#[test]
fn a_primary_that_was_demoted_is_left_and_what_it_did_not_take_is_told_to_the_next() {
    let Some(redis) = Redis::start("a demoted Redis") else { return };
    let vendor = Vendor::open();
    let [one, other] = [(); 2].map(|()| Replica::start(redis.address, &vendor));
    // Its new primary is nowhere; it goes on to be read.
    redis.say("REPLICAOF 127.0.0.1 1");
    vendor.treat(FIRST, Mood::Quota);
    one.many(2);
    one.connected(0);
    let status = one.json("/admin/status");
    assert!(status["shared"].to_string().contains("READONLY"), "{status}");
    assert_eq!(other.metric("mainstay_shared_connected"), 1, "who has nothing to say notices nothing");
    assert_eq!(one.many(4), ["vendor/m"; 4]);

    redis.say("REPLICAOF NO ONE");
    other.key_comes_to(0, "cooling");
    one.connected(1);
    let said = one.0.log();
    assert_eq!(said.matches("not connected").count(), 1, "once, however often it was dialled:\n{said}");
    assert_eq!(said.matches("connected: replicas share").count(), 2, "at the start and again:\n{said}");
    let asked = vendor.asked(FIRST);
    other.many(6);
    assert_eq!(vendor.asked(FIRST), asked);
}

/// What stands for a key.
fn fingerprint(key: &str) -> String {
    Sha256::digest(key).iter().take(6).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn what_others_have_scrawled_on_the_board_is_ignored_and_said_once() {
    let Some(redis) = Redis::start("garbage in Redis") else { return };
    let vendor = Vendor::open();
    let one = Replica::start(redis.address, &vendor);
    let put = |score: &str, text: &[u8]| {
        assert!(matches!(redis.ask(&[b"ZADD", BOARD.as_bytes(), score.as_bytes(), text]), Reply::Number(1)));
    };
    put("+inf", b"nonsense");
    put("9e18", b"\xff\xfe\x00");
    put("9e15", &vec![b'['; 200_000]);
    put("8e15", br#"{"says":"forever","upstream":"vendor","key":"x"}"#);
    put("7e15", br#"{"says":"long","upstream":"vendor","key":"x","more":1}"#);
    put("6e15", br#"{"says":"long","upstream":"nobody","key":"x"}"#);
    put("-inf", br#"{"says":"auth","upstream":"vendor","key":"x"}"#);
    let rest = format!(r#"{{"says":"long","upstream":"vendor","key":"{}"}}"#, fingerprint(SECOND));
    put("5e15", rest.as_bytes());
    // The one note that is whole and of a key that is here: believed, for as long as it could be true.
    one.key_comes_to(1, "cooling");
    one.looks(2);
    assert_eq!(one.keys(), ["ready", "cooling"]);
    assert_eq!(one.many(4), ["vendor/m"; 4]);
    assert_eq!((vendor.asked(FIRST), vendor.asked(SECOND)), (4, 0));
    let status = one.json("/admin/status");
    let left = &status["upstreams"][0]["credentials"][1]["for_seconds"];
    assert!(left.as_f64().is_some_and(|left| left < 28.0 * 3600.0), "{left}");
    assert!(one.metric("mainstay_shared_unreadable_total") >= 4);
    assert_eq!(one.0.said().matches("is ignored").count(), 1, "{}", one.0.said());

    // Something else altogether under the same name.
    redis.say(&format!("DEL {BOARD}"));
    redis.say(&format!("SET {BOARD} x"));
    let refused = r#"mainstay_shared_operations_total{operation="read",result="refused"}"#;
    assert!(wait_for(30, || (one.metric(refused) >= 3).then_some(())).is_some(), "{}", one.0.said());
    one.many(4);
    assert_eq!(one.metric("mainstay_shared_connected"), 1, "it answers");
    assert_eq!(one.0.said().matches("a command was refused").count(), 1, "{}", one.0.said());
    redis.say(&format!("DEL {BOARD}"));
    one.looks(2);
}
