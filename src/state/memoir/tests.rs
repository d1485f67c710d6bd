//! What is left to the next process, over tables of the real thing.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::algo::breaker::State;
use crate::algo::cooldown::Readiness;
use crate::algo::quota::{self, Tokens};
use crate::config;
use crate::config::testing::Given;
use crate::state::model::Shape;
use crate::state::permit::{Repeat, Wants};
use crate::state::{Live, Permit, Registry};
use crate::vocab::hint::Allowance;
use crate::vocab::{Fault, RateHint, Stage};

const FILE: &str = "
version: 1
upstreams:
  one: {provider: openai, credentials: [sk-first-secret, {key: sk-second-secret, quota_group: org}]}
  two: {provider: custom, dialect: openai, base_url: 'https://two.example.com/v1'}
routes:
  - model: m
    channels: [{upstream: one}, {upstream: two}]
  - model: made-up-*
    channels: [{upstream: two}]
";

/// Some day of 2026.
const DAY: Duration = Duration::from_secs(1_790_000_000);

/// A gateway that starts with `memoir`, at a moment after the epoch.
fn start(file: &str, left: Option<&str>, unix: Duration) -> Result<Table, Unfit> {
    let blueprint = config::load(file, &Given::default()).expect("a good file").blueprint;
    let live = Arc::new(Live::seeded(5));
    let mut registry = Registry::default();
    if let Some(text) = left {
        let memoir = Memoir::decode(text, unix)?;
        live.clock.resume(memoir.resumes_at(unix));
        registry.recall(memoir);
    }
    Ok(Table::compile(&blueprint, &mut registry, &live))
}

fn fail(table: &Table, upstream: usize, fault: Fault, hint: &RateHint) {
    let channel = &table.routes[0].channels[upstream];
    let model = channel.model(&table.routes[0].config, "m");
    let wants = Wants {
        shape: Shape::Whole,
        payer: crate::vocab::Payer::Gateway,
        session: None,
        key: None,
        tokens: Tokens { input: 8, output: 2 },
    };
    let permit = Permit::admit(channel, model, wants).expect("it may be asked");
    permit.fail(fault, Stage::Waiting, hint, Repeat::First);
}

/// One key throttled, one account without money, one upstream gone, one quota nearly used up.
fn troubled() -> String {
    let table = start(FILE, None, DAY).expect("nothing to believe");
    let wait = |secs| RateHint { retry_after: Some(Duration::from_secs(secs)), ..RateHint::default() };
    let left = Allowance { remaining: 3, limit: Some(100), reset_after: Some(Duration::from_mins(10)) };
    fail(&table, 0, Fault::Throttled, &RateHint { requests: Some(left), output: Some(left), ..wait(90) });
    fail(&table, 0, Fault::QuotaExhausted, &wait(7_200));
    for _ in 0..5 {
        fail(&table, 1, Fault::Connect, &RateHint::default());
    }
    let route = &table.routes[1];
    let made_up = route.channels[0].model(&route.config, "made-up-sk-pasted-by-mistake");
    made_up.observe(Shape::Stream, table.live.now(), Duration::from_millis(300));
    let nobodys = route.channels[0].model(&route.config, "made-up-in-secret");
    nobodys.observe(Shape::Stream, table.live.now(), Duration::from_millis(300));
    let without = Memoir::of(&table, DAY).encode().expect("small").text;
    assert!(!without.contains(HASHED), "no request has named it that may be told of");
    made_up.quote();
    Memoir::of(&table, DAY).encode().expect("small").text
}

/// Until when the keys of the first upstream rest, at this model.
fn rests(table: &Table) -> Vec<Option<Duration>> {
    let upstream = &table.upstreams[0];
    let now = table.live.now();
    let model = upstream.memory.model("m", None);
    let rest = |key: &Arc<crate::state::credential::Credential>| {
        let rate = model.rate(&key.rate_key);
        match key.readiness(rate.as_deref(), now) {
            Readiness::Cooling { until, .. } | Readiness::Disabled { recheck_at: until } => {
                Some(until.since(now))
            }
            Readiness::Ready | Readiness::Trickle => None,
        }
    };
    upstream.credentials.iter().map(rest).collect()
}

