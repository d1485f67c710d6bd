//! What operators are told of without asking.

/// Something that somebody should know, now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    pub kind: AlertKind,
    /// What it is about, by kind: `team blue, month`, an upstream, a channel's label. Two alerts of one kind about the
    /// same subject are one that goes on.
    pub subject: Box<str>,
    /// One sentence for people: what is so, and what it means. Never a secret, never anything of a prompt.
    pub text: String,
    pub state: AlertState,
}

/// What kind of thing has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertKind {
    /// A share of a budget is spent.
    Budget,
    /// More was spent in an hour than is usual for it.
    SpendSpike,
    /// More requests fail than usual.
    ErrorSpike,
    /// An upstream, or one of its models, is not asked any more; or a route has no channel left.
    ChannelDown,
    /// A provider refuses a credential.
    CredentialDead,
    /// The store takes no rows.
    StoreAway,
}

/// Whether it begins or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertState {
    Firing,
    Resolved,
}

impl AlertKind {
    pub const ALL: [Self; 6] = [
        Self::Budget,
        Self::SpendSpike,
        Self::ErrorSpike,
        Self::ChannelDown,
        Self::CredentialDead,
        Self::StoreAway,
    ];

    /// As the configuration, metrics and messages call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::SpendSpike => "spend_spike",
            Self::ErrorSpike => "error_spike",
            Self::ChannelDown => "channel_down",
            Self::CredentialDead => "credential_dead",
            Self::StoreAway => "store_away",
        }
    }

    /// The one of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl AlertState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Resolved => "resolved",
        }
    }
}
