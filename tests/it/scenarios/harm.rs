//! Upstreams that mean harm, by what they say: S36.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};

use super::secs;
use crate::lab::{Ask, End, Lab, Said, Scribe, Step};

const ANSWER: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

/// An upstream that says what it is told to, and one behind it that is well.
struct Harm {
    lab: Lab,
    scribe: Arc<Scribe>,
}

impl Harm {
    fn saying(said: Said) -> Self {
        Self::with("", said)
    }

    /// `defaults` are the file's.
    fn with(defaults: &str, said: Said) -> Self {
        let yaml = format!(
            "
version: 1
defaults: {{{defaults}}}
upstreams:
  a: {{provider: custom, dialect: openai, base_url: 'http://a/v1'}}
  b: {{provider: simulated}}
routes:
  - model: demo
    channels: [{{upstream: a}}, {{upstream: b, tier: 1}}]
  - model: alone
    channels: [{{upstream: a}}]
"
        );
        let scribe = Scribe::saying(said);
        Self { lab: Lab::beside(&yaml, &[("a", &scribe)]), scribe }
    }

    /// The caller hears of none of it, and in time.
    async fn assert_unfelt(&self, what: &str, ask: &Ask) {
        let answer = self.lab.send(ask).await;
        assert_eq!(answer.spoken().as_deref(), Ok("b"), "{what}");
        assert!(answer.took <= secs(13), "{what}: {:?}", answer.took);
        self.scribe.only();
        self.lab.assert_quiet().await;
    }
}

fn events() -> Said {
    Said::status(200).header("content-type", "text/event-stream")
}

fn content(text: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
    )
}

const END: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const COMMENT: &str = ": still there\n\n";
const MIB: usize = 1 << 20;

fn every(wait: Duration, piece: &str, times: usize, mut said: Said) -> Said {
    for _ in 0..times {
        said = said.data(piece.to_owned()).step(Step::Wait(wait));
    }
    said
}

/// S36: comments, and never an event.
#[tokio::test(start_paused = true)]
async fn s36_signs_of_life_without_end_are_no_answer() {
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    for piece in [COMMENT, ping, "\n", "data:\n\n", "id: 7\n\n"] {
        let slow = every(Duration::from_millis(20), piece, 2_000, events()).step(Step::Hang);
        let fast = (0..20).fold(events(), |said, _| said.data(piece.repeat(MIB / piece.len())));
        for said in [slow, fast.step(Step::Hang)] {
            for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
                let harm = Harm::saying(said.clone());
                harm.assert_unfelt(&format!("{piece:?} to {dialect}"), &ask).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_behind_many_comments_is_somebody_elses_work() {
    let error = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"code\":503}}\n\n";
    let said = every(Duration::from_millis(50), ": PROCESSING\n\n", 100, events()).data(error);
    Harm::saying(said).assert_unfelt("an error", &Ask::stream("demo")).await;
}

/// As OpenRouter does while a model is loaded.
#[tokio::test(start_paused = true)]
async fn a_minute_of_comments_before_the_content_is_waited_out_and_passed_on() {
    let comment = ": OPENROUTER PROCESSING\n\n";
    for (wait, times) in [(secs(1), 60), (Duration::from_millis(100), 600)] {
        let said = every(wait, comment, times, events()).data(content("hi")).data(END);
        let harm = Harm::with("timeouts: {first_event: 90s}", said);
        let answer = harm.lab.send(&Ask::stream("alone")).await;
        assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Clean));
        assert_eq!(answer.text(), comment.repeat(times) + &content("hi") + END, "byte for byte");
        harm.lab.assert_quiet().await;
    }
}

/// S36: a line of an event stream that has no end.
#[tokio::test(start_paused = true)]
async fn s36_a_line_without_end_is_no_answer() {
    let line = (0..40).fold(events().data("data: "), |said, _| said.data(vec![b'a'; MIB])).step(Step::Hang);
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        Harm::saying(line.clone()).assert_unfelt(dialect, &ask).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_without_end_behind_content_ends_the_stream_with_an_error() {
    let said =
        (0..40).fold(events().data(content("hi")).data("data: "), |said, _| said.data(vec![b'a'; MIB]));
    let harm = Harm::saying(said.step(Step::Hang));
    let answer = harm.lab.send(&Ask::stream("demo")).await;
    assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Cut));
    assert_eq!(answer.words(), "hi");
    assert!(answer.events().iter().any(|event| event.get("error").is_some()), "{}", answer.text());
    assert!(answer.body.len() < MIB, "what has no end is not passed on");
    harm.lab.assert_quiet().await;
}

/// A picture, say: all of it is one event, and the first.
#[tokio::test(start_paused = true)]
async fn a_first_event_of_megabytes_is_passed_on() {
    let large = content(&"a".repeat(3 * MIB));
    let said = large.as_bytes().chunks(MIB / 3).fold(events(), |said, piece| said.data(piece.to_vec()));
    let harm = Harm::saying(said.data(END));
    let answer = harm.lab.send(&Ask::stream("demo")).await;
    assert_eq!((answer.status, answer.end), (StatusCode::OK, End::Clean));
    assert!(answer.text() == large + END, "byte for byte");
    harm.lab.assert_quiet().await;
}

/// S36: what is packed cannot be read, so nobody would know what is in it.
#[tokio::test(start_paused = true)]
async fn s36_an_encoding_that_nobody_asked_for_is_no_answer() {
    let packed = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff].repeat(100_000);
    for coding in ["gzip", "br", "identity, zstd"] {
        for (kind, ask) in
            [("text/event-stream", Ask::stream("demo")), ("application/json", Ask::chat("demo"))]
        {
            let said = Said::status(200).header("content-type", kind).header("content-encoding", coding);
            let harm = Harm::saying(said.data(packed.clone()));
            harm.assert_unfelt(&format!("{coding} {kind}"), &ask).await;
        }
    }
    let plain = Said::json(200, ANSWER).header("content-encoding", "identity");
    let harm = Harm::saying(plain);
    assert_eq!(harm.lab.send(&Ask::chat("demo")).await.text(), ANSWER);
}

#[tokio::test(start_paused = true)]
async fn a_plain_service_packs_its_answers_as_it_likes() {
    let yaml = "
version: 1
upstreams: {a: {provider: http, base_url: 'http://a'}}
routes: [{path: /files/, channels: [{upstream: a}]}]
";
    let packed = vec![0x1f, 0x8b, 8, 0];
    let scribe = Scribe::saying(Said::status(200).header("content-encoding", "gzip").data(packed.clone()));
    let lab = Lab::beside(yaml, &[("a", &scribe)]);
    let answer = lab.send(&Ask::bare(Method::GET, "/files/x").header("accept-encoding", "gzip")).await;
    assert_eq!((answer.header("content-encoding"), &answer.body[..]), ("gzip", &packed[..]));
    lab.assert_quiet().await;
}
