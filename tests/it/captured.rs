//! What callers asked and were answered, captured by the binary: found again, without any secret, within its bounds,
//! and never in anybody's way.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{self, Answer};
use crate::process::{Gateway, wait_for};

/// What an upstream says, and a caller asks: none of it may be anywhere on disk.
const CARD: &str = "4111 1111 1111 1111";
const SECRETS: [&str; 5] =
    [CARD, "ada.lovelace@example.com", "sk-ant-api03-0123456789abcdefghij", "+14155552671", "ACME-123456"];

const ADA: &str = "Bearer the-secret-of-all-the-gateways-of-tests";
const BOB: &str = "Bearer ms-bob-0123456789abcdef0123456789";

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN, drain: {pre_stop_delay: 0s, close_spread: 0s}}
keys: {ada: {secret: '${MAINSTAY_IT_SECRET}'}, bob: {secret: 'file:BOB', zero_log: true}}
telemetry:
  capture: {CAPTURE, redact: {patterns: ['ACME-\\d{6}']}}
upstreams:
  near: {provider: custom, dialect: openai, base_url: 'http://UPSTREAM/v1', probe: {kind: 'off'}, credentials: [sk-upstream-0123456789abcdef]}
routes: [{model: demo, channels: [{upstream: near}]}, {model: other, channels: [{upstream: near}]}]
defaults: {retry: {max_attempts: 1}}
";

/// An upstream that says all of it, a few bytes an event where it is asked for a stream; of `broken` it says nothing
/// good.
fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("a bound socket has an address");
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            thread::spawn(move || serve(socket));
        }
    });
    address
}

fn serve(mut socket: TcpStream) {
    let mut reader = BufReader::new(socket.try_clone().expect("a socket can be cloned"));
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
        if let Some(said) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = said.trim().parse().expect("a length");
        }
        line.clear();
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let text = format!("Here: {}.", SECRETS.join(", "));
    let (status, media, said) = if asked.to_string().contains("break") {
        (
            "500 Oops",
            "application/json",
            json!({"error": {"message": "ada.lovelace@example.com broke it"}}).to_string(),
        )
    } else if asked["stream"] == true {
        let event = |delta: Value, end: Value| {
            json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                   "choices": [{"index": 0, "delta": delta, "finish_reason": end}]})
        };
        let chars: Vec<char> = text.chars().collect();
        let pieces = chars
            .chunks(3)
            .map(|piece| event(json!({"content": piece.iter().collect::<String>()}), Value::Null));
        let all = pieces.chain([event(json!({}), "stop".into())]);
        let events = all.map(|event| format!("data: {event}\n\n")).collect::<Vec<_>>().concat();
        ("200 OK", "text/event-stream", format!("{events}data: [DONE]\n\n"))
    } else {
        let said = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}});
        ("200 OK", "application/json", said.to_string())
    };
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        said.len()
    );
    let _ = socket.write_all((head + &said).as_bytes());
}

struct Desk {
    gateway: Gateway,
    _folder: TempDir,
}

impl Desk {
    fn start(capture: &str) -> Self {
        let folder = TempDir::with_prefix("mainstay-captured-").expect("there is a temporary directory");
        let bob = folder.path().join("bob");
        fs::write(&bob, BOB.trim_start_matches("Bearer ")).expect("it can be written");
        let routing = ROUTING.replace("BOB", &bob.display().to_string());
        let routing = routing.replace("UPSTREAM", &upstream().to_string()).replace("CAPTURE", capture);
        Self { gateway: Gateway::start(&routing), _folder: folder }
    }

    fn directory(&self) -> PathBuf {
        self.gateway.directory().join("captures")
    }

    fn ask(&self, body: &Value, headers: &[(&str, &str)]) -> Answer {
        http::ask(self.gateway.callers, "POST", "/v1/chat/completions", headers, Some(&body.to_string()))
            .expect("the gateway answers")
    }

    fn capture(&self, request: &str) -> Answer {
        http::get(self.gateway.admin, &format!("/admin/requests/{request}/capture"))
            .expect("the admin side answers")
    }

    /// What is kept of a request, which has to be there soon.
    fn kept(&self, answer: &Answer) -> Value {
        let request = name(answer);
        let kept = wait_for(10, || Some(self.capture(&request)).filter(|kept| kept.status == 200));
        kept.unwrap_or_else(|| panic!("{}", self.capture(&request).body)).json()
    }

    fn is_kept(&self, answer: &Answer) -> bool {
        let looked = self.capture(&name(answer));
        assert!(matches!(looked.status, 200 | 404), "{}", looked.body);
        looked.status == 200
    }

    fn count(&self, result: &str) -> u64 {
        let series = format!("mainstay_captures_total{{result=\"{result}\"}} ");
        let page = self.gateway.metrics();
        page.lines()
            .find_map(|line| line.strip_prefix(&series))
            .expect("it is counted")
            .parse()
            .expect("a number")
    }

