//! What mutations begin with: our own fixtures, and of the recordings as much as is quick.

use std::fs;
use std::path::{Path, PathBuf};

use mainstay::dialect::Dialect;
use serde_json::Value;

use super::mutate;

/// Recordings of one kind and dialect, and the length of the longest of them.
const MOST_RECORDED: usize = 30;
const LONGEST: usize = 6_000;

pub struct Corpus {
    files: Vec<(String, Vec<u8>)>,
    recorded: Vec<Recorded>,
}

struct Recorded {
    dialect: Dialect,
    ask: Vec<u8>,
    answer: Answer,
}

enum Answer {
    Whole(Vec<u8>),
    Stream(Vec<u8>),
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

impl Corpus {
    pub fn load() -> Self {
        let mut files = Vec::new();
        let samples = root().join("tests/fixtures/dialect/pairs");
        let mut folders: Vec<_> =
            fs::read_dir(samples).unwrap().map(|folder| folder.unwrap().path()).collect();
        folders.sort();
        for folder in folders {
            let mut inside: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
            inside.sort();
            for file in inside {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                files.push((name, fs::read(file).unwrap()));
            }
        }
        Self { files, recorded: recorded() }
    }

    fn of(&self, kind: &str, dialect: Dialect) -> Vec<Vec<u8>> {
        let begin = format!("{kind}.{dialect}.");
        self.files
            .iter()
            .filter(|(name, _)| name.starts_with(&begin))
            .map(|(_, bytes)| bytes.clone())
            .collect()
    }

    fn recorded(&self, dialect: Dialect, pick: impl Fn(&Recorded) -> Option<&Vec<u8>>) -> Vec<Vec<u8>> {
        let of = self.recorded.iter().filter(|recorded| recorded.dialect == dialect);
        of.filter_map(pick).filter(|bytes| bytes.len() < LONGEST).take(MOST_RECORDED).cloned().collect()
    }

    pub fn asks(&self, dialect: Dialect) -> Vec<Vec<u8>> {
        let mut asks = self.of("ask", dialect);
        asks.extend(self.recorded(dialect, |recorded| Some(&recorded.ask)));
        asks
    }

    pub fn replies(&self, dialect: Dialect) -> Vec<Vec<u8>> {
        if dialect == Dialect::Ollama {
            let reply = r#"{"model":"m","created_at":"2026-11-21T06:00:00Z","message":{"role":"assistant","content":"hi","thinking":"so","tool_calls":[{"function":{"name":"look","arguments":{"at":1}}}]},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":5}"#;
            return vec![reply.into()];
        }
        let mut replies = self.of("reply", dialect);
        replies.extend(self.recorded(dialect, |recorded| match &recorded.answer {
            Answer::Whole(bytes) => Some(bytes),
            Answer::Stream(_) => None,
        }));
        replies
    }

    pub fn streams(&self, dialect: Dialect) -> Vec<Vec<u8>> {
        if dialect == Dialect::Ollama {
            let lines = [
                r#"{"model":"m","created_at":"2026-11-21T06:00:00Z","message":{"role":"assistant","content":"hi"},"done":false}"#,
                r#"{"model":"m","message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"look","arguments":{"at":1}}}]},"done":false}"#,
                r#"{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop","prompt_eval_count":3,"eval_count":5}"#,
            ];
            return vec![lines.join("\n").into_bytes()];
        }
        let mut streams = self.of("stream", dialect);
        if dialect == Dialect::Bedrock {
            // The fixtures are readable; the wire is not.
            return streams.iter().map(|lines| mutate::messages(lines)).collect();
        }
        streams.extend(self.recorded(dialect, |recorded| match &recorded.answer {
            Answer::Stream(bytes) => Some(bytes),
            Answer::Whole(_) => None,
        }));
        streams
    }

    /// Files of every kind, good and bad.
    pub fn configurations() -> Vec<Vec<u8>> {
        let mut found = vec![fs::read(root().join("routing.yaml")).unwrap()];
        let mut folders = vec![root().join("tests/fixtures/config")];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "yaml") {
                    found.push(fs::read(path).unwrap());
                }
            }
        }
        found.sort();
        found
    }
}

fn recorded() -> Vec<Recorded> {
    let folder = std::env::var_os("MAINSTAY_FIXTURES")
        .map_or_else(|| root().join("../shared/fixtures"), PathBuf::from);
    let Ok(files) = fs::read_dir(folder.join("recorded")) else { return Vec::new() };
    let mut files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| of_file(file)).collect()
}

fn of_file(file: &Path) -> Vec<Recorded> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().filter_map(|line| exchange(&serde_json::from_str(line).ok()?)).collect()
}

fn exchange(said: &Value) -> Option<Recorded> {
    let ways = [
        ("/chat/completions", Dialect::OpenAi),
        ("/responses", Dialect::Responses),
        ("/v1/messages", Dialect::Anthropic),
        (":generateContent", Dialect::Gemini),
        (":streamGenerateContent", Dialect::Gemini),
    ];
    let path = said["path"].as_str()?;
    let (_, dialect) = ways.into_iter().find(|(end, _)| path.ends_with(end))?;
    let answer = match said["resp"].as_str() {
        Some(stream) => Answer::Stream(stream.as_bytes().to_vec()),
        None => Answer::Whole(said["resp"].to_string().into_bytes()),
    };
    Some(Recorded { dialect, ask: said["req"].to_string().into_bytes(), answer })
}
