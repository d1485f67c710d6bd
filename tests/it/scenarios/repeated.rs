//! Requests that come more than once: named by an `Idempotency-Key`, or several at the same moment.

use std::time::Duration;

use mainstay::simulated::{Fault, How, Rule};

use super::{THREE, after, secs};
use crate::lab::{Ask, End, Lab};

const KEY: &str = "idempotency-key";

impl Lab {
    fn arrived_at_all(&self) -> u64 {
        ["a", "b", "c"].iter().map(|name| self.arrived(name)).sum()
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_key_gets_the_first_answer_for_a_while() {
    let lab = Lab::start(THREE);
    for (ask, key) in [(Ask::chat("demo"), "whole"), (Ask::stream("demo"), "streamed")] {
        let ask = ask.header(KEY, key);
        let before = lab.arrived_at_all();
        let first = lab.send(&ask).await;
        first.spoken().unwrap();
        let retry = ask.clone().header("x-stainless-retry-count", "1");
        let second = lab.send(&retry).await;
        assert_eq!(second.body, first.body);
        assert_eq!((second.header("idempotent-replayed"), second.end), ("true", first.end));
        assert_eq!(lab.arrived_at_all(), before + 1);
        after(secs(601)).await;
        let late = lab.send(&ask).await;
        assert_eq!(late.header("idempotent-replayed"), "");
        assert_eq!(lab.arrived_at_all(), before + 2);
    }
    assert_eq!(lab.metric("mainstay_idempotent_replays_total"), 2.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_with_another_request_is_refused_in_the_callers_dialect() {
    let lab = Lab::start(THREE);
    let anthropic = r#"{"model":"demo","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#;
    lab.send(&Ask::chat("demo").header(KEY, "one")).await.spoken().unwrap();
    let other = lab.send(&Ask::stream("demo").header(KEY, "one")).await;
    assert_eq!(other.status.as_u16(), 422);
    assert_eq!(other.json()["error"]["code"], "idempotency_error");
    let other = lab.send(&Ask::post("/anthropic/v1/messages", anthropic).header(KEY, "one")).await;
    assert_eq!((other.status.as_u16(), &other.json()["type"]), (422, &"error".into()));
    // Also while the first one is under way.
    let (chat, stream) = (Ask::chat("demo").header(KEY, "two"), Ask::stream("demo").header(KEY, "two"));
    let (first, other) = tokio::join!(lab.send(&chat), async {
        after(Duration::from_millis(5)).await;
        lab.send(&stream).await
    });
    first.spoken().unwrap();
    assert_eq!(other.status.as_u16(), 422);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_request_is_under_way_waits_for_its_answer() {
    let lab = Lab::start(THREE);
    let ask = Ask::stream("demo").header(KEY, "one");
    let (first, second) = tokio::join!(lab.send(&ask), async {
        after(Duration::from_millis(20)).await;
        lab.send(&ask).await
    });
    first.spoken().unwrap();
    assert_eq!(second.body, first.body);
    assert_eq!(lab.arrived_at_all(), 1);
    // Whoever leaves without an answer leaves the name to the next one.
    let ask = Ask::stream("demo").header(KEY, "two");
    let mut left = lab.open(&ask).await;
    let ((), next) = tokio::join!(
        async {
            left.next().await;
            left.hang_up();
        },
        lab.send(&ask)
    );
    next.spoken().unwrap();
    assert_eq!(next.header("idempotent-replayed"), "");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_what_a_key_means_and_nobody_waits_beyond_his_deadline() {
    let lab = Lab::start(&THREE.replace("- model: demo", "- model: demo\n    panic: {mode: all}"));
    let ask = Ask::chat("demo").header(KEY, "one");
    for name in ["a", "b", "c"] {
        lab.sim(name).control().set(vec![Rule::new(Fault::status(http::StatusCode::INTERNAL_SERVER_ERROR))]);
    }
    assert!(lab.send(&ask).await.status.is_server_error());
    for name in ["a", "b", "c"] {
        lab.sim(name).control().clear();
    }
    lab.send(&ask).await.spoken().unwrap();
    for name in ["a", "b", "c"] {
        lab.sim(name).control().set(vec![Rule::new(Fault::Slow { ttft: secs(20) })]);
    }
    let ask = Ask::chat("demo").header(KEY, "two");
    let hasty = ask.clone().header("x-stainless-timeout", "5");
    let (first, second) = tokio::join!(lab.send(&ask), async {
        after(Duration::from_millis(20)).await;
        lab.send(&hasty).await
    });
    first.spoken().unwrap();
    assert_eq!(second.status.as_u16(), 504, "{}", second.text());
    assert!(second.took < secs(6), "{:?}", second.took);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_is_its_callers_own_and_can_be_switched_off() {
    let keys =
        "access: keys\nkeys: {shop: {secret: '${LAB_SHOP}'}, desk: {secret: '${LAB_DESK}'}}\nupstreams:";
    let lab = Lab::start(&THREE.replace("upstreams:", keys));
    let ask = |key: &str| {
        let ask = Ask::chat("demo").header(KEY, "one");
        ask.header("authorization", &format!("Bearer secret-of-LAB_{key}"))
    };
    lab.send(&ask("SHOP")).await.spoken().unwrap();
    let other = lab.send(&ask("DESK")).await;
    assert_eq!(other.header("idempotent-replayed"), "");
    assert_eq!(lab.arrived_at_all(), 2);
    let lab = Lab::start(&THREE.replace("upstreams:", "server: {idempotency: {enabled: false}}\nupstreams:"));
    for _ in 0..2 {
        let answer = lab.send(&Ask::chat("demo").header(KEY, "one")).await;
        assert_eq!(answer.header("idempotent-replayed"), "");
    }
    assert_eq!(lab.arrived_at_all(), 2);
    assert_eq!(lab.gateway.kept()[1].1.bytes, 0);
    lab.assert_quiet().await;
}

// ---- coalescing ----------------------------------------------------------------------------------

const SHARED: &str = "
version: 1
upstreams: {a: {provider: simulated}}
routes:
  - model: demo
    coalesce: true
    channels: [{upstream: a}]
";

impl Lab {
    fn coalesced(&self) -> f64 {
        self.metric(r#"mainstay_coalesced_total{route="demo"}"#)
    }

    async fn assert_shares_nothing(&self) {
        self.assert_quiet().await;
        assert_eq!(self.gateway.shared(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn identical_requests_of_one_moment_share_an_attempt_and_get_it_as_it_comes() {
    let lab = Lab::start(SHARED);
    for (number, ask) in [Ask::chat("demo"), Ask::stream("demo")].into_iter().enumerate() {
        let later = |wait: u64| {
            let (lab, ask) = (&lab, &ask);
            async move {
                after(Duration::from_millis(wait)).await;
                lab.send(ask).await
            }
        };
        let (first, second, third) = tokio::join!(lab.send(&ask), later(20), later(40));
        first.spoken().unwrap();
        assert_eq!(lab.arrived("a"), number as u64 + 1);
        for follower in [&second, &third] {
            assert_eq!((&follower.body, follower.end), (&first.body, first.end));
            assert_eq!(follower.header("x-mainstay-coalesced"), "true");
            assert_ne!(follower.header("x-mainstay-request-id"), first.header("x-mainstay-request-id"));
            assert!(follower.took < first.took);
        }
        assert_eq!(lab.coalesced(), 2.0 * (number as f64 + 1.0));
    }
    assert!(lab.metric(r#"mainstay_tokens_saved_total{route="demo",kind="output"}"#) > 0.0);
    // Another request, or one of later, has nothing to do with it.
    lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    assert_eq!(lab.arrived("a"), 3);
    let (chat, stream) = (Ask::chat("demo"), Ask::stream("demo"));
    let (chat, stream) = tokio::join!(lab.send(&chat), lab.send(&stream));
    assert_eq!((chat.header("x-mainstay-coalesced"), stream.header("x-mainstay-coalesced")), ("", ""));
    lab.assert_shares_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_takes_nothing_from_the_others_and_the_last_one_ends_it() {
    let lab = Lab::start(SHARED);
    let ask = Ask::stream("demo");
    let mut leader = lab.open(&ask).await;
    leader.next().await;
    let (follower, ()) = tokio::join!(lab.send(&ask), async {
        after(Duration::from_millis(20)).await;
        leader.hang_up();
    });
    assert_eq!(follower.spoken(), Ok("a".to_owned()));
    assert_eq!((lab.arrived("a"), lab.coalesced()), (1, 1.0));
    // Everybody leaves: the upstream is not asked to go on.
    let leader = lab.open(&ask).await;
    let follower = lab.open(&ask).await;
    leader.hang_up();
    after(Duration::from_millis(20)).await;
    follower.hang_up();
    after(Duration::from_millis(20)).await;
    assert_eq!(lab.sim("a").control().counts().aborted, 1);
    lab.assert_shares_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn failures_are_not_shared_and_breaks_are_told_to_everybody() {
    let lab = Lab::start(&SHARED.replace("coalesce: true", "coalesce: true\n    retry: {max_attempts: 1}"));
    let ask = Ask::stream("demo");
    let error = Fault::status(http::StatusCode::BAD_REQUEST);
    lab.sim("a").control().set(vec![Rule::new(error)]);
    let (first, second) = tokio::join!(lab.send(&ask), lab.send(&ask));
    assert_eq!((first.status.as_u16(), second.status.as_u16()), (400, 400));
    assert_eq!((lab.arrived("a"), lab.coalesced()), (2, 0.0));
    lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 4, how: How::Fin })]);
    let (first, second) = tokio::join!(lab.send(&ask), lab.send(&ask));
    for answer in [&first, &second] {
        assert_eq!((answer.status.as_u16(), answer.end), (200, End::Cut));
        assert!(answer.text().contains("error"), "{}", answer.text());
    }
    assert_eq!(lab.arrived("a"), 3);
    lab.assert_shares_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn every_follower_has_his_own_deadline() {
    let lab = Lab::start(SHARED);
    lab.sim("a").control().set(vec![Rule::new(Fault::Slow { ttft: secs(8) })]);
    let ask = Ask::chat("demo");
    let hasty = ask.clone().header("x-stainless-timeout", "2");
    let (first, second) = tokio::join!(lab.send(&ask), async {
        after(Duration::from_millis(20)).await;
        lab.send(&hasty).await
    });
    first.spoken().unwrap();
    assert_eq!(second.status.as_u16(), 504, "{}", second.text());
    assert!(second.took < secs(3), "{:?}", second.took);
    lab.assert_shares_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_larger_than_what_is_shared_waits_for_its_slowest_reader_and_is_whole() {
    let lab = Lab::start(&SHARED.replace("coalesce: true", "coalesce: true\n    cache: {max_entry: 300}"));
    let ask = Ask::stream("demo");
    let (first, second, late) = tokio::join!(lab.send(&ask), lab.send(&ask), async {
        after(Duration::from_millis(250)).await;
        lab.send(&ask).await
    });
    for answer in [&first, &second, &late] {
        assert_eq!(answer.spoken(), Ok("a".to_owned()));
    }
    assert_eq!(late.header("x-mainstay-coalesced"), "", "its beginning was gone");
    assert_eq!((lab.arrived("a"), lab.coalesced()), (2, 1.0));
    lab.assert_shares_nothing().await;
}

/// One of two reads nothing at all.
#[tokio::test(start_paused = true)]
async fn who_stops_reading_holds_the_others_up_for_ten_seconds_and_is_told() {
    let long =
        SHARED.replace("provider: simulated}", "provider: simulated, simulated: {words: 2000, pace: 1ms}}");
    let lab = Lab::start(&long.replace("coalesce: true", "coalesce: true\n    cache: {max_entry: 2000}"));
    let ask = Ask::stream("demo");
    for stopped_first in [true, false] {
        // Whoever asks for all has no other rights than those who follow.
        let early = if stopped_first { Some(lab.open(&ask).await) } else { None };
        let (answer, mut stopped) = tokio::join!(lab.send(&ask), async {
            match early {
                Some(stopped) => stopped,
                None => lab.open(&ask).await,
            }
        });
        assert_eq!(answer.spoken(), Ok("a".to_owned()));
        assert!((secs(10)..secs(15)).contains(&answer.took), "{:?}", answer.took);
        let mut said = Vec::new();
        while let Some(piece) = stopped.next().await {
            said.extend_from_slice(&piece);
        }
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("was read too slowly") && !said.contains("[DONE]"), "{said}");
        stopped.hang_up();
        lab.assert_shares_nothing().await;
    }
}

/// One who is slower than the others, and reads on, is waited for.
#[tokio::test(start_paused = true)]
async fn who_reads_slowly_but_surely_gets_everything_and_so_do_the_others() {
    let long =
        SHARED.replace("provider: simulated}", "provider: simulated, simulated: {words: 2000, pace: 1ms}}");
    let lab = Lab::start(&long.replace("coalesce: true", "coalesce: true\n    cache: {max_entry: 100000}"));
    let ask = Ask::stream("demo");
    let (answer, said) = tokio::join!(lab.send(&ask), async {
        let mut slow = lab.open(&ask).await;
        let mut said = Vec::new();
        while let Some(piece) = slow.next().await {
            said.extend_from_slice(&piece);
            after(Duration::from_millis(10)).await;
        }
        slow.hang_up();
        said
    });
    assert_eq!(answer.spoken(), Ok("a".to_owned()));
    assert_eq!(said, answer.body);
    lab.assert_shares_nothing().await;
}
