//! Which key an attempt has, with its place in the key's room and its share of the key's quota; and what the
//! key's memories hear of the attempt.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::{Permit, Refusal, Wants};
use crate::algo::cooldown::Readiness;
use crate::algo::dice::Dice;
use crate::algo::quota::{self, PerLimit, Told, Tokens};
use crate::algo::rendezvous;
use crate::algo::tick::Tick;
use crate::state::blame::Blame;
use crate::state::credential::{Credential, Held};
use crate::state::room::Room;
use crate::vocab::hint::Allowance;
use crate::vocab::{Class, Fault, RateHint};

/// How long a key rests of which nothing is left, where its limit is unknown: until the next request fits if
/// sixty do in a minute. Limits of fewer answer it with a 429, which says more.
const EMPTY_FOR: Duration = Duration::from_secs(1);

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
        let upstream = Arc::clone(&self.channel.upstream);
        let keys = &upstream.credentials;
        if keys.is_empty() {
            if !self.take_place(&upstream.keyless) {
                return Err(self.turned_away(Refusal::Room, now));
            }
            self.book(&upstream.keyless, wants.tokens, now);
            return Ok(());
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
        for may_be_short in [false, true] {
            for key in in_turn() {
                match self.standing(key, wants.tokens, now) {
                    quota::Standing::Fits { .. } if !may_be_short => {}
                    quota::Standing::Short if may_be_short => {}
                    quota::Standing::Capped { until } => {
                        soonest = Some(soonest.map_or(until, |known| known.min(until)));
                        continue;
                    }
                    quota::Standing::Fits { .. } | quota::Standing::Short => continue,
                }
                if self.room_of(&key.rate_key).is_full() {
                    refusal = Some(Refusal::Room);
                    continue;
                }
                match Held::admit(key, self.model.rate(&key.rate_key), now, dice) {
                    // Somebody was faster.
                    Ok(held) if !self.take_place(&key.rate_key) => {
                        held.neutral(now, dice);
                        refusal = Some(Refusal::Room);
                    }
                    Ok(held) => {
                        self.credential = Some(Arc::clone(key));
                        self.held = Some(held);
                        self.book(&key.rate_key, wants.tokens, now);
                        return Ok(());
                    }
                    Err(readiness) => {
                        let until = ready_at(&readiness, now);
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

    fn take_place(&mut self, key: &Arc<str>) -> bool {
        let room = self.room_of(key);
        let taken = room.take();
        if taken {
            self.room = Some(room);
        }
        taken
    }

    fn standing(&self, key: &Credential, tokens: Tokens, now: Tick) -> quota::Standing {
        let quota = self.model.capped_quota(&key.rate_key, self.channel.config.quota);
        quota.map_or(quota::Standing::Fits { share: 1.0 }, |quota| quota.lock().standing(tokens, now))
    }

    fn book(&mut self, key: &Arc<str>, tokens: Tokens, now: Tick) {
        if let Some(quota) = self.model.capped_quota(key, self.channel.config.quota) {
            quota.lock().spend(tokens, now);
            self.booked = Some((quota, tokens));
        }
    }

    /// Nothing left for the upstream after all.
    pub(super) fn refund(&mut self, now: Tick) {
        if let Some((quota, tokens)) = self.booked.take() {
            quota.lock().refund(tokens, now);
        }
    }

    /// What the upstream said of its limits with a good answer. `reset_after` is when a limit is *full* again, and
    /// the next request fits long before: a key of which nothing is left looks short, and no more. Only where nobody
    /// says how much there is when it is full does it rest for a moment, which is no failure of anybody.
    pub fn heard(&self, hint: &RateHint) {
        let Some(credential) = &self.credential else { return };
        self.learn(hint);
        let gone = |left: Option<Allowance>| {
            left.filter(|left| left.remaining == 0 && left.limit.is_none()).and_then(|left| left.reset_after)
        };
        let RateHint { requests, input, output, tokens, .. } = *hint;
        let Some(reset) = [requests, input, output, tokens].into_iter().filter_map(gone).max() else { return };
        let (wait, now) = (reset.min(EMPTY_FOR), self.live().now());
        let settings = &self.channel.upstream.config.cooldown;
        self.model.rate_or_new(&credential.rate_key, settings).skip(now + wait, now);
    }

    /// What the upstream has left for this key and model.
    pub(super) fn learn(&self, hint: &RateHint) {
        let Some(credential) = &self.credential else { return };
        let RateHint { requests, input, output, tokens, .. } = *hint;
        let said = PerLimit { requests, input, output, tokens };
        if said == PerLimit::default() {
            return;
        }
        let told = |left: Option<Allowance>| {
            left.map(|Allowance { remaining, limit, reset_after }| Told { remaining, limit, reset_after })
        };
        let quota = self.model.quota_or_new(&credential.rate_key, self.channel.config.quota);
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
