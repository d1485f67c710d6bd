//! Spans as OTLP's messages (`opentelemetry/proto/trace/v1/trace.proto`), and requests to `/v1/traces` made of them.

use super::resource::Resource;
use super::wire::Message;

/// A batch is closed when it is as large; collectors take 4 MiB or more.
const ENOUGH: usize = 512 * 1024;
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;

const EVENTS: u32 = 11;

/// What a span is to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was asked.
    Server = 2,
    /// It asks.
    Client = 3,
}

/// Where a span stands; no id is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub trace: u128,
    pub span: u64,
    pub parent: Option<u64>,
}

/// A span that is being written. Times are Unix times in nanoseconds.
#[derive(Debug)]
pub struct Span(Message);

impl Span {
    pub fn new(place: Place, kind: Kind, name: &str, (begun, ended): (u64, u64)) -> Self {
        let mut span = Message::default();
        span.bytes(1, &place.trace.to_be_bytes());
        span.bytes(2, &place.span.to_be_bytes());
        if let Some(parent) = place.parent {
            span.bytes(4, &parent.to_be_bytes());
        }
        span.text(5, name);
        span.uint(6, kind as u64);
        span.fixed64(7, begun);
        span.fixed64(8, ended.max(begun));
        Self(span)
    }

    pub fn attributes(&mut self) -> Attributes<'_> {
        Attributes { message: &mut self.0, field: 9 }
    }

    pub fn event(&mut self, at: u64, name: &str, describe: impl FnOnce(&mut Attributes<'_>)) {
        self.0.message(EVENTS, |event| {
            event.fixed64(1, at);
            event.text(2, name);
            describe(&mut Attributes { message: event, field: 3 });
        });
    }

    /// It has to do with another span of the same trace.
    pub fn link(&mut self, trace: u128, span: u64, what: &str) {
        self.0.message(13, |link| {
            link.bytes(1, &trace.to_be_bytes());
            link.bytes(2, &span.to_be_bytes());
            link.attribute(4, "mainstay.link", what);
        });
    }

    pub fn fails(&mut self, why: &str) {
        self.0.message(15, |status| {
            status.text(2, why);
            status.uint(3, ERROR);
        });
    }
}

/// What is said of a span or an event.
pub struct Attributes<'m> {
    message: &'m mut Message,
    field: u32,
}

impl Attributes<'_> {
    pub fn text(&mut self, key: &str, value: &str) {
        self.message.attribute(self.field, key, value);
    }

    /// Where there is something to say.
    pub fn some_text(&mut self, key: &str, value: Option<&str>) {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            self.text(key, value);
        }
    }

    pub fn count(&mut self, key: &str, value: u64) {
        self.message.counted(self.field, key, value);
    }

    pub fn some_count(&mut self, key: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.count(key, value);
        }
    }

    /// Only where it is so.
    pub fn flag(&mut self, key: &str, is_so: bool) {
        if is_so {
            self.message.flagged(self.field, key);
        }
    }
}

/// Spans that wait until there are enough of them.
#[derive(Debug, Default)]
pub struct Spans(Message);

impl Spans {
    pub fn add(&mut self, span: Span) {
        self.0.bytes(2, &span.0.into_bytes());
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn are_enough(&self) -> bool {
        self.0.len() >= ENOUGH
    }

    /// An `ExportTraceServiceRequest` with all of them. None are left here.
    pub fn take(&mut self, resource: &Resource) -> Vec<u8> {
        let mut scope = Message::default();
        Resource::scope(1, &mut scope);
        let spans = std::mem::take(&mut self.0);
        let scope = [scope.into_bytes(), spans.into_bytes()].concat();
        let mut request = Message::default();
        request.message(1, |resource_spans| {
            resource.write(1, resource_spans);
            resource_spans.bytes(2, &scope);
        });
        request.into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
    use prost::Message as _;

    use super::*;

    /// By the protocol's own published messages.
    #[test]
    fn what_is_written_is_what_a_collector_reads() {
        let place = Place { trace: 1 << 100 | 7, span: 8, parent: Some(9) };
        let mut span = Span::new(place, Kind::Client, "chat demo", (10, 20));
        span.attributes().text("a", "b");
        span.attributes().count("c", u64::from(u32::MAX) + 1);
        span.attributes().flag("d", true);
        span.attributes().flag("e", false);
        span.attributes().some_text("f", Some(""));
        span.event(15, "came", |event| event.text("g", "h"));
        span.link(place.trace, 5, "before");
        span.fails("it broke");
        let mut spans = Spans::default();
        spans.add(span);
        spans.add(Span::new(Place { parent: None, ..place }, Kind::Server, "", (30, 20)));
        let resource = Resource { instance: "one".into() };
        let batch = spans.take(&resource);
        assert!(spans.is_empty());
        let read = ExportTraceServiceRequest::decode(&*batch).expect("an ExportTraceServiceRequest");
        let [resource] = &*read.resource_spans else { panic!("{read:?}") };
        assert!(resource.resource.as_ref().is_some_and(|who| who.attributes.len() == 3));
        let [scope] = &*resource.scope_spans else { panic!("{read:?}") };
        assert_eq!(scope.scope.as_ref().map(|scope| &*scope.name), Some("mainstay"));
        let [span, other] = &*scope.spans else { panic!("{read:?}") };
        assert_eq!(span.trace_id, place.trace.to_be_bytes());
        assert_eq!(
            (&*span.span_id, &*span.parent_span_id),
            (&8_u64.to_be_bytes()[..], &9_u64.to_be_bytes()[..])
        );
        assert_eq!((span.kind, &*span.name), (3, "chat demo"));
        assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (10, 20));
        let said: Vec<_> = span
            .attributes
            .iter()
            .map(|pair| (&*pair.key, pair.value.clone().and_then(|any| any.value).expect("a value")))
            .collect();
        assert_eq!(
            said,
            [
                ("a", Value::StringValue("b".into())),
                ("c", Value::IntValue(i64::from(u32::MAX) + 1)),
                ("d", Value::BoolValue(true)),
            ]
        );
        assert_eq!((span.events[0].time_unix_nano, &*span.events[0].name), (15, "came"));
        assert_eq!(span.events[0].attributes[0].key, "g");
        assert_eq!(
            (&span.links[0].trace_id, &*span.links[0].span_id),
            (&span.trace_id, &5_u64.to_be_bytes()[..])
        );
        let status = span.status.as_ref().expect("it failed");
        assert_eq!((status.code(), &*status.message), (StatusCode::Error, "it broke"));
        assert!(other.parent_span_id.is_empty() && other.status.is_none());
        assert_eq!(other.end_time_unix_nano, 30, "no span ends before it begins");
    }
}
