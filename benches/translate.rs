//! Translation, pair by pair: nanoseconds and allocations for a kilobyte of a request and of an answer, for
//! an event of a stream, and what a stream holds while it lasts.
//!
//! `cargo bench --bench translate` prints one table for each and fails where the target of a stream's event,
//! 20 µs, is missed. `cargo bench --bench translate -- 500` measures each for 500 ms instead of 60.

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay::dialect::hub::{Family, Keeping, Manner, Renamed, Stops, Terms};
use mainstay::dialect::quirks::Quirks;
use mainstay::dialect::{Dialect, Frame, Framing, Operation, Splitter, translate, tree};
use mainstay::vocab::Facts;

/// Of callers; an upstream may speak Ollama's as well.
const CALLERS: [Dialect; 6] = [
    Dialect::OpenAi,
    Dialect::Responses,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::Cohere,
    Dialect::Bedrock,
];

/// ARCHITECTURE: what a translated stream may add for an event, at the median.
const TARGET: Duration = Duration::from_micros(20);

/// Events of the streams that are measured: a long answer.
const EVENTS: usize = 1_000;

fn main() {
    let said = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let patience = Duration::from_millis(said.unwrap_or(60));
    let ask = ask();
    table("Requests: ns per KB (allocations per KB)", &CALLERS, &translate::GENERATING, |from, to| {
        let body = said_by(&ask, from);
        let run = || black_box(request(from, to, &body).len());
        per_kilobyte(body.len(), patience, run)
    });
    let reply = reply();
    table("Answers: ns per KB (allocations per KB)", &CALLERS, &CALLERS, |from, to| {
        let body = answered_by(&reply, from);
        let run = || black_box(answer(from, to, &body).len());
        per_kilobyte(body.len(), patience, run)
    });
    let mut worst = Duration::ZERO;
    table("Streams: median ns per event (allocations per event)", &CALLERS, &CALLERS, |from, to| {
        let frames = frames(from, EVENTS);
        let median = median_event(from, to, &frames, patience);
        worst = worst.max(median);
        let allocations = allocation_counter::measure(|| {
            black_box(tell(from, to, &frames));
        })
        .count_total;
        format!("{} ({:.1})", median.as_nanos(), allocations as f64 / frames.len() as f64)
    });
    table("Streams: bytes held after 100 events, and after 10,000", &CALLERS, &CALLERS, |from, to| {
        format!("{} / {}", held(from, to, 100), held(from, to, 10_000))
    });
    let shadow = |dialect, _| {
        let frames = frames(dialect, EVENTS);
        let mut times = Vec::new();
        let begun = now();
        while begun.elapsed() < patience {
            let mut stream = translate::Stream::following(dialect, manner()).expect("a caller's dialect");
            for frame in &frames {
                let began = now();
                black_box(stream.frame(frame).expect("an event of the bench is sound"));
                times.push(began.elapsed());
            }
        }
        times.sort_unstable();
        format!("{}", times[times.len() / 2].as_nanos())
    };
    side("Streams that could be continued, bytes passing: median ns more per event", &CALLERS, shadow);
    println!("the slowest event takes {worst:?} at the median; the target is {TARGET:?}");
    assert!(worst < TARGET, "a translated stream adds more than {TARGET:?} for an event");
}

fn table(title: &str, from: &[Dialect], to: &[Dialect], mut cell: impl FnMut(Dialect, Dialect) -> String) {
    println!("\n{title}\n");
    let mut head = "| from \\ to |".to_owned();
    let mut rule = "|---|".to_owned();
    for to in to {
        let _ = write!(head, " {to} |");
        rule.push_str("---|");
    }
    println!("{head}\n{rule}");
    for from in from {
        let mut row = format!("| {from} |");
        for to in to {
            let said = if from == to { "–".to_owned() } else { cell(*from, *to) };
            let _ = write!(row, " {said} |");
        }
        println!("{row}");
    }
}

