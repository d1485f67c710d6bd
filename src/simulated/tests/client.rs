//! A client that shows what HTTP libraries hide: how the bytes ended, and whether the framing was whole.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// How reading ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The message was whole by its own framing; the connection may be used again.
    Whole,
    /// End of file.
    Fin,
    Rst,
}

#[derive(Debug)]
pub struct Exchange {
    pub status: u16,
    pub version: String,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub ended: Ended,
}

impl Exchange {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The data of every whole event, as JSON; `[DONE]` becomes a string. CRLF counts as LF.
    pub fn events(&self) -> Vec<Value> {
        let text = self.text().replace("\r\n", "\n");
        let data = text.split_terminator("\n\n").filter_map(|event| {
            let data = event.lines().find_map(|line| line.strip_prefix("data: "))?;
            Some(serde_json::from_str(data).unwrap_or_else(|_| Value::from(data)))
        });
        data.collect()
    }

    /// The names of all events.
    pub fn names(&self) -> Vec<&str> {
        self.text().lines().filter_map(|line| line.strip_prefix("event: ")).collect()
    }
}

pub struct Client<S> {
    pub io: S,
    buffer: Vec<u8>,
}

impl Client<TcpStream> {
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::over(TcpStream::connect(address).await?))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub fn over(io: S) -> Self {
        Self { io, buffer: Vec::new() }
    }

    pub async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nhost: sim\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        request.push_str("\r\n");
        self.io.write_all(&[request.as_bytes(), body].concat()).await.unwrap();
    }

    /// Read more; `Some` when there is no more.
    async fn more(&mut self) -> Option<Ended> {
        match self.io.read_buf(&mut self.buffer).await {
            Ok(0) => Some(Ended::Fin),
            Ok(_) => None,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Some(Ended::Rst),
            Err(error) => panic!("{error}"),
        }
    }

    /// Wait until these bytes have come.
    pub async fn until(&mut self, mark: &str) {
        while !self.buffer.windows(mark.len()).any(|window| window == mark.as_bytes()) {
            assert_eq!(self.more().await, None, "ended before {mark}");
        }
    }

    /// How the connection ends when nothing of an answer comes.
    pub async fn nothing(&mut self) -> Ended {
        let ended = loop {
            if let Some(ended) = self.more().await {
                break ended;
            }
        };
        assert!(self.buffer.is_empty(), "unexpected answer");
        ended
    }

    pub async fn answer(&mut self) -> Exchange {
        let head_end = loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            assert_eq!(self.more().await, None, "no whole head");
        };
        let head: Vec<u8> = self.buffer.drain(..head_end).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        let (version, status) = lines.next().unwrap().split_once(' ').unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let mut exchange = Exchange {
            status: status[..3].parse().unwrap(),
            version: version.to_owned(),
            headers,
            body: Vec::new(),
            ended: Ended::Whole,
        };
        let length = exchange.header("content-length").map(|value| value.parse::<usize>().unwrap());
        let chunked = exchange.header("transfer-encoding") == Some("chunked");
        exchange.ended = match (length, chunked) {
            (Some(length), false) => self.sized(length, &mut exchange.body).await,
            (None, true) => self.chunked(&mut exchange.body).await,
            (None, false) if exchange.status == 101 => Ended::Whole,
            (None, false) => self.until_the_end(&mut exchange.body).await,
            (Some(_), true) => panic!("both content-length and chunked"),
        };
        exchange
    }

    async fn sized(&mut self, length: usize, body: &mut Vec<u8>) -> Ended {
        while self.buffer.len() < length {
            if let Some(ended) = self.more().await {
                body.append(&mut self.buffer);
                return ended;
            }
        }
        body.extend(self.buffer.drain(..length));
        Ended::Whole
    }

    async fn until_the_end(&mut self, body: &mut Vec<u8>) -> Ended {
        loop {
            if let Some(ended) = self.more().await {
                body.append(&mut self.buffer);
                return ended;
            }
        }
    }

    async fn chunked(&mut self, body: &mut Vec<u8>) -> Ended {
        loop {
            let line_end = loop {
                if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n") {
                    break at;
                }
                if let Some(ended) = self.more().await {
                    return ended;
                }
            };
            let size =
                usize::from_str_radix(std::str::from_utf8(&self.buffer[..line_end]).unwrap(), 16).unwrap();
            while self.buffer.len() < line_end + 2 + size + 2 {
                if let Some(ended) = self.more().await {
                    return ended;
                }
            }
            body.extend_from_slice(&self.buffer[line_end + 2..line_end + 2 + size]);
            self.buffer.drain(..line_end + 2 + size + 2);
            if size == 0 {
                return Ended::Whole;
            }
        }
    }
}

/// One request on a connection of its own.
pub async fn ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Exchange {
    let mut client = Client::connect(address).await.unwrap();
    client.send(method, path, headers, body.as_bytes()).await;
    client.answer().await
}

pub async fn post(address: SocketAddr, path: &str, body: &str) -> Exchange {
    ask(address, "POST", path, &[("content-type", "application/json")], body).await
}
