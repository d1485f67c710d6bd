//! Laws of RESILIENCE §6 that hold for a whole table: eligibility (P-E), retries (P-R), reloads (P-F).
//!
//! Random routes, random histories of faults, no network: the test plays the upstreams' part. Time
//! is virtual. A failing case prints its seed through proptest.

use std::sync::Arc;
use std::time::Duration;

use mainstay::algo::tick::Tick;
use mainstay::config::{self, Env};
use mainstay::dialect::{Dialect, Operation};
use mainstay::route::{Explained, Failure, Need, Plan, Question, Resend, Verdict, explain};
use mainstay::state::model::Shape;
use mainstay::state::{Live, Registry, Table};
use mainstay::vocab::{Abilities, Fault, RateHint, Stage};
use proptest::prelude::*;

struct NoEnv;

impl Env for NoEnv {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("no files".to_owned())
    }
}

fn table(yaml: &str, registry: &mut Registry, live: &Arc<Live>) -> Table {
    let loaded = config::load(yaml, &NoEnv).unwrap_or_else(|problems| panic!("{problems:#?}"));
    Table::compile(&loaded.blueprint, registry, live)
}

/// A route of `tiers.len()` channels with these tiers, and one fallback route.
fn yaml(tiers: &[u8], select: &str) -> String {
    let upstreams: Vec<_> = (0..tiers.len()).map(|i| format!("  u{i}: {{provider: simulated}}\n")).collect();
    let upstreams = upstreams.concat();
    let channels: Vec<_> = tiers
        .iter()
        .enumerate()
        .map(|(i, tier)| format!("{{upstream: u{i}, tier: {tier}, weight: {}}}", i + 1))
        .collect();
    format!(
        "version: 1\nupstreams:\n{upstreams}  spare: {{provider: simulated}}\nroutes:\n  - model: demo\n    select: {select}\n    channels: [{}]\n    fallback: [other]\n  - model: other\n    channels: [{{upstream: spare}}]\n",
        channels.join(", ")
    )
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

pub fn need(live: &Live, resend: Resend) -> Need<'static> {
    let now = live.now();
    Need {
        dialect: Dialect::OpenAi,
        operation: Operation::Chat,
        model: "demo",
        narrow: false,
        shape: Shape::Whole,
        resend,
        deadline: now + Duration::from_mins(1),
        most_output: None,
        session: None,
        bond: None,
        prompt_tokens: 10,
        thinks: mainstay::dialect::scan::Thinks::Unsaid,
        least_window: 0,
        abilities: Abilities::default(),
        lineage: None,
        own: None,
        most_cost: None,
        most_attempts: u32::MAX,
    }
}

/// What an attempt comes to.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Good,
    Bad(Fault, Stage),
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Good),
        2 => Just(Fate::Bad(Fault::ServerError, Stage::Headers)),
        2 => Just(Fate::Bad(Fault::Connect, Stage::NotSent)),
        1 => Just(Fate::Bad(Fault::Reset, Stage::Waiting)),
        1 => Just(Fate::Bad(Fault::Overloaded, Stage::Headers)),
        1 => Just(Fate::Bad(Fault::HeadersTimeout, Stage::Waiting)),
        1 => Just(Fate::Bad(Fault::BadRequest, Stage::Headers)),
        1 => Just(Fate::Bad(Fault::ModelMissing, Stage::Headers)),
    ]
}

fn standing<'a>(explained: &'a Explained, channel: &str) -> &'a str {
    explained.channels.iter().find(|c| c.channel == channel).unwrap().standing
}

fn is_eligible(standing: &str) -> bool {
    matches!(standing, "ready" | "last")
}

fn in_flight(table: &Table) -> u32 {
    table.upstreams.iter().map(|u| u.memory.in_flight.load(std::sync::atomic::Ordering::Relaxed)).sum()
}

