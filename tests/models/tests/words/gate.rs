//! L-01 to L-04: `state::gate`, a breaker that many threads share behind one word.
//!
//! By loom: the word is one atomic beside one lock, and what could be wrong is an order of two writes.

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicU32, Ordering::SeqCst};
use mainstay_models::algo::breaker::{
    Consecutive, HalfOpen, Kind, Permit, Reason, Settings, Signal, State, Transition,
};
use mainstay_models::algo::tick::Tick;
use mainstay_models::state::gate::{Completed, Gate, Rescue, Standing};

use super::{Work, at, dice, explore, together};

const TRIAL_ENDS: u64 = 30;

fn settings(failures: u32, half_open: HalfOpen) -> Settings {
    let mut settings = Settings {
        consecutive: Consecutive { failures, max_age: Duration::from_hours(1) },
        half_open,
        ..Settings::default()
    };
    settings.open.jitter = 0.0;
    settings
}

fn trials(max_concurrent: u8, success_threshold: u8) -> HalfOpen {
    let probe_timeout = Duration::from_secs(TRIAL_ENDS);
    HalfOpen { max_concurrent, success_threshold, probe_timeout, ..HalfOpen::default() }
}

fn gate(failures: u32, half_open: HalfOpen) -> Arc<Gate> {
    Arc::new(Gate::new(settings(failures, half_open), Rescue::None))
}

fn admit(gate: &Gate, now: Tick) -> Option<Permit> {
    gate.admit(now, &mut dice()).ok().map(|(permit, _)| permit)
}

/// A gate that one failure has opened, and the first moment of its trials.
fn tripped(half_open: HalfOpen) -> (Arc<Gate>, Tick) {
    let gate = gate(1, half_open);
    let permit = admit(&gate, at(1)).expect("it is closed");
    let _ = gate.settle(permit, Signal::Failure, at(1), at(1), &mut dice());
    let State::Open { until } = gate.state() else { panic!("one failure opens it") };
    (gate, until)
}

/// Comes in at `began`, and says how it went a second later; what came of that.
fn attempt(gate: &Arc<Gate>, signal: Signal, began: u64) -> Work<Option<Transition>> {
    let gate = Arc::clone(gate);
    Box::new(move || {
        let permit = admit(&gate, at(began))?;
        gate.settle(permit, signal, at(began), at(began + 1), &mut dice()).transition
    })
}

#[test]
fn l01_what_three_attempts_say_is_all_heard_and_the_word_says_what_the_breaker_knows() {
    explore(&[()], || {
        let gate = gate(3, trials(1, 1));
        let [one, two, three] = together([
            attempt(&gate, Signal::Failure, 3),
            attempt(&gate, Signal::Failure, 3),
            attempt(&gate, Signal::Success, 1),
        ]);
        assert_eq!((one, two, three), (None, None, None));
        let known = gate.snapshot(at(4));
        assert_eq!((known.fast.fail, known.fast.ok, known.generation), (2, 1, 0), "nothing is lost");
        assert_eq!(gate.standing(at(4)), Standing::Last, "nobody comes in as if nothing had failed");
    });
}

#[test]
fn l01_an_answer_that_ends_well_takes_back_no_failure_that_came_after_it_began() {
    explore(&[()], || {
        let gate = gate(3, trials(1, 1));
        let ended = Arc::clone(&gate);
        together([
            attempt(&gate, Signal::StreamFailure, 3),
            Box::new(move || {
                ended.completed(Completed::Stream, at(2));
                None
            }),
        ]);
        assert_eq!(gate.standing(at(4)), Standing::Last);
        // What begins later is believed, and the word lets everybody in again.
        gate.completed(Completed::Stream, at(5));
        let permit = admit(&gate, at(5)).expect("it is closed");
        let _ = gate.settle(permit, Signal::Success, at(5), at(6), &mut dice());
        assert_eq!(gate.standing(at(6)), Standing::Clear);
    });
}

#[test]
fn l02_of_a_crowd_that_comes_when_trials_are_due_no_more_come_in_than_may() {
    explore(&[2, 3], || {
        let (gate, due) = tripped(trials(2, 3));
        let inside = Arc::new(AtomicU32::new(0));
        let comes = || -> Work<u32> {
            let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
            Box::new(move || {
                let Some(permit) = admit(&gate, due) else { return 0 };
                assert!(permit.kind.is_trial(), "a gate that is not closed admits trials only");
                assert!(inside.fetch_add(1, SeqCst) < 2, "two at a time");
                inside.fetch_sub(1, SeqCst);
                let _ = gate.settle(permit, Signal::Neutral, due, due, &mut dice());
                1
            })
        };
        let admitted: u32 = together([comes(), comes(), comes()]).iter().sum();
        assert_eq!(gate.snapshot(due).leases, 0, "every lease is given back");
        assert_eq!(gate.state(), State::HalfOpen);
        admitted
    });
}

#[test]
fn l02_trials_that_all_stay_are_as_many_as_may() {
    explore(&[2], || {
        let (gate, due) = tripped(trials(2, 4));
        // One has passed, so it is not its last failure that keeps anybody away.
        let first = admit(&gate, due).expect("the first trial");
        let _ = gate.settle(first, Signal::Success, due, due, &mut dice());
        let comes = || -> Work<usize> {
            let gate = Arc::clone(&gate);
            Box::new(move || usize::from(admit(&gate, due).is_some()))
        };
        let admitted: usize = together([comes(), comes(), comes()]).iter().sum();
        assert_eq!(gate.snapshot(due).leases, admitted);
        admitted
    });
}

/// How the end of a trial met the end of its lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lease {
    GivenBack,
    RanOut,
}

