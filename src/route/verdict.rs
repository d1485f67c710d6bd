//! What follows from a failed attempt: decisions E1, E2, E6 and the table of RESILIENCE §4.10.

use std::time::Duration;

use super::need::{Need, Resend};
use super::plan::{LastResort, Plan, Retry};
use super::{purse, shortlist, unserved};
use crate::algo::throttle::Outcome;
use crate::algo::tick::Tick;
use crate::state::Live;
use crate::state::permit::Permit;
use crate::telemetry::RefusedRetry;
use crate::vocab::{Class, Fault, Payer, RateHint, Scope, Stage};

/// Less than this is not worth a further attempt.
const LEAST_TIME: Duration = Duration::from_millis(200);

/// The only channel is asked again after its base backoff to this many times that (E1: 250 ms to 1 s).
const SAME_CHANNEL_SPREAD: u32 = 4;

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failure {
    pub fault: Fault,
    pub stage: Stage,
    pub hint: RateHint,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Choose again, after this wait.
    Retry { wait: Duration },
    /// Go on to the fallback routes.
    NextRoute,
    /// Answer the caller.
    GiveUp,
}

/// Whose failure it really is: a wait since `begun` that ended while this process did not run, or because the request's
/// own time was up, is nobody else's.
pub fn fair(live: &Live, fault: Fault, begun: Tick, deadline: Tick) -> Fault {
    let waited = fault.silent() || matches!(fault, Fault::Tls | Fault::PoolFull | Fault::StreamStalled);
    if waited && live.starved_since(begun) {
        return Fault::Starved;
    }
    if fault.silent() && live.now() >= deadline { Fault::DeadlineExceeded } else { fault }
}

