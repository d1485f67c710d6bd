//! Requests that their callers name by an `Idempotency-Key`: the name means the first answer that it got.
//!
//! Only successes are kept; after a failure the next one with the name begins anew. While the first is under way the
//! others wait for it, also where its caller hung up and it is read to its end without him (`unattended`): what is
//! whole then is what the name means. Of a stream that nobody reads nothing is kept, so that one leaves its name to the
//! next request as soon as its caller hangs up. The name with another request is refused, as Stripe does it. Forms of
//! several parts are left out: SDKs divide them anew each time, so a retry is not the same bytes.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use http::HeaderName;
use http::header::CONTENT_TYPE;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout_at;

use super::Gateway;
use super::again;
use super::intake::Guest;
use crate::algo::tick::Tick;
use crate::cache::{Kept, KeptNow, Likeness, Likening, Replies};
use crate::config::Idempotency;
use crate::dialect::Dialect;
use crate::state::route::Route;

/// What a caller names a request with, so that it is done once.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A request with a name of its caller's.
pub struct Named {
    name: Likeness,
    request: Likeness,
}

/// What is known of named requests.
#[derive(Default)]
pub struct Names {
    answers: Replies,
    under_way: Mutex<HashMap<Likeness, UnderWay>>,
}

struct UnderWay {
    request: Likeness,
    /// Closed when it is over.
    over: watch::Receiver<()>,
}

/// Where a named request stands.
pub enum Standing {
    First(Claim),
    Answered(Arc<Kept>),
    /// The name is another request's.
    Different,
    TooLate,
}

/// The right to answer under a name; without an answer it goes to the next one.
pub struct Claim(Arc<Mutex<Option<Held>>>);

/// A claim that somebody else has, and may have to be relieved of before he has an answer.
pub struct Claimed(Weak<Mutex<Option<Held>>>);

struct Held {
    gateway: Arc<Gateway>,
    named: Named,
    /// Its end wakes those who wait.
    _over: watch::Sender<()>,
}

enum Now {
    Stands(Standing),
    Wait(watch::Receiver<()>),
}

impl Named {
    /// `None` where the request has no name, or names are not heeded.
    pub fn of(settings: &Idempotency, guest: &Guest, route: &Route) -> Option<Self> {
        let key = guest.head.headers.get(IDEMPOTENCY_KEY).filter(|key| !key.is_empty())?;
        let kind = guest.head.headers.get(CONTENT_TYPE).map_or(&[][..], |kind| kind.as_bytes());
        let in_parts = kind.get(..10).is_some_and(|begin| begin.eq_ignore_ascii_case(b"multipart/"));
        if !settings.enabled || settings.memory == 0 || guest.dialect == Dialect::Http || in_parts {
            return None;
        }
        let mut name = Likening::begin("name");
        name.add_or_none(guest.caller.scope().map(str::as_bytes));
        name.add(key.as_bytes());
        Some(Self { name: name.end(), request: again::likeness("named", None, guest, route)? })
    }

    /// Waits for the first request of this name, if it is another one.
    pub async fn stand(self, gateway: &Arc<Gateway>, deadline: Tick) -> Standing {
        let Self { name, request } = self;
        loop {
            let mut over = match gateway.before.named.look(gateway, name, request) {
                Now::Stands(standing) => return standing,
                Now::Wait(over) => over,
            };
            // Nothing is ever sent; the sender's end is what is waited for.
            if timeout_at(gateway.live.clock.instant(deadline), over.changed()).await.is_err() {
                return Standing::TooLate;
            }
        }
    }
}

impl Names {
    fn look(&self, gateway: &Arc<Gateway>, name: Likeness, request: Likeness) -> Now {
        let memory = gateway.snapshot().table.server.idempotency.memory;
        let mut under_way = self.under_way.lock();
        if let Some((kept, first)) = self.answers.find(&name, gateway.live.now(), memory) {
            let same = first == request;
            return Now::Stands(if same { Standing::Answered(kept) } else { Standing::Different });
        }
        match under_way.get(&name) {
            Some(other) if other.request == request => Now::Wait(other.over.clone()),
            Some(_) => Now::Stands(Standing::Different),
            None => {
                let (sender, over) = watch::channel(());
                under_way.insert(name, UnderWay { request, over });
                let named = Named { name, request };
                let held = Held { gateway: Arc::clone(gateway), named, _over: sender };
                Now::Stands(Standing::First(Claim(Arc::new(Mutex::new(Some(held))))))
            }
        }
    }

    pub fn held(&self, now: Tick, memory: u64) -> KeptNow {
        self.answers.held(now, memory)
    }
}

impl Claim {
    /// Most bytes of an answer that is kept.
    pub fn most(&self) -> u64 {
        self.0.lock().as_ref().map_or(0, |held| held.gateway.snapshot().table.server.idempotency.share())
    }

    /// For whoever may have to let go of it.
    pub fn claimed(&self) -> Claimed {
        Claimed(Arc::downgrade(&self.0))
    }

    /// The name means this answer from now on, unless it was left to the next request meanwhile.
    pub fn keep(self, kept: &Arc<Kept>) {
        let Some(held) = self.0.lock().take() else { return };
        held.keep(kept);
    }
}

impl Claimed {
    /// Leaves the name to the next request, which does not have to wait for the end of this one.
    pub fn let_go(&self) {
        let held = self.0.upgrade().and_then(|claim| claim.lock().take());
        drop(held);
    }
}

impl Held {
    fn keep(self, kept: &Arc<Kept>) {
        let snapshot = self.gateway.snapshot();
        let settings = &snapshot.table.server.idempotency;
        if kept.size() > settings.share() {
            return;
        }
        let now = self.gateway.live.now();
        let names = (self.named.name, self.named.request);
        // One that does not fit is asked for anew.
        let _ = self.gateway.before.named.answers.keep(
            names,
            Arc::clone(kept),
            now + settings.ttl,
            now,
            settings.memory,
        );
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gateway.before.named.under_way.lock().remove(&self.named.name);
    }
}
