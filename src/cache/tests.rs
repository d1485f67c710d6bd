//! Laws of the memory, for any sequence of calls.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{Conversation, Item, Memory, Remembered, Scope};
use crate::algo::tick::Tick;
use crate::config::Responses;

const MEMORY: u64 = 64 * 1024;
const BOUNDS: Responses = Responses { memory: MEMORY, ttl: Duration::from_mins(1) };

fn at(seconds: u64) -> Tick {
    Tick::ZERO + Duration::from_secs(seconds)
}

fn conversation(items: Vec<Arc<Item>>) -> Conversation {
    Conversation { input: items.len(), items: items.into(), head: "{\"output\":".into(), tail: "}".into() }
}

fn of_bytes(bytes: usize) -> Conversation {
    conversation(vec![Item::new(None, &"x".repeat(bytes))])
}

fn has(memory: &Memory, scope: &Scope, id: &str, now: Tick) -> bool {
    memory.response(scope, id, now, &BOUNDS).is_some()
}

#[derive(Clone, Debug)]
enum Call {
    /// Of a number, from the conversation of another number if that is remembered, so many bytes longer.
    Remember {
        id: u8,
        from: u8,
        bytes: usize,
    },
    Look {
        id: u8,
    },
    Item {
        id: u8,
    },
    Forget {
        id: u8,
    },
    Wait {
        seconds: u64,
    },
    /// A reload gives it this much.
    Bound {
        memory: u64,
    },
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        5 => (0..24_u8, 0..24_u8, 0..12_000_usize)
            .prop_map(|(id, from, bytes)| Call::Remember { id, from, bytes }),
        3 => (0..24_u8).prop_map(|id| Call::Look { id }),
        2 => (0..24_u8).prop_map(|id| Call::Item { id }),
        1 => (0..24_u8).prop_map(|id| Call::Forget { id }),
        1 => (0..40_u64).prop_map(|seconds| Call::Wait { seconds }),
        1 => prop_oneof![Just(0), Just(MEMORY / 2), Just(MEMORY)].prop_map(|memory| Call::Bound { memory }),
    ];
    proptest::collection::vec(call, 0..120)
}

proptest! {
    #[test]
    fn no_more_is_held_than_the_bound_whatever_is_called(calls in calls()) {
        let (memory, scope) = (Memory::default(), Scope::new("a"));
        let (mut now, mut bounds) = (at(0), BOUNDS);
        let mut known = HashSet::new();
        for call in calls {
            match call {
                Call::Remember { id, from, bytes } => {
                    let before = memory.response(&scope, &from.to_string(), now, &bounds);
                    let mut items = before.map(|before| before.items.to_vec()).unwrap_or_default();
                    items.push(Item::new(Some(&format!("item{id}")), &"x".repeat(bytes)));
                    let longest = items.iter().map(|item| item.text().len() as u64).sum::<u64>();
                    let outcome = memory.remember(&scope, &id.to_string(), conversation(items), now, &bounds);
                    if outcome == Remembered::Yes {
                        known.insert(id);
                        prop_assert!(longest <= bounds.memory / 8);
                        prop_assert!(memory.response(&scope, &id.to_string(), now, &bounds).is_some());
                    } else {
                        prop_assert!(memory.response(&scope, &id.to_string(), now, &bounds).is_none());
                    }
                }
                Call::Look { id } => {
                    let found = memory.response(&scope, &id.to_string(), now, &bounds).is_some();
                    prop_assert!(!found || known.contains(&id));
                }
                Call::Item { id } => {
                    let found = memory.item(&scope, &format!("item{id}"), now, &bounds);
                    let named = found.is_none_or(|item| item.id() == Some(&format!("item{id}")));
                    prop_assert!(named);
                }
                Call::Forget { id } => {
                    memory.forget(&scope, &id.to_string(), now, &bounds);
                    prop_assert!(memory.response(&scope, &id.to_string(), now, &bounds).is_none());
                }
                Call::Wait { seconds } => now = now + Duration::from_secs(seconds),
                Call::Bound { memory } => bounds.memory = memory,
            }
            let held = memory.held(now, &bounds);
            prop_assert!(held.bytes <= bounds.memory, "{held:?} of {}", bounds.memory);
        }
        // Every byte and every name goes with what it belonged to.
        let held = memory.held(now + BOUNDS.ttl, &BOUNDS);
        prop_assert_eq!((held.responses, held.bytes), (0, 0));
        for id in known {
            let left = memory.item(&scope, &format!("item{id}"), now, &BOUNDS);
            prop_assert!(left.is_none());
        }
    }
}

