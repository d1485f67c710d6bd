//! What an upstream's bytes, exactly these, come to at the caller: what is malformed, and what lies side by side in one
//! read.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::process::{Gateway, wait_for};

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN}
upstreams:
  chat: {provider: custom, dialect: openai, base_url: 'http://CHAT/v1', probe: {kind: 'off'}, credentials: [k]}
  messages: {provider: custom, dialect: anthropic, base_url: 'http://MESSAGES', probe: {kind: 'off'}, credentials: [k]}
  plain: {provider: http, base_url: 'http://PLAIN/base', probe: {kind: 'off'}}
  inner: {provider: http, base_url: 'http://CHAT/inner', probe: {kind: 'off'}}
routes:
  - {model: chat, channels: [{upstream: chat}]}
  - {model: messages, channels: [{upstream: messages}]}
  - {path: /open/, channels: [{upstream: plain}]}
  - {path: /all/, channels: [{upstream: plain}]}
  - {path: /all/private/, channels: [{upstream: inner}]}
defaults: {retry: {max_attempts: 1}}
";

/// An upstream that says the same to everybody, in one piece, and remembers the lines that it was asked by.
struct Upstream {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    fn says(said: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&asked);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let line = answer(socket, said);
                lines.lock().unwrap().extend(line);
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// The line that it was asked by.
fn answer(mut socket: TcpStream, said: &str) -> Option<String> {
    let mut reader = BufReader::new(socket.try_clone().ok()?);
    let (mut lines, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? <= 2 {
            break;
        }
        if let Some(said) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = said.trim().parse().ok()?;
        }
        lines.push(line.trim_end().to_owned());
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    socket.write_all(said.as_bytes()).ok()?;
    lines.into_iter().next()
}

fn gateway(chat: &Upstream, messages: &Upstream, plain: &Upstream) -> Gateway {
    let at = |routing: String, word: &str, upstream: &Upstream| {
        routing.replace(word, &upstream.address.to_string())
    };
    let routing = at(ROUTING.to_owned(), "CHAT", chat);
    Gateway::start(&at(at(routing, "MESSAGES", messages), "PLAIN", plain))
}

const NOTHING: &str = "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n";

/// All that comes back to these bytes until the connection ends.
fn exchange(to: SocketAddr, said: &str) -> String {
    let mut socket = TcpStream::connect(to).unwrap();
    socket.write_all(said.as_bytes()).unwrap();
    let mut came = Vec::new();
    // A cut is an end as well.
    let _ = socket.read_to_end(&mut came);
    String::from_utf8_lossy(&came).into_owned()
}

fn ask(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn stream(path: &str, model: &str) -> String {
    ask(
        path,
        &format!(
            r#"{{"model":"{model}","stream":true,"max_tokens":9,"messages":[{{"role":"user","content":"hi"}}]}}"#
        ),
    )
}

fn is_quiet(gateway: &Gateway) {
    let gauges = ["mainstay_requests_in_flight", "mainstay_attempts_in_flight"];
    let quiet = || {
        let metrics = gateway.metrics();
        let busy = |line: &&str| gauges.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0");
        metrics.lines().find(busy).is_none().then_some(())
    };
    assert!(wait_for(10, quiet).is_some(), "{}", gateway.metrics());
}

#[test]
fn a_length_beside_chunks_is_passed_to_nobody() {
    // The second answer's beginning lies where the wrong length ends.
    let both = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n\
                1b\r\n{\"choices\":[{\"message\":{}}]\r\n1\r\n}\r\n0\r\n\r\n";
    let (chat, plain) = (Upstream::says(both), Upstream::says(both));
    let gateway = gateway(&chat, &Upstream::says(NOTHING), &plain);
    let whole = ask("/v1/chat/completions", r#"{"model":"chat","messages":[]}"#);
    for said in [whole, "GET /open/x HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n".to_owned()] {
        let came = exchange(gateway.callers, &said);
        assert!(!came.contains("content-length: 3"), "{came}");
        let (_, body) = came.split_once("\r\n\r\n").expect("a head");
        let joined: String = body.split("\r\n").filter(|line| line.contains(['{', '}'])).collect();
        assert_eq!(joined, r#"{"choices":[{"message":{}}]}"#, "{came}");
    }
    is_quiet(&gateway);
}

#[test]
fn what_lies_behind_an_error_is_no_part_of_the_answer() {
    let chat = Upstream::says(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
         data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n\
         data: {\"error\":{\"message\":\"the engine died\",\"type\":\"server_error\",\"code\":500}}\n\n\
         data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"UNSAID\"},\"finish_reason\":\"stop\"}]}\n\n\
         data: [DONE]\n\n",
    );
    let messages = Upstream::says(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
         event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[],\"model\":\"m\",\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n\
         event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
         event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n\
         event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"the engine died\"}}\n\n\
         event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let gateway = gateway(&chat, &messages, &Upstream::says(NOTHING));
    for (path, end) in [("/v1/chat/completions", "[DONE]"), ("/anthropic/v1/messages", "message_stop")] {
        for model in ["chat", "messages"] {
            let came = exchange(gateway.callers, &stream(path, model));
            let what = format!("{path} of {model}: {came}");
            assert!(came.contains("Hello") && came.contains("error"), "{what}");
            for unsaid in ["UNSAID", end, "\"stop\"", "end_turn", "\r\n0\r\n"] {
                assert!(!came.contains(unsaid), "{unsaid}: {what}");
            }
        }
    }
    is_quiet(&gateway);
}

#[test]
fn half_an_event_is_not_glued_to_the_end() {
    let chat = Upstream::says(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n\
         data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hello\"},\"finish_reason\":null}]}\n\n\
         data: {broken\n\n\
         data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
         data: [DO",
    );
    let nothing = Upstream::says(NOTHING);
    let gateway = gateway(&chat, &nothing, &nothing);
    let came = exchange(gateway.callers, &stream("/v1/chat/completions", "chat"));
    assert!(came.contains("Hello") && came.contains("data: [DONE]\n\n"), "{came}");
    assert!(!came.contains("broken") && !came.contains("data: [DOdata"), "{came}");
    assert!(came.ends_with("\r\n0\r\n\r\n"), "it is whole: {came}");
    is_quiet(&gateway);
}

/// Chat's stream of these events, each in a chunk of its own.
fn chunks(events: &[&str]) -> &'static str {
    const HEAD: &str =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = |event: &&str| {
        let event = format!("data: {event}\n\n");
        format!("{:x}\r\n{event}\r\n", event.len())
    };
    let body: Vec<String> = events.iter().map(chunk).collect();
    Box::leak([HEAD, &body.concat(), "0\r\n\r\n"].concat().into_boxed_str())
}

/// One of chat's events.
macro_rules! delta {
    ($delta:literal) => {
        delta!($delta, "null")
    };
    ($delta:literal, $reason:literal) => {
        concat!(
            r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"#,
            $delta,
            r#"},"finish_reason":"#,
            $reason,
            "}]}"
        )
    };
}

const STOP: &str = delta!("", r#""stop""#);

#[test]
fn half_a_character_waits_for_its_other_half() {
    let chat = Upstream::says(chunks(&[
        delta!(r#""content":"The price is ""#),
        delta!(r#""content":"100 \ud83d""#),
        delta!(r#""content":"\ude00 not 200""#),
        delta!(r#""content":" euro.""#),
        STOP,
        "[DONE]",
    ]));
    let nothing = Upstream::says(NOTHING);
    let gateway = gateway(&chat, &nothing, &nothing);
    let came = exchange(gateway.callers, &stream("/anthropic/v1/messages", "chat"));
    for said in ["The price is ", "100 ", "\u{1f600} not 200", " euro.", "end_turn"] {
        assert!(came.contains(&format!("\"{said}\"")), "{said}: {came}");
    }
    is_quiet(&gateway);
}

#[test]
fn an_answer_of_which_a_piece_cannot_be_read_is_never_told_as_a_whole_one() {
    let broken = r#"{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"10"#;
    let hello = delta!(r#""content":"Hello""#);
    let nothing = Upstream::says(NOTHING);
    let chat = Upstream::says(chunks(&[hello, broken, delta!(r#""content":" euro""#), STOP, "[DONE]"]));
    let gateway = gateway(&chat, &nothing, &nothing);
    let came = exchange(gateway.callers, &stream("/anthropic/v1/messages", "chat"));
    assert!(came.contains("Hello") && came.contains("\"error\""), "{came}");
    for unsaid in [" euro", "end_turn", "message_stop", "\r\n0\r\n"] {
        assert!(!came.contains(unsaid), "{unsaid}: {came}");
    }
    // In its own dialect it goes on, without what nobody can read.
    let came = exchange(gateway.callers, &stream("/v1/chat/completions", "chat"));
    assert!(came.contains(" euro") && came.ends_with("\r\n0\r\n\r\n"), "{came}");
    is_quiet(&gateway);
    // As long as nothing has gone on, it is a failed attempt.
    let chat = Upstream::says(chunks(&[broken, hello, STOP, "[DONE]"]));
    let gateway = self::gateway(&chat, &nothing, &nothing);
    let came = exchange(gateway.callers, &stream("/anthropic/v1/messages", "chat"));
    assert!(came.starts_with("HTTP/1.1 502"), "{came}");
    is_quiet(&gateway);
    // Neither what was never meant to be a piece nor what comes behind all of them is missed.
    let chat = Upstream::says(chunks(&["ping", hello, "ping", STOP, broken, "[DONE]"]));
    let gateway = self::gateway(&chat, &nothing, &nothing);
    let came = exchange(gateway.callers, &stream("/anthropic/v1/messages", "chat"));
    assert!(came.contains("end_turn") && came.ends_with("\r\n0\r\n\r\n"), "{came}");
    is_quiet(&gateway);
}

#[test]
fn a_call_with_half_its_arguments_is_never_told_as_a_whole_one() {
    let call = delta!(
        r#""tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{\"path\":"}}]"#
    );
    let finish = delta!("", r#""tool_calls""#);
    let chat = Upstream::says(chunks(&[delta!(r#""content":"Hello""#), call, finish, "[DONE]"]));
    let nothing = Upstream::says(NOTHING);
    let gateway = gateway(&chat, &nothing, &nothing);
    for path in ["/anthropic/v1/messages", "/v1beta/models/chat:streamGenerateContent?alt=sse"] {
        let said = r#"{"model":"chat","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}],"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
        let came = exchange(gateway.callers, &ask(path, said));
        assert!(came.contains("Hello") && came.contains("\"error\""), "{path}: {came}");
        for unsaid in ["functionCall", "STOP", "message_stop", "\r\n0\r\n"] {
            assert!(!came.contains(unsaid), "{path} {unsaid}: {came}");
        }
    }
    is_quiet(&gateway);
}

#[test]
fn an_answer_that_failed_in_its_middle_is_never_told_as_a_whole_one() {
    let failed = delta!("", r#""insufficient_system_resource""#);
    let chat = Upstream::says(chunks(&[delta!(r#""content":"Hello""#), failed, "[DONE]"]));
    let body = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"insufficient_system_resource"}]}"#;
    let whole = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let nothing = Upstream::says(NOTHING);
    let streams = gateway(&chat, &nothing, &nothing);
    let wholes = gateway(&Upstream::says(Box::leak(whole.into_boxed_str())), &nothing, &nothing);
    for (path, end) in [("/anthropic/v1/messages", "end_turn"), ("/v1/responses", "response.completed")] {
        let said = r#"{"model":"chat","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}],"input":"hi"}"#;
        let came = exchange(streams.callers, &ask(path, said));
        assert!(came.contains("Hello") && came.contains("the model failed"), "{path}: {came}");
        for unsaid in [end, "message_stop", "\r\n0\r\n"] {
            assert!(!came.contains(unsaid), "{path} {unsaid}: {came}");
        }
        let came = exchange(wholes.callers, &ask(path, &said.replace("true", "false")));
        assert!(came.starts_with("HTTP/1.1 502"), "another channel could answer: {came}");
    }
    // His own vendor's words pass as they are.
    let came = exchange(streams.callers, &stream("/v1/chat/completions", "chat"));
    assert!(came.contains("insufficient_system_resource") && came.ends_with("\r\n0\r\n\r\n"), "{came}");
    is_quiet(&streams);
    is_quiet(&wholes);
}

#[test]
fn whose_account_pays_is_no_callers_affair() {
    let said = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 28\r\nset-cookie: __cf_bm=1\r\n\
                openai-organization: org-1\r\nopenai-project: proj-1\r\nanthropic-organization-id: org-2\r\nx-kept: 1\r\n\
                alt-svc: h3=\":443\"\r\nstrict-transport-security: max-age=1\r\naccess-control-allow-origin: *\r\n\
                nel: {}\r\nclear-site-data: \"*\"\r\n\r\n{\"choices\":[{\"message\":{}}]}";
    let (chat, plain) = (Upstream::says(said), Upstream::says(said));
    let gateway = gateway(&chat, &Upstream::says(NOTHING), &plain);
    let came = exchange(gateway.callers, &ask("/v1/chat/completions", r#"{"model":"chat","messages":[]}"#));
    assert!(came.contains("x-kept") && came.ends_with(r#"{"choices":[{"message":{}}]}"#), "{came}");
    for name in ["set-cookie", "openai-organization", "openai-project", "anthropic-organization-id"] {
        assert!(!came.contains(name), "{name}: {came}");
    }
    // What a vendor's host says of itself does not hold for the gateway's.
    let of_host = ["strict-transport-security", "access-control-allow-origin", "nel", "clear-site-data"];
    for name in of_host.into_iter().chain(["alt-svc"]) {
        assert!(!came.contains(&format!("\n{name}:")), "{name}: {came}");
    }
    // A service's cookies are its callers', and where it stands is where they think it is, but for its ports.
    let came =
        exchange(gateway.callers, "GET /open/x HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n");
    assert!(came.contains("set-cookie: __cf_bm=1") && !came.contains("alt-svc"), "{came}");
    for name in of_host {
        assert!(came.contains(&format!("\n{name}:")), "{name}: {came}");
    }
    is_quiet(&gateway);
}

#[test]
fn what_is_no_answer_is_no_success() {
    let said = |kind: &str, body: &str| -> &'static str {
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
        Box::leak((head + body).into_boxed_str())
    };
    let nothing = Upstream::says(NOTHING);
    let good = r#"{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
    let whole = ask("/v1/chat/completions", r#"{"model":"chat","messages":[]}"#);
    let streamed = stream("/v1/chat/completions", "chat");
    for (asked, kind, body) in [
        (&whole, "text/html", "<html>Are you a human?</html>"),
        (&whole, "application/json", "null"),
        (&whole, "application/json", "{}"),
        (&whole, "application/json", "[]"),
        (&streamed, "text/html", "<html>Are you a human?</html>"),
        (&streamed, "application/json", "null"),
        // In the other form than the one that was asked for, in which nobody's SDK finds it.
        (&streamed, "application/json", good),
        (
            &whole,
            "text/event-stream",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hi\"}}]}\n\ndata: [DONE]\n\n",
        ),
    ] {
        let gateway = gateway(&Upstream::says(said(kind, body)), &nothing, &nothing);
        let came = exchange(gateway.callers, asked);
        assert!(came.starts_with("HTTP/1.1 502"), "{kind} {body}: {came}");
        is_quiet(&gateway);
    }
    // Whoever forgets to say what it is may still have answered.
    let gateway = gateway(&Upstream::says(said("x", good)), &nothing, &nothing);
    assert!(exchange(gateway.callers, &whole).starts_with("HTTP/1.1 200"));
}

#[test]
fn a_path_leads_nowhere_but_to_the_route_that_it_begins_like() {
    let plain = Upstream::says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok");
    let nothing = Upstream::says(NOTHING);
    let gateway = gateway(&nothing, &nothing, &plain);
    let get = |path: &str| {
        let asked = format!("GET {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n");
        exchange(gateway.callers, &asked).lines().next().unwrap_or_default().to_owned()
    };
    for path in [
        "/open/../private",
        "/open/%2e%2e/private",
        "/open/%2E./private",
        "/open/..%2fprivate",
        "/open/x/..%5Cprivate",
        "/open/..;a=1/private",
        "/open/./x",
        "/open/x/..",
        "/open//../private",
        "/open/%2e%2e%2fprivate",
        "/all//private/x",
        "/all/%70rivate/x",
        "/all/private%2fx",
        "/all/private;a=1/x",
        "/all/\\private/x",
    ] {
        assert_eq!(get(path), "HTTP/1.1 400 Bad Request", "{path}");
    }
    assert_eq!(plain.asked(), [""; 0], "nobody was asked for any of it");
    for path in [
        "/open/a..b/.hidden/c.json",
        "/open/group%2Fproject",
        "/open/...",
        "/open/x?to=../y",
        "/open/https://example.com/%7Eada;v=1",
        "/open/%zz%",
    ] {
        assert_eq!(get(path), "HTTP/1.1 200 OK", "{path}");
    }
    is_quiet(&gateway);
}

#[tokio::test(start_paused = true)]
async fn no_caller_reads_our_keys_or_our_accounts_in_an_upstreams_words() {
    use crate::lab::{Ask, End, Lab, Said, Scribe};
    use serde_json::json;

    const KEY: &str = "sk-a-key-of-a-test";
    let words = format!("Wrong key {KEY} of org-A1b2C3d4E5f6 and proj_A1b2C3d4E5f6; an org-chart is none");
    let routing = format!(
        "version: 1\nupstreams: {{far: {{provider: openai, dialect: openai, base_url: 'http://far/v1', credentials: ['{KEY}']}}}}\nroutes: [{{model: demo, channels: [{{upstream: far}}]}}]"
    );
    let error =
        json!({"error": {"message": words, "type": "invalid_request_error", "param": null, "code": null}});
    let chunk = |text: &str| {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]})
    };
    let stream =
        |events: &str| Said::status(200).header("content-type", "text/event-stream").data(events.to_owned());
    let begun = format!("data: {}\n\n", chunk("hello"));
    let ask = |path: &str, streamed: bool| {
        let messages = json!([{"role": "user", "content": "hi"}]);
        Ask::post(
            path,
            json!({"model": "demo", "max_tokens": 9, "stream": streamed, "messages": messages}).to_string(),
        )
    };
    let mut said: Vec<(Said, bool)> = [400, 401, 402, 403, 404, 429, 500]
        .map(|status| (Said::json(status, error.to_string()), false))
        .into();
    // However much comes before it, and wherever what is read of it at once ends.
    for length in [16_200, 16_300, 16_384, 60_000] {
        let long = json!({"about": "x".repeat(length), "error": error["error"]});
        said.push((Said::json(400, long.to_string()), false));
    }
    said.push((Said::json(200, error.to_string()), false));
    said.push((stream(&format!("data: {error}\n\n")), true));
    said.push((stream(&format!("{begun}data: {error}\n\n")), true));
    for (said, streamed) in said {
        for path in ["/v1/chat/completions", "/anthropic/v1/messages"] {
            let scribe = Scribe::saying(said.clone());
            let lab = Lab::beside(&routing, &[("far", &scribe)]);
            let answer = lab.send(&ask(path, streamed)).await;
            let text = answer.text();
            for ours in [KEY, "org-A1b2C3d4E5f6", "proj_A1b2C3d4E5f6"] {
                assert!(!text.contains(ours), "{path}: {text}");
            }
            let shown = text.contains("Wrong key ******************");
            assert!(shown || !text.contains("Wrong key"), "{path}: {text}");
            assert!(!text.contains("org-") || text.contains("an org-chart is none"), "{path}: {text}");
            let cut = streamed && text.contains("hello");
            assert_eq!(answer.end, if cut { End::Cut } else { End::Clean }, "{path}: {text}");
            lab.assert_quiet().await;
        }
    }
}

/// Gemini's CLI asks again after an error in its stream, but not when the connection breaks with it.
#[tokio::test(start_paused = true)]
async fn an_error_in_geminis_own_words_ends_a_stream_as_cleanly_as_there() {
    use crate::lab::{Ask, End, Lab, Said, Scribe};

    let part = r#"data: {"candidates":[{"content":{"role":"model","parts":[{"text":"hello"}]},"index":0}]}"#;
    let error = r#"data: {"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}"#;
    let routing = "version: 1\nupstreams: {far: {provider: custom, dialect: gemini, base_url: 'http://far'}}\nroutes: [{model: demo, channels: [{upstream: far}]}]";
    for (said, end) in [(format!("{part}\n\n{error}\n\n"), End::Clean), (format!("{part}\n\n"), End::Cut)] {
        let said = Said::status(200).header("content-type", "text/event-stream").data(said);
        let lab = Lab::beside(routing, &[("far", &Scribe::saying(said))]);
        let body = r#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
        let path = "/gemini/v1beta/models/demo:streamGenerateContent?alt=sse";
        let answer = lab.send(&Ask::post(path, body.to_owned())).await;
        assert_eq!(answer.end, end, "{}", answer.text());
        assert!(answer.text().contains("\"error\"") && answer.text().contains("hello"), "{}", answer.text());
        lab.assert_quiet().await;
    }
}
