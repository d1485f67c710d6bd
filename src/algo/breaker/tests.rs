//! The breaker's behaviour by example, and the defects of others as regressions (RESILIENCE 9).

use std::time::Duration;

use super::commands::{Command, World, ms, settings};
use super::{Consecutive, Forced, Open, Reason, Rule, Settings, Signal, SlowCall, State};

const SECOND: Duration = Duration::from_secs(1);

/// Defaults without jitter, so that times are exact.
fn plain() -> Settings {
    let open = Open { jitter: 0.0, ..Open::default() };
    Settings { open, ..Settings::default() }
}

/// Runs a script word by word and says what each word brought: `pass`, `trial` or `refuse` for `ask`, the
/// name of the state after everything else.
fn check(settings: Settings, script: &str, expected: &str) {
    let mut world = World::new(settings);
    let mut said = Vec::new();
    for word in script.split_whitespace() {
        let settle = |signal| Command::Settle(0, signal);
        let command = match word {
            "ask" => Command::Admit,
            "ok" => settle(Signal::Success),
            "fail" => settle(Signal::Failure),
            "busy" => settle(Signal::Overload { retry_after: None }),
            "client" => settle(Signal::ClientFault),
            "slow" => settle(Signal::Slow),
            "drop" => settle(Signal::Neutral),
            "broke" => Command::Later(0, Signal::StreamFailure),
            "done" => Command::Complete(0),
            "rose" => Command::ProbeRose,
            "expire" => Command::Expire,
            wait => {
                Command::Wait(SECOND * wait.trim_matches(['+', 's']).parse().expect("a word of the script"))
            }
        };
        let effect = world.run(command);
        said.push(match (command, effect.permit) {
            (Command::Admit, Some(permit)) if permit.kind.is_trial() => "trial",
            (Command::Admit, Some(_)) => "pass",
            (Command::Admit, None) => "refuse",
            (Command::Wait(_), _) => continue,
            _ if effect.late => "late",
            _ => world.breaker.state().name(),
        });
    }
    assert_eq!(said.join(" "), expected, "{script}");
}

/// A world whose breaker five failures have just opened.
fn tripped(settings: Settings) -> World {
    let mut world = World::new(settings);
    for _ in 0..5 {
        world.attempt(Signal::Failure);
    }
    assert!(matches!(world.breaker.state(), State::Open { .. }));
    world
}

fn reason(world: &mut World, signal: Signal) -> Option<Reason> {
    world.attempt(signal).transition.map(|moved| moved.reason)
}

#[test]
fn it_opens_waits_tries_three_times_and_closes() {
    check(
        plain(),
        "ask fail ask fail ask fail ask fail ask fail ask +4s ask +1s ask ask ok ask ok ask ok ask",
        "pass closed pass closed pass closed pass closed pass open refuse refuse \
         trial refuse half_open trial half_open trial closed pass",
    );
}

#[test]
fn a_failed_trial_opens_it_for_twice_as_long() {
    check(
        plain(),
        "ask fail ask fail ask fail ask fail ask fail +5s ask fail +9s ask +1s ask",
        "pass closed pass closed pass closed pass closed pass open trial open refuse trial",
    );
}

#[test]
fn a_success_ends_the_run_and_an_overload_neither_ends_nor_feeds_it() {
    check(
        plain(),
        "ask fail ask fail ask fail ask fail ask ok ask fail ask busy ask fail ask fail ask fail ask busy ask fail",
        "pass closed pass closed pass closed pass closed pass closed pass closed pass closed pass closed \
         pass closed pass closed pass closed pass open",
    );
}

#[test]
fn failures_further_apart_than_max_age_are_no_run() {
    let apart = |gap| {
        let mut world = World::new(plain());
        (0..5).find_map(|_| {
            let reason = reason(&mut world, Signal::Failure);
            world.wait(gap);
            reason
        })
    };
    assert_eq!(apart(Duration::from_secs(150)), Some(Reason::Consecutive), "four gaps are 10 minutes");
    assert_eq!(apart(Duration::from_secs(151)), None);
}

#[test]
fn half_of_twenty_trips_the_fast_window_and_less_does_not() {
    let outcome = |bad: usize| {
        let mut world = World::new(plain());
        (0..20).find_map(|n| {
            // Alternating, so that no run forms.
            let signal = if n % 2 == 1 && n / 2 < bad { Signal::Failure } else { Signal::Success };
            reason(&mut world, signal)
        })
    };
    assert_eq!(outcome(10), Some(Reason::Fast));
    assert_eq!(outcome(9), None);
}

