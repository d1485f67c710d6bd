//! Cooldowns by example, and the laws P-C01 and P-C03.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn tick(s: u64) -> Tick {
    Tick::ZERO + SECOND * u32::try_from(s).expect("small")
}

fn exact() -> Settings {
    Settings { jitter: 0.0, ..Settings::default() }
}

/// One request at `now` that ends at once.
fn hit(cooldown: &mut Cooldown, signal: Signal, now: Tick) -> Option<Change> {
    let lease = cooldown.admit(now).expect("ready");
    cooldown.settle(lease, signal, now, &mut Dice::seeded(1))
}

/// Seconds until the credential is worth a try.
fn wait(cooldown: &Cooldown, now: Tick) -> u64 {
    match cooldown.readiness(now) {
        Readiness::Ready | Readiness::Trickle => 0,
        Readiness::Cooling { until, .. } | Readiness::Disabled { recheck_at: until } => {
            until.since(now).as_secs()
        }
    }
}

#[test]
fn throttles_without_a_hint_double_the_wait_up_to_a_minute() {
    let (mut cooldown, mut now) = (Cooldown::new(exact()), tick(0));
    for expected in [1, 2, 4, 8, 16, 32, 60, 60] {
        hit(&mut cooldown, Signal::Throttled { retry_after: None }, now);
        assert_eq!(wait(&cooldown, now), expected);
        now = now + SECOND * u32::try_from(expected).expect("small");
    }
    hit(&mut cooldown, Signal::Ok, now);
    assert_eq!(cooldown.state(), State::Ready);
    hit(&mut cooldown, Signal::Throttled { retry_after: None }, now);
    assert_eq!(wait(&cooldown, now), 1, "a success forgives");
}

#[test]
fn what_is_asked_for_is_not_undercut_and_is_bounded() {
    for (asked, waited, state) in [
        (0, 1, Kind::Short),
        (30, 30, Kind::Short),
        (120, 120, Kind::Short),
        (121, 121, Kind::Long),
        (31_536_000, 3_600, Kind::Long),
    ] {
        let mut cooldown = Cooldown::new(exact());
        let retry_after = Some(Duration::from_secs(asked));
        hit(&mut cooldown, Signal::Throttled { retry_after }, tick(0));
        assert_eq!((wait(&cooldown, tick(0)), cooldown.state()), (waited, State::Cooling(state)), "{asked}");
    }
}

#[test]
fn a_quota_waits_for_its_reset_or_for_ever_longer() {
    let (mut cooldown, mut now) = (Cooldown::new(exact()), tick(0));
    for expected in [15 * 60, 3_600, 6 * 3_600, 6 * 3_600] {
        hit(&mut cooldown, Signal::Quota { reset: None }, now);
        assert_eq!(wait(&cooldown, now), expected);
        now = now + SECOND * u32::try_from(expected).expect("small");
    }
    hit(&mut cooldown, Signal::Quota { reset: Some(Duration::from_hours(20)) }, now);
    assert_eq!(wait(&cooldown, now), 20 * 3_600);
}

#[test]
fn a_burst_of_throttles_is_one_throttle() {
    let mut cooldown = Cooldown::new(exact());
    let leases: Vec<Lease> = (0..10).map(|_| cooldown.admit(tick(0)).expect("ready")).collect();
    for lease in leases {
        cooldown.settle(lease, Signal::Throttled { retry_after: None }, tick(0), &mut Dice::seeded(1));
    }
    assert_eq!(wait(&cooldown, tick(0)), 1);
}

#[test]
fn what_older_requests_are_told_lengthens_the_wait_that_runs() {
    let mut cooldown = Cooldown::new(exact());
    let leases: Vec<Lease> = (0..4).map(|_| cooldown.admit(tick(0)).expect("ready")).collect();
    let throttled = |secs| Signal::Throttled { retry_after: Some(Duration::from_secs(secs)) };
    let quota = Signal::Quota { reset: Some(Duration::from_hours(2)) };
    for (lease, (signal, waited)) in leases.into_iter().zip([
        (throttled(10), 10),
        (throttled(30), 30),
        (throttled(20), 30),
        (quota, 7_200),
    ]) {
        cooldown.settle(lease, signal, tick(0), &mut Dice::seeded(1));
        assert_eq!(wait(&cooldown, tick(0)), waited);
    }
    assert_eq!(cooldown.state(), State::Cooling(Kind::Long));
}

#[test]
fn new_numbers_are_for_the_waits_to_come() {
    let mut cooldown = Cooldown::new(exact());
    hit(&mut cooldown, Signal::Throttled { retry_after: None }, tick(0));
    cooldown.reconfigure(Settings { base: SECOND * 5, ..exact() });
    assert_eq!(wait(&cooldown, tick(0)), 1);
    hit(&mut cooldown, Signal::Throttled { retry_after: None }, tick(1));
    assert_eq!(wait(&cooldown, tick(1)), 10, "the second in a row");
}

