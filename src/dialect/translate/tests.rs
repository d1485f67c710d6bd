//! Every dialect's samples in every other dialect.
//!
//! The golden files of `tests/fixtures/dialect/pairs` were written by each dialect's own writer from
//! `hub::samples`, and are checked there (those of Ollama's answers are written by hand, as it has no
//! callers). Here each is translated, read by the other dialect's reader, and has to say what it said;
//! what does not is named among the losses, or stands in a table with its reason.

mod begun;
mod blanks;
mod calls;
mod citations;
mod excepts;
mod failures;
mod families;
mod forced;
mod forms;
mod gist;
mod halved;
mod late;
mod listed;
mod logprobs;
mod looks;
mod names;
mod sought;
mod spaces;
mod stops;
mod streams;
mod unsigned;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use excepts::{ANSWERS, ASKS, Except, HOLES};
use gist::{Gist, differences};

use super::{GENERATING, generation, read, reply, write};
use crate::dialect::hub::samples::{self, MODEL, manner};
use crate::dialect::hub::{Family, Losses, Mode, Reply, Terms};
use crate::dialect::quirks::Quirks;
use crate::dialect::tree;
use crate::dialect::{Dialect, anthropic, bedrock, cohere, gemini, ollama, openai, responses};

/// Dialects that callers speak.
const CALLERS: [Dialect; 6] = [
    Dialect::OpenAi,
    Dialect::Responses,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::Cohere,
    Dialect::Bedrock,
];

/// What came of each sample for each pair; printed as a matrix.
struct Matrix {
    excepts: &'static [Except],
    /// How often each of them was needed.
    needed: Vec<usize>,
    cells: BTreeMap<(usize, usize), [usize; 3]>,
    failures: Vec<String>,
}

/// What came of one.
#[derive(Clone, Copy)]
enum Cell {
    Whole,
    /// With losses that are declared or excepted.
    Less,
    /// Refused with a reason.
    Refused,
}

impl Matrix {
    fn new(excepts: &'static [Except]) -> Self {
        Self { excepts, needed: vec![0; excepts.len()], cells: BTreeMap::new(), failures: Vec::new() }
    }

    fn add(&mut self, from: Dialect, to: Dialect, cell: Cell) {
        self.cells.entry((from as usize, to as usize)).or_default()[cell as usize] += 1;
    }

    /// There is no golden file; somebody has to have said why.
    fn hole(&mut self, sample: &str, from: Dialect) {
        match HOLES.iter().find(|(name, dialect, _)| *name == sample && *dialect == from) {
            Some((.., reason)) => println!("no {sample} of {from}: {reason}"),
            None => self.failures.push(format!("there is no golden file for {sample} of {from}")),
        }
    }

    /// Books the differences of one translation; those that nobody explains are failures.
    fn judge(
        &mut self,
        pair: (Dialect, Dialect),
        sample: &str,
        (before, after): (&Gist, &Gist),
        losses: &Losses,
    ) {
        let found = differences(before, after);
        self.add(pair.0, pair.1, if found.is_empty() { Cell::Whole } else { Cell::Less });
        for (member, said) in found {
            // What is done here in the upstream's place (`stops`).
            if member == "stop" && !losses.stops().is_empty() {
                continue;
            }
            if !losses.names().iter().any(|name| name == member) {
                self.explain(pair, sample, member, &said);
            }
        }
    }

    /// Looks for the reason of a difference.
    fn explain(&mut self, (from, to): (Dialect, Dialect), sample: &str, member: &str, said: &str) {
        match self.excepts.iter().position(|except| except.covers(to, sample, member)) {
            Some(place) => self.needed[place] += 1,
            None => self.failures.push(format!("{sample} {from} -> {to}: {member}: {said}")),
        }
    }

    /// Prints it, and fails when anything did.
    fn close(self, what: &str) {
        println!("{what}: samples that say all + less / are refused");
        println!("{:>10} {}", "", CALLERS.map(|to| format!("{:>10}", to.name())).concat());
        let asked = |from: &Dialect| self.cells.keys().any(|(known, _)| *known == *from as usize);
        for from in GENERATING.into_iter().filter(asked) {
            let row = CALLERS.map(|to| {
                let cell = self.cells.get(&(from as usize, to as usize)).copied();
                let [whole, less, refused] = cell.unwrap_or_default();
                format!("{:>10}", format!("{whole}+{less}/{refused}"))
            });
            println!("{:>10} {}", from.name(), row.concat());
        }
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n"));
    }

