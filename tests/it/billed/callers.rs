//! Callers: many at once, some of whom leave in the middle, and what each of them was answered.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// At the same time.
const AT_ONCE: usize = 6;
/// Between an answer and the next request.
const PAUSE: Duration = Duration::from_millis(15);
/// The number of all requests that are no gateway's; of none that is asked of one.
const BESIDE: u32 = 1_000_000;
/// Longest silence before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

/// How somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Whole,
    Stream,
    /// A stream, until so many events have come.
    Leaves(usize),
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Answered {
    pub number: u32,
    pub how: How,
    /// 0 where no answer came.
    pub status: u16,
    /// The whole of it has come.
    pub whole: bool,
    pub took: Duration,
    pub at: Instant,
}

/// A request of this number.
#[expect(clippy::disallowed_methods, reason = "what callers have to wait is measured in real time")]
pub fn ask(to: SocketAddr, model: &str, number: u32, how: How) -> Answered {
    let begun = Instant::now();
    let (status, whole) = say(to, model, number, how).unwrap_or_default();
    Answered { number, how, status, whole, took: begun.elapsed(), at: Instant::now() }
}

fn say(to: SocketAddr, model: &str, number: u32, how: How) -> io::Result<(u16, bool)> {
    let mut socket = TcpStream::connect_timeout(&to, PATIENCE)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    let stream = how != How::Whole;
    let words = vec!["hello"; 3 + number as usize % 40].join(" ");
    let body = format!(
        r#"{{"model":"{model}","user":"{number}","stream":{stream},"messages":[{{"role":"user","content":"{words}"}}]}}"#
    );
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-number: {number}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes())?;
    let (mut bytes, mut buffer) = (Vec::new(), [0; 16 * 1024]);
    while let Ok(read @ 1..) = socket.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..read]);
        if let How::Leaves(after) = how
            && String::from_utf8_lossy(&bytes).matches("data: ").count() >= after
        {
            socket.shutdown(Shutdown::Both)?;
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let whole = if stream { text.contains("[DONE]") } else { text.contains("\"usage\"") };
    Ok((status, whole))
}

/// One way of asking for each number.
pub fn how(number: u32) -> How {
    match number % 5 {
        0 | 1 => How::Whole,
        4 => How::Leaves(2 + number as usize % 5),
        _ => How::Stream,
    }
}

/// Asks for one number after the other, several at once, up to `until`.
pub fn crowd(
    to: SocketAddr,
    from: u32,
    until: &AtomicU32,
    model: impl Fn(u32) -> &'static str + Sync,
) -> Vec<Answered> {
    let next = AtomicU32::new(from);
    let all = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, SeqCst);
                    if number >= until.load(SeqCst) {
                        return;
                    }
                    let answered = ask(to, model(number), number, how(number));
                    all.lock().unwrap().push(answered);
                    sleep(PAUSE);
                }
            });
        }
    });
    all.into_inner().unwrap()
}

/// Asks a vendor itself until it is over, `until` being 0 then; how long each answer took.
pub fn beside(vendor: SocketAddr, until: &AtomicU32) -> Vec<Duration> {
    let mut took = Vec::new();
    while until.load(SeqCst) > 0 {
        took.push(ask(vendor, "gpt-4o", BESIDE, How::Whole).took);
        sleep(PAUSE);
    }
    took
}

/// So long did nine of ten of them take at most that are not to wait for anything at their vendors.
pub fn nine_in_ten(answered: impl IntoIterator<Item = Duration>) -> Duration {
    let mut took: Vec<Duration> = answered.into_iter().collect();
    took.sort();
    took.get(took.len() * 9 / 10).copied().unwrap_or_default()
}
