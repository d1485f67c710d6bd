//! Has another channel go on with a stream that broke off after the commit, where the route asks for it.
//!
//! ```text
//! Streaming ─ breaks ─► Onward::go_on ─ (plan ─ choose ─► Permit ─ attempt::go_on ─► Joined | Not)* ─► Streaming
//! ```
//!
//! The caller's request is kept for that, body and all, as long as its stream runs; without the setting
//! nothing is. What was told is never asked for again: a leg is asked to *continue* it (`dialect::continuation`),
//! and is an attempt as any other, with its own permit, paid from the retry budget, on none of the channels
//! that broke. Whoever drops the future cancels the leg.

mod party;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout_at};

pub use party::Party;

use super::attempt::{self, Failed};
use super::intake::{Guest, Load};
use super::peek::{NotJoined, Peeked, Unjoined};
use super::{Gateway, Snapshot, drive};
use crate::access::Caller;
use crate::config::{self, Continuation};
use crate::dialect::continuation::{Asking, Method, asking};
use crate::dialect::hub::{Keeping, Manner};
use crate::dialect::scan::{self, Scan};
use crate::dialect::{conversation, translate, tree};
use crate::route::Need;
use crate::route::onward::{self, Leg, MOST_LEGS, PATIENCE, Then, Trail};
use crate::state::model::Shape;
use crate::state::{Channel, Permit};
use crate::telemetry::{StreamOutcome, catalogue};
use crate::upstream::Incoming;
use crate::vocab::{Fault, Part, Usage};

/// The scan of a request whose stream may be continued, should it break.
pub fn wanted<'g>(guest: &'g Guest, route: &config::Route) -> Option<&'g Scan> {
    let Load::Ask { scan, .. } = &guest.load else { return None };
    let is_stream = guest.shape == Shape::Stream && translate::generates(guest.operation);
    let is_own = scan.shape != scan::Shape::OfResponses;
    // Nobody misses the end of what nobody reads.
    let is_read = !guest.settle.is_unheard();
    (is_read && route.continuation != Continuation::Off && is_stream && is_own && guest.upgrade.is_none())
        .then_some(scan)
}

/// What it takes to go on with a stream.
pub struct Onward {
    guest: Box<Guest>,
    snapshot: Arc<Snapshot>,
    trail: Trail,
    /// What the legs that are over have used.
    used: Usage,
}

/// A stream that goes on.
pub struct Joined {
    pub onward: Box<Onward>,
    pub permit: Permit,
    pub peeked: Box<Peeked>,
    pub upstream: Incoming,
    pub method: Method,
}

/// A stream that does not.
pub struct Ended {
    pub onward: Box<Onward>,
    /// None where somebody was being asked.
    pub stream: Option<Box<translate::Stream>>,
    /// Why nobody is asked any more, where that is none of the channels' faults.
    pub why: Option<Fault>,
}

/// How an attempt at going on ended, for the metric.
#[derive(Clone, Copy)]
enum Outcome {
    Continued,
    Mismatch,
    PrefillRefused,
    Failed,
    Exhausted,
    NoChannel,
    Barred,
}

impl Outcome {
    const fn name(self) -> &'static str {
        match self {
            Self::Continued => "continued",
            Self::Mismatch => "mismatch",
            Self::PrefillRefused => "prefill_refused",
            Self::Failed => "failed",
            Self::Exhausted => "exhausted",
            Self::NoChannel => "no_channel",
            Self::Barred => "barred",
        }
    }
}

impl Onward {
    /// Goes on with `stream`, of which `broken` was the last channel.
    pub async fn go_on(
        mut self: Box<Self>,
        mut stream: Box<translate::Stream>,
        broken: Arc<Channel>,
    ) -> Result<Joined, Ended> {
        self.trail.broke(&broken);
        // Should the caller hang up meanwhile, that is how it ends.
        self.guest.settle.stream_ends(StreamOutcome::Cancelled);
        if self.trail.legs >= MOST_LEGS {
            self.count(Outcome::Exhausted, None);
            return Err(Ended { onward: self, stream: Some(stream), why: None });
        }
        match self.prepare(&mut stream) {
            Ok(asking) => self.guest.onward = Some(Box::new(asking)),
            Err(why) => {
                tracing::debug!(request = %self.guest.request_id, why, "not continued");
                self.count(Outcome::Barred, None);
                return Err(Ended { onward: self, stream: Some(stream), why: None });
            }
        }
        let gateway = Arc::clone(self.guest.settle.gateway());
        let deadline = gateway.live.clock.instant(self.guest.deadline);
        let mut stream = Some(stream);
        let done = {
            let rounds = pin!(timeout_at(deadline, self.rounds(&gateway, &mut stream)));
            gateway.in_time(rounds).await
        };
        let (outcome, why) = match done {
            Some(Ok(Ok(leg))) => {
                let (permit, peeked, upstream, method) = *leg;
                self.learn(&permit, method);
                self.trail.legs += 1;
                self.count(Outcome::Continued, Some(method));
                return Ok(Joined { onward: self, permit, peeked, upstream, method });
            }
            Some(Ok(Err(outcome))) => (outcome, None),
            Some(Err(_)) => (Outcome::Failed, Some(Fault::DeadlineExceeded)),
            None => (Outcome::Failed, Some(Fault::Cancelled)),
        };
        self.count(outcome, None);
        Err(Ended { onward: self, stream, why })
    }

