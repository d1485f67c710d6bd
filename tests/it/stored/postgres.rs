//! A real PostgreSQL of one's own, with its own port and data.
//!
//! Needs Debian's package `postgresql`; `scripts/check` unpacks it. Its server refuses to run as root, so that it
//! runs as `nobody` where the tests do.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::process::{Guest, Place, program, skip, wait_for};

/// Debian's `nobody` and `nogroup`.
const NOBODY: u32 = 65_534;

pub struct Postgres {
    pub address: SocketAddr,
    _place: Place,
    binaries: PathBuf,
    directory: TempDir,
    guest: Option<Guest>,
    safety: Safety,
}

/// What it asks of those who come.
pub enum Safety {
    None,
    /// TLS, with this certificate and its key as PEM texts, and this password.
    Secured {
        certificate: String,
        key: String,
        password: String,
    },
}

impl Postgres {
    /// `None`, and a word about it, where there is no PostgreSQL on this machine.
    pub fn start(what: &str) -> Option<Self> {
        Self::with(what, Safety::None)
    }

    pub fn with(what: &str, safety: Safety) -> Option<Self> {
        let Some(binaries) = binaries() else {
            skip(what, "PostgreSQL is not installed (package postgresql)");
            return None;
        };
        let directory = TempDir::with_prefix("mainstay-postgres-").unwrap();
        std::fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let place = Place::reserve();
        let address = place.address;
        let mut postgres = Self { address, _place: place, binaries, directory, guest: None, safety };
        let data = postgres.data();
        std::fs::create_dir(&data).unwrap();
        give(&data);
        let mut made = postgres.command("initdb");
        made.args(["--username=gate", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]).arg(&data);
        match &postgres.safety {
            Safety::None => {
                made.arg("--auth=trust");
            }
            Safety::Secured { password, .. } => {
                let file = postgres.own_file("password", password);
                made.args(["--auth=scram-sha-256", "--pwfile"]).arg(file);
            }
        }
        let made = made.output().unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        postgres.run();
        Some(postgres)
    }

    /// A file that nobody but the server can read.
    fn own_file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        give(&file);
        file
    }

    /// Starts it, again after [`Postgres::kill`]: at the same address, with its data.
    pub fn run(&mut self) {
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).args(["-p", &self.address.port().to_string()]);
        command.args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
            "-c",
            "fsync=off",
        ]);
        // Its compiler of queries may not be here.
        command.args(["-c", "shared_buffers=16MB", "-c", "max_connections=40", "-c", "jit=off"]);
        if let Safety::Secured { certificate, key, .. } = &self.safety {
            for (setting, text) in [("ssl_cert_file", certificate), ("ssl_key_file", key)] {
                let file = self.own_file(setting, text);
                command.args(["-c", &format!("{setting}={}", file.display())]);
            }
            command.args(["-c", "ssl=on"]);
        }
        let mut guest = Guest::start(&mut command, self.directory.path(), "postgres");
        let mut ready = self.command("pg_isready");
        ready.args(["-q", "-h", "127.0.0.1", "-p", &self.address.port().to_string()]);
        let ready = wait_for(60, || {
            assert!(guest.ended().is_none(), "postgres ended: {}", guest.said());
            (TcpStream::connect(self.address).is_ok() && ready.status().is_ok_and(|status| status.success()))
                .then_some(())
        });
        assert!(ready.is_some(), "postgres is not ready: {}", guest.said());
        self.guest = Some(guest);
    }

    /// At once, without a word to anybody. Its processes end by themselves when they notice.
    pub fn kill(&mut self) {
        self.guest = None;
        let gone = wait_for(30, || self.processes().is_empty().then_some(()));
        assert!(gone.is_some(), "processes of postgres stay");
    }

    /// Stops all of its processes where they are, or lets them go on: what a black hole looks like.
    pub fn signal(&self, signal: &str) {
        for process in self.processes() {
            let sent = Command::new("kill").args([signal, &process.to_string()]).status().unwrap();
            assert!(sent.success(), "kill {signal} {process}");
        }
    }

    /// Those that work in its folder.
    fn processes(&self) -> Vec<u32> {
        let data = self.data();
        let all = std::fs::read_dir("/proc").unwrap().flatten();
        let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        ids.filter(|id| std::fs::read_link(format!("/proc/{id}/cwd")).is_ok_and(|cwd| cwd == data)).collect()
    }

    pub fn url(&self) -> String {
        format!("postgres://gate@{}/postgres?sslmode=disable", self.address)
    }

    /// What a statement gives, line by line.
    pub fn sql(&self, sql: &str) -> String {
        let mut psql = self.command("psql");
        psql.args(["-qAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "gate", "-d", "postgres"]);
        let said = psql.args(["-p", &self.address.port().to_string(), "-c", sql]).output().unwrap();
        assert!(said.status.success(), "{sql}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).trim().to_owned()
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self, name: &str) -> Command {
        let binary = self.binaries.join(name);
        let mut command = if is_root() {
            let id = NOBODY.to_string();
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]).arg(binary);
            command
        } else {
            Command::new(binary)
        };
        if let Safety::Secured { password, .. } = &self.safety {
            command.env("PGPASSWORD", password);
        }
        command
            .current_dir(self.directory.path())
            .env("LC_ALL", "C")
            .env("LD_LIBRARY_PATH", libraries(&self.binaries));
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Those that are stopped would not notice that their parent has gone.
        for process in self.processes() {
            // One that is gone already is what is wanted.
            let _ = Command::new("kill").args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

/// Where the libraries of an unpacked package are; the system's own are found without.
fn libraries(binaries: &Path) -> OsString {
    let lib = binaries.ancestors().nth(3).unwrap_or(binaries);
    let below = std::fs::read_dir(lib).into_iter().flatten().flatten().map(|entry| entry.path());
    let found = below.filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    std::env::join_paths(found).unwrap_or_default()
}

/// To whoever the server runs as.
fn give(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// Debian keeps each version in a folder of its own; the newest wins.
fn binaries() -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/usr/lib/postgresql");
    let versions = [PathBuf::from("/usr/lib/postgresql"), unpacked].into_iter();
    let mut found: Vec<PathBuf> = versions
        .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten())
        .map(|entry| entry.path().join("bin"))
        .filter(|binaries| binaries.join("initdb").is_file())
        .collect();
    found.sort();
    found.pop().or_else(|| Some(program("initdb")?.parent()?.to_owned()))
}