#[test]
fn one_goes_first_then_two_then_four_until_as_many_as_before() {
    let mut cooldown = Cooldown::new(exact());
    let leases: Vec<Lease> = (0..5).map(|_| cooldown.admit(tick(0)).expect("ready")).collect();
    let throttled = Signal::Throttled { retry_after: None };
    cooldown.settle(leases[0], throttled, tick(0), &mut Dice::seeded(1));
    let mut sizes = vec![];
    while cooldown.state() != State::Ready {
        let mut round = vec![];
        while let Ok(lease) = cooldown.admit(tick(9)) {
            round.push(lease);
            assert!(round.len() < 100);
        }
        sizes.push(round.len());
        assert!(sizes.len() < 100, "it never recovers");
        cooldown.settle(round[0], Signal::Ok, tick(9), &mut Dice::seeded(1));
        for &lease in &round[1..] {
            cooldown.settle(lease, Signal::Neutral, tick(9), &mut Dice::seeded(1));
        }
    }
    assert_eq!(sizes, [1, 2, 4, 8]);
}

#[test]
fn a_refused_key_stays_out_until_it_is_accepted_again() {
    let (mut cooldown, dice) = (Cooldown::new(exact()), &mut Dice::seeded(1));
    let change = hit(&mut cooldown, Signal::Auth, tick(0)).expect("a change");
    assert_eq!(change, Change { from: State::Ready, to: State::Cooling(Kind::Auth) });
    assert!(!cooldown.wants_recheck(tick(899)) && cooldown.wants_recheck(tick(900)));
    assert_eq!(cooldown.rechecked(Recheck::Refused, tick(900), dice), None);
    assert!(cooldown.admit(tick(1_000)).is_err() && !cooldown.wants_recheck(tick(1_799)));
    cooldown.rechecked(Recheck::Accepted, tick(1_800), dice);
    assert_eq!(cooldown.readiness(tick(1_800)), Readiness::Trickle);
    assert_eq!(cooldown.reset(), Some(Change { from: State::Trickle, to: State::Ready }));
}

#[test]
fn what_was_sent_before_a_reset_has_no_say_after_it() {
    let mut cooldown = Cooldown::new(exact());
    let (first, second) = (cooldown.admit(tick(0)).expect("ready"), cooldown.admit(tick(0)).expect("ready"));
    cooldown.settle(first, Signal::Auth, tick(0), &mut Dice::seeded(1));
    cooldown.reset();
    assert_eq!(cooldown.settle(second, Signal::Auth, tick(0), &mut Dice::seeded(1)), None);
    assert_eq!(cooldown.state(), State::Ready);
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![
        Just(Signal::Ok),
        prop::option::of(any::<u64>())
            .prop_map(|s| Signal::Throttled { retry_after: s.map(Duration::from_millis) }),
        prop::option::of(0..100_000_u64)
            .prop_map(|s| Signal::Throttled { retry_after: s.map(Duration::from_millis) }),
        prop::option::of(any::<u64>()).prop_map(|s| Signal::Quota { reset: s.map(Duration::from_millis) }),
        Just(Signal::Auth),
        Just(Signal::Neutral),
    ]
}

proptest! {
    #[test]
    fn p_c01_a_deadline_never_comes_nearer(
        steps in prop::collection::vec((0..10_usize, signal(), 0..90_000_u64), 1..80),
    ) {
        let (mut cooldown, mut now, dice) = (Cooldown::new(Settings::default()), tick(1), &mut Dice::seeded(5));
        let mut leases = vec![];
        for (at, signal, gap) in steps {
            let deadline = match cooldown.readiness(now) {
                Readiness::Cooling { until, .. } => until,
                _ => now,
            };
            if let Ok(lease) = cooldown.admit(now) {
                leases.push(lease);
            }
            if let Some(&lease) = leases.iter().rev().nth(at) {
                cooldown.settle(lease, signal, now, dice);
            }
            if now < deadline {
                let kept = matches!(cooldown.readiness(now), Readiness::Cooling { until, .. } if until >= deadline);
                prop_assert!(kept, "{:?} was {:?}", cooldown.readiness(now), deadline);
            }
            prop_assert!(wait(&cooldown, now) <= 25 * 3_600 * 11 / 10);
            now = now + Duration::from_millis(gap);
        }
    }

    #[test]
    fn p_c03_the_end_of_a_wait_releases_one_request(burst in 1..50_usize, asks in 1..50_usize) {
        let mut cooldown = Cooldown::new(Settings::default());
        let leases: Vec<Lease> = (0..burst).map(|_| cooldown.admit(tick(0)).expect("ready")).collect();
        for lease in leases {
            cooldown.settle(lease, Signal::Throttled { retry_after: None }, tick(0), &mut Dice::seeded(1));
        }
        prop_assert_eq!((0..asks).filter(|_| cooldown.admit(tick(2)).is_ok()).count(), 1);
    }
}
