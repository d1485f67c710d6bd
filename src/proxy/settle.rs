//! Books the end of a request exactly once, however it ends.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::Gateway;
use crate::algo::tick::Tick;
use crate::state::Channel;
use crate::state::route::Route;
use crate::telemetry::{RequestOutcome, StreamOutcome};
use crate::vocab::Usage;

/// Held by whoever has the request. Dropped without a word, it books a caller who hung up.
pub struct Settle {
    gateway: Arc<Gateway>,
    route: Arc<Route>,
    dialect: &'static str,
    request_id: Box<str>,
    begun: Tick,
    /// Time spent waiting for upstreams and for the caller's body, before the first byte back.
    waited: Duration,
    outcome: RequestOutcome,
    stream: Option<StreamOutcome>,
    pub attempts: u32,
    /// How many of them were made beside one that was silent and had not failed.
    pub hedges: u32,
    /// The name of the caller's key; for logs.
    pub caller: Option<Arc<str>>,
    /// The last one that was asked.
    pub channel: Option<Arc<Channel>>,
    pub usage: Option<Usage>,
}

impl Settle {
    pub fn begin(
        gateway: &Arc<Gateway>,
        route: &Arc<Route>,
        dialect: &'static str,
        request_id: &str,
        begun: Tick,
    ) -> Self {
        route.memory.in_flight.fetch_add(1, Relaxed);
        gateway.in_flight.fetch_add(1, Relaxed);
        Self {
            gateway: Arc::clone(gateway),
            route: Arc::clone(route),
            dialect,
            request_id: request_id.into(),
            begun,
            waited: Duration::ZERO,
            outcome: RequestOutcome::Cancelled,
            stream: None,
            attempts: 0,
            hedges: 0,
            caller: None,
            channel: None,
            usage: None,
        }
    }

    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Takes `waited` out of the gateway's own time.
    pub fn waited(&mut self, waited: Duration) {
        self.waited += waited;
    }

    /// The first byte of an answer is about to leave.
    pub fn first_byte(&self) {
        let own = self.gateway.live.now().since(self.begun).saturating_sub(self.waited);
        self.route.handles.overhead.record(own.as_secs_f64());
    }

    pub fn ends(&mut self, outcome: RequestOutcome) {
        self.outcome = outcome;
    }

    pub fn stream_ends(&mut self, stream: StreamOutcome) {
        self.stream = Some(stream);
        self.outcome = match stream {
            StreamOutcome::Complete | StreamOutcome::Unterminated => RequestOutcome::Ok,
            StreamOutcome::Error | StreamOutcome::Cut | StreamOutcome::Stalled => RequestOutcome::Broken,
            StreamOutcome::Cancelled => RequestOutcome::Cancelled,
        };
    }
}

impl Drop for Settle {
    fn drop(&mut self) {
        let handles = &self.route.handles;
        let took = self.gateway.live.now().since(self.begun);
        handles.finished(&self.gateway.live.metrics, self.dialect, self.outcome);
        handles.seconds.record(took.as_secs_f64());
        if let Some(stream) = self.stream {
            handles.stream_ended(stream);
        }
        let good = matches!(self.outcome, RequestOutcome::Ok | RequestOutcome::ClientFault);
        if good && self.attempts > self.hedges + 1 {
            handles.saved.increment(1);
        }
        self.route.memory.in_flight.fetch_sub(1, Relaxed);
        self.gateway.in_flight.fetch_sub(1, Relaxed);
        let (route, channel) =
            (&*self.route.config.name, self.channel.as_ref().map_or("", |channel| &channel.label));
        let (outcome, millis) = (self.outcome.name(), took.as_secs_f64() * 1e3);
        let key = self.caller.as_deref();
        let tokens = self.usage.map(|usage| usage.input + usage.output);
        if good {
            tracing::debug!(request = %self.request_id, key, route, channel, outcome, attempts = self.attempts, millis, tokens, "request");
        } else {
            tracing::info!(request = %self.request_id, key, route, channel, outcome, attempts = self.attempts, millis, tokens, "request");
        }
    }
}
