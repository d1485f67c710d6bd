//! What is written down of requests, found by words that stand nowhere else: in the log, the store, the spool, the
//! state file, captures, Redis, spans, metrics, webhooks and answers of the admin side. With `zero_log` there is none;
//! without it only what `docs/logs.md` says, and prompts and answers in captures alone, which are turned on here for
//! everybody.
//!
//! The same search over the same traffic finds labels, models' names and ids where they may be kept, and prompts in
//! captures: what it does not find is not there.

mod canaries;
mod echo;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use canaries::{Canaries, Kind};
use rusqlite::Connection;
use traffic::Caller;

use crate::alerts::receiver::{self, Heard};
use crate::collector::Collector;
use crate::http;
use crate::process::{Gateway, SECRET, wait_for};
use crate::replicas::redis::Redis;

const QUIET: Canaries = Canaries("quiet");
const LOUD: Canaries = Canaries("loud");
const EVERYBODY: [Canaries; 2] = [QUIET, LOUD];
const LOUD_SECRET: &str = "the-secret-of-whoever-may-be-quoted";

const ROUTING: &str = r#"
version: 1
server:
  listen: LISTEN
  admin: ADMIN
  state_file: state.json
  drain: {pre_stop_delay: 0s, close_spread: 0s}
  REDIS
access: keys
teams: {discreet: {zero_log: TEAM}}
keys:
  quiet: {secret: "${MAINSTAY_IT_SECRET}", team: discreet, explain: true, tags: {floor: "1"}}
  loud: {secret: "file:loud.key", explain: true}
store: {url: "sqlite:ledger.db"}
ledger: {tags: [x-customer], spool: {path: spool}}
alerts: {down_after: 5s, webhooks: {ops: {url: "http://WEBHOOK/hook", secret: "file:hook.key"}}}
telemetry:
  zero_log: ALL
  capture: {enabled: true, path: captures, share: 100%}
  otlp: {endpoint: "http://COLLECTOR/otlp", interval: 1s, traces: {enabled: true, sample: 100%}}
upstreams:
  sim: {provider: simulated, simulated: {ttft: 1ms, pace: 0ms, words: 5}}
  good: {provider: custom, dialect: openai, base_url: "http://ECHO/good", probe: {kind: 'off'}}
  down: {provider: custom, dialect: openai, base_url: "http://ECHO/down", probe: {kind: 'off'}, breaker: {consecutive: {failures: 2}}}
  bad: {provider: custom, dialect: openai, base_url: "http://ECHO/bad", probe: {kind: 'off'}}
  busy: {provider: custom, dialect: openai, base_url: "http://ECHO/busy", probe: {kind: 'off'}, credentials: ["file:busy.key"]}
  denied: {provider: custom, dialect: openai, base_url: "http://ECHO/denied", probe: {kind: 'off'}, credentials: ["file:denied.key"]}
  broken: {provider: custom, dialect: openai, base_url: "http://ECHO/broken", probe: {kind: 'off'}}
  cut: {provider: custom, dialect: openai, base_url: "http://ECHO/cut", probe: {kind: 'off'}}
  garbage: {provider: custom, dialect: openai, base_url: "http://ECHO/garbage", probe: {kind: 'off'}}
routes:
  - {model: demo, channels: [{upstream: sim}], mirror: {to: good, share: 100%}, files: true}
  - {model: good, channels: [{upstream: good}]}
  - {model: kept, channels: [{upstream: good}], cache: {enabled: true}, coalesce: true}
  - {model: shaky, channels: [{upstream: down}, {upstream: busy, tier: 1}, {upstream: good, tier: 2}]}
  - {model: bad, channels: [{upstream: bad}]}
  - {model: busy, channels: [{upstream: busy}]}
  - {model: denied, channels: [{upstream: denied}]}
  - {model: broken, continuation: any, channels: [{upstream: broken}, {upstream: good, tier: 1}]}
  - {model: cut, channels: [{upstream: cut}]}
  - {model: garbage, channels: [{upstream: garbage}]}
  - {model: "lab/*", channels: [{upstream: busy, model: "*"}, {upstream: good, model: "*", tier: 1}]}
  - {path: /echo/, channels: [{upstream: sim}]}
"#;

/// Where something is written, and all that is.
type Written = BTreeMap<String, Vec<u8>>;

/// The binary with everything beside it that it writes to.
struct World {
    gateway: Gateway,
    collector: Collector,
    webhooks: std::sync::mpsc::Receiver<Heard>,
    redis: Option<Redis>,
    live: JoinHandle<Vec<u8>>,
    written: Written,
}

