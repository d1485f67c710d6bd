//! An upstream that says back all that it was sent: in answers, in streams that break, and in its complaints.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::json;

use super::canaries::{Canaries, Kind};

/// Answers as the first part of the path says, each connection once, until the test's process ends.
pub fn listen(callers: &'static [Canaries]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // Whoever left has no answer.
                let _ = answer(&stream, callers);
            });
        }
    });
    address
}

fn answer(mut stream: &TcpStream, callers: &[Canaries]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let manner = line.split('/').nth(1).unwrap_or_default().to_owned();
    let mut length = 0;
    loop {
        let mut field = String::new();
        reader.read_line(&mut field)?;
        let Some((name, value)) = field.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body = String::from_utf8_lossy(&body).into_owned();
    let whose = callers.iter().find(|canaries| !canaries.found_in(body.as_bytes()).is_empty());
    let word = |kind| whose.map_or_else(String::new, |whose| whose.word(kind));
    let complaint = format!("{} of {body}", word(Kind::Complaint));
    let said = format!("{} to {body}", word(Kind::Answer));
    let error = json!({"error": {"message": complaint, "type": complaint, "code": complaint}}).to_string();
    let first = json!({"id": "x", "object": "chat.completion.chunk", "model": "m", "created": 1,
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": said}}]});
    let streams = body.contains(r#""stream":true"#);
    match (manner.as_str(), streams) {
        ("down", _) => whole(stream, &format!("500 {}", word(Kind::Complaint)), &error),
        ("busy", _) => whole(stream, "429 Too Many Requests", &error),
        ("bad", _) => whole(stream, "400 Bad Request", &error),
        ("denied", _) => whole(stream, "401 Unauthorized", &error),
        ("garbage", _) => whole(stream, "200 OK", &complaint),
        ("broken", true) => events(stream, &format!("data: {first}\n\ndata: {error}\n\n")),
        ("cut", true) => write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\nffff\r\ndata: {first}\n\n"
        ),
        (_, true) => events(stream, &format!("data: {first}\n\ndata: [DONE]\n\n")),
        (_, false) => {
            let answer = json!({"id": "x", "object": "chat.completion", "model": "m", "created": 1,
                "choices": [{"index": 0, "finish_reason": "stop",
                    "message": {"role": "assistant", "content": said}}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}});
            whole(stream, "200 OK", &answer.to_string())
        }
    }
}

fn whole(mut stream: &TcpStream, status: &str, body: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn events(mut stream: &TcpStream, body: &str) -> std::io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}
