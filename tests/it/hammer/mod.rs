//! Hostile input for every parser: the fuzz targets over mutated fixtures, with a stable compiler.
//!
//! A seed is printed where a target panics; `HAMMER_SEED` and `HAMMER_ROUNDS` choose others and more.
//! Recordings join the corpus where they are at hand (`$MAINSTAY_FIXTURES`). `threads` hammers otherwise: not with
//! input, but by many hands.

mod corpus;
mod growth;
mod mutate;
#[path = "../../../fuzz/src/targets.rs"]
mod targets;
mod threads;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use mainstay::algo::dice::Dice;
use mainstay::dialect::translate::GENERATING;
use mainstay::dialect::{Dialect, Operation, translate, tree};

use corpus::Corpus;

/// No input of a few kilobytes takes longer, even in a debug build on a busy machine.
const LONGEST: Duration = Duration::from_secs(5);

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Runs `target` over so many mutations of the seeds, the seeds themselves first.
fn hammer(what: &str, seeds: &[Vec<u8>], rounds: u64, target: impl Fn(&[u8])) {
    assert!(!seeds.is_empty(), "{what}: nothing to begin with");
    for seed in seeds {
        strike(what, 0, seed, &target);
    }
    let first = number("HAMMER_SEED", 1);
    for seed in first..first + rounds * number("HAMMER_ROUNDS", 1) {
        let input = mutate::one_of(seeds, &mut Dice::seeded(seed));
        strike(what, seed, &input, &target);
    }
}

fn strike(what: &str, seed: u64, input: &[u8], target: &impl Fn(&[u8])) {
    let began = now();
    let survived = catch_unwind(AssertUnwindSafe(|| target(input))).is_ok();
    assert!(survived, "{what}: panicked at seed {seed}: {}", input.escape_ascii());
    assert!(began.elapsed() < LONGEST, "{what}: slow at seed {seed}: {}", input.escape_ascii());
}

#[expect(clippy::disallowed_methods, reason = "how long a parser takes is what is tested")]
fn now() -> Instant {
    Instant::now()
}

#[test]
fn requests_of_every_dialect_are_survived() {
    let corpus = Corpus::load();
    for dialect in GENERATING.into_iter().filter(|dialect| *dialect != Dialect::Ollama) {
        hammer(&format!("ask {dialect}"), &corpus.asks(dialect), 600, |input| targets::ask(dialect, input));
    }
}

#[test]
fn answers_of_every_dialect_are_survived() {
    let corpus = Corpus::load();
    for dialect in GENERATING {
        hammer(&format!("reply {dialect}"), &corpus.replies(dialect), 800, |input| {
            targets::reply(dialect, input);
        });
    }
}

#[test]
fn streams_of_every_dialect_are_survived() {
    let corpus = Corpus::load();
    for dialect in GENERATING {
        hammer(&format!("stream {dialect}"), &corpus.streams(dialect), 400, |input| {
            targets::stream(dialect, input);
        });
    }
}

#[test]
fn every_framing_is_survived_at_every_cut() {
    let corpus = Corpus::load();
    let mut seeds: Vec<Vec<u8>> =
        GENERATING.into_iter().flat_map(|dialect| corpus.streams(dialect)).collect();
    // At every place of these.
    seeds.extend([
        b"data: {\"a\":1}\n\n".to_vec(),
        b"event: x\r\ndata: 1\r\ndata: 2\r\n\r\n: c\n\rdata:\n\n".to_vec(),
        b"\xef\xbb\xbfdata: {}\r\rdata: [DONE]\n".to_vec(),
        b"[{\"a\":\"]\\\"\"},\r\n[1]\n,2]".to_vec(),
    ]);
    hammer("framing", &seeds, 1_500, targets::framing);
}

#[test]
fn any_json_and_any_configuration_is_survived() {
    let corpus = Corpus::load();
    let seeds: Vec<Vec<u8>> = GENERATING.into_iter().flat_map(|dialect| corpus.asks(dialect)).collect();
    hammer("json", &seeds, 2_000, targets::json);
    hammer("config", &Corpus::configurations(), 500, targets::config);
}

#[test]
fn every_target_takes_bytes_as_a_fuzzer_gives_them() {
    let mut dice = Dice::seeded(1);
    for (name, _) in targets::TARGETS {
        for length in 0..200 {
            let input: Vec<u8> = (0..length).map(|_| dice.next_u64() as u8).collect();
            strike(name, length, &input, &|input: &[u8]| targets::run(name, input));
        }
    }
}

#[test]
fn mutations_are_neither_all_sound_nor_all_broken() {
    let corpus = Corpus::load();
    for dialect in [Dialect::OpenAi, Dialect::Gemini, Dialect::Bedrock] {
        let seeds = corpus.asks(dialect);
        let sound = (0..500)
            .filter(|seed| {
                let input = mutate::one_of(&seeds, &mut Dice::seeded(*seed));
                let root = tree::parse(&input);
                root.is_ok_and(|root| translate::read(dialect, Operation::Chat, "m", &root).is_ok())
            })
            .count();
        println!("{dialect}: {sound} of 500 mutated requests are sound");
        assert!((50..450).contains(&sound), "{dialect}: {sound} of 500");
    }
}
