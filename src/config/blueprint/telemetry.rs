//! What can be seen of the gateway from outside.

/// The `telemetry:` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telemetry {
    /// How many of the last requests are at hand.
    pub journal_requests: usize,
}