/// A table with one column.
fn side(title: &str, rows: &[Dialect], cell: impl Fn(Dialect, Dialect) -> String) {
    println!("\n{title}\n\n| dialect | |\n|---|---|");
    for row in rows {
        println!("| {row} | {} |", cell(*row, *row));
    }
}

fn per_kilobyte(length: usize, patience: Duration, run: impl Fn() -> usize) -> String {
    let kilobytes = length as f64 / 1024.0;
    let allocations = allocation_counter::measure(|| {
        run();
    });
    let time = median(patience, || {
        run();
    });
    format!("{:.0} ({:.1})", time.as_nanos() as f64 / kilobytes, allocations.count_total as f64 / kilobytes)
}

/// The median of as many runs as fit.
fn median(patience: Duration, mut run: impl FnMut()) -> Duration {
    let (begun, mut times) = (now(), Vec::new());
    while begun.elapsed() < patience || times.len() < 15 {
        let began = now();
        run();
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[times.len() / 2]
}

/// The median over single events: what a caller waits longer for a token.
fn median_event(from: Dialect, to: Dialect, frames: &[Frame], patience: Duration) -> Duration {
    let (begun, mut times) = (now(), Vec::new());
    while begun.elapsed() < patience {
        let mut stream = stream(from, to);
        for frame in frames {
            let began = now();
            black_box(stream.frame(frame).expect("an event of the bench is sound"));
            times.push(began.elapsed());
        }
    }
    times.sort_unstable();
    times[times.len() / 2]
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the time")]
fn now() -> Instant {
    Instant::now()
}

/// Bytes that a translation holds behind so many events.
fn held(from: Dialect, to: Dialect, events: usize) -> i64 {
    let frames = frames(from, events);
    let mut kept = None;
    let seen = allocation_counter::measure(|| {
        let mut stream = stream(from, to);
        for frame in &frames {
            drop(stream.frame(frame));
        }
        kept = Some(stream);
    });
    drop(kept);
    seen.bytes_current + i64::try_from(size_of::<translate::Stream>()).unwrap_or_default()
}

fn stream(from: Dialect, to: Dialect) -> translate::Stream {
    translate::Stream::new(from, to, manner()).expect("both have streams")
}

fn tell(from: Dialect, to: Dialect, frames: &[Frame]) -> usize {
    let mut stream = stream(from, to);
    let said: usize = frames.iter().map(|frame| stream.frame(frame).map_or(0, |said| said.len())).sum();
    said + stream.end().expect("an answer").len()
}

fn request(from: Dialect, to: Dialect, body: &[u8]) -> Vec<u8> {
    let root = tree::parse(body).expect("a body of the bench is JSON");
    let mut ask = translate::read(from, generation(from), "m", &root).expect("a body of the bench is sound");
    let terms = Terms {
        model: "m",
        like: None,
        facts: Facts::default(),
        family: Family::Other,
        quirks: &Quirks::COMPATIBLE,
        ask_usage: true,
        nonce: "0123456789abcdef",
    };
    translate::write(&mut ask, to, &terms).expect("a generation").body
}

fn answer(from: Dialect, to: Dialect, body: &[u8]) -> Bytes {
    translate::reply(from, to, body, &manner()).expect("an answer of the bench is sound")
}

fn manner() -> Manner {
    Manner {
        model: "m".to_owned(),
        nonce: "0123456789abcdef".to_owned(),
        now: 1_790_000_000,
        usage_wanted: true,
        family: Family::Other,
        framing: Framing::Sse,
        echo: String::new(),
        keeping: Keeping::Passing,
        renamed: Renamed::default(),
        stops: Stops::default(),
    }
}

const fn generation(dialect: Dialect) -> Operation {
    match dialect {
        Dialect::OpenAi => Operation::Chat,
        Dialect::Responses => Operation::Responses,
        Dialect::Anthropic => Operation::Messages,
        Dialect::Gemini => Operation::Generate,
        Dialect::Cohere => Operation::CohereChat,
        Dialect::Bedrock => Operation::Converse,
        Dialect::Ollama => Operation::OllamaChat,
        Dialect::Http => Operation::Opaque,
    }
}

/// An agent's conversation of some 8 KB: instructions, twelve turns, two tools.
fn ask() -> String {
    let text =
        "Some text, with \\\"quotes\\\" and a \\n now and then, as models and people write it. ".repeat(4);
    let tool = |name: &str| {
        format!(
            r#"{{"type":"function","function":{{"name":"{name}","description":"{text}","parameters":{{"type":"object","properties":{{"city":{{"type":"string","description":"where"}},"days":{{"type":"integer"}}}},"required":["city"]}}}}}}"#
        )
    };
    let mut messages = format!(r#"{{"role":"system","content":"{text}{text}"}}"#);
    for turn in 0..6 {
        let _ = write!(
            messages,
            r#",{{"role":"user","content":"{text}"}},{{"role":"assistant","content":"{text}","tool_calls":[{{"id":"call_{turn}","type":"function","function":{{"name":"weather","arguments":"{{\"city\":\"Rome\",\"days\":{turn}}}"}}}}]}},{{"role":"tool","tool_call_id":"call_{turn}","content":"{text}"}}"#
        );
    }
    format!(
        r#"{{"model":"m","messages":[{messages}],"tools":[{},{}],"max_tokens":500,"temperature":0.5}}"#,
        tool("weather"),
        tool("time")
    )
}

/// The conversation as that dialect says it.
fn said_by(chat: &str, dialect: Dialect) -> Vec<u8> {
    if dialect == Dialect::OpenAi { chat.into() } else { request(Dialect::OpenAi, dialect, chat.as_bytes()) }
}

/// An answer of some 2 KB: text, and a call.
fn reply() -> String {
    let text =
        "Some text, with \\\"quotes\\\" and a \\n now and then, as models and people write it. ".repeat(20);
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1790000000,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","tool_calls":[{{"id":"call_1","type":"function","function":{{"name":"weather","arguments":"{{\"city\":\"Rome\"}}"}}}}]}},"finish_reason":"tool_calls"}}],"usage":{{"prompt_tokens":900,"completion_tokens":300,"total_tokens":1200}}}}"#
    )
}

