//! The way from a request to the disk: what fits is written, what does not is counted, and nobody waits.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tempfile::TempDir;

use crate::capture::{Arrived, Captures, Language, MOST_HELD, Taking};
use crate::config::{Capture, Captured, Percent, Redact};
use crate::dialect::{Dialect, Operation};
use crate::state::Live;
use crate::telemetry::RequestOutcome;

struct Bench {
    live: Arc<Live>,
    captures: Arc<Captures>,
    home: TempDir,
}

impl Bench {
    fn new() -> Self {
        let (live, home) = (Arc::new(Live::seeded(1)), tempfile::tempdir().expect("a directory"));
        let beside = home.path().to_owned();
        let (captures, writer) = Captures::open(&live, Arc::new(move |path: &Path| beside.join(path)));
        tokio::spawn(writer.run());
        Self { live, captures, home }
    }

    fn settings(&self, only: Captured) -> Arc<Capture> {
        let settings = Arc::new(Capture {
            enabled: true,
            path: "captures".into(),
            routes: Vec::new(),
            keys: Vec::new(),
            share: Percent::whole(100),
            only,
            max_body: 1 << 10,
            max_total: 1 << 20,
            retention: Duration::from_hours(1),
            opt_out: true,
            redact: Redact { keys: true, email: true, cards: true, phone: true, patterns: Vec::new() },
        });
        self.captures.follow(Some(&settings));
        settings
    }

    fn begin(&self, settings: &Arc<Capture>, request_id: &str, body: &Bytes) -> Option<Arc<Taking>> {
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (http::header::AUTHORIZATION, HeaderValue::from_static("Bearer ms-canary")),
            (http::header::COOKIE, HeaderValue::from_static("canary")),
        ]);
        let arrived = Arrived {
            request_id,
            at: self.live.clock.unix_now(),
            key: Some("desk"),
            route: "demo",
            language: Language { dialect: Dialect::OpenAi, operation: Operation::Chat },
            method: &Method::POST,
            path: "/v1/chat/completions",
            headers: &headers,
            body,
            length: body.len() as u64,
        };
        self.captures.begin(settings, &arrived)
    }

    fn count(&self, result: &str) -> f64 {
        let page = self.live.metrics.render();
        let series = format!("mainstay_captures_total{{result=\"{result}\"}} ");
        let line = page.lines().find_map(|line| line.strip_prefix(&series));
        line.expect("it is counted from the start").parse().expect("a number")
    }
}

