//! A real Redis of one's own, and a way to look into it that shares nothing with the gateway's.
//!
//! Needs Debian's packages `redis-server` and `redis-tools`; `scripts/check` unpacks them.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Guest, Place, program, skip, wait_for};

pub struct Redis {
    pub address: SocketAddr,
    _place: Place,
    binary: PathBuf,
    options: Vec<String>,
    directory: TempDir,
    guest: Option<Guest>,
}

/// What it answers.
#[derive(Debug, PartialEq)]
pub enum Reply {
    Text(Vec<u8>),
    Number(i64),
    List(Vec<Reply>),
    Nothing,
    Error(String),
}

impl Redis {
    /// `None`, and a word about it, where there is no Redis on this machine.
    pub fn start(what: &str) -> Option<Self> {
        Self::with(what, &[])
    }

    /// As [`Redis::start`], with further options of its command line.
    pub fn with(what: &str, options: &[&str]) -> Option<Self> {
        let Some(binary) = program("redis-server") else {
            skip(what, "redis-server is not installed (packages redis-server, redis-tools)");
            return None;
        };
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let directory = TempDir::with_prefix("mainstay-redis-").unwrap();
        let place = Place::reserve();
        let address = place.address;
        let mut redis = Self { address, _place: place, binary, options, directory, guest: None };
        redis.run();
        Some(redis)
    }

    /// Starts it, again after [`Redis::kill`]: at the same address, and empty.
    pub fn run(&mut self) {
        let directory = self.directory.path();
        let mut command = Command::new(&self.binary);
        command.env("LD_LIBRARY_PATH", libraries(&self.binary));
        command.args(["--port", &self.address.port().to_string(), "--bind", "127.0.0.1"]);
        command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(directory).args(&self.options);
        let mut guest = Guest::start(&mut command, directory, "redis");
        let ready = wait_for(30, || {
            assert!(guest.ended().is_none(), "redis ended: {}", guest.said());
            TcpStream::connect(self.address).ok()
        });
        assert!(ready.is_some(), "redis is not ready: {}", guest.said());
        self.guest = Some(guest);
    }

    pub fn kill(&mut self) {
        self.guest = None;
    }

    pub fn ask(&self, words: &[&[u8]]) -> Reply {
        asked(self.address, words).unwrap()
    }

    pub fn say(&self, words: &str) -> Reply {
        self.ask(&words.split(' ').map(str::as_bytes).collect::<Vec<_>>())
    }

    /// A count in a hash; 0 where there is none.
    pub fn number(&self, key: &str, field: &str) -> u64 {
        match self.say(&format!("HGET {key} {field}")) {
            Reply::Text(text) => String::from_utf8_lossy(&text).parse().unwrap_or_default(),
            Reply::Number(_) | Reply::List(_) | Reply::Nothing | Reply::Error(_) => 0,
        }
    }

    /// Every key, with all that is in it.
    pub fn everything(&self) -> String {
        let Reply::List(keys) = self.say("KEYS *") else { panic!("no list of keys") };
        let mut all = String::new();
        for key in keys {
            let Reply::Text(key) = key else { panic!("no key: {key:?}") };
            let dump = self.ask(&[b"DUMP", &key]);
            let members = self.ask(&[b"ZRANGE", &key, b"0", b"-1", b"WITHSCORES"]);
            for part in [&Reply::Text(key), &members, &dump] {
                part.write(&mut all);
            }
        }
        all
    }
}

impl Reply {
    fn write(&self, out: &mut String) {
        match self {
            Self::Text(bytes) => out.push_str(&String::from_utf8_lossy(bytes)),
            Self::List(parts) => parts.iter().for_each(|part| part.write(out)),
            Self::Number(_) | Self::Nothing | Self::Error(_) => {}
        }
        out.push('\n');
    }

    fn read(from: &mut impl BufRead) -> io::Result<Self> {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let (kind, rest) = line.trim_end().split_at_checked(1).ok_or(io::ErrorKind::UnexpectedEof)?;
        let number = || rest.parse::<i64>().map_err(|_| io::ErrorKind::InvalidData);
        Ok(match kind {
            "+" => Self::Text(rest.as_bytes().to_vec()),
            "-" => Self::Error(rest.to_owned()),
            ":" => Self::Number(number()?),
            "$" => match usize::try_from(number()?) {
                Ok(length) => {
                    let mut text = vec![0; length + 2];
                    from.read_exact(&mut text)?;
                    text.truncate(length);
                    Self::Text(text)
                }
                Err(_) => Self::Nothing,
            },
            "*" => Self::List((0..number()?).map(|_| Self::read(from)).collect::<io::Result<_>>()?),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        })
    }
}

fn asked(address: SocketAddr, words: &[&[u8]]) -> io::Result<Reply> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    socket.write_all(&request)?;
    Reply::read(&mut BufReader::new(socket))
}

/// Where the libraries of an unpacked package are; the system's own are found without.
fn libraries(binary: &Path) -> OsString {
    let lib = binary.parent().and_then(Path::parent).map(|usr| usr.join("lib")).unwrap_or_default();
    let below = std::fs::read_dir(lib).into_iter().flatten().flatten().map(|entry| entry.path());
    let found = below.filter(|path| path.to_string_lossy().ends_with("-linux-gnu"));
    std::env::join_paths(found).unwrap_or_default()
}
