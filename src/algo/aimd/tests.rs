//! Laws of the limit, and how long it takes to be back after an overload.

use proptest::prelude::*;

use super::*;

const USUAL: Settings = Settings { mode: Mode::Adaptive, start: 32, min: 1, max: 1024, ttft_rise: None };

fn at(millis: u64) -> Tick {
    Tick::ZERO + Duration::from_millis(millis)
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Good(u32),
    Bad(u32),
    Token(u64),
    Wait(u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (0_u32..200).prop_map(Event::Good),
        (0_u32..200).prop_map(Event::Bad),
        (1_u64..9_000).prop_map(Event::Token),
        (0_u64..3_000).prop_map(Event::Wait),
    ];
    proptest::collection::vec(event, 0..300)
}

proptest! {
    #[test]
    fn the_limit_stays_within_its_bounds_and_is_cut_at_most_once_a_second(
        events in events(), start in 1_u32..64, min in 1_u32..8, max in 8_u32..128,
        ttft_rise in proptest::option::of(1.1_f64..4.0),
    ) {
        let mut aimd = Aimd::new(Settings { mode: Mode::Adaptive, start, min, max, ttft_rise });
        let (mut millis, mut cut_at): (u64, Option<u64>) = (0, None);
        for event in events {
            let before = aimd.limit.unwrap_or(f64::INFINITY);
            let was_calm = cut_at.is_some_and(|at| at + CALM.as_millis() as u64 <= millis);
            match event {
                Event::Good(in_flight) => aimd.succeeded(in_flight, at(millis)),
                Event::Bad(in_flight) => aimd.overloaded(in_flight, at(millis)),
                Event::Token(ttft) => aimd.first_token(Duration::from_millis(ttft), 50, at(millis)),
                Event::Wait(more) => millis += more,
            }
            prop_assert!((min..=max).contains(&aimd.limit()), "{}", aimd.limit());
            let after = aimd.limit.unwrap_or(f64::INFINITY);
            if after < before {
                prop_assert!(cut_at.is_none_or(|at| millis - at >= 1_000));
                cut_at = Some(millis);
            }
            if let (Event::Good(in_flight), false) = (event, was_calm) {
                prop_assert!(after <= before + 1.0);
                if f64::from(in_flight) * 2.0 < before || cut_at.is_some_and(|at| millis - at < 1_000) {
                    prop_assert_eq!(after.to_bits(), before.to_bits(), "grown while unused, or just cut");
                }
            }
        }
    }

    #[test]
    fn after_an_overload_a_round_of_successes_is_worth_one_more(in_flight in 32_u32..500) {
        let mut aimd = Aimd::new(USUAL);
        aimd.overloaded(in_flight, at(0));
        let limit = aimd.limit();
        prop_assert_eq!(limit, (f64::from(in_flight) * 0.8) as u32);
        for _ in 0..=limit {
            aimd.succeeded(limit, at(1_000));
        }
        prop_assert!((limit + 1..=limit + 2).contains(&aimd.limit()), "{} after {limit}", aimd.limit());
    }

    #[test]
    fn against_a_fixed_capacity_the_limit_settles_around_it(capacity in 4_u32..100) {
        let mut aimd = Aimd::new(USUAL);
        let mut seen = Vec::new();
        // Each round every place is used once, and what is beyond the capacity is refused.
        for round in 0..400_u64 {
            let limit = aimd.limit().min(200);
            for _ in 0..limit.min(capacity) {
                aimd.succeeded(limit, at(round * 1_000));
            }
            if limit > capacity {
                aimd.overloaded(limit, at(round * 1_000));
            }
            seen.push(aimd.limit());
        }
        for limit in &seen[100..] {
            prop_assert!((capacity * 7 / 10..=capacity * 5 / 4 + 2).contains(limit), "{limit} of {capacity}");
        }
        // What there was at first is tried again, seldom.
        let beyond = seen[100..].iter().filter(|limit| **limit > capacity + 2).count();
        prop_assert!(beyond <= 9, "{beyond} rounds of 300 beyond {capacity}");
    }
}