impl World {
    fn start(all: bool, team: bool) -> Self {
        let (collector, echo) = (Collector::start(&[]), echo::listen(&EVERYBODY));
        let (webhook, webhooks) = receiver::listen();
        let redis = Redis::with("what Redis knows of requests", &["--rdbcompression", "no"]);
        let of_redis = redis.as_ref().map_or_else(String::new, |redis| {
            format!("redis: {{url: 'redis://{}', timeout: 1s, poll: 100ms}}", redis.address)
        });
        let routing = ROUTING
            .replace("REDIS", &of_redis)
            .replace("ALL", &all.to_string())
            .replace("TEAM", &team.to_string())
            .replace("WEBHOOK", &webhook.to_string())
            .replace("COLLECTOR", &collector.address.to_string())
            .replace("ECHO", &echo.to_string());
        let files = [
            ("loud.key", LOUD_SECRET),
            ("hook.key", receiver::SECRET),
            ("busy.key", "key-of-the-busy-one"),
            ("denied.key", "key-of-the-one-who-denies"),
        ];
        let gateway = Gateway::start_beside(&routing, "debug", &files);
        let live = listen_to(gateway.admin);
        Self { gateway, collector, webhooks, redis, live, written: Written::new() }
    }

    fn caller(&self, canaries: Canaries) -> Caller {
        let key = if canaries == QUIET { SECRET } else { LOUD_SECRET };
        Caller { gateway: self.gateway.callers, key, canaries }
    }

    fn admin(&self, method: &str, path: &str, body: Option<&str>) -> String {
        let answer = http::call(self.gateway.admin, method, path, body).expect("the admin side answers");
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.body);
        answer.body
    }

    /// The whole traffic twice: with the store at hand, and with it away.
    fn is_asked(&mut self, callers: &[Canaries]) {
        for canaries in callers {
            let statuses = self.caller(*canaries).asks_everything();
            let well = statuses.iter().filter(|status| **status == 200).count();
            assert!(well > 60 && statuses.len() > well + 60, "{statuses:?}");
            assert!(statuses.iter().all(|status| *status != 401), "the key is known: {statuses:?}");
        }
        let ledger = self.gateway.directory().join("ledger.db");
        let booked = || {
            let metrics = self.gateway.metrics();
            let direct =
                metrics.lines().find(|line| line.contains("mainstay_ledger_rows_total{way=\"direct\"}"));
            direct.is_some_and(|line| !line.ends_with(" 0")).then_some(())
        };
        wait_for(30, booked).expect("rows are in the store");
        let lock = Connection::open(ledger).expect("the store's file");
        lock.execute_batch("BEGIN IMMEDIATE").expect("nobody else writes now");
        for canaries in callers {
            self.caller(*canaries).asks_everything();
        }
        let spool = self.gateway.directory().join("spool");
        let spooled = || {
            let status: serde_json::Value =
                serde_json::from_str(&self.admin("GET", "/admin/status", None)).ok()?;
            let is_written = status["ledger"]["waiting"] == 0;
            (is_written && files(&spool).iter().any(|file| size(file) > 1_000)).then_some(())
        };
        wait_for(30, spooled).expect("rows are on disk while the store is away");
        self.keeps_files("while the store is away");
        lock.execute_batch("ROLLBACK").expect("the store is there again");
        self.admin("PUT", "/admin/log", Some(r#"{"filter": "info,mainstay=trace", "for": "1h"}"#));
        self.admin("POST", "/admin/alerts/test", Some(""));
        for canaries in callers {
            self.caller(*canaries).asks_everything();
        }
    }

    fn keeps(&mut self, place: impl Into<String>, bytes: impl Into<Vec<u8>>) {
        self.written.insert(place.into(), bytes.into());
    }

    fn keeps_files(&mut self, when: &str) {
        for file in files(self.gateway.directory()) {
            let name = file.strip_prefix(self.gateway.directory()).expect("it is below").display();
            let place = format!("{name} {when}");
            self.keeps(place, std::fs::read(&file).unwrap_or_default());
        }
    }

    /// Looks at all that can be looked at, ends the gateway politely, and looks at what it has left.
    fn ends(mut self) -> Written {
        let mut page = "/admin/requests?limit=1000".to_owned();
        let mut ids = Vec::new();
        for place in 0.. {
            let text = self.admin("GET", &page, None);
            let told: serde_json::Value = serde_json::from_str(&text).expect("JSON");
            let requests = told["requests"].as_array().expect("a list");
            ids.extend(requests.iter().step_by(17).map(|one| one["request"].as_str().unwrap().to_owned()));
            self.keeps(format!("/admin/requests, page {place}"), text);
            let Some(next) = told["next_before"].as_u64() else { break };
            page = format!("/admin/requests?limit=1000&before={next}");
        }
        assert!(ids.len() > 20, "{ids:?}");
        for id in ids {
            let path = format!("/admin/requests/{id}");
            let text = self.admin("GET", &path, None);
            self.keeps(path, text);
        }
        for path in [
            "/metrics",
            "/admin/status",
            "/admin/upstreams",
            "/admin/upstreams/good",
            "/admin/channels",
            "/admin/routes",
            "/admin/routes/lab%2F*",
            "/admin/explain?model=lab/x",
            "/admin/limits",
            "/admin/budgets",
            "/admin/alerts",
            "/admin/audit",
            "/admin/ledger",
            "/admin/usage?by=model",
            "/admin/usage?by=key",
            "/admin/requests?from=1&limit=1000",
            "/admin/keys",
            "/admin/log",
            "/admin/config",
            "/admin/config/history",
        ] {
            let answer = http::get(self.gateway.admin, path).expect("the admin side answers");
            assert!(answer.status < 500, "{path}: {}", answer.body);
            self.keeps(path, answer.body);
        }
        let state = self.gateway.directory().join("state.json");
        wait_for(30, || state.exists().then_some(())).expect("the state file is written");
        self.keeps_files("while it runs");
        if let Some(redis) = &self.redis {
            let all = redis.everything();
            self.keeps("Redis", all);
        }
        self.gateway.terminate();
        self.keeps_files("after its end");
        self.written.insert("/admin/live".to_owned(), self.live.join().expect("it was listened to"));
        for (number, heard) in self.webhooks.try_iter().enumerate() {
            self.written.insert(format!("webhook {number}"), heard.body);
        }
        for (number, posted) in self.collector.posted().iter().enumerate() {
            self.written.insert(format!("{} {number}", posted.path()), posted.whole());
        }
        for (place, least) in [
            ("mainstay.log", 100_000),
            ("ledger.db", 50_000),
            ("spool", 1_000),
            ("state.json", 500),
            ("/admin/requests", 100_000),
            ("/admin/live", 1_000),
            ("/otlp/v1/traces", 50_000),
            ("/otlp/v1/metrics", 1_000),
            ("webhook", 100),
            ("/admin/audit", 100),
        ] {
            let of =
                |(name, bytes): (&String, &Vec<u8>)| if name.starts_with(place) { bytes.len() } else { 0 };
            let size: usize = self.written.iter().map(of).sum();
            assert!(size >= least, "{place} has {size} bytes only: {:?}", self.written.keys());
        }
        self.written
    }
}

/// Reads the admin side's events until the gateway ends.
fn listen_to(admin: SocketAddr) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut socket = TcpStream::connect(admin).expect("the admin side listens");
        socket.set_read_timeout(Some(Duration::from_mins(2))).expect("a socket has a timeout");
        write!(socket, "GET /admin/live HTTP/1.1\r\nhost: {admin}\r\n\r\n").expect("it reads");
        let mut said = Vec::new();
        // What came until the connection broke is what counts.
        let _ = socket.read_to_end(&mut said);
        said
    })
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |found| found.len())
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Which of the words are written where.
fn found(written: &Written, canaries: Canaries) -> BTreeMap<Kind, BTreeSet<&str>> {
    let mut found: BTreeMap<Kind, BTreeSet<&str>> = BTreeMap::new();
    for (place, bytes) in written {
        for kind in canaries.found_in(bytes) {
            found.entry(kind).or_default().insert(place);
        }
    }
    found
}

