//! How far an attempt had got when it ended (RESILIENCE §4.2): what may be sent again depends on it.

/// Ordered: a later stage compares greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Not a byte of the request has left.
    NotSent,
    /// Some bytes have left, not all.
    Sending,
    /// The whole request has left; no response headers yet.
    Waiting,
    /// Response headers are here; nothing has gone to the caller.
    Headers,
    /// Content has gone to the caller.
    Committed,
}

impl Stage {
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Sending => "sending",
            Self::Waiting => "waiting",
            Self::Headers => "headers",
            Self::Committed => "committed",
        }
    }
}
