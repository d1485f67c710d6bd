//! Streams that break after the commit on routes with `continuation`.

use std::time::Duration;

use mainstay::simulated::{Fault, Habit, How, InBand, Rule, oracle};

use super::{after, secs};
use crate::lab::{Ask, End, Lab, strict};

const DIALECTS: [&str; 4] = ["openai", "responses", "anthropic", "gemini"];

/// A, then B, then C; A and the others in these dialects.
fn yaml(first: &str, then: &str, model: &str) -> String {
    format!(
        "
version: 1
upstreams:
  a: {{provider: simulated, dialect: {first}}}
  b: {{provider: simulated, dialect: {then}}}
  c: {{provider: simulated, dialect: {then}}}
routes:
  - model: demo
    continuation: any
    timeouts: {{idle: 3s}}
    channels:
      - {{upstream: a, model: {model}}}
      - {{upstream: b, model: {model}, tier: 1}}
      - {{upstream: c, model: {model}, tier: 2}}
"
    )
}

fn breaks() -> Vec<(&'static str, Fault)> {
    vec![
        ("rst", Fault::Cut { after_events: 10, how: How::Rst }),
        ("fin", Fault::Cut { after_events: 10, how: How::Fin }),
        ("no terminal", Fault::Cut { after_events: 10, how: How::ChunkedEof }),
        ("in-band error", Fault::InBandError { after_events: 10, error: InBand::ServerError }),
        ("stall", Fault::Stall { after_events: 10 }),
    ]
}

fn ask_in(dialect: &str) -> Ask {
    let all = Ask::stream_in_every_dialect("demo");
    all.into_iter().find(|(name, _)| *name == dialect).expect("a dialect of the lab").1
}

fn continued(lab: &Lab) -> f64 {
    lab.metric_sum("mainstay_continuations_total", &["result=\"continued\""])
}

/// Tokens of a kind, of all upstreams.
fn tokens(lab: &Lab, kind: &str) -> u64 {
    lab.metric_sum("mainstay_tokens_total", &[&format!("kind=\"{kind}\"")]) as u64
}

/// The caller's stream is one, whole and of A's words to the last.
async fn assert_one_stream(lab: &Lab, dialect: &str, what: &str) {
    let answer = lab.send(&ask_in(dialect)).await;
    let whole = strict::read(dialect, &answer).unwrap_or_else(|why| panic!("{what}: {why}"));
    let spoken = oracle(&whole.text).unwrap_or_else(|broken| panic!("{what}: {broken:?} in {}", whole.text));
    assert_eq!((spoken.upstream, spoken.words), ("a", 30), "{what}");
    assert_eq!(whole.usage, Some((tokens(lab, "input"), tokens(lab, "output"))), "{what}: counts are sums");
    assert!(answer.text().contains(": mainstay-continued ") || dialect == "gemini", "{what}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_is_continued_and_the_caller_sees_one() {
    for dialect in DIALECTS {
        for first in DIALECTS {
            for (how, fault) in breaks() {
                // Natively and translated, the first leg and the second.
                let then =
                    DIALECTS[(DIALECTS.iter().position(|d| *d == first).expect("one of them") + 1) % 4];
                let what = format!("{dialect} from {first}, then {then}: {how}");
                let lab = Lab::start(&yaml(first, then, "m"));
                lab.sim("a").control().set(vec![Rule::new(fault)]);
                assert_one_stream(&lab, dialect, &what).await;
                assert_eq!(["a", "b", "c"].map(|name| lab.arrived(name)), [1, 1, 0], "{what}");
                assert_eq!(continued(&lab), 1.0, "{what}");
                lab.assert_quiet().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_takes_a_prefill_goes_on_without_repeating() {
    for dialect in DIALECTS {
        let lab = Lab::start(&yaml("openai", "anthropic", "claude-3-haiku-20240307"));
        lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Rst })]);
        assert_one_stream(&lab, dialect, dialect).await;
        let by = r#"mainstay_continuations_total{route="demo",result="continued",method="prefill"}"#;
        assert_eq!(lab.metric(by), 1.0);
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn callers_of_cohere_get_one_stream_too() {
    let body = r#"{"model":"demo","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    for (how, fault) in breaks() {
        let lab = Lab::start(&yaml("openai", "anthropic", "m"));
        lab.sim("a").control().set(vec![Rule::new(fault)]);
        let answer = lab.send(&Ask::post("/cohere/v2/chat", body)).await;
        assert_eq!(answer.end, End::Clean, "{how}: {}", answer.text());
        let events = answer.events();
        let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
        for kind in ["message-start", "content-start", "content-end", "message-end"] {
            assert_eq!(of(kind), 1, "{how}, {kind}: {}", answer.text());
        }
        assert!(events.last().is_some_and(|event| event["type"] == "message-end"));
        let said = |event: &serde_json::Value| {
            event["delta"]["message"]["content"]["text"].as_str().unwrap_or_default().to_owned()
        };
        let deltas = events.iter().filter(|event| event["type"] == "content-delta");
        assert!(deltas.clone().all(|event| event["index"] == 0));
        let text: String = deltas.map(said).collect();
        assert!(oracle(&text).is_ok_and(|spoken| spoken.upstream == "a"), "{how}: {text}");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_prefill_that_is_refused_is_remembered_and_asked_for_in_words() {
    let lab = Lab::start(&yaml("openai", "anthropic", "claude-3-haiku-20240307"));
    lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Rst })]);
    lab.sim("b").control().behave(Habit::RefusesPrefill);
    assert_one_stream(&lab, "openai", "refused").await;
    assert_eq!(lab.arrived("b"), 2, "once to learn it");
    assert_one_stream_again(&lab).await;
    assert_eq!(lab.arrived("b"), 3, "and never again");
    lab.assert_quiet().await;
}

