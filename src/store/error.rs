//! Why the store has not done what it was asked.

/// Nothing of what was asked is there, save after [`Error::Late`] and [`Error::Away`]: then nobody knows, and
/// whoever repeats a batch by its id gets it written once.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nobody is there to ask.
    #[error("the store is away: {0}")]
    Away(String),
    #[error("the store has not answered in time")]
    Late,
    /// It has answered, and cannot or will not do it: a full disk, a missing right.
    #[error("the store refused: {0}")]
    Refused(String),
    /// Another one has that name.
    #[error("the name is taken")]
    Taken,
    /// What was to be changed is not there any more, or is not as it was when it was read.
    #[error("it was changed or removed by somebody else meanwhile; read it again")]
    Changed,
}

impl Error {
    /// The label `kind` of `mainstay_store_errors_total`. `None` for what is no trouble of the store's.
    pub const fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Away(_) => Some("away"),
            Self::Late => Some("late"),
            Self::Refused(_) => Some("refused"),
            Self::Taken | Self::Changed => None,
        }
    }
}
