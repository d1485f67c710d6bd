//! Requests of every dialect whose every part that a caller may write has a canary in it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};

use serde_json::{Value, json};

use super::canaries::{Canaries, Kind};
use crate::http::{self, Answer};

/// Models of which each goes wrong in another way, or well.
const MODELS: [&str; 9] = ["demo", "kept", "shaky", "bad", "broken", "cut", "garbage", "busy", "denied"];

pub struct Caller {
    pub gateway: SocketAddr,
    pub key: &'static str,
    pub canaries: Canaries,
}

impl Caller {
    fn word(&self, kind: Kind) -> String {
        self.canaries.word(kind)
    }

    fn headers(&self, more: &[(&str, String)]) -> Vec<(String, String)> {
        let word = |kind| self.word(kind);
        let own = [
            ("authorization", format!("Bearer {}", self.key)),
            ("user-agent", word(Kind::Header)),
            ("cookie", format!("session={}", word(Kind::Header))),
            ("baggage", format!("user={}", word(Kind::Header))),
            ("x-request-id", word(Kind::RequestId)),
            ("traceparent", format!("00-{}-b7ad6b7169203331-01", word(Kind::Trace))),
            ("tracestate", format!("vendor={}", word(Kind::State))),
            ("x-customer", word(Kind::Tag)),
            ("x-mainstay-explain", "1".to_owned()),
        ];
        own.iter().chain(more).map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn send(&self, method: &str, path: &str, more: &[(&str, String)], body: &str) -> Answer {
        let headers = self.headers(more);
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        http::send(self.gateway, method, path, &headers, body).expect("the gateway answers")
    }

    fn json(&self, path: &str, body: &Value) -> Answer {
        let json = [("content-type", "application/json".to_owned())];
        self.send("POST", path, &json, &body.to_string())
    }

    /// `kind` of a model's name in an openai chat.
    fn chat(&self, model: &str, stream: bool) -> Value {
        json!({
            "model": model, "stream": stream, "user": self.word(Kind::User),
            "metadata": {"user_id": self.word(Kind::User)}, "safety_identifier": self.word(Kind::User),
            "messages": [
                {"role": "system", "content": self.word(Kind::System)},
                {"role": "user", "content": self.word(Kind::Prompt)},
            ],
            "tools": [{"type": "function", "function": {"name": self.word(Kind::Tool), "parameters": {"type": "object"}}}],
        })
    }

    /// All of it; the statuses of the answers.
    pub fn asks_everything(&self) -> Vec<u16> {
        let mut statuses = Vec::new();
        for stream in [false, true] {
            for model in MODELS {
                statuses.extend(self.in_every_dialect(model, stream));
            }
        }
        let named = format!("lab/{}", self.word(Kind::Model));
        for stream in [false, true] {
            statuses.push(self.json("/v1/chat/completions", &self.chat(&named, stream)).status);
        }
        statuses.extend(self.amiss());
        statuses.extend(self.files());
        self.hangs_up();
        statuses
    }

    fn in_every_dialect(&self, model: &str, stream: bool) -> Vec<u16> {
        let word = |kind| self.word(kind);
        let gemini = if stream { "streamGenerateContent?alt=sse&q=" } else { "generateContent?q=" };
        let bedrock = if stream { "converse-stream" } else { "converse" };
        let asks = [
            ("/v1/chat/completions".to_owned(), self.chat(model, stream)),
            (
                "/v1/completions".to_owned(),
                json!({"model": model, "stream": stream, "prompt": word(Kind::Prompt), "user": word(Kind::User)}),
            ),
            (
                "/v1/responses".to_owned(),
                json!({"model": model, "stream": stream, "input": word(Kind::Prompt), "instructions": word(Kind::System),
                    "user": word(Kind::User), "metadata": {"user": word(Kind::User)}}),
            ),
            (
                "/v1/messages".to_owned(),
                json!({"model": model, "stream": stream, "max_tokens": 64, "system": word(Kind::System),
                    "metadata": {"user_id": word(Kind::User)},
                    "messages": [{"role": "user", "content": word(Kind::Prompt)}]}),
            ),
            (
                format!("/gemini/v1beta/models/{model}:{gemini}{}", word(Kind::Query)),
                json!({"contents": [{"role": "user", "parts": [{"text": word(Kind::Prompt)}]}],
                    "systemInstruction": {"parts": [{"text": word(Kind::System)}]}}),
            ),
            (
                "/cohere/v2/chat".to_owned(),
                json!({"model": model, "stream": stream, "messages": [
                    {"role": "system", "content": word(Kind::System)},
                    {"role": "user", "content": word(Kind::Prompt)}]}),
            ),
            (
                format!("/bedrock/model/{model}/{bedrock}"),
                json!({"messages": [{"role": "user", "content": [{"text": word(Kind::Prompt)}]}],
                    "system": [{"text": word(Kind::System)}]}),
            ),
            ("/v1/embeddings".to_owned(), json!({"model": model, "input": word(Kind::Prompt)})),
            ("/v1/moderations".to_owned(), json!({"model": model, "input": word(Kind::Prompt)})),
        ];
        asks.iter().map(|(path, body)| self.json(path, body).status).collect()
    }

    /// What is answered without any upstream, or cannot be.
    fn amiss(&self) -> Vec<u16> {
        let word = |kind| self.word(kind);
        let json = || ("content-type", "application/json".to_owned());
        let mut statuses = Vec::new();
        let unknown = word(Kind::Unknown);
        statuses.push(self.json("/v1/chat/completions", &self.chat(&unknown, false)).status);
        statuses.push(self.send("GET", &format!("/v1/models/{unknown}"), &[], "").status);
        statuses
            .push(self.send("GET", &format!("/v1/models?after_id={}", word(Kind::Query)), &[], "").status);
        for body in [
            format!(r#"{{"model":"demo","messages":[{}"#, word(Kind::Broken)),
            format!(r#"{{"model":"demo","messages":"{}"}}"#, word(Kind::Broken)),
            format!(r#"{{"model":["{}"]}}"#, word(Kind::Broken)),
        ] {
            statuses.push(self.send("POST", "/v1/chat/completions", &[json()], &body).status);
        }
        let (path, query) = (word(Kind::Path), word(Kind::Query));
        for path in [format!("/v1/{path}?q={query}"), format!("/echo/{path}?q={query}")] {
            statuses.push(self.send("GET", &path, &[], "").status);
            statuses.push(self.send("POST", &path, &[json()], &word(Kind::Prompt)).status);
        }
        let repeated = [json(), ("idempotency-key", word(Kind::Idempotency))];
        let body = self.chat("demo", false).to_string();
        for _ in 0..2 {
            statuses.push(self.send("POST", "/v1/chat/completions", &repeated, &body).status);
        }
        for (name, kind) in [
            ("x-mainstay-priority", Kind::Header),
            ("x-mainstay-max-cost", Kind::Header),
            ("x-mainstay-provider-key", Kind::Header),
        ] {
            statuses
                .push(self.send("POST", "/v1/chat/completions", &[json(), (name, word(kind))], &body).status);
        }
        let stored = json!({"model": "demo", "input": word(Kind::Prompt), "previous_response_id": format!("resp_{}", word(Kind::File))});
        statuses.push(self.json("/v1/responses", &stored).status);
        statuses.push(self.send("GET", &format!("/v1/responses/resp_{}", word(Kind::File)), &[], "").status);
        statuses
    }

    fn files(&self) -> Vec<u16> {
        let word = |kind| self.word(kind);
        let (name, content) = (word(Kind::File), word(Kind::Prompt));
        let form = |purpose: &str| {
            format!(
                "--b\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n\
                 --b\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\ndemo\r\n\
                 --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{content}\r\n--b--\r\n"
            )
        };
        let multipart = || ("content-type", "multipart/form-data; boundary=b".to_owned());
        let left = self.send("POST", "/v1/files", &[multipart()], &form("batch"));
        let id = left.json()["id"].as_str().expect("a file's name").to_owned();
        let batch = json!({"input_file_id": id, "endpoint": "/v1/chat/completions", "completion_window": "24h",
            "metadata": {"user": word(Kind::User)}});
        let mut statuses = vec![left.status, self.json("/v1/batches", &batch).status];
        statuses.push(self.send("POST", "/v1/audio/transcriptions", &[multipart()], &form("x")).status);
        for path in [format!("/v1/files/{id}"), format!("/v1/files/{name}"), format!("/v1/batches/{name}")] {
            statuses.push(self.send("GET", &path, &[], "").status);
        }
        let elsewhere = [multipart(), ("x-mainstay-route", word(Kind::Header))];
        statuses.push(self.send("POST", "/v1/files", &elsewhere, &form("batch")).status);
        statuses
    }

    /// Begins a stream and leaves.
    fn hangs_up(&self) {
        let body = self.chat("demo", true).to_string();
        let mut socket = TcpStream::connect(self.gateway).expect("the gateway listens");
        let mut head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\n", self.gateway);
        for (name, value) in self.headers(&[("content-length", body.len().to_string())]) {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        socket.write_all(format!("{head}\r\n{body}").as_bytes()).expect("it reads");
    }
}