    /// Round after round, until somebody goes on or patience ends.
    async fn rounds(
        &mut self,
        gateway: &Arc<Gateway>,
        stream: &mut Option<Box<translate::Stream>>,
    ) -> Result<NextLeg, Outcome> {
        let until = (gateway.live.now() + PATIENCE).min(self.guest.deadline);
        loop {
            let (wait, outcome) = match self.round(gateway, stream).await {
                Round::Joined(leg) => return Ok(leg),
                Round::NotNow { soonest } => {
                    (self.trail.look_again(soonest, &mut gateway.live.dice()), Outcome::NoChannel)
                }
                Round::Never(outcome) => (Duration::MAX, outcome),
            };
            if wait >= until.since(gateway.live.now()) {
                return Err(outcome);
            }
            sleep(wait).await;
        }
    }

    /// One plan, to its end.
    async fn round(&mut self, gateway: &Arc<Gateway>, slot: &mut Option<Box<translate::Stream>>) -> Round {
        let snapshot = Arc::clone(&self.snapshot);
        let model = self.asked().to_owned();
        let caller = self.guest.caller.clone();
        let mut round = self.trail.round(&snapshot.table, self.guest.settle.attempts, &model);
        while self.trail.legs < MOST_LEGS && gateway.live.now() < self.guest.deadline {
            let need = self.need(&model, &caller);
            let mut permit = match round.choose(&self.trail, &need) {
                Leg::Ask(permit) => permit,
                Leg::NotNow { soonest } => return Round::NotNow { soonest },
                Leg::NoChannel => return Round::Never(Outcome::NoChannel),
                Leg::Exhausted => return Round::Never(Outcome::Exhausted),
            };
            let Some(stream) = slot.take() else { return Round::Never(Outcome::Exhausted) };
            self.guest.settle.attempts = round.plan.attempts;
            self.guest.settle.channel = Some(Arc::clone(permit.channel()));
            self.guest.settle.book(&mut permit, Part::Leg);
            let limits = round.plan.limits(&permit, &need);
            let before = (stream, self.used);
            match attempt::go_on(gateway, &snapshot, &self.guest, &round.plan, permit, limits, before).await {
                attempt::Continued::Joined { permit, peeked, upstream, method } => {
                    return Round::Joined(Box::new((permit, peeked, upstream, method)));
                }
                attempt::Continued::Not { mut permit, unjoined, method } => {
                    let Unjoined { why, stream, used } = unjoined;
                    *slot = Some(stream);
                    if let Some(usage) = used {
                        permit.used(&usage);
                        self.used = self.used.plus(&usage);
                        self.guest.settle.usage = Some(self.used);
                    }
                    match self.judge(&mut round, permit, why, method, &model) {
                        Then::Choose { wait } if wait.is_zero() => {}
                        Then::Choose { wait } => sleep(wait).await,
                        Then::NotNow { soonest } => return Round::NotNow { soonest },
                        Then::Exhausted => return Round::Never(Outcome::Exhausted),
                        Then::GiveUp => return Round::Never(Outcome::Failed),
                    }
                }
            }
        }
        Round::Never(Outcome::Exhausted)
    }

