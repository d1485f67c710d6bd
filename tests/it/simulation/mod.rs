//! Deterministic simulation: random configurations, outages, callers who hang up, reloads, restarts, freezes and steps
//! of the wall's clock, all from one number, against the laws of resilience. What breaks a law breaks it again with the
//! same seed:
//!
//! ```console
//! $ MAINSTAY_SEED=17 cargo test --test it simulation
//! $ scripts/simulate-seeds 100000
//! ```

mod chaos;
mod laws;
mod quotas;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use mainstay::algo::tick::Tick;
use mainstay::config::rehearsal::Form;
use mainstay::sim::{self, Rehearsal, Seen, WallStep, Witness};
use mainstay::state::Table;

use chaos::Chaos;
use laws::Laws;

/// In a run of the tests; `MAINSTAY_SEEDS` says otherwise.
const SEEDS: u64 = 256;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a whole number")))
}

/// Runs one seed; the laws that it broke.
fn broken_by(seed: u64) -> Vec<String> {
    let chaos = Chaos::of(seed);
    let mut laws = Laws::new(&chaos);
    sim::run(&chaos.rehearsal(), &mut laws).expect("every call has a route");
    laws.broken()
}

#[test]
fn no_law_is_broken_by_any_seed() {
    let (first, seeds) = match number("MAINSTAY_SEED") {
        Some(seed) => (seed, 1),
        None => (0, number("MAINSTAY_SEEDS").unwrap_or(SEEDS)),
    };
    let next = AtomicU64::new(first);
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).min(8);
    let work = || {
        let mut broken = Vec::new();
        loop {
            let seed = next.fetch_add(1, Relaxed);
            // What is broken once need not be broken a thousand times.
            if seed >= first + seeds || broken.len() >= 3 {
                return broken;
            }
            let found = broken_by(seed);
            if !found.is_empty() {
                broken.push(format!("MAINSTAY_SEED={seed}\n  {}", found.join("\n  ")));
            }
        }
    };
    let broken: Vec<String> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        running.into_iter().flat_map(|thread| thread.join().expect("no seed panics")).collect()
    });
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    if seeds > SEEDS {
        println!("{seeds} seeds broke no law");
    }
}

/// Writes everything down.
#[derive(Default)]
struct Trace(Vec<String>);

impl Witness for Trace {
    fn saw(&mut self, now: Tick, seen: &Seen<'_>) {
        self.0.push(format!("{} {seen:?}", now.nanos()));
    }

    fn closed(&mut self, now: Tick, tables: &[&Table]) {
        for upstream in tables.iter().flat_map(|table| &table.upstreams) {
            self.0.push(format!("{:?}", upstream.memory.gate.snapshot(now)));
        }
    }
}

#[test]
fn the_same_seed_leaves_the_same_trace() {
    let trace = |seed| {
        let mut trace = Trace::default();
        sim::run(&Chaos::of(seed).rehearsal(), &mut trace).expect("every call has a route");
        trace.0
    };
    let mut lengths = Vec::new();
    for seed in 0..6 {
        let (one, two) = (trace(seed), trace(seed));
        let differs = one.iter().zip(&two).position(|(one, two)| one != two);
        assert_eq!(differs, None, "seed {seed}: event {differs:?} of two runs is another one");
        assert_eq!(one.len(), two.len(), "seed {seed}");
        lengths.push(one.len());
    }
    lengths.dedup();
    assert!(lengths.len() > 3, "seeds differ: {lengths:?}");
}

#[test]
fn the_seeds_meet_everything_that_there_is_to_meet() {
    let mut met = laws::Met::default();
    for seed in 0..48 {
        let chaos = Chaos::of(seed);
        let mut laws = Laws::new(&chaos);
        sim::run(&chaos.rehearsal(), &mut laws).expect("every call has a route");
        met.add(&laws.met);
    }
    let laws::Met {
        trials,
        forced,
        retries,
        paid,
        commits,
        broken,
        failed,
        hung_up,
        reloads,
        froze,
        opened,
        ..
    } = met;
    let laws::Met { hedges, legs, queued, stepped, restarts, capped, .. } = met;
    for (what, count) in [
        ("trials", trials),
        ("forced attempts", forced),
        ("retries", retries),
        ("retries from a budget", paid),
        ("commits", commits),
        ("broken answers", broken),
        ("failed requests", failed),
        ("callers who hung up", hung_up),
        ("reloads", reloads),
        ("freezes", froze),
        ("breakers that opened", opened),
        ("hedges", hedges),
        ("legs", legs),
        ("waits for room", queued),
        ("steps of the wall's clock", stepped),
        ("restarts", restarts),
        ("quotas that were used up", capped),
    ] {
        assert!(count > 10, "{count} {what}");
    }
}

/// S38: whatever somebody sets the wall's clock to while breakers are open and keys rest, nothing happens earlier
/// or later for it.
#[test]
fn a_wall_clock_that_is_set_changes_nothing_that_is_counted_in_ticks() {
    let mut trials = 0;
    for seed in 0..24 {
        let mut chaos = Chaos::of(seed);
        // Dates are read by that clock, and nothing else is.
        for outage in &mut chaos.script.outages {
            outage.form = Form::Seconds;
        }
        let trace = |steps: &[WallStep]| {
            let mut trace = Trace::default();
            let rehearsal = Rehearsal { steps: steps.to_vec(), ..chaos.rehearsal() };
            sim::run(&rehearsal, &mut trace).expect("every call has a route");
            // What a process writes down is dated.
            trace.0.retain(|line| !line.contains("WallStepped") && !line.contains("Restarted"));
            trace.0
        };
        let at = |second| Duration::from_secs(second);
        let steps = [
            WallStep { at: at(5), by: 3600 },
            WallStep { at: at(15), by: -7200 },
            WallStep { at: at(30), by: 3600 },
        ];
        let (still, stepped) = (trace(&[]), trace(&steps));
        trials += still.iter().filter(|line| line.contains("passage: Trial")).count();
        let differs = still.iter().zip(&stepped).position(|(one, two)| one != two);
        assert_eq!((differs, still.len()), (None, stepped.len()), "seed {seed}");
    }
    assert!(trials > 24, "breakers were open meanwhile: {trials} trials");
}
