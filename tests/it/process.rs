//! Other programs as guests of a test: started on ports of their own, awaited, ended by their id.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

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
        let log = directory.join(format!("{name}.log"));
        let file = File::create(&log).expect("the temporary directory can be written");
        let copy = file.try_clone().expect("a file handle can be cloned");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(copy).spawn();
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
    /// Asks it to end, and sees that it does, and well.
    pub fn terminate(&mut self) {
        let told = Command::new("kill").args(["-TERM", &self.id().to_string()]).status();
        assert!(told.expect("kill starts").success());
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
        // A port is free when it is looked for and may be taken when it is used; then another is tried.
        for _ in 0..5 {
            if let Some(gateway) = Self::try_start(routing, filter, files) {
                return gateway;
            }
        }
        panic!("the gateway found no free ports")
    }

    fn try_start(routing: &str, filter: &str, files: &[(&str, &str)]) -> Option<Self> {
        let directory = TempDir::with_prefix("mainstay-it-").expect("there is a temporary directory");
        let (callers, admin) = (free_address(), free_address());
        let text = routing.replace("LISTEN", &callers.to_string()).replace("ADMIN", &admin.to_string());
        let file = directory.path().join("routing.yaml");
        std::fs::write(&file, text).expect("the temporary directory can be written");
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text)
                .expect("the temporary directory can be written");
        }
        let guest = Guest::start(&mut Self::command(&file, filter), directory.path(), "mainstay");
        let mut gateway = Self { callers, admin, file, filter: filter.to_owned(), guest, directory };
        gateway.is_ready().then_some(gateway)
    }

    /// Until it is; not at all where its port is taken.
    fn is_ready(&mut self) -> bool {
        for _ in 0..300 {
            if http::get(self.admin, "/readyz").is_ok_and(|answer| answer.status == 200) {
                return true;
            }
            if self.guest.ended().is_some() {
                let said = self.guest.said();
                assert!(said.contains("in use"), "the gateway ended:\n{said}");
                return false;
            }
            sleep(PAUSE);
        }
        panic!("the gateway is not ready after half a minute:\n{}", self.guest.said())
    }

    /// Ends it without a word, if it has not ended, and starts it again: at the same addresses, with the same file.
    pub fn again(&mut self) {
        self.guest.kill();
        self.guest =
            Guest::start(&mut Self::command(&self.file, &self.filter), self.directory.path(), "mainstay");
        assert!(self.is_ready(), "its ports were taken meanwhile:\n{}", self.guest.said());
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

/// A loopback address that nobody listens on at this moment.
pub fn free_address() -> SocketAddr {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    socket.local_addr().expect("a bound socket has an address")
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