    /// The same, and every exception has to be one.
    fn close_table(self, what: &str) {
        for (except, needed) in self.excepts.iter().zip(&self.needed) {
            let names = except.to.iter().map(|to| to.name()).collect::<Vec<_>>().join(", ");
            println!("{needed:>4} {} to {names}: {}", except.member, except.reason);
        }
        let idle = self.needed.contains(&0);
        self.close(what);
        assert!(!idle, "an exception is none any more");
    }
}

/// A golden file, if the dialect can say the sample.
fn golden(sample: &str, file: &str) -> Option<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialect/pairs");
    fs::read(folder.join(sample).join(file)).ok()
}

/// An upstream of which nothing is known but whose vendor's it is.
fn terms(to: Dialect) -> Terms<'static> {
    match to {
        Dialect::OpenAi | Dialect::Responses => samples::terms(Family::OpenAi, &Quirks::OPENAI),
        Dialect::Anthropic | Dialect::Bedrock => samples::terms(Family::Anthropic, &Quirks::COMPATIBLE),
        Dialect::Gemini => samples::terms(Family::Gemini, &Quirks::COMPATIBLE),
        Dialect::Cohere | Dialect::Ollama | Dialect::Http => {
            samples::terms(Family::Other, &Quirks::COMPATIBLE)
        }
    }
}

#[test]
fn asks_say_the_same_in_every_dialect() {
    let mut matrix = Matrix::new(ASKS);
    for (sample, ask) in samples::asks() {
        for from in CALLERS {
            let Some(body) = golden(sample, &format!("ask.{from}.json")) else {
                matrix.hole(sample, from);
                continue;
            };
            for to in CALLERS {
                translate_ask(&mut matrix, sample, ask.mode, (from, to), &body);
            }
        }
    }
    matrix.close_table("requests");
}

fn translate_ask(matrix: &mut Matrix, sample: &str, mode: Mode, (from, to): (Dialect, Dialect), body: &[u8]) {
    let operation = generation(from, mode).expect("it generates");
    let root = tree::parse(body).expect("JSON");
    let mut ask = read(from, operation, MODEL, &root).expect("a request");
    let before = gist::of_ask(&ask);
    let written = write(&mut ask, to, &terms(to)).expect("a pair");
    if let Some(loss) = written.losses.fatal() {
        matrix.add(from, to, Cell::Refused);
        return matrix.explain((from, to), sample, "refused", &loss.message);
    }
    let root = tree::parse(&written.body).expect("JSON");
    let again = read(to, written.operation, MODEL, &root);
    let again = again.unwrap_or_else(|wrong| panic!("{sample} {from} -> {to}: {wrong}"));
    matrix.judge((from, to), sample, (&before, &gist::of_ask(&again)), &written.losses);
}

#[test]
fn replies_say_the_same_in_every_dialect() {
    let mut matrix = Matrix::new(ANSWERS);
    for (sample, _) in samples::replies() {
        for from in GENERATING {
            let Some(body) = golden(sample, &format!("reply.{from}.json")) else {
                matrix.hole(sample, from);
                continue;
            };
            let before = reply_gist(from, &body);
            for to in CALLERS {
                let said = reply(from, to, &body, &manner()).expect("an answer");
                matrix.judge((from, to), sample, (&before, &reply_gist(to, &said)), &Losses::default());
            }
        }
    }
    matrix.close_table("replies");
}

/// What a reply says, by the reader of its own dialect.
fn reply_gist(dialect: Dialect, body: &[u8]) -> Gist {
    let root = tree::parse(body).expect("JSON");
    gist::of_reply(&read_reply(dialect, &root))
}

fn read_reply<'a>(dialect: Dialect, root: &tree::Node<'a>) -> Reply<'a> {
    let found = match dialect {
        Dialect::OpenAi => openai::reply::read(root),
        Dialect::Responses => responses::reply::read(root),
        Dialect::Anthropic => anthropic::reply::read(root),
        Dialect::Gemini => gemini::reply::read(root),
        Dialect::Cohere => cohere::reply::read(root),
        Dialect::Bedrock => bedrock::reply::read(root),
        Dialect::Ollama => ollama::reply::read(root),
        Dialect::Http => panic!("nobody answers in it"),
    };
    found.expect("an answer")
}
