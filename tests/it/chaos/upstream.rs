//! An upstream in a process of its own, which can be killed and stopped as one.
//!
//! The process is this very test binary, told by its environment to play an upstream instead: the
//! product contains no such thing. It takes rules on its standard input, one list in JSON a line, answers `counts` with
//! the same in JSON, and ends with its input, so that it never outlives its test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use mainstay::simulated::{Rule, Settings, Simulated};

use crate::process::Place;

/// `NAME ADDRESS WORDS PACE_MS`: what the process plays.
const ROLE: &str = "MAINSTAY_TEST_UPSTREAM";
/// The test below, by which the binary becomes an upstream.
const PLAYER: &str = "chaos::upstream::an_upstream_that_is_killed_comes_back_in_its_place";
/// Before every line that is for the test: the rest is the test harness's own.
const MARK: &str = "@";

/// A place at which an upstream runs, dies, and runs again.
pub struct Upstream {
    pub name: &'static str,
    pub address: SocketAddr,
    _place: Place,
    words: u32,
    pace: Duration,
    /// How many processes there were: part of each word that they say.
    lives: u32,
    life: Option<Life>,
}

struct Life {
    child: Child,
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
}

impl Upstream {
    pub fn start(name: &'static str, words: u32, pace: Duration) -> Self {
        let place = Place::reserve();
        let address = place.address;
        let mut upstream = Self { name, address, _place: place, words, pace, lives: 0, life: None };
        upstream.revive();
        upstream
    }

    /// A new process where there is none; returns when it listens.
    pub fn revive(&mut self) {
        if self.life.is_some() {
            return;
        }
        self.lives += 1;
        let role =
            format!("{}-{} {} {} {}", self.name, self.lives, self.address, self.words, self.pace.as_millis());
        let program = std::env::current_exe().expect("a test has a file");
        let mut child = Command::new(program)
            .args(["--exact", PLAYER, "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the test's own program starts");
        let orders = child.stdin.take().expect("it was asked for");
        let said = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut life = Life { child, orders, said };
        assert_eq!(life.hear().as_deref(), Some("listens"), "{} does not come to life", self.name);
        self.life = Some(life);
    }

    pub fn kill(&mut self) {
        // Dropping it kills it, and waits for its end.
        self.life = None;
    }

    pub fn stop(&self) {
        self.signal("-STOP");
    }

    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        if let Some(life) = &self.life {
            let told = Command::new("kill").args([signal, &life.child.id().to_string()]).status();
            assert!(told.is_ok_and(|status| status.success()), "{} is there", self.name);
        }
    }

    /// Puts these rules in force soon, instead of all others.
    pub fn set(&mut self, rules: &[Rule]) {
        let line = serde_json::to_string(rules).expect("rules are JSON");
        if let Some(life) = &mut self.life {
            life.tell(&line);
        }
    }

    /// Requests that it works on.
    pub fn in_flight(&mut self) -> u64 {
        let life = self.life.as_mut().expect("it lives");
        life.tell("counts");
        let counts = life.hear().expect("it answers");
        let counts: serde_json::Value = serde_json::from_str(&counts).expect("in JSON");
        counts["in_flight"].as_u64().expect("a number")
    }

    pub const fn lives(&self) -> u32 {
        self.lives
    }
}

impl Life {
    fn tell(&mut self, line: &str) {
        writeln!(self.orders, "{line}").and_then(|()| self.orders.flush()).expect("it listens to its test");
    }

    /// The next line that is for us; `None` at its end.
    fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.said.read_line(&mut line).is_ok_and(|read| read == 0) {
                return None;
            }
            // The harness may have left a line of its own open.
            if let Some((_, told)) = line.trim_end().split_once(MARK) {
                return Some(told.to_owned());
            }
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Plays an upstream until its test is gone.
fn play(role: &str) -> ! {
    let mut role = role.split(' ');
    let mut next = || role.next().expect("NAME ADDRESS WORDS PACE_MS");
    let (name, address) = (next(), next().parse().expect("an address"));
    let words = next().parse().expect("a number");
    let pace = Duration::from_millis(next().parse().expect("a number"));
    let settings = Settings { words, pace, ..Settings::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let _inside = runtime.enter();
    let simulated = Simulated::start_at(name, settings, address).expect("the place is free");
    println!("{MARK}listens");
    for line in std::io::stdin().lines().map_while(Result::ok) {
        if line == "counts" {
            let counts = serde_json::to_string(&simulated.control().counts()).expect("counts are JSON");
            println!("{MARK}{counts}");
        } else {
            simulated.control().set(serde_json::from_str(&line).expect("a list of rules"));
        }
    }
    std::process::exit(0)
}

#[test]
fn an_upstream_that_is_killed_comes_back_in_its_place() {
    if let Ok(role) = std::env::var(ROLE) {
        play(&role);
    }
    let ask = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
    let said = |upstream: &Upstream| {
        let answer = crate::http::post(upstream.address, "/v1/chat/completions", ask);
        answer.map(|answer| answer.json()["choices"][0]["message"]["content"].to_string())
    };
    let mut upstream = Upstream::start("u", 3, Duration::ZERO);
    for life in 1..=3 {
        assert!(said(&upstream).is_ok_and(|text| text.starts_with(&format!("\"u-{life}.1.1 "))));
        assert_eq!((upstream.in_flight(), upstream.lives()), (0, life));
        upstream.kill();
        let refused = said(&upstream).expect_err("nobody is there");
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        upstream.revive();
    }
}
