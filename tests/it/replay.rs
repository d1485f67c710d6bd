//! What real providers said, replayed through the gateway: it has to come out byte for byte, metered to
//! the usage that was recorded.
//!
//! Recorded exchanges are read from `$MAINSTAY_FIXTURES` or `../shared/fixtures` where they exist; our
//! own few streams of `tests/fixtures/dialect` are replayed in any case.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mainstay::dialect::framing::{Framing, Splitter};
use mainstay::dialect::watch::{Beat, Ending, Watch};
use mainstay::dialect::{Dialect, Operation, classify, meter, provider};
use mainstay::simulated::{Canned, Fault, Rule};
use mainstay::vocab::{Class, Usage};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::lab::{Answer, Ask, End, Lab, Said, Scribe};

const ONE: &str = "
version: 1
upstreams: {a: {provider: simulated}}
routes:
  - model: demo
    channels: [{upstream: a}]
";

/// Streams up to this size are also replayed byte by byte.
const SMALL: usize = 3_000;

// ---- recordings --------------------------------------------------------------------------------

/// One answer of a provider, and the request that it answered.
struct Recording {
    name: String,
    dialect: Dialect,
    operation: Operation,
    /// The model, where the path names it.
    path_model: Option<String>,
    status: StatusCode,
    headers: HeaderMap,
    streamed: bool,
    body: Bytes,
    request: Option<String>,
}

/// A line of `recorded/*.jsonl`. Raw where bytes matter.
#[derive(Deserialize)]
struct Exchange {
    src: String,
    i: u64,
    provider: String,
    path: String,
    status: u16,
    resp_headers: BTreeMap<String, Value>,
    stream: bool,
    resp: Box<RawValue>,
    req: Box<RawValue>,
}

/// Fields that belong to the recorded transport, or to a coding that the recording no longer has.
const OF_THE_TRANSPORT: [&str; 6] =
    ["content-length", "content-encoding", "transfer-encoding", "connection", "keep-alive", "trailer"];

