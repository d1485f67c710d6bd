//! What holds of every sequence of requests, against a log that forgets nothing and rounds nothing.

use proptest::prelude::*;

use super::*;
use crate::algo::tick::Tick;

const MINUTE: Duration = Duration::from_mins(1);
const SLOT: Duration = Duration::from_millis(500);

fn at(nanos: u64) -> Tick {
    Tick::from_nanos(nanos)
}

/// What was granted, and when.
#[derive(Default)]
struct Log(Vec<(Tick, u64)>);

impl Log {
    /// Of the time before `now`, which counts in.
    fn within(&self, length: Duration, now: Tick) -> u64 {
        let recent = self.0.iter().filter(|(then, _)| now.since(*then) < length);
        recent.map(|(_, amount)| amount).sum()
    }
}

/// Times in nanoseconds, close together and far apart, and amounts.
fn demand() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let gap = prop_oneof![0_u64..2_000_000, 0_u64..700_000_000, 0_u64..40_000_000_000];
    prop::collection::vec((gap, 0_u64..9), 1..200).prop_map(|steps| {
        let mut now = 0;
        let times = steps.into_iter().map(|(gap, amount)| {
            now += gap;
            (now, amount)
        });
        times.collect()
    })
}

proptest! {
    #[test]
    fn no_minute_ever_has_more_than_the_limit_and_little_less_is_granted(demand in demand(), limit in 1_u64..40) {
        let mut window = Window::new(MINUTE);
        let mut log = Log::default();
        for (nanos, amount) in demand {
            let now = at(nanos);
            let fits = window.fits_at(amount, limit, now);
            if fits == Some(now) {
                window.add(amount, now);
                log.0.push((now, amount));
                prop_assert!(log.within(MINUTE, now) <= limit);
            } else {
                // An exact log of one slot more would not have granted it either.
                prop_assert!(log.within(MINUTE + SLOT, now) + amount > limit);
            }
        }
    }

    #[test]
    fn what_is_told_of_a_slot_is_told_of_when_it_began(demand in demand()) {
        for (nanos, amount) in demand {
            let mut window = Window::new(MINUTE);
            window.add(amount + 1, at(nanos));
            let parts: Vec<_> = window.parts(at(nanos)).collect();
            prop_assert_eq!(parts, [(slot_of(MINUTE, at(nanos)), amount + 1)]);
        }
    }

    #[test]
    fn whoever_waits_as_long_as_he_is_told_is_granted_and_not_a_moment_earlier(demand in demand(), limit in 1_u64..20) {
        let mut window = Window::new(MINUTE);
        for (nanos, amount) in demand {
            let now = at(nanos);
            match window.clone().fits_at(amount, limit, now) {
                None => prop_assert!(amount > limit),
                Some(when) if when == now => window.add(amount, now),
                Some(when) => {
                    prop_assert_eq!(window.clone().fits_at(amount, limit, when), Some(when));
                    let before = at(when.nanos() - 1);
                    prop_assert_eq!(window.clone().fits_at(amount, limit, before), Some(when));
                    prop_assert!(when.since(now) <= MINUTE + SLOT);
                }
            }
        }
    }

    #[test]
    fn what_is_settled_counts_as_if_it_had_been_known_from_the_start(
        demand in prop::collection::vec((0_u64..400_000_000, 0_u64..500, 0_u64..500, 0_u64..3), 1..100),
    ) {
        let allowance = Allowance { rpm: Some(1_000_000), tpm: Some(1_000_000), ..Allowance::default() };
        let mut tally = Tally::default();
        let (mut now, mut under_way, mut truth, mut requests) = (Tick::ZERO, Vec::new(), 0, 0);
        for (gap, tokens, spent, how) in demand {
            now = now + Duration::from_nanos(gap);
            let booked = Booked { tokens, at: now };
            prop_assert_eq!(tally.judge(allowance, tokens, now), Ok(()));
            tally.book(allowance, booked);
            let spent = match how {
                0 => Spent::Nothing,
                1 => Spent::Estimate,
                _ => Spent::Tokens(spent),
            };
            (truth, requests) = match spent {
                Spent::Nothing => (truth, requests),
                Spent::Estimate => (truth + tokens, requests + 1),
                Spent::Tokens(spent) => (truth + spent, requests + 1),
            };
            under_way.push((booked, spent));
        }
        for (booked, spent) in under_way {
            tally.settle(allowance, booked, spent, now);
        }
        let used: Vec<u64> = tally.used(allowance, now).map(|used| used.used).collect();
        prop_assert_eq!(used, [requests, truth]);
    }

    #[test]
    fn whatever_is_asked_nothing_is_burnt_by_asking(demand in demand(), rpm in 1_u64..5, tpm in 1_u64..9) {
        let allowance = Allowance { rpm: Some(rpm), tpm: Some(tpm), concurrency: Some(3), ..Allowance::default() };
        let mut tally = Tally::default();
        for (nanos, tokens) in demand {
            let now = at(nanos);
            let before: Vec<Used> = tally.used(allowance, now).collect();
            let judged = tally.judge(allowance, tokens, now);
            prop_assert_eq!(tally.used(allowance, now).collect::<Vec<_>>(), before);
            match judged {
                Ok(()) => tally.book(allowance, Booked { tokens, at: now }),
                Err(Short { when: When::At(when), .. }) => prop_assert_eq!(tally.clone().judge(allowance, tokens, when), Ok(())),
                Err(Short { when: When::Never, unit, .. }) => prop_assert!(unit == Unit::Tpm && tokens > tpm),
                Err(Short { when: When::Freed, .. }) => prop_assert!(false, "nobody is here"),
            }
        }
    }

    #[test]
    fn the_parts_of_all_replicas_are_the_whole_and_no_request_falls_between_them(limit in 1_u64..1000, replicas in 1_u32..9, tokens in 0_u64..1000) {
        let whole = Allowance { rpm: Some(limit), tpm: Some(limit), ..Allowance::default() };
        let part = whole.part(replicas, tokens);
        let [requests, token_part] = [part.rpm, part.tpm].map(Option::unwrap_or_default);
        prop_assert!(requests * u64::from(replicas) >= limit && (requests - 1) * u64::from(replicas) < limit);
        prop_assert!(token_part <= limit && token_part >= requests.min(limit));
        prop_assert_eq!(token_part >= tokens, limit >= tokens);
    }
}

