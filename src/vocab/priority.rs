//! How much a request matters when not all can be served (the classes of Google's SRE).

use std::str::FromStr;

/// Ordered: what matters more compares greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Nobody waits for it; it comes again another day.
    Sheddable,
    /// Batches that may wait for minutes.
    SheddablePlus,
    /// Somebody waits.
    #[default]
    Critical,
    /// What must go through before everything else.
    CriticalPlus,
}

impl Priority {
    pub const ALL: [Self; 4] = [Self::Sheddable, Self::SheddablePlus, Self::Critical, Self::CriticalPlus];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Sheddable => "sheddable",
            Self::SheddablePlus => "sheddable_plus",
            Self::Critical => "critical",
            Self::CriticalPlus => "critical_plus",
        }
    }

    /// The class below, if there is one.
    #[must_use]
    pub const fn lower(self) -> Self {
        match self {
            Self::Sheddable | Self::SheddablePlus => Self::Sheddable,
            Self::Critical => Self::SheddablePlus,
            Self::CriticalPlus => Self::Critical,
        }
    }

    /// Its class in a line: 0 is served first.
    pub const fn class(self) -> u8 {
        match self {
            Self::CriticalPlus => 0,
            Self::Critical => 1,
            Self::SheddablePlus => 2,
            Self::Sheddable => 3,
        }
    }
}

impl FromStr for Priority {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|priority| priority.name() == name).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_the_order_of_importance_is_that_of_the_line() {
        for priority in Priority::ALL {
            assert_eq!(priority.name().parse(), Ok(priority));
            assert!(priority.lower() <= priority && priority.lower().class() >= priority.class());
        }
        assert!(Priority::ALL.is_sorted_by(|a, b| a < b && a.class() > b.class()));
        assert_eq!("Critical".parse::<Priority>(), Err(()));
    }
}
