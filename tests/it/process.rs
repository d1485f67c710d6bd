//! Other programs as guests of a test: started in places of their own, awaited, ended by their id.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;

use super::http;

/// What every gateway finds in its environment as `MAINSTAY_IT_SECRET`.
pub const SECRET: &str = "the-secret-of-all-the-gateways-of-tests";
/// How often a condition is looked at again.
const PAUSE: Duration = Duration::from_millis(100);

/// A child process that does not outlive its test, and what it said.
pub struct Guest {
    child: Child,
    log: PathBuf,
}

impl Guest {
    /// Starts `command` with both its outputs in a file of `directory`.
    pub fn start(command: &mut Command, directory: &Path, name: &str) -> Self {
        Self::start_with(Stdio::null(), command, directory, name)
    }

    /// As [`Guest::start`], with this as its standard input.
    pub fn start_with(input: impl Into<Stdio>, command: &mut Command, directory: &Path, name: &str) -> Self {
        let log = directory.join(format!("{name}.log"));
        let file = File::create(&log).expect("the temporary directory can be written");
        let copy = file.try_clone().expect("a file handle can be cloned");
        let child = command.stdin(input).stdout(file).stderr(copy).spawn();
        Self { child: child.unwrap_or_else(|error| panic!("{name} does not start: {error}")), log }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// All that it said.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of what it said: enough to see why it failed, and too little to judge what is in it and what is not.
    pub fn said(&self) -> String {
        let text = self.log();
        let start = text.char_indices().rev().nth(4_000).map_or(0, |(index, _)| index);
        text[start..].to_owned()
    }
}

impl Guest {
    /// Until the gateway that it is says so at its admin side.
    pub fn is_ready(&mut self, admin: SocketAddr) {
        let ready = wait_for(60, || {
            assert!(self.ended().is_none(), "the gateway ended:\n{}", self.said());
            http::get(admin, "/readyz").ok().filter(|answer| answer.status == 200)
        });
        assert!(ready.is_some(), "the gateway is not ready after a minute:\n{}", self.said());
    }

    /// Sends it a signal, `TERM` or another.
    pub fn signal(&self, signal: &str) {
        let told = Command::new("kill").args([&format!("-{signal}"), &self.id().to_string()]).status();
        assert!(told.expect("kill starts").success());
    }

    /// Asks it to end, and sees that it does, and well.
    pub fn terminate(&mut self) {
        self.signal("TERM");
        let ended = wait_for(60, || self.ended());
        assert!(ended.is_some_and(|status| status.success()), "{ended:?}\n{}", self.said());
    }

    /// Ends it, if it has not ended.
    fn kill(&mut self) {
        // Both fail only for a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The real binary, serving a file of its own.
pub struct Gateway {
    pub callers: SocketAddr,
    pub admin: SocketAddr,
    /// The file that it serves; may be rewritten.
    pub file: PathBuf,
    filter: String,
    guest: Guest,
    directory: TempDir,
    _places: [Place; 2],
}

impl Gateway {
    /// Serves `routing`, in which `LISTEN` and `ADMIN` stand for the addresses.
    pub fn start(routing: &str) -> Self {
        Self::start_logging(routing, "info")
    }

    /// As [`Gateway::start`], with this filter of its log.
    pub fn start_logging(routing: &str, filter: &str) -> Self {
        Self::start_beside(routing, filter, &[])
    }

    /// The same with these files beside `routing`.
    pub fn start_beside(routing: &str, filter: &str, files: &[(&str, &str)]) -> Self {
        let directory = TempDir::with_prefix("mainstay-it-").expect("there is a temporary directory");
        let places = [Place::reserve(), Place::reserve()];
        let [callers, admin] = [places[0].address, places[1].address];
        let text = routing.replace("LISTEN", &callers.to_string()).replace("ADMIN", &admin.to_string());
        let file = directory.path().join("routing.yaml");
        std::fs::write(&file, text).expect("the temporary directory can be written");
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text)
                .expect("the temporary directory can be written");
        }
        let guest = Guest::start(&mut Self::command(&file, filter), directory.path(), "mainstay");
        let filter = filter.to_owned();
        let mut gateway = Self { callers, admin, file, filter, guest, directory, _places: places };
        gateway.guest.is_ready(admin);
        gateway
    }

    /// Ends it without a word, if it has not ended, and starts it again: at the same addresses, with the same file.
    pub fn again(&mut self) {
        self.guest.kill();
        self.guest =
            Guest::start(&mut Self::command(&self.file, &self.filter), self.directory.path(), "mainstay");
        self.guest.is_ready(self.admin);
    }

    /// As whoever runs it asks it to end.
    pub fn terminate(&mut self) {
        self.guest.terminate();
    }

    fn command(file: &Path, filter: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
        command.args([OsStr::new("serve"), OsStr::new("--config"), file.as_os_str()]);
        command.env("MAINSTAY_LOG", filter);
        command.env("MAINSTAY_IT_SECRET", SECRET);
        command
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn said(&self) -> String {
        self.guest.said()
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.guest.id()
    }

    /// Its whole log.
    pub fn log(&self) -> String {
        self.guest.log()
    }

    pub fn metrics(&self) -> String {
        http::get(self.admin, "/metrics").expect("the admin side answers").body
    }
}

/// A loopback address at which whoever is told of it may listen, again and again, while this lives. Its port is held by
/// a socket that does not listen: in between callers are refused there, and nobody else is given it.
pub struct Place {
    pub address: SocketAddr,
    /// Only Linux lets a listener share a port with it.
    _held: Option<Socket>,
}

impl Place {
    pub fn reserve() -> Self {
        let held = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        held.set_reuse_address(true).expect("an option of a socket");
        let any = SockAddr::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        held.bind(&any).expect("loopback has a free port");
        let address = held.local_addr().ok().and_then(|address| address.as_socket());
        let address = address.expect("a bound socket has an address");
        Self { address, _held: cfg!(target_os = "linux").then_some(held) }
    }
}

/// Looks every tenth of a second until `look` finds something; `None` after `seconds`.
pub fn wait_for<T>(seconds: u32, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..seconds * 10 {
        if let Some(found) = look() {
            return Some(found);
        }
        sleep(PAUSE);
    }
    None
}

/// Where a program is: on the `PATH`, or in the place where Debian puts it.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/bin"), PathBuf::from("/usr/sbin")])
        .map(|directory| directory.join(name))
        .find(|file| file.is_file())
}

/// A test cannot run here. On a person's machine that is said and passed over; in CI it is a failure.
pub fn skip(what: &str, why: &str) {
    let ci = std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false");
    assert!(!ci, "{what} must run in CI: {why}");
    eprintln!("SKIPPED {what}: {why}");
}
