//! Which key an attempt has, with its place in the key's room and its share of the key's quota; and what the
//! key's memories hear of the attempt.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::{Permit, Refusal, Wants};
use crate::algo::cooldown::Readiness;
use crate::algo::dice::Dice;
use crate::algo::quota::{self, PerLimit, Quota, Tokens, Told};
use crate::algo::rendezvous;
use crate::algo::tick::Tick;
use crate::state::blame::Blame;
use crate::state::credential::{Credential, Held};
use crate::state::room::Room;
use crate::vocab::hint::Allowance;
use crate::vocab::{Class, Fault, Payer, RateHint, Usage};

/// Keys with enough for a request come first, and then those that would probably be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Ample,
    Short,
}

/// Why a key was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passed {
    /// It has another round.
    NotNow,
    /// As busy as it may be.
    Full,
    /// It rests, or has reached a cap.
    Until(Tick),
}

impl Permit {
    /// Takes the next ready key, in turn; an upstream without keys needs none. A conversation has its own
    /// turn, since prompt caches are kept per account. A key that is about to run out of quota is passed
    /// over while there is another one.
    pub(super) fn take_credential(
        &mut self,
        wants: Wants,
        now: Tick,
        dice: &mut Dice,
    ) -> Result<(), Refusal> {
        self.payer = wants.payer;
        // Whatever his key may use, and how it does, is his affair: nothing of ours is taken or learnt.
        if self.payer == Payer::Caller {
            return Ok(());
        }
        let upstream = Arc::clone(&self.channel.upstream);
        let keys = &upstream.credentials;
        if keys.is_empty() {
            let taken = self.take_keyless(&upstream.keyless, wants.tokens, now);
            return taken.map_err(|refusal| self.turned_away(refusal, now));
        }
        let first = match wants.session {
            _ if keys.len() == 1 => 0,
            Some(session) => favourite(session, keys),
            None => upstream.cursor.fetch_add(1, Relaxed),
        };
        let bound = wants.key.filter(|bound| keys.iter().any(|key| bound.has(key)));
        let in_turn = || {
            let turn = (0..keys.len()).map(|offset| &keys[first.wrapping_add(offset) % keys.len()]);
            turn.filter(|key| bound.is_none_or(|bound| bound.has(key)))
        };
        let mut soonest: Option<Tick> = None;
        let mut refusal = None;
        for round in [Round::Ample, Round::Short] {
            for key in in_turn() {
                match self.take_key(key, round, wants.tokens, now, dice) {
                    Ok(()) => return Ok(()),
                    Err(Passed::NotNow) => {}
                    Err(Passed::Full) => refusal = Some(Refusal::Room),
                    Err(Passed::Until(until)) => {
                        soonest = Some(soonest.map_or(until, |known| known.min(until)));
                    }
                }
            }
        }
        let refusal = refusal.unwrap_or(Refusal::Credentials { until: soonest });
        Err(self.turned_away(refusal, now))
    }

    /// Never sent, so nobody is told and nothing is counted; and no place came free that was not before, so
    /// nobody who waits is woken: he might be who was turned away, for ever.
    pub(super) fn turned_away(&mut self, refusal: Refusal, now: Tick) -> Refusal {
        self.tell(Blame::NOBODY, now);
        self.go();
        refusal
    }

    fn room_of(&self, key: &Arc<str>) -> Arc<Room> {
        self.model.room(key, self.channel.upstream.config.concurrency)
    }

    /// Takes `key` if it may be used. What is left of its quota is looked at and booked under one lock: of two
    /// requests that come for the last of a cap, one has it.
    fn take_key(
        &mut self,
        key: &Arc<Credential>,
        round: Round,
        tokens: Tokens,
        now: Tick,
        dice: &mut Dice,
    ) -> Result<(), Passed> {
        // These have locks that others hold while they wait for the quota's.
        let (room, rate) = (self.room_of(&key.rate_key), self.model.rate(&key.rate_key));
        let quota = self.model.capped_quota(&key.rate_key, self.channel.config.quota);
        let mut left = quota.as_ref().map(|quota| quota.lock());
        match (standing(left.as_deref(), tokens, now), round) {
            (quota::Standing::Fits { .. }, Round::Ample) | (quota::Standing::Short, Round::Short) => {}
            (quota::Standing::Fits { .. }, Round::Short) | (quota::Standing::Short, Round::Ample) => {
                return Err(Passed::NotNow);
            }
            (quota::Standing::Capped { until }, _) => return Err(Passed::Until(until)),
        }
        if room.is_full() {
            return Err(Passed::Full);
        }
        let held = Held::admit(key, rate, now, dice)
            .map_err(|readiness| Passed::Until(ready_at(&readiness, now)))?;
        if !room.take() {
            // Somebody was faster.
            held.neutral(now, dice);
            return Err(Passed::Full);
        }
        let booking = left.as_mut().map(|left| left.spend(tokens, now));
        drop(left);
        self.booked = quota.zip(booking);
        self.room = Some(room);
        self.credential = Some(Arc::clone(key));
        self.held = Some(held);
        Ok(())
    }

