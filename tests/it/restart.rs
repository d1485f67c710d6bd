//! The real binary, killed and started again: what it knew is still known, and nothing of a secret is in
//! the file between.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use tempfile::TempDir;

use crate::http;
use crate::process::{Gateway, Guest, Place, wait_for};

const KEY: &str = "sk-live-key-of-the-throttled-one";

const ROUTING: &str = "
version: 1
server:
  listen: LISTEN
  admin: ADMIN
  state_file: state.json
  drain: {pre_stop_delay: 0s, close_spread: 0s}
upstreams:
  busy: {provider: custom, dialect: openai, base_url: 'http://BUSY/v1', credentials: ['${BUSY_KEY}'], probe: {kind: off}}
  gone:
    provider: custom
    dialect: openai
    base_url: 'http://GONE/v1'
    probe: {kind: off}
    breaker: {consecutive: {failures: 2}, open: {base: 10m, max: 20m}}
  sim: {provider: simulated}
routes:
  - model: busy
    channels: [{upstream: busy}, {upstream: sim, tier: 1}]
  - model: gone
    channels: [{upstream: gone}, {upstream: sim, tier: 1}]
";

/// Says of every request that its key has to rest for a hundred seconds.
fn throttling() -> (SocketAddr, Arc<AtomicU32>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            counted.fetch_add(1, SeqCst);
            let _ = stream.read(&mut [0; 16 * 1024]);
            let body = r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded"}}"#;
            let _ = write!(
                stream,
                "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 100\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
        }
    });
    (address, asked)
}

struct Served {
    guest: Guest,
    callers: SocketAddr,
    admin: SocketAddr,
    _places: [Place; 2],
}

