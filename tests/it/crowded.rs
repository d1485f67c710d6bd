//! More callers than there are places: who is idle gives way to who asks, and who is served does not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::Duration;

use super::process::{Gateway, wait_for};

const ROUTING: &str = "version: 1
server: {listen: 'LISTEN', admin: 'ADMIN', limits: {max_connections: 4}, drain: {pre_stop_delay: 0s, close_spread: 0s}}
upstreams: {sim: {provider: simulated, simulated: {ttft: 5ms, pace: 100ms, words: 60}}}
routes: [{model: demo, channels: [{upstream: sim}]}]
";

/// Long enough for whoever is idle to be told so, and far less than any other deadline of the connection.
const SOON: Duration = Duration::from_secs(4);

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
    let mut gateway = Gateway::start(ROUTING);
    let come = || Caller::come(gateway.callers);
    let mut served = [come(), come()];
    served.iter_mut().for_each(Caller::streams);
    let (mut first, mut second) = (come(), come());
    assert!(first.asks());
    sleep(Duration::from_millis(900));
    assert!(second.asks());
    assert!(come().asks(), "a newcomer is let in before any deadline");
    assert!(first.is_ended(), "it was idle for the longest");
    assert!(second.is_open() && second.asks(), "its place was not needed");
    for caller in served {
        let rest = caller.rest();
        assert!(rest.contains("data: [DONE]"), "{rest}");
    }
    assert_eq!(metric(&gateway, "mainstay_connections_evicted_total"), Some(1.0));
    drop(second);
    assert!(wait_for(5, || (metric(&gateway, "mainstay_connections") == Some(0.0)).then_some(())).is_some());
    gateway.terminate();
}

#[test]
fn strangers_who_say_nothing_keep_nobody_out() {
    let mut gateway = Gateway::start(ROUTING);
    let strangers = [(); 4].map(|()| Caller::come(gateway.callers));
    assert!(Caller::come(gateway.callers).asks(), "they are told to leave");
    drop(strangers);
    gateway.terminate();
}