#[test]
fn l03_a_dropped_trial_and_the_end_of_its_lease_are_one_event_and_leave_nobody_inside() {
    explore(&[Lease::GivenBack, Lease::RanOut], || {
        let (gate, due) = tripped(trials(1, 2));
        let permit = admit(&gate, due).expect("the first trial");
        let before = gate.snapshot(due).generation;
        let deadline = due + Duration::from_secs(TRIAL_ENDS);
        let (dropped, ticking) = (Arc::clone(&gate), Arc::clone(&gate));
        let [settled, expired] = together([
            Box::new(move || {
                // The drop has looked at the clock before the lease ran out.
                let settled = dropped.settle(permit, Signal::Neutral, due, due, &mut dice());
                (settled.late, settled.transition)
            }) as Work<(bool, Option<Transition>)>,
            Box::new(move || (false, ticking.expire(deadline, &mut dice()))),
        ]);
        let known = gate.snapshot(deadline);
        assert_eq!(known.leases, 0);
        let outcome = match (settled, expired) {
            ((false, None), (_, None)) => {
                assert_eq!((known.state, known.generation), (State::HalfOpen, before));
                Lease::GivenBack
            }
            ((true, None), (_, Some(Transition { reason: Reason::LeaseExpired, .. }))) => {
                assert_eq!(known.generation, before + 1);
                Lease::RanOut
            }
            other => panic!("{other:?}"),
        };
        // It is stuck in neither.
        let later = deadline + Duration::from_hours(1);
        assert!(admit(&gate, later).is_some_and(|permit| permit.kind.is_trial()));
        outcome
    });
}

#[test]
fn l03_what_ends_late_ends_nobody_elses_trial() {
    explore(&[true, false], || {
        let (gate, due) = tripped(trials(1, 2));
        let old = admit(&gate, due).expect("the first trial");
        let later = due + Duration::from_hours(1);
        let (dropped, next) = (Arc::clone(&gate), Arc::clone(&gate));
        let [_, admitted] = together([
            Box::new(move || {
                let settled = dropped.settle(old, Signal::Neutral, due, due, &mut dice());
                settled.late
            }) as Work<bool>,
            // Ends the lease that has run out, and an hour later tries again.
            Box::new(move || {
                let expired = next.expire(due + Duration::from_secs(TRIAL_ENDS), &mut dice()).is_some();
                assert!(admit(&next, later).is_some_and(|permit| permit.kind.is_trial()));
                expired
            }),
        ]);
        assert_eq!(gate.snapshot(later).leases, 1, "whoever is inside holds his lease");
        admitted
    });
}

/// How an attempt met the trip of its gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    Before,
    Late,
    Refused,
}

#[test]
fn l04_failures_at_once_trip_it_once_and_nobody_comes_in_afterwards() {
    explore(&[Met::Before, Met::Late, Met::Refused], || {
        let gate = gate(2, trials(1, 2));
        let first = admit(&gate, at(2)).expect("it is closed");
        let second = admit(&gate, at(2)).expect("it is closed");
        let fails = |permit| -> Work<(u32, Option<Met>)> {
            let gate = Arc::clone(&gate);
            Box::new(move || {
                let settled = gate.settle(permit, Signal::Failure, at(2), at(3), &mut dice());
                (u32::from(settled.transition.is_some()), None)
            })
        };
        // Neither it nor anything else of the time before the trip may close the gate again. It began before
        // the failures, so it ends no run of them.
        let comes = Arc::clone(&gate);
        let [one, two, (none, met)] = together([
            fails(first),
            fails(second),
            Box::new(move || {
                let Ok((permit, _)) = comes.admit(at(2), &mut dice()) else {
                    return (0, Some(Met::Refused));
                };
                assert_eq!(permit.kind, Kind::Normal);
                let settled = comes.settle(permit, Signal::Neutral, at(2), at(3), &mut dice());
                let met = if settled.late { Met::Late } else { Met::Before };
                (u32::from(settled.transition.is_some()), Some(met))
            }),
        ]);
        assert_eq!((one.0 + two.0, none), (1, 0), "one transition");
        let known = gate.snapshot(at(3));
        assert_eq!(known.generation, 1);
        assert!(matches!(known.state, State::Open { .. }));
        assert!(matches!(gate.standing(at(3)), Standing::Refused { .. }), "the word is not the last to know");
        assert_eq!(admit(&gate, at(3)), None);
        met.expect("the third says how it went")
    });
}

#[test]
fn l04_the_last_trials_success_and_the_end_of_its_lease_decide_once_between_them() {
    explore(&["closed", "open"], || {
        let (gate, due) = tripped(trials(1, 1));
        let permit = admit(&gate, due).expect("the only trial");
        let deadline = due + Duration::from_secs(TRIAL_ENDS);
        let (passes, ticking) = (Arc::clone(&gate), Arc::clone(&gate));
        let [passed, expired] = together([
            Box::new(move || passes.settle(permit, Signal::Success, due, due, &mut dice()).transition)
                as Work<Option<Transition>>,
            Box::new(move || ticking.expire(deadline, &mut dice())),
        ]);
        assert!(passed.is_none() || expired.is_none(), "one of them decides");
        let to = passed.or(expired).expect("and one does").to;
        let standing = gate.standing(deadline);
        match gate.state() {
            State::Closed => {
                assert!(
                    matches!(standing, Standing::Clear | Standing::TryOne | Standing::Last),
                    "{standing:?}"
                );
                assert_eq!(admit(&gate, deadline).map(|permit| permit.kind), Some(Kind::Normal));
            }
            State::Open { .. } => {
                assert!(matches!(standing, Standing::Refused { .. }), "{standing:?}");
                assert_eq!(admit(&gate, deadline), None);
            }
            state => panic!("{state:?}"),
        }
        assert_eq!(gate.state(), to);
        to.name()
    });
}