#[test]
fn two_in_five_over_a_minute_trip_the_slow_window() {
    let mut world = World::new(plain());
    let reason = (0..).find_map(|n| {
        world.wait(SECOND);
        let signal = if n % 5 < 2 { Signal::Failure } else { Signal::Success };
        reason(&mut world, signal)
    });
    assert_eq!(reason, Some(Reason::Slow));
}

#[test]
fn slow_calls_trip_only_where_the_rule_is_on() {
    let with = |slow_call| {
        let mut world = World::new(Settings { slow_call, ..plain() });
        (0..40).find_map(|_| reason(&mut world, Signal::Slow))
    };
    assert_eq!(with(None), None);
    assert_eq!(with(Some(SlowCall { ttfb: SECOND, rate: 0.8, min: 20 })), Some(Reason::SlowCalls));
    // Where any slow call is one too many, it still takes one.
    let slow_call = Some(SlowCall { ttfb: SECOND, rate: 0.0, min: 20 });
    let mut world = World::new(Settings { slow_call, ..plain() });
    assert_eq!((0..40).find_map(|_| reason(&mut world, Signal::Success)), None);
    assert_eq!(reason(&mut world, Signal::Slow), Some(Reason::SlowCalls));
}

#[test]
fn streams_that_all_break_count_as_failures_not_as_half_of_each() {
    // The windows alone.
    let consecutive = Consecutive { failures: 0, ..plain().consecutive };
    let fast = Rule { rate: 1.0, ..plain().fast };
    let mut world = World::new(Settings { consecutive, fast, ..plain() });
    let reason = (0..20).find_map(|_| {
        world.attempt(Signal::Success);
        world.run(Command::Later(0, Signal::StreamFailure)).transition.map(|moved| moved.reason)
    });
    assert_eq!(reason, Some(Reason::Fast));
}

#[test]
fn streams_that_break_with_none_complete_between_are_a_run_however_many_began_well() {
    // S13: one try every few seconds never fills a window.
    check(
        plain(),
        "ask ok broke +5s ask ok broke +5s ask ok broke +5s ask ok broke +5s ask ok broke ask",
        "pass closed closed pass closed closed pass closed closed pass closed closed pass closed open refuse",
    );
    let mut world = World::new(plain());
    for _ in 0..50 {
        world.wait(SECOND * 10);
        world.attempt(Signal::Success);
        world.run(Command::Later(0, Signal::StreamFailure));
        for _ in 0..2 {
            world.attempt(Signal::Success);
            world.run(Command::Complete(0));
        }
        assert_eq!(world.breaker.state(), State::Closed, "one in three breaks");
    }
}

#[test]
fn a_breaker_that_closes_on_streams_that_break_later_opens_at_the_next_break() {
    let tripped_by_streams = "ask ok broke ask ok broke ask ok broke ask ok broke ask ok broke +5s ";
    let said =
        "pass closed closed pass closed closed pass closed closed pass closed closed pass closed open ";
    check(
        plain(),
        &format!("{tripped_by_streams} ask ok ask ok ask ok ask ok broke"),
        &format!("{said}trial half_open trial half_open trial closed pass closed open"),
    );
    check(
        plain(),
        &format!("{tripped_by_streams} ask ok ask ok ask ok done ask ok broke"),
        &format!("{said}trial half_open trial half_open trial closed closed pass closed closed"),
    );
}

#[test]
fn a_stream_from_before_the_trip_disproves_no_break() {
    let mut world = World::new(plain());
    let began = world.now;
    world.wait(SECOND);
    for _ in 0..5 {
        world.attempt(Signal::Success);
        world.run(Command::Later(0, Signal::StreamFailure));
    }
    assert!(matches!(world.breaker.state(), State::Open { .. }));
    world.breaker.completed(began);
    assert!(world.breaker.breaks_streams());
    world.breaker.completed(world.now);
    assert!(!world.breaker.breaks_streams());
}

#[test]
fn a_result_from_before_the_trip_decides_no_trial() {
    // Hystrix, Sentinel, resilience4j and Polly #216 let it.
    let mut world = World::new(plain());
    let old = world.admit().expect("closed");
    for _ in 0..5 {
        world.attempt(Signal::Failure);
    }
    world.wait(SECOND * 5);
    world.admit().expect("the first trial");
    for signal in [Signal::Success, Signal::Failure] {
        let settled = world.breaker.settle(old, signal, world.now, &mut world.dice);
        assert!(settled.late);
        assert_eq!(world.breaker.state(), State::HalfOpen);
    }
}

