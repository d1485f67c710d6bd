//! What an attempt is to its request. The ledger's column `part`.

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its request's first one, or a retry.
    Turn,
    /// Beside one that was silent.
    Hedge,
    /// To go on with a stream that broke off.
    Leg,
    /// To a shadow channel, whose answer nobody gets.
    Mirror,
}

impl Part {
    pub const ALL: [Self; 4] = [Self::Turn, Self::Hedge, Self::Leg, Self::Mirror];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Hedge => "hedge",
            Self::Leg => "leg",
            Self::Mirror => "mirror",
        }
    }
}
