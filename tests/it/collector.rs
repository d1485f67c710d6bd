//! What an OpenTelemetry collector gets, read by the protocol's own published messages.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, HistogramDataPoint, Metric};
use prost::Message;

use super::http;
use super::process::{Gateway, wait_for};

const ROUTING: &str = r#"
version: 1
server: {listen: LISTEN, admin: ADMIN}
telemetry:
  otlp: {endpoint: "http://COLLECTOR/otlp", interval: 1s, timeout: 2s, headers: {authorization: "Bearer ${MAINSTAY_IT_SECRET}"}}
upstreams:
  sim-a: {provider: simulated, simulated: {ttft: 5ms, pace: 1ms}}
routes:
  - {model: demo, channels: [{upstream: sim-a}]}
"#;

/// What came in one request.
#[derive(Clone, Debug)]
pub struct Posted {
    path: String,
    fields: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// A collector that answers as it is told, and with 200 afterwards.
pub struct Collector {
    pub address: SocketAddr,
    posted: Arc<Mutex<Vec<Posted>>>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
}

impl Collector {
    pub fn start(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let posted: Arc<Mutex<Vec<Posted>>> = Arc::default();
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect::<VecDeque<_>>()));
        let (kept, left) = (Arc::clone(&posted), Arc::clone(&answers));
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(one) = read(&stream) else { continue };
                let answer = left.lock().unwrap().pop_front().unwrap_or("200 OK\r\n");
                kept.lock().unwrap().push(one);
                let text = format!("HTTP/1.1 {answer}content-length: 0\r\nconnection: close\r\n\r\n");
                // Whoever left has no answer.
                let _ = (&stream).write_all(text.as_bytes());
            }
        });
        Self { address, posted, answers }
    }

    fn gateway(&self) -> Gateway {
        Gateway::start(&ROUTING.replace("COLLECTOR", &self.address.to_string()))
    }

    pub fn posted(&self) -> Vec<Posted> {
        self.posted.lock().unwrap().clone()
    }

    /// The last state of every metric, by name.
    fn metrics(&self) -> BTreeMap<String, Metric> {
        let mut all = BTreeMap::new();
        for request in self.posted().iter().map(Posted::request) {
            for resource in request.resource_metrics {
                let metrics = resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
                all.extend(metrics.map(|metric| (metric.name.clone(), metric)));
            }
        }
        all
    }
}

fn read(stream: &TcpStream) -> Option<Posted> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut fields = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        fields.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; fields.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Posted { path, fields, body })
}

impl Posted {
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What was sent, without gzip.
    pub fn whole(&self) -> Vec<u8> {
        assert_eq!(self.fields["content-encoding"], "gzip");
        let mut body = Vec::new();
        GzDecoder::new(&*self.body).read_to_end(&mut body).expect("gzip");
        body
    }

    fn request(&self) -> ExportMetricsServiceRequest {
        ExportMetricsServiceRequest::decode(&*self.whole()).expect("an ExportMetricsServiceRequest")
    }
}

fn said(attributes: &[KeyValue]) -> BTreeMap<&str, &str> {
    let text = |value: &'_ Option<AnyValue>| match value.as_ref().and_then(|any| any.value.as_ref()) {
        Some(Value::StringValue(_)) => true,
        _ => panic!("an attribute is no text: {value:?}"),
    };
    attributes
        .iter()
        .filter(|pair| text(&pair.value))
        .map(|pair| match pair.value.as_ref().and_then(|any| any.value.as_ref()) {
            Some(Value::StringValue(value)) => (pair.key.as_str(), value.as_str()),
            _ => unreachable!("looked at above"),
        })
        .collect()
}

