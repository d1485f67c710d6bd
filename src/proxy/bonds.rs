//! Where responses and conversations are stored that passed through here, by a number of their names and of whose they
//! are ([`Caller::household`]): to anybody else a name means nothing, as one that never was.
//!
//! Nothing is known here but numbers, and of so many that memory is bounded. What is remembered here itself (`recall`)
//! has no bond.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use crate::access::Caller;
use crate::algo::tick::Tick;
use crate::route::{Bond, Hold};
use crate::state::Recent;
use crate::state::permit::Whose;
use crate::vocab::Privacy;

/// OpenAI keeps responses for thirty days; a bond that is forgotten lets the request go anywhere, as one that was
/// never seen does.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Stands where files and batches have the route that led to them (`left::Places`): responses have none.
const NO_ROUTE: u64 = 0;

#[derive(Default)]
pub struct Bonds(Recent<Stored>);

#[derive(Clone, Copy)]
struct Stored {
    bond: Bond,
    /// What may be kept of the request that stored it.
    privacy: Privacy,
}

impl Bonds {
    /// Where what has this number is stored for the caller.
    pub fn find(&self, caller: &Caller, name: u64, now: Tick) -> Option<Bond> {
        self.0.find(of(caller.household(), name), KEPT, now).map(|stored| stored.bond)
    }

    /// What has this number is stored for the caller there, by a request of which so much may be kept.
    pub fn put(&self, caller: &Caller, name: u64, bond: Bond, privacy: Privacy, now: Tick) {
        self.0.put(of(caller.household(), name), Stored { bond, privacy }, now);
    }

    /// It is not stored there after all, or no more.
    pub fn forget(&self, caller: &Caller, name: u64) {
        self.0.forget(of(caller.household(), name));
    }

    /// All that may be kept, in the form that the state file has for places.
    pub fn keep(&self) -> Vec<[u64; 4]> {
        let number = |bond: Bond| match bond.key {
            Some(Whose::Key(key) | Whose::Account(key)) => key,
            None => 0,
        };
        let all = self.0.all().into_iter();
        let all = all.filter_map(|(name, stored)| Some((name, stored.privacy.keeps(Some(stored.bond))?)));
        let mut all: Vec<[u64; 4]> =
            all.map(|(name, bond)| [name, bond.upstream, number(bond), NO_ROUTE]).collect();
        // So that what has not changed is the same.
        all.sort_unstable();
        all
    }

    /// Takes those among `kept` that are no places of files and batches, which are given back.
    pub fn recall(&self, kept: &[[u64; 4]], now: Tick) -> Vec<[u64; 4]> {
        let (bonds, places): (Vec<_>, Vec<_>) = kept.iter().copied().partition(|place| place[3] == NO_ROUTE);
        for [name, upstream, key, _] in bonds {
            let key = (key != 0).then_some(Whose::Key(key));
            let bond = Bond { upstream, key, hold: Hold::Firm };
            self.0.put(name, Stored { bond, privacy: Privacy::Usual }, now);
        }
        places
    }
}

/// The number that a name has for those of one household. Nobody chooses a name that has another one's number there:
/// what is hashed ends in a number of the name, and says before whose it is.
fn of(household: Option<(&str, &str)>, name: u64) -> u64 {
    let Some((level, whose)) = household else { return name };
    let mut text = Vec::with_capacity(level.len() + whose.len() + 9);
    text.extend_from_slice(level.as_bytes());
    text.push(0);
    text.extend_from_slice(whose.as_bytes());
    text.extend_from_slice(&name.to_le_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest(&SHA256, &text).as_ref()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algo::name;

    fn bond(upstream: u64, key: Option<u64>) -> Bond {
        Bond { upstream, key: key.map(Whose::Key), hold: Hold::Firm }
    }

    #[test]
    fn what_is_kept_is_found_again_and_places_of_files_are_left_alone() {
        let now = Tick::ZERO + Duration::from_secs(9);
        let bonds = Bonds::default();
        let nobody = Caller::default();
        let somebody = Caller::default().apart("somebody".into());
        bonds.put(&nobody, name::number(b"resp_1"), bond(7, Some(3)), Privacy::Usual, now);
        bonds.put(&somebody, name::number(b"resp_2"), bond(8, None), Privacy::Usual, now);
        let file = [1, 2, 3, 4];
        let kept = [bonds.keep(), vec![file]].concat();

        let next = Bonds::default();
        assert_eq!(next.recall(&kept, now), [file]);
        for id in ["resp_1", "resp_2", "resp_3"] {
            let number = name::number(id.as_bytes());
            for caller in [&nobody, &somebody] {
                assert_eq!(next.find(caller, number, now), bonds.find(caller, number, now), "{id}");
            }
        }
        assert_eq!(next.keep(), bonds.keep());
        let first = name::number(b"resp_1");
        assert!(next.find(&nobody, first, now).is_some() && next.find(&somebody, first, now).is_none());
        next.forget(&somebody, first);
        assert!(next.find(&nobody, first, now).is_some());
        next.forget(&nobody, first);
        assert_eq!(next.find(&nobody, first, now), None);
        assert_eq!(next.find(&nobody, 1, now), None);
    }

    #[test]
    fn what_nobody_may_know_of_is_found_and_not_kept() {
        let (now, bonds, nobody) = (Tick::ZERO, Bonds::default(), Caller::default());
        let name = name::number(b"resp_1");
        bonds.put(&nobody, name, bond(7, None), Privacy::ZeroLog, now);
        assert!(bonds.find(&nobody, name, now).is_some());
        assert_eq!(bonds.keep(), Vec::<[u64; 4]>::new());
    }

    #[test]
    fn whoever_is_called_alike_on_another_level_is_somebody_else() {
        let numbers = [None, Some(("team", "acme")), Some(("organisation", "acme")), Some(("key", "acme"))]
            .map(|household| of(household, 7));
        assert_eq!(std::collections::HashSet::from(numbers).len(), numbers.len());
    }
}
