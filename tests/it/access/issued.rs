//! Issuers on sockets of their own, who publish keys, change them, talk nonsense and fall silent.

#![expect(clippy::disallowed_methods, reason = "other processes' clocks are the machine's")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::Method;
use mainstay::app::{self, App, Proof};
use mainstay::config::Env;
use mainstay::server::loader::Source;
use mainstay::vocab::Secret;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::pen::Pen;

/// Less than the gateway waits for an issuer, and more than an answer takes on a loaded machine.
const NO_WAIT: Duration = Duration::from_secs(4);

/// What an issuer does who is asked for its keys.
#[derive(Clone)]
enum Mood {
    Says(String),
    Status(u16),
    Redirects,
    /// Announces more than anybody would read, and sends on.
    Floods,
    Hangs,
}

struct Publisher {
    address: SocketAddr,
    mood: Mutex<Mood>,
    asked: AtomicUsize,
    /// Somewhere that nobody may be sent to.
    astray: AtomicUsize,
    listening: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl Publisher {
    async fn start(mood: Mood) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let publisher = Arc::new(Self {
            address: listener.local_addr().expect("an address"),
            mood: Mutex::new(mood),
            asked: AtomicUsize::default(),
            astray: AtomicUsize::default(),
            listening: Mutex::default(),
        });
        let own = Arc::clone(&publisher);
        let listening = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let own = Arc::clone(&own);
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match socket.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    let answer = own.answer(&String::from_utf8_lossy(&head));
                    let Some(answer) = answer else { return std::future::pending().await };
                    let _ = socket.write_all(answer.as_bytes()).await;
                });
            }
        });
        *publisher.listening.lock() = Some(listening);
        publisher
    }

    fn answer(&self, head: &str) -> Option<String> {
        let whole = |status: &str, fields: &str, body: &str| {
            let length = body.len();
            format!(
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{fields}connection: close\r\n\r\n{body}"
            )
        };
        let base = format!("http://{}", self.address);
        if head.starts_with("GET /.well-known/openid-configuration ") {
            let said = json!({"issuer": base, "jwks_uri": format!("{base}/keys")}).to_string();
            return Some(whole("200 OK", "", &said));
        }
        if !head.starts_with("GET /keys ") {
            self.astray.fetch_add(1, Relaxed);
            return Some(whole("200 OK", "", "{}"));
        }
        self.asked.fetch_add(1, Relaxed);
        match &*self.mood.lock() {
            Mood::Says(keys) => Some(whole("200 OK", "", keys)),
            Mood::Status(status) => Some(whole(&format!("{status} Sorry"), "", "{}")),
            Mood::Redirects => Some(whole("302 Found", &format!("location: {base}/elsewhere\r\n"), "")),
            Mood::Floods => Some(whole("200 OK", "", &"x".repeat(300_000))),
            Mood::Hangs => None,
        }
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// Nobody listens there any more.
    fn dies(&self) {
        if let Some(listening) = self.listening.lock().take() {
            listening.abort();
        }
    }

    fn token(&self, pen: &Pen, more: &Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
        let mut claims = json!({"iss": format!("http://{}", self.address), "aud": "mainstay", "sub": "ada",
                                "exp": now + 600, "team": "growth"});
        for (name, value) in more.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        pen.token(&claims)
    }
}

struct World;

impl Env for World {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &str) -> Result<String, String> {
        Err(format!("{path}: no files"))
    }
}