#[test]
fn what_is_left_is_found_again_and_holds_no_secret() {
    let left = troubled();
    for secret in ["sk-first", "sk-second", "pasted"] {
        assert!(!left.contains(secret), "{left}");
    }
    let table = start(FILE, Some(&left), DAY + Duration::from_secs(10)).expect("fit");
    let secs = |rest: &Option<Duration>| rest.map_or(0, |rest| rest.as_secs());
    let rest: Vec<_> = rests(&table).iter().map(secs).collect();
    assert!((79..100).contains(&rest[0]), "90 s and some jitter, 10 s of which have passed: {rest:?}");
    assert!(rest[1] > 7_000, "{rest:?}");
    assert!(matches!(table.upstreams[1].memory.gate.state(), State::Open { .. }));
    let model = table.upstreams[0].memory.model("m", None);
    let quota = model.quota(&table.upstreams[0].credentials[0].rate_key).expect("told");
    let left = quota.lock().left(table.live.now());
    assert_eq!(left.requests, Some(4), "3, and what flowed back in ten seconds");
    assert_eq!(left.output, Some(4), "and so for each of its limits");
    let route = &table.routes[1];
    let made_up = route.channels[0].model(&route.config, "made-up-sk-pasted-by-mistake");
    assert!(made_up.latency(Shape::Stream, table.live.now()).is_some());
}

#[test]
fn a_pause_is_time_without_requests() {
    let left = troubled();
    let table = start(FILE, Some(&left), DAY + Duration::from_mins(20)).expect("fit");
    let rest = rests(&table);
    assert_eq!(rest[0], None, "its time has passed meanwhile");
    assert!(rest[1].is_some_and(|rest| rest < Duration::from_mins(132 - 20)), "{rest:?}");
    let gate = &table.upstreams[1].memory.gate;
    assert_eq!(gate.standing(table.live.now()), crate::state::gate::Standing::Trial);
    let model = table.upstreams[1].memory.model("made-up-sk-pasted-by-mistake", None);
    assert_eq!(model.latency(Shape::Stream, table.live.now()), None, "too old to be worth anything");
}

#[test]
fn another_address_is_another_upstream_and_its_keys_are_the_same() {
    let left = troubled();
    let other = FILE.replace("two.example.com", "three.example.com");
    let table = start(&other, Some(&left), DAY).expect("fit");
    assert_eq!(table.upstreams[1].memory.gate.state(), State::Closed);
    let without = start(&FILE.replace("sk-first-secret", "sk-third-secret"), Some(&left), DAY).expect("fit");
    assert_eq!(rests(&without)[0], None, "another key has done nothing");
}

#[test]
fn what_was_never_asked_for_is_passed_on_to_the_next() {
    let left = troubled();
    let table = start(FILE, Some(&left), DAY).expect("fit");
    let again = Memoir::of(&table, DAY).encode().expect("small").text;
    let third = start(FILE, Some(&again), DAY).expect("fit");
    let route = &third.routes[1];
    let made_up = route.channels[0].model(&route.config, "made-up-sk-pasted-by-mistake");
    assert!(made_up.latency(Shape::Stream, third.live.now()).is_some());
    assert_eq!(rests(&third).iter().flatten().count(), 2);
}

#[test]
fn files_that_cannot_be_believed_are_refused_with_the_reason() {
    let left = troubled();
    let at = |text: &str, unix| Memoir::decode(text, unix).expect_err("unfit");
    assert_eq!(at("", DAY), Unfit::Foreign);
    assert_eq!(at("{\"a\": 1}", DAY), Unfit::Foreign);
    assert_eq!(at(&left[..left.len() / 2], DAY), Unfit::Foreign);
    assert_eq!(at(&left.replacen("\"mainstay_state\":1", "\"mainstay_state\":2", 1), DAY), Unfit::Version(2));
    assert_eq!(at(&left.replacen("\"name\":\"one\"", "\"name\":\"two\"", 1), DAY), Unfit::Checksum);
    assert_eq!(at(&left, DAY.saturating_sub(Duration::from_secs(1))), Unfit::Future);
    let late = OLDEST + Duration::from_secs(1);
    assert_eq!(at(&left, DAY + late), Unfit::Old(late));
    assert_eq!(at(&" ".repeat(MOST_BYTES + 1), DAY), Unfit::Large);
    assert!(Memoir::decode(&left, DAY + OLDEST).is_ok());
}

#[test]
fn where_files_are_is_believed_however_old_it_is() {
    let table = start(FILE, None, DAY).expect("nothing to believe");
    let mut memoir = Memoir::of(&table, DAY);
    memoir.left = vec![[1, u64::MAX, 0, 4]];
    let text = memoir.encode().expect("text").text;
    assert!(Memoir::decode(&text, DAY * 40).is_err());
    assert_eq!(Memoir::lasting(&text).left, [[1, u64::MAX, 0, 4]]);
    assert!(Memoir::lasting(&text.replacen("[1,", "[2,", 1)).is_empty(), "the checksum is wrong");
    assert!(memoir.differs(&Memoir::of(&table, DAY)));
}

#[test]
fn time_alone_is_no_change() {
    let table = start(FILE, None, DAY).expect("nothing to believe");
    let before = Memoir::of(&table, DAY);
    assert!(!Memoir::of(&table, DAY + Duration::from_mins(1)).differs(&before));
    fail(&table, 1, Fault::Connect, &RateHint::default());
    assert!(Memoir::of(&table, DAY).differs(&before));
}

