//! A host between in-memory simulated upstreams, for the tests of this room.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::builtin::{self, Simulating};
use super::host::Host;
use super::lifecycle::Stage;
use super::loader::{Loader, Source};
use crate::config::{self, Env};
use crate::simulated::Simulated;
use crate::state::Live;
use crate::upstream::{Dial, DialError, Dialing, Socket, Target};
use crate::vocab::Fault;

/// Two upstreams, a model and a path.
pub(super) const FILE: &str = "\
version: 1
server: {drain: {pre_stop_delay: 5s, timeout: 60s, close_spread: 5s}}
upstreams:
  a: {provider: simulated}
  b: {provider: simulated}
routes:
  - {model: demo, channels: [{upstream: a}, {upstream: b}]}
  - {path: /echo/, channels: [{upstream: a}]}
";

pub(super) struct NoWorld;

impl Env for NoWorld {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("no files".to_owned())
    }
}

pub(super) struct Bench {
    pub(super) host: Arc<Host>,
    pub(super) sims: BTreeMap<String, Arc<Simulated>>,
}

struct MemoryDial(BTreeMap<String, Arc<Simulated>>);

impl Dial for MemoryDial {
    fn dial(&self, target: Arc<Target>) -> Dialing {
        let simulated = self.0.get(&*target.host).cloned();
        Box::pin(async move {
            let refused = || DialError { fault: Fault::Connect, detail: "refused".to_owned() };
            let (ours, theirs) = duplex(64 * 1024);
            simulated.ok_or_else(refused)?.serve_connection(theirs).map_err(|_| refused())?;
            Ok(Box::new(ours) as Box<dyn Socket>)
        })
    }
}

impl Bench {
    pub(super) fn start(yaml: &str) -> Self {
        let source = Source::Text { name: "routing.yaml".to_owned(), text: yaml.to_owned() };
        let loader = Arc::new(Loader::new(source, Arc::new(NoWorld)));
        let draft = loader.load().unwrap_or_else(|rejection| panic!("{rejection}"));
        let simulate = |upstream: &config::Upstream| {
            let settings = upstream.simulated.as_ref().map(builtin::settings).unwrap_or_default();
            (upstream.name.to_string(), Simulated::in_memory(&upstream.name, settings))
        };
        let sims: BTreeMap<_, _> = draft.blueprint.upstreams.iter().map(simulate).collect();
        let dial = Arc::new(MemoryDial(sims.clone()));
        let live = Arc::new(Live::seeded(7));
        let host = Host::start(live, loader, draft, dial, Simulating::Elsewhere).expect("a host");
        host.lifecycle.enter(Stage::Serving);
        Self { host, sims }
    }

    /// A caller's end of a new connection, with room for so many bytes on the way.
    pub(super) fn connect(&self, pipe: usize) -> DuplexStream {
        let (ours, theirs) = duplex(pipe);
        self.host.front.serve(theirs);
        ours
    }

    /// Sends bytes and reads to the end of the connection.
    pub(super) async fn say(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect(1 << 20);
        // A connection that was closed in the middle still has an answer to read.
        let _ = stream.write_all(bytes.as_ref()).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The value of one series, 0 where it was never counted.
    pub(super) fn metric(&self, series: &str) -> f64 {
        let text = self.host.gateway().live.metrics.render();
        let line =
            text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse().unwrap())
    }
}

/// A request in HTTP/1.1.
pub(super) fn chat(extra: &str, stream: bool) -> String {
    let body =
        format!(r#"{{"model":"demo","stream":{stream},"messages":[{{"role":"user","content":"x"}}]}}"#);
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{extra}content-length: {length}\r\n\r\n{body}"
    )
}

/// Reads until `wanted` has come.
pub(super) async fn read_to(stream: &mut DuplexStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(wanted) {
        let read = tokio::time::timeout(Duration::from_mins(10), stream.read(&mut buffer)).await;
        let read = read.expect("an answer in time").expect("an open connection");
        assert!(read > 0, "the connection ended before {wanted:?}: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    text
}