#[test]
fn before_anybody_spoke_of_overload_only_max_holds() {
    let mut aimd = Aimd::new(USUAL);
    aimd.succeeded(900, at(0));
    assert_eq!(aimd.limit(), 1024);
    aimd.overloaded(3, at(0));
    assert_eq!(aimd.limit(), 25, "little was in flight, so it begins at `start`");
}

#[test]
fn a_storm_without_any_success_is_one_overload_and_soon_forgotten() {
    let mut aimd = Aimd::new(USUAL);
    for second in 0..60 {
        aimd.overloaded(500, at(second * 1_000));
    }
    assert_eq!(aimd.limit(), 1);
    for _ in 0..400 {
        aimd.succeeded(aimd.limit(), at(60_000));
    }
    assert_eq!(aimd.limit(), 400, "back where the first cut left it");
}

#[test]
fn a_fixed_limit_hears_nothing() {
    let mut aimd = Aimd::new(Settings { mode: Mode::Fixed, max: 7, ..USUAL });
    aimd.overloaded(7, at(0));
    assert_eq!(aimd.limit(), 7);
}

#[test]
fn first_tokens_that_come_late_on_average_cut_softly_and_never_below_the_start() {
    let mut aimd = Aimd::new(Settings { ttft_rise: Some(2.0), ..USUAL });
    let round = |aimd: &mut Aimd, second: u64, millis| {
        for _ in 0..PACE_SAMPLES {
            aimd.first_token(Duration::from_millis(millis), 100, at(second * 1_000));
        }
    };
    round(&mut aimd, 0, 200);
    round(&mut aimd, 1, 390);
    assert_eq!(aimd.limit(), 1024, "less than twice the usual");
    round(&mut aimd, 2, 900);
    assert_eq!(aimd.limit(), 90);
    for second in 3..60 {
        round(&mut aimd, second, 4_000);
    }
    assert_eq!(aimd.limit(), 32);
}

/// An upstream that answers after `round`, of as many requests at once as it has room for in that second, and callers
/// who use all that they may.
struct World {
    aimd: Aimd,
    round: u64,
    millis: u64,
    refused: u32,
}

impl World {
    fn of(round: u64) -> Self {
        Self { aimd: Aimd::new(USUAL), round, millis: 0, refused: 0 }
    }

    /// One round of requests; no more than `offered`.
    fn turn(&mut self, capacity: u32, offered: u32) {
        let in_flight = self.aimd.limit().min(offered);
        self.millis += self.round;
        for place in 0..in_flight {
            // What there is room for is spread evenly over them.
            let served = |places: u32| places * capacity.min(in_flight) / in_flight;
            if served(place + 1) > served(place) {
                self.aimd.succeeded(in_flight, at(self.millis));
            } else {
                self.refused += 1;
                self.aimd.overloaded(in_flight, at(self.millis));
            }
        }
    }

    fn lasts(&mut self, millis: u64, capacity: u32, offered: u32) {
        let until = self.millis + millis;
        while self.millis < until {
            self.turn(capacity, offered);
        }
    }

    /// How long until the limit allows `wanted`.
    fn until(&mut self, wanted: u32, capacity: u32) -> Duration {
        let begun = self.millis;
        while self.aimd.limit() < wanted {
            self.turn(capacity, 120);
            assert!(self.millis - begun < 3_600_000, "it never comes back");
        }
        Duration::from_millis(self.millis - begun)
    }
}