    fn reload(&self, capture: &str) {
        let text = fs::read_to_string(&self.gateway.file).expect("it is there");
        let from = text.find("  capture: {").expect("it is said");
        let to = from + text[from..].find('\n').expect("a line");
        let text = format!("{}  capture: {{{capture}}}{}", &text[..from], &text[to..]);
        fs::write(&self.gateway.file, text).expect("it can be written");
        let said = http::post(self.gateway.admin, "/admin/reload", "").expect("the admin side answers");
        assert_eq!(said.status, 200, "{}", said.body);
    }
}

fn name(answer: &Answer) -> String {
    answer.header("x-mainstay-request-id").expect("every answer has a name").to_owned()
}

fn chat(text: &str) -> Value {
    json!({"model": "demo", "messages": [{"role": "user", "content": text}]})
}

fn everything_in(directory: &Path) -> String {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    files.map(|file| fs::read_to_string(file.path()).expect("a file")).collect()
}

fn size_of(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).expect("a directory").flatten();
    files.map(|file| file.metadata().map_or(0, |file| file.len())).sum()
}

#[test]
fn what_was_asked_and_answered_is_found_again_without_a_secret() {
    let mut desk = Desk::start("enabled: true, path: captures, share: 100%");
    let asked = format!("My things: {}", SECRETS.join(" and "));
    let headers = [("authorization", ADA), ("x-canary", "canary-of-a-header")];
    let whole = desk.ask(&chat(&asked), &headers);
    assert!(whole.body.contains(CARD), "the caller gets what he gets: {}", whole.body);
    let kept = desk.kept(&whole);
    let expected = "My things: [CARD] and [EMAIL] and [KEY] and [PHONE] and [PATTERN]";
    assert_eq!(kept["asked"]["body"]["json"]["messages"][0]["content"], expected);
    let said = "Here: [CARD], [EMAIL], [KEY], [PHONE], [PATTERN].";
    assert_eq!(kept["answered"]["body"]["json"]["choices"][0]["message"]["content"], said);
    assert_eq!(
        (&kept["key"], &kept["outcome"], &kept["route"]),
        (&json!("ada"), &json!("ok"), &json!("demo"))
    );
    assert_eq!((&kept["answered"]["status"], &kept["channel"]), (&json!(200), &json!("near/demo")));

    // Three characters an event; in the caller's own dialect and in another one.
    let mut stream = chat("hello");
    stream["stream"] = true.into();
    let streamed = desk.ask(&stream, &[]);
    assert!(streamed.body.contains("\"411\"") || !streamed.body.contains(CARD), "it came in pieces");
    let kept = desk.kept(&streamed);
    let texts = kept["answered"]["body"]["stream"].as_array().expect("texts");
    assert!(
        texts.iter().any(|text| text["at"] == "choices[0].delta.content" && text["text"] == said),
        "{kept}"
    );
    let mut messages = stream.clone();
    messages["max_tokens"] = 100.into();
    let body = messages.to_string();
    let messages = http::ask(
        desk.gateway.callers,
        "POST",
        "/v1/messages",
        &[("anthropic-version", "2023-06-01")],
        Some(&body),
    );
    let messages = messages.expect("the gateway answers");
    assert_eq!(messages.status, 200, "{}", messages.body);
    let kept = desk.kept(&messages);
    assert_eq!(
        (&kept["dialect"], &kept["asked"]["headers"]["anthropic-version"]),
        (&json!("anthropic"), &json!("2023-06-01"))
    );
    let texts = kept["answered"]["body"]["stream"].as_array().expect("texts");
    assert!(texts.iter().any(|text| text["text"] == said), "{kept}");

    let all = everything_in(&desk.directory());
    for secret in SECRETS.into_iter().chain(["the-secret-of-all", "sk-upstream-", "canary", "4111"]) {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
    assert_eq!(all.lines().count(), 3);

    let (shown, _) = typed(&desk.gateway, &["requests", &name(&whole), "--capture"]);
    assert!(shown.contains("[CARD]") && shown.contains("\"route\": \"demo\""), "{shown}");
    let audit = http::get(desk.gateway.admin, "/admin/audit").expect("the admin side answers").json();
    let rows = audit["audit"].as_array().expect("rows");
    let read = rows.iter().find(|row| row["action"] == "capture.read" && row["detail"]["status"] == 200);
    assert_eq!(read.expect("who looks is in the trail")["subject"], json!(name(&whole)));

    // Killed without a word, and started again: what was written is there, and what comes is added.
    desk.gateway.again();
    assert!(desk.is_kept(&whole) && desk.is_kept(&streamed));
    let another = desk.ask(&chat("again"), &[]);
    desk.kept(&another);
    let nobody = desk.capture("req_nobody");
    assert!(nobody.status == 404 && nobody.body.contains("no capture has this id"), "{}", nobody.body);
}

fn typed(gateway: &Gateway, words: &[&str]) -> (String, bool) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.env_remove("MAINSTAY_CONFIG").args(words).args(["--admin", &format!("http://{}", gateway.admin)]);
    let output = command.output().expect("it runs");
    (String::from_utf8(output.stdout).expect("it speaks UTF-8"), output.status.success())
}