fn serve(directory: &Path, routing: &str, name: &str) -> Served {
    let places = [Place::reserve(), Place::reserve()];
    let [callers, admin] = [places[0].address, places[1].address];
    let file = directory.join("routing.yaml");
    let text = routing.replace("LISTEN", &callers.to_string()).replace("ADMIN", &admin.to_string());
    fs::write(&file, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args([OsStr::new("serve"), OsStr::new("--config"), file.as_os_str()]).env("BUSY_KEY", KEY);
    let mut guest = Guest::start(&mut command, directory, name);
    guest.is_ready(admin);
    Served { guest, callers, admin, _places: places }
}

impl Served {
    fn ask(&self, model: &str) {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hi"}}]}}"#);
        let answer = http::post(self.callers, "/v1/chat/completions", &body).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// How the first channel of the model's route stands.
    fn standing(&self, model: &str) -> String {
        let explained = http::get(self.admin, &format!("/admin/explain?model={model}")).unwrap().json();
        explained["channels"][0]["standing"].as_str().unwrap_or_default().to_owned()
    }

    fn standings(&self) -> [String; 2] {
        [self.standing("busy"), self.standing("gone")]
    }
}

#[test]
fn what_was_known_outlasts_a_kill_and_a_polite_end_but_not_a_broken_file() {
    let directory = TempDir::with_prefix("mainstay-restart-").unwrap();
    let (busy, asked) = throttling();
    let gone = Place::reserve();
    let routing = ROUTING.replace("BUSY/", &format!("{busy}/")).replace("GONE", &gone.address.to_string());
    let state = directory.path().join("state.json");
    let known = ["credentials_cooling".to_owned(), "breaker_open".to_owned()];

    let first = serve(directory.path(), &routing, "first");
    first.ask("busy");
    for _ in 0..3 {
        first.ask("gone");
    }
    assert_eq!(first.standings(), known);
    let written =
        wait_for(30, || fs::read_to_string(&state).ok().filter(|text| text.contains(r#""stage":"open""#)));
    let written = written.expect("it is written within ten seconds");
    assert!(!written.contains(KEY) && !written.contains("throttled-one"), "{written}");
    assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    let metrics = |served: &Served| http::get(served.admin, "/metrics").unwrap().body;
    assert!(metrics(&first).contains("\nmainstay_state_file_failed 0\n"));
    let at = |served: &Served| {
        let text = metrics(served);
        let line =
            text.lines().find_map(|line| line.strip_prefix("mainstay_state_file_written_timestamp_seconds "));
        line.map_or(0.0, |at| at.parse().unwrap())
    };
    assert!(wait_for(10, || (at(&first) > 1e9).then_some(())).is_some());
    // Dropping it kills it.
    drop(first);

    let mut second = serve(directory.path(), &routing, "second");
    assert_eq!(second.standings(), known, "{}", second.guest.said());
    second.ask("busy");
    second.ask("gone");
    assert_eq!(asked.load(SeqCst), 1, "the key still rests");
    let left = fs::read(&state).unwrap();
    second.guest.terminate();
    assert_ne!(fs::read(&state).unwrap(), left, "written once more at the end");

    let third = serve(directory.path(), &routing, "third");
    assert_eq!(third.standings(), known, "{}", third.guest.said());
    assert_eq!(asked.load(SeqCst), 1);
    drop(third);

    fs::write(&state, &fs::read(&state).unwrap()[..200]).unwrap();
    let fourth = serve(directory.path(), &routing, "fourth");
    assert_eq!(fourth.standings(), ["ready", "ready"]);
    let said = fourth.guest.log();
    assert_eq!(said.matches("the state file is ignored").count(), 1, "{said}");
    drop(fourth);

    let bad = routing.replace("state_file: state.json", "state_file: routing.yaml");
    let file = directory.path().join("routing.yaml");
    fs::write(&file, bad.replace("LISTEN", "127.0.0.1:1").replace("ADMIN", "127.0.0.1:2")).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    check.args([OsStr::new("check"), OsStr::new("--config"), file.as_os_str()]).env("BUSY_KEY", KEY);
    let checked = check.output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(!checked.status.success() && said.contains("error: server.state_file: "), "{said}");
}

/// A bad edit beside a gateway that serves on, and shells that have none of its secrets, are everyday things.
#[test]
fn the_command_line_asks_the_gateway_of_its_file_and_never_another() {
    let gateway = Gateway::start(ROUTING_OF_COMMANDS);
    let says = |file: &Path, words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        let done = command.arg("--config").arg(file).args(words).output().expect("it starts");
        (done.status.success(), String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned())
    };
    let sound = fs::read_to_string(&gateway.file).expect("it is there");
    for broken in ["foo: 1\n", "keys: {k: {secret: '${NOBODY_SET_THIS:?}'}}\n", "]: [\n"] {
        fs::write(&gateway.file, format!("{sound}{broken}")).expect("it can be written");
        let (well, said) = says(&gateway.file, &["healthcheck"]);
        assert!(well && said.contains("ready"), "{broken}: {said}");
    }
    let missing = gateway.directory().join("nofile.yaml");
    let lost = gateway.directory().join("lost.yaml");
    fs::write(&lost, "server: {admin: '${NOBODY_SET_THIS}'}").expect("it can be written");
    for (file, word) in [(&missing, "nofile.yaml"), (&lost, "NOBODY_SET_THIS")] {
        for words in [&["healthcheck"][..], &["drain", "a"], &["keys", "list"], &["explain", "--model", "m"]]
        {
            let (well, said) = says(file, words);
            assert!(!well && said.contains(word) && !said.contains("9090"), "{words:?}: {said}");
        }
        let admin = format!("http://{}", gateway.admin);
        assert!(says(file, &["healthcheck", "--admin", &admin]).0, "{word}");
    }
}

const ROUTING_OF_COMMANDS: &str = "version: 1
server: {listen: LISTEN, admin: ADMIN}
upstreams: {a: {provider: simulated}}
routes: [{model: m, channels: [{upstream: a}]}]
";

/// Shells and supervisors let most processes open 1,024 files, and more where they ask.
#[cfg(target_os = "linux")]
#[test]
fn as_many_files_as_may_be_are_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let places = [Place::reserve(), Place::reserve()];
    let [callers, admin] = [places[0].address, places[1].address];
    let routing = format!(
        "version: 1\nserver: {{listen: '{callers}', admin: '{admin}', drain: {{pre_stop_delay: 0s, close_spread: 0s}}}}\n\
         upstreams: {{sim: {{provider: simulated}}}}\nroutes: [{{model: demo, channels: [{{upstream: sim}}]}}]\n"
    );
    let file = directory.path().join("routing.yaml");
    fs::write(&file, routing).unwrap();
    let mut command = Command::new("sh");
    let narrow = "ulimit -Sn 256 && ulimit -Hn 300 && exec \"$0\" serve --config \"$1\"";
    command.args(["-c", narrow, env!("CARGO_BIN_EXE_mainstay")]).arg(&file);
    let mut guest = Guest::start(&mut command, directory.path(), "narrow");
    let is_ready = || http::get(admin, "/readyz").is_ok_and(|answer| answer.status == 200).then_some(());
    assert!(wait_for(30, is_ready).is_some(), "{}", guest.said());
    let limits = fs::read_to_string(format!("/proc/{}/limits", guest.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("300"), "{files}");
    // Strangers who say nothing take their part of it, and leave the others theirs.
    let strangers: Vec<_> = (0..200).filter_map(|_| std::net::TcpStream::connect(callers).ok()).collect();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let open = fs::read_dir(format!("/proc/{}/fd", guest.id())).unwrap().count();
    assert!(open < 200, "{open} of 300, and {} strangers wait", strangers.len());
    assert!(is_ready().is_some(), "operators come in");
    drop(strangers);
    guest.terminate();
}
