use proptest::prelude::*;

use super::*;

fn at(secs: u64) -> Tick {
    Tick::ZERO + Duration::from_secs(secs)
}

/// A prompt whose answer is nothing.
fn prompt(input: u64) -> Tokens {
    Tokens { input, output: 0 }
}

fn said(requests: Option<Told>, tokens: Option<Told>) -> PerLimit<Option<Told>> {
    PerLimit { requests, tokens, ..PerLimit::default() }
}

/// Requests and tokens that are left.
fn both(quota: &Quota, secs: u64) -> (Option<u64>, Option<u64>) {
    let left = quota.left(at(secs));
    (left.requests, left.tokens)
}

fn told(remaining: u64, limit: u64, secs: u64) -> Told {
    Told { remaining, limit: Some(limit), reset_after: Some(Duration::from_secs(secs)) }
}

#[test]
fn what_the_upstream_said_is_used_up_and_flows_back() {
    let mut quota = Quota::new(Caps::default());
    assert_eq!(quota.standing(prompt(1_000_000), at(0)), Standing::Fits { share: 1.0 });
    quota.heard(said(Some(told(10, 100, 60)), Some(told(500, 10_000, 60))), at(0));
    assert_eq!(quota.standing(prompt(500), at(0)), Standing::Fits { share: 0.05 });
    assert_eq!(quota.standing(prompt(501), at(0)), Standing::Short);
    let booking = quota.spend(prompt(400), at(0));
    assert_eq!(both(&quota, 0), (Some(9), Some(100)));
    assert_eq!(quota.standing(prompt(101), at(0)), Standing::Short);
    quota.refund(booking, at(0));
    assert_eq!(both(&quota, 0), (Some(10), Some(500)));
    // Half of what is missing is back after half of the time.
    assert_eq!(both(&quota, 30), (Some(55), Some(5_250)));
    assert_eq!(both(&quota, 60), (None, None));
    assert_eq!(quota.standing(prompt(9_999), at(60)), Standing::Fits { share: 1.0 });
}

#[test]
fn a_prompt_beyond_the_whole_limit_waits_for_a_full_one_and_no_longer() {
    let mut quota = Quota::new(Caps::default());
    quota.heard(said(None, Some(told(9_999, 10_000, 60))), at(0));
    assert_eq!(quota.standing(prompt(50_000), at(0)), Standing::Short);
    quota.heard(said(None, Some(told(10_000, 10_000, 60))), at(1));
    assert_eq!(quota.standing(prompt(50_000), at(1)), Standing::Fits { share: 1.0 });
}

/// Anthropic's: 450,000 of prompts and 90,000 of answers a minute.
#[test]
fn a_prompt_is_held_against_the_prompts_limit_and_an_answer_against_the_answers() {
    let mut quota = Quota::new(Caps::default());
    let (input, output) = (Some(told(450_000, 450_000, 60)), Some(told(80_000, 90_000, 60)));
    quota.heard(PerLimit { input, output, ..PerLimit::default() }, at(0));
    let large = Tokens { input: 95_000, output: 500 };
    assert!(matches!(quota.standing(large, at(0)), Standing::Fits { .. }), "answers have no part in it");
    quota.spend(large, at(0));
    let left = quota.left(at(0));
    assert_eq!((left.input, left.output, left.tokens), (Some(355_000), Some(79_500), None));
    assert_eq!(quota.standing(Tokens { input: 1, output: 79_501 }, at(0)), Standing::Short);
}

#[test]
fn a_cap_binds_and_lets_go() {
    let mut quota = Quota::new(Caps { rpm: Some(3), ..Caps::default() });
    for _ in 0..3 {
        assert!(matches!(quota.standing(prompt(1), at(7)), Standing::Fits { .. }));
        quota.spend(prompt(1), at(7));
    }
    assert_eq!(both(&quota, 7), (Some(0), None));
    assert_eq!(quota.standing(prompt(1), at(7)), Standing::Capped { until: at(70) });
    assert_eq!(quota.standing(prompt(1), at(64)), Standing::Capped { until: at(70) });
    assert_eq!(quota.standing(prompt(1), at(75)), Standing::Fits { share: 1.0 });
}

#[test]
fn the_cap_that_lasts_longest_says_when() {
    let mut quota = Quota::new(Caps { rpm: Some(2), tpm: Some(100), rpd: Some(3), tpd: None });
    for secs in [0, 20, 3_700] {
        quota.spend(prompt(40), at(secs));
    }
    // The day's first leaves with its hour, 25 hours later, and takes the second one along.
    assert_eq!(quota.standing(prompt(1), at(3_700)), Standing::Capped { until: at(25 * 3_600) });
    let mut minute = Quota::new(Caps { rpm: Some(2), ..Caps::default() });
    minute.spend(prompt(1), at(3));
    minute.spend(prompt(1), at(42));
    assert_eq!(minute.standing(prompt(1), at(43)), Standing::Capped { until: at(65) }, "one is enough");
}