#[test]
fn a_trial_settled_twice_counts_once() {
    let mut world = tripped(plain());
    world.wait(SECOND * 5);
    world.attempt(Signal::Success);
    for _ in 0..5 {
        assert!(world.run(Command::Settle(0, Signal::Success)).late);
    }
    assert_eq!(world.breaker.snapshot(world.now).passed, 1);
}

#[test]
fn a_trial_without_a_verdict_fails_at_its_deadline_and_not_before() {
    // resilience4j #935 and Polly #1979 stay half open for ever.
    let mut world = tripped(plain());
    world.wait(SECOND * 5);
    world.admit().expect("the first trial");
    world.wait(ms(29_999));
    assert_eq!(world.run(Command::Expire).transition, None);
    world.wait(ms(1));
    let moved = world.run(Command::Expire).transition.expect("the lease has expired");
    assert_eq!(moved.reason, Reason::LeaseExpired);
    assert!(world.run(Command::Settle(0, Signal::Success)).late);
}

#[test]
fn a_stream_that_breaks_after_its_trial_passed_fails_the_trials() {
    check(
        plain(),
        "ask fail ask fail ask fail ask fail ask fail +5s ask ok broke",
        "pass closed pass closed pass closed pass closed pass open trial half_open open",
    );
}

#[test]
fn two_client_faults_in_a_row_pass_a_trial_one_does_not() {
    let mut world = tripped(plain());
    world.wait(SECOND * 5);
    let mut passed = |signal| {
        world.attempt(signal);
        world.breaker.snapshot(world.now).passed
    };
    assert_eq!(passed(Signal::ClientFault), 0);
    assert_eq!(passed(Signal::ClientFault), 1);
    assert_eq!(passed(Signal::ClientFault), 1);
    assert_eq!(passed(Signal::Success), 2);
    assert_eq!(passed(Signal::ClientFault), 2, "the success began a new count");
}