/// With one more for a round alone this took 14 s, 73 s and, where a round takes four seconds, minutes.
#[test]
fn after_a_storm_in_which_some_was_served_the_limit_is_soon_what_it_was() {
    for round in [200, 1_000, 4_000] {
        let mut world = World::of(round);
        // It has been at its bound before, so that a limit is known.
        world.lasts(120_000, 100, 120);
        let before = world.aimd.limit();
        world.lasts(30_000, 5, 120);
        let during = world.aimd.limit();
        assert!(during <= before / 4, "round of {round} ms: {before} fell to {during}");
        let took = world.until(before * 9 / 10, 100);
        let most = Duration::from_secs(8) + Duration::from_millis(round) * 8;
        assert!(took <= most, "round of {round} ms: {took:?} from {during} to {before}");
    }
}

#[test]
fn the_first_storm_of_all_is_forgotten_as_soon() {
    let mut world = World::of(1_000);
    world.lasts(60_000, 200, 100);
    assert_eq!(world.aimd.limit(), 1024, "nobody has spoken of overload");
    world.lasts(30_000, 5, 100);
    assert!(world.aimd.limit() <= 20, "{}", world.aimd.limit());
    let took = world.until(72, 200);
    assert!(took <= Duration::from_secs(16), "{took:?}");
}

#[test]
fn an_upstream_that_became_smaller_for_good_is_tried_seldom() {
    let mut world = World::of(1_000);
    world.lasts(120_000, 100, 120);
    world.lasts(600_000, 10, 120);
    let before = world.refused;
    world.lasts(600_000, 10, 120);
    // Going up by one and down by a fifth refuses about one a cut; tries add little to it.
    let refused = world.refused - before;
    assert!(refused <= 250, "{refused} refused in ten minutes");
    assert!((7..=13).contains(&world.aimd.limit()), "{}", world.aimd.limit());
}

#[test]
fn a_limit_grows_while_half_of_it_is_used() {
    let mut aimd = Aimd::new(USUAL);
    aimd.overloaded(40, at(0));
    aimd.succeeded(15, at(1_000));
    assert_eq!(aimd.limit, Some(32.0));
    aimd.succeeded(16, at(1_000));
    assert!(aimd.limit > Some(32.0));
}

#[test]
fn new_bounds_hold_at_once_and_what_was_learnt_stays() {
    let mut aimd = Aimd::new(USUAL);
    aimd.overloaded(100, at(0));
    aimd.reconfigure(Settings { max: 50, ..USUAL });
    assert_eq!(aimd.limit(), 50);
    aimd.reconfigure(USUAL);
    assert_eq!(aimd.limit(), 80);
}

#[test]
fn a_try_that_is_refused_is_waited_for_twice_as_long_and_one_that_holds_no_longer() {
    let mut aimd = Aimd::new(USUAL);
    aimd.overloaded(50, at(0));
    aimd.succeeded(40, at(2_999));
    let before = aimd.limit;
    assert!(before < Some(40.1));
    for _ in 0..12 {
        aimd.succeeded(41, at(3_000));
    }
    assert_eq!(aimd.limit(), 43, "a quarter more for each of them");
    aimd.overloaded(43, at(4_000));
    assert_eq!(aimd.calm, CALM * 2);
    aimd.succeeded(34, at(9_999));
    assert!(aimd.limit() < 36);
    for second in 10..17 {
        aimd.succeeded(40, at(second * 1_000));
    }
    assert!(aimd.limit() > 40);
    aimd.overloaded(41, at(17_000));
    assert_eq!(aimd.calm, CALM, "it held for longer than it was waited for");
}

#[test]
fn a_limit_that_is_back_at_its_bound_is_tried_after_the_next_overload_as_soon_as_after_this_one() {
    let mut aimd = Aimd::new(Settings { max: 50, ..USUAL });
    for second in [0, 20] {
        aimd.overloaded(50, at(second * 1_000));
        for _ in 0..1_000 {
            aimd.succeeded(50, at(second * 1_000 + 10_000));
        }
        assert_eq!(aimd.limit(), 50);
    }
    aimd.overloaded(50, at(40_000));
    for _ in 0..12 {
        aimd.succeeded(40, at(43_000));
    }
    assert_eq!(aimd.limit(), 43, "a quarter more for each of them");
}

