//! What the outside sees of the gateway.

#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// How many of the last requests are at hand.
    pub journal_requests: usize,
    /// Combinations of names that one metric may have.
    pub max_series: usize,
}
