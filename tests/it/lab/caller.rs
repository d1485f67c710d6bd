//! Callers: one request over one connection of its own, read to whatever end it has.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mainstay::algo::tick::Tick;
use mainstay::proxy::Gateway;
use mainstay::simulated;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;

use super::{Lab, PIPE};

/// A request of a caller.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
    /// Where its connection comes from; nowhere in particular.
    pub from: Option<IpAddr>,
}

impl Ask {
    pub fn post(path: &str, body: impl Into<Bytes>) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { method: Method::POST, path: path.to_owned(), headers, body: body.into(), from: None }
    }

    /// An upload of that text, for a batch.
    pub fn upload(text: &str) -> Self {
        let body = format!(
            "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--x\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"f.jsonl\"\r\n\r\n{text}\r\n--x--\r\n"
        );
        let mut ask = Self::post("/v1/files", body);
        ask.headers = vec![("content-type", "multipart/form-data; boundary=x".to_owned())];
        ask
    }

    pub fn get(path: &str) -> Self {
        Self::bare(Method::GET, path)
    }

    /// No body, no headers.
    pub fn bare(method: Method, path: &str) -> Self {
        Self { method, path: path.to_owned(), headers: Vec::new(), body: Bytes::new(), from: None }
    }

    /// A chat completion in one piece.
    pub fn chat(model: &str) -> Self {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
        Self::post("/v1/chat/completions", body)
    }

    /// A streamed chat completion with usage.
    pub fn stream(model: &str) -> Self {
        let body = format!(
            r#"{{"model":"{model}","stream":true,"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"hello"}}]}}"#
        );
        Self::post("/v1/chat/completions", body)
    }

    /// A streamed request for `model` in each of the four dialects.
    pub fn stream_in_every_dialect(model: &str) -> [(&'static str, Self); 4] {
        let responses = format!(r#"{{"model":"{model}","stream":true,"store":false,"input":"hello"}}"#);
        let anthropic = format!(
            r#"{{"model":"{model}","stream":true,"max_tokens":99,"messages":[{{"role":"user","content":"hello"}}]}}"#
        );
        let gemini = r#"{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}"#;
        [
            ("openai", Self::stream(model)),
            ("responses", Self::post("/v1/responses", responses)),
            ("anthropic", Self::post("/anthropic/v1/messages", anthropic)),
            (
                "gemini",
                Self::post(&format!("/gemini/v1beta/models/{model}:streamGenerateContent?alt=sse"), gemini),
            ),
        ]
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    #[must_use]
    pub fn from(self, address: &str) -> Self {
        Self { from: Some(address.parse().expect("an address")), ..self }
    }

    pub fn request(&self) -> Request<Full<Bytes>> {
        let mut request =
            Request::builder().method(self.method.clone()).uri(&self.path).header("host", "gateway");
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(Full::new(self.body.clone())).expect("a request of a test is valid")
    }
}

/// How the transport of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// As HTTP says that a message ends.
    Clean,
    /// In the middle.
    Cut,
}

/// What a caller got.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub end: End,
    pub asked_at: Tick,
    pub took: Duration,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("answers of the lab are text")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The JSON of every `data:` line.
    pub fn events(&self) -> Vec<serde_json::Value> {
        self.text()
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .filter_map(|data| serde_json::from_str(data.trim()).ok())
            .collect()
    }

    /// All the text that the answer says, in whatever dialect.
    pub fn words(&self) -> String {
        let events = self.events();
        if events.is_empty() { said(&self.json()) } else { events.iter().map(said).collect() }
    }

    /// The upstream whose whole text this is, proven by its seal; an error says why it is not.
    pub fn spoken(&self) -> Result<String, String> {
        if self.status != StatusCode::OK {
            return Err(format!("{}: {}", self.status, self.text()));
        }
        if self.end != End::Clean {
            return Err(format!("the transport was cut: {}", self.text()));
        }
        match simulated::oracle(&self.words()) {
            Ok(spoken) => Ok(spoken.upstream.to_owned()),
            Err(broken) => Err(format!("{broken:?} in {}", self.text())),
        }
    }
}

