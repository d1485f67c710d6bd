//! Where a request stands in a distributed trace: what its caller says of that, and what its upstreams and he are told.
//!
//! Nothing is measured or sent here. Spans are made once the request is over, of its record (`ledger::journal`); on its
//! path there is a header to read, and one to write for each attempt. Where no collector is told of requests the two
//! headers pass as they came.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::intake::Guest;
use super::{Gateway, Snapshot};
use crate::algo::tick::Tick;
use crate::config::{Propagate, Traces};
use crate::state::{Permit, Table};
use crate::upstream::headers::Towards;
use crate::vocab::Trace;
use crate::vocab::trace::{Context, Keep, TraceId, is_state};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const TRACE_ID: HeaderName = HeaderName::from_static("x-mainstay-trace-id");

const NANOS: u64 = 1_000_000_000;

/// Requests of this second whose callers' word was taken that they are traced: the second, and how many.
#[derive(Debug, Default)]
pub struct Followed(AtomicU64);

impl Followed {
    /// Whether one more may be.
    fn may(&self, now: Tick, most: u32) -> bool {
        let second = now.nanos() / NANOS;
        let more = |word: u64| {
            let count = if word >> 32 == second & 0xffff_ffff { word as u32 } else { 0 };
            (count < most).then_some(second << 32 | u64::from(count + 1))
        };
        self.0.fetch_update(Relaxed, Relaxed, more).is_ok()
    }
}

fn settings(table: &Table) -> Option<Traces> {
    table.telemetry.otlp.as_ref()?.traces
}

/// The place of a request that has just come, of which its caller says so much; `None` where he says nothing and no
/// collector is told of requests.
pub fn of(gateway: &Gateway, snapshot: &Snapshot, method: &Method, said: Option<Context>) -> Option<Trace> {
    let Some(Traces { sample, failed, slow, followed, .. }) = settings(&snapshot.table) else {
        return said.map(|said| untold(said, method));
    };
    let mut dice = gateway.live.dice();
    let id = said.map_or_else(
        || TraceId(u128::from(dice.next_u64()) << 64 | u128::from(dice.next_u64().max(1))),
        |context| context.id,
    );
    let keeps = match said {
        // Whoever traces has chance decide once, at the root; but any caller can say that he does.
        Some(Context { sampled: true, .. }) => {
            gateway.followed.may(gateway.live.now(), followed) || id.is_among(sample.hundredths())
        }
        Some(Context { sampled: false, .. }) => false,
        None => id.is_among(sample.hundredths()),
    };
    let keep = match keeps {
        true => Keep::Always,
        false if id.is_among(failed.hundredths()) => Keep::Failed,
        false => Keep::Never,
    };
    let (span, seed) = (dice.next_u64().max(1), dice.next_u64());
    let parent = said.map(|context| context.span);
    Some(Trace { id, parent, span, seed, keep, slow, method: name(method) })
}

/// Of a request that no collector is told of: its line of the log has the trace all the same.
fn untold(Context { id, span, .. }: Context, method: &Method) -> Trace {
    let (keep, slow, method) = (Keep::Never, None, name(method));
    Trace { id, parent: Some(span), span: 0, seed: 0, keep, slow, method }
}

/// What the caller says. Two of them are as good as none.
pub fn context(headers: &HeaderMap) -> Option<Context> {
    let mut said = headers.get_all(TRACEPARENT).iter();
    let (first, second) = (said.next()?, said.next());
    second.is_none().then(|| first.to_str().ok().and_then(Context::parse)).flatten()
}

/// As OpenTelemetry has it: what it does not know is not said, for any caller can make one up.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::PATCH => "PATCH",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "_OTHER",
    }
}

/// Puts into what an attempt sends where it stands, or takes out what the caller has said of himself.
pub fn tell(fields: &mut HeaderMap, table: &Table, guest: &Guest, permit: &Permit, towards: Towards) {
    let (Some(trace), Some(settings)) = (&guest.settle.trace, settings(table)) else { return };
    let hears = match (settings.propagate, towards) {
        (Propagate::All, _) | (Propagate::Services, Towards::Service) => true,
        (Propagate::Services, Towards::Provider) | (Propagate::None, _) => false,
    };
    let told = permit.place().filter(|_| hears).map(|place| trace.told(place).to_string());
    match told.and_then(|told| HeaderValue::try_from(told).ok()) {
        Some(told) => {
            fields.insert(TRACEPARENT, told);
        }
        None => {
            fields.remove(TRACEPARENT);
        }
    }
    if !hears || trace.parent.is_none() || !is_sound(&guest.head.headers) {
        fields.remove(TRACESTATE);
    }
}

/// Whether what the tracing systems of callers say to each other may be passed on.
fn is_sound(headers: &HeaderMap) -> bool {
    let mut all = String::new();
    for value in headers.get_all(TRACESTATE) {
        let Ok(text) = value.to_str() else { return false };
        all.push(',');
        all.push_str(text);
    }
    is_state(&all)
}

/// Names the trace in an answer, where its spans are kept.
pub fn say(headers: &mut HeaderMap, status: StatusCode, trace: Option<Trace>) {
    let kept = trace.filter(|trace| trace.is_kept(status.is_server_error()));
    if let Some(id) = kept.and_then(|trace| HeaderValue::try_from(trace.id.to_string()).ok()) {
        headers.insert(TRACE_ID, id);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn so_many_are_followed_each_second_and_no_more() {
        let followed = Followed::default();
        let at = |millis: u64| Tick::ZERO + Duration::from_millis(millis);
        let asked = |millis, most| (0..5).filter(|_| followed.may(at(millis), most)).count();
        assert_eq!(asked(5_000, 3), 3);
        assert_eq!(asked(5_999, 3), 0);
        assert_eq!(asked(6_000, 3), 3);
        assert_eq!(asked(6_000, 4), 1, "more are allowed by now");
        assert_eq!(asked(7_000, 0), 0);
    }

    #[test]
    fn one_traceparent_is_one_and_two_are_none() {
        let sound = HeaderValue::from_static("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        let mut headers = HeaderMap::new();
        assert_eq!(context(&headers), None);
        headers.append(TRACEPARENT, sound.clone());
        assert!(context(&headers).is_some());
        headers.append(TRACEPARENT, sound);
        assert_eq!(context(&headers), None);
    }
}
