//! What real providers said, in every dialect of a caller, through the official SDK of that dialect.
//!
//! Every recorded answer and stream is translated by the library and shown to `tests/sdk/parsers.py`, which
//! says what the SDK made of it. It has to be accepted, in strict validation as well, and to hold the texts,
//! thoughts and calls that the SDK of the original finds in the original. What that one does not accept does not
//! count. Recordings are read from `$MAINSTAY_FIXTURES` or `../shared/fixtures`; our own golden files of
//! `tests/fixtures/dialect/pairs` are shown in any case.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use mainstay::dialect::framing::eventstream::{MessageKind, message};
use mainstay::dialect::framing::{Framing, Splitter};
use mainstay::dialect::hub::{Ask, Family, Keeping, Manner, Renamed, Stops};
use mainstay::dialect::watch::{Beat, Ending, Watch};
use mainstay::dialect::{Dialect, Operation, translate, trouble};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::process::skip;
use super::sdk::{python, without_settings};

/// Dialects that callers speak.
const CALLERS: [Dialect; 6] = [
    Dialect::OpenAi,
    Dialect::Responses,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::Cohere,
    Dialect::Bedrock,
];

/// What the SDK does not accept, or does not see as it was: in answers whose name holds `name`.
struct Except {
    to: &'static [Dialect],
    name: &'static str,
    reason: &'static str,
}

const EXCEPTS: &[Except] = &[
    Except {
        to: &CALLERS,
        name: "openai/llm/test_tools_streaming/test_tools_streaming_variant_a.yaml",
        reason: "the vendor says the tool's name twice, which OpenAI's SDK joins and we do not",
    },
    Except {
        to: &CALLERS,
        name: "openai/pydantic-ai/test_openai/test_invalid_response.yaml",
        reason: "there are no choices, which OpenAI's SDK does not look at; it is the upstream's fault here",
    },
    Except {
        to: &[Dialect::Gemini],
        name: "openai__ai__responses__openai-image-generation-tool.1",
        reason: "the image's base64 was cut short by whoever recorded it",
    },
    Except {
        to: &[Dialect::OpenAi],
        name: "openai__ai__responses__openai-custom-tool.1",
        reason: "OpenAI's wire has custom tools in chat streams; its SDK's types do not know them",
    },
];

#[test]
fn every_recorded_answer_is_accepted_by_every_official_parser() {
    let Some(python) = python("import openai, anthropic, google.genai, cohere, boto3") else {
        return skip(
            "official parsers",
            "there is no Python with the SDKs (scripts/check makes one in .venv)",
        );
    };
    let mut said = own();
    said.extend(recorded());
    said.extend(listed());
    let directory = tempfile::TempDir::with_prefix("mainstay-it-").expect("there is a temporary directory");
    let file = directory.path().join("answers.jsonl");
    let shown = write(&said, &file);
    let seen = show(&python, &file, shown.len());
    judge(&said, &shown, &seen).close();
}

// ---- answers ------------------------------------------------------------------------------------

/// One answer of a provider.
struct Said {
    name: String,
    dialect: Dialect,
    kind: Kind,
    body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Reply,
    Stream,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Reply => "reply",
            Self::Stream => "stream",
        }
    }
}

/// A line of `recorded/*.jsonl`.
#[derive(Deserialize)]
struct Exchange {
    src: String,
    i: u64,
    provider: String,
    path: String,
    status: u16,
    stream: bool,
    eventstream: bool,
    resp: Box<RawValue>,
}

/// Our own golden files.
fn own() -> Vec<Said> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialect/pairs");
    let files = sorted(&folder).into_iter().flat_map(|sample| sorted(&sample));
    let found: Vec<Said> = files
        .filter_map(|file| {
            let name = file.strip_prefix(&folder).ok()?.to_str()?.to_owned();
            let mut words = file.file_name()?.to_str()?.split('.');
            let kind = match words.next()? {
                "reply" => Kind::Reply,
                "stream" => Kind::Stream,
                _ => return None,
            };
            let dialect: Dialect = words.next()?.parse().ok()?;
            let mut body = fs::read(&file).expect("readable");
            if dialect == Dialect::Bedrock && kind == Kind::Stream {
                let lines = std::str::from_utf8(&body).expect("text").lines();
                body = messages(lines.map(|line| {
                    let said: Value = serde_json::from_str(line).expect("JSON");
                    (said["event"].as_str().expect("a name").to_owned(), said["data"].clone())
                }));
            }
            Some(Said { name: format!("our own {name}"), dialect, kind, body })
        })
        .collect();
    assert!(found.len() > 60, "only {} answers of our own", found.len());
    found
}

