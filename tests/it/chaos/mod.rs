//! The real binary between three upstreams in processes of their own, which are killed, stopped and made to fail
//! all the while, and callers of every dialect, over sockets, who must notice nothing of it.
//!
//! `cargo test --test it chaos::` runs one cycle of faults; in CI it is three minutes.
//! `MAINSTAY_CHAOS_SECS` and `MAINSTAY_CHAOS_SEED` choose others; what goes wrong when repeats from the seed, though
//! not which word of which stream it hits.
//!
//! What is asserted: every answer that can be had is whole, in its dialect's order, and word for word what one
//! upstream began to say; an answer of which that is not so was barred from being continued, and says so;
//! tokens told are tokens counted. And behind it all: breakers close, gauges are at zero, memory does not grow.

mod callers;
mod report;
mod schedule;
mod upstream;
mod vitals;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use callers::{Fared, Outcome, Wish, call, now};
use report::{of_wrong, table};
use schedule::{CYCLE, Episode, Kind, schedule};
use upstream::Upstream;
use vitals::{Scrape, Vitals};

use crate::process::{Gateway, wait_for};

/// Words of an answer, the seal not counted.
pub const WORDS: u32 = 80;
/// Between two words: answers of the three upstreams take two to three and a half seconds.
const PACES_MS: [u64; 3] = [25, 34, 43];
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Eight callers a second, some thirty at a time.
const EVERY: Duration = Duration::from_millis(125);
/// Longest time from the last fault to the last closed breaker, with callers there: `breaker.open.max` with its jitter,
/// the trials, and a slow machine.
const HEALED_SECS: u32 = 40;
/// What the allocator may keep, and one more burst of streams.
const GROWTH_MIB: f64 = 12.0;

/// Faults last seconds here, and streams three: whatever is a time is about a tenth of its default. Whoever was ill is
/// asked again, a fifth of jitter included, before the one who was sound no longer is ([`schedule::AFTER_TWO`]). A
/// place comes free when a stream ends, which takes three seconds and more, not a second. Retries are allowed for,
/// since up to half of all attempts fail.
const ROUTING: &str = r#"
version: 1
server: {listen: LISTEN, admin: ADMIN, retry_budget: {ratio: 1, reserve_per_sec: 10}}
upstreams:
  a: {provider: custom, dialect: openai, base_url: "http://AT_A/v1"}
  b: {provider: custom, dialect: anthropic, base_url: "http://AT_B"}
  c: {provider: custom, dialect: gemini, base_url: "http://AT_C"}
defaults:
  timeouts: {connect: 1s, ttfb: 2s, first_event: 2s, idle: 2s}
  breaker: {open: {base: 500ms, max: 4s}, decay_interval: 3s}
  retry: {budget: {ratio: 1, reserve_per_sec: 10}}
routes:
  - {model: demo, continuation: any, queue: {timeout: 4s}, channels: [{upstream: a, model: m}, {upstream: b, model: m}, {upstream: c, model: m}]}
  - {model: held, delivery: buffered, queue: {timeout: 4s}, channels: [{upstream: a, model: h}, {upstream: b, model: h}, {upstream: c, model: h}]}
  - {model: whole, queue: {timeout: 4s}, channels: [{upstream: a, model: w}, {upstream: b, model: w}, {upstream: c, model: w}]}
  - {model: formed, continuation: any, queue: {timeout: 4s}, channels: [{upstream: a, model: f}, {upstream: b, model: f}, {upstream: c, model: f}]}
"#;

