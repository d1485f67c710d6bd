//! What one replica tells another, over tables of the real thing.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::algo::cooldown::{Readiness, Recheck};
use crate::algo::quota::Tokens;
use crate::config;
use crate::config::testing::Given;
use crate::state::model::Shape;
use crate::state::permit::{Repeat, Wants, Whose};
use crate::state::{Live, Permit, Registry};
use crate::vocab::{Fault, RateHint, Stage};

const FILE: &str = "
version: 1
upstreams:
  one: {provider: openai, credentials: [sk-first-secret, {key: sk-second-secret, quota_group: org}, {key: sk-third-secret, quota_group: org}]}
routes:
  - model: m
    channels: [{upstream: one}]
  - model: made-up-*
    channels: [{upstream: one}]
";

fn replica(file: &str, seed: u64) -> Table {
    let blueprint = config::load(file, &Given::default()).expect("a good file").blueprint;
    Table::compile(&blueprint, &mut Registry::default(), &Arc::new(Live::seeded(seed)))
}

/// A request for `model` with the key of this place fails.
fn fail(table: &Table, route: usize, model: &str, key: usize, fault: Fault, wait: Option<u64>) {
    table.routes[route].channels[0].model(&table.routes[route].config, model).quote();
    fail_in_secret(table, route, model, key, fault, wait);
}

/// The same of a request without a log of it.
fn fail_in_secret(table: &Table, route: usize, model: &str, key: usize, fault: Fault, wait: Option<u64>) {
    let channel = &table.routes[route].channels[0];
    let memory = channel.model(&table.routes[route].config, model);
    let key = Some(Whose::Key(table.upstreams[0].credentials[key].identity));
    let wants = Wants {
        shape: Shape::Whole,
        payer: crate::vocab::Payer::Gateway,
        session: None,
        key,
        tokens: Tokens { input: 8, output: 2 },
    };
    let permit = Permit::admit(channel, memory, wants).expect("it may be asked");
    let hint = RateHint { retry_after: wait.map(Duration::from_secs), ..RateHint::default() };
    permit.fail(fault, Stage::Waiting, &hint, Repeat::First);
}

/// Notes of all that `table` has to tell, which is told now.
fn tell(table: &Table) -> Vec<Note> {
    let untold = untold(table, 100);
    untold.iter().for_each(Untold::told);
    untold.into_iter().map(|untold| untold.note).collect()
}

/// How many seconds the keys have to rest at this model.
fn rests(table: &Table, model: &str) -> Vec<u64> {
    let (upstream, now) = (&table.upstreams[0], table.live.now());
    let memory = upstream.memory.model(model, None);
    let rest = |key: &Arc<Credential>| {
        let rate = memory.rate(&key.rate_key);
        match key.readiness(rate.as_deref(), now) {
            Readiness::Cooling { until, .. } | Readiness::Disabled { recheck_at: until } => {
                until.since(now).as_secs()
            }
            Readiness::Ready | Readiness::Trickle => 0,
        }
    };
    upstream.credentials.iter().map(rest).collect()
}

