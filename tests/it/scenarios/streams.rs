//! Streams that go wrong: S12, S13, S14, S15, S29.

use std::time::Duration;

use mainstay::simulated::{Fault, How, InBand, Outcome, Rule};

use super::{THREE, WARM, after, secs};
use crate::lab::{Ask, End, Lab, Said, Scribe, Step};

/// S12: A answers 200, and the first event is an error.
#[tokio::test(start_paused = true)]
async fn s12_an_error_inside_a_200_before_content_is_somebody_elses_work() {
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        let lab = Lab::start(THREE);
        let report = lab
            .under_load(ask, 20.0, secs(40), async {
                after(WARM).await;
                let fault = Fault::InBandError { after_events: 0, error: InBand::Overloaded };
                lab.sim("a").control().set(vec![Rule::new(fault)]);
            })
            .await;
        assert_eq!(report.errors().len(), 0, "{dialect}: {:?}", report.errors().first());
        assert!(report.between(secs(25), secs(40)).share_of("a") < 0.05, "{dialect}");
        lab.assert_quiet().await;
    }
}

/// S13: A's streams fail in-band after ten tokens.
#[tokio::test(start_paused = true)]
async fn s13_an_error_after_content_is_passed_on_and_never_stitched() {
    let lab = Lab::start(THREE);
    let report = lab
        .under_load(Ask::stream("demo"), 20.0, secs(60), async {
            after(WARM).await;
            let fault = Fault::InBandError { after_events: 10, error: InBand::ServerError };
            lab.sim("a").control().set(vec![Rule::new(fault)]);
        })
        .await;
    let broken: Vec<_> = report.answers.iter().filter(|answer| answer.spoken().is_err()).collect();
    assert!(!broken.is_empty() && broken.len() < 60, "{}", broken.len());
    for answer in &broken {
        assert_eq!(answer.end, End::Cut, "never a clean end");
        assert!(answer.events().iter().any(|event| event.get("error").is_some()), "{}", answer.text());
        let words = answer.words();
        assert!(
            words.split_whitespace().all(|word| word.starts_with("a.")),
            "one upstream's words only: {words}"
        );
    }
    assert!(report.between(secs(20), secs(60)).error_share() < 0.05, "found out within seconds");
    lab.assert_quiet().await;
}