/// Many models that callers made up, asked one after the other, and places of many files.
fn crowded() -> Memoir {
    let table = start(FILE, None, DAY).expect("nothing to believe");
    let (route, now) = (&table.routes[1], table.live.now());
    for number in 0..60 {
        let model = route.channels[0].model(&route.config, &format!("made-up-{number}"));
        model.quote();
        model.observe(Shape::Whole, now + Duration::from_secs(number), Duration::from_millis(300));
    }
    // The first one of all, and there is more to say of it than when it was asked.
    route.channels[0].model(&route.config, "made-up-0").missing(now + Duration::from_mins(10));
    let mut memoir = Memoir::of(&table, DAY);
    memoir.left = (0..500).map(|number| [number, u64::MAX / (number + 1), number % 3, 4]).collect();
    memoir
}

#[test]
fn what_is_too_large_loses_what_was_of_use_longest_ago_and_nothing_else() {
    let whole = crowded();
    let all = whole.encode().expect("small");
    assert_eq!(all.left_out, LeftOut::default());
    let models = |memoir: &Memoir| {
        let upstreams = memoir.upstreams.iter();
        let named =
            upstreams.flat_map(|upstream| upstream.models.iter().map(|model| (&upstream.name, model)));
        named
            .map(|(upstream, model)| ((upstream.clone(), model.name.clone()), model.holds_until()))
            .collect::<HashMap<_, _>>()
    };
    let first = ("two".to_owned(), hashed("made-up-0"));
    let before = models(&whole);
    for most in (0..=all.text.len()).rev().step_by(997) {
        let Ok(Encoded { text, left_out }) = fit::encode(&whole, most) else {
            assert!(most < 12_000, "what always stays is small: {most}");
            continue;
        };
        assert!(text.len() <= most, "{most}");
        let slack = most - text.len();
        assert!(slack < 4_000 || left_out == LeftOut::default(), "{most}: no more than has to be: {slack}");
        let less = Memoir::decode(&text, DAY).expect("whole, and believed");
        let here = models(&less);
        let gone = before.iter().filter(|(name, _)| !here.contains_key(*name)).map(|(_, holds)| holds);
        assert_eq!(gone.clone().count(), left_out.models, "{most}");
        if let (Some(latest), Some(earliest)) = (gone.max(), here.values().min()) {
            assert!(latest <= earliest, "{most}: the least recent ones first");
        }
        assert_eq!(less.left, whole.left[left_out.places..], "{most}");
        assert!(left_out.places == 0 || here.is_empty(), "{most}: models go first");
        let missing = here.contains_key(&first);
        assert!(missing || here.len() < 2, "{most}: what still holds is no old news");
    }
    let least = Memoir { left: Vec::new(), ..whole.clone() };
    assert!(fit::encode(&least, 100).is_err(), "no file is that small");
}

#[test]
fn every_file_begins_as_ours() {
    assert!(troubled().starts_with(BEGIN));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_damage_is_believed_and_none_panics(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let left = LEFT.with(Clone::clone);
        let mut bytes = left.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != with);
        bytes[at] = with;
        if let Ok(text) = String::from_utf8(bytes)
            && let Ok(memoir) = Memoir::decode(&text, DAY)
        {
            prop_assert_eq!(memoir, Memoir::decode(&left, DAY).expect("fit"));
        }
    }
}

thread_local! {
    static LEFT: String = troubled();
}

/// What older programs wrote as `tokens` was the scarcest of three limits: as a limit of the sum it would be wrong.
#[test]
fn a_quota_of_an_older_program_keeps_its_counts_and_no_limit_of_tokens() {
    let slots = |count: usize| vec!["[2,7]"; count].join(",");
    let window =
        |width: u64, count| format!(r#"{{"width":{width},"began":{width},"slots":[{}]}}"#, slots(count));
    let limit = r#"{"remaining":3,"most":90000,"reset_after":60000000000,"at":5,"spent":0}"#;
    let (minute, day) = (window(5_000_000_000, 13), window(3_600_000_000_000, 25));
    let old = format!(r#"{{"requests":{limit},"tokens":{limit},"minute":{minute},"day":{day}}}"#);
    let form: Quota = serde_json::from_str(&old).expect("it can be read");
    let kept = quota::Kept::from(&form);
    assert_eq!(kept.limits.requests.map(|limit| limit.told.remaining), Some(3));
    assert_eq!((kept.limits.input, kept.limits.output, kept.limits.tokens), (None, None, None));
    assert_eq!(kept.minute.slots, vec![[2, 7]; 13]);
}
