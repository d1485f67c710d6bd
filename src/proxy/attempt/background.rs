//! Answers in the background: their caller has a first word and comes back for the rest, or does not. Their upstream is
//! asked how far they have come until they have ended, so that what they used is booked whoever reads it, and once.
//!
//! Until then such a request is under way: it counts for limits, holds what it has reserved of budgets, and a drain
//! waits for it as for any answer that nobody reads. What a drain cuts off is booked by its prompt, as estimated. No
//! more are asked for than can be followed (`admission`).
//! Source: OpenAI's guide "Background mode".

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use tokio::runtime::Handle;
use tokio::time::sleep;

use super::read::hold;
use super::unheard::book;
use super::{authorize, build, head};
use crate::dialect::billed::Wish;
use crate::dialect::stored::{Progress, progress};
use crate::dialect::{Dialect, Operation, meter};
use crate::proxy::intake::Guest;
use crate::proxy::settle::Settle;
use crate::proxy::unattended::Place;
use crate::proxy::{Gateway, memory};
use crate::state::Permit;
use crate::telemetry::RequestOutcome;
use crate::upstream::{CallLimits, Outgoing, Reuse};

/// Between the first word and the first question, and as long again behind each, up to [`RARELY`].
const SOON: Duration = Duration::from_secs(1);
const RARELY: Duration = Duration::from_secs(30);
/// Nothing takes so long but what hangs.
const LONGEST: Duration = Duration::from_hours(12);
/// For one question.
const PATIENCE: Duration = Duration::from_secs(30);

/// The name of an answer that its upstream goes on with in the background.
pub(super) fn goes_on(guest: &Guest, is_native: bool, body: &[u8]) -> Option<String> {
    let may = is_native && guest.asks_for_background();
    // No other answer is read for it.
    let (id, at) = if may { progress(body)? } else { return None };
    (at == Progress::UnderWay).then_some(id)
}

/// An answer that is being made.
pub(super) struct Made {
    permit: Permit,
    settle: Settle,
    wish: Wish,
    /// At the upstream, with its query.
    path: String,
}

impl Made {
    /// Follows the answer `id` to its end, which has its `place`; what it is made of comes back where that cannot be.
    pub(super) fn follow(
        permit: Permit,
        settle: Settle,
        wish: Wish,
        place: Option<Place>,
        id: &str,
    ) -> Result<(), Box<(Permit, Settle)>> {
        let gateway = Arc::clone(settle.gateway());
        let path = build::path_of_stored(&permit.channel().upstream.config, id);
        // A twin of its request has none (`hedge`).
        let place = place.or_else(|| Place::in_background(&gateway));
        let (Some(path), Ok(runtime), Some(place)) = (path, Handle::try_current(), place) else {
            return Err(Box::new((permit, settle)));
        };
        let made = Self { permit, settle, wish, path };
        runtime.spawn(async move {
            let _place = place;
            let end = tokio::select! {
                biased;
                end = made.end(&gateway) => end,
                () = gateway.is_over() => None,
            };
            made.ends(end);
        });
        Ok(())
    }

    /// Asks until it has ended. `None` where it is gone, or takes too long.
    async fn end(&self, gateway: &Gateway) -> Option<(Bytes, Progress)> {
        let until = gateway.live.now() + LONGEST;
        let mut pause = SOON;
        while gateway.live.now() < until {
            sleep(pause).await;
            pause = (pause * 2).min(RARELY);
            match self.ask(gateway).await {
                Ok(body) => match progress(&body) {
                    Some((_, Progress::UnderWay)) | None => {}
                    Some((_, end)) => return Some((body, end)),
                },
                Err(Some(StatusCode::NOT_FOUND | StatusCode::GONE)) => return None,
                // It may be back the next time.
                Err(_) => {}
            }
        }
        None
    }

    /// The answer as it is now, or the status that came instead.
    async fn ask(&self, gateway: &Gateway) -> Result<Bytes, Option<StatusCode>> {
        let snapshot = gateway.snapshot();
        let channel = self.permit.channel();
        let upstream = &channel.upstream;
        let here = snapshot.table.upstreams.iter().position(|other| other.identity == upstream.identity);
        let pool = here.and_then(|index| snapshot.pools.get(index)).ok_or(None)?;
        let timeouts = &channel.config.timeouts;
        let limits = CallLimits {
            connect: timeouts.connect,
            tls: timeouts.tls,
            pool_wait: timeouts.pool_wait,
            headers: PATIENCE,
            reuse: Reuse::Any,
        };
        let mut request = Request::new(Outgoing::Empty);
        *request.method_mut() = Method::GET;
        *request.uri_mut() = self.path.parse().map_err(|_| None)?;
        *request.headers_mut() = self.fields();
        let Self { permit, settle, .. } = self;
        let authorized = authorize(pool, &mut request, &settle.caller, permit, Dialect::Responses, &limits);
        authorized.await.map_err(|_| None)?;
        let (head, body) = pool.call(request, limits).await.map_err(|_| None)?.into_parts();
        if head.status != StatusCode::OK {
            return Err(Some(head.status));
        }
        let (most, holding) = (snapshot.table.server.limits.max_body, memory::needed(&gateway.live.holdings));
        match hold(body, most, gateway.live.clock.instant(gateway.live.now() + PATIENCE), holding).await {
            Ok((whole, None)) => Ok(whole),
            Ok((_, Some(_))) | Err(_) => Err(None),
        }
    }

    fn fields(&self) -> HeaderMap {
        let upstream = &self.permit.channel().upstream.config;
        let mut fields = HeaderMap::new();
        fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
        fields.insert(USER_AGENT, HeaderValue::from_static(concat!("mainstay/", env!("CARGO_PKG_VERSION"))));
        head::add_fixed(&mut fields, upstream, &self.settle.caller);
        fields
    }

    fn ends(self, end: Option<(Bytes, Progress)>) {
        let Self { mut permit, mut settle, wish, .. } = self;
        let Some((body, end)) = end else {
            // By its prompt: that much was used at least.
            settle.ends(RequestOutcome::Cancelled);
            return;
        };
        let operation = Operation::Responses;
        let usage = wish.complete(operation, meter::reply(Dialect::Responses, operation, &body).usage);
        book(&mut permit, usage.as_ref(), operation, &body);
        settle.usage = usage;
        permit.finish();
        settle.ends(match end {
            Progress::Failed => RequestOutcome::Broken,
            Progress::Cancelled => RequestOutcome::Cancelled,
            Progress::Made | Progress::UnderWay => RequestOutcome::Ok,
        });
    }
}