impl Recording {
    fn of(exchange: &Exchange) -> Option<Self> {
        let (dialect, operation) = spoken(&exchange.path)?;
        let text = exchange.resp.get();
        // A JSON string is the text of an answer that was not JSON.
        let body: String =
            if text.starts_with('"') { serde_json::from_str(text).ok()? } else { text.to_owned() };
        // Compressed, and lost by whoever recorded it.
        if body.starts_with("<binary") {
            return None;
        }
        let headers = exchange.resp_headers.iter().filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            let value = HeaderValue::try_from(value.as_str()?).ok()?;
            (!OF_THE_TRANSPORT.contains(&name.as_str())).then_some((name, value))
        });
        let mut headers: HeaderMap = headers.collect();
        let content_type = if exchange.stream { "text/event-stream" } else { "application/json" };
        headers.entry("content-type").or_insert(HeaderValue::from_static(content_type));
        let path_model = exchange.path.split_once("models/").and_then(|(_, rest)| rest.rsplit_once(':'));
        Some(Self {
            name: format!("{} {} {}", exchange.provider, exchange.src, exchange.i),
            dialect,
            operation,
            path_model: path_model.map(|(model, _)| model.to_owned()),
            status: StatusCode::from_u16(exchange.status).ok()?,
            headers,
            streamed: exchange.stream,
            body: body.into(),
            request: exchange.req.get().starts_with('{').then(|| exchange.req.get().to_owned()),
        })
    }

    fn own(name: &str) -> Self {
        let (dialect, operation) = match name.split('-').next() {
            Some("openai") => (Dialect::OpenAi, Operation::Chat),
            Some("responses") => (Dialect::Responses, Operation::Responses),
            Some("anthropic") => (Dialect::Anthropic, Operation::Messages),
            Some("gemini") => (Dialect::Gemini, Operation::StreamGenerate),
            other => panic!("{other:?} is no dialect"),
        };
        let content_type = if is(name, "json") { "application/json" } else { "text/event-stream" };
        Self {
            name: name.to_owned(),
            dialect,
            operation,
            path_model: None,
            status: StatusCode::OK,
            headers: HeaderMap::from_iter([(
                http::header::CONTENT_TYPE,
                HeaderValue::from_static(content_type),
            )]),
            streamed: true,
            body: fs::read(own_folder().join(name)).expect("a fixture of ours").into(),
            request: None,
        }
    }

    /// An answer in one piece, of our own making.
    fn written(dialect: Dialect, operation: Operation, status: u16, body: &str) -> Self {
        let json = HeaderValue::from_static("application/json");
        Self {
            name: format!("our own {status} of {dialect}"),
            dialect,
            operation,
            path_model: None,
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::from_iter([(http::header::CONTENT_TYPE, json)]),
            streamed: false,
            body: body.to_owned().into(),
            request: None,
        }
    }

    fn framing(&self) -> Framing {
        if self.body.starts_with(b"[") { Framing::JsonArray } else { Framing::Sse }
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("recordings are text")
    }

    /// A request that this could be the answer to.
    fn ask(&self, usage: Wanted) -> Ask {
        let mut body = json!({"model": "demo", "max_tokens": 9, "input": "hi", "prompt": "hi",
            "messages": [{"role": "user", "content": "hi"}], "store": false});
        if self.streamed {
            body["stream"] = json!(true);
            if usage == Wanted::Yes && matches!(self.operation, Operation::Chat | Operation::Completions) {
                body["stream_options"] = json!({"include_usage": true});
            }
        }
        Ask::post(&self.path("demo"), body.to_string())
    }

    fn path(&self, model: &str) -> String {
        let verb = match self.operation {
            Operation::Completions => return "/v1/completions".to_owned(),
            Operation::Embeddings => return "/v1/embeddings".to_owned(),
            Operation::Images => return "/v1/images/generations".to_owned(),
            Operation::Responses => return "/v1/responses".to_owned(),
            Operation::Messages => return "/anthropic/v1/messages".to_owned(),
            Operation::Generate => "generateContent",
            Operation::GeminiCountTokens => "countTokens",
            Operation::StreamGenerate if self.framing() == Framing::JsonArray => "streamGenerateContent",
            Operation::StreamGenerate => "streamGenerateContent?alt=sse",
            _ => return "/v1/chat/completions".to_owned(),
        };
        format!("/gemini/v1beta/models/{model}:{verb}")
    }

    fn canned(&self, chunks: Vec<(Duration, Bytes)>) -> Rule {
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = self.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Rule::new(Fault::Canned(Canned { status: self.status, headers, chunks }))
    }

    fn said(&self) -> Said {
        let mut said = Said::status(self.status.as_u16()).data(self.body.clone());
        said.headers = self.headers.clone();
        said
    }

    /// Status and every header as they were, whatever was added.
    fn assert_head(&self, answer: &Answer) {
        assert_eq!(answer.status, self.status, "{}", self.name);
        for (name, value) in &self.headers {
            let there = answer.headers.get_all(name).iter().any(|got| got == value);
            assert!(there, "{}: {name}: {value:?} became {:?}", self.name, answer.headers.get(name));
        }
    }
}

/// Does the caller ask for usage in his chat stream?
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Yes,
    No,
}

/// As the paths of providers end.
fn spoken(path: &str) -> Option<(Dialect, Operation)> {
    let ways = [
        ("/chat/completions", Dialect::OpenAi, Operation::Chat),
        ("/v1/completions", Dialect::OpenAi, Operation::Completions),
        ("/v1/embeddings", Dialect::OpenAi, Operation::Embeddings),
        ("/images/generations", Dialect::OpenAi, Operation::Images),
        ("/responses", Dialect::Responses, Operation::Responses),
        ("/v1/messages", Dialect::Anthropic, Operation::Messages),
        (":generateContent", Dialect::Gemini, Operation::Generate),
        (":streamGenerateContent", Dialect::Gemini, Operation::StreamGenerate),
        (":countTokens", Dialect::Gemini, Operation::GeminiCountTokens),
    ];
    let way = ways.into_iter().find(|(end, ..)| path.ends_with(end))?;
    Some((way.1, way.2))
}