/// The text in one event or answer of any dialect, deltas only where there are deltas.
fn said(value: &serde_json::Value) -> String {
    let text = |pointer: &str| value.pointer(pointer).and_then(|text| text.as_str()).map(str::to_owned);
    match value["type"].as_str() {
        Some("response.output_text.delta") => return text("/delta").unwrap_or_default(),
        Some("content_block_delta") => return text("/delta/text").unwrap_or_default(),
        Some(kind) if kind != "message" => return String::new(),
        _ => {}
    }
    [
        "/choices/0/delta/content",
        "/choices/0/message/content",
        "/content/0/text",
        "/candidates/0/content/parts/0/text",
        "/output/0/content/0/text",
    ]
    .into_iter()
    .find_map(text)
    .unwrap_or_default()
}

/// A connection that is still open, for a caller who hangs up.
pub struct Kept {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: hyper::body::Incoming,
    connection: JoinHandle<()>,
}

impl Kept {
    /// The next piece of the body.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.body.frame().await?.ok()?.into_data().ok()
    }

    pub fn hang_up(self) {
        self.connection.abort();
    }
}

impl Lab {
    /// A connection to the gateway, for what only bytes can say.
    pub fn connect(&self) -> DuplexStream {
        connect(&self.gateway)
    }

    /// Sends `ask` and reads the answer to its end.
    pub async fn send(&self, ask: &Ask) -> Answer {
        send(&self.gateway, ask).await
    }

    /// Writes `bytes` on a connection of their own, leaves it open, and reads what comes back until the
    /// gateway closes it or falls silent for a minute. Panics if the gateway does.
    pub async fn say(&self, bytes: &[u8]) -> String {
        self.speak(bytes, After::Silence).await
    }

    /// As [`Lab::say`], but the caller's half is closed behind `bytes`.
    pub async fn say_and_close(&self, bytes: &[u8]) -> String {
        self.speak(bytes, After::Close).await
    }

    async fn speak(&self, bytes: &[u8], after: After) -> String {
        let (mut connection, served) = serve(&self.gateway, None);
        // The gateway may close before it has read everything, which is what some tests are about.
        drop(connection.write_all(bytes).await);
        if let After::Close = after {
            drop(connection.shutdown().await);
        }
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        let patience = Duration::from_mins(1);
        while let Ok(Ok(count @ 1..)) = tokio::time::timeout(patience, connection.read(&mut buffer)).await {
            answer.extend_from_slice(&buffer[..count]);
        }
        drop(connection);
        served.await.expect("the gateway does not panic");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends `ask` and waits for the head of the answer.
    pub async fn open(&self, ask: &Ask) -> Kept {
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.connect())).await.unwrap();
        let connection = tokio::spawn(async move { drop(connection.await) });
        let response = sender.send_request(ask.request()).await.unwrap();
        let (head, body) = response.into_parts();
        Kept { status: head.status, headers: head.headers, body, connection }
    }
}

/// What a caller does who has said all.
enum After {
    Silence,
    Close,
}

pub fn connect(gateway: &Arc<Gateway>) -> DuplexStream {
    serve(gateway, None).0
}

/// A connection, and the task that serves it.
fn serve(gateway: &Arc<Gateway>, from: Option<IpAddr>) -> (DuplexStream, JoinHandle<()>) {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let gateway = Arc::clone(gateway);
    let served = tokio::spawn(async move {
        let service = service_fn(move |request| {
            let gateway = Arc::clone(&gateway);
            async move { Ok::<_, Infallible>(gateway.serve(request, from).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(theirs), service)
            .with_upgrades();
        drop(connection.await);
    });
    (ours, served)
}

pub async fn send(gateway: &Arc<Gateway>, ask: &Ask) -> Answer {
    let asked_at = gateway.live.now();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(serve(gateway, ask.from).0)).await.unwrap();
    let connection = tokio::spawn(async move { drop(connection.await) });
    let response = sender.send_request(ask.request()).await.expect("the gateway answers");
    let (head, mut body) = response.into_parts();
    let mut bytes = Vec::new();
    let mut end = End::Clean;
    while let Some(frame) = body.frame().await {
        if let Ok(frame) = frame {
            bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        } else {
            end = End::Cut;
            break;
        }
    }
    drop(sender);
    connection.abort();
    let took = gateway.live.now().since(asked_at);
    Answer { status: head.status, headers: head.headers, body: bytes.into(), end, asked_at, took }
}