    /// The same at an upstream that needs no key.
    fn take_keyless(&mut self, keyless: &Arc<str>, tokens: Tokens, now: Tick) -> Result<(), Refusal> {
        let room = self.room_of(keyless);
        let quota = self.model.capped_quota(keyless, self.channel.config.quota);
        let mut left = quota.as_ref().map(|quota| quota.lock());
        if let quota::Standing::Capped { until } = standing(left.as_deref(), tokens, now) {
            return Err(Refusal::Credentials { until: Some(until) });
        }
        if !room.take() {
            return Err(Refusal::Room);
        }
        let booking = left.as_mut().map(|left| left.spend(tokens, now));
        drop(left);
        self.booked = quota.zip(booking);
        self.room = Some(room);
        Ok(())
    }

    /// Nothing left for the upstream after all.
    pub(super) fn refund(&mut self, now: Tick) {
        if let Some((quota, booking)) = self.booked.take() {
            quota.lock().refund(booking, now);
        }
    }

    /// Some upstreams answer with counts of nothing, which is no count.
    pub(super) fn correct(&mut self, usage: &Usage) {
        let tokens = Tokens { input: usage.input, output: usage.output };
        let now = self.live().now();
        if let Some((quota, booking)) = &mut self.booked
            && tokens.sum() > 0
        {
            *booking = quota.lock().correct(*booking, tokens, now);
        }
    }

    /// What the upstream said of its limits with an answer: what it has left for this key and model; without keys, for
    /// all of us. A key of which nothing is left looks short and does not rest: whether it serves is the upstream's to
    /// say.
    pub fn heard(&self, hint: &RateHint) {
        let RateHint { requests, input, output, tokens, .. } = *hint;
        let said = PerLimit { requests, input, output, tokens };
        if said == PerLimit::default() || self.payer == Payer::Caller {
            return;
        }
        let told = |left: Option<Allowance>| {
            left.map(|Allowance { remaining, limit, reset_after }| Told { remaining, limit, reset_after })
        };
        let key = self.credential.as_ref().map_or(&self.channel.upstream.keyless, |key| &key.rate_key);
        let quota = self.model.quota_or_new(key, self.channel.config.quota);
        quota.lock().heard(said.map(told), self.live().now());
    }

    pub(super) fn tell_credential(&mut self, fault: Fault, hint: &RateHint, now: Tick) {
        let (Some(held), Some(credential)) = (self.held.take(), self.credential.clone()) else { return };
        let mut dice = self.live().dice();
        let settings = &self.channel.upstream.config.cooldown;
        let handles = &credential.handles;
        let begun = match fault.class() {
            Class::Throttled => {
                let rate = || self.model.rate_or_new(&credential.rate_key, settings);
                let begun = held.throttled(rate, hint.retry_after, now, &mut dice);
                begun.map(|_| (&handles.short, "rate limit"))
            }
            Class::QuotaExhausted => {
                let begun = held.out_of_quota(hint.retry_after, now, &mut dice);
                begun.map(|_| (&handles.long, "quota"))
            }
            Class::AuthFault => held.refused(now, &mut dice).map(|_| (&handles.auth, "refused")),
            Class::ClientFault | Class::Overload | Class::ConfigFault => {
                held.ok(now, &mut dice);
                None
            }
            Class::UpstreamFault | Class::StreamFault | Class::Cancelled | Class::LocalFault => {
                held.neutral(now, &mut dice);
                None
            }
        };
        if let Some((counter, why)) = begun {
            counter.increment(1);
            self.live().resting.notify_one();
            tracing::warn!(credential = %credential.alias, model = %self.channel.label, why, "credential cools down");
        }
    }
}

/// Where nothing is known there is enough.
fn standing(left: Option<&Quota>, tokens: Tokens, now: Tick) -> quota::Standing {
    left.map_or(quota::Standing::Fits { share: 1.0 }, |left| left.standing(tokens, now))
}

/// The key that a conversation prefers, whatever others come and go.
fn favourite(session: u64, keys: &[Arc<Credential>]) -> usize {
    let score = |key: &Credential| rendezvous::score(session, key.identity, 1);
    let best = keys.iter().enumerate().max_by(|(_, a), (_, b)| score(a).total_cmp(&score(b)));
    best.map_or(0, |(index, _)| index)
}

/// When a key that is not ready may be tried again.
pub fn ready_at(readiness: &Readiness, now: Tick) -> Tick {
    match readiness {
        Readiness::Ready | Readiness::Trickle => now,
        Readiness::Cooling { until, .. } => *until,
        Readiness::Disabled { recheck_at } => *recheck_at,
    }
}