fn own_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialect")
}

fn is(name: impl AsRef<Path>, extension: &str) -> bool {
    name.as_ref().extension().is_some_and(|found| found == extension)
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    files.sort();
    files
}

/// Where recordings are, if they are anywhere.
fn shared() -> PathBuf {
    std::env::var_os("MAINSTAY_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from)
}

/// Every recorded exchange in a dialect that we speak; says so when there are none.
fn recorded() -> Vec<Recording> {
    let folder = shared().join("recorded");
    if !folder.is_dir() {
        println!("no recorded exchanges in {}: only our own fixtures are replayed", folder.display());
        return Vec::new();
    }
    let mut found = Vec::new();
    for file in sorted(&folder) {
        for line in fs::read_to_string(&file).expect("readable").lines() {
            let exchange: Exchange = serde_json::from_str(line).expect("a recorded exchange");
            found.extend(Recording::of(&exchange));
        }
    }
    assert!(found.len() > 1_000, "only {} exchanges in {}", found.len(), folder.display());
    found
}

/// The lists of events in `streams/*.chunks.txt`, framed as their dialect frames them.
fn listed() -> Vec<Recording> {
    let folder = shared().join("streams");
    if !folder.is_dir() {
        return Vec::new();
    }
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).expect("readable");
        let (dialect, operation) = text.lines().next().and_then(spoken_in)?;
        let mut stream: String = text.lines().map(|line| framed(dialect, line)).collect();
        if dialect == Dialect::OpenAi {
            stream.push_str("data: [DONE]\n\n");
        }
        let mut recording = Recording::written(dialect, operation, 200, &stream);
        recording.name = format!("list {}", file.file_name()?.to_str()?);
        recording.headers.insert("content-type", HeaderValue::from_static("text/event-stream"));
        recording.streamed = true;
        Some(recording)
    };
    let found: Vec<_> = sorted(&folder).into_iter().filter_map(read).collect();
    assert!(found.len() > 50, "only {} lists of events in {}", found.len(), folder.display());
    found
}

/// The dialect of an event, by its own look.
fn spoken_in(line: &str) -> Option<(Dialect, Operation)> {
    let event: Value = serde_json::from_str(line).ok()?;
    match event["type"].as_str() {
        Some("message_start") if event["message"]["usage"].is_object() => {
            Some((Dialect::Anthropic, Operation::Messages))
        }
        Some(name) if name.starts_with("response.") => Some((Dialect::Responses, Operation::Responses)),
        None if event["choices"].is_array() => Some((Dialect::OpenAi, Operation::Chat)),
        None if event["candidates"].is_array() => Some((Dialect::Gemini, Operation::StreamGenerate)),
        _ => None,
    }
}

fn framed(dialect: Dialect, line: &str) -> String {
    let event: Value = serde_json::from_str(line).unwrap_or_default();
    match (dialect, event["type"].as_str()) {
        (Dialect::Anthropic | Dialect::Responses, Some(name)) => format!("event: {name}\ndata: {line}\n\n"),
        (Dialect::Gemini, _) => format!("data: {line}\r\n\r\n"),
        _ => format!("data: {line}\n\n"),
    }
}

fn streams() -> Vec<Recording> {
    let own = sorted(&own_folder()).into_iter().filter_map(|file| {
        let name = file.file_name()?.to_str()?.to_owned();
        (is(&name, "sse") || name == "gemini-array.json").then(|| Recording::own(&name))
    });
    let recorded = recorded().into_iter().filter(|recording| recording.streamed && recording.status == 200);
    own.chain(recorded).chain(listed()).collect()
}

// ---- what is expected --------------------------------------------------------------------------