fn ask(gateway: &Gateway, stream: bool) {
    let body =
        format!(r#"{{"model":"demo","stream":{stream},"messages":[{{"role":"user","content":"hi"}}]}}"#);
    let answer = http::post(gateway.callers, "/v1/chat/completions", &body).expect("the gateway answers");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn histogram(metric: &Metric) -> &[HistogramDataPoint] {
    let Some(Data::Histogram(histogram)) = &metric.data else { panic!("{} is no histogram", metric.name) };
    assert_eq!(histogram.aggregation_temporality, AggregationTemporality::Cumulative as i32);
    &histogram.data_points
}

#[test]
fn metrics_go_by_opentelemetrys_names_where_it_has_some() {
    let collector = Collector::start(&[]);
    let gateway = collector.gateway();
    for stream in [false, true, true] {
        ask(&gateway, stream);
    }
    let whole = wait_for(30, || {
        let metrics = collector.metrics();
        let tokens = metrics.get("gen_ai.server.time_per_output_token")?;
        (histogram(tokens)[0].count == 2).then_some(metrics)
    });
    let metrics = whole.unwrap_or_else(|| panic!("{:?}\n{}", collector.metrics().keys(), gateway.said()));

    for (name, unit) in [
        ("gen_ai.client.operation.duration", "s"),
        ("gen_ai.client.token.usage", "{token}"),
        ("gen_ai.server.time_to_first_token", "s"),
        ("gen_ai.server.time_per_output_token", "s"),
    ] {
        let metric = &metrics[name];
        assert_eq!(metric.unit, unit, "{name}");
        for point in histogram(metric) {
            let said = said(&point.attributes);
            assert_eq!(said["gen_ai.request.model"], "demo", "{name}: {said:?}");
            assert_eq!(said["gen_ai.provider.name"], "simulated", "{name}: {said:?}");
            assert_eq!(said["mainstay.upstream"], "sim-a", "{name}: {said:?}");
            assert!(!said.contains_key("error.type"), "{name}: {said:?}");
            assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1, "{name}");
            assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count, "{name}");
            assert!(point.count > 0 && point.sum.is_some_and(|sum| sum > 0.0), "{name}: {point:?}");
            assert!(0 < point.start_time_unix_nano && point.start_time_unix_nano < point.time_unix_nano);
        }
    }
    let usage = histogram(&metrics["gen_ai.client.token.usage"]);
    let kinds: Vec<_> = usage.iter().map(|point| said(&point.attributes)["gen_ai.token.type"]).collect();
    assert_eq!(kinds, ["input", "output"]);

    let Some(Data::Sum(requests)) = &metrics["mainstay.requests"].data else { panic!("no sum") };
    assert!(requests.is_monotonic);
    assert_eq!(requests.aggregation_temporality, AggregationTemporality::Cumulative as i32);
    assert!(requests.data_points.iter().any(|point| {
        let said = said(&point.attributes);
        (said["mainstay.route"], said["mainstay.outcome"]) == ("demo", "ok")
    }));
    assert!(matches!(&metrics["mainstay.connections"].data, Some(Data::Gauge(_))));

    let posted = collector.posted();
    let first = &posted[0];
    assert_eq!(first.path, "/otlp/v1/metrics");
    assert_eq!(first.fields["content-type"], "application/x-protobuf");
    assert!(first.fields["authorization"].starts_with("Bearer "));
    let resource = first.request().resource_metrics.remove(0).resource.expect("a resource");
    let said = said(&resource.attributes);
    assert_eq!((said["service.name"], said["service.version"]), ("mainstay", env!("CARGO_PKG_VERSION")));
    assert!(!said["service.instance.id"].is_empty());
}

#[test]
fn a_collector_that_is_broken_harms_nobody_and_is_tried_again() {
    let collector = Collector::start(&[
        "503 Service Unavailable\r\nretry-after: 1\r\n",
        "429 Too Many Requests\r\nretry-after: 1\r\n",
        "400 Bad Request\r\n",
    ]);
    let gateway = collector.gateway();
    ask(&gateway, true);
    let counted = |result: &str, times: u64| {
        let name = format!("mainstay_otlp_batches_total{{signal=\"metrics\",result=\"{result}\"}} ");
        let text = gateway.metrics();
        let value = text.lines().find_map(|line| line.strip_prefix(&name)).map(str::to_owned);
        value.is_some_and(|value| value.parse::<u64>().is_ok_and(|value| value >= times)).then_some(())
    };
    let all = wait_for(30, || counted("retried", 2).and(counted("refused", 1)).and(counted("sent", 1)));
    assert!(all.is_some(), "{}\n{}", gateway.metrics(), gateway.said());
    assert!(collector.answers.lock().unwrap().is_empty());
    // The same batch came three times: twice it was asked for again, once it was not wanted.
    let posted = collector.posted();
    assert_eq!(posted[0].body, posted[1].body);
    assert_eq!(posted[1].body, posted[2].body);
    assert_ne!(posted[2].body, posted[3].body);
    ask(&gateway, false);
    assert!(!gateway.log().contains("Bearer"), "{}", gateway.said());
}

#[test]
fn what_metrics_came_to_is_told_before_the_process_ends() {
    let collector = Collector::start(&[]);
    let seldom = ROUTING.replace("interval: 1s", "interval: 1h");
    let mut gateway = Gateway::start(&seldom.replace("COLLECTOR", &collector.address.to_string()));
    ask(&gateway, false);
    gateway.terminate();
    let metrics = collector.metrics();
    let took =
        metrics.get("gen_ai.client.operation.duration").unwrap_or_else(|| panic!("{:?}", metrics.keys()));
    assert_eq!(histogram(took).iter().map(|point| point.count).sum::<u64>(), 1, "{took:?}");
}

#[test]
fn requests_are_told_beside_metrics() {
    let collector = Collector::start(&[]);
    let traced = ROUTING.replace("timeout: 2s", "metrics: false, traces: {enabled: true, sample: 100%}");
    let gateway = Gateway::start(&traced.replace("COLLECTOR", &collector.address.to_string()));
    ask(&gateway, true);
    let posted = wait_for(30, || collector.posted().into_iter().next());
    let posted = posted.unwrap_or_else(|| panic!("nothing came\n{}", gateway.said()));
    assert_eq!(posted.path, "/otlp/v1/traces");
    assert!(posted.fields["authorization"].starts_with("Bearer "));
    let request = ExportTraceServiceRequest::decode(&*posted.whole()).expect("an ExportTraceServiceRequest");
    let spans: Vec<_> =
        request.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans).collect();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["chat demo", "chat demo"]);
    assert_eq!((&spans[1].trace_id, &spans[1].parent_span_id), (&spans[0].trace_id, &spans[0].span_id));
    assert!(spans[0].end_time_unix_nano - spans[0].start_time_unix_nano > 5_000_000, "it took 5 ms at least");
}
