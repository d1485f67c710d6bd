//! The attempt loop: choose, try, judge, until there is an answer or nothing left to try. What it asks of a plan,
//! `sim::drive` asks in the same order.

pub mod parting;

use std::sync::Arc;

use http::Response;
use tokio::time::sleep;

use super::attempt::{self, Attempted, Failed, Untried};
use super::degrade::{self, Descent, Elsewhere, Rest};
use super::intake::{Guest, Load};
use super::limits::Reached;
use super::reply::Reply;
use super::{Gateway, Snapshot, admission, again, count, hedge, left, media, mirror, thoughts};
use crate::access::Caller;
use crate::dialect::trouble::Kind;
use crate::dialect::{Dialect, entry};
use crate::ledger::Wait;
use crate::route::{Exhausted, Need, Plan, Verdict, is_of_own_key};
use crate::state::Permit;
use crate::vocab::{Class, Part, Stage};
use parting::refuse;

/// Attempts for a request whose caller retries by itself; both retrying in full would multiply.
const ATTEMPTS_OF_RETRY: u32 = 2;

/// What `guest`, who asks for `model`, needs of a channel.
pub fn need<'m>(guest: &Guest, model: &'m str, caller: &'m Caller) -> Need<'m> {
    Need {
        dialect: guest.dialect,
        operation: guest.operation,
        model,
        narrow: guest.dialect == Dialect::Gemini && entry::is_narrow(guest.head.uri.path()),
        shape: guest.shape,
        resend: guest.resend,
        deadline: guest.deadline,
        prompt_tokens: guest.prompt_tokens,
        thinks: guest.thinks,
        most_output: guest.most_output,
        session: guest.session,
        bond: guest.bond,
        least_window: guest.least_window,
        abilities: guest.abilities,
        lineage: caller.lineage(),
        own: caller.own().map(|own| &*own.taker),
        most_cost: guest.most_cost,
        most_attempts: if guest.is_retry { ATTEMPTS_OF_RETRY } else { u32::MAX },
    }
}

/// Answers `guest`.
pub async fn drive(
    gateway: &Arc<Gateway>,
    snapshot: &Arc<Snapshot>,
    mut guest: Box<Guest>,
) -> Response<Reply> {
    mirror::cast(gateway, snapshot, &guest);
    let model = std::mem::take(&mut guest.model);
    let caller = guest.caller.clone();
    let mut drive = Drive {
        gateway,
        snapshot,
        plan: Plan::begin(&snapshot.table, guest.route),
        need: need(&guest, &model, &caller),
        descent: Descent::default(),
        last: None,
    };
    drive.run(guest).await
}

/// A request on its way from channel to channel.
pub struct Drive<'a> {
    pub(super) gateway: &'a Arc<Gateway>,
    snapshot: &'a Arc<Snapshot>,
    pub(super) plan: Plan<'a>,
    pub(super) need: Need<'a>,
    pub(super) descent: Descent,
    /// The attempt that failed last.
    pub(super) last: Option<Box<Failed>>,
}