#[test]
fn nothing_that_stands_in_a_request_is_written_where_zero_log_is_on() {
    let mut world = World::start(true, false);
    world.is_asked(&EVERYBODY);
    let written = world.ends();
    for canaries in EVERYBODY {
        assert_eq!(found(&written, canaries), BTreeMap::new());
    }
}

#[test]
fn without_it_labels_names_of_models_and_ids_are_written_and_never_a_prompt_nor_anything_of_who_is_below_it()
{
    let mut world = World::start(false, true);
    world.is_asked(&EVERYBODY);
    let written = world.ends();
    assert_eq!(found(&written, QUIET), BTreeMap::new(), "its team has zero_log");
    let (captures, rest): (Written, Written) =
        written.into_iter().partition(|(place, _)| place.starts_with("captures"));
    let captured = found(&captures, LOUD);
    assert!([Kind::Prompt, Kind::Answer].iter().all(|kind| captured.contains_key(kind)), "{captured:?}");
    let loud = found(&rest, LOUD);
    let kinds: BTreeSet<Kind> = loud.keys().copied().collect();
    assert_eq!(kinds, BTreeSet::from([Kind::Tag, Kind::RequestId, Kind::Trace, Kind::Model]), "{loud:?}");
    let stands = |kind: Kind, place: &str| loud[&kind].iter().any(|found| found.starts_with(place));
    for (kind, places) in [
        (Kind::Tag, &["ledger.db", "spool", "mainstay.log", "/admin/requests"] as &[&str]),
        (Kind::RequestId, &["ledger.db", "spool", "mainstay.log", "/admin/requests", "/otlp/v1/traces"]),
        (
            Kind::Model,
            &["ledger.db", "spool", "mainstay.log", "/admin/requests", "/otlp/v1/traces", "state.json"],
        ),
        (Kind::Trace, &["mainstay.log", "/admin/requests", "/otlp/v1/traces"]),
    ] {
        for place in places {
            assert!(stands(kind, place), "{kind:?} is not in {place}: {loud:?}");
        }
    }
}