impl Plan<'_> {
    /// Tells the throttle of a panic, which judges by what was forwarded before it too, how an attempt failed.
    pub fn hear(&self, fault: Fault) {
        let outcome = match fault.class() {
            Class::UpstreamFault => Outcome::Fail,
            Class::Overload | Class::Throttled => Outcome::Overload,
            Class::ClientFault => Outcome::Ok,
            Class::QuotaExhausted
            | Class::AuthFault
            | Class::ConfigFault
            | Class::StreamFault
            | Class::Cancelled
            | Class::LocalFault => return,
        };
        self.hear_outcome(outcome);
    }

    /// The same of an attempt that ended well.
    pub fn hear_success(&self) {
        self.hear_outcome(Outcome::Ok);
    }

    fn hear_outcome(&self, outcome: Outcome) {
        self.route().memory.throttle.lock().record(self.table().live.now(), outcome);
    }

    /// Settles a failed attempt's permit and decides what follows. Nothing reaches this after commit:
    /// a committed answer owns its permit itself.
    pub fn verdict(&mut self, permit: Permit, failure: Failure, need: &Need<'_>) -> Verdict {
        let Failure { fault, .. } = failure;
        let channel = std::sync::Arc::clone(permit.channel());
        // Who had to try for others, or was told that there is nothing to be had, pays for no retry: others need them.
        let (forced, trial) = (permit.is_forced(), permit.is_trial());
        let roomier = self.note(permit, failure, need);
        if fault == Fault::ContextOverflow && roomier && !forced {
            return Verdict::Retry { wait: Duration::ZERO };
        }
        let resend = shortlist::resend_at(self.route(), &channel, need);
        let nobodys = failure.stage == Stage::NotSent
            || fault == Fault::NotProcessed
            || unserved::is_callers(fault, &channel, need);
        let verdict = self.decide(failure, forced, trial || nobodys, resend, need);
        let route = self.route();
        let is_sought = matches!(self.last_resort, LastResort::Sought(_));
        if let Verdict::Retry { .. } = verdict
            && !is_sought
        {
            route.handles.retried(&self.table().live.metrics, fault.class());
        }
        verdict
    }

    /// Settles a failed attempt's permit where nothing follows from it, for another attempt runs. Says whether
    /// a channel is known to have room for a prompt that was too long for this one.
    pub fn note(&mut self, permit: Permit, failure: Failure, need: &Need<'_>) -> bool {
        let Failure { fault, stage, hint } = failure;
        let channel = std::sync::Arc::clone(permit.channel());
        let repeat = self.remember(&channel, fault);
        let has_key = permit.credential().is_some();
        // A key without leave for files may have it for models.
        let is_callers = unserved::is_callers(fault, &channel, need);
        let only_here = need.operation.is_left() && fault.class() == Class::AuthFault;
        // What a caller's own key may not, or not yet, says nothing about the channel.
        if need.operation.health_neutral() || only_here || is_of_own_key(fault, need) {
            permit.fail_quietly(fault, stage);
        } else {
            if fault == Fault::ModelMissing {
                unserved::remember(self.route(), &permit, need, self.table().live.now());
            }
            permit.fail(fault, stage, &hint, repeat);
        }

        if is_callers {
            unserved::forget(self.route(), &channel, need);
        }
        if fault == Fault::Unsayable || is_callers {
            self.mark_unasked(&channel);
        } else if fault.silent() {
            self.mark_spent(&channel);
        } else if fault.scope() != Scope::Credential || !has_key {
            // Another key of the same upstream may do, where there are any; a cooling key drops out by itself.
            self.mark_tried(&channel);
        }
        fault == Fault::ContextOverflow && self.overflew(&channel, need)
    }

    fn decide(
        &mut self,
        failure: Failure,
        forced: bool,
        free: bool,
        resend: Resend,
        need: &Need<'_>,
    ) -> Verdict {
        let Failure { fault, stage, hint } = failure;
        let route = self.route();
        if is_of_own_key(fault, need) {
            return Verdict::GiveUp;
        }
        match fault.class() {
            Class::ClientFault => {
                let elsewhere = match fault {
                    Fault::ContextOverflow => route.config.fallback_on.context_overflow,
                    Fault::ContentPolicy => route.config.fallback_on.content_policy,
                    _ => false,
                };
                return if elsewhere && self.has_fallback() { Verdict::NextRoute } else { Verdict::GiveUp };
            }
            Class::Cancelled => return Verdict::GiveUp,
            Class::LocalFault if fault == Fault::DeadlineExceeded => return Verdict::GiveUp,
            Class::LocalFault
            | Class::UpstreamFault
            | Class::Overload
            | Class::Throttled
            | Class::QuotaExhausted
            | Class::AuthFault
            | Class::ConfigFault
            | Class::StreamFault => {}
        }
        if !may_be_sent_again(fault, stage, resend) {
            return self.refuse(RefusedRetry::NotReplayable);
        }
        // A panic has one attempt; a retry would be what made the panic.
        if forced {
            return self.next_route_or(RefusedRetry::NothingEligible);
        }
        let now = self.table().live.now();
        if need.deadline.since(now) < LEAST_TIME {
            return self.refuse(RefusedRetry::Deadline);
        }
        if self.attempts_in_route >= route.config.retry.max_attempts.min(need.most_attempts) {
            return self.next_route_or(RefusedRetry::Attempts);
        }
        if self.has_untried(need) {
            let wait = self.courtesy(fault);
            return if free || self.pay() {
                Verdict::Retry { wait }
            } else {
                self.refuse(RefusedRetry::Budget)
            };
        }
        if let Some(wait) = self.patience(fault, &hint, need) {
            return if free || self.pay() {
                Verdict::Retry { wait }
            } else {
                self.refuse(RefusedRetry::Budget)
            };
        }
        if !self.has_fallback() && self.has_last_resort(need) {
            // Paid and counted once it is made.
            self.last_resort = LastResort::Sought(Retry { after: fault.class(), free });
            return Verdict::Retry { wait: self.courtesy(fault) };
        }
        self.next_route_or(RefusedRetry::NothingEligible)
    }

    /// Another channel takes over at once (E1), unless the answer may mean load: what is overloaded
    /// here is likely to be busy there, and a crowd should not move as one.
    fn courtesy(&self, fault: Fault) -> Duration {
        if fault.class() != Class::Overload {
            return Duration::ZERO;
        }
        let backoff = self.route().config.retry.other_channel;
        backoff.delay(self.attempts_in_route.saturating_sub(1), &mut self.table().live.dice())
    }

    /// How long to wait before the only channel is asked again, if waiting can help (E1).
    fn patience(&mut self, fault: Fault, hint: &RateHint, need: &Need<'_>) -> Option<Duration> {
        let live = &self.table().live;
        let (now, mut dice) = (live.now(), live.dice());
        let retry = &self.route().config.retry;
        let left = need.deadline.since(now).saturating_sub(LEAST_TIME);
        if matches!(fault.class(), Class::Throttled | Class::Overload) {
            let asked = hint.retry_after.filter(|asked| *asked <= retry.wait)?;
            // Upwards only: the upstream's word is a lower bound. The key's own cooldown has up to a
            // tenth of jitter, so this waits for the end of that.
            let wait = asked.mul_f64(dice.between(1.1, 1.2)) + Duration::from_millis(5);
            if self.waited || wait > left {
                return None;
            }
            self.waited = true;
            return Some(wait);
        }
        let worth_asking = matches!(fault.class(), Class::UpstreamFault | Class::LocalFault)
            && !fault.silent()
            && fault != Fault::Unsayable;
        if !worth_asking || self.asked_again {
            return None;
        }
        self.asked_again = true;
        // Not full jitter: at least the base, since asking the same one again at once is pointless.
        let (base, cap) = (retry.same_channel.base, retry.same_channel.cap);
        let most = base.saturating_mul(SAME_CHANNEL_SPREAD).min(cap);
        let wait = Duration::from_secs_f64(dice.between(base.as_secs_f64(), most.as_secs_f64()));
        (wait <= left).then_some(wait)
    }

    /// Takes one retry from the route's budget and one from the global one, or none from either.
    pub fn pay(&self) -> bool {
        purse::pay(&self.route().memory.budget, &self.table().budget, self.table().live.now())
    }

    /// Gives back what [`Plan::pay`] took.
    pub(super) fn refund(&self) {
        purse::refund(&self.route().memory.budget, &self.table().budget, self.table().live.now());
    }

    fn next_route_or(&self, why: RefusedRetry) -> Verdict {
        if self.has_fallback() { Verdict::NextRoute } else { self.refuse(why) }
    }

    fn refuse(&self, why: RefusedRetry) -> Verdict {
        self.route().handles.retry_refused(&self.table().live.metrics, why);
        Verdict::GiveUp
    }
}