#[test]
fn callers_notice_nothing_while_processes_die_hang_and_break_streams() {
    let (seed, lasting) = (seed(), lasting());
    println!("seed {seed}: {} s of faults", lasting.as_secs());
    let mut upstreams =
        [0, 1, 2].map(|index| Upstream::start(NAMES[index], WORDS, Duration::from_millis(PACES_MS[index])));
    let routing = ["AT_A", "AT_B", "AT_C"]
        .iter()
        .zip(&upstreams)
        .fold(ROUTING.to_owned(), |text, (place, upstream)| {
            text.replace(place, &upstream.address.to_string())
        });
    let gateway = Gateway::start(&routing);
    let episodes = schedule(seed, lasting);
    let start = now();
    let over = AtomicBool::new(false);
    let (fared, healed, memory) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask_until(&gateway, start, &over));
        let watching = scope.spawn(|| watch_until(&gateway, &over));
        act(&mut upstreams, &episodes, start);
        wait_until(start + lasting);
        // All is well again; callers go on, since it is they who bring the proof.
        let healed =
            wait_for(HEALED_SECS, || Scrape::of(&gateway).open().is_empty().then(|| start.elapsed()));
        over.store(true, Ordering::SeqCst);
        let fared = asking.join().expect("callers do not panic");
        (fared, healed, watching.join().expect("who watches does not panic"))
    });
    let quiet = wait_for(10, || Scrape::of(&gateway).busy().is_empty().then_some(()));
    let scrape = Scrape::of(&gateway);
    let after = gateway.vitals();
    println!("{}", table(&episodes, &fared, &scrape, healed.map(|at| at.saturating_sub(lasting)), &memory));

    let wrong: Vec<String> = fared.iter().filter_map(|one| of_wrong(one, &episodes)).collect();
    if !wrong.is_empty() {
        let failed =
            |line: &&str| line.contains("\"outcome\":\"failed\"") || line.contains("\"outcome\":\"broken\"");
        let log = gateway.log();
        println!("{}", log.lines().filter(failed).collect::<Vec<_>>().join("\n"));
    }
    assert!(wrong.is_empty(), "seed {seed}: {} of {}:\n{}", wrong.len(), fared.len(), wrong.join("\n"));
    let told = |one: &&Fared| matches!(one.outcome, Outcome::Told);
    assert!(fared.iter().filter(told).all(|one| one.wish == Wish::Formed), "seed {seed}");
    let continued = scrape.sum("mainstay_continuations_total", &["demo", "\"continued\""]);
    assert!(continued >= lasting.as_secs_f64() / 4.0, "seed {seed}: only {continued} were continued");
    for (kind, at) in [("input", 0), ("output", 1)] {
        let counted = scrape.sum("mainstay_tokens_total", &["model=\"m\"", &format!("kind=\"{kind}\"")]);
        let told = fared.iter().filter(|one| one.wish == Wish::Stream).filter_map(|one| one.usage);
        let told: u64 = told.map(|(input, output)| [input, output][at]).sum();
        assert_eq!(told as f64, counted, "seed {seed}: {kind} tokens that were told, and counted");
    }
    assert!(healed.is_some(), "seed {seed}: open after {HEALED_SECS} s: {:?}", scrape.open());
    assert!(quiet.is_some(), "seed {seed}: not over: {:?}", scrape.busy());
    for upstream in &mut upstreams {
        assert_eq!(upstream.in_flight(), 0, "seed {seed}: requests that {} works on", upstream.name);
    }
    if let Some((before, after)) = memory.first().zip(after) {
        let idle = scrape.sum("mainstay_pool_connections", &["\"idle\""]) as usize;
        assert!(after.files <= before.files + idle + 4, "seed {seed}: files left open: {before:?} {after:?}");
        // Those for files come and go: what has nothing to do ends within ten seconds.
        let few = wait_for(20, || gateway.vitals().filter(|now| now.threads <= before.threads + 1));
        assert!(few.is_some(), "seed {seed}: threads: {before:?} {after:?}");
        let growth = growth(&memory);
        assert!(growth <= GROWTH_MIB, "seed {seed}: memory grew by {growth} MiB: {memory:?}");
    }
}

fn seed() -> u64 {
    let said = std::env::var("MAINSTAY_CHAOS_SEED").ok();
    said.map_or(2026, |seed| seed.parse().expect("MAINSTAY_CHAOS_SEED: a number"))
}

fn lasting() -> Duration {
    let said = std::env::var("MAINSTAY_CHAOS_SECS").ok();
    let ci = std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false");
    let usual = if ci { Duration::from_mins(3) } else { CYCLE };
    said.map_or(usual, |secs| Duration::from_secs(secs.parse().expect("MAINSTAY_CHAOS_SECS: seconds")))
}

impl Gateway {
    fn vitals(&self) -> Option<Vitals> {
        Vitals::of(self.id())
    }
}

impl Fared {
    fn wrong(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Good | Outcome::Told => None,
            Outcome::Wrong(why) => Some(why),
        }
    }
}

/// A caller every moment, until it is over; then all that they got.
fn ask_until(gateway: &Gateway, start: Instant, over: &AtomicBool) -> Vec<Fared> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let mut callers = Vec::new();
        let mut pace = tokio::time::interval(EVERY);
        while !over.load(Ordering::SeqCst) {
            pace.tick().await;
            callers.push(tokio::spawn(call(gateway.callers, callers.len(), start)));
        }
        let mut fared = Vec::new();
        for caller in callers {
            fared.push(caller.await.expect("a caller does not panic"));
        }
        fared
    })
}

/// What the gateway's process takes, from second to second.
fn watch_until(gateway: &Gateway, over: &AtomicBool) -> Vec<Vitals> {
    let mut seen = Vec::new();
    while !over.load(Ordering::SeqCst) {
        seen.extend(gateway.vitals());
        std::thread::sleep(Duration::from_secs(1));
    }
    seen
}

/// Does what the schedule says, when it says it, and leaves all upstreams well.
fn act(upstreams: &mut [Upstream; 3], episodes: &[Episode], start: Instant) {
    let begins = episodes.iter().map(|episode| (episode.from, episode, true));
    let ends = episodes.iter().map(|episode| (episode.until, episode, false));
    let mut acts: Vec<_> = begins.chain(ends).collect();
    acts.sort_by_key(|(at, _, _)| *at);
    for (at, episode, begins) in acts {
        wait_until(start + at);
        let upstream = &mut upstreams[episode.upstream];
        match (episode.kind, begins) {
            (Kind::Kill, true) => upstream.kill(),
            (Kind::Kill, false) => upstream.revive(),
            (Kind::Hang, true) => upstream.stop(),
            (Kind::Hang, false) => upstream.go_on(),
            (_, true) => upstream.set(episode.rule.as_slice()),
            (_, false) => upstream.set(&[]),
        }
    }
}

fn wait_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(now()));
}

/// MiB between the largest of the first third of a run, and of the last.
fn growth(memory: &[Vitals]) -> f64 {
    let third = memory.len() / 3;
    let most = |of: &[Vitals]| of.iter().map(|seen| seen.memory_mib).fold(0.0, f64::max);
    most(&memory[memory.len() - third..]) - most(&memory[..third])
}