#[test]
fn what_was_longest_unused_goes_first() {
    let (memory, scope) = (Memory::default(), Scope::new("a"));
    for n in 0..10 {
        memory.remember(&scope, &n.to_string(), of_bytes(5_000), at(n), &BOUNDS);
    }
    assert!(has(&memory, &scope, "0", at(10)), "ten of them have room");
    for n in 10..15 {
        memory.remember(&scope, &n.to_string(), of_bytes(5_000), at(n), &BOUNDS);
    }
    let left: Vec<u64> = (0..15).filter(|n| has(&memory, &scope, &n.to_string(), at(15))).collect();
    assert_eq!(left.first(), Some(&0), "it was used again");
    assert!(!left.contains(&1) && left.contains(&14), "{left:?}");
}

#[test]
fn nothing_is_remembered_beyond_its_time() {
    let (memory, scope) = (Memory::default(), Scope::new("a"));
    let item = Item::new(Some("msg_1"), "{}");
    memory.remember(&scope, "r", conversation(vec![item]), at(0), &BOUNDS);
    assert!(has(&memory, &scope, "r", at(59)));
    assert!(memory.item(&scope, "msg_1", at(118), &BOUNDS).is_some(), "a use begins the time anew");
    assert!(has(&memory, &scope, "r", at(177)), "the use of an item is one of its response");
    assert!(!has(&memory, &scope, "r", at(237)));
    assert!(memory.item(&scope, "msg_1", at(237), &BOUNDS).is_none());
}

#[test]
fn ids_mean_nothing_to_other_callers() {
    let (memory, ours, theirs) = (Memory::default(), Scope::new("a"), Scope::new("b"));
    let item = Item::new(Some("msg_1"), "{}");
    memory.remember(&ours, "r", conversation(vec![item]), at(0), &BOUNDS);
    assert!(!has(&memory, &theirs, "r", at(0)));
    assert!(memory.item(&theirs, "msg_1", at(0), &BOUNDS).is_none());
    assert!(!memory.forget(&theirs, "r", at(0), &BOUNDS));
    memory.remember(&theirs, "r", conversation(Vec::new()), at(0), &BOUNDS);
    assert!(memory.item(&ours, "msg_1", at(0), &BOUNDS).is_some(), "the same id elsewhere changes nothing");
}

#[test]
fn a_conversation_is_held_once_however_many_turns_it_had() {
    let (memory, scope) = (Memory::default(), Scope::new("a"));
    let mut items = Vec::new();
    for turn in 0..10 {
        items.push(Item::new(None, &"x".repeat(500)));
        memory.remember(&scope, &turn.to_string(), conversation(items.clone()), at(0), &BOUNDS);
    }
    let held = memory.held(at(0), &BOUNDS);
    assert_eq!(held.responses, 10);
    assert!(held.bytes < 10 * (500 + 1_024), "{held:?}");
    // The first turn's items stay as long as a later turn has them.
    assert!(memory.forget(&scope, "0", at(0), &BOUNDS));
    let last = memory.response(&scope, "9", at(0), &BOUNDS).expect("remembered");
    assert_eq!(last.items.len(), 10);
}

#[test]
fn one_that_takes_more_than_its_share_is_not_remembered() {
    let (memory, scope) = (Memory::default(), Scope::new("a"));
    let share = (MEMORY / 8) as usize;
    assert_eq!(memory.remember(&scope, "r", of_bytes(share), at(0), &BOUNDS), Remembered::TooLarge);
    assert_eq!(memory.held(at(0), &BOUNDS).bytes, 0);
    assert_eq!(memory.remember(&scope, "r", of_bytes(share / 2), at(0), &BOUNDS), Remembered::Yes);
}

#[test]
fn debug_shows_no_words() {
    let memory = Memory::default();
    let secret = conversation(vec![Item::new(None, "secret words")]);
    memory.remember(&Scope::new("a"), "r", secret, at(0), &BOUNDS);
    assert!(!format!("{memory:?}").contains("secret"));
}