async fn gateway(publisher: &Publisher) -> App {
    let file = format!(
        "version: 1\naccess: keys\nteams: {{growth: {{}}}}\n\
         issuers: {{okta: {{issuer: 'http://{}', audience: mainstay, claims: {{team: team}}}}}}\n\
         server: {{listen: '127.0.0.1:0', admin: '127.0.0.1:0'}}\nupstreams: {{a: {{provider: simulated}}}}\n\
         routes: [{{model: demo, channels: [{{upstream: a}}]}}]\n",
        publisher.address
    );
    let source = Source::Text { name: "routing.yaml".to_owned(), text: file };
    App::start(source, Arc::new(World)).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn listed(app: &App, token: &str) -> (u16, String) {
    let base = format!("http://{}", app.address());
    let answer = app::ask(&base, "/v1/models", &Secret::new(token).into()).await.expect("an answer");
    (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
}

async fn comes_to(app: &App, token: &str, status: u16) {
    let begun = Instant::now();
    while listed(app, token).await.0 != status {
        assert!(begun.elapsed() < Duration::from_mins(1), "it never comes to {status}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn metrics(app: &App) -> String {
    let base = format!("http://{}", app.admin_address());
    let answer = app::tell(&base, Method::GET, "/metrics", &Proof::default(), bytes::Bytes::new())
        .await
        .expect("an answer");
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_there_before_anybody_asks_change_under_traffic_and_outlive_their_issuer() {
    let (one, two) = (Pen::new("1"), Pen::new("2"));
    let publisher = Publisher::start(Mood::Says(one.published())).await;
    let app = gateway(&publisher).await;
    let none = Value::Null;
    let (first, second) = (publisher.token(&one, &none), publisher.token(&two, &none));
    assert_eq!(listed(&app, &first).await.0, 200, "the first request of all");
    let (status, said) = listed(&app, &publisher.token(&one, &json!({"team": "nobody"}))).await;
    assert_eq!(status, 403, "{said}");
    for _ in 0..20 {
        assert_eq!(listed(&app, &first).await.0, 200);
    }
    assert_eq!(publisher.asked.load(Relaxed), 1, "nobody is asked for each request");

    // It signs with another key. The first of its tokens is asked to come again, and nobody waited.
    publisher.is(Mood::Says(two.published()));
    let begun = Instant::now();
    let (status, said) = listed(&app, &second).await;
    assert_eq!(status, 503, "{said}");
    assert!(begun.elapsed() < NO_WAIT, "{:?}", begun.elapsed());
    comes_to(&app, &second, 200).await;
    assert_eq!(publisher.asked.load(Relaxed), 2);
    assert_eq!(listed(&app, &first).await.0, 401, "its key is gone");

    // Whoever makes tokens up has it asked no oftener; their key may have been published since.
    for number in 0..5 {
        let forged = publisher.token(&Pen::new("9"), &json!({"sub": number.to_string()}));
        assert_eq!(listed(&app, &forged).await.0, 503);
    }
    assert_eq!(publisher.asked.load(Relaxed), 2);

    publisher.dies();
    assert_eq!(listed(&app, &second).await.0, 200);
    let text = metrics(&app).await;
    assert!(text.contains(r#"mainstay_issuer_fetches_total{issuer="okta",result="ok"} 2"#), "{text}");
    let age = text
        .lines()
        .find_map(|line| line.strip_prefix(r#"mainstay_issuer_keys_age_seconds{issuer="okta"} "#));
    let age: f64 = age.and_then(|age| age.parse().ok()).expect("its age");
    assert!((0.0..60.0).contains(&age), "{age}");
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_talks_nonsense_is_asked_again_and_nobody_is_let_in_or_kept_waiting() {
    let moods = [
        Mood::Says("<html>".to_owned()),
        Mood::Says(r#"{"keys": []}"#.to_owned()),
        Mood::Status(500),
        Mood::Redirects,
        Mood::Floods,
        Mood::Hangs,
    ];
    let mut trials = tokio::task::JoinSet::new();
    for mood in moods {
        trials.spawn(async move {
            let pen = Pen::new("1");
            let publisher = Publisher::start(mood).await;
            let app = gateway(&publisher).await;
            let token = publisher.token(&pen, &Value::Null);
            let begun = Instant::now();
            let (status, said) = listed(&app, &token).await;
            assert_eq!(status, 503, "{said}");
            assert!(said.contains("the keys of the issuer `okta` are not known yet"), "{said}");
            assert!(begun.elapsed() < NO_WAIT, "{:?}", begun.elapsed());
            let text = metrics(&app).await;
            assert!(text.contains(r#"mainstay_issuer_keys_age_seconds{issuer="okta"} -1"#), "{text}");
            publisher.is(Mood::Says(pen.published()));
            comes_to(&app, &token, 200).await;
            assert_eq!(publisher.astray.load(Relaxed), 0, "no redirect is followed");
            app.shutdown().await;
        });
    }
    trials.join_all().await;
}
