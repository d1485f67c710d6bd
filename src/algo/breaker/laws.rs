//! The laws P-B01 to P-B13 of RESILIENCE 6, for any history.

use std::time::Duration;

use proptest::prelude::*;

use super::commands::{Command, World, commands, ms, settings};
use super::{Admissible, Kind, Reason, Rule, Settings, Signal, State};
use crate::algo::ring::Counts;

fn legal(from: State, to: State, reason: Reason) -> bool {
    match reason {
        Reason::Consecutive | Reason::Fast | Reason::Slow | Reason::SlowCalls => {
            from == State::Closed && matches!(to, State::Open { .. })
        }
        Reason::TrialFailed | Reason::LeaseExpired => {
            from == State::HalfOpen && matches!(to, State::Open { .. })
        }
        Reason::OpenElapsed | Reason::ProbeRose => {
            matches!(from, State::Open { .. }) && to == State::HalfOpen
        }
        Reason::TrialsPassed => from == State::HalfOpen && to == State::Closed,
        Reason::Forced => from != to,
    }
}

/// A stream that comes to its end.
fn world_completes(world: &mut World) {
    world.attempt(Signal::Success);
    world.run(Command::Complete(0));
}

proptest! {
    #[test]
    fn p_b01_02_03_05_06_11_hold_after_every_command(commands in commands()) {
        let mut world = World::new(settings());
        let mut opened_at = world.now;
        let mut level_then = 0;
        for command in commands {
            let before = world.clone();
            let effect = world.run(command);
            let (old, new) = (&before.breaker, &world.breaker);
            // P-B01: a legal transition and one generation, or neither.
            let began = new.generation() - old.generation();
            if let Some(moved) = effect.transition {
                    prop_assert_eq!(began, 1);
                    prop_assert_eq!((moved.from, moved.to), (old.state(), new.state()));
                    prop_assert!(legal(moved.from, moved.to, moved.reason), "{:?}", moved);
            } else {
                prop_assert_eq!((began, old.state()), (0, new.state()));
            }
            // P-B02: what kind of permit each state issues.
            if let Some(permit) = effect.permit {
                prop_assert_eq!(permit.generation, new.generation());
                prop_assert_eq!(permit.kind.is_trial(), new.state() == State::HalfOpen);
            }
            // P-B03
            let snapshot = new.snapshot(world.now);
            prop_assert!(snapshot.leases <= 2 && snapshot.leases + usize::from(snapshot.passed) <= 3);
            // P-B05: what comes late changes nothing but what the time itself changed.
            if let (Command::Settle(at, _) | Command::Later(at, _), true) = (command, effect.late) {
                if before.permit(at).is_some_and(|permit| permit.generation != old.generation()) {
                    prop_assert_eq!(old, new);
                } else if let Some(moved) = effect.transition {
                    prop_assert_eq!(moved.reason, Reason::LeaseExpired);
                }
            }
            // P-B06 and P-B11
            if let Some(moved) = effect.transition {
                if let State::Open { until } = moved.to {
                    let open = until.since(world.now);
                    prop_assert!(open >= ms(300) && open <= ms(3_600).max(ms(5_000)), "{:?}", open);
                    prop_assert!(new.level() >= 1 && new.level() <= level_then.max(old.level()) + 1);
                    opened_at = world.now;
                }
                if matches!(moved.from, State::Open { .. }) && moved.reason != Reason::Forced {
                    prop_assert!(world.now.since(opened_at) >= ms(300));
                }
            }
            if old.state() != State::Closed && !matches!(command, Command::Reset) {
                prop_assert!(new.level() >= old.level(), "decays in the closed state only");
            }
            level_then = new.level();
        }
    }

    #[test]
    fn p_b04_no_lease_is_left_when_every_permit_is_settled(commands in commands()) {
        let mut world = World::new(settings());
        for command in commands {
            world.run(command);
        }
        for permit in world.permits.clone() {
            let _ = world.breaker.settle(permit, Signal::Neutral, world.now, &mut world.dice);
        }
        prop_assert_eq!(world.breaker.snapshot(world.now).leases, 0);
    }

    #[test]
    fn what_is_admissible_is_admitted(commands in commands()) {
        let mut world = World::new(settings());
        for command in commands {
            world.run(command);
            let mut twin = world.clone();
            let told = twin.breaker.admissible(twin.now);
            let got = twin.breaker.admit(twin.now, &mut twin.dice);
            match (told, got) {
                (Admissible::Normal, Ok((permit, _))) => prop_assert_eq!(permit.kind, Kind::Normal),
                (Admissible::Trial, Ok((permit, _))) => prop_assert!(permit.kind.is_trial()),
                // Asking was worth it: it ended the lease that nobody else would have ended.
                (Admissible::Trial, Err(refused)) => {
                    prop_assert_eq!(refused.transition.map(|moved| moved.reason), Some(Reason::LeaseExpired));
                }
                (Admissible::Refused { until }, Err(refused)) => {
                    prop_assert_eq!(until, refused.until);
                    prop_assert_eq!(refused.transition, None);
                }
                (told, got) => prop_assert!(false, "{:?} but {:?}", told, got),
            }
        }
    }

    #[test]
    fn p_b07_it_closes_in_bounded_time_once_all_goes_well(commands in commands()) {
        let mut world = World::new(settings());
        for command in commands {
            if !matches!(command, Command::Force(_)) {
                world.run(command);
            }
        }
        // The longest open time, three trials, and a lease that was out when things went well again.
        let end = world.now + ms(5_000) + ms(3 * 2_000) + ms(2_000) + ms(3_600);
        while world.breaker.state() != State::Closed {
            prop_assert!(world.now < end, "stuck in {:?}", world.breaker.state());
            world.attempt(Signal::Success);
            world.wait(ms(50));
        }
    }

    #[test]
    fn p_b07_trials_that_all_say_nothing_call_for_a_synthetic_one(commands in commands()) {
        let mut world = World::new(settings());
        for command in commands {
            if !matches!(command, Command::Force(_)) {
                world.run(command);
            }
        }
        let end = world.now + ms(20_000);
        while world.breaker.state() != State::Closed && !world.breaker.wants_probe(world.now) {
            prop_assert!(world.now < end);
            world.attempt(Signal::Neutral);
            world.wait(ms(50));
        }
    }

    #[test]
    fn p_b08_only_successes_never_open_and_only_failures_open_after_exactly_n(
        gaps in prop::collection::vec(0..2_000_u64, 100), n in 1..6_u32,
    ) {
        let rule = Settings { consecutive: super::Consecutive { failures: n, max_age: ms(600_000) }, ..settings() };
        let (mut well, mut ill) = (World::new(rule.clone()), World::new(rule));
        for (done, gap) in (1..).zip(gaps) {
            prop_assert_eq!(well.attempt(Signal::Success).transition, None);
            if done <= n {
                let moved = ill.attempt(Signal::Failure).transition;
                prop_assert_eq!(moved.map(|moved| moved.reason), (done == n).then_some(Reason::Consecutive));
            }
            well.wait(ms(gap));
            ill.wait(ms(gap));
        }
    }

    #[test]
    fn p_b08_streams_that_all_break_open_after_exactly_n_and_complete_ones_forgive(
        gaps in prop::collection::vec(0..2_000_u64, 100), n in 1..6_u32,
    ) {
        let never = Rule { window: ms(6_000), min: u32::MAX, rate: 1.0 };
        let consecutive = super::Consecutive { failures: n, max_age: ms(600_000) };
        let rule = Settings { consecutive, fast: never, slow: never, slow_call: None, ..settings() };
        let (mut well, mut ill) = (World::new(rule.clone()), World::new(rule));
        let broke = |world: &mut World| {
            world.attempt(Signal::Success);
            world.run(Command::Later(0, Signal::StreamFailure)).transition
        };
        for (done, gap) in (1..).zip(gaps) {
            if n > 1 {
                prop_assert_eq!(broke(&mut well), None);
                world_completes(&mut well);
            }
            if done <= n {
                let moved = broke(&mut ill);
                prop_assert_eq!(moved.map(|moved| moved.reason), (done == n).then_some(Reason::Consecutive));
            }
            well.wait(ms(gap));
            ill.wait(ms(gap));
        }
    }

    #[test]
    fn p_b09_one_more_failure_never_makes_it_trip_later(
        history in prop::collection::vec((any::<bool>(), 0..400_u64), 1..60), at in any::<prop::sample::Index>(),
    ) {
        let tripped_at = |history: &[(bool, u64)]| {
            let mut world = World::new(settings());
            history.iter().position(|&(good, gap)| {
                world.wait(ms(gap));
                world.attempt(if good { Signal::Success } else { Signal::Failure }).transition.is_some()
            }).unwrap_or(usize::MAX)
        };
        let mut worse = history.clone();
        worse[at.index(history.len())].0 = false;
        prop_assert!(tripped_at(&worse) <= tripped_at(&history));
    }

    #[test]
    fn p_b10_below_its_minimum_no_window_trips(bad in 0..40_u32, min in 0..40_u32) {
        let off = Settings { consecutive: super::Consecutive { failures: 0, max_age: ms(1) }, ..settings() };
        let never = Rule { window: ms(6_000), min: u32::MAX, rate: 0.0 };
        let fast = Rule { window: ms(1_000), min, rate: 0.5 };
        let mut world = World::new(Settings { fast, slow: never, ..off });
        let trips = (1..=bad).find(|_| world.attempt(Signal::Failure).transition.is_some());
        prop_assert_eq!(trips, (bad >= min.max(1)).then_some(min.max(1)));
    }

    #[test]
    fn p_b12_a_forced_breaker_heeds_no_outcome_and_forgets(commands in commands(), open in any::<bool>()) {
        let mut world = World::new(settings());
        let (forced, state) = if open {
            (super::Forced::Open, State::ForcedOpen)
        } else {
            (super::Forced::Closed, State::ForcedClosed)
        };
        world.run(Command::Force(forced));
        for command in commands {
            if !matches!(command, Command::Force(_) | Command::Reset) {
                world.run(command);
                prop_assert_eq!(world.breaker.state(), state);
            }
        }
        world.run(Command::Force(super::Forced::Release));
        let snapshot = world.breaker.snapshot(world.now);
        prop_assert_eq!((snapshot.state, snapshot.consecutive), (State::Closed, 0));
        prop_assert_eq!((snapshot.fast, snapshot.slow), (Counts::default(), Counts::default()));
    }

    #[test]
    fn p_b13_what_is_not_the_upstreams_fault_never_trips(
        history in prop::collection::vec((any::<bool>(), 0..200_u64), 1..300),
    ) {
        let mut world = World::new(settings());
        for (client, gap) in history {
            let signal = if client { Signal::ClientFault } else { Signal::Neutral };
            prop_assert_eq!(world.attempt(signal).transition, None);
            world.wait(ms(gap));
        }
    }

    #[test]
    fn any_time_and_any_numbers_are_survived(
        commands in commands(), leaps in prop::collection::vec(any::<u64>(), 20),
        mult in prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-3.0), Just(0.0), Just(1e300)],
    ) {
        let mut wild = settings();
        wild.open = super::Open {
            base: Duration::MAX, mult, max: Duration::MAX, jitter: mult, retry_after_cap: Duration::MAX,
        };
        wild.decay_interval = Duration::ZERO;
        wild.fast.window = Duration::ZERO;
        wild.half_open.max_concurrent = 0;
        wild.half_open.success_threshold = 0;
        let mut world = World::new(wild);
        for (command, leap) in commands.into_iter().zip(leaps.into_iter().cycle()) {
            world.now = crate::algo::tick::Tick::from_nanos(leap);
            world.run(command);
        }
    }
}