#[test]
fn a_days_tokens_bind_until_the_hour_has_left_in_which_they_were_used() {
    let mut quota = Quota::new(Caps { tpd: Some(100), ..Caps::default() });
    quota.spend(prompt(60), at(0));
    quota.spend(prompt(30), at(7_200));
    assert!(matches!(quota.standing(prompt(1), at(7_200)), Standing::Fits { .. }));
    assert_eq!(both(&quota, 7_200), (None, Some(10)));
    quota.spend(prompt(30), at(7_300));
    assert_eq!(quota.standing(prompt(1), at(7_300)), Standing::Capped { until: at(25 * 3_600) });
    assert!(matches!(quota.standing(prompt(1), at(25 * 3_600)), Standing::Fits { .. }));
}

/// What the upstream said since then knows of the request already.
#[test]
fn what_was_used_is_booked_where_the_estimate_was() {
    let mut quota = Quota::new(Caps::default());
    quota.heard(said(None, Some(told(5_000, 10_000, 600))), at(0));
    let early = quota.spend(prompt(1_000), at(0));
    let early = quota.correct(early, Tokens { input: 1_200, output: 300 }, at(0));
    assert_eq!(both(&quota, 0), (None, Some(3_500)));
    quota.heard(said(None, Some(told(3_000, 10_000, 600))), at(0));
    let late = quota.spend(prompt(100), at(0));
    let _ = quota.correct(early, prompt(4_000), at(0));
    assert_eq!(both(&quota, 0), (None, Some(2_900)));
    quota.refund(late, at(0));
    quota.refund(early, at(0));
    assert_eq!(both(&quota, 0), (None, Some(3_000)));
}

#[test]
fn what_never_left_is_given_back_to_the_caps_also_in_a_later_slot() {
    let minute = Caps { rpm: Some(10), tpm: Some(100), ..Caps::default() };
    let day = Caps { rpd: Some(10), tpd: Some(200), ..Caps::default() };
    for (caps, later, spent, full) in [
        (minute, 20, (Some(9), Some(93)), (Some(10), Some(100))),
        (day, 7_200, (Some(9), Some(193)), (Some(10), Some(200))),
    ] {
        let mut quota = Quota::new(caps);
        let booking = quota.spend(prompt(7), at(0));
        assert_eq!(both(&quota, later), spent);
        quota.refund(booking, at(later));
        assert_eq!(both(&quota, later), full);
    }
}

#[test]
fn a_large_prompt_goes_through_a_token_cap_and_is_paid_for_after() {
    let mut quota = Quota::new(Caps { tpm: Some(1_000), ..Caps::default() });
    quota.spend(prompt(999), at(0));
    assert!(matches!(quota.standing(prompt(50_000), at(1)), Standing::Fits { .. }));
    quota.spend(prompt(50_000), at(1));
    assert!(matches!(quota.standing(prompt(1), at(59)), Standing::Capped { .. }));
    assert!(matches!(quota.standing(prompt(1), at(70)), Standing::Fits { .. }));
}

#[test]
fn a_channel_keeps_its_weight_while_there_is_plenty() {
    let check = |share: f64, expected: f64| assert!((factor(share) - expected).abs() < 1e-9, "{share}");
    check(1.0, 1.0);
    check(0.25, 1.0);
    check(0.125, 0.5);
    check(0.0, 0.05);
}

