//! Below a service manager: what systemd is told, and sockets that it holds while one gateway goes and another comes.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::http;
use crate::process::{Guest, Place};

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN, drain: {pre_stop_delay: 0s, close_spread: 0s}}
upstreams: {sim: {provider: simulated}}
routes: [{model: demo, channels: [{upstream: sim}]}]
";
const ASK: &str = r#"{"model":"demo","messages":[{"role":"user","content":"hi"}]}"#;
const SERVED: &str = r#"mainstay_requests_total{route="demo",dialect="openai",outcome="ok"} "#;
/// systemd(1) hands the first socket over as file 3.
const GIVEN: &str = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve --config \"$1\"";

/// A socket that outlives whoever serves it.
struct Held {
    socket: TcpListener,
    directory: TempDir,
}

impl Held {
    fn new() -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self { socket, directory: TempDir::with_prefix("mainstay-managed-").unwrap() }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// A gateway that is given the socket and has an admin side of its own.
    fn served_by(&self, name: &str) -> (Guest, Place) {
        let place = Place::reserve();
        let file = self.directory.path().join(format!("{name}.yaml"));
        let text = ROUTING.replace("LISTEN", &self.address().to_string());
        fs::write(&file, text.replace("ADMIN", &place.address.to_string())).unwrap();
        let mut command = Command::new("sh");
        command.args([OsStr::new("-c"), OsStr::new(GIVEN), OsStr::new(env!("CARGO_BIN_EXE_mainstay"))]);
        command.arg(file);
        let given = OwnedFd::from(self.socket.try_clone().unwrap());
        let mut guest = Guest::start_with(given, &mut command, self.directory.path(), name);
        guest.is_ready(place.address);
        (guest, place)
    }
}

fn ask(address: SocketAddr) -> Result<u16, String> {
    http::post(address, "/v1/chat/completions", ASK)
        .map(|answer| answer.status)
        .map_err(|error| error.to_string())
}

#[test]
fn callers_wait_in_a_held_socket_until_somebody_serves_again() {
    let held = Held::new();
    let (mut first, _place) = held.served_by("first");
    let address = held.address();
    assert_eq!(ask(address), Ok(200), "{}", first.said());
    first.terminate();
    let waiting = thread::spawn(move || ask(address));
    thread::sleep(Duration::from_millis(300));
    assert!(!waiting.is_finished(), "nobody is refused, and nobody answers");
    let (mut second, _place) = held.served_by("second");
    assert_eq!(waiting.join().unwrap(), Ok(200), "{}", second.said());
    second.terminate();
}

#[test]
fn one_gateway_takes_over_from_another_and_no_caller_notices() {
    let held = Held::new();
    let (mut old, _place) = held.served_by("old");
    let (address, over) = (held.address(), AtomicBool::new(false));
    let answers = thread::scope(|scope| {
        let callers = [0; 4].map(|_| {
            scope.spawn(|| {
                let mut answers = Vec::new();
                while !over.load(SeqCst) {
                    answers.push(ask(address));
                }
                answers
            })
        });
        let (mut new, place) = held.served_by("new");
        old.terminate();
        thread::sleep(Duration::from_millis(300));
        over.store(true, SeqCst);
        let answers = callers.map(|caller| caller.join().unwrap()).concat();
        let page = http::get(place.address, "/metrics").unwrap().body;
        let served = page.lines().find_map(|line| line.strip_prefix(SERVED)).map(str::parse::<usize>);
        assert!(matches!(served, Some(Ok(count)) if count > 0 && count < answers.len()), "{served:?}");
        new.terminate();
        answers
    });
    assert!(answers.len() > 20, "{}", answers.len());
    assert!(answers.iter().all(|answer| *answer == Ok(200)), "{answers:?}");
}

#[test]
fn a_socket_that_no_setting_means_is_left_alone_and_named() {
    let held = Held::new();
    let elsewhere = Place::reserve();
    let admin = Place::reserve();
    let file = held.directory.path().join("routing.yaml");
    let text = ROUTING.replace("LISTEN", &elsewhere.address.to_string());
    fs::write(&file, text.replace("ADMIN", &admin.address.to_string())).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", GIVEN, env!("CARGO_BIN_EXE_mainstay")]).arg(file);
    let given = OwnedFd::from(held.socket.try_clone().unwrap());
    let mut guest = Guest::start_with(given, &mut command, held.directory.path(), "elsewhere");
    guest.is_ready(admin.address);
    assert_eq!(ask(elsewhere.address), Ok(200));
    let named = guest.log();
    assert!(
        named.contains(&held.address().to_string()) && named.contains("neither server.listen"),
        "{named}"
    );
    guest.terminate();
}

#[test]
fn a_manager_is_told_when_callers_are_served_and_until_when_to_wait() {
    let directory = TempDir::with_prefix("mainstay-managed-").unwrap();
    let socket = directory.path().join("notify");
    let told = UnixDatagram::bind(&socket).unwrap();
    told.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let next = || {
        let mut message = [0; 1024];
        let length = told.recv(&mut message).expect("it is told something");
        String::from_utf8_lossy(&message[..length]).into_owned()
    };
    // What comes beside the watchdog's.
    let next_news = || loop {
        let news = next();
        if news != "WATCHDOG=1\n" {
            return news;
        }
    };

    let [callers, admin] = [Place::reserve(), Place::reserve()];
    let file = directory.path().join("routing.yaml");
    let text = ROUTING.replace("LISTEN", &callers.address.to_string());
    fs::write(&file, text.replace("ADMIN", &admin.address.to_string())).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args([OsStr::new("serve"), OsStr::new("--config"), file.as_os_str()]);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "200000");
    let mut guest = Guest::start(&mut command, directory.path(), "told");

    let ready = next_news();
    assert_eq!(ask(callers.address), Ok(200), "whoever hears it is served");
    assert!(
        ready.starts_with("READY=1\nSTATUS=serves ") && ready.contains(&callers.address.to_string()),
        "{ready}"
    );
    for _ in 0..3 {
        assert_eq!(next(), "WATCHDOG=1\n");
    }
    guest.signal("HUP");
    let reloading = next_news();
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(next_news(), "READY=1\n");
    guest.terminate();
    let leaving = next_news();
    assert!(leaving.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=620000000\nSTATUS=draining"), "{leaving}");
}
