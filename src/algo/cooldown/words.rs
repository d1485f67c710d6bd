//! The vocabulary of cooldowns: what they are told and answer. Nothing here decides anything.

use std::time::Duration;

use crate::algo::tick::Tick;

/// What kind of refusal a credential waits out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Too many requests: seconds.
    Short,
    /// The quota is used up: minutes to a day.
    Long,
    /// The key is not accepted.
    Auth,
}

/// What asking for a lease would bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// The wait is over and there is room for one more careful request.
    Trickle,
    /// `until` is also the earliest time to try again when trickle requests are in flight.
    Cooling {
        until: Tick,
        kind: Kind,
    },
    /// Not accepted; from `recheck_at` on a free request may find out whether that changed.
    Disabled {
        recheck_at: Tick,
    },
}

/// How a request with this credential ended, as far as the credential cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Ok,
    Throttled {
        retry_after: Option<Duration>,
    },
    Quota {
        reset: Option<Duration>,
    },
    Auth,
    /// Says nothing about the credential.
    Neutral,
}

/// Leave to use the credential once, to be settled exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub(super) epoch: u32,
}

/// Where a credential stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ready,
    Trickle,
    Cooling(Kind),
}

impl State {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Trickle => "trickle",
            Self::Cooling(Kind::Short) => "short",
            Self::Cooling(Kind::Long) => "long",
            Self::Cooling(Kind::Auth) => "auth",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    pub from: State,
    pub to: State,
}

/// Whether a refused key was accepted by a request that costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recheck {
    Accepted,
    Refused,
}