/// Plays one request; gives back how many attempts it made on its first route.
fn play(table: &Table, resend: Resend, fates: &mut impl Iterator<Item = Fate>) -> u32 {
    let need = need(&table.live, resend);
    let mut plan = Plan::begin(table, table.route_of_model("demo").unwrap());
    let mut tried: Vec<String> = Vec::new();
    let (mut on_first, mut sent) = (0, 0);
    loop {
        let before = explain(
            table,
            &Question { model: "demo".into(), dialect: Some(Dialect::OpenAi), ..Question::default() },
        )
        .unwrap();
        let on_demo = &*plan.route().config.name == "demo";
        let permit = match plan.choose(&need) {
            Ok(permit) => permit,
            Err(_) if plan.fall_back() => continue,
            Err(exhausted) if plan.may_panic() => match plan.panic(&need, exhausted) {
                Ok(permit) => permit,
                Err(_) => return on_first,
            },
            Err(_) => return on_first,
        };
        let label = permit.channel().label.to_string();
        if permit.is_forced() {
            let eligible: Vec<_> = before.channels.iter().filter(|c| is_eligible(c.standing)).collect();
            assert!(eligible.is_empty(), "P-E02: panic although {eligible:?}");
        } else if on_demo {
            let standing = standing(&before, &label);
            assert!(is_eligible(standing) || standing == "trial", "P-E01: {label} is {standing}");
            if tried.contains(&label) {
                let untried =
                    before.channels.iter().find(|c| is_eligible(c.standing) && !tried.contains(&c.channel));
                assert!(untried.is_none(), "P-E04: {label} again although {untried:?} is there");
            }
            on_first += 1;
        }
        assert!(on_first <= 3, "P-R01");
        match fates.next().unwrap_or(Fate::Good) {
            Fate::Good => {
                permit.finish();
                return on_first;
            }
            Fate::Bad(fault, stage) => {
                if stage > Stage::NotSent {
                    sent += 1;
                    // Turned away at the door is the one exception.
                    let may_again = resend == Resend::Allowed || sent <= 1 || fault == Fault::ModelMissing;
                    assert!(may_again, "P-R06: sent {sent} times");
                    if fault == Fault::ModelMissing {
                        sent -= 1;
                    }
                }
                let credential = fault.scope() == mainstay::vocab::Scope::Credential;
                if on_demo && !credential {
                    tried.push(label);
                }
                let failure = Failure { fault, stage, hint: RateHint::default() };
                match plan.verdict(permit, failure, &need) {
                    Verdict::Retry { .. } => {}
                    Verdict::NextRoute if plan.fall_back() => {}
                    Verdict::NextRoute | Verdict::GiveUp => return on_first,
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn picks_are_eligible_panic_is_the_last_resort_and_nothing_leaks(
        tiers in prop::collection::vec(0_u8..3, 1..6),
        select in prop_oneof![Just("weighted_round_robin"), Just("lowest_latency"), Just("least_inflight")],
        requests in prop::collection::vec((0_u64..3_000, any::<bool>(), prop::collection::vec(fates(), 0..6)), 1..120),
        seed in any::<u64>(),
    ) {
        runtime().block_on(async {
            let live = Arc::new(Live::seeded(seed));
            let table = table(&yaml(&tiers, select), &mut Registry::default(), &live);
            for (gap, replayable, fates) in requests {
                tokio::time::advance(Duration::from_millis(gap)).await;
                table.expire();
                let resend = if replayable { Resend::Allowed } else { Resend::IfUnsent };
                play(&table, resend, &mut fates.into_iter());
                assert_eq!(in_flight(&table), 0, "P-X01");
            }
        });
    }

    /// P-R05: retries of any ten seconds stay within a fifth of the first attempts and the reserve.
    #[test]
    fn retries_stay_within_their_budget(
        gaps in prop::collection::vec(1_u64..200, 200..600),
        seed in any::<u64>(),
    ) {
        runtime().block_on(async {
            let live = Arc::new(Live::seeded(seed));
            let table = table(&yaml(&[0, 0, 0], "weighted_round_robin"), &mut Registry::default(), &live);
            let always = Fate::Bad(Fault::ServerError, Stage::Headers);
            let mut history: Vec<(Tick, u32)> = Vec::new();
            for gap in gaps {
                tokio::time::advance(Duration::from_millis(gap)).await;
                let begun = live.now();
                let attempts = play(&table, Resend::Allowed, &mut std::iter::repeat(always));
                history.push((begun, attempts.saturating_sub(1)));
                let window = history.iter().rev().take_while(|(at, _)| begun.since(*at) < Duration::from_secs(10));
                let (first, retries) = window.fold((0.0, 0.0), |(first, retries), (_, more)| (first + 1.0, retries + f64::from(*more)));
                // A failed trial is repeated for free (RESILIENCE §4.4); at most one lease a channel is out.
                assert!(retries <= 0.2 * first + 2.0 * 10.0 + 3.0 + 1.0, "{retries} retries of {first} requests");
            }
        });
    }

    /// P-F02: what a soft change leaves alone is exactly as it was.
    #[test]
    fn a_soft_change_forgets_nothing(faults in prop::collection::vec(fates(), 1..60), weight in 1_u32..1000) {
        runtime().block_on(async {
            let live = Arc::new(Live::seeded(1));
            let mut registry = Registry::default();
            let text = yaml(&[0, 0], "weighted_round_robin");
            let before = table(&text, &mut registry, &live);
            let mut faults = faults.into_iter();
            for _ in 0..20 {
                tokio::time::advance(Duration::from_millis(300)).await;
                play(&before, Resend::Allowed, &mut faults);
            }
            let after = table(&text.replace("weight: 2", &format!("weight: {weight}")), &mut registry, &live);
            let now = live.now();
            for (old, new) in before.upstreams.iter().zip(&after.upstreams) {
                assert!(Arc::ptr_eq(&old.memory, &new.memory));
                assert_eq!(old.memory.gate.snapshot(now), new.memory.gate.snapshot(now));
                for model in &old.memory.models {
                    let same = new.memory.model(model.key(), None);
                    assert!(Arc::ptr_eq(model.value(), &same));
                }
            }
            let budget = |table: &Table| table.routes[0].memory.budget.lock().balance(now);
            assert_eq!(budget(&before), budget(&after));
        });
    }
}

#[test]
fn a_change_of_address_makes_an_upstream_a_new_one() {
    runtime().block_on(async {
        let live = Arc::new(Live::seeded(1));
        let mut registry = Registry::default();
        let text = "version: 1\nupstreams: {a: {provider: http, base_url: \"http://one\"}}\nroutes: [{path: /x/, channels: [{upstream: a}]}]\n";
        let before = table(text, &mut registry, &live);
        let after = table(&text.replace("http://one", "http://two"), &mut registry, &live);
        assert!(!Arc::ptr_eq(&before.upstreams[0].memory, &after.upstreams[0].memory));
    });
}

/// What was given back without having been asked costs no quota: else a request whose pictures have to be fetched
/// first would pay twice.
#[test]
fn a_permit_that_is_withdrawn_gives_its_quota_back() {
    runtime().block_on(async {
        let yaml = "version: 1\nupstreams: {a: {provider: simulated, quota: {rpm: 1}}}\nroutes: [{model: demo, channels: [{upstream: a}]}]\n";
        let live = Arc::new(Live::seeded(1));
        let table = table(yaml, &mut Registry::default(), &live);
        let need = need(&live, Resend::Allowed);
        let mut plan = Plan::begin(&table, table.route_of_model("demo").unwrap());
        for _ in 0..3 {
            let permit = plan.choose(&need).expect("nothing was asked so far");
            plan.withdraw(permit);
        }
        plan.choose(&need).unwrap().finish();
        assert!(plan.choose(&need).is_err(), "one a minute");
        assert_eq!(in_flight(&table), 0);
    });
}
