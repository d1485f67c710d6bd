//! How much a provider hurries, where it sells that at different prices.

/// What the provider was asked to hurry, or did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    Standard,
    Batch,
    Flex,
    Priority,
    Ultrafast,
    /// OpenAI's endpoint of this name.
    Decisions,
    /// One that has no public price: capacity that was bought beforehand, or a word that nobody here knows.
    Other,
}

impl Tier {
    /// Every tier, for tables and tests.
    pub const ALL: [Self; 7] = [
        Self::Standard,
        Self::Batch,
        Self::Flex,
        Self::Priority,
        Self::Ultrafast,
        Self::Decisions,
        Self::Other,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
            Self::Ultrafast => "ultrafast",
            Self::Decisions => "decisions",
            Self::Other => "other",
        }
    }

    /// The tier of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tier| tier.name() == name)
    }
}
