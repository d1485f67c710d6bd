//! What an operator may do at the admin side: a closed list, none of which implies another.

/// What an endpoint of the admin side needs. `/admin/...` takes one of [`OperatorScope::GIVEN`]; nobody is ever given
/// `open`, because nothing has to be proven for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OperatorScope {
    /// Probes, metrics, the list of endpoints: for everybody who reaches the listener.
    Open,
    /// To see how everything is: no money, no keys.
    Read,
    /// To see what was used and spent, request by request.
    Usage,
    /// To see, make, change, rotate and end callers' keys.
    Keys,
    /// To change how things run until they are changed back: reload, reprice, simulated faults, test messages.
    Operate,
    /// To read and to change the configuration.
    Config,
    /// To read who did what.
    Audit,
    /// To read what callers asked and were answered.
    Capture,
}

impl OperatorScope {
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Read,
        Self::Usage,
        Self::Keys,
        Self::Operate,
        Self::Config,
        Self::Audit,
        Self::Capture,
    ];
    /// Those that tokens and certificates may have.
    pub const GIVEN: [Self; 7] =
        [Self::Read, Self::Usage, Self::Keys, Self::Operate, Self::Config, Self::Audit, Self::Capture];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Usage => "usage",
            Self::Keys => "keys",
            Self::Operate => "operate",
            Self::Config => "config",
            Self::Audit => "audit",
            Self::Capture => "capture",
        }
    }

    /// What it lets somebody do, for people.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Open => "probes, metrics and the list of endpoints: nothing has to be proven",
            Self::Read => "see how everything is; no money and no keys",
            Self::Usage => "see what was used and what it cost, request by request",
            Self::Keys => "see, make, change, rotate and end callers' keys",
            Self::Operate => "change how the gateway runs, and what was booked",
            Self::Config => "read and change the configuration, and rehearse outages on it",
            Self::Audit => "read who did what",
            Self::Capture => "read what callers asked and were answered, where that is captured",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OperatorScopes(u8);

impl OperatorScopes {
    /// Whoever has these may do everything.
    pub fn all() -> Self {
        OperatorScope::ALL.into_iter().collect()
    }

    /// Whether what needs `scope` may be done. What is open may be by everybody.
    pub const fn allow(self, scope: OperatorScope) -> bool {
        matches!(scope, OperatorScope::Open) || self.0 & scope.bit() != 0
    }
}

impl FromIterator<OperatorScope> for OperatorScopes {
    fn from_iter<I: IntoIterator<Item = OperatorScope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_allows_itself_and_what_is_open_and_nothing_else() {
        for given in OperatorScope::GIVEN {
            let scopes = OperatorScopes::from_iter([given]);
            for needed in OperatorScope::ALL {
                let expected = needed == given || needed == OperatorScope::Open;
                assert_eq!(scopes.allow(needed), expected, "{given:?} {needed:?}");
            }
            assert!(OperatorScopes::all().allow(given) && !OperatorScopes::default().allow(given));
        }
        let names: std::collections::HashSet<_> =
            OperatorScope::ALL.into_iter().map(OperatorScope::name).collect();
        assert_eq!(names.len(), OperatorScope::GIVEN.len() + 1);
    }
}