fn messages(events: impl Iterator<Item = (String, Value)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, data) in events {
        message(&name, MessageKind::Event, data.to_string().as_bytes(), &mut out);
    }
    out
}

/// Where recordings are, if they are anywhere.
fn shared() -> PathBuf {
    std::env::var_os("MAINSTAY_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures"), PathBuf::from)
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    files.sort();
    files
}

/// Every recorded answer to a request to generate; says so when there are none.
fn recorded() -> Vec<Said> {
    let folder = shared().join("recorded");
    if !folder.is_dir() {
        println!("no recorded answers in {}: only our own fixtures are shown", folder.display());
        return Vec::new();
    }
    let mut found = Vec::new();
    for file in sorted(&folder) {
        for line in fs::read_to_string(&file).expect("readable").lines() {
            let exchange: Exchange = serde_json::from_str(line).expect("a recorded exchange");
            found.extend(Said::of(&exchange));
        }
    }
    assert!(found.len() > 1_500, "only {} answers in {}", found.len(), folder.display());
    found
}

impl Said {
    fn of(exchange: &Exchange) -> Option<Self> {
        let dialect = spoken(&exchange.path).filter(|_| (200..300).contains(&exchange.status))?;
        let text = exchange.resp.get();
        let said: Option<String> = serde_json::from_str(text).ok();
        let body = match said {
            // Lost by whoever recorded it.
            Some(text) if text.starts_with("<binary") => return None,
            Some(text) if exchange.eventstream => BASE64_STANDARD.decode(text).ok()?,
            Some(text) => text.into_bytes(),
            None => text.as_bytes().to_owned(),
        };
        let lines = dialect == Dialect::Ollama && body.trim_ascii().contains(&b'\n');
        let events = body.starts_with(b"data:") || body.starts_with(b"event:") || body.starts_with(b"[");
        let streams = exchange.stream || exchange.eventstream || lines || events;
        if !streams && !body.starts_with(b"{") {
            return None;
        }
        let kind = if streams { Kind::Stream } else { Kind::Reply };
        let name = format!("{} {} {}", exchange.provider, exchange.src, exchange.i);
        Some(Self { name, dialect, kind, body })
    }

    /// Without what follows the terminator: some recordings hold two answers.
    fn until_its_end(&self) -> Vec<u8> {
        if self.kind == Kind::Reply || self.framing() == Framing::JsonArray {
            return self.body.clone();
        }
        let mut watch = Watch::new(self.dialect, streaming(self.dialect), self.framing());
        let mut splitter = Splitter::new(self.framing());
        splitter.push(Bytes::copy_from_slice(&self.body));
        let mut end = Vec::new();
        while let Ok(Some(frame)) = splitter.next() {
            end.extend_from_slice(&frame.raw);
            if watch.frame(&frame) == Beat::Terminal {
                return end;
            }
        }
        self.body.clone()
    }

    fn framing(&self) -> Framing {
        match self.dialect {
            Dialect::Gemini if self.body.starts_with(b"[") => Framing::JsonArray,
            Dialect::Bedrock => Framing::EventStream,
            Dialect::Ollama => Framing::Lines,
            _ => Framing::Sse,
        }
    }
}

/// As the paths of providers end.
fn spoken(path: &str) -> Option<Dialect> {
    const WAYS: [(&str, Dialect); 9] = [
        ("/chat/completions", Dialect::OpenAi),
        ("/responses", Dialect::Responses),
        ("/messages", Dialect::Anthropic),
        (":generateContent", Dialect::Gemini),
        (":streamGenerateContent", Dialect::Gemini),
        ("/v2/chat", Dialect::Cohere),
        ("/converse", Dialect::Bedrock),
        ("/converse-stream", Dialect::Bedrock),
        ("/api/chat", Dialect::Ollama),
    ];
    WAYS.into_iter().find(|(end, _)| path.ends_with(end)).map(|(_, dialect)| dialect)
}