#[test]
fn a_burst_counts_for_a_minute_and_at_most_a_slot() {
    let mut window = Window::new(MINUTE);
    let begun = at(0) + Duration::from_millis(10_499);
    window.add(5, begun);
    assert_eq!(window.used(begun + MINUTE), 5);
    assert_eq!(window.fits_at(1, 5, begun), Some(at(0) + Duration::from_millis(70_500)));
    assert_eq!(window.standing(begun).1, at(0) + Duration::from_millis(70_500));
    assert_eq!(window.used(at(0) + Duration::from_millis(70_499)), 5);
    assert_eq!(window.used(at(0) + Duration::from_millis(70_500)), 0);
}

#[test]
fn what_was_booked_by_a_late_clock_is_given_back_in_full() {
    let mut window = Window::new(MINUTE);
    let late = at(0) + Duration::from_millis(999);
    let [early, now] = [at(0) + Duration::from_millis(499), late];
    window.add(3, late);
    window.add(4, early);
    window.give_back(4, early, now);
    assert_eq!(window.used(now), 3);
    // What has left is not given back out of what others use.
    let then = now + MINUTE + SLOT;
    window.add(7, then);
    window.give_back(3, early, then);
    assert_eq!(window.used(then), 7);
}

#[test]
fn requests_at_the_same_moment_are_counted_while_they_last() {
    let allowance = Allowance { concurrency: Some(2), rpm: Some(100), ..Allowance::default() };
    let mut tally = Tally::default();
    for _ in 0..2 {
        assert_eq!(tally.judge(allowance, 0, at(0)), Ok(()));
        tally.enter();
    }
    let short = Short { unit: Unit::Concurrency, limit: 2, when: When::Freed };
    assert_eq!(tally.judge(allowance, 0, at(0)), Err(short));
    tally.leave();
    assert_eq!(tally.judge(allowance, 0, at(0)), Ok(()));
    tally.leave();
    assert!(tally.is_idle(at(0)));
}

#[test]
fn the_longest_wait_is_what_is_said() {
    let allowance =
        Allowance { rpm: Some(1), rpd: Some(1), tpm: Some(10), concurrency: Some(1), ..Allowance::default() };
    let mut tally = Tally::default();
    tally.enter();
    tally.book(allowance, Booked { tokens: 3, at: at(0) });
    let worst =
        |tally: &mut Tally, tokens| tally.judge(allowance, tokens, at(1)).expect_err("it is full").unit;
    assert_eq!((worst(&mut tally, 1), worst(&mut tally, 11)), (Unit::Rpd, Unit::Tpm));
}
