//! Callers over real sockets, what they wish for, and whether they got it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::StatusCode;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use mainstay::algo::tick::Tick;
use mainstay::simulated::oracle;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::WORDS;
use crate::lab::{Answer, Ask, End, strict};

const DIALECTS: [&str; 4] = ["openai", "responses", "anthropic", "gemini"];

/// Whoever has not his answer by then never will: three legs, with every fault on the way, take half of it.
const LONGEST: Duration = Duration::from_secs(45);

/// What a caller asks for; each has a route, and a model, of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A stream that is continued should it break.
    Stream,
    /// A stream that begins when it is whole.
    Buffered,
    /// An answer in one piece.
    Whole,
    /// A stream that nobody else can go on with: its form is prescribed, or a tool has to be called.
    Formed,
}

impl Wish {
    /// Of sixteen callers one wants a form, one waits for a whole stream, two want one piece.
    pub const fn of(number: usize) -> Self {
        match number % 16 {
            5 => Self::Formed,
            10 => Self::Buffered,
            3 | 12 => Self::Whole,
            _ => Self::Stream,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Stream => "streams",
            Self::Buffered => "buffered streams",
            Self::Whole => "whole answers",
            Self::Formed => "streams of a prescribed form",
        }
    }

    const fn route(self) -> &'static str {
        match self {
            Self::Stream => "demo",
            Self::Buffered => "held",
            Self::Whole => "whole",
            Self::Formed => "formed",
        }
    }

    /// The request in one of [`DIALECTS`].
    fn ask(self, dialect: usize) -> Ask {
        let model = self.route();
        let [openai, responses, anthropic, gemini] = Ask::stream_in_every_dialect(model).map(|(_, ask)| ask);
        let streamed = match dialect {
            0 => openai,
            1 => responses,
            2 => anthropic,
            _ => gemini,
        };
        match self {
            Self::Stream | Self::Buffered => streamed,
            Self::Whole => whole(streamed),
            Self::Formed => with(streamed, FORMS[dialect]),
        }
    }
}

/// What prescribes an answer's form in each dialect.
const FORMS: [&str; 4] = [
    r#""response_format":{"type":"json_object"}"#,
    r#""text":{"format":{"type":"json_object"}}"#,
    r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"any"}"#,
    r#""generationConfig":{"responseMimeType":"application/json"}"#,
];

/// The same for an answer in one piece.
fn whole(mut ask: Ask) -> Ask {
    let body = String::from_utf8(ask.body.to_vec()).expect("a request of a test is text");
    let usage = r#""stream_options":{"include_usage":true},"#;
    ask.body = body.replace(r#""stream":true,"#, "").replace(usage, "").into();
    ask.path = ask.path.replace(":streamGenerateContent?alt=sse", ":generateContent");
    ask
}

fn with(mut ask: Ask, members: &str) -> Ask {
    let body = String::from_utf8(ask.body.to_vec()).expect("a request of a test is text");
    ask.body = format!("{{{members},{}", &body[1..]).into();
    ask
}

/// What came of one caller.
pub struct Fared {
    pub wish: Wish,
    /// Since the run began: when he asked, when the answer began, when it ended.
    pub asked: Duration,
    pub begun: Duration,
    pub ended: Duration,
    pub attempts: u32,
    /// The upstream that began the answer.
    pub upstream: String,
    /// How often his stream was continued, where his dialect tells.
    pub continued: usize,
    /// Tokens in and out, where they were told.
    pub usage: Option<(u64, u64)>,
    pub outcome: Outcome,
}

#[derive(Debug)]
pub enum Outcome {
    Good,
    /// An error in the middle, said in the caller's words, behind nothing but what was right.
    Told,
    /// What is wrong with it.
    Wrong(String),
}

#[expect(clippy::disallowed_methods, reason = "other processes run by the clock on the wall")]
pub fn now() -> Instant {
    Instant::now()
}

/// Asks and reads to the end.
pub async fn call(to: SocketAddr, number: usize, start: Instant) -> Fared {
    let (wish, dialect) = (Wish::of(number), number % 4 + number / 16);
    let dialect = dialect % 4;
    let mut fared = Fared {
        wish,
        asked: start.elapsed(),
        begun: start.elapsed(),
        ended: start.elapsed(),
        attempts: 0,
        upstream: String::new(),
        continued: 0,
        usage: None,
        outcome: Outcome::Wrong(format!("no end within {LONGEST:?}")),
    };
    match timeout(LONGEST, send(to, &wish.ask(dialect), start, &mut fared)).await {
        Err(_) => {}
        Ok(Err(error)) => fared.outcome = Outcome::Wrong(error),
        Ok(Ok(answer)) => {
            fared.attempts = answer.header("x-mainstay-attempts").parse().unwrap_or(0);
            let channel = answer.header("x-mainstay-channel");
            channel.split('/').next().unwrap_or_default().clone_into(&mut fared.upstream);
            fared.continued = answer.text().matches(": mainstay-continued ").count();
            (fared.outcome, fared.usage) = judge(wish, DIALECTS[dialect], &answer);
        }
    }
    fared.ended = start.elapsed();
    fared
}

async fn send(to: SocketAddr, ask: &Ask, start: Instant, fared: &mut Fared) -> Result<Answer, String> {
    let failed = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let socket = TcpStream::connect(to).await.map_err(|error| failed("connecting", &error))?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await;
    let (mut sender, connection) = shaken.map_err(|error| failed("connecting", &error))?;
    let connection = tokio::spawn(async move { drop(connection.await) });
    let response = sender.send_request(ask.request()).await.map_err(|error| failed("asking", &error))?;
    fared.begun = start.elapsed();
    let (head, mut body) = response.into_parts();
    let (mut bytes, mut end) = (Vec::new(), End::Clean);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            end = End::Cut;
            break;
        };
        bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
    }
    drop(sender);
    connection.abort();
    let (asked_at, took) = (Tick::ZERO, start.elapsed());
    Ok(Answer { status: head.status, headers: head.headers, body: bytes.into(), end, asked_at, took })
}

