//! Laws of the store, for any sequence of calls.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::cache::Likening;

const MEMORY: u64 = 16 * 1024;

fn at(seconds: u64) -> Tick {
    Tick::ZERO + Duration::from_secs(seconds)
}

fn likeness(of: u8) -> Likeness {
    let mut likening = Likening::begin("a test");
    likening.add(&[of]);
    likening.end()
}

fn kept(body: Vec<u8>, now: Tick) -> Arc<Kept> {
    let (status, fields) = (StatusCode::OK, HeaderMap::new());
    Arc::new(Kept { status, fields, body: body.into(), pieces: None, usage: None, at: now })
}

#[derive(Clone, Debug)]
enum Call {
    Keep {
        of: u8,
        bytes: usize,
        seconds: u64,
    },
    Find {
        of: u8,
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
        4 => (0..16_u8, 0..6_000_usize, 1..60_u64)
            .prop_map(|(of, bytes, seconds)| Call::Keep { of, bytes, seconds }),
        4 => (0..16_u8).prop_map(|of| Call::Find { of }),
        1 => (0..30_u64).prop_map(|seconds| Call::Wait { seconds }),
        1 => prop_oneof![Just(0), Just(MEMORY / 2), Just(MEMORY)].prop_map(|memory| Call::Bound { memory }),
    ];
    proptest::collection::vec(call, 0..150)
}

proptest! {
    #[test]
    fn what_is_found_is_what_was_kept_last_and_in_time_and_never_more_than_the_bound(calls in calls()) {
        let replies = Replies::default();
        let (mut now, mut memory) = (at(0), MEMORY);
        let mut known: HashMap<u8, (usize, Tick)> = HashMap::new();
        for call in calls {
            match call {
                Call::Keep { of, bytes, seconds } => {
                    let until = now + Duration::from_secs(seconds);
                    let names = (likeness(of), likeness(of));
                    match replies.keep(names, kept(vec![of; bytes], now), until, now, memory) {
                        Stored::Yes => {
                            prop_assert!(replies.find(&likeness(of), now, memory).is_some());
                            known.insert(of, (bytes, until));
                        }
                        Stored::TooLarge => {
                            prop_assert!(bytes as u64 + ENTRY > memory);
                            known.remove(&of);
                        }
                    }
                }
                Call::Find { of } => {
                    if let Some((found, _)) = replies.find(&likeness(of), now, memory) {
                        let (bytes, until) = known[&of];
                        prop_assert!(now < until);
                        prop_assert_eq!(&found.body[..], &vec![of; bytes][..]);
                    }
                }
                Call::Wait { seconds } => now = now + Duration::from_secs(seconds),
                Call::Bound { memory: bound } => memory = bound,
            }
            prop_assert!(replies.held(now, memory).bytes <= memory);
        }
        let shelf = replies.0.lock();
        prop_assert_eq!(shelf.answers.len(), shelf.unused.len());
        prop_assert_eq!(shelf.answers.len(), shelf.ends.len());
        drop(shelf);
        // Every byte goes with what it belonged to.
        prop_assert_eq!(replies.held(Tick::MAX, memory), KeptNow::default());
    }

    #[test]
    fn a_stream_is_its_pieces_and_no_number_panics(lengths in proptest::collection::vec(0..50_usize, 0..20), beyond in 0..30_usize) {
        let body: Vec<u8> = (0..lengths.iter().sum::<usize>()).map(|n| n as u8).collect();
        let ends = lengths.iter().scan(0, |end, length| { *end += *length as u32; Some(*end) });
        let pieces = Some(ends.collect());
        let (status, fields) = (StatusCode::OK, HeaderMap::new());
        let kept = Kept { status, fields, body: body.clone().into(), pieces, usage: None, at: at(0) };
        let joined: Vec<u8> = (0..lengths.len()).flat_map(|n| kept.piece(n).expect("there are as many")).collect();
        prop_assert_eq!(joined, body);
        prop_assert!(kept.piece(lengths.len() + beyond).is_none());
    }

    #[test]
    fn parts_do_not_run_together(parts in proptest::collection::vec(".{0,4}", 1..5), cut in 0..20_usize) {
        let of = |parts: &[String]| {
            let mut likening = Likening::begin("a test");
            for part in parts {
                likening.add(part.as_bytes());
            }
            likening.end()
        };
        let joined = parts.concat();
        let cut = joined.char_indices().map(|(at, _)| at).nth(cut).unwrap_or(0);
        let other = vec![joined[..cut].to_owned(), joined[cut..].to_owned()];
        prop_assert_eq!(of(&parts) == of(&other), parts == other);
    }
}

#[test]
fn what_was_longest_unused_goes_first() {
    let replies = Replies::default();
    let keep = |of: u8| {
        replies.keep((likeness(of), likeness(of)), kept(vec![of; 3_500], at(0)), at(60), at(0), MEMORY)
    };
    for of in 0..4 {
        assert_eq!(keep(of), Stored::Yes);
    }
    assert!(replies.find(&likeness(0), at(1), MEMORY).is_some(), "four of them have room");
    keep(4);
    assert!(replies.find(&likeness(1), at(1), MEMORY).is_none());
    assert!(replies.find(&likeness(0), at(1), MEMORY).is_some(), "it was used again");
}

#[test]
fn debug_shows_no_words() {
    let replies = Replies::default();
    replies.keep((likeness(0), likeness(0)), kept(b"secret words".to_vec(), at(0)), at(60), at(0), MEMORY);
    assert!(!format!("{replies:?}").contains("secret"));
}
