//! More callers than there are places: who is idle gives way to who asks, and who is served does not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::process::{Gateway, wait_for};

const ROUTING: &str = "version: 1
server: {listen: 'LISTEN', admin: 'ADMIN', limits: {max_connections: 4}, timeouts: {header_read: 60s}, drain: {pre_stop_delay: 0s, close_spread: 0s}}
upstreams: {sim: {provider: simulated, simulated: {ttft: 5ms, pace: 100ms, words: 60}}}
routes: [{model: demo, channels: [{upstream: sim}]}]
";

/// Long enough for whoever is idle to be told so, and far less than any other deadline of the connection.
const SOON: Duration = Duration::from_secs(15);

/// Whoever was idle for less than a second is left alone; and somewhat less than it takes to serve a stream.
const LEAST: Duration = Duration::from_millis(900);
const SERVED: Duration = Duration::from_secs(5);

/// A caller who keeps his connection.
struct Caller(TcpStream);

impl Caller {
    fn come(to: SocketAddr) -> Self {
        let socket = TcpStream::connect(to).expect("the backlog has room");
        socket.set_read_timeout(Some(SOON)).expect("an option of a socket");
        Self(socket)
    }

    fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).expect("it is open");
    }

    /// Asks for the list of models, whole; whether it came.
    fn asks(&mut self) -> bool {
        self.say("GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let mut said = String::new();
        let is_whole = |said: &str| {
            let length =
                said.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            said.split_once("\r\n\r\n").is_some_and(|(_, body)| Some(body.len()) == length)
        };
        while !is_whole(&said) {
            let mut bytes = [0; 4096];
            match self.0.read(&mut bytes) {
                Ok(read @ 1..) => said.push_str(std::str::from_utf8(&bytes[..read]).expect("text")),
                Ok(0) | Err(_) => return false,
            }
        }
        said.starts_with("HTTP/1.1 200 ")
    }

    /// Begins a stream of six seconds.
    fn streams(&mut self) {
        let body = r#"{"model":"demo","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
        let head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json";
        self.say(&format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        let mut first = [0; 12];
        self.0.read_exact(&mut first).expect("it begins");
        assert_eq!(&first, b"HTTP/1.1 200");
    }

    /// All that still comes.
    fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).expect("it ends well");
        rest
    }

    /// Whether it was ended by the other side, and in order.
    fn is_ended(&mut self) -> bool {
        self.0.read(&mut [0]).is_ok_and(|read| read == 0)
    }

    fn is_open(&self) -> bool {
        self.0.set_nonblocking(true).expect("an option of a socket");
        let nothing =
            self.0.peek(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        self.0.set_nonblocking(false).expect("an option of a socket");
        nothing
    }
}

fn metric(gateway: &Gateway, name: &str) -> Option<f64> {
    let metrics = gateway.metrics();
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn the_one_who_was_idle_for_the_longest_gives_way_to_a_newcomer_and_nobody_who_is_served() {
    assert!((0..10).any(|_| gives_way()), "the machine stands still again and again");
}

/// Whether it was quick enough to be seen: on a machine that stands still somebody else has been idle for long as well,
/// or who is served has got all of it.
#[expect(clippy::disallowed_methods, reason = "another process runs by the clock on the wall")]
fn gives_way() -> bool {
    let mut gateway = Gateway::start(ROUTING);
    let come = || Caller::come(gateway.callers);
    let begun = Instant::now();
    let mut served = [come(), come()];
    served.iter_mut().for_each(Caller::streams);
    let (mut first, mut second) = (come(), come());
    assert!(first.asks());
    sleep(Duration::from_millis(900));
    let asked = Instant::now();
    assert!(second.asks());
    assert!(come().asks(), "a newcomer is let in before any deadline");
    let has_left = || (metric(&gateway, "mainstay_connections") == Some(3.0)).then_some(());
    if wait_for(3, has_left).is_none() || asked.elapsed() > LEAST || begun.elapsed() > SERVED {
        return false;
    }
    assert!(first.is_ended(), "it was idle for the longest");
    assert!(second.is_open() && second.asks(), "its place was not needed");
    for caller in served {
        let rest = caller.rest();
        assert!(rest.contains("data: [DONE]"), "{rest}");
    }
    assert_eq!(metric(&gateway, "mainstay_connections_evicted_total"), Some(1.0));
    drop(second);
    assert!(wait_for(30, || (metric(&gateway, "mainstay_connections") == Some(0.0)).then_some(())).is_some());
    gateway.terminate();
    true
}

#[test]
fn strangers_who_say_nothing_keep_nobody_out() {
    let mut gateway = Gateway::start(ROUTING);
    let strangers = [(); 4].map(|()| Caller::come(gateway.callers));
    assert!(Caller::come(gateway.callers).asks(), "they are told to leave");
    drop(strangers);
    gateway.terminate();
}