/// The lists of events in `streams/*.chunks.txt`, framed as their dialect frames them.
fn listed() -> Vec<Said> {
    let folder = shared().join("streams");
    if !folder.is_dir() {
        return Vec::new();
    }
    let read = |file: PathBuf| {
        let name = file.file_name()?.to_str()?.to_owned();
        let text = fs::read_to_string(&file).expect("readable");
        let events: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).ok()).collect::<Option<_>>()?;
        let dialect = spoken_in(events.first()?)?;
        let mut body = Vec::new();
        if dialect == Dialect::Bedrock {
            body = messages(events.iter().map(|event| {
                let (name, data) = event.as_object().and_then(|event| event.iter().next()).expect("a member");
                (name.clone(), data.clone())
            }));
        } else {
            for (event, line) in events.iter().zip(text.lines()) {
                let name = event["type"].as_str().map(|name| format!("event: {name}\n")).unwrap_or_default();
                write!(body, "{name}data: {line}\n\n").expect("memory");
            }
            if dialect == Dialect::OpenAi {
                body.extend_from_slice(b"data: [DONE]\n\n");
            }
        }
        Some(Said { name: format!("list {name}"), dialect, kind: Kind::Stream, body })
    };
    let found: Vec<_> = sorted(&folder).into_iter().filter_map(read).collect();
    assert!(found.len() > 60, "only {} lists of events in {}", found.len(), folder.display());
    found
}

/// The dialect of an event, by its own look.
fn spoken_in(event: &Value) -> Option<Dialect> {
    match event["type"].as_str() {
        Some("message_start") if event["message"]["usage"].is_object() => Some(Dialect::Anthropic),
        Some("message-start") => Some(Dialect::Cohere),
        Some(name) if name.starts_with("response.") => Some(Dialect::Responses),
        None if event["choices"].is_array() => Some(Dialect::OpenAi),
        None if event["candidates"].is_array() => Some(Dialect::Gemini),
        None if event["messageStart"].is_object() => Some(Dialect::Bedrock),
        _ => None,
    }
}

// ---- translation --------------------------------------------------------------------------------

/// Something that an SDK is shown: which answer, in which dialect.
struct Shown {
    place: usize,
    to: Dialect,
}

/// Writes everything to show, line by line, the original of each answer before its translations.
fn write(said: &[Said], file: &Path) -> Vec<Shown> {
    let mut out = BufWriter::new(fs::File::create(file).expect("writable"));
    let mut shown = Vec::new();
    let mut unfinished = 0;
    for (place, answer) in said.iter().enumerate() {
        let mut bodies = vec![(answer.dialect, answer.until_its_end())];
        for to in CALLERS.into_iter().filter(|to| *to != answer.dialect) {
            match translated(answer, to) {
                Ok(Some(body)) if answer.kind == Kind::Stream => bodies.push((to, with_our_own(to, &body))),
                Ok(Some(body)) => bodies.push((to, body)),
                Ok(None) => bodies.clear(),
                // The SDK will say what is wrong with it, unless the original is wrong itself.
                Err(wrong) => bodies.push((to, format!("not translated: {wrong}").into_bytes())),
            }
        }
        unfinished += usize::from(bodies.len() < 2);
        for (to, body) in bodies {
            let body = String::from_utf8(body).map_or_else(
                |wrong| json!({"base64": BASE64_STANDARD.encode(wrong.as_bytes())}),
                Value::from,
            );
            let line = json!({"to": to.name(), "kind": answer.kind.name(), "body": body});
            writeln!(out, "{line}").expect("writable");
            shown.push(Shown { place, to });
        }
    }
    out.flush().expect("writable");
    println!("{} answers, {unfinished} streams among them that failed or broke off", said.len());
    shown
}