#[test]
fn a_limit_that_is_not_used_grows_old_and_is_found_again_where_it_was() {
    let mut aimd = Aimd::new(USUAL);
    aimd.overloaded(40, at(0));
    aimd.succeeded(1, at(3_000));
    assert_eq!(aimd.limit(), 32, "calm for long enough, and nothing more");
    aimd.succeeded(1, at(6_000));
    assert_eq!(aimd.limit(), 64);
    aimd.succeeded(1, at(60_000));
    assert_eq!(aimd.limit(), 1024, "what was heard a minute ago says nothing any more");
    // A bad minute, of one request at a time.
    aimd.overloaded(1, at(61_000));
    assert_eq!((aimd.limit(), aimd.calm), (25, CALM), "nobody used it");
    aimd.succeeded(1, at(90_000));
    aimd.overloaded(60, at(90_001));
    assert_eq!((aimd.limit(), aimd.calm), (48, CALM * 2));
}

/// Every other answer of two at a time is good; then all are, in a round of half a minute.
#[test]
fn a_minute_of_refusals_among_answers_is_made_good_in_one() {
    let mut aimd = Aimd::new(USUAL);
    for second in 0..60 {
        aimd.overloaded(2, at(second * 1_000));
        aimd.succeeded(2, at(second * 1_000 + 900));
    }
    assert!(aimd.limit() <= 3, "{}", aimd.limit());
    let mut millis = 60_000;
    while millis < 120_000 {
        let limit = aimd.limit();
        millis += 30_000 / u64::from(limit);
        aimd.succeeded(limit, at(millis));
    }
    assert!(aimd.limit() >= 100, "{}", aimd.limit());
}

/// As many first tokens as it takes to say something.
fn first_tokens(aimd: &mut Aimd, second: u64, millis: u64) {
    for _ in 0..PACE_SAMPLES {
        aimd.first_token(Duration::from_millis(millis), 100, at(second * 1_000));
    }
}

#[test]
fn twenty_first_tokens_say_something_and_nineteen_do_not() {
    let mut aimd = Aimd::new(Settings { ttft_rise: Some(2.0), ..USUAL });
    first_tokens(&mut aimd, 0, 200);
    for _ in 1..PACE_SAMPLES {
        aimd.first_token(Duration::from_millis(900), 100, at(1_000));
    }
    assert_eq!(aimd.limit(), 1024);
    aimd.first_token(Duration::from_millis(900), 100, at(1_000));
    assert_eq!(aimd.limit(), 90);
}

#[test]
fn late_is_more_than_the_rise() {
    let mut aimd = Aimd::new(Settings { ttft_rise: Some(2.0), ..USUAL });
    first_tokens(&mut aimd, 0, 250);
    first_tokens(&mut aimd, 1, 500);
    assert_eq!(aimd.limit(), 1024);
}

#[test]
fn what_is_usual_follows_what_comes() {
    let mut aimd = Aimd::new(Settings { ttft_rise: Some(2.0), ..USUAL });
    first_tokens(&mut aimd, 0, 200);
    for second in 1..300 {
        first_tokens(&mut aimd, second, 390);
    }
    first_tokens(&mut aimd, 300, 700);
    assert_eq!(aimd.limit(), 1024, "less than twice what has become usual");
    first_tokens(&mut aimd, 301, 900);
    assert_eq!(aimd.limit(), 90);
}

#[test]
fn late_first_tokens_hold_no_limit_up_that_is_where_it_begins() {
    let mut aimd = Aimd::new(Settings { ttft_rise: Some(2.0), ..USUAL });
    aimd.overloaded(40, at(0));
    assert_eq!(aimd.limit, Some(f64::from(USUAL.start)));
    first_tokens(&mut aimd, 1, 200);
    first_tokens(&mut aimd, 5, 900);
    aimd.succeeded(32, at(5_000));
    assert!(aimd.limit > Some(32.0));
}
