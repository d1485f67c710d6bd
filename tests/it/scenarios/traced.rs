//! What a collector is told of requests, read by the protocol's own published messages, and who hears of their traces.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::StatusCode;
use mainstay::simulated::{Fault, How, Rule};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Code;
use prost::Message;

use super::{after, secs};
use crate::lab::{Ask, Lab, Said, Scribe};

const ROUTING: &str = "
version: 1
telemetry: {otlp: {endpoint: 'http://collector:4318/otlp', compression: none, metrics: false, traces: {enabled: true, TRACES}}}
upstreams:
  near: {provider: simulated, probe: {kind: 'off'}, simulated: {ttft: 20ms, pace: 5ms}}
  far: {provider: simulated, simulated: {ttft: 20ms, pace: 5ms}}
  orders: {provider: http, base_url: 'http://orders', probe: {kind: 'off'}}
  vendor: {provider: custom, dialect: openai, base_url: 'http://vendor/v1', probe: {kind: 'off'}}
routes:
  - model: demo
    continuation: any
    channels: [{upstream: near}, {upstream: far, tier: 1}]
  - {model: mirrored, channels: [{upstream: near}], mirror: {to: spare, share: 100%}}
  - {model: spare, channels: [{upstream: far}]}
  - {model: sold, channels: [{upstream: vendor}]}
  - {path: /orders/, channels: [{upstream: orders}]}
";

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

struct Traced {
    lab: Lab,
    collector: Arc<Scribe>,
    orders: Arc<Scribe>,
    vendor: Arc<Scribe>,
}

impl Traced {
    fn start(traces: &str) -> Self {
        let (collector, orders) = (Scribe::saying(Said::status(200)), Scribe::saying(Said::json(200, "{}")));
        let answer = r#"{"id":"1","object":"chat.completion","model":"sold","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}"#;
        let vendor = Scribe::saying(Said::json(200, answer));
        let scribes = [("collector", &collector), ("orders", &orders), ("vendor", &vendor)];
        let lab = Lab::whole_beside(&ROUTING.replace("TRACES", traces), &scribes);
        Self { lab, collector, orders, vendor }
    }

    /// All spans, once they are there.
    async fn spans(&self) -> Vec<Seen> {
        after(secs(6)).await;
        let posted = self.collector.heard();
        assert!(posted.iter().all(|one| one.uri.path() == "/otlp/v1/traces"), "{posted:?}");
        let requests = posted.iter().map(|one| ExportTraceServiceRequest::decode(one.body.clone()).unwrap());
        let scopes = requests.flat_map(|one| one.resource_spans).flat_map(|one| one.scope_spans);
        scopes.flat_map(|scope| scope.spans).map(Seen::of).collect()
    }
}

/// A span, in words.
#[derive(Debug)]
struct Seen {
    span: Span,
    said: BTreeMap<String, String>,
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn words(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |pair: &KeyValue| match pair.value.as_ref().and_then(|any| any.value.as_ref()).unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => panic!("{}: {other:?}", pair.key),
    };
    attributes.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
}

impl Seen {
    fn of(span: Span) -> Self {
        Self { said: words(&span.attributes), span }
    }

    fn id(&self) -> String {
        hex(&self.span.span_id)
    }