/// The same with all that we say ourselves in streams: before the first event, between events, and behind the last one.
fn with_our_own(to: Dialect, stream: &[u8]) -> Vec<u8> {
    let sign = trouble::keep_alive(to).unwrap_or_default();
    let comment = |text: &'static [u8]| if trouble::has_comments(to) { text } else { &[] };
    let between = [sign, comment(b": mainstay-continued leg=2 method=anchor\n")].concat();
    let mut out = sign.to_vec();
    let mut rest = stream;
    while let Some(end) = memchr::memmem::find(rest, b"\n\n").filter(|_| !between.is_empty()) {
        let (event, behind) = rest.split_at(end + 2);
        out.extend_from_slice(event);
        out.extend_from_slice(&between);
        rest = behind;
    }
    out.extend_from_slice(rest);
    out.extend_from_slice(comment(b": mainstay-decision {}\n"));
    out
}

/// What the caller gets; `None` when a stream failed or broke off.
fn translated(said: &Said, to: Dialect) -> Result<Option<Vec<u8>>, String> {
    let manner = Manner {
        model: "demo".into(),
        nonce: "n0nce".into(),
        now: 1_790_000_000,
        usage_wanted: true,
        family: Family::Other,
        framing: Framing::Sse,
        echo: translate::echo(&Ask::new(to), to),
        keeping: Keeping::Passing,
        renamed: Renamed::default(),
        stops: Stops::default(),
    };
    if said.kind == Kind::Reply {
        return told(translate::reply(said.dialect, to, &said.body, &manner));
    }
    let framing = said.framing();
    let mut watch = Watch::new(said.dialect, streaming(said.dialect), framing);
    let mut translation = translate::Stream::new(said.dialect, to, manner).expect("a pair");
    let mut splitter = Splitter::new(framing);
    splitter.push(Bytes::copy_from_slice(&said.body));
    let mut out = Vec::new();
    let mut rest = false;
    loop {
        let frame = match splitter.next().map_err(|wrong| wrong.to_string())? {
            Some(frame) => frame,
            None if rest => break,
            None => {
                rest = true;
                let Some(frame) = splitter.leftover() else { break };
                frame
            }
        };
        let beat = watch.frame(&frame);
        if let Beat::Error(_) = beat {
            return Ok(None);
        }
        match told(translation.frame(&frame))? {
            Some(said) => out.extend(said),
            None => return Ok(None),
        }
        if beat == Beat::Terminal {
            break;
        }
    }
    if watch.end() == Ending::Truncated {
        return Ok(None);
    }
    Ok(told(translation.end())?.map(|end| [out, end].concat()))
}

/// `None` where the model failed.
fn told(said: Result<Bytes, translate::Untold>) -> Result<Option<Vec<u8>>, String> {
    match said {
        Ok(said) => Ok(Some(said.to_vec())),
        Err(translate::Untold::Failed(_)) => Ok(None),
        Err(translate::Untold::Unreadable(wrong)) => Err(wrong.to_string()),
    }
}

const fn streaming(dialect: Dialect) -> Operation {
    match dialect {
        Dialect::OpenAi | Dialect::Http => Operation::Chat,
        Dialect::Responses => Operation::Responses,
        Dialect::Anthropic => Operation::Messages,
        Dialect::Gemini => Operation::StreamGenerate,
        Dialect::Cohere => Operation::CohereChat,
        Dialect::Bedrock => Operation::ConverseStream,
        Dialect::Ollama => Operation::OllamaChat,
    }
}

// ---- what the SDKs say --------------------------------------------------------------------------

/// What an SDK made of an answer.
#[derive(Deserialize)]
struct Judged {
    /// Texts and calls.
    #[serde(default)]
    seen: Option<Value>,
    /// It raises this.
    refused: Option<String>,
    /// Its types are not kept.
    loose: Option<String>,
}

fn show(python: &Path, file: &Path, count: usize) -> Vec<Judged> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdk/parsers.py");
    let mut command = Command::new(python);
    command.arg("-B").arg(script).arg(file).stderr(Stdio::inherit());
    without_settings(&mut command);
    let output = command.output().expect("Python runs");
    assert!(output.status.success(), "{}", output.status);
    let lines = std::str::from_utf8(&output.stdout).expect("text").lines();
    let seen: Vec<Judged> = lines.map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(seen.len(), count, "each line is answered");
    seen
}

