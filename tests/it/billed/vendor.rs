//! A vendor that bills: it knows what it charges for every request that reaches it, whatever becomes of its answer, and
//! goes wrong by the number of the request.
//!
//! It shares no code with the gateway. Every word of its answers is one token of the model's, and a prompt has as many
//! as OpenAI's own formula says.

use std::collections::HashMap;
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

/// Between two tokens of a stream, so that callers can leave in its middle.
const PACE: Duration = Duration::from_millis(2);
/// How long a black hole keeps a connection.
const HOLE: Duration = Duration::from_secs(8);

/// What befalls a request at the first vendor that it comes to; whoever gets it next answers it well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Well,
    /// 500, which nobody is charged for.
    Broken,
    /// The answer ends in its middle.
    Cut,
    /// It ends in its middle, and the tokens were told before that.
    CutOnceTold,
    /// Nothing ever comes.
    Hole,
    /// 200, with tokens and without an answer.
    Empty,
}

/// What is charged for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bill {
    pub fate: Fate,
    pub input: u64,
    /// Of those, read from a cache.
    pub cached: u64,
    pub output: u64,
    /// The answer said so, and went out to its end.
    pub told: bool,
}

/// By the request's number and the vendor's name, in the order in which they came.
pub type Bills = HashMap<(u32, &'static str), Vec<Bill>>;

#[derive(Clone, Default)]
pub struct Office(Arc<Mutex<Books>>);

#[derive(Default)]
struct Books {
    bills: Bills,
    fates: HashMap<u32, Fate>,
    open: u32,
    addresses: HashMap<&'static str, SocketAddr>,
}

impl Office {
    /// What will befall that request.
    pub fn doom(&self, number: u32, fate: Fate) {
        self.0.lock().unwrap().fates.insert(number, fate);
    }

    pub fn bills(&self) -> Bills {
        self.0.lock().unwrap().bills.clone()
    }

    /// Where a vendor is.
    pub fn address(&self, name: &str) -> SocketAddr {
        self.0.lock().unwrap().addresses[name]
    }

    /// Requests that a vendor still works on.
    pub fn open(&self) -> u32 {
        self.0.lock().unwrap().open
    }

    /// Opens a vendor, and says where it is.
    pub fn vendor(&self, name: &'static str) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        self.0.lock().unwrap().addresses.insert(name, address);
        let office = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let office = office.clone();
                std::thread::spawn(move || {
                    // Whoever leaves in the middle was billed until then.
                    let _ = office.serve(name, stream);
                });
            }
        });
        address
    }

    /// One request; the connection ends with it.
    fn serve(&self, name: &'static str, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let Some(asked) = read(&mut stream)? else { return Ok(()) };
        let number = asked["user"].as_str().and_then(|user| user.parse().ok()).unwrap_or_default();
        let (at, fate) = {
            let mut books = self.0.lock().unwrap();
            let fate = books.fates.remove(&number).unwrap_or(Fate::Well);
            let bills = books.bills.entry((number, name)).or_default();
            let cached = if number.is_multiple_of(3) { 4 } else { 0 };
            bills.push(Bill { fate, input: prompt(&asked), cached, output: 0, told: false });
            let at = bills.len() - 1;
            books.open += 1;
            (at, fate)
        };
        let bill = |change: &dyn Fn(&mut Bill)| {
            let mut books = self.0.lock().unwrap();
            change(&mut books.bills.get_mut(&(number, name)).expect("it was put there")[at]);
        };
        let sent = answer(&mut stream, &asked, number, fate, &bill);
        self.0.lock().unwrap().open -= 1;
        sent
    }
}

/// Changes what is charged.
type Booking<'a> = dyn Fn(&dyn Fn(&mut Bill)) + 'a;