/// What a caller should see of a recorded stream.
struct Expected {
    /// Up to where the stream is passed on.
    bytes: Vec<u8>,
    outcome: Outcome,
    usage: Option<Usage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Complete,
    /// Its terminator is added.
    Unterminated,
    /// The upstream's own error event is the last that the caller sees.
    Error,
    /// Behind the bytes comes our error event.
    Cut,
    /// An error before any content: no stream at all.
    Refused,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Unterminated => "unterminated",
            Self::Error => "error",
            Self::Cut => "cut",
            Self::Refused => "refused",
        }
    }
}

fn expect(recording: &Recording) -> Expected {
    let framing = recording.framing();
    let mut splitter = Splitter::new(framing);
    let mut watch = Watch::new(recording.dialect, recording.operation, framing);
    splitter.push(recording.body.clone());
    let mut bytes = Vec::new();
    while let Some(frame) = splitter.next().expect("short frames") {
        bytes.extend_from_slice(&frame.raw);
        if let Beat::Error(_) = watch.frame(&frame) {
            let outcome = if watch.content_events() == 0 { Outcome::Refused } else { Outcome::Error };
            return Expected { bytes, outcome, usage: watch.usage() };
        }
    }
    if let Some(rest) = splitter.leftover() {
        watch.frame(&rest);
    }
    let outcome = match watch.end() {
        Ending::Truncated => Outcome::Cut,
        Ending::Complete { missing_terminator } => {
            bytes = [&recording.body, missing_terminator.unwrap_or_default()].concat();
            if missing_terminator.is_none() { Outcome::Complete } else { Outcome::Unterminated }
        }
    };
    Expected { bytes, outcome, usage: watch.usage() }
}

/// All tokens, as the recording itself says, read without the code under test.
fn recorded_total(text: &str) -> Option<u64> {
    let events = text.lines().map(|line| line.strip_prefix("data:").unwrap_or(line));
    let events =
        std::iter::once(text).chain(events).filter_map(|json| serde_json::from_str::<Value>(json).ok());
    let places = [
        "/usage/total_tokens",
        "/x_groq/usage/total_tokens",
        "/response/usage/total_tokens",
        "/usageMetadata/totalTokenCount",
    ];
    events.filter_map(|event| places.iter().find_map(|place| event.pointer(place)?.as_u64())).next_back()
}

/// Counters as they were at some moment.
#[derive(Clone)]
struct Meters(BTreeMap<String, f64>);

impl Meters {
    fn read(lab: &Lab) -> Self {
        let text = lab.gateway.live.metrics.render();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(series.collect())
    }

    fn since(&self, before: &Self, series: &str) -> u64 {
        let of = |meters: &Self| meters.0.get(series).copied().unwrap_or_default();
        (of(self) - of(before)) as u64
    }

