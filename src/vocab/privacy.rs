//! What may be kept of a request, beside the numbers that it came to.

/// Whether anything that stands in a request, or in an answer to it, may be written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Privacy {
    /// What the settings say: the model's name, labels, the caller's own id of the request, upstreams' complaints.
    #[default]
    Usual,
    /// Nothing (`zero_log: true`): names and ids of our own, times, outcomes, counts and costs are all.
    ZeroLog,
}

impl Privacy {
    pub const fn is_zero_log(self) -> bool {
        match self {
            Self::Usual => false,
            Self::ZeroLog => true,
        }
    }

    /// `words` that others have written, where they may be kept.
    pub fn keeps<T>(self, words: Option<T>) -> Option<T> {
        words.filter(|_| !self.is_zero_log())
    }
}