#[test]
fn an_upstream_may_ask_for_longer_but_not_for_ever() {
    let until = |asked| {
        let mut world = World::new(plain());
        for _ in 0..19 {
            world.attempt(Signal::Overload { retry_after: None });
        }
        world.attempt(Signal::Overload { retry_after: Some(asked) });
        match world.breaker.state() {
            State::Open { until } => until.since(world.now),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(until(SECOND), SECOND * 5, "never shorter than ours");
    assert_eq!(until(SECOND * 90), SECOND * 90);
    assert_eq!(until(Duration::MAX), SECOND * 300);
}

#[test]
fn the_level_climbs_while_it_lengthens_and_decays_while_closed() {
    let mut world = tripped(plain());
    for level in [1, 2, 3, 4, 5, 5, 5] {
        assert_eq!(world.breaker.level(), level);
        world.wait(SECOND * 60);
        world.attempt(Signal::Failure);
    }
    world.wait(SECOND * 60);
    for _ in 0..3 {
        world.attempt(Signal::Success);
    }
    assert_eq!((world.breaker.state(), world.breaker.level()), (State::Closed, 5));
    world.wait(ms(29_999));
    world.run(Command::Expire);
    assert_eq!(world.breaker.level(), 5);
    world.wait(ms(1));
    world.run(Command::Expire);
    assert_eq!(world.breaker.level(), 4);
    world.wait(SECOND * 600);
    world.run(Command::Expire);
    assert_eq!(world.breaker.level(), 0);
}

#[test]
fn a_probe_that_rose_brings_a_trial_never_a_closed_breaker() {
    check(
        plain(),
        "rose ask fail ask fail ask fail ask fail ask fail rose +1s rose ask ok",
        "closed pass closed pass closed pass closed pass closed pass open open half_open trial half_open",
    );
}

#[test]
fn a_breaker_is_overdue_ten_seconds_after_it_could_have_been_tried_until_it_is_decided() {
    let mut world = tripped(plain());
    world.wait(ms(14_999));
    assert!(!world.breaker.is_overdue(world.now));
    world.wait(ms(1));
    assert!(world.breaker.is_overdue(world.now));
    world.attempt(Signal::Success);
    assert!(world.breaker.is_overdue(world.now), "the next trial need not wait as long");
    world.attempt(Signal::Failure);
    assert!(!world.breaker.is_overdue(world.now), "it is open again");
    world.wait(SECOND * 20);
    for _ in 0..3 {
        world.attempt(Signal::Success);
    }
    assert_eq!(world.breaker.state(), State::Closed);
    assert!(!world.breaker.is_overdue(world.now + SECOND * 60));
}

#[test]
fn a_breaker_nobody_tries_asks_for_a_probe() {
    let mut world = tripped(plain());
    assert!(!world.breaker.wants_probe(world.now), "it is open");
    world.wait(SECOND * 5);
    assert!(world.breaker.wants_probe(world.now));
    world.admit().expect("the first trial");
    assert!(!world.breaker.wants_probe(world.now), "somebody is trying");
    world.run(Command::Settle(0, Signal::Success));
    assert!(!world.breaker.wants_probe(world.now), "somebody just tried");
    world.wait(SECOND);
    assert!(world.breaker.wants_probe(world.now), "a second of silence");
    for _ in 0..5 {
        assert_eq!(world.attempt(Signal::Neutral).transition, None);
    }
    assert!(world.breaker.wants_probe(world.now), "five trials without a verdict");
}

#[test]
fn a_breaker_that_is_not_enabled_counts_and_never_trips() {
    let mut world = World::new(Settings { enabled: false, ..plain() });
    for _ in 0..100 {
        assert_eq!(world.attempt(Signal::Failure).transition, None);
    }
    assert_eq!(world.breaker.snapshot(world.now).fast.fail, 100);
}

#[test]
fn metrics_only_counts_admits_and_never_trips() {
    let mut world = tripped(plain());
    world.run(Command::Force(Forced::MetricsOnly));
    for _ in 0..100 {
        assert_eq!(world.attempt(Signal::Failure).transition, None);
    }
    assert_eq!(world.breaker.snapshot(world.now).fast.fail, 100);
}

#[test]
fn who_finds_no_place_for_a_trial_hears_when_the_first_of_them_runs_out() {
    let half_open = super::HalfOpen { max_concurrent: 2, ..plain().half_open };
    let mut world = tripped(Settings { half_open, ..plain() });
    world.wait(SECOND * 5);
    let first = world.now;
    for _ in 0..2 {
        assert!(world.admit().is_some());
        world.wait(SECOND);
    }
    let until = Some(first + half_open.probe_timeout);
    assert_eq!(world.breaker.admissible(world.now), super::Admissible::Refused { until });
    assert_eq!(world.breaker.admit(world.now, &mut world.dice).map_err(|refused| refused.until), Err(until));
}

#[test]
fn new_numbers_keep_what_is_known() {
    let mut world = tripped(plain());
    let before = world.breaker.snapshot(world.now);
    let half_open = super::HalfOpen { success_threshold: 2, ..plain().half_open };
    assert_eq!(world.breaker.reconfigure(Settings { half_open, ..plain() }, world.now), None);
    assert_eq!(world.breaker.snapshot(world.now), before);

    world.wait(SECOND * 5);
    world.attempt(Signal::Success);
    let settings = plain();
    assert_eq!(world.breaker.reconfigure(settings, world.now), None, "one more is needed, as before");
    let half_open = super::HalfOpen { success_threshold: 1, ..plain().half_open };
    let moved = world.breaker.reconfigure(Settings { half_open, ..plain() }, world.now);
    assert_eq!(
        moved.map(|moved| moved.reason),
        Some(Reason::TrialsPassed),
        "no trial would be let in any more"
    );
}

#[test]
fn a_window_of_another_length_starts_anew() {
    let mut world = World::new(plain());
    world.attempt(Signal::Failure);
    let fast = Rule { window: SECOND * 20, ..plain().fast };
    world.breaker.reconfigure(Settings { fast, ..plain() }, world.now);
    let snapshot = world.breaker.snapshot(world.now);
    assert_eq!((snapshot.fast.fail, snapshot.slow.fail, snapshot.consecutive), (0, 1, 1));
}

#[test]
fn switching_it_off_closes_it() {
    let mut world = tripped(settings());
    let moved = world.breaker.reconfigure(Settings { enabled: false, ..settings() }, world.now);
    assert_eq!(moved.map(|moved| moved.to), Some(State::Closed));
}

#[test]
fn a_reset_forgets_the_level_too() {
    let mut world = tripped(plain());
    world.run(Command::Reset);
    assert_eq!((world.breaker.state(), world.breaker.level()), (State::Closed, 0));
    let generation = world.breaker.generation();
    world.run(Command::Reset);
    assert_eq!(world.breaker.generation(), generation, "nothing left to change");
}