proptest! {
    #[test]
    fn no_minute_sees_more_requests_than_its_cap(cap in 1_u64..20, gaps in proptest::collection::vec(0_u64..20_000, 1..300)) {
        let mut quota = Quota::new(Caps { rpm: Some(cap), ..Caps::default() });
        let (mut millis, mut sent) = (0, Vec::new());
        for gap in gaps {
            millis += gap;
            let now = Tick::ZERO + Duration::from_millis(millis);
            if matches!(quota.standing(prompt(1), now), Standing::Fits { .. }) {
                quota.spend(prompt(1), now);
                sent.push(millis);
            }
        }
        for &end in &sent {
            let within = sent.iter().filter(|&&at| at <= end && at + 60_000 > end).count() as u64;
            prop_assert!(within <= cap, "{within} in the minute before {end} ms");
        }
    }

    /// Against a list of all that was ever booked.
    #[test]
    fn a_window_holds_what_was_used_and_estimates_of_the_rest(
        asked in proptest::collection::vec((0_u64..12_000, 0_u64..900, prop::option::of((0_u64..100_000, 0_u64..900))), 1..60),
    ) {
        const SLOT: u64 = 5_000;
        let mut quota = Quota::new(Caps { tpm: Some(1 << 40), ..Caps::default() });
        let (mut millis, mut list): (_, Vec<(u64, u64)>) = (0, Vec::new());
        let mut corrections: Vec<(u64, usize, Booking, u64)> = Vec::new();
        let tick = |millis: u64| Tick::ZERO + Duration::from_millis(millis);
        for (gap, estimate, used) in asked {
            millis += gap;
            corrections.sort_unstable_by_key(|&(due, ..)| std::cmp::Reverse(due));
            while let Some((due, place, booking, used)) = corrections.pop_if(|&mut (due, ..)| due <= millis) {
                let _ = quota.correct(booking, Tokens { input: 0, output: used }, tick(due));
                let (at, tokens) = &mut list[place];
                // Later it would be nowhere.
                if due / SLOT - *at / SLOT < 13 {
                    *tokens = used;
                }
            }
            let booking = quota.spend(prompt(estimate), tick(millis));
            corrections.extend(used.map(|(after, used)| (millis + after, list.len(), booking, used)));
            list.push((millis, estimate));
            let within = list.iter().filter(|&&(at, _)| millis / SLOT - at / SLOT < 13);
            let sum: u64 = within.map(|&(_, tokens)| tokens).sum();
            prop_assert_eq!(quota.left(tick(millis)).tokens, Some((1 << 40) - sum));
        }
    }

    /// Whoever is told to come back later finds room then, and would have found none before.
    #[test]
    fn the_end_of_a_cap_is_neither_too_early_nor_too_late(
        rpm in 1_u64..6, tpm in 1_u64..2_000, rpd in 1_u64..30, tpd in 1_u64..20_000,
        asked in proptest::collection::vec((0_u64..400_000, 0_u64..900), 1..60),
    ) {
        let mut quota = Quota::new(Caps { rpm: Some(rpm), tpm: Some(tpm), rpd: Some(rpd), tpd: Some(tpd) });
        let mut now = Tick::ZERO;
        for (gap, tokens) in asked {
            now = now + Duration::from_millis(gap);
            match quota.standing(prompt(tokens), now) {
                Standing::Fits { .. } => {
                    quota.spend(prompt(tokens), now);
                }
                Standing::Short => prop_assert!(false, "nobody said so"),
                Standing::Capped { until } => {
                    prop_assert!(until > now);
                    let before = Tick::from_nanos(until.nanos() - 1);
                    prop_assert_eq!(quota.standing(prompt(tokens), before), Standing::Capped { until });
                    let then = quota.standing(prompt(tokens), until);
                    prop_assert!(matches!(then, Standing::Fits { .. }), "{then:?}");
                }
            }
        }
    }

    #[test]
    fn a_request_fits_where_each_part_of_it_fits_its_own_limit(
        left in [0_u64..1_000, 0..1_000, 0..2_000], wanted in [0_u64..1_000, 0..1_000], spent in [0_u64..400, 0..400],
    ) {
        let mut quota = Quota::new(Caps::default());
        let [input, output, tokens] = left.map(|remaining| Some(Told { remaining, limit: None, reset_after: None }));
        quota.heard(PerLimit { requests: None, input, output, tokens }, at(0));
        quota.spend(Tokens { input: spent[0], output: spent[1] }, at(0));
        let used = [spent[0], spent[1], spent[0] + spent[1]];
        let wants = [wanted[0], wanted[1], wanted[0] + wanted[1]];
        let fits = (0..3).all(|which| wants[which] <= left[which].saturating_sub(used[which]));
        let standing = quota.standing(Tokens { input: wanted[0], output: wanted[1] }, at(1));
        prop_assert_eq!(standing, if fits { Standing::Fits { share: 1.0 } } else { Standing::Short });
    }

    #[test]
    fn nothing_that_is_said_upsets_it(
        remaining: u64, limit: Option<u64>, reset: Option<u32>, spend: u64, later: u32, tokens: u64,
    ) {
        let mut quota = Quota::new(Caps { rpm: limit, tpm: Some(remaining), tpd: Some(remaining), ..Caps::default() });
        let reset_after = reset.map(|secs| Duration::from_secs(secs.into()));
        let told = Some(Told { remaining, limit, reset_after });
        quota.heard(PerLimit { requests: told, input: told, output: told, tokens: told }, at(1));
        let booking = quota.spend(prompt(spend), at(1));
        let booking = quota.correct(booking, prompt(remaining), at(2));
        let _ = quota.standing(prompt(tokens), at(u64::from(later)));
        quota.refund(booking, at(2));
        if let Standing::Fits { share } = quota.standing(prompt(tokens), at(u64::from(later))) {
            prop_assert!((0.05..=1.0).contains(&factor(share)));
        }
    }
}
