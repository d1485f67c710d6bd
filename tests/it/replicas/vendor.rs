//! One vendor for all replicas: says of each key what the test wants, and counts.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// How it takes a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// 429, and a Retry-After of so many seconds, or none.
    Throttled(Option<u32>),
    /// No money left.
    Quota,
    /// 401, of lists of models too.
    Refused,
    /// 529, whatever the key.
    Overloaded,
    /// 500, whatever the key.
    Broken,
}

#[derive(Default)]
struct Book {
    moods: HashMap<String, Mood>,
    /// Requests, lists of models not counted.
    asked: HashMap<String, u32>,
}

#[derive(Clone)]
pub struct Vendor {
    pub address: SocketAddr,
    book: Arc<Mutex<Book>>,
}

impl Vendor {
    pub fn open() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let vendor = Self { address: listener.local_addr().unwrap(), book: Arc::default() };
        let serving = vendor.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let vendor = serving.clone();
                std::thread::spawn(move || vendor.answer(stream));
            }
        });
        vendor
    }

    pub fn treat(&self, key: &str, mood: Mood) {
        self.book.lock().unwrap().moods.insert(key.to_owned(), mood);
    }

    /// Requests that came with this key.
    pub fn asked(&self, key: &str) -> u32 {
        self.book.lock().unwrap().asked.get(key).copied().unwrap_or_default()
    }

    fn answer(&self, mut stream: TcpStream) {
        let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
        let request = loop {
            let Ok(read @ 1..) = stream.read(&mut buffer) else { return };
            bytes.extend_from_slice(&buffer[..read]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = header(head, "content-length").map_or(0, |length| length.parse().unwrap());
            if body.len() >= length {
                break text;
            }
        };
        let key = header(&request, "authorization").unwrap_or_default().replace("Bearer ", "");
        let listing = request.starts_with("GET ");
        let mood = {
            let mut book = self.book.lock().unwrap();
            if !listing {
                *book.asked.entry(key.clone()).or_default() += 1;
            }
            book.moods.get(&key).copied().unwrap_or(Mood::Well)
        };
        let error = |code: &str| format!(r#"{{"error":{{"message":"no","type":"{code}","code":"{code}"}}}}"#);
        let (status, extra, body) = match mood {
            Mood::Refused => (401, String::new(), error("invalid_api_key")),
            _ if listing => (200, String::new(), r#"{"object":"list","data":[]}"#.to_owned()),
            Mood::Well => (200, String::new(), ANSWER.to_owned()),
            Mood::Throttled(wait) => {
                let wait = wait.map(|wait| format!("retry-after: {wait}\r\n")).unwrap_or_default();
                (429, wait, error("rate_limit_exceeded"))
            }
            Mood::Quota => (429, String::new(), error("insufficient_quota")),
            Mood::Overloaded => (529, String::new(), error("overloaded_error")),
            Mood::Broken => (500, String::new(), error("server_error")),
        };
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
    }
}

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"of the vendor"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":3,"total_tokens":4}}"#;

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}