fn answered_by(chat: &str, dialect: Dialect) -> Vec<u8> {
    if dialect == Dialect::OpenAi {
        chat.into()
    } else {
        answer(Dialect::OpenAi, dialect, chat.as_bytes()).to_vec()
    }
}

/// The events of a stream of so many words, as that dialect says them.
fn frames(dialect: Dialect, events: usize) -> Vec<Frame> {
    let chunk = |delta: &str, reason: &str| {
        format!(
            "data: {{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1790000000,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{reason}}}]}}\n\n"
        )
    };
    let mut chat = chunk(r#"{"role":"assistant","content":""}"#, "null");
    for _ in 0..events {
        chat.push_str(&chunk(r#"{"content":" word"}"#, "null"));
    }
    chat.push_str(&chunk("{}", "\"stop\""));
    let chat = split(Framing::Sse, chat.into());
    if dialect == Dialect::OpenAi {
        return chat;
    }
    let mut translation = stream(Dialect::OpenAi, dialect);
    let mut said = Vec::new();
    for frame in &chat {
        said.extend_from_slice(&translation.frame(frame).expect("an event of the bench is sound"));
    }
    said.extend_from_slice(&translation.end().expect("an answer"));
    split(if dialect == Dialect::Bedrock { Framing::EventStream } else { Framing::Sse }, said.into())
}

fn split(framing: Framing, bytes: Bytes) -> Vec<Frame> {
    let mut splitter = Splitter::new(framing);
    splitter.push(bytes);
    let mut frames = Vec::new();
    while let Some(frame) = splitter.next().expect("short frames") {
        frames.push(frame);
    }
    frames
}