impl Drive<'_> {
    async fn run(&mut self, mut guest: Box<Guest>) -> Response<Reply> {
        let mut permit = None;
        loop {
            let next = match permit {
                Some(permit) => self.attempt(guest, permit).await,
                None => self.choose(guest).await,
            };
            (guest, permit) = match next {
                Rest::ChooseAgain(guest, permit) => (guest, permit),
                Rest::Over(response) => return response,
            };
        }
    }

    /// A channel that may be asked now; without one, what else can be done.
    async fn choose(&mut self, mut guest: Box<Guest>) -> Rest {
        guest.is_attended().await;
        if self.gateway.live.now() >= guest.deadline {
            return Rest::Over(self.too_late(guest));
        }
        let choice = admission::choose(self.gateway, &mut guest, &mut self.plan, &self.need).await;
        guest.settle.saw(self.plan.take_look());
        match choice {
            Ok(permit) => Rest::ChooseAgain(guest, Some(permit)),
            Err(_) if left::passes_over(&mut guest) => {
                self.need.bond = guest.bond;
                Rest::ChooseAgain(guest, None)
            }
            Err(exhausted) => {
                if left::may_be_there(&guest) {
                    self.last = None;
                }
                let mut rest = degrade::rest(self, guest, exhausted, Elsewhere::Possible).await;
                if let Rest::ChooseAgain(guest, _) = &mut rest {
                    guest.shed = None;
                    guest.settle.saw(self.plan.take_look());
                }
                rest
            }
        }
    }

    async fn attempt(&mut self, mut guest: Box<Guest>, mut permit: Permit) -> Rest {
        let Self { gateway, snapshot, plan, need, last, .. } = self;
        guest.settle.attempts = plan.attempts;
        guest.settle.channel = Some(Arc::clone(permit.channel()));
        guest.settle.book(&mut permit, Part::Turn);
        let attempted = hedge::attempt(gateway, snapshot, &mut guest, plan, need, permit).await;
        if let Attempted::Failed(_, failed) = &attempted
            && failed.failure.stage != Stage::NotSent
        {
            guest.settle.reached = Reached::Upstream;
        }
        match attempted {
            Attempted::Answered(answer) => {
                plan.hear_success();
                guest.settle.reached = Reached::Upstream;
                plan.keep(need, answer.permit());
                let kept = guest.again.take();
                let response = attempt::respond(guest, plan, snapshot, *answer);
                return Rest::Over(again::record(kept, plan.route(), response));
            }
            Attempted::Untried(permit, untried) => {
                plan.withdraw(permit);
                guest.settle.attempts = plan.attempts;
                let there = match untried {
                    Untried::Unfetched(urls) => media::fetch(gateway, snapshot, &mut guest, urls).await,
                    Untried::NoRoom => Err(media::NoRoom),
                };
                if there.is_err() {
                    let refusal = admission::no_room(gateway, &snapshot.table, guest);
                    return Rest::Over(refusal.into_response(&gateway.live));
                }
            }
            Attempted::Failed(permit, failed) if left::seeks_on(&mut guest, &failed) => {
                plan.excuse(permit, failed.failure);
                need.bond = guest.bond;
                *last = Some(failed);
            }
            Attempted::Failed(permit, failed)
                if thoughts::gives_up(&mut guest, &plan.route().config, &failed) =>
            {
                plan.excuse(permit, failed.failure);
                *last = Some(failed);
            }
            Attempted::Failed(permit, failed) => return self.fail(guest, permit, failed).await,
        }
        Rest::ChooseAgain(guest, None)
    }

    /// What follows a failure: the next channel after a pause, another route, or the end.
    async fn fail(&mut self, mut guest: Box<Guest>, permit: Permit, failed: Box<Failed>) -> Rest {
        let Self { plan, need, .. } = self;
        let of_own_key = is_of_own_key(failed.failure.fault, need);
        if !of_own_key {
            plan.hear(failed.failure.fault);
        }
        let verdict = plan.verdict(permit, failed.failure, need);
        let again = !matches!(&guest.load, Load::Once(once) if once.is_spent());
        tracing::debug!(
            request = %guest.request_id,
            channel = guest.settle.channel.as_ref().map(|channel| &*channel.label),
            fault = failed.failure.fault.name(),
            stage = failed.failure.stage.name(),
            detail = guest.settle.privacy.keeps(failed.detail.as_deref()),
            ?verdict,
            "attempt failed"
        );
        let refused = failed.failure.fault.class() == Class::ClientFault;
        if let Load::Once(once) = &guest.load
            && let Some(told) = once.unread().and_then(|unread| unread.told(self.snapshot))
        {
            guest.settle.attempts = self.plan.attempts;
            let refusal = refuse(guest, &self.plan, told, None, false).closing();
            return Rest::Over(refusal.into_response(&self.gateway.live));
        }
        self.last = Some(failed);
        if of_own_key {
            let outlook = self.plan.outlook(&self.need);
            return Rest::Over(self.give_up(guest, outlook));
        }
        let elsewhere = match verdict {
            Verdict::Retry { wait } if again => {
                if !wait.is_zero() {
                    let begun = self.gateway.live.now();
                    sleep(wait).await;
                    guest.settle.waited(Wait::Backoff, self.gateway.live.now().since(begun));
                }
                return Rest::ChooseAgain(guest, None);
            }
            Verdict::NextRoute if again && refused && self.plan.fall_back() => {
                return Rest::ChooseAgain(guest, None);
            }
            Verdict::NextRoute if again && !refused => Elsewhere::Possible,
            Verdict::Retry { .. } | Verdict::NextRoute | Verdict::GiveUp => Elsewhere::Impossible,
        };
        let outlook = self.plan.outlook(&self.need);
        degrade::rest(self, guest, outlook, elsewhere).await
    }

    /// Nobody answered. What can be had here is had here.
    pub(super) async fn part(&mut self, guest: Box<Guest>, exhausted: Exhausted) -> Response<Reply> {
        if count::can(&guest, self.last.as_deref(), exhausted) {
            return count::answer(&self.gateway.live, guest, &self.plan).await;
        }
        self.give_up(guest, exhausted)
    }

    /// The request's time is up: nobody is asked for what nobody waits for.
    fn too_late(&mut self, guest: Box<Guest>) -> Response<Reply> {
        if self.last.is_some() {
            let outlook = self.plan.outlook(&self.need);
            return self.give_up(guest, outlook);
        }
        let message = "the request's deadline had passed before an upstream could be asked".to_owned();
        refuse(guest, &self.plan, (Kind::Timeout, message), None, true).into_response(&self.gateway.live)
    }
}
