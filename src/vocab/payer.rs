//! Whose account at a provider an attempt is charged to.

/// Whose credential goes along with an attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Payer {
    /// One of the upstream's.
    #[default]
    Gateway,
    /// The caller's own.
    Caller,
}