/// Whether a fault is between a caller with a key of his own and his provider, who answers him.
pub fn is_of_own_key(fault: Fault, need: &Need<'_>) -> bool {
    let of_keys = matches!(
        fault.class(),
        Class::Throttled | Class::QuotaExhausted | Class::AuthFault | Class::ConfigFault
    );
    need.payer() == Payer::Caller && of_keys
}

/// The stage table of RESILIENCE §4.10.
fn may_be_sent_again(fault: Fault, stage: Stage, resend: Resend) -> bool {
    if stage == Stage::NotSent || fault == Fault::NotProcessed {
        return true;
    }
    if stage == Stage::Committed {
        return false;
    }
    match resend.native() {
        Resend::Allowed => true,
        // Turned away at the door, with the words to prove it.
        Resend::IfUnsent | Resend::IfUnsentOrTranslated => matches!(
            fault.class(),
            Class::Throttled | Class::QuotaExhausted | Class::AuthFault | Class::ConfigFault
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_sent_twice_after_commit_nor_where_it_could_harm() {
        for fault in Fault::ALL.into_iter().filter(|fault| *fault != Fault::NotProcessed) {
            assert!(!may_be_sent_again(fault, Stage::Committed, Resend::Allowed), "{fault:?}");
            assert!(may_be_sent_again(fault, Stage::NotSent, Resend::IfUnsent), "{fault:?}");
        }
        assert!(!may_be_sent_again(Fault::Reset, Stage::Waiting, Resend::IfUnsent));
        assert!(!may_be_sent_again(Fault::ServerError, Stage::Headers, Resend::IfUnsent));
        assert!(may_be_sent_again(Fault::Throttled, Stage::Headers, Resend::IfUnsent));
        assert!(may_be_sent_again(Fault::Reset, Stage::Waiting, Resend::Allowed));
    }

    #[test]
    fn what_the_upstream_keeps_is_sent_again_when_it_was_translated() {
        let kept = Resend::IfUnsentOrTranslated;
        assert!(!may_be_sent_again(Fault::Reset, Stage::Waiting, kept.native()));
        assert!(may_be_sent_again(Fault::Reset, Stage::Waiting, kept.translated()));
        assert!(!may_be_sent_again(Fault::Reset, Stage::Waiting, Resend::IfUnsent.translated()));
    }
}
