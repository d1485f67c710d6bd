//! What one attempt holds while it runs: passage through two breakers, a key, a place in the
//! in-flight counts. Settled exactly once; a dropped permit settles as cancelled.
//!
//! Here is how an attempt comes to its permit. Which key it has is `keys`' affair; what is said of it while it runs,
//! `running`'s; how it is settled, `ending`'s; what the breakers hear of that, `evidence`'s; and what the books do,
//! `entry`'s.

mod ending;
mod entry;
mod evidence;
mod keys;
mod running;
mod trial;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::channel::Channel;
use super::credential::{Credential, Held};
use super::live::Live;
use super::model::{Model, Shape};
use super::room::Room;
use super::silence::Silence;
use crate::algo::breaker::{self, Signal};
use crate::algo::quota::{Booking, Quota, Tokens};
use crate::algo::tick::Tick;
use crate::vocab::Payer;

use entry::Entry;

pub use keys::ready_at;
pub use running::STALLED;

pub use super::blame::Repeat;

/// Why no permit was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    Breaker {
        until: Option<Tick>,
    },
    Credentials {
        until: Option<Tick>,
    },
    /// Every key that is ready is as busy as it may be.
    Room,
}

/// What a request wants of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    pub shape: Shape,
    /// The conversation that it belongs to, where the route cares.
    pub session: Option<u64>,
    /// The only keys that will do; every one where they are gone.
    pub key: Option<Whose>,
    /// Whose credential goes along.
    pub payer: Payer,
    /// About how many it will cost.
    pub tokens: Tokens,
}

/// Which keys know what a request refers to, by their identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Key(u64),
    /// Every key of this account.
    Account(u64),
}

impl Whose {
    pub fn has(self, key: &Credential) -> bool {
        match self {
            Self::Key(identity) => key.identity == identity,
            Self::Account(account) => key.account == account,
        }
    }
}

#[derive(Debug)]
pub struct Permit {
    channel: Arc<Channel>,
    model: Arc<Model>,
    credential: Option<Arc<Credential>>,
    payer: Payer,
    held: Option<Held>,
    passage: Passage,
    shape: Shape,
    begun: Tick,
    phase: Phase,
    /// Content events of its stream so far.
    events: u64,
    /// Nothing has come of it for a while.
    is_stalled: bool,
    /// What it took from its key's quota.
    booked: Option<(Arc<Mutex<Quota>>, Booking)>,
    /// Set when another attempt of the same request has answered it.
    beaten: Option<Arc<AtomicBool>>,
    /// Who waits for its first content.
    bell: Option<Arc<Notify>>,
    /// Its connection was kept from earlier and may have been dead.
    doubtful: bool,
    /// Where it has a place, of its key at its model.
    room: Option<Arc<Room>>,
    /// Others wait for the model and hear nothing.
    in_silence: bool,
    /// Who hears of its end, and what of. In a box, for permits are moved about.
    entry: Option<Box<Entry>>,
}

/// How the attempt got past the breakers.
#[derive(Clone, Copy, Debug)]
enum Passage {
    /// Through the transport's gate, and the model's where there is one.
    Admitted { transport: breaker::Permit, model: Option<breaker::Permit> },
    /// Past closed gates, because nothing was eligible (panic). The breakers hear nothing of it;
    /// the route's throttle does.
    Forced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No content yet.
    Waiting,
    /// Content flows, and the breakers have been told.
    Streaming,
    /// Content flows, but this is a trial that has not held for long enough.
    OnTrial {
        since: Tick,
    },
    Settled,
}

impl Permit {
    /// Enters `channel` for a request that asks for `model`.
    pub fn admit(channel: &Arc<Channel>, model: Arc<Model>, wants: Wants) -> Result<Self, Refusal> {
        let upstream = &channel.upstream;
        let (now, mut dice) = (upstream.live.now(), upstream.live.dice());
        let refused = |model: Option<&Model>, refused: breaker::Refused| {
            upstream.note(model, refused.transition, now);
            Refusal::Breaker { until: refused.until }
        };

        let gate = &upstream.memory.gate;
        let (transport, transition) = gate.admit(now, &mut dice).map_err(|error| refused(None, error))?;
        upstream.note(None, transition, now);
        let over_model = match model.gate.as_ref().map(|gate| gate.admit(now, &mut dice)) {
            None => None,
            Some(Ok((permit, transition))) => {
                upstream.note(Some(&model), transition, now);
                Some(permit)
            }
            Some(Err(error)) => {
                let _ = gate.settle(transport, Signal::Neutral, now, now, &mut dice);
                return Err(refused(Some(&model), error));
            }
        };
        // From here on the permit gives back what it has, whatever happens.
        let passage = Passage::Admitted { transport, model: over_model };
        let mut permit = Self::enter(channel, model, wants.shape, passage, now);
        permit.take_credential(wants, now, &mut dice)?;
        Ok(permit)
    }

    /// Enters past closed gates: nothing is eligible, and the route's throttle let this one through.
    pub fn force(channel: &Arc<Channel>, model: Arc<Model>, wants: Wants) -> Result<Self, Refusal> {
        let live = &channel.upstream.live;
        let (now, mut dice) = (live.now(), live.dice());
        let mut permit = Self::enter(channel, model, wants.shape, Passage::Forced, now);
        permit.take_credential(wants, now, &mut dice)?;
        Ok(permit)
    }

    fn enter(channel: &Arc<Channel>, model: Arc<Model>, shape: Shape, passage: Passage, begun: Tick) -> Self {
        let in_silence = model.is_silent(shape, begun);
        model.waiting.fetch_add(1, Relaxed);
        model.silence[shape as usize].wait(begun);
        channel.upstream.memory.in_flight.fetch_add(1, Relaxed);
        let channel = Arc::clone(channel);
        Self {
            channel,
            model,
            credential: None,
            payer: Payer::Gateway,
            held: None,
            passage,
            shape,
            begun,
            phase: Phase::Waiting,
            events: 0,
            is_stalled: false,
            booked: None,
            beaten: None,
            bell: None,
            doubtful: false,
            room: None,
            in_silence,
            entry: None,
        }
    }

    /// Whether it goes to find out why others hear nothing; what they wait on may be the connections.
    pub const fn is_in_silence(&self) -> bool {
        self.in_silence
    }

    pub fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_deref()
    }

    pub fn begun(&self) -> Tick {
        self.begun
    }

    /// Whether this attempt finds out for a breaker if its upstream is back.
    pub fn is_trial(&self) -> bool {
        match self.passage {
            Passage::Admitted { transport, model } => {
                transport.kind.is_trial() || model.is_some_and(|permit| permit.kind.is_trial())
            }
            Passage::Forced => false,
        }
    }

    /// Whether this attempt was made although nothing was eligible.
    pub fn is_forced(&self) -> bool {
        matches!(self.passage, Passage::Forced)
    }

    fn silence(&self) -> &Silence {
        &self.model.silence[self.shape as usize]
    }

    fn live(&self) -> &Arc<Live> {
        &self.channel.upstream.live
    }
}
