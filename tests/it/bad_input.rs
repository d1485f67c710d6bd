//! Bad input: a clear 4xx in the caller's dialect, and no upstream hears of it.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use mainstay::algo::dice::Dice;
use serde_json::{Value, json};

use crate::lab::{Answer, Ask, Lab};

const YAML: &str = "
version: 1
server: {limits: {max_body: 64KiB, replay_body: 16KiB}, timeouts: {body_read: 5s}}
upstreams:
  a: {provider: simulated}
  b: {provider: simulated}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b}]
  - model: gpt-5.4-mini
    channels: [{upstream: a}]
  - path: /orders/
    channels: [{upstream: a}, {upstream: b}]
";

/// More than `max_body`.
const TOO_MUCH: usize = 100_000;

const CHAT: &str = "/v1/chat/completions";

/// A way in per dialect whose model is in a JSON body.
const WITH_BODY: [(&str, &str); 3] =
    [("openai", CHAT), ("responses", "/v1/responses"), ("anthropic", "/anthropic/v1/messages")];

const GEMINI: &str = "/gemini/v1beta/models/demo:generateContent";

/// An error in the shape that `dialect`'s SDKs read (WIRE §2.2, §3.5).
fn assert_shape(dialect: &str, answer: &Answer) -> String {
    let body = answer.json();
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let error = &body["error"];
    assert!(text(&error["message"]), "{dialect}: {body}");
    let id = answer.header("x-mainstay-request-id");
    assert!(!id.is_empty(), "{dialect}: every answer has a name");
    let theirs = match dialect {
        "openai" | "responses" => "x-request-id",
        "anthropic" => "request-id",
        _ => "x-mainstay-request-id",
    };
    assert_eq!(answer.header(theirs), id, "{dialect}: where SDKs look for it");
    match dialect {
        "openai" | "responses" => {
            let fields = error.as_object().unwrap();
            assert!(text(&error["type"]), "{body}");
            assert!(fields.contains_key("param") && fields.contains_key("code"), "{body}");
        }
        "anthropic" => {
            assert_eq!(body["type"], "error", "{body}");
            assert!(text(&error["type"]), "{body}");
            assert_eq!(body["request_id"], id, "{body}");
        }
        "gemini" => {
            assert!(answer.text().starts_with(r#"{"error":"#), "the first key: {body}");
            assert_eq!(error["code"], answer.status.as_u16(), "{body}");
            assert!(text(&error["status"]), "{body}");
        }
        "http" => assert_eq!(body["request_id"], id, "{body}"),
        other => panic!("{other} is no dialect"),
    }
    assert_eq!(answer.header("content-type"), "application/json");
    error["message"].as_str().unwrap().to_owned()
}

/// A refusal of `ask`, before any upstream.
struct Refused<'a> {
    dialect: &'a str,
    status: u16,
    /// The label in `mainstay_rejected_total`.
    reason: &'a str,
    /// What the message has to name.
    says: &'a str,
}

impl Lab {
    async fn assert_refused(&self, ask: &Ask, refused: &Refused<'_>) -> Answer {
        let Refused { dialect, status, reason, says } = *refused;
        let series = format!(r#"mainstay_rejected_total{{reason="{reason}"}}"#);
        let before = self.metric(&series);
        let answer = self.send(ask).await;
        let what = format!("{dialect} {} {:.80}", ask.path, String::from_utf8_lossy(&ask.body));
        assert_eq!(answer.status.as_u16(), status, "{what}: {}", answer.text());
        let message = assert_shape(dialect, &answer);
        assert!(message.contains(says), "{what}: {message:?} does not say {says:?}");
        assert!(message.len() < 600, "{what}: a message, no echo of everything: {message}");
        assert_eq!(self.metric(&series), before + 1.0, "{what}: counted as {reason}");
        assert_eq!(answer.header("x-mainstay-attempts"), "", "{what}");
        self.assert_untouched(&what);
        answer
    }

    /// No upstream has heard of anything, and nobody's memory has changed.
    fn assert_untouched(&self, what: &str) {
        for name in ["a", "b"] {
            let counts = self.sim(name).control().counts();
            assert_eq!((counts.arrived, counts.connections), (0, 0), "{what}: {name} was bothered");
            assert_eq!(self.breaker(name, ""), "closed", "{what}");
            assert_eq!(self.breaker(name, "demo"), "closed", "{what}");
        }
        for name in ["attempts", "breaker_transitions", "cooldowns", "retries", "faults"] {
            let sum = self.metric_sum(&format!("mainstay_{name}_total"), &[]);
            assert_eq!(sum, 0.0, "{what}: mainstay_{name}_total");
        }
    }
}

fn bad_request<'a>(dialect: &'a str, says: &'a str) -> Refused<'a> {
    Refused { dialect, status: 400, reason: "bad_request", says }
}

fn not_found<'a>(dialect: &'a str, says: &'a str) -> Refused<'a> {
    Refused { dialect, status: 404, reason: "not_found", says }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_request_is_refused_with_the_place_of_the_mistake() {
    let lab = Lab::start(YAML);
    let deep = format!(r#"{{"model":"demo","x":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(1_000));
    let bodies: [(&[u8], &str); 22] = [
        (b"", "JSON"),
        (b"   ", "JSON"),
        (b"null", "expected an object"),
        (b"[]", "expected an object"),
        (b"\"demo\"", "expected an object"),
        (b"{", "JSON"),
        (b"{\"model\":\"demo\"", "JSON"),
        (b"{\"model\":\"demo\",}", "JSON"),
        (b"{'model':'demo'}", "JSON"),
        (b"{\"model\":\"demo\"} {}", "JSON"),
        (b"{\"model\":\"demo\"}}", "JSON"),
        (b"{\"model\":\"de\nmo\"}", "JSON"),
        (b"{\"model\":\"demo\",\"x\":01}", "JSON"),
        (b"{\"model\":\"demo\",\"x\":nul}", "JSON"),
        (b"{\"model\":\"\\ud800\"}", "surrogate"),
        (b"{\"model\":7}", "model"),
        (b"{\"model\":null}", "model"),
        (b"{\"model\":\"demo\",\"model\":\"demo\"}", "model"),
        (b"{\"messages\":[]}", "model"),
        (b"{\"model\":\"demo\",\"x\":\"\xff\xfe\"}", "UTF-8"),
        (deep.as_bytes(), "nesting"),
        (long.as_bytes(), "model"),
    ];
    for (dialect, path) in WITH_BODY {
        for (body, says) in bodies {
            let ask = Ask::post(path, Bytes::copy_from_slice(body));
            lab.assert_refused(&ask, &bad_request(dialect, says)).await;
        }
        let ask = Ask::post(path, &br#"{"model":"demo","stream":"yes"}"#[..]);
        lab.assert_refused(&ask, &bad_request(dialect, "stream")).await;
        let ask = Ask::post(path, &br#"{"model":"demo","stream":true,"stream":false}"#[..]);
        lab.assert_refused(&ask, &bad_request(dialect, "stream")).await;
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_refused_and_not_read() {
    let lab = Lab::start(YAML);
    let padding = "x".repeat(TOO_MUCH);
    let body = format!(r#"{{"model":"demo","x":"{padding}"}}"#);
    let ways = WITH_BODY.into_iter().chain([
        ("gemini", GEMINI),
        ("http", "/orders/7"),
        ("anthropic", "/v1/messages"),
    ]);
    for (dialect, path) in ways {
        let refused = Refused { dialect, status: 413, reason: "too_large", says: "65536 bytes" };
        let answer = lab.assert_refused(&Ask::post(path, body.clone()), &refused).await;
        assert_eq!(answer.header("connection"), "close", "{path}: what is left of the body is not read");

        // Not a byte of the announced body was sent.
        let head = format!("POST {path} HTTP/1.1\r\nhost: g\r\ncontent-length: {TOO_MUCH}\r\n\r\n");
        let began = lab.gateway.live.now();
        let answer = lab.say(head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
        assert_eq!(lab.gateway.live.now().since(began), Duration::ZERO, "{path}: refused at once");
    }
    // A length that nobody announced.
    for (_, path) in WITH_BODY {
        let mut request = format!("POST {path} HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n");
        for _ in 0..10 {
            request.extend(["2710\r\n", &"y".repeat(10_000), "\r\n"]);
        }
        let answer = lab.say(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{path}: {answer}");
        assert!(answer.contains("connection: close"), "{path}: {answer}");
    }
    lab.assert_untouched("chunks without end");

    // The largest body that may come.
    let frame = r#"{"model":"demo","messages":[],"x":""}"#.len();
    let body = format!(r#"{{"model":"demo","messages":[],"x":"{}"}}"#, "x".repeat(64 * 1024 - frame));
    assert_eq!(body.len(), 64 * 1024);
    lab.send(&Ask::post(CHAT, body)).await.spoken().unwrap();
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_model_is_named_with_those_that_are_close() {
    let lab = Lab::start(YAML);
    for (dialect, path) in WITH_BODY {
        let ask = |model: &str| Ask::post(path, json!({"model": model}).to_string());
        let answer = lab.assert_refused(&ask("demos"), &not_found(dialect, "`demo`")).await;
        if dialect != "anthropic" {
            assert_eq!(answer.json()["error"]["code"], "model_not_found");
            assert_eq!(answer.json()["error"]["param"], "model");
        }
        lab.assert_refused(&ask("gpt-5.4-mni"), &not_found(dialect, "`gpt-5.4-mini`")).await;
        lab.assert_refused(&ask("qqqqqqqqqqqqqqqqq"), &not_found(dialect, "/v1/models")).await;
        for odd in ["de\u{0}mo", "de\nmo\r\nx: y", "\u{1b}[31mdemo", "dem\u{85}o"] {
            lab.assert_refused(&ask(odd), &bad_request(dialect, "control character")).await;
        }
        for odd in ["dem\u{202e}o", "démo", "demo ", "DEMO", "../demo", "demo/*", "*"] {
            lab.assert_refused(&ask(odd), &not_found(dialect, "not configured")).await;
        }
        lab.assert_refused(&ask(""), &bad_request(dialect, "empty")).await;
    }
    let gemini = |model: &str| Ask::post(&format!("/gemini/v1beta/models/{model}:generateContent"), "{}");
    lab.assert_refused(&gemini("demos"), &not_found("gemini", "`demo`")).await;
    lab.assert_refused(&gemini("vendor%2Fmodel"), &not_found("gemini", "vendor/model")).await;
    lab.assert_refused(&gemini(&"m".repeat(4_000)), &not_found("gemini", "")).await;
    lab.assert_refused(&Ask::get("/v1/models/demos"), &not_found("openai", "demo")).await;
    lab.assert_refused(&Ask::get("/anthropic/v1/models/demos"), &not_found("anthropic", "demo")).await;
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn paths_that_lead_nowhere_or_out_of_their_place_are_not_found() {
    let lab = Lab::start(YAML);
    let paths = [
        ("openai", "/v1/nothing"),
        ("openai", "/v1/chat/completions/"),
        ("openai", "/v1//chat/completions"),
        ("openai", "/v1/%63hat/completions"),
        ("anthropic", "/anthropic/v1/nothing"),
        ("gemini", "/gemini/v1beta/nothing"),
        ("gemini", "/v1beta/models/demo:dance"),
        ("gemini", "/gemini/v1beta/models/:generateContent"),
        ("gemini", "/gemini/v1beta/models/..:generateContent"),
        ("gemini", "/gemini/v1beta/models/%2e%2e:generateContent"),
        ("gemini", "/gemini/v1beta/models/a%2F..%2F..%2Fb:generateContent"),
        ("gemini", "/gemini/v1beta/models/../../b:generateContent"),
        ("gemini", "/gemini/v1beta/models/%2Fdemo:generateContent"),
        ("gemini", "/gemini/v1beta/models/demo%00:generateContent"),
        ("gemini", "/gemini/v1beta/models/demo%0d%0a:generateContent"),
        ("gemini", "/gemini/v1beta/models/demo%zz:generateContent"),
        ("gemini", "/gemini/v1beta/models/demo%:generateContent"),
        ("gemini", "/gemini/v1beta/models/%ff%fe:generateContent"),
        ("gemini", "/gemini/v1beta/models/demo%3Fkey=x:generateContent"),
        ("http", "/"),
        ("http", "/nothing"),
        ("http", "/order/7"),
        ("http", "/v2/chat/completions"),
        ("http", "/metrics"),
        ("http", "/admin/explain"),
    ];
    for (dialect, path) in paths {
        lab.assert_refused(&Ask::post(path, "{}"), &not_found(dialect, "")).await;
        lab.assert_refused(&Ask::bare(Method::POST, path), &not_found(dialect, "")).await;
    }
    let ask = Ask::post("/v1/nothing", "{}").header("x-api-key", "k");
    lab.assert_refused(&ask, &not_found("anthropic", "/v1/nothing")).await;
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn wrong_methods_are_told_the_right_one() {
    let lab = Lab::start(YAML);
    let asks = [
        ("openai", Method::GET, CHAT, "POST"),
        ("openai", Method::PUT, "/v1/embeddings", "POST"),
        ("responses", Method::DELETE, "/v1/responses", "POST"),
        ("anthropic", Method::GET, "/anthropic/v1/messages", "POST"),
        ("anthropic", Method::PATCH, "/v1/messages/count_tokens", "POST"),
        ("gemini", Method::GET, GEMINI, "POST"),
        ("openai", Method::POST, "/v1/models", "GET"),
        ("openai", Method::DELETE, "/v1/models/demo", "GET"),
    ];
    for (dialect, method, path, allow) in asks {
        let refused = Refused { dialect, status: 405, reason: "method_not_allowed", says: allow };
        let answer = lab.assert_refused(&Ask::bare(method, path), &refused).await;
        assert_eq!(answer.header("allow"), allow);
    }
    lab.assert_quiet().await;
}

/// Codex asks for responses so where its provider may have WebSockets, and takes 426 alone for a reason to go on without.
#[tokio::test(start_paused = true)]
async fn who_asks_over_a_websocket_is_told_to_come_without() {
    let lab = Lab::start(YAML);
    for (dialect, path) in [("responses", "/v1/responses"), ("openai", CHAT)] {
        let ask = Ask::bare(Method::GET, path).header("connection", "Upgrade").header("upgrade", "websocket");
        let refused = Refused { dialect, status: 426, reason: "method_not_allowed", says: "plain HTTP" };
        let answer = lab.assert_refused(&ask, &refused).await;
        assert_eq!((answer.header("allow"), answer.header("upgrade")), ("POST", "HTTP/1.1"));
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn forms_without_a_sound_model_are_refused() {
    let lab = Lab::start(YAML);
    let part = |name: &str, value: &str| {
        format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let model = part("model", "demo");
    let file = part("file", "RIFF");
    let forms: [(&str, String); 8] = [
        ("multipart/form-data", format!("{model}--B--\r\n")),
        ("multipart/form-data; boundary=", format!("{model}--B--\r\n")),
        ("multipart/form-data; boundary=C", format!("{model}--B--\r\n")),
        ("multipart/form-data; boundary=B", format!("{file}--B--\r\n")),
        ("multipart/form-data; boundary=B", format!("{model}{model}--B--\r\n")),
        ("multipart/form-data; boundary=B", model.clone()),
        ("multipart/form-data; boundary=B", String::new()),
        ("multipart/form-data; boundary=B", format!("{}--B--\r\n", part("model", &"m".repeat(300)))),
    ];
    for path in ["/v1/audio/transcriptions", "/v1/images/edits"] {
        for (content_type, form) in &forms {
            let mut ask = Ask::post(path, form.clone());
            ask.headers = vec![("content-type", (*content_type).to_owned())];
            lab.assert_refused(&ask, &bad_request("openai", "")).await;
        }
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_sends_too_slowly_or_not_all_is_told_so() {
    let lab = Lab::start(YAML);
    let timed_out = r#"mainstay_rejected_total{reason="request_timeout"}"#;
    let broken = r#"mainstay_rejected_total{reason="bad_request"}"#;
    let ways = WITH_BODY.into_iter().chain([("gemini", GEMINI), ("http", "/orders/7")]);
    for (round, (dialect, path)) in ways.enumerate() {
        let round = round as f64 + 1.0;
        let head = format!("POST {path} HTTP/1.1\r\nhost: g\r\ncontent-length: 100\r\n\r\n{{\"model\":");
        let began = lab.gateway.live.now();
        let answer = lab.say(head.as_bytes()).await;
        let took = lab.gateway.live.now().since(began);
        assert!(answer.starts_with("HTTP/1.1 408"), "{dialect}: {answer}");
        assert!(answer.contains("connection: close") && answer.contains("5 s"), "{dialect}: {answer}");
        assert_eq!(took.as_secs(), 5, "{dialect}: body_read, and not a second more");
        assert_eq!(lab.metric(timed_out), round, "{dialect}");

        let before = lab.metric(broken);
        lab.say_and_close(head.as_bytes()).await;
        assert_eq!(lab.metric(broken), before + 1.0, "{dialect}: cut short");

        let chunked = format!(
            "POST {path} HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{{\"mod\r\nzz\r\n"
        );
        let answer = lab.say(chunked.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{dialect}: {answer}");
        assert_eq!(lab.metric(timed_out), round, "{dialect}");
        lab.assert_untouched(dialect);
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn headers_of_any_kind_do_no_harm() {
    let lab = Lab::start(YAML);
    let own = "a-Valid_name.7:x";
    let answer = lab.send(&Ask::chat("demo").header("x-request-id", own)).await;
    answer.spoken().unwrap();
    assert_eq!(answer.header("x-mainstay-request-id"), own);
    let long = "i".repeat(65);
    for id in [
        "",
        " ",
        "a b",
        "a\tb",
        "\"><script>",
        "a;b",
        "a,b",
        "${jndi:ldap}",
        "\u{e9}",
        "%0d%0aset-cookie",
        &long,
    ] {
        let request = format!("GET /v1/nothing HTTP/1.1\r\nhost: g\r\nx-request-id: {id}\r\n\r\n");
        let answer = lab.say(request.as_bytes()).await;
        let line = answer.lines().find_map(|line| line.strip_prefix("x-mainstay-request-id: ")).unwrap();
        assert!(line.starts_with("req_") && line.len() == 28, "{id:?} became {line:?}");
    }
    let headers = [
        ("x-stainless-timeout", "99999999999999999999"),
        ("x-stainless-timeout", "1e300"),
        ("x-stainless-timeout", "inf"),
        ("x-stainless-timeout", "NaN"),
        ("x-stainless-timeout", "-5"),
        ("x-stainless-timeout", "NOT_GIVEN"),
        ("x-stainless-retry-count", "99999999999999999999"),
        ("x-stainless-retry-count", "-1"),
        ("x-request-deadline", "1e308"),
        ("x-request-deadline", "never"),
        ("grpc-timeout", "99999999H"),
        ("grpc-timeout", "1"),
        ("grpc-timeout", "\u{e9}S"),
        ("connection", "host, content-length, content-type, x-request-id, x-mainstay-route"),
        ("x-mainstay-channel", "b/demo"),
        ("te", "trailers, deflate;q=0.5"),
        ("content-type", "\u{e9};;=;"),
        ("idempotency-key", "\u{e9}"),
    ];
    for (name, value) in headers {
        let mut ask = Ask::chat("demo");
        ask.headers.retain(|(old, _)| *old != name);
        let answer = lab.send(&ask.header(name, value)).await;
        answer.spoken().unwrap_or_else(|error| panic!("{name}: {value}: {error}"));
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_has_passed_is_answered_without_an_upstream() {
    let lab = Lab::start(YAML);
    let gemini = Ask::post(GEMINI, r#"{"contents":[]}"#);
    let body = |path: &str| Ask::post(path, r#"{"model":"demo","stream":true,"messages":[]}"#);
    let asks = WITH_BODY
        .map(|(dialect, path)| (dialect, body(path)))
        .into_iter()
        .chain([("gemini", gemini), ("http", Ask::get("/orders/7"))]);
    for (dialect, ask) in asks {
        for (name, value) in [("x-request-deadline", "1000"), ("grpc-timeout", "0S")] {
            let answer = lab.send(&ask.clone().header(name, value)).await;
            assert_eq!(answer.status, 504, "{dialect}: {}", answer.text());
            let message = assert_shape(dialect, &answer);
            assert!(message.contains("deadline"), "{message}");
            assert_eq!(answer.header("x-mainstay-attempts"), "0");
            assert_eq!(
                answer.header("x-should-retry"),
                "false",
                "the same deadline has passed next time too"
            );
            lab.assert_untouched(dialect);
        }
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn heads_that_are_no_http_go_nowhere() {
    let lab = Lab::start(YAML);
    let body = r#"{"model":"demo","messages":[]}"#;
    let length = format!("content-length: {}", body.len());
    let many: Vec<_> = (0..500).map(|n| format!("x-{n}: 1\r\n")).collect();
    let many = many.concat();
    let heads = [
        format!("{length}\r\ncontent-length: 3"),
        format!("content-length: 3, {}", body.len()),
        "content-length: -1".to_owned(),
        "content-length: +30".to_owned(),
        "content-length: 0x1e".to_owned(),
        "content-length: 99999999999999999999999".to_owned(),
        "transfer-encoding: xchunked".to_owned(),
        "transfer-encoding: chunked, identity".to_owned(),
        format!("{length}\r\nx-nul: a\0b"),
        format!("{length}\r\nx y: 1"),
        format!("{length}\r\nx-space : 1"),
        format!("{length}\r\n: nameless"),
        format!("{length}\r\n{many}x: y"),
        format!("{length}\r\nx-large: {}", "v".repeat(600_000)),
    ];
    for head in heads {
        let request = format!("POST {CHAT} HTTP/1.1\r\nhost: g\r\n{head}\r\n\r\n{body}");
        let answer = lab.say(request.as_bytes()).await;
        let what = format!("{head:.60}");
        assert!(answer.starts_with("HTTP/1.1 4"), "{what}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: nothing is read behind it: {answer}");
        lab.assert_untouched(&what);
    }
    for line in
        ["POST", "POST /v1/chat/completions", "GET / HTTP/3.9", "\0", "POST v1 HTTP/1.1", "PRI * HTTP/2.0"]
    {
        let answer = lab.say(format!("{line}\r\nhost: g\r\n\r\n").as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{line}: {answer}");
        lab.assert_untouched(line);
    }
    let long = "a".repeat(70_000);
    let answer = lab.say(format!("GET /{long} HTTP/1.1\r\nhost: g\r\n\r\n").as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer:.200}");
    lab.assert_untouched("a long target");
    lab.assert_quiet().await;
}

/// A request that is sound, to be spoiled.
fn sound() -> String {
    let body = r#"{"model":"demo","messages":[],"x":[1,2e3,"\u00e9"]}"#;
    let length = body.len();
    format!(
        "POST {CHAT} HTTP/1.1\r\nhost: g\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[tokio::test(start_paused = true)]
async fn whatever_bytes_come_nothing_panics_and_the_next_caller_is_served() {
    const SEED: u64 = 20_261_121;
    let lab = Lab::start(YAML);
    let sound = sound();
    let (head, body) = sound.split_once("\r\n\r\n").unwrap();
    assert!(lab.say(sound.as_bytes()).await.starts_with("HTTP/1.1 200"));
    let mut dice = Dice::seeded(SEED);
    let (mut answered, mut served) = (0, 0);
    for round in 0..600 {
        let mut bytes = match round % 3 {
            // Noise from the first byte.
            0 => (0..dice.next_u64() % 300).map(|_| dice.next_u64() as u8).collect(),
            // Noise where the body should be.
            1 => {
                let noise: Vec<u8> = (0..body.len()).map(|_| dice.next_u64() as u8).collect();
                [head.as_bytes(), b"\r\n\r\n", &noise].concat()
            }
            _ => sound.as_bytes().to_vec(),
        };
        if round % 3 == 2 {
            for _ in 0..=dice.next_u64() % 4 {
                let at = (dice.next_u64() % bytes.len() as u64) as usize;
                match dice.next_u64() % 3 {
                    0 => bytes[at] = dice.next_u64() as u8,
                    1 => drop(bytes.remove(at)),
                    _ => bytes.insert(at, dice.next_u64() as u8),
                }
            }
        }
        // Panics when the gateway does.
        let answer = lab.say(&bytes).await;
        let http = answer.is_empty() || answer.starts_with("HTTP/1.1 ") || answer.starts_with("HTTP/1.0 ");
        assert!(http, "seed {SEED}, round {round}: {bytes:?} was answered {answer:?}");
        assert!(!answer.starts_with("HTTP/1.1 5"), "seed {SEED}, round {round}: {bytes:?}: {answer}");
        answered += usize::from(!answer.is_empty());
        served += usize::from(answer.starts_with("HTTP/1.1 200"));
        if round % 50 == 0 {
            lab.send(&Ask::chat("demo")).await.spoken().unwrap();
        }
    }
    println!("600 spoiled requests: {answered} answered, {served} of them were still sound");
    assert!(answered > 200);
    assert_eq!(lab.metric_sum("mainstay_breaker_transitions_total", &[]), 0.0);
    assert_eq!(lab.metric_sum("mainstay_retries_total", &[]), 0.0);
    lab.assert_quiet().await;
}

/// Against the real listener of a whole gateway.
#[test]
fn a_crowd_that_says_nothing_at_the_admin_port_keeps_nobody_out_and_takes_few_descriptors() {
    const CROWD: usize = 400;
    let gateway = crate::process::Gateway::start(
        "version: 1\nserver: {listen: LISTEN, admin: ADMIN}\nupstreams: {a: {provider: simulated}}\n\
         routes: [{model: demo, channels: [{upstream: a}]}]\n",
    );
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", gateway.id())).unwrap().count();
    let before = descriptors();
    let slow = |_| {
        let mut socket = std::net::TcpStream::connect(gateway.admin).unwrap();
        std::io::Write::write_all(&mut socket, b"GET /metrics HTTP/1.1\r\nx: ").unwrap();
        socket
    };
    let crowd: Vec<_> = (0..CROWD).map(slow).collect();
    for path in ["/metrics", "/readyz", "/admin/status"] {
        assert_eq!(crate::http::get(gateway.admin, path).unwrap().status, 200, "{path}");
    }
    let open = descriptors() - before;
    assert!(open < 200, "{open} of {CROWD}");
    drop(crowd);
}
