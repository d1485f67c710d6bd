//! There and back, and any bytes.

use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::store::rows::{AttemptRow, RequestRow, RowId, Who};
use crate::vocab::usage::Other;
use crate::vocab::{Money, Part, Tier, Usage};

fn usage() -> impl Strategy<Value = Usage> {
    let tier = of(prop::sample::select(Tier::ALL.to_vec()));
    (vec(any::<u64>(), 11), any::<[u32; 4]>(), tier, of(any::<u64>())).prop_map(|(n, o, tier, said)| Usage {
        input: n[0],
        cache_read: n[1],
        cache_write: n[2],
        cache_write_1h: n[3],
        output: n[4],
        reasoning: n[5],
        input_audio: n[6],
        cache_read_audio: n[7],
        output_audio: n[8],
        input_image: n[9],
        output_image: n[10],
        other: Other { images: o[0], searches: o[1], characters: o[2], audio_millis: o[3] },
        tier,
        said: said.map(Money::nano_usd),
    })
}

fn name() -> impl Strategy<Value = Arc<str>> {
    "\\PC{0,12}".prop_map(Arc::from)
}

fn time() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_nanos)
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["ok", "openai", "chat", "committed", "hit", ""])
}

fn request() -> impl Strategy<Value = RequestRow> {
    let who = (of(name()), of(name()), of(name()), of(name()))
        .prop_map(|(organisation, team, user, key)| Who { organisation, team, user, key });
    let names = (any::<u128>(), name(), any::<i64>(), who, vec((name(), name()), 0..3), name(), of(name()));
    let times = (any::<u32>(), time(), of(time()), time(), usage(), of(any::<u64>()), any::<bool>());
    (names, [word(), word(), word()], of(word()), any::<bool>(), times).prop_map(
        |(names, words, replayed, stream, times)| {
            let (id, request_id, at_micros, who, tags, route, arm) = names;
            let (attempts, took, first_byte, own, usage, cost, estimated) = times;
            RequestRow {
                id: RowId(id),
                request_id: (&*request_id).into(),
                at_micros,
                who,
                tags: tags.into_iter().map(|(name, value)| (name, (&*value).into())).collect(),
                route,
                arm,
                dialect: words[0],
                operation: words[1],
                model: (&*request_id).into(),
                stream,
                outcome: words[2],
                replayed,
                attempts,
                took,
                first_byte,
                own,
                usage,
                cost: cost.map(Money::nano_usd),
                estimated,
            }
        },
    )
}

fn attempt() -> impl Strategy<Value = AttemptRow> {
    let names = (any::<u128>(), any::<u32>(), any::<i64>(), 0..Part::ALL.len(), [name(), name(), name()]);
    let times = (any::<u16>(), time(), of(time()), usage(), any::<bool>(), of(any::<u64>()), name());
    (names, [word(), word(), word()], times).prop_map(|(names, words, times)| {
        let (request, number, at_micros, part, [upstream, provider, model]) = names;
        let (credential, took, first_byte, usage, estimated, cost, priced) = times;
        AttemptRow {
            request: RowId(request),
            number,
            at_micros,
            part: Part::ALL[part],
            upstream,
            provider: provider.to_string().into(),
            model,
            credential,
            verdict: words[0],
            stage: words[1],
            took,
            first_byte,
            usage,
            estimated,
            cost: cost.map(Money::nano_usd),
            priced: (&*priced).into(),
            tier: words[2],
        }
    })
}

/// Any batch with so many rows of each kind at most.
pub fn batch(most: usize) -> impl Strategy<Value = Batch> {
    (any::<u128>(), vec(request(), 0..=most), vec(attempt(), 0..=most))
        .prop_map(|(id, requests, attempts)| Batch { id, requests, attempts })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again_and_nothing_shorter_is_a_batch(batch in batch(3), cut in 0.0..1.0_f64) {
        let mut bytes = Vec::new();
        write(&batch, &mut bytes);
        prop_assert_eq!(read(&bytes, &mut Words::default()), Some(batch));
        let cut = (bytes.len() as f64 * cut) as usize;
        prop_assert_eq!(read(&bytes[..cut.min(bytes.len() - 1)], &mut Words::default()), None);
    }

    #[test]
    fn no_bytes_upset_the_reader(bytes in vec(any::<u8>(), 0..200)) {
        let mut bytes = bytes;
        let _ = read(&bytes, &mut Words::default());
        bytes.insert(0, VERSION);
        let _ = read(&bytes, &mut Words::default());
    }
}

#[test]
fn words_are_kept_once_and_within_bounds() {
    let mut words = Words::default();
    let one = words.word("one").expect("there is room");
    assert!(std::ptr::eq(one, words.word("one").expect("it is known")));
    assert_eq!(words.word(&"x".repeat(LONGEST_WORD + 1)), None);
    for number in 1..MOST_WORDS {
        assert!(words.word(&number.to_string()).is_some());
    }
    assert_eq!(words.word("one more"), None);
    assert_eq!(words.word("one"), Some("one"));
}