fn answer(taking: &Taking, pieces: &[&'static str]) {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    taking.answered(StatusCode::OK, &headers, None);
    for piece in pieces {
        taking.piece(&Bytes::from_static(piece.as_bytes()));
    }
}

#[tokio::test]
async fn a_request_and_its_answer_are_found_again_and_no_secret_of_theirs() {
    let bench = Bench::new();
    let settings = bench.settings(Captured::All);
    let taking =
        bench.begin(&settings, "one", &Bytes::from_static(br#"{"said":"ada@example.com"}"#)).expect("room");
    answer(&taking, &[r#"{"a":"4111 1111 "#, r#"1111 1111"}"#]);
    taking.ends(RequestOutcome::Ok, Some("far/demo"));
    assert_eq!(bench.captures.find("one").await.expect("a disk"), None, "its answer has not ended");
    drop(taking);
    let found = bench.captures.find("one").await.expect("a disk").expect("it is there");
    assert_eq!(found["asked"]["body"]["json"]["said"], "[EMAIL]");
    assert_eq!(found["answered"]["body"]["json"]["a"], "[CARD]");
    assert_eq!(
        (&found["outcome"], &found["channel"], &found["key"]),
        (&"ok".into(), &"far/demo".into(), &"desk".into())
    );
    assert!(!found.to_string().contains("canary"), "{found}");
    assert_eq!(bench.count("written"), 1.0);
}

#[tokio::test]
async fn of_those_that_went_well_nothing_is_written_where_only_the_others_are_wanted() {
    let bench = Bench::new();
    let settings = bench.settings(Captured::Failed);
    let outcomes = [
        (RequestOutcome::Ok, false),
        (RequestOutcome::Cancelled, false),
        (RequestOutcome::ClientFault, true),
        (RequestOutcome::Refused, true),
        (RequestOutcome::Failed, true),
        (RequestOutcome::Broken, true),
    ];
    for (outcome, is_kept) in outcomes {
        let taking = bench.begin(&settings, outcome.name(), &Bytes::new()).expect("room");
        answer(&taking, &["{}"]);
        taking.ends(outcome, None);
        drop(taking);
        let found = bench.captures.find(outcome.name()).await.expect("a disk");
        assert_eq!(found.is_some(), is_kept, "{outcome:?}");
    }
}

#[tokio::test]
async fn of_a_long_body_the_beginning_is_kept() {
    let bench = Bench::new();
    let settings = bench.settings(Captured::All);
    let long = Bytes::from(format!("{{\"a\":\"{}\"}}", "é ".repeat(2_000)));
    let taking = bench.begin(&settings, "long", &long).expect("room");
    answer(&taking, &["{\"b\":\"", "hello \"}"]);
    taking.ends(RequestOutcome::Ok, None);
    drop(taking);
    let found = bench.captures.find("long").await.expect("a disk").expect("it is there");
    let asked = &found["asked"]["body"];
    assert_eq!((&asked["bytes"], &asked["cut"]), (&(long.len() as u64).into(), &true.into()));
    let text = asked["text"].as_str().expect("the beginning of JSON is text");
    assert!(text.starts_with("{\"a\":\"é é") && text.len() > 700 && text.len() <= 1 << 10, "{text}");
    assert_eq!(found["answered"]["body"]["json"]["b"], "hello ");
}

#[tokio::test]
async fn what_is_held_has_a_bound_and_what_does_not_fit_is_counted() {
    let bench = Bench::new();
    let settings = bench.settings(Captured::All);
    let body = Bytes::from(vec![b'x'; 1 << 10]);
    let mut under_way = Vec::new();
    while let Some(taking) = bench.begin(&settings, "many", &body) {
        under_way.push(taking);
        assert!(
            under_way.len() as u64 <= MOST_HELD >> 10,
            "they are counted in steps, never less than they are"
        );
    }
    assert_eq!(bench.count("no_room"), 1.0);
    // Neither has an answer's piece any room.
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"))]);
    under_way[0].answered(StatusCode::OK, &headers, None);
    under_way[0].piece(&Bytes::from(vec![b'x'; 8 << 10]));
    assert_eq!(bench.count("no_room"), 2.0);
    for taking in under_way.drain(1..) {
        taking.ends(RequestOutcome::Cancelled, None);
    }
    // More than the queue takes were let go of at once, before anybody could write.
    bench.captures.flush(Duration::from_mins(1)).await;
    let gone = bench.count("written") + bench.count("no_room");
    assert_eq!(gone, (MOST_HELD as f64) / 4096.0 + 1.0);
    assert!(bench.begin(&settings, "another", &body).is_some(), "there is room again");
}

#[tokio::test]
async fn where_the_disk_takes_nothing_it_is_counted_and_works_again_when_it_does() {
    let bench = Bench::new();
    std::fs::write(bench.home.path().join("captures"), "a file").expect("it is written");
    let settings = bench.settings(Captured::All);
    let once = |name: &'static str| {
        let taking = bench.begin(&settings, name, &Bytes::new()).expect("room");
        taking.ends(RequestOutcome::Ok, None);
    };
    once("one");
    bench.captures.flush(Duration::from_mins(1)).await;
    assert_eq!((bench.count("written"), bench.count("failed")), (0.0, 1.0));
    assert!(bench.captures.find("one").await.is_err(), "nobody can say what is there");
    std::fs::remove_file(bench.home.path().join("captures")).expect("it is there");
    once("two");
    assert!(bench.captures.find("two").await.expect("a disk").is_some());
    assert_eq!((bench.count("written"), bench.count("failed")), (1.0, 1.0));
}

#[tokio::test]
async fn another_place_holds_from_the_next_request_on() {
    let bench = Bench::new();
    let settings = bench.settings(Captured::All);
    bench.begin(&settings, "one", &Bytes::new()).expect("room").ends(RequestOutcome::Ok, None);
    assert!(bench.captures.find("one").await.expect("a disk").is_some());
    let elsewhere = Arc::new(Capture { path: "elsewhere".into(), ..(*settings).clone() });
    bench.captures.follow(Some(&elsewhere));
    assert!(bench.captures.find("one").await.expect("a disk").is_none(), "it lies where it was written");
    bench.begin(&elsewhere, "two", &Bytes::new()).expect("room").ends(RequestOutcome::Ok, None);
    assert!(bench.captures.find("two").await.expect("a disk").is_some());
    bench.captures.follow(None);
    assert!(!bench.captures.is_anywhere() && bench.captures.find("two").await.expect("a disk").is_none());
}