/// As OpenAI counts the tokens of a prompt whose words are tokens.
fn prompt(asked: &Value) -> u64 {
    let messages = asked["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let words = |message: &Value| message["content"].as_str().unwrap_or_default().split(' ').count() as u64;
    3 + messages.iter().map(|message| 4 + words(message)).sum::<u64>()
}

/// So long is the answer to a request.
fn length(number: u32) -> u64 {
    8 + u64::from(number % 12)
}

fn answer(
    stream: &mut TcpStream,
    asked: &Value,
    number: u32,
    fate: Fate,
    bill: &Booking<'_>,
) -> io::Result<()> {
    let tokens = length(number);
    let streamed = asked["stream"] == true;
    let cached = if number.is_multiple_of(3) { 4 } else { 0 };
    let usage = |output: u64| {
        let input = prompt(asked);
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
            "prompt_tokens_details": {"cached_tokens": cached}})
    };
    match (fate, streamed) {
        (Fate::Broken, _) => {
            bill(&|bill| (bill.input, bill.cached) = (0, 0));
            whole(stream, 500, &json!({"error": {"message": "broken", "type": "server_error"}}))
        }
        (Fate::Hole, _) => {
            bill(&|bill| bill.cached = 0);
            stream.set_read_timeout(Some(HOLE))?;
            stream.read(&mut [0; 16]).map(drop)
        }
        (Fate::Empty, _) => {
            bill(&|bill| (bill.output, bill.told) = (0, true));
            whole(
                stream,
                200,
                &json!({"id": "c", "object": "chat.completion", "model": "gpt-4o", "choices": [],
                "usage": usage(0)}),
            )
        }
        (Fate::Cut | Fate::CutOnceTold, false) => {
            // It was made, and never came.
            bill(&|bill| (bill.output, bill.cached) = (tokens, 0));
            stream.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 999\r\n\r\n{",
            )
        }
        (Fate::Well, false) => {
            bill(&|bill| bill.output = tokens);
            let text: String = (0..tokens).map(word).collect();
            let message = json!({"role": "assistant", "content": text});
            let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
            let body = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o",
                "choices": [choice], "usage": usage(tokens)});
            whole(stream, 200, &body)?;
            bill(&|bill| bill.told = true);
            Ok(())
        }
        (Fate::Well | Fate::Cut | Fate::CutOnceTold, true) => {
            stream.write_all(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
            )?;
            let chunk = |delta: Value, finish: Value| {
                json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o",
                    "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
            };
            for at in 0..tokens {
                if fate == Fate::Cut && at == tokens / 2 {
                    bill(&|bill| bill.cached = 0);
                    return Ok(());
                }
                // Whoever has gone away is noticed when something is written, one token later.
                event(stream, &chunk(json!({"content": word(at)}), Value::Null).to_string())?;
                bill(&|bill| bill.output = at + 1);
                sleep(PACE);
            }
            event(stream, &chunk(json!({}), json!("stop")).to_string())?;
            if asked["stream_options"]["include_usage"] == true {
                let told = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o",
                    "choices": [], "usage": usage(tokens)});
                event(stream, &told.to_string())?;
                bill(&|bill| bill.told = true);
            }
            if fate == Fate::Well {
                event(stream, "[DONE]")?;
                stream.write_all(b"0\r\n\r\n")?;
            }
            Ok(())
        }
    }
}

fn word(at: u64) -> &'static str {
    const WORDS: [&str; 10] =
        [" one", " two", " three", " four", " five", " six", " seven", " eight", " nine", " ten"];
    WORDS[at as usize % WORDS.len()]
}

fn event(stream: &mut TcpStream, data: &str) -> io::Result<()> {
    let frame = format!("data: {data}\n\n");
    stream.write_all(format!("{:x}\r\n{frame}\r\n", frame.len()).as_bytes())
}

fn whole(stream: &mut TcpStream, status: u16, body: &Value) -> io::Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes())
}

/// The body of a request; none where nobody asks for anything.
fn read(stream: &mut TcpStream) -> io::Result<Option<Value>> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(None);
        }
        bytes.extend_from_slice(&buffer[..read]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
        let body = &bytes[end + 4..];
        if body.len() >= length.unwrap_or(0_usize) {
            return Ok(Some(serde_json::from_slice(body).unwrap_or_default()));
        }
    }
}