#[tokio::test(start_paused = true)]
async fn another_replica_rests_the_same_keys_for_as_long_and_reads_no_secret() {
    let (one, other) = (replica(FILE, 1), replica(FILE, 2));
    fail(&one, 0, "m", 0, Fault::Throttled, Some(90));
    fail(&one, 0, "m", 1, Fault::QuotaExhausted, Some(7_200));
    let notes = tell(&one);
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert_eq!(tell(&one), [], "said once");
    let text: String = notes.iter().map(|note| note.text.as_str()).collect();
    assert!(!text.contains("sk-") && !text.contains("secret"), "{text}");
    let learnt = hear(&other, &notes);
    assert_eq!(learnt, Learnt { taken: vec!["long", "short"], unreadable: 0 });
    let rest = rests(&other, "m");
    assert!((90..110).contains(&rest[0]), "{rest:?}");
    assert!(rest[1] >= 7_200 && rest[2] == rest[1], "all of the group: {rest:?}");
    assert_eq!(rests(&other, "another")[0], 0, "a rate is of one model");
    assert_eq!(hear(&other, &notes).taken, [""; 0], "the same again is nothing new");
    assert_eq!(hear(&one, &notes).taken, [""; 0], "an echo neither");
    assert_eq!(tell(&other), [], "and nobody passes on what he was told");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_replaced_and_an_upstream_of_another_name_inherit_nothing() {
    let one = replica(FILE, 1);
    fail(&one, 0, "m", 0, Fault::AuthRefused, None);
    let notes = tell(&one);
    for (here, there) in [("sk-first-secret", "sk-newer-secret"), ("one:", "uno:")] {
        let file = FILE
            .replace(here, there)
            .replace("upstream: one", if there == "uno:" { "upstream: uno" } else { "upstream: one" });
        let other = replica(&file, 2);
        assert_eq!(hear(&other, &notes), Learnt::default(), "{there}");
        assert_eq!(rests(&other, "m"), [0, 0, 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_models_name_that_callers_made_up_is_hashed_and_found_again() {
    let (one, other) = (replica(FILE, 1), replica(FILE, 2));
    let pasted = "made-up-sk-pasted-by-mistake";
    fail(&one, 1, pasted, 0, Fault::Throttled, Some(60));
    let notes = tell(&one);
    assert!(!notes[0].text.contains("pasted"), "{notes:?}");
    assert_eq!(hear(&other, &notes).taken, [""; 0], "nobody has asked it for that model");
    assert_eq!(rests(&other, pasted)[0], 0);
    assert_eq!(hear(&other, &notes).taken, ["short"]);
    assert!(rests(&other, pasted)[0] >= 59);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_stands_only_in_requests_without_a_log_is_not_told() {
    let one = replica(FILE, 1);
    let name = "made-up-in-secret";
    fail_in_secret(&one, 1, name, 0, Fault::Throttled, Some(60));
    assert_eq!(tell(&one), []);
    assert!(rests(&one, name)[0] >= 59, "it rests here all the same");
    one.upstreams[0].memory.model(name, None).quote();
    assert_eq!(tell(&one).len(), 1, "another request has named it");
}

#[tokio::test(start_paused = true)]
async fn a_name_is_hashed_for_those_who_have_something_to_tell_or_to_find_and_once_only() {
    let (one, other) = (replica(FILE, 1), replica(FILE, 2));
    let model = |table: &Table, name: &str| table.upstreams[0].memory.model(name, None);
    for name in ["made-up-1", "made-up-2"] {
        // An own wait is nothing to tell.
        fail(&one, 1, name, 0, Fault::Throttled, None);
    }
    assert_eq!(tell(&one), []);
    assert!(!model(&one, "made-up-1").was_hashed(), "nothing was told");
    fail(&one, 1, "made-up-2", 1, Fault::Throttled, Some(60));
    let notes = tell(&one);
    assert_eq!(notes.len(), 1);
    assert!(model(&one, "made-up-2").was_hashed() && !model(&one, "made-up-1").was_hashed());
    let theirs = model(&other, "made-up-2");
    assert_eq!(hear(&other, &notes).taken, ["short"]);
    let first = Arc::as_ptr(theirs.hashed());
    hear(&other, &notes);
    assert_eq!(first, Arc::as_ptr(theirs.hashed()));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_rests_on_anothers_word_is_known_to_until_it_is_found_out_here_or_over() {
    let (one, other) = (replica(FILE, 1), replica(FILE, 2));
    fail(&one, 0, "m", 0, Fault::Throttled, Some(90));
    let heard = |table: &Table| {
        let upstream = &table.upstreams[0];
        let (model, now) = (upstream.memory.model("m", None), table.live.now());
        let key = |key: &Arc<Credential>| key.rests_on_hearsay(model.rate(&key.rate_key).as_deref(), now);
        upstream.credentials.iter().map(key).collect::<Vec<_>>()
    };
    hear(&other, &tell(&one));
    assert_eq!((heard(&one), heard(&other)), (vec![false; 3], vec![true, false, false]));
    tokio::time::advance(Duration::from_secs(110)).await;
    assert_eq!(heard(&other), [false; 3], "it does not rest any more");
    fail(&other, 0, "m", 0, Fault::Throttled, Some(90));
    assert_eq!(heard(&other), [false; 3], "that was found out here");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_works_again_is_asked_about_everywhere_and_the_refusal_is_taken_down() {
    let (one, other) = (replica(FILE, 1), replica(FILE, 2));
    fail(&one, 0, "m", 0, Fault::AuthRefused, None);
    let refused = tell(&one);
    assert_eq!(hear(&other, &refused).taken, ["auth"]);
    tokio::time::advance(Duration::from_mins(1)).await;
    let (own, live) = (&one.upstreams[0].credentials[0].own, &one.live);
    own.rechecked(Recheck::Accepted, live.now(), &mut live.dice());
    let channel = &one.routes[0].channels[0];
    let key = Some(Whose::Key(one.upstreams[0].credentials[0].identity));
    let wants = Wants {
        shape: Shape::Whole,
        payer: crate::vocab::Payer::Gateway,
        session: None,
        key,
        tokens: Tokens { input: 8, output: 2 },
    };
    let permit = Permit::admit(channel, channel.model(&one.routes[0].config, "m"), wants).expect("a trickle");
    permit.finish();
    let healed = untold(&one, 100);
    assert_eq!(healed.len(), 1);
    assert_eq!(healed[0].outdated.as_ref(), Some(&refused[0].text));
    healed[0].told();
    tokio::time::advance(Duration::from_secs(30)).await;
    let note =
        Note { left: healed[0].note.left.saturating_sub(Duration::from_secs(30)), ..healed[0].note.clone() };
    assert_eq!(hear(&other, std::slice::from_ref(&note)).taken, ["healed"]);
    assert!(other.upstreams[0].credentials[0].own.wants_recheck(other.live.now()));
    assert_eq!(hear(&other, &[note]).taken, [""; 0], "once is enough");
}

proptest! {
    #[test]
    fn no_note_whatever_panics_or_rests_a_key_for_longer_than_a_day_and_some(
        text in ".{0,200}", says in "short|long|auth|healed|other", level: u32, left: u64, cut in 0..200_usize,
    ) {
        let table = replica(FILE, 3);
        let fingerprint = &table.upstreams[0].config.credentials[0].fingerprint;
        let whole = format!(r#"{{"says":"{says}","level":{level},"upstream":"one","key":"{fingerprint}"}}"#);
        let part: String = whole.chars().take(cut).collect();
        let note = |text: &str| Note { text: text.to_owned(), left: Duration::from_millis(left) };
        hear(&table, &[note(&text), note(&whole), note(&part)]);
        prop_assert!(rests(&table, "m").iter().all(|rest| *rest < 28 * 3600));
    }
}
