//! Laws over the usage of streams: what was told is kept, whoever takes it back later.

use bytes::Bytes;
use proptest::prelude::*;

use super::read_stream;
use crate::dialect::framing::{Framing, Splitter};
use crate::dialect::hub::Event;
use crate::dialect::watch::Watch;
use crate::dialect::{Dialect, Operation};
use crate::vocab::Usage;

const NAMES: [&str; 4] =
    ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens"];

/// What one usage object says of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Truly,
    Zero,
    Null,
    Nothing,
}

fn told() -> impl Strategy<Value = [Told; 4]> {
    proptest::array::uniform4(prop_oneof![
        4 => Just(Told::Truly),
        2 => Just(Told::Zero),
        1 => Just(Told::Null),
        1 => Just(Told::Nothing),
    ])
}

/// Usage objects from the stream's start to its end: the counts grow, and each may be told or not.
fn usages() -> impl Strategy<Value = Vec<([u64; 4], [Told; 4])>> {
    let grown = proptest::array::uniform4(0_u64..1_000);
    proptest::collection::vec((grown, told()), 1..5).prop_map(|mut usages| {
        let mut counts = [0; 4];
        for (grown, _) in &mut usages {
            for (count, grown) in counts.iter_mut().zip(grown.iter_mut()) {
                *count += *grown;
                *grown = *count;
            }
        }
        usages
    })
}

fn object((counts, told): &([u64; 4], [Told; 4])) -> String {
    let members = NAMES.iter().zip(counts).zip(told).filter_map(|((name, count), told)| match told {
        Told::Truly => Some(format!(r#""{name}":{count}"#)),
        Told::Zero => Some(format!(r#""{name}":0"#)),
        Told::Null => Some(format!(r#""{name}":null"#)),
        Told::Nothing => None,
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

/// A stream that says these usages: what is booked of it, and what a caller of another dialect is told.
fn used(usages: &[String]) -> (Option<Usage>, Option<Usage>) {
    let frames = usages.iter().enumerate().map(|(at, usage)| match at {
        0 => format!(r#"{{"type":"message_start","message":{{"id":"m","model":"c","usage":{usage}}}}}"#),
        _ => format!(r#"{{"type":"message_delta","delta":{{}},"usage":{usage}}}"#),
    });
    let end = r#"{"type":"message_stop"}"#.to_owned();
    let mut stream = String::new();
    for frame in frames.chain([end]) {
        stream.push_str("data: ");
        stream.push_str(&frame);
        stream.push_str("\n\n");
    }
    let mut watch = Watch::new(Dialect::Anthropic, Operation::Messages, Framing::Sse);
    let mut splitter = Splitter::new(Framing::Sse);
    splitter.push(Bytes::copy_from_slice(stream.as_bytes()));
    while let Some(frame) = splitter.next().expect("short frames") {
        watch.frame(&frame);
    }
    let mut translated = None;
    read_stream(stream.as_bytes(), &mut |events| {
        for event in events {
            if let Event::Usage(usage) = event {
                translated = Some(*usage);
            }
        }
    });
    (watch.usage(), translated)
}

proptest! {
    #[test]
    fn no_count_that_was_told_is_lost(usages in usages()) {
        let objects: Vec<String> = usages.iter().map(object).collect();
        let largest = |field: usize| {
            usages.iter().filter(|(_, told)| told[field] == Told::Truly).map(|(counts, _)| counts[field]).max().unwrap_or(0)
        };
        let [plain, read, written, output] = [0, 1, 2, 3].map(largest);
        let (booked, translated) = used(&objects);
        let sum = booked.unwrap_or_default();
        prop_assert_eq!((sum.cache_read, sum.cache_write, sum.output), (read, written, output), "{:?}", objects);
        // What was said to be plain may have been found in the cache since; in all nothing is lost, nor counted twice.
        let most = usages.iter().map(|(counts, told)| {
            (0..3).filter(|field| told[*field] == Told::Truly).map(|field| counts[field]).sum::<u64>()
        }).max().unwrap_or(0);
        prop_assert!((most..=plain + read + written).contains(&sum.input), "{} of {:?}", sum.input, objects);
        prop_assert_eq!(booked, translated);
    }
}

fn check(start: &str, delta: &str, expected: [u64; 4]) {
    let (booked, translated) = used(&[start.to_owned(), delta.to_owned()]);
    assert_eq!(booked, translated);
    let Usage { input, cache_read, cache_write, output, .. } = booked.expect("some");
    assert_eq!([input, cache_read, cache_write, output], expected, "{start} {delta}");
}

#[test]
fn a_later_zero_takes_nothing_back_and_a_larger_count_wins() {
    let start = r#"{"input_tokens":1000,"cache_read_input_tokens":50000,"cache_creation_input_tokens":200,"output_tokens":1}"#;
    let zeros = r#"{"input_tokens":0,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"output_tokens":43}"#;
    check(start, zeros, [51_200, 50_000, 200, 43]);
    check(start, r#"{"input_tokens":0,"output_tokens":43}"#, [51_200, 50_000, 200, 43]);
    check(start, r#"{"input_tokens":1500,"output_tokens":43}"#, [51_700, 50_000, 200, 43]);
    check(zeros, start, [51_200, 50_000, 200, 43]);
}

#[test]
fn what_turns_out_to_be_cached_is_not_counted_twice() {
    let start = r#"{"input_tokens":50000,"cache_read_input_tokens":0,"output_tokens":0}"#;
    let delta = r#"{"input_tokens":1000,"cache_read_input_tokens":49000,"output_tokens":7}"#;
    check(start, delta, [50_000, 49_000, 0, 7]);
    check(
        start,
        r#"{"input_tokens":0,"cache_read_input_tokens":200,"output_tokens":7}"#,
        [50_000, 200, 0, 7],
    );
}
