//! A gateway whose upstream is reached by a forward proxy alone.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use crate::http;
use crate::process::{Gateway, wait_for};

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN}
defaults: {proxy: 'http://ada:secret-lace@PROXY', probe: {kind: off}}
upstreams:
  far: {provider: custom, dialect: openai, base_url: 'http://far.invalid/v1', credentials: [k]}
  sim: {provider: simulated, simulated: {ttft: 1ms, pace: 0ms}}
routes: [{model: m, channels: [{upstream: far}, {upstream: sim, tier: 1}]}]
";

/// `ada:secret-lace`.
const ACCOUNT: &str = "YWRhOnNlY3JldC1sYWNl";

const COMPLETION: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
    "message":{"role":"assistant","content":"well"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

/// A proxy behind which everybody is the same vendor.
struct Proxy {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    refuses: Arc<AtomicBool>,
}

impl Proxy {
    fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Self { address, asked: Arc::default(), refuses: Arc::default() };
        let (asked, refuses) = (Arc::clone(&proxy.asked), Arc::clone(&proxy.refuses));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (asked, refuses) = (Arc::clone(&asked), Arc::clone(&refuses));
                std::thread::spawn(move || serve(stream, &asked, &refuses));
            }
        });
        proxy
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn serve(mut stream: TcpStream, asked: &Mutex<Vec<String>>, refuses: &AtomicBool) {
    let Some(connect) = request(&mut stream) else { return };
    asked.lock().unwrap().push(connect);
    if refuses.load(SeqCst) {
        let _ = stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
        return;
    }
    let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
    // One answer for a connection, so that each request needs another one.
    if request(&mut stream).is_some() {
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
        let _ = write!(stream, "{head}content-length: {}\r\n\r\n{COMPLETION}", COMPLETION.len());
    }
}

/// The head of a request, whose body is read.
fn request(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(head)
}

fn ask(gateway: &Gateway) -> String {
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let answer = http::post(gateway.callers, "/v1/chat/completions", body).unwrap();
    assert_eq!(answer.status, 200, "{}\n{}", answer.body, gateway.said());
    answer.header("x-mainstay-channel").unwrap_or_default().to_owned()
}

#[test]
fn requests_go_by_the_proxy_and_elsewhere_while_that_does_not_lead_on() {
    let proxy = Proxy::open();
    let routing = ROUTING.replace("PROXY", &proxy.address.to_string());
    let gateway = Gateway::start(&routing);
    assert_eq!(ask(&gateway), "far/m");
    let asked = format!(
        "CONNECT far.invalid:80 HTTP/1.1\r\nhost: far.invalid:80\r\nproxy-authorization: Basic {ACCOUNT}\r\n\r\n"
    );
    assert_eq!(proxy.asked(), [asked]);
    proxy.refuses.store(true, SeqCst);
    assert_eq!(ask(&gateway), "sim/m", "nobody is told of the proxy's mood");
    assert_eq!(proxy.asked().len(), 1);
    // Requests are in the journal a moment after their answers.
    let journal = || http::get(gateway.admin, "/admin/requests").unwrap().body;
    let says = "the user and the password (407 Proxy Authentication Required)";
    let said = wait_for(30, || Some(journal()).filter(|journal| journal.contains(says)));
    let said = said.unwrap_or_else(|| panic!("{}", journal()));
    // With another proxy, or none, it is another way: nothing of the old one is used any more.
    proxy.refuses.store(false, SeqCst);
    std::fs::write(&gateway.file, reloaded(&gateway, &routing)).unwrap();
    let direct = wait_for(30, || (ask(&gateway) == "sim/m").then_some(()));
    assert!(direct.is_some(), "it goes by the proxy still:\n{}", gateway.said());
    proxy.asked();
    assert_eq!((ask(&gateway).as_str(), proxy.asked().len()), ("sim/m", 0), "far.invalid is nowhere");
    for text in [gateway.said(), gateway.log(), gateway.metrics(), said] {
        assert!(!text.contains("secret-lace") && !text.contains(ACCOUNT), "{text}");
    }
}

/// The same file, with `far` reached directly.
fn reloaded(gateway: &Gateway, routing: &str) -> String {
    let routing = routing.replace("credentials: [k]}", "credentials: [k], proxy: none}");
    let routing = routing.replace("LISTEN", &gateway.callers.to_string());
    routing.replace("ADMIN", &gateway.admin.to_string())
}