    fn parent(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    fn said(&self, key: &str) -> &str {
        self.said.get(key).map_or("", String::as_str)
    }

    fn fails(&self) -> bool {
        self.span.status.as_ref().is_some_and(|status| status.code() == Code::Error)
    }

    fn events(&self) -> Vec<&str> {
        self.span.events.iter().map(|event| &*event.name).collect()
    }
}

/// The request's, and those of its attempts.
fn family(spans: &[Seen]) -> (&Seen, &[Seen]) {
    let (served, tried) = spans.split_first().expect("there are spans");
    assert_eq!(served.span.kind, SpanKind::Server as i32);
    for one in tried {
        assert_eq!(one.span.kind, SpanKind::Client as i32);
        assert_eq!((&one.span.trace_id, one.parent()), (&served.span.trace_id, served.id()));
        assert!(one.span.start_time_unix_nano >= served.span.start_time_unix_nano);
        assert!(one.span.end_time_unix_nano >= one.span.start_time_unix_nano);
        let events: Vec<_> = one.span.events.iter().map(|event| event.time_unix_nano).collect();
        assert!(
            events.is_sorted() && events.iter().all(|at| *at >= one.span.start_time_unix_nano),
            "{one:?}"
        );
    }
    (served, tried)
}

#[tokio::test(start_paused = true)]
async fn a_callers_trace_goes_on_through_the_gateway_to_the_service_behind_it() {
    let traced = Traced::start("sample: 0%");
    let ask = Ask::get("/orders/of-ada?card=4711").header("traceparent", SAMPLED);
    let ask = ask.header("tracestate", "rojo=00f067aa0ba902b7").header("tracestate", "congo=t61");
    let answer = traced.lab.send(&ask).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-mainstay-trace-id")), (200, TRACE));
    let heard = traced.orders.only();
    let spans = traced.spans().await;
    let (served, tried) = family(&spans);
    assert_eq!(
        (hex(&served.span.trace_id), served.parent()),
        (TRACE.to_owned(), "b7ad6b7169203331".to_owned())
    );
    let [attempt] = tried else { panic!("{tried:?}") };
    assert_eq!(heard.header("traceparent"), format!("00-{TRACE}-{}-01", attempt.id()));
    let states: Vec<_> = heard.headers.get_all("tracestate").iter().collect();
    assert_eq!(states, ["rojo=00f067aa0ba902b7", "congo=t61"]);
    assert_eq!((&*served.span.name, &*attempt.span.name), ("GET /orders/", "GET"));
    assert_eq!((served.said("http.route"), served.said("http.response.status_code")), ("/orders/", "200"));
    assert_eq!((attempt.said("server.address"), attempt.said("server.port")), ("orders", "80"));
    assert_eq!(served.said("mainstay.request_id"), answer.header("x-mainstay-request-id"));
    for posted in traced.collector.heard() {
        let has = |text: &[u8]| posted.body.windows(text.len()).any(|part| part == text);
        assert!(!has(b"of-ada") && !has(b"4711"), "what callers typed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failover_that_no_caller_saw_is_kept_with_both_attempts() {
    let traced = Traced::start("sample: 0%");
    let fails = Fault::Status { status: StatusCode::INTERNAL_SERVER_ERROR, body: None, retry_after: None };
    traced.lab.sim("near").control().set(vec![Rule::new(fails)]);
    traced.lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    let spans = traced.spans().await;
    let (served, tried) = family(&spans);
    assert_eq!((&*served.span.name, served.fails(), served.parent()), ("chat demo", false, String::new()));
    let [first, second] = tried else { panic!("{tried:?}") };
    assert_eq!((first.said("mainstay.channel"), second.said("mainstay.channel")), ("near/demo", "far/demo"));
    assert!(first.fails() && !second.fails());
    assert_eq!((first.said("error.type"), first.said("http.response.status_code")), ("server_error", "500"));
    assert_eq!((first.said("mainstay.verdict"), second.said("mainstay.verdict")), ("server_error", "ok"));
    assert!(first.span.end_time_unix_nano <= second.span.start_time_unix_nano);
    assert_eq!(second.events(), ["mainstay.sent", "mainstay.headers", "mainstay.first_content"]);
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "simulated"),
        ("gen_ai.request.model", "demo"),
    ] {
        assert_eq!(second.said(key), value, "{key}");
    }
    for key in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
        assert!(second.said(key).parse::<u64>().unwrap() > 0, "{key}");
        assert_eq!(second.said(key), served.said(key), "{key}");
    }
    assert_eq!((served.said("mainstay.attempts"), served.said("mainstay.outcome")), ("2", "ok"));
    // The second look is at a channel that was tried.
    let passed_over = served.span.events.iter().find(|event| event.name == "mainstay.passed_over").unwrap();
    assert_eq!(words(&passed_over.attributes)["mainstay.standing"], "near/demo: tried");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_continued_shows_its_legs_one_after_the_other() {
    let traced = Traced::start("sample: 100%");
    let rule = Rule::new(Fault::Cut { after_events: 10, how: How::Rst });
    traced.lab.sim("near").control().set(vec![rule]);
    let answer = traced.lab.send(&Ask::stream("demo")).await;
    assert_eq!(answer.header("x-mainstay-trace-id").len(), 32);
    let spans = traced.spans().await;
    let (served, tried) = family(&spans);
    let [turn, leg] = tried else { panic!("{tried:?}") };
    assert_eq!((turn.said("mainstay.part"), leg.said("mainstay.part")), ("turn", "leg"));
    assert!(turn.fails() && !leg.fails() && !served.fails());
    assert_eq!(leg.span.links.iter().map(|link| hex(&link.span_id)).collect::<Vec<_>>(), [turn.id()]);
    assert!(turn.span.links.is_empty());
    assert!(
        served.events().contains(&"mainstay.continued") && served.events().contains(&"mainstay.first_byte")
    );
    assert_eq!(hex(&served.span.trace_id), answer.header("x-mainstay-trace-id"));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_is_nobodys_error() {
    let traced = Traced::start("sample: 100%");
    let mut kept = traced.lab.open(&Ask::stream("demo")).await;
    kept.next().await;
    kept.hang_up();
    let spans = traced.spans().await;
    let (served, tried) = family(&spans);
    assert_eq!(
        (served.said("mainstay.outcome"), tried[0].said("mainstay.verdict")),
        ("cancelled", "cancelled")
    );
    assert!(!served.fails() && !tried[0].fails());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_fails_says_why_and_names_its_trace() {
    let traced = Traced::start("sample: 0%");
    for upstream in ["near", "far"] {
        traced.lab.sim(upstream).control().set(vec![Rule::new(Fault::Refuse)]);
    }
    let answer = traced.lab.send(&Ask::chat("demo")).await;
    assert!(answer.status.is_server_error());
    let spans = traced.spans().await;
    let (served, tried) = family(&spans);
    assert!(served.fails() && tried.iter().all(Seen::fails));
    assert_eq!(served.said("http.response.status_code"), answer.status.as_u16().to_string());
    assert!(!served.said("error.type").is_empty());
    assert_eq!(answer.header("x-mainstay-trace-id"), hex(&served.span.trace_id));
    assert_eq!(tried[0].said("mainstay.stage"), "not_sent");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_sampled_and_does_not_fail_is_not_told() {
    let traced = Traced::start("sample: 0%");
    let answer = traced.lab.send(&Ask::chat("demo")).await;
    assert_eq!(answer.header("x-mainstay-trace-id"), "");
    traced.lab.send(&Ask::chat("demo").header("traceparent", UNSAMPLED)).await.spoken().unwrap();
    assert!(traced.spans().await.is_empty());
    // Whoever sends a wrong model has failed, and nobody else.
    traced.lab.send(&Ask::chat("nobody-has-this")).await;
    assert!(traced.spans().await.is_empty());

    let traced = Traced::start("sample: 0%, failed: 0%, followed: 0");
    traced.lab.sim("near").control().set(vec![Rule::new(Fault::Refuse)]);
    traced.lab.send(&Ask::chat("demo").header("traceparent", SAMPLED)).await.spoken().unwrap();
    assert!(traced.spans().await.is_empty(), "no caller's word is taken");

    let traced = Traced::start("sample: 0%, slow: 20ms");
    traced.lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    assert_eq!(traced.spans().await.len(), 2, "it was slow");
}

#[tokio::test(start_paused = true)]
async fn a_callers_decision_not_to_trace_is_passed_on() {
    let traced = Traced::start("sample: 100%");
    traced.lab.send(&Ask::get("/orders/1").header("traceparent", UNSAMPLED)).await;
    let heard = traced.orders.only();
    let told = heard.header("traceparent");
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-00"), "{told}");
    assert!(traced.spans().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_malformed_is_nobodys_trace() {
    let traced = Traced::start("sample: 100%");
    let ask =
        Ask::get("/orders/1").header("traceparent", &SAMPLED.to_uppercase()).header("tracestate", "a=1");
    let answer = traced.lab.send(&ask).await;
    let heard = traced.orders.only();
    let told = heard.header("traceparent");
    let id = answer.header("x-mainstay-trace-id");
    assert!(told.starts_with(&format!("00-{id}-")) && id != TRACE && id.len() == 32, "{told}");
    assert_eq!(heard.header("tracestate"), "");
    let sound = Ask::get("/orders/1").header("traceparent", SAMPLED).header("tracestate", "no state");
    traced.lab.send(&sound).await;
    let heard = traced.orders.only();
    assert!(heard.header("traceparent").contains(TRACE));
    assert_eq!(heard.header("tracestate"), "");
}

#[tokio::test(start_paused = true)]
async fn a_vendor_hears_of_a_trace_only_where_that_is_said() {
    for (propagate, service, vendor) in
        [("services", true, false), ("all", true, true), ("none", false, false)]
    {
        let traced = Traced::start(&format!("sample: 0%, propagate: {propagate}"));
        for ask in [Ask::get("/orders/1"), Ask::chat("sold")] {
            let ask = ask.header("traceparent", SAMPLED).header("tracestate", "a=1");
            assert_eq!(traced.lab.send(&ask).await.status.as_u16(), 200);
        }
        for (scribe, hears) in [(&traced.orders, service), (&traced.vendor, vendor)] {
            let heard = scribe.only();
            assert_eq!(heard.header("traceparent").contains(TRACE), hears, "{propagate}");
            assert_ne!(heard.header("traceparent"), SAMPLED, "a child's, not the caller's own");
            assert_eq!(heard.header("tracestate") == "a=1", hears, "{propagate}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_mirrors_attempt_hangs_on_the_request_that_it_mirrors() {
    let traced = Traced::start("sample: 100%");
    traced.lab.send(&Ask::chat("mirrored")).await.spoken().unwrap();
    let mut spans = traced.spans().await;
    spans.sort_by_key(|seen| seen.span.kind);
    let (_, tried) = family(&spans);
    let mut parts: Vec<_> = tried.iter().map(|seen| seen.said("mainstay.part")).collect();
    parts.sort_unstable();
    assert_eq!(parts, ["mirror", "turn"]);
    assert_ne!(tried[0].id(), tried[1].id());
}

#[tokio::test(start_paused = true)]
async fn the_last_spans_are_sent_before_the_process_leaves() {
    let traced = Traced::start("sample: 100%");
    after(secs(1)).await;
    traced.lab.send(&Ask::chat("demo")).await.spoken().unwrap();
    assert!(traced.collector.heard().is_empty());
    traced.lab.app().shutdown().await;
    assert_eq!(traced.collector.heard().len(), 1);
}

/// What a collector does wrong.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    Nothing,
    Away,
    /// Nobody ever takes the connection.
    Hangs,
    Answers(u16),
}

/// Whatever becomes of the collector, requests take as long as ever, and what waits for it is bounded.
#[tokio::test(start_paused = true)]
async fn a_collector_that_is_away_or_hangs_or_refuses_harms_no_request() {
    let took = async |wrong: Wrong| {
        let traced = Traced::start("sample: 100%");
        match wrong {
            Wrong::Nothing => {}
            Wrong::Away => traced.collector.refuse(),
            Wrong::Hangs => traced.lab.swallow("collector"),
            Wrong::Answers(status) => traced.collector.say(Said::status(status)),
        }
        let report = traced.lab.under_load(Ask::chat("demo"), 2.0, secs(600), async {}).await;
        report.assert_no_errors();
        let counted = |result: &str| {
            traced.lab.metric(&format!(r#"mainstay_otlp_batches_total{{signal="traces",result="{result}"}}"#))
        };
        assert!(traced.lab.metric(r#"mainstay_otlp_queue{signal="traces"}"#) <= 64.0);
        (report.slowest(), ["sent", "refused", "queue_full"].map(counted))
    };
    let (well, [sent, refused, lost]) = took(Wrong::Nothing).await;
    assert!(sent > 100.0 && refused + lost == 0.0, "{sent} sent");
    for wrong in [Wrong::Away, Wrong::Hangs, Wrong::Answers(503)] {
        let (slowest, [sent, _, lost]) = took(wrong).await;
        assert!(slowest <= well, "{wrong:?}: {slowest:?}, not {well:?}");
        assert!(sent == 0.0 && lost > 0.0, "{wrong:?}: {lost} lost");
    }
    let (slowest, [sent, refused, _]) = took(Wrong::Answers(400)).await;
    assert!(slowest <= well && sent == 0.0 && refused > 100.0, "{refused} refused");
}