async fn assert_one_stream_again(lab: &Lab) {
    let answer = lab.send(&ask_in("openai")).await;
    let whole = strict::read("openai", &answer).unwrap_or_else(|why| panic!("{why}"));
    assert!(oracle(&whole.text).is_ok());
}

#[tokio::test(start_paused = true)]
async fn however_a_model_goes_on_nothing_is_lost_doubled_or_made_up() {
    // B has its own ways, and C does what it is asked: where B is of no use, C is the third leg.
    for (habit, of_use) in [
        (Habit::Obeys, true),
        (Habit::Respaces, true),
        (Habit::Restarts, true),
        (Habit::Prefaces, true),
        (Habit::Wanders, false),
        (Habit::Prattles, false),
    ] {
        for dialect in DIALECTS {
            let what = format!("{dialect}, {habit:?}");
            let lab = Lab::start(&yaml("openai", "gemini", "m"));
            lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Fin })]);
            lab.sim("b").control().behave(habit);
            assert_one_stream(&lab, dialect, &what).await;
            assert_eq!(lab.arrived("c"), u64::from(!of_use), "{what}");
            lab.assert_quiet().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_break_twice_and_not_three_times() {
    let cut = |after_events| vec![Rule::new(Fault::Cut { after_events, how: How::Rst })];
    for dialect in DIALECTS {
        let lab = Lab::start(&yaml("anthropic", "openai", "m"));
        lab.sim("a").control().set(cut(10));
        lab.sim("b").control().set(cut(9));
        assert_one_stream(&lab, dialect, dialect).await;
        assert_eq!(["a", "b", "c"].map(|name| lab.arrived(name)), [1, 1, 1]);

        lab.sim("c").control().set(cut(9));
        let answer = lab.send(&ask_in(dialect)).await;
        assert_eq!(answer.end, End::Cut, "{dialect}: it ends as it would have");
        assert!(answer.text().contains("\"error\""), "{}", answer.text());
        let words = answer.words();
        assert!(words.split_whitespace().all(|word| word.starts_with("a.")), "A's words only: {words}");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_setting_or_with_nobody_to_go_on_a_stream_ends_as_ever() {
    let alone = "
version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - {model: demo, continuation: same_model, channels: [{upstream: a, model: m}, {upstream: b, model: other, tier: 0}]}
";
    let off = yaml("openai", "openai", "m").replace("continuation: any", "continuation: off");
    for (yaml, no_channel) in [(alone, 1.0), (&*off, 0.0)] {
        for dialect in DIALECTS {
            let lab = Lab::start(yaml);
            for name in ["a", "b"] {
                lab.sim(name).control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Rst })]);
            }
            let answer = lab.send(&ask_in(dialect)).await;
            assert_eq!(answer.end, End::Cut);
            assert!(answer.text().contains("\"error\""), "{}", answer.text());
            assert_eq!(lab.arrived("a") + lab.arrived("b"), 1);
            assert_eq!(lab.metric_sum("mainstay_continuations_total", &["no_channel"]), no_channel);
            assert_eq!(lab.metric(r#"mainstay_streams_total{route="demo",outcome="cut"}"#), 1.0);
            lab.assert_quiet().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_a_prescribed_form_or_with_choices_is_not_continued() {
    for members in [
        r#""response_format":{"type":"json_object"}"#,
        r#""n":2"#,
        r#""logprobs":true"#,
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"required""#,
    ] {
        let lab = Lab::start(&yaml("openai", "openai", "m"));
        lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Rst })]);
        let body = format!(
            r#"{{"model":"demo","stream":true,{members},"messages":[{{"role":"user","content":"hello"}}]}}"#
        );
        let answer = lab.send(&Ask::post("/v1/chat/completions", body)).await;
        assert_eq!(answer.end, End::Cut, "{members}");
        assert_eq!(["a", "b", "c"].map(|name| lab.arrived(name)), [1, 0, 0], "{members}");
        assert_eq!(lab.metric_sum("mainstay_continuations_total", &["barred"]), 1.0);
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_called_a_tool_is_not_continued() {
    let chunk = |delta: &str| {
        format!(
            r#"data: {{"id":"x","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#
        )
    };
    let text = [
        chunk(r#"{"role":"assistant","content":"I will look it up for you, just a moment please"}"#),
        chunk(r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{\"a"}}]}"#),
    ]
    .join("\n\n")
        + "\n\n";
    let rule: Rule = serde_json::from_value(serde_json::json!({"fault": {
        "kind": "canned", "status": 200, "headers": [["content-type", "text/event-stream"]],
        "chunks": [{"gap_ms": 0, "text": text}]
    }}))
    .expect("a rule");
    for dialect in DIALECTS {
        let lab = Lab::start(&yaml("openai", "openai", "m"));
        lab.sim("a").control().set(vec![rule.clone()]);
        let answer = lab.send(&ask_in(dialect)).await;
        assert_eq!(answer.end, End::Cut, "{dialect}: {}", answer.text());
        assert_eq!(["a", "b", "c"].map(|name| lab.arrived(name)), [1, 0, 0]);
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_cancels_the_leg() {
    let lab = Lab::start(&yaml("openai", "openai", "m"));
    lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Rst })]);
    lab.sim("b").control().set(vec![Rule::new(Fault::Slow { ttft: secs(5) })]);
    let mut kept = lab.open(&ask_in("openai")).await;
    kept.next().await;
    after(secs(2)).await;
    assert_eq!((lab.arrived("b"), lab.sim("b").control().counts().in_flight), (1, 1), "it is asked to go on");
    kept.hang_up();
    after(Duration::from_millis(100)).await;
    assert_eq!(lab.sim("b").control().counts().in_flight, 0, "and need not any more");
    assert_eq!(lab.metric(r#"mainstay_streams_total{route="demo",outcome="cancelled"}"#), 1.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_ends_while_somebody_is_asked_is_no_hang_up() {
    let slow = yaml("openai", "openai", "m").replace("idle: 3s", "idle: 3s, first_event: 60s, ttfb: 60s");
    let late = slow.replace("idle: 3s,", "idle: 3s, total: 20s,");
    for (file, words) in [(&slow, "the gateway shuts down"), (&late, "broke off in the middle")] {
        let lab = Lab::start(file);
        lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Rst })]);
        for other in ["b", "c"] {
            lab.sim(other).control().set(vec![Rule::new(Fault::Slow { ttft: secs(50) })]);
        }
        let asked = ask_in("openai");
        let asking = lab.send(&asked);
        let ending = async {
            after(secs(5)).await;
            if words.contains("shuts down") {
                lab.gateway.cut_off();
            }
        };
        let (answer, ()) = tokio::join!(asking, ending);
        assert_eq!(answer.end, End::Cut, "{words}: {}", answer.text());
        assert!(answer.text().contains(words), "{}", answer.text());
        assert_eq!(lab.metric(r#"mainstay_streams_total{route="demo",outcome="cancelled"}"#), 0.0, "{words}");
        assert_eq!(lab.metric(r#"mainstay_streams_total{route="demo",outcome="cut"}"#), 1.0, "{words}");
        assert_eq!(lab.metric_sum("mainstay_requests_total", &["broken"]), 1.0, "{words}");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_go_on_while_somebody_is_asked() {
    let lab = Lab::start(
        &yaml("openai", "openai", "m").replace("idle: 3s", "idle: 3s, first_event: 60s, ttfb: 60s"),
    );
    lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Rst })]);
    lab.sim("b").control().set(vec![Rule::new(Fault::Slow { ttft: secs(40) })]);
    let answer = lab.send(&ask_in("openai")).await;
    assert_eq!(answer.text().matches(": keep-alive").count(), 2, "{}", answer.text());
    assert!(strict::read("openai", &answer).is_ok_and(|whole| oracle(&whole.text).is_ok()));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_buffered_stream_breaks_before_anybody_has_seen_it() {
    let yaml = yaml("openai", "openai", "m").replace("continuation: any", "delivery: buffered");
    for dialect in DIALECTS {
        for (how, fault) in breaks() {
            let lab = Lab::start(&yaml);
            lab.sim("a").control().set(vec![Rule::new(fault)]);
            let answer = lab.send(&ask_in(dialect)).await;
            let whole = strict::read(dialect, &answer).unwrap_or_else(|why| panic!("{how}: {why}"));
            assert!(
                oracle(&whole.text).is_ok_and(|spoken| spoken.upstream == "b"),
                "{how}: all of it is B's"
            );
            assert_eq!(["a", "b", "c"].map(|name| lab.arrived(name)), [1, 1, 0], "{dialect}, {how}");
            lab.assert_quiet().await;
        }
    }
}