/// S13 as far as its breaker goes, where the hint of trouble keeps the windows short of samples.
#[tokio::test(start_paused = true)]
async fn s13_an_upstream_that_breaks_all_its_streams_is_taken_out() {
    let lab = Lab::start(THREE);
    let report = lab
        .under_load(Ask::stream("demo"), 6.0, secs(70), async {
            after(WARM).await;
            let fault = Fault::InBandError { after_events: 10, error: InBand::ServerError };
            lab.sim("a").control().set(vec![Rule::new(fault)]);
        })
        .await;
    let hit = |from: Duration, to: Duration| report.between(WARM + from, WARM + to).errors().len();
    // Those whose streams ran when the first one broke. Who comes later is answered by others, who take him over from
    // it unseen: whoever tries it after a break, and the trials after 5, 10 and 20 s.
    assert!((1..=2).contains(&hit(secs(0), secs(10))), "{}", hit(secs(0), secs(10)));
    assert_eq!(hit(secs(10), secs(70)), 0);
    assert!(report.between(WARM + secs(10), WARM + secs(14)).share_of("a") < 0.05);
    let labels = [r#"upstream="a""#, r#"to="open""#, r#"reason="consecutive""#];
    assert!(lab.metric_sum("mainstay_breaker_transitions_total", &labels) >= 1.0);
    lab.assert_quiet().await;
}

/// S13, late: once it has opened, no trial costs a caller. Ten events came of every stream that broke, so the five of a
/// usual trial prove nothing: nobody is let in beside it, and nothing of it goes out before it is well past the ten.
#[tokio::test(start_paused = true)]
async fn s13_nobody_pays_for_finding_out_whether_streams_still_break() {
    let lab =
        Lab::start(&THREE.replace("provider: simulated", "provider: simulated, simulated: {pace: 100ms}"));
    let report = lab
        .under_load(Ask::stream("demo"), 20.0, secs(120), async {
            after(WARM).await;
            let fault = Fault::InBandError { after_events: 10, error: InBand::ServerError };
            lab.sim("a").control().set(vec![Rule::new(fault)]);
            after(secs(55)).await;
            lab.sim("a").control().clear();
        })
        .await;
    let trials = |to: &str| {
        let labels = [r#"upstream="a""#, r#"model="demo""#, to];
        lab.metric_sum("mainstay_breaker_transitions_total", &labels)
    };
    // From here on the breaker is open or half open, and nothing but trials goes to A.
    let late = report.between(WARM + secs(10), WARM + secs(55));
    assert!(trials(r#"to="half_open""#) >= 2.0, "{}", trials(r#"to="half_open""#));
    assert_eq!(late.errors().len(), 0, "{:?}", late.errors().first());
    assert_eq!(trials(r#"to="closed""#), 1.0, "only after it was well");
    // Liveness (P-B07): its streams are whole again, and it has its share within an open time and three trials.
    assert!(report.between(secs(110), secs(120)).share_of("a") > 0.2);
    lab.assert_quiet().await;
}

/// S14: A's streams stop after ten tokens, the socket stays open.
#[tokio::test(start_paused = true)]
async fn s14_a_stalled_stream_ends_with_an_error_when_its_patience_does() {
    let lab = Lab::start(&THREE.replace("model: demo", "model: demo\n    timeouts: {idle: 8s}"));
    let report = lab
        .under_load(Ask::stream("demo"), 10.0, secs(50), async {
            after(WARM).await;
            lab.sim("a").control().set(vec![Rule::new(Fault::Stall { after_events: 10 })]);
        })
        .await;
    let stalled: Vec<_> = report.answers.iter().filter(|answer| answer.spoken().is_err()).collect();
    assert!(!stalled.is_empty());
    for answer in &stalled {
        assert_eq!(answer.end, End::Cut);
        assert!(answer.took > secs(8) && answer.took < secs(11), "{:?}", answer.took);
        assert!(answer.events().iter().any(|event| event.get("error").is_some()), "{}", answer.text());
    }
    assert!(
        report.between(secs(30), secs(50)).error_share() < 0.1,
        "{}",
        report.between(secs(30), secs(50)).error_share()
    );
    lab.assert_quiet().await;
}

/// S14: A's streams stop, and nobody has to wait for their end to go elsewhere.
#[tokio::test(start_paused = true)]
async fn s14_who_comes_while_streams_are_stalled_goes_elsewhere() {
    let lab = Lab::start(THREE);
    let mut asked = [0; 2];
    let report = lab
        .under_load(Ask::stream("demo"), 10.0, WARM + secs(20), async {
            after(WARM).await;
            lab.sim("a").control().set(vec![Rule::new(Fault::Stall { after_events: 10 })]);
            // A sixth of the 30 s that a stream may be silent, and a quarter of all.
            after(secs(8)).await;
            asked[0] = lab.arrived("a");
            after(secs(11)).await;
            asked[1] = lab.arrived("a");
        })
        .await;
    assert_eq!(asked[0], asked[1], "nobody waits for what others wait for already");
    let stalled = report.answers.iter().filter(|answer| answer.spoken().is_err()).count();
    assert!((2..=30).contains(&stalled), "{stalled}");
    assert_eq!(lab.breaker("a", "demo"), "open", "that is found out by those who have waited");
    lab.assert_quiet().await;
}

/// Two streams that pause, and come back.
#[tokio::test(start_paused = true)]
async fn a_pause_sends_others_elsewhere_for_as_long_as_it_lasts_and_one_alone_nobody() {
    let lab = Lab::start(
        "
version: 1
upstreams:
  a: {provider: simulated, simulated: {pace: 8s, words: 4}}
  b: {provider: simulated}
routes:
  - {model: demo, channels: [{upstream: a}, {upstream: b, tier: 1}]}
",
    );
    let ask = Ask::stream("demo");
    let asked =
        async |lab: &Lab| lab.open(&ask).await.headers["x-mainstay-channel"].to_str().unwrap().to_owned();
    let first = lab.open(&ask).await;
    after(secs(6)).await;
    let second = lab.open(&ask).await;
    assert_eq!(second.headers["x-mainstay-channel"], "a/demo", "one may just think");
    // The first goes on at 8 s and pauses again; the second has stopped since 6 s.
    after(Duration::from_millis(5_500)).await;
    assert_eq!(asked(&lab).await, "a/demo", "the first flowed a moment ago");
    after(secs(2)).await;
    assert_eq!(asked(&lab).await, "b/demo", "both have stopped");
    after(secs(3)).await;
    assert_eq!(asked(&lab).await, "a/demo", "the second goes on");
    first.hang_up();
    second.hang_up();
    lab.assert_quiet().await;
}

/// S15: A's streams are cut after ten tokens, in every way there is.
#[tokio::test(start_paused = true)]
async fn s15_a_truncated_stream_is_never_silent() {
    for how in [How::Fin, How::Rst, How::ChunkedEof, How::CloseDelimited] {
        for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
            let lab = Lab::start(THREE);
            let rules = || vec![Rule::new(Fault::Cut { after_events: 10, how })];
            for name in ["a", "b", "c"] {
                lab.sim(name).control().set(rules());
            }
            let answer = lab.send(&ask).await;
            assert_eq!(answer.end, End::Cut, "{dialect}, {how:?}: {}", answer.text());
            let said = answer.text().contains("\"error\"");
            assert!(said, "{dialect}, {how:?}: {}", answer.text());
            assert!(answer.words().split_whitespace().count() >= 9, "what came before is passed on");
            let attempts: u64 = ["a", "b", "c"].iter().map(|name| lab.arrived(name)).sum();
            assert_eq!(attempts, 1, "nothing is tried again after content");
            let cut = lab.metric(r#"mainstay_streams_total{route="demo",outcome="cut"}"#);
            assert_eq!(cut, 1.0);
            lab.assert_quiet().await;
        }
    }
}

/// S29: half of the callers hang up, at any moment.
#[tokio::test(start_paused = true)]
async fn s29_a_caller_who_hangs_up_stops_the_upstream_at_once() {
    let lab = Lab::start(THREE);
    for wait in [0, 30, 60, 100, 200, 400] {
        let ask = Ask::stream("demo");
        let opening = lab.open(&ask);
        match tokio::time::timeout(Duration::from_millis(wait), opening).await {
            // Before the head of the answer: the connection is dropped with the future.
            Err(_) => {}
            Ok(mut kept) => {
                after(Duration::from_millis(wait)).await;
                kept.next().await;
                kept.hang_up();
            }
        }
        after(Duration::from_millis(100)).await;
        for name in ["a", "b", "c"] {
            assert_eq!(
                lab.sim(name).control().counts().in_flight,
                0,
                "{name} works for nobody {wait} ms later"
            );
        }
    }
    let aborted: u64 = ["a", "b", "c"].iter().map(|name| lab.sim(name).control().counts().aborted).sum();
    assert!(aborted >= 4, "{aborted}");
    let outcomes: Vec<_> = lab.sim("a").control().seen().into_iter().map(|seen| seen.outcome).collect();
    assert!(!outcomes.contains(&Outcome::Open));
    assert_eq!(lab.breaker("a", "demo"), "closed", "hang-ups say nothing about the upstream");
    lab.assert_quiet().await;
}

/// S29, slow readers: they hold their own stream back, and nobody else's.
#[tokio::test(start_paused = true)]
async fn s29_slow_readers_slow_nobody_else() {
    let lab = Lab::start(THREE);
    let mut slow = Vec::new();
    for _ in 0..50 {
        slow.push(lab.open(&Ask::stream("demo")).await);
    }
    let report = lab.under_load(Ask::stream("demo"), 10.0, secs(5), async {}).await;
    report.assert_no_errors();
    for kept in slow {
        kept.hang_up();
    }
    lab.assert_quiet().await;
}

/// The last event of a response that breaks off carries all that the first one said of it.
#[tokio::test(start_paused = true)]
async fn a_response_that_breaks_off_fails_as_the_one_that_began() {
    // Passed on as it came, and said anew.
    for spoken in ["responses", "anthropic"] {
        let yaml = format!(
            "version: 1\nupstreams: {{a: {{provider: simulated, dialect: {spoken}}}}}\n\
             routes: [{{model: demo, channels: [{{upstream: a}}]}}]"
        );
        let lab = Lab::start(&yaml);
        lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Rst })]);
        let body = r#"{"model":"demo","stream":true,"store":false,"instructions":"be kind","top_p":0.5,"input":"hello"}"#;
        let answer = lab.send(&Ask::post("/v1/responses", body)).await;
        assert_eq!(answer.end, End::Cut, "{spoken}: {}", answer.text());
        let events = answer.events();
        let (first, last) = (&events[0], &events[events.len() - 1]);
        assert_eq!((&first["type"], &last["type"]), (&"response.created".into(), &"response.failed".into()));
        let (mut began, failed) = (first["response"].clone(), &last["response"]);
        assert!(
            began["id"].is_string()
                && began["created_at"].is_number()
                && failed["error"]["message"].is_string()
        );
        began["status"] = "failed".into();
        began["error"] = failed["error"].clone();
        assert_eq!(&began, failed, "{spoken}");
        assert_eq!(failed["error"]["code"], "server_error");
        assert_eq!(last["sequence_number"], events.len() as u64 - 1, "{spoken}");
        lab.assert_quiet().await;
    }
}

/// What an upstream says to keep its stream alive, and what is no event to his dialect, is nothing that a caller hears.
#[tokio::test(start_paused = true)]
async fn a_caller_hears_that_somebody_is_there_though_nothing_of_what_comes_is_for_him() {
    const CHUNK: &str = r#"data: {"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"One"},"finish_reason":null}]}"#;
    let end = CHUNK.replace(r#""finish_reason":null"#, r#""finish_reason":"stop""#);
    // As another gateway writes its comments, without a blank line.
    let said = (0..20).fold(
        Said::status(200).header("content-type", "text/event-stream").data(format!("{CHUNK}\n\n")),
        |said, _| said.step(Step::Wait(secs(5))).data(": keep-alive\n"),
    );
    let a = Scribe::saying(said.data(format!("{end}\n\ndata: [DONE]\n\n")));
    let yaml = "
version: 1
upstreams: {a: {provider: custom, dialect: openai, base_url: 'http://a', credentials: [k]}}
routes: [{model: demo, channels: [{upstream: a, model: m}]}]
";
    for (dialect, ask) in
        Ask::stream_in_every_dialect("demo").into_iter().filter(|(dialect, _)| *dialect != "gemini")
    {
        let lab = Lab::beside(yaml, &[("a", &a)]);
        let mut kept = lab.open(&ask).await;
        let begun = lab.gateway.live.now();
        let (mut text, mut heard) = (Vec::new(), begun);
        while let Some(piece) = kept.next().await {
            let now = lab.gateway.live.now();
            assert!(now.since(heard) < secs(16), "{dialect}: silent for {:?}", now.since(heard));
            heard = now;
            text.extend_from_slice(&piece);
        }
        assert!(heard.since(begun) >= secs(100), "{dialect}");
        let text = String::from_utf8(text).expect("text");
        assert!(!text.contains(": keep-alive\n\n"), "no blank line behind a comment: {text}");
        kept.hang_up();
        lab.assert_quiet().await;
    }
}