fn judge(wish: Wish, dialect: &str, answer: &Answer) -> (Outcome, Option<(u64, u64)>) {
    let wrong = |why: &str| (Outcome::Wrong(format!("{}, {dialect}: {why}", wish.name())), None);
    let streamed = match wish {
        Wish::Whole => false,
        Wish::Stream | Wish::Buffered | Wish::Formed => true,
    };
    let is_broken = answer.end == End::Cut || ends_in_a_bare_error(dialect, answer);
    if wish == Wish::Formed && answer.status == StatusCode::OK && is_broken {
        let said = answer.words();
        return match numbered(&said) {
            Err(at) => wrong(&format!("word {at} of {said}")),
            Ok(()) if !answer.text().contains("\"error\"") => wrong(&format!("in silence: {said}")),
            Ok(()) => (Outcome::Told, None),
        };
    }
    let (text, usage) = if streamed {
        match strict::read(dialect, answer) {
            Ok(whole) => (whole.text, whole.usage),
            Err(why) => return wrong(&why),
        }
    } else if answer.status == StatusCode::OK && answer.end == End::Clean {
        (answer.words(), None)
    } else {
        return wrong(&format!("{}, {:?}: {}", answer.status, answer.end, answer.text()));
    };
    match oracle(&text) {
        Ok(spoken) if spoken.words == WORDS => (Outcome::Good, usage),
        Ok(spoken) => wrong(&format!("{} words: {text}", spoken.words)),
        Err(broken) => wrong(&format!("{broken:?}: {}", answer.text())),
    }
}

/// Whether the vendor ended the stream itself: Gemini's error is no event, and its connection ends cleanly behind it.
fn ends_in_a_bare_error(dialect: &str, answer: &Answer) -> bool {
    let text = answer.text();
    let last = text.rsplit("\r\n\r\n").next().unwrap_or_default();
    dialect == "gemini"
        && serde_json::from_str::<serde_json::Value>(last).is_ok_and(|last| last.get("error").is_some())
}

/// Whether these are the first words of one answer; else which is not.
fn numbered(said: &str) -> Result<(), usize> {
    let mut tag = None;
    for (at, word) in (1..).zip(said.split(' ').filter(|word| !word.is_empty())) {
        if at == WORDS as usize + 1 {
            return Ok(());
        }
        let (own, number) = word.rsplit_once('.').ok_or(at)?;
        if *tag.get_or_insert(own) != own || number.parse() != Ok(at) {
            return Err(at);
        }
    }
    Ok(())
}

#[test]
fn the_first_words_of_an_answer_are_known_from_others() {
    assert_eq!(numbered(""), Ok(()));
    assert_eq!(numbered("a-1.7.1 a-1.7.2"), Ok(()));
    assert_eq!(numbered("a-1.7.1 a-1.7.3"), Err(2));
    assert_eq!(numbered("a-1.7.1 a-1.7.2 a-1.7.2"), Err(3));
    assert_eq!(numbered("a-1.7.1 a-2.7.2"), Err(2));
}
