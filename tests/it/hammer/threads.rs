//! What threads share and no model of `tests/models` can hold, because it stands on other people's words: hammered by
//! real threads, often enough that a mistake shows.
//!
//! Snapshots that are swapped under requests (L-06), maps with a bound (L-07), pools that retire (L-08), hedges (L-09)
//! and the caps of keys: both attempts of one are polled by one task, so its election has no word of its own to be
//! modelled.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use mainstay::config::{self, Env};
use mainstay::route::{Lack, Plan, Resend};
use mainstay::simulated::{Fault, Rule};
use mainstay::state::upstream::Memory;
use mainstay::state::{Live, Registry, Table};
use mainstay::telemetry::{Metrics, catalogue};

use crate::lab::{Ask, Lab, send};
use crate::laws;

const HEDGED: &str = "
version: 1
upstreams:
  a: {provider: simulated, simulated: {ttft: 12ms, words: 2}}
  b: {provider: simulated, simulated: {ttft: 2ms, words: 2}}
  c: {provider: simulated, simulated: {ttft: 2ms, words: 2}}
routes:
  - model: demo
    hedge: {enabled: true, delay: 10ms, max_share: 1}
    channels: [{upstream: a}, {upstream: b, tier: 1}, {upstream: c, tier: 2}]
";
const CALLERS: usize = 12;
const EACH: usize = 12;

/// Models of one upstream that are remembered apart.
const MOST_MODELS: usize = 512;

struct NoEnv;

impl Env for NoEnv {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &str) -> Result<String, String> {
        Err(format!("{path}: there are no files here"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l06_l08_l09_each_of_many_hedged_requests_is_answered_once_while_tables_and_pools_go() {
    let lab = Lab::start(HEDGED);
    // Both attempts answer at about the same moment; and now and then the first one surely later.
    lab.sim("a").control().set(vec![Rule::new(Fault::Slow { ttft: Duration::from_millis(40) }).every(4)]);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let gateway = Arc::clone(&lab.gateway);
            tokio::spawn(async move {
                let mut attempts = 0_u32;
                for turn in 0..EACH {
                    let ask = if (caller + turn).is_multiple_of(2) {
                        Ask::chat("demo")
                    } else {
                        Ask::stream("demo")
                    };
                    let answer = send(&gateway, &ask).await;
                    answer.spoken().expect("a whole answer");
                    attempts += answer.header("x-mainstay-attempts").parse::<u32>().unwrap();
                }
                attempts
            })
        })
        .collect();
    // Meanwhile other tables come into force; in the middle of it one of the pools retires.
    let other = HEDGED.replace("model: demo", "model: demo\n    select: lowest_latency");
    for reload in 0..40 {
        lab.reload(if reload % 2 == 0 { &other } else { HEDGED });
        if reload == 20 {
            lab.gateway.snapshot().pools[1].retire();
        }
        tokio::task::yield_now().await;
    }
    lab.reload(HEDGED);
    let mut attempts = 0;
    for caller in callers {
        attempts += caller.await.expect("a caller of the lab does not panic");
    }
    let requests = (CALLERS * EACH) as f64;
    assert_eq!(lab.metric_sum("mainstay_requests_total", &["outcome=\"ok\""]), requests);
    assert_eq!(lab.metric_sum("mainstay_requests_total", &[]), requests, "each is booked once");
    let hedges = |result| lab.metric_sum("mainstay_hedges_total", &[&format!("result=\"{result}\"")]);
    let (decided, failed) = (hedges("won") + hedges("lost"), hedges("failed"));
    assert_eq!((decided, failed), (f64::from(attempts) - requests, 0.0), "each has one winner");
    assert!(decided > 0.0, "some were hedged");
    assert_eq!(lab.kept("b"), 0, "what has retired keeps nothing");
    lab.becomes_quiet().await;
}

#[test]
fn l07_a_series_that_many_threads_begin_at_once_is_one_and_counts_them_all() {
    const THREADS: u64 = 8;
    for _ in 0..50 {
        let (metrics, start) = (Metrics::new(), Barrier::new(THREADS as usize));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    metrics.counter(&catalogue::REQUESTS, &["demo", "openai", "ok"]).increment(1);
                });
            }
        });
        let text = metrics.render();
        let series: Vec<_> =
            text.lines().filter(|line| line.starts_with("mainstay_requests_total{")).collect();
        assert_eq!(
            series,
            [format!(r#"mainstay_requests_total{{route="demo",dialect="openai",outcome="ok"}} {THREADS}"#)]
        );
    }
}

#[test]
fn l07_an_upstream_remembers_no_more_models_apart_than_may_be_whoever_names_new_ones_at_once() {
    const THREADS: usize = 4;
    let file = "{version: 1, upstreams: {a: {provider: simulated}}, routes: [{model: m, channels: [{upstream: a}]}]}";
    let blueprint = config::load(file, &NoEnv).expect("a good file").blueprint;
    for _ in 0..20 {
        let memory = Memory::new("a".into(), &blueprint.upstreams[0]);
        let start = Barrier::new(THREADS);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (memory, start) = (&memory, &start);
                scope.spawn(move || {
                    start.wait();
                    for name in 0..MOST_MODELS {
                        memory.model(&format!("{thread}-{name}"), None);
                    }
                });
            }
        });
        assert_eq!(memory.models.len(), MOST_MODELS + 1, "and one that all others share");
        let known = memory.models.iter().next().expect("there are some").name.to_string();
        assert!(Arc::ptr_eq(&memory.model(&known, None), &memory.model(&known, None)));
    }
}

/// Of all who come at once for the last of a cap, so many go out as it allows; the others are told when to come again.
#[test]
fn a_cap_holds_whoever_comes_at_once() {
    const THREADS: usize = 4;
    const CAP: usize = 3;
    for upstream in [
        "{provider: simulated, quota: {rpm: 3}}",
        "{provider: simulated, credentials: [secret-k-1111], quota: {rpm: 3}}",
    ] {
        for seed in 0..400 {
            let file = format!(
                "{{version: 1, upstreams: {{a: {upstream}}}, routes: [{{model: demo, channels: [{{upstream: a}}]}}]}}"
            );
            let blueprint = config::load(&file, &NoEnv).expect("a good file").blueprint;
            let live = Arc::new(Live::seeded(seed));
            let table = Table::compile(&blueprint, &mut Registry::default(), &live);
            let (need, start) = (laws::need(&live, Resend::Allowed), Barrier::new(THREADS));
            let came = || {
                start.wait();
                (0..CAP)
                    .filter(|_| match Plan::begin(&table, 0).choose(&need) {
                        Ok(permit) => {
                            permit.finish();
                            true
                        }
                        Err(why) => {
                            assert_eq!(why.lack, Lack::Credentials, "it is a limit, and no outage");
                            assert!(
                                why.soonest.is_some_and(|wait| wait > Duration::from_secs(50)),
                                "{why:?}"
                            );
                            false
                        }
                    })
                    .count()
            };
            let served: usize = thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(came)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
            });
            assert_eq!(served, CAP, "{upstream}");
        }
    }
}