    fn tokens_since(&self, before: &Self) -> [u64; 5] {
        ["input", "cache_read", "cache_write", "output", "reasoning"].map(|kind| {
            self.since(
                before,
                &format!(r#"mainstay_tokens_total{{upstream="a",model="demo",kind="{kind}"}}"#),
            )
        })
    }

    fn streams_since(&self, before: &Self, outcome: &str) -> u64 {
        self.since(before, &format!(r#"mainstay_streams_total{{route="demo",outcome="{outcome}"}}"#))
    }
}

fn tokens(usage: Option<Usage>) -> [u64; 5] {
    let usage = usage.unwrap_or_default();
    [usage.input, usage.cache_read, usage.cache_write + usage.cache_write_1h, usage.output, usage.reasoning]
}

/// Checks what was counted against what the recording says; whether it says anything.
fn assert_metered(name: &str, text: &str, usage: Option<Usage>, counted: [u64; 5]) -> bool {
    assert_eq!(counted, tokens(usage), "{name}");
    if let Some(total) = recorded_total(text) {
        assert_eq!(counted[0] + counted[3], total, "{name}: input and output");
    }
    usage.is_some()
}

// ---- chunks --------------------------------------------------------------------------------------

/// A stream in pieces, each with the wait before it.
fn ways_to_chunk(stream: &Bytes) -> Vec<(&'static str, Vec<(Duration, Bytes)>)> {
    let mut ends: Vec<usize> = (1..stream.len())
        .filter(|&end| stream[..end].ends_with(b"\n\n") || stream[..end].ends_with(b"\r\n\r\n"))
        .collect();
    ends.push(stream.len());
    let mut begin = 0;
    let events = ends.into_iter().map(|end| {
        let piece = stream.slice(begin..end);
        begin = end;
        (Duration::from_millis(1), piece)
    });
    // Odd, so that it falls into step with nothing; at most some hundred pieces.
    let odd = (stream.len() / 100).max(7) | 1;
    let pieces = |size| -> Vec<_> {
        stream.chunks(size).map(|piece| (Duration::ZERO, stream.slice_ref(piece))).collect()
    };
    let mut ways = vec![("by events", events.collect()), ("at odd bytes", pieces(odd))];
    if stream.len() <= SMALL {
        ways.push(("byte by byte", pieces(1)));
    }
    ways
}

#[derive(Default)]
struct Tally {
    recordings: usize,
    replayed: usize,
    metered: usize,
    outcomes: BTreeMap<&'static str, usize>,
}

fn report(kind: &str, tallies: &BTreeMap<&'static str, Tally>) {
    for (dialect, tally) in tallies {
        println!(
            "{kind}, {dialect}: {} recordings replayed {} times, all of them exact, {} with usage, {:?}",
            tally.recordings, tally.replayed, tally.metered, tally.outcomes
        );
    }
}

// ---- the tests -----------------------------------------------------------------------------------

#[tokio::test(start_paused = true)]
async fn recorded_streams_come_out_byte_for_byte_and_metered() {
    let calm = Lab::start(ONE);
    let mut tallies: BTreeMap<&'static str, Tally> = BTreeMap::new();
    for recording in streams() {
        let expected = expect(&recording);
        let name = &recording.name;
        let tally = tallies.entry(recording.dialect.name()).or_default();
        tally.recordings += 1;
        tally.metered += usize::from(expected.usage.is_some());
        *tally.outcomes.entry(expected.outcome.name()).or_default() += 1;
        for (way, chunks) in ways_to_chunk(&recording.body) {
            // Failures leave their marks on breakers, so each has a gateway of its own.
            let fresh;
            let lab = match expected.outcome {
                Outcome::Complete | Outcome::Unterminated => &calm,
                Outcome::Error | Outcome::Cut | Outcome::Refused => {
                    fresh = Lab::start(ONE);
                    &fresh
                }
            };
            lab.sim("a").control().set(vec![recording.canned(chunks)]);
            let before = Meters::read(lab);
            let answer = lab.send(&recording.ask(Wanted::Yes)).await;
            let after = Meters::read(lab);
            tally.replayed += 1;
            if expected.outcome == Outcome::Refused {
                assert!(!answer.status.is_success(), "{name} {way}: {}", answer.status);
                assert!(answer.json()["error"]["message"].is_string(), "{name} {way}");
                continue;
            }
            recording.assert_head(&answer);
            assert_eq!(after.streams_since(&before, expected.outcome.name()), 1, "{name} {way}");
            match expected.outcome {
                Outcome::Cut => {
                    let rest = answer.body.strip_prefix(&*expected.bytes);
                    let rest = rest.unwrap_or_else(|| panic!("{name} {way}: {}", answer.text()));
                    assert!(String::from_utf8_lossy(rest).contains("\"error\""), "{name} {way}");
                    assert_eq!(answer.end, End::Cut, "{name} {way}");
                }
                outcome => {
                    assert_eq!(answer.body, expected.bytes, "{name} {way}");
                    assert_eq!(answer.end == End::Cut, outcome == Outcome::Error, "{name} {way}");
                }
            }
            let counted = after.tokens_since(&before);
            assert_metered(name, recording.text(), expected.usage, counted);
        }
    }
    calm.assert_quiet().await;
    assert_eq!(calm.metric_sum("mainstay_faults_total", &[]), 0.0);
    assert_eq!(tallies.len(), 4, "all four dialects");
    report("streams", &tallies);
}

#[tokio::test(start_paused = true)]
async fn recorded_answers_come_out_byte_for_byte_and_metered() {
    let lab = Lab::start(ONE);
    let mut tallies: BTreeMap<&'static str, Tally> = BTreeMap::new();
    let samples = [
        (
            Dialect::OpenAi,
            Operation::Chat,
            r#"{"choices":[{"index":0,"message":{"content":"\u00e9"},"finish_reason":"stop"}],
                "usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9} }"#,
        ),
        (
            Dialect::Responses,
            Operation::Responses,
            r#"{"object":"response","usage":{"input_tokens":5,"output_tokens":3,"total_tokens":8},"output":[]}"#,
        ),
        (
            Dialect::Anthropic,
            Operation::Messages,
            r#"{"type":"message","content":[],"usage":{"input_tokens":4,"cache_read_input_tokens":6,"output_tokens":2}}"#,
        ),
        (
            Dialect::Gemini,
            Operation::Generate,
            r#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"totalTokenCount":7}}"#,
        ),
    ]
    .map(|(dialect, operation, body)| Recording::written(dialect, operation, 200, body));
    for recording in samples.into_iter().chain(recorded()) {
        if recording.streamed || recording.status != 200 || !recording.body.starts_with(b"{") {
            continue;
        }
        let facts = meter::reply(recording.dialect, recording.operation, &recording.body);
        let name = &recording.name;
        // One says what it was asked, and is not an answer.
        if name.contains("invalid_response") {
            continue;
        }
        assert!(facts.whole && facts.in_band.is_none(), "{name}");
        let half = recording.body.len() / 2;
        let chunks = [recording.body.slice(..half), recording.body.slice(half..)]
            .map(|piece| (Duration::from_millis(1), piece));
        lab.sim("a").control().set(vec![recording.canned(chunks.to_vec())]);
        let before = Meters::read(&lab);
        let answer = lab.send(&recording.ask(Wanted::No)).await;
        let counted = Meters::read(&lab).tokens_since(&before);
        recording.assert_head(&answer);
        assert_eq!(answer.body, recording.body, "{name}");
        assert_eq!(answer.end, End::Clean, "{name}");
        let tally = tallies.entry(recording.dialect.name()).or_default();
        tally.recordings += 1;
        tally.replayed += 1;
        tally.metered += usize::from(assert_metered(name, recording.text(), facts.usage, counted));
    }
    lab.assert_quiet().await;
    assert_eq!(tallies.len(), 4, "all four dialects");
    report("answers", &tallies);
}

/// The events of a chat stream that say usage and nothing else, found without the code under test.
fn without_usage_chunk(stream: &str) -> (String, usize) {
    let is_usage_only = |event: &str| {
        let data = event.trim().strip_prefix("data:").unwrap_or_default();
        serde_json::from_str::<Value>(data)
            .is_ok_and(|chunk| chunk["choices"] == json!([]) && chunk["usage"].is_object())
    };
    let mut dropped = 0;
    let mut kept = String::new();
    for event in stream.split_inclusive("\n\n") {
        if is_usage_only(event) {
            dropped += 1;
        } else {
            kept.push_str(event);
        }
    }
    (kept, dropped)
}

#[tokio::test(start_paused = true)]
async fn callers_who_did_not_ask_for_usage_do_not_see_it_and_it_is_metered_all_the_same() {
    let scribe = Scribe::saying(Said::status(200));
    let lab = Lab::beside(
        "
version: 1
upstreams: {a: {provider: custom, dialect: openai, base_url: 'http://a/v1'}}
routes:
  - model: demo
    channels: [{upstream: a}]
",
        &[("a", &scribe)],
    );
    let (mut streams_seen, mut stripped) = (0, 0);
    for recording in streams().into_iter().filter(|recording| recording.operation == Operation::Chat) {
        let expected = expect(&recording);
        if expected.outcome != Outcome::Complete || recording.text().contains('\r') {
            continue;
        }
        let name = &recording.name;
        let (bytes, dropped) = without_usage_chunk(recording.text());
        scribe.say(recording.said());
        let ask = recording.ask(Wanted::No);
        let before = Meters::read(&lab);
        let answer = lab.send(&ask).await;
        let after = Meters::read(&lab);
        assert_eq!(answer.text(), bytes, "{name}");
        assert_eq!(answer.end, End::Clean, "{name}");
        assert_eq!(after.streams_since(&before, "complete"), 1, "{name}");
        assert_metered(name, recording.text(), expected.usage, after.tokens_since(&before));

        let heard: Value = serde_json::from_slice(&scribe.only().body).expect("JSON went up");
        let mut wanted: Value = serde_json::from_slice(&ask.body).expect("JSON");
        wanted["stream_options"] = json!({"include_usage": true});
        assert_eq!(heard, wanted, "{name}: the caller's body, and the question for usage");
        streams_seen += 1;
        stripped += usize::from(dropped > 0);
    }
    lab.assert_quiet().await;
    println!("{streams_seen} chat streams without a question for usage, {stripped} of them stripped of it");
    assert!(streams_seen >= 1);
}

#[tokio::test(start_paused = true)]
async fn recorded_requests_go_up_untouched_and_are_respliced_only_at_the_model() {
    // It says that it is no JSON, so that nobody looks for a stream in it, and answers in every dialect.
    let answer = r#"{"choices":[{}],"output":[],"content":[],"candidates":[{}]}"#;
    let scribe = Scribe::saying(Said::status(200).header("content-type", "text/plain").data(answer));
    let start = |channel: &str| {
        let yaml = format!(
            "
version: 1
upstreams: {{a: {{provider: custom, dialect: [openai, responses, anthropic, gemini], base_url: 'http://a', stream_usage: leave}}}}
routes:
  - model: '*'
    channels: [{channel}]
"
        );
        Lab::beside(&yaml, &[("a", &scribe)])
    };
    let (same, other) = (start("{upstream: a}"), start("{upstream: a, model: vendor/other-model@7}"));
    let spelled = r#""vendor/other-model@7""#;
    let (mut untouched, mut respliced) = (0, 0);
    let samples = ["a", "b\u{e9}\\u00e9", "openai/gpt"].map(|model| Recording {
        request: Some(format!(
            "\n{{ \"x\": {{\"model\": \"no\"}},\t\"model\" :\"{model}\" , \"n\":1.0e0}}\r\n "
        )),
        ..Recording::written(Dialect::OpenAi, Operation::Chat, 200, "")
    });
    for recording in samples.into_iter().chain(recorded()) {
        let Some(request) = &recording.request else { continue };
        let json: Value = serde_json::from_str(request).expect("JSON");
        let model = match &recording.path_model {
            Some(model) => model.clone(),
            None => match json["model"].as_str() {
                Some(model) => model.to_owned(),
                None => continue,
            },
        };
        let name = &recording.name;
        let path = recording.path(&model);
        let ask = Ask::post(&path, request.clone());
        let answer = same.send(&ask).await;
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let heard = scribe.only();
        assert_eq!(heard.body, request.as_bytes(), "{name}");
        assert_eq!(heard.header("content-length"), request.len().to_string(), "{name}");
        assert!(
            path.ends_with(heard.uri.path_and_query().expect("a path").as_str()),
            "{name}: {}",
            heard.uri
        );
        untouched += 1;

        assert_eq!(other.send(&ask).await.status, 200, "{name}");
        let heard = scribe.only();
        if recording.path_model.is_some() {
            assert_eq!(heard.body, request.as_bytes(), "{name}");
            assert!(heard.uri.path().contains("/models/vendor/other-model@7:"), "{name}: {}", heard.uri);
        } else {
            assert!(is_respliced(request, &heard.body, &json, spelled), "{name}: {:?}", heard.body);
        }
        respliced += 1;
    }
    same.assert_quiet().await;
    other.assert_quiet().await;
    println!("{untouched} requests went up untouched, {respliced} respliced only at their model");
}

/// `sent` is `request` with the one JSON string that is its model spelled differently.
fn is_respliced(request: &str, sent: &[u8], json: &Value, spelled: &str) -> bool {
    let mut wanted = json.clone();
    wanted["model"] = serde_json::from_str(spelled).expect("JSON");
    if serde_json::from_slice::<Value>(sent).ok().as_ref() != Some(&wanted) {
        return false;
    }
    let sent = std::str::from_utf8(sent).expect("text");
    // All that differs lies between the longest common prefix and suffix; the string lies there too.
    sent.match_indices(spelled).any(|(at, _)| {
        let rest = &sent[at + spelled.len()..];
        let Some(old) = request.strip_prefix(&sent[..at]).and_then(|tail| tail.strip_suffix(rest)) else {
            return false;
        };
        serde_json::from_str::<String>(old).is_ok_and(|old| json["model"] == old)
    })
}

#[tokio::test(start_paused = true)]
async fn recorded_refusals_of_a_request_are_passed_on_and_other_errors_are_ours() {
    let row = provider::find("simulated").expect("a row");
    let mut faults: BTreeMap<&'static str, usize> = BTreeMap::new();
    let (mut passed, mut ours) = (0, 0);
    let refusal = r#"{"error":{"message":"no such field","type":"invalid_request_error"}}"#;
    // Longer than what is read of an error to understand it.
    let long = refusal.replace("no such field", &"no such field; ".repeat(5_000));
    let unauthorized = r#"{"error":{"message":"Incorrect API key","code":"invalid_api_key"}}"#;
    let samples = [(400, refusal), (422, &long), (401, unauthorized)]
        .map(|(status, body)| Recording::written(Dialect::OpenAi, Operation::Chat, status, body));
    for recording in samples.into_iter().chain(recorded()).filter(|r| r.status.as_u16() >= 400) {
        let Recording { name, dialect, status, headers, body, .. } = &recording;
        let now = Duration::from_secs(1_790_000_000);
        let fault = classify::classify(row, *dialect, *status, headers, body, now).fault;
        *faults.entry(fault.name()).or_default() += 1;
        let lab = Lab::start(ONE);
        lab.sim("a").control().set(vec![recording.canned(vec![(Duration::ZERO, body.clone())])]);
        let answer = lab.send(&recording.ask(Wanted::Yes)).await;
        assert_eq!(answer.end, End::Clean, "{name}");
        assert!(!answer.header("x-mainstay-request-id").is_empty(), "{name}");
        if fault.class() == Class::ClientFault {
            recording.assert_head(&answer);
            assert_eq!(answer.body, body, "{name}");
            assert_eq!(lab.arrived("a"), 1, "{name}: a refusal of the request is not repeated");
            assert_eq!(lab.breaker("a", "demo"), "closed", "{name}");
            passed += 1;
        } else if matches!(
            recording.operation,
            Operation::CountTokens | Operation::GeminiCountTokens | Operation::BedrockCountTokens
        ) {
            // Nobody who counts can be had, so the gateway counts: what it can read of the request.
            let counted = answer.header("x-mainstay-estimated") == "tokens";
            assert!(counted || answer.status.as_u16() == 400, "{name}: {}", answer.text());
            ours += 1;
        } else {
            assert!(answer.json()["error"]["message"].is_string(), "{name}: {}", answer.text());
            assert_ne!(answer.body, body, "{name}");
            assert!(!matches!(answer.status.as_u16(), 400..=404), "{name}: not the caller's fault");
            ours += 1;
        }
        lab.assert_quiet().await;
    }
    println!("{passed} refusals passed on byte for byte, {ours} errors answered by us: {faults:?}");
    assert!(passed >= 1 && ours >= 1);
}