#[test]
fn only_those_are_captured_that_somebody_wants_and_that_do_not_refuse() {
    let desk = Desk::start("enabled: true, path: captures, share: 100%, only: failed");
    let well = desk.ask(&chat("hello"), &[]);
    let broken = desk.ask(&chat("break"), &[]);
    assert_eq!((well.status, broken.status), (200, 502), "{}", broken.body);
    let kept = desk.kept(&broken);
    assert_eq!((&kept["outcome"], &kept["answered"]["status"]), (&json!("failed"), &json!(502)));
    assert!(!desk.is_kept(&well));
    let wrong = desk.ask(&json!({"model": "demo", "messages": 7, "note": "break"}), &[]);
    assert!(desk.kept(&wrong)["outcome"] != "ok", "{}", wrong.body);

    desk.reload("enabled: true, path: captures, share: 100%, keys: [ada], routes: [other]");
    let ada = ("authorization", ADA);
    let bob = ("authorization", BOB);
    let refuses = ("x-mainstay-no-capture", "1");
    let other = json!({"model": "other", "messages": [{"role": "user", "content": "hello"}]});
    desk.kept(&desk.ask(&other, &[ada]));
    for (body, headers) in
        [(&chat("hello"), &[ada][..]), (&other, &[bob]), (&other, &[]), (&other, &[ada, refuses])]
    {
        let answer = desk.ask(body, headers);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(!desk.is_kept(&answer), "{headers:?}");
    }
    assert_eq!(desk.count("opted_out"), 1, "of those who were wanted");
    desk.reload("enabled: true, path: elsewhere, share: 100%, opt_out: false");
    let answer = desk.ask(&other, &[ada, refuses]);
    desk.kept(&answer);
    assert!(everything_in(&desk.gateway.directory().join("elsewhere")).contains(&name(&answer)), "at once");
    let silent = desk.ask(&other, &[bob]);
    assert!(silent.status == 200 && !desk.is_kept(&silent), "nothing is kept of what he writes");
    desk.reload("enabled: false, path: elsewhere");
    assert!(desk.is_kept(&answer), "what is there is shown");
    assert!(!desk.is_kept(&desk.ask(&other, &[ada])));
    desk.reload("share: 100%");
    let looked = desk.capture(&name(&answer));
    assert!(looked.status == 404 && looked.body.contains("nothing is captured here"), "{}", looked.body);
}

#[test]
fn there_is_never_more_on_disk_than_may_be() {
    let desk = Desk::start("enabled: true, path: captures, share: 100%, max_body: 16KiB, max_total: 1MiB");
    let words = "word ".repeat(2_500);
    let answers: Vec<Answer> = (0..120).map(|n| desk.ask(&chat(&format!("{n} {words}")), &[])).collect();
    let (first, last) = (answers.first().expect("the first"), answers.last().expect("the last"));
    desk.kept(last);
    assert_eq!(desk.count("written"), 120);
    let size = size_of(&desk.directory());
    assert!((1 << 19..=1 << 20).contains(&size), "{size}");
    assert!(!desk.is_kept(first), "the oldest went");
    let page = desk.gateway.metrics();
    let gauge = page.lines().find_map(|line| line.strip_prefix("mainstay_capture_bytes "));
    assert_eq!(gauge.and_then(|bytes| bytes.parse::<f64>().ok()), Some(size as f64));
    // What is too long is there as far as it goes.
    let long = desk.kept(&desk.ask(&chat(&"word ".repeat(5_000)), &[]));
    assert_eq!(
        (&long["asked"]["body"]["cut"], long["asked"]["body"]["text"].is_string()),
        (&json!(true), true)
    );
}

#[test]
fn a_disk_that_takes_nothing_is_said_once_and_in_nobodys_way() {
    let desk = Desk::start("enabled: false, path: captures");
    fs::write(desk.directory(), "a file").expect("it can be written");
    desk.reload("enabled: true, path: captures, share: 100%");
    for _ in 0..3 {
        assert_eq!(desk.ask(&chat("hello"), &[]).status, 200);
    }
    wait_for(10, || (desk.count("failed") == 3).then_some(())).expect("they are counted");
    let looked = desk.capture("req_1");
    assert!(looked.status == 503 && looked.body.contains("telemetry.capture.path"), "{}", looked.body);
    let said = desk.gateway.log().matches("captures cannot be written").count();
    assert_eq!(said, 1, "{}", desk.gateway.log());
    fs::remove_file(desk.directory()).expect("it is there");
    desk.kept(&desk.ask(&chat("hello"), &[]));
    assert!(desk.gateway.log().contains("captures are written again"));
}