    /// The request to go on, or why there is none.
    fn prepare(&self, stream: &mut translate::Stream) -> Result<Asking, &'static str> {
        let Load::Ask { body, .. } = &self.guest.load else { return Err("no request") };
        let root = tree::request(body).map_err(|_| "the request cannot be read")?;
        let (dialect, operation) = (self.guest.dialect, self.guest.operation);
        let mut ask = translate::read(dialect, operation, self.asked(), &root)
            .map_err(|_| "the request cannot be read")?;
        let told = stream.told().ok_or("nothing is known of the stream")?;
        if let Some(bar) = asking::barred(&ask, told) {
            return Err(bar.name());
        }
        if told.is_finished() {
            return Err("it had finished");
        }
        let asking = Asking::new(told);
        let manner = || {
            let Load::Ask { scan, .. } = &self.guest.load else { return None };
            let live = &self.guest.settle.gateway().live;
            let recall = &self.guest.recall;
            // The first leg's upstream will never have all of it, so that it is remembered here.
            let kept = recall.nonce();
            let keeping = if kept.is_some() { Keeping::Kept } else { Keeping::Passing };
            conversation::repeat(&mut ask, keeping, recall.previous());
            let nonce = kept.unwrap_or_else(|| live.nonce());
            let now = live.clock.unix_now().as_secs();
            let home = attempt::manner_at_home(&self.guest, scan, nonce, now);
            Some(Manner { echo: translate::echo(&ask, dialect), keeping, ..home })
        };
        if stream.take_over(manner) { Ok(asking) } else { Err("too little is known of the stream") }
    }

    fn judge(
        &mut self,
        round: &mut onward::Round<'_>,
        permit: Permit,
        why: NotJoined,
        method: Option<Method>,
        model: &str,
    ) -> Then {
        let channel = Arc::clone(permit.channel());
        match why {
            NotJoined::Mismatch => {
                // It answered well, as far as its health goes; it is only of no use here.
                self.trail.legs += 1;
                self.trail.leave_out(&channel);
                permit.finish();
                self.trail.restrict(&mut round.plan, model);
                self.count(Outcome::Mismatch, method);
                Then::Choose { wait: Duration::ZERO }
            }
            NotJoined::Failed(failed) if may_refuse(method, &failed) => {
                self.trail.legs += 1;
                if speaks_of_it(&failed) {
                    permit.model().refused_prefill(self.gateway().live.now());
                }
                if let Some(asking) = &mut self.guest.onward {
                    asking.refuses_prefill(&channel.label);
                }
                round.plan.excuse(permit, failed.failure);
                self.count(Outcome::PrefillRefused, method);
                Then::Choose { wait: Duration::ZERO }
            }
            NotJoined::Failed(failed) => {
                self.count(Outcome::Failed, method);
                let verdict =
                    round.plan.verdict(permit, failed.failure, &self.need(model, &self.guest.caller));
                tracing::debug!(
                    request = %self.guest.request_id,
                    channel = &*channel.label,
                    fault = failed.failure.fault.name(),
                    detail = self.guest.settle.privacy.keeps(failed.detail.as_deref()),
                    ?verdict,
                    "an attempt to go on failed"
                );
                let need = self.need(model, &self.guest.caller);
                round.follow(&mut self.trail, &need, &channel, failed.failure, verdict)
            }
        }
    }

    /// Where what was asked in words succeeds that was refused as a prefill, the prefill was what was wrong.
    fn learn(&self, permit: &Permit, method: Method) {
        let refused = |asking: &Asking| asking.has_refused_prefill(&permit.channel().label);
        if method == Method::Instruction && self.guest.onward.as_deref().is_some_and(refused) {
            permit.model().refused_prefill(self.gateway().live.now());
        }
    }

    fn need<'n>(&self, model: &'n str, caller: &'n Caller) -> Need<'n> {
        Need { most_attempts: u32::MAX, ..drive::need(&self.guest, model, caller) }
    }

    /// The model as the caller named it.
    fn asked(&self) -> &str {
        match &self.guest.load {
            Load::Ask { scan, .. } => &scan.model,
            Load::Whole(_) | Load::Once(_) => "",
        }
    }

    fn count(&self, outcome: Outcome, method: Option<Method>) {
        let gateway: &Gateway = self.guest.settle.gateway();
        let route = &self.snapshot.table.routes[self.guest.route].config.name;
        let labels = [&**route, outcome.name(), method.map_or("none", Method::name)];
        gateway.live.metrics.counter(&catalogue::CONTINUATIONS, &labels).increment(1);
    }

    pub fn gateway(&self) -> &Arc<Gateway> {
        self.guest.settle.gateway()
    }

    /// Legs so far.
    pub const fn legs(&self) -> u32 {
        self.trail.legs
    }
}

/// Whose answer goes on, and how it was asked to.
type NextLeg = Box<(Permit, Box<Peeked>, Incoming, Method)>;

/// What came of one plan.
enum Round {
    Joined(NextLeg),
    /// Somebody could go on, but not just now.
    NotNow {
        soonest: Option<Duration>,
    },
    Never(Outcome),
}

/// Whether an upstream may have said that it does not take an answer that the request has begun: it is asked in words
/// then, and what else is wrong will be said once more.
fn may_refuse(method: Option<Method>, failed: &Failed) -> bool {
    method == Some(Method::Prefill) && failed.failure.fault == Fault::BadRequest
}

/// Whether the upstream's own words name what it was that it refused. (Anthropic: "does not support assistant message
/// prefill. The conversation must end with a user message"; Mistral: "Expected last role User or Tool (or Assistant
/// with prefix True)"; vLLM: `continue_final_message`.)
fn speaks_of_it(failed: &Failed) -> bool {
    const WORDS: [&str; 5] =
        ["prefill", "prefix", "last role", "continue_final_message", "end with a user message"];
    let message = failed.message.as_deref().unwrap_or_default().to_ascii_lowercase();
    WORDS.iter().any(|word| message.contains(word))
}
