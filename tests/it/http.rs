//! A blocking HTTP/1.1 call over a plain socket, for tests that talk to other processes.
//!
//! One connection per call, read to its end. It shares nothing with the gateway's own client, so the
//! two cannot agree on a mistake. Source: RFC 9112 §6–7.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest silence on a socket before a test gives up: far beyond what a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// Whether the body ended as its headers promised.
    pub whole: bool,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}

pub fn get(to: SocketAddr, path: &str) -> io::Result<Answer> {
    call(to, "GET", path, None)
}

pub fn post(to: SocketAddr, path: &str, json: &str) -> io::Result<Answer> {
    call(to, "POST", path, Some(json))
}

/// One request with an optional JSON body; any status is an answer.
pub fn call(to: SocketAddr, method: &str, path: &str, json: Option<&str>) -> io::Result<Answer> {
    ask(to, method, path, &[], json)
}

/// The same of a caller who shows a key.
pub fn post_as(key: &str, to: SocketAddr, path: &str, json: &str) -> io::Result<Answer> {
    ask(to, "POST", path, &[("authorization", &format!("Bearer {key}"))], Some(json))
}

/// The same with these headers.
pub fn ask(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    json: Option<&str>,
) -> io::Result<Answer> {
    let json_type = json.map(|_| ("content-type", "application/json"));
    let headers: Vec<_> = headers.iter().copied().chain(json_type).collect();
    send(to, method, path, &headers, json.unwrap_or_default())
}

/// One request with these headers and this body, which may be none.
pub fn send(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> io::Result<Answer> {
    let mut socket = TcpStream::connect_timeout(&to, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n");
    for (name, value) in headers {
        let _ = write!(request, "{name}: {value}\r\n");
    }
    if !body.is_empty() || method == "POST" {
        let _ = write!(request, "content-length: {}\r\n", body.len());
    }
    let _ = write!(request, "\r\n{body}");
    socket.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    // A reset in the middle of a body is for `whole` to tell.
    if let Err(error) = socket.read_to_end(&mut bytes)
        && bytes.is_empty()
    {
        return Err(error);
    }
    parse(&bytes).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer"))
}

fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let (head, rest) = (std::str::from_utf8(bytes.get(..end)?).ok()?, bytes.get(end + 4..)?);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let of = |name: &str| headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let (body, whole) =
        if of("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            unchunk(rest)
        } else {
            let promised = of("content-length").and_then(|length| length.parse().ok());
            (rest.to_vec(), promised.is_none_or(|length: usize| length == rest.len()))
        };
    Some(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned(), whole })
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|window| window == b"\r\n") else { return (body, false) };
        let line = String::from_utf8_lossy(&rest[..end]);
        let Ok(size) = usize::from_str_radix(line.split(';').next().unwrap_or_default().trim(), 16) else {
            return (body, false);
        };
        rest = &rest[end + 2..];
        if size == 0 {
            return (body, true);
        }
        let Some(chunk) = rest.get(..size) else {
            body.extend_from_slice(rest);
            return (body, false);
        };
        body.extend_from_slice(chunk);
        rest = rest.get(size + 2..).unwrap_or_default();
    }
}

/// A query's value, percent-encoded.
pub fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
        out
    })
}

#[test]
fn chunked_bodies_are_joined_and_broken_ones_noticed() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let of = |body: &str| parse(format!("{head}{body}").as_bytes()).expect("an answer");
    let whole = of("5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n");
    assert_eq!((whole.status, whole.body.as_str(), whole.whole), (200, "hello world", true));
    let cut = of("5\r\nhello\r\n6\r\n wo");
    assert_eq!((cut.body.as_str(), cut.whole), ("hello wo", false));
}