/// How it went, by the dialect of the caller.
#[derive(Default)]
struct Verdict {
    /// Accepted and the same, of how many.
    shares: BTreeMap<&'static str, (usize, usize)>,
    /// Originals that their own SDK refuses.
    refused: BTreeMap<&'static str, (usize, usize)>,
    excepted: Vec<usize>,
    /// Calls whose arguments were broken off, where there has to be an object.
    broken_off: usize,
    failures: String,
}

fn judge(said: &[Said], shown: &[Shown], seen: &[Judged]) -> Verdict {
    let mut verdict = Verdict { excepted: vec![0; EXCEPTS.len()], ..Verdict::default() };
    let mut original = None;
    for (shown, seen) in shown.iter().zip(seen) {
        let answer = &said[shown.place];
        if shown.to == answer.dialect {
            original = seen.seen.as_ref();
            let count = verdict.refused.entry(shown.to.name()).or_default();
            count.0 += usize::from(original.is_none());
            count.1 += 1;
            if let Some(refused) = &seen.refused {
                println!("{} does not count: {refused:.200}", answer.name);
            }
        } else if let Some(original) = original {
            verdict.book(answer, shown.to, original, seen);
        }
    }
    verdict
}

/// Dialects whose calls hold objects, and not text that may be one.
fn has_objects(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Anthropic | Dialect::Gemini | Dialect::Bedrock)
}

/// The same but for calls whose arguments are no JSON, since the model broke them off. Where they have to be an object,
/// such a call was never made; of a stream, which had begun it, parsers make what they can.
fn is_broken_off(kind: Kind, original: &Value, found: &Value) -> bool {
    let (mut made, mut begun) = (original.clone(), original.clone());
    if let Some(calls) = made["calls"].as_array_mut() {
        calls.retain(|call| !call[1].is_string());
    }
    let seen = found["calls"].as_array().into_iter().flatten();
    for (call, seen) in begun["calls"].as_array_mut().into_iter().flatten().zip(seen) {
        if call[1].is_string() && seen[1].is_object() {
            call[1] = seen[1].clone();
        }
    }
    made != *original && (made == *found || (kind != Kind::Reply && begun == *found))
}

impl Verdict {
    fn book(&mut self, answer: &Said, to: Dialect, original: &Value, seen: &Judged) {
        let share = self.shares.entry(to.name()).or_default();
        share.1 += 1;
        let trouble = match (&seen.seen, &seen.refused, &seen.loose) {
            (Some(found), _, None) if found == original => {
                share.0 += 1;
                return;
            }
            (Some(found), _, None) if has_objects(to) && is_broken_off(answer.kind, original, found) => {
                self.broken_off += 1;
                return;
            }
            (Some(found), _, None) => format!("{original:.300} became {found:.300}"),
            (_, refused, loose) => refused.as_ref().or(loose.as_ref()).cloned().unwrap_or_default(),
        };
        let except =
            EXCEPTS.iter().position(|known| known.to.contains(&to) && answer.name.contains(known.name));
        if let Some(place) = except {
            self.excepted[place] += 1;
        } else {
            writeln!(
                self.failures,
                "{} {} {} -> {to}: {trouble}",
                answer.name,
                answer.kind.name(),
                answer.dialect
            )
            .expect("memory");
        }
    }

    fn close(self) {
        for (dialect, (refused, all)) in &self.refused {
            println!("{dialect}: {refused} of {all} originals are not accepted by their own parser");
        }
        for (dialect, (accepted, all)) in &self.shares {
            let share = *accepted as f64 * 100.0 / *all as f64;
            println!("{dialect}: {accepted} of {all} translations accepted and the same ({share:.1} %)");
        }
        println!(
            "{:>4} excepted: calls that the model broke off are none where a dialect has objects for arguments",
            self.broken_off
        );
        for (except, count) in EXCEPTS.iter().zip(&self.excepted) {
            println!("{count:>4} of {:?} excepted: {}", except.name, except.reason);
        }
        assert!(self.failures.is_empty(), "{} failures\n{}", self.failures.lines().count(), self.failures);
        let recorded = shared().join("recorded").is_dir();
        assert!(!recorded || !self.excepted.contains(&0), "an exception is none any more");
    }
}
