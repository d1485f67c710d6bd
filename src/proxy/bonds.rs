//! Where responses and conversations are stored that passed through here, by a number of their names.
//!
//! Nothing is known here but numbers, and of so many that memory is bounded. What is remembered here itself (`recall`)
//! has no bond.

use std::time::Duration;

use crate::algo::name;
use crate::algo::tick::Tick;
use crate::route::{Bond, Hold};
use crate::state::Recent;
use crate::state::permit::Whose;

/// OpenAI keeps responses for thirty days; a bond that is forgotten lets the request go anywhere, as one that was
/// never seen does.
const KEPT: Duration = Duration::from_hours(30 * 24);
/// Stands where files and batches have the route that led to them (`left::Places`): responses have none.
const NO_ROUTE: u64 = 0;

#[derive(Default)]
pub struct Bonds(Recent<Bond>);

impl Bonds {
    /// Where what has this number is stored.
    pub fn find(&self, name: u64, now: Tick) -> Option<Bond> {
        self.0.find(name, KEPT, now)
    }

    /// What has this number is stored with this key, or with no key, of this upstream.
    pub fn put(&self, name: u64, (upstream, key): (u64, Option<u64>), now: Tick) {
        let bond = Bond { upstream, key: key.map(Whose::Key), hold: Hold::Firm };
        self.0.put(name, bond, now);
    }

    /// It is not stored there after all.
    pub fn forget(&self, id: &str) {
        self.0.forget(name::number(id.as_bytes()));
    }

    /// All of them, in the form that the state file has for places.
    pub fn keep(&self) -> Vec<[u64; 4]> {
        let number = |bond: Bond| match bond.key {
            Some(Whose::Key(key) | Whose::Account(key)) => key,
            None => 0,
        };
        let all = self.0.all().into_iter();
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
            self.put(name, (upstream, (key != 0).then_some(key)), now);
        }
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_again_and_places_of_files_are_left_alone() {
        let now = Tick::ZERO + Duration::from_secs(9);
        let bonds = Bonds::default();
        bonds.put(name::number(b"resp_1"), (7, Some(3)), now);
        bonds.put(name::number(b"resp_2"), (8, None), now);
        let file = [1, 2, 3, 4];
        let kept = [bonds.keep(), vec![file]].concat();

        let next = Bonds::default();
        assert_eq!(next.recall(&kept, now), [file]);
        for id in ["resp_1", "resp_2", "resp_3"] {
            let number = name::number(id.as_bytes());
            assert_eq!(next.find(number, now), bonds.find(number, now), "{id}");
        }
        assert_eq!(next.keep(), bonds.keep());
        assert!(next.find(name::number(b"resp_1"), now).is_some());
        next.forget("resp_1");
        assert_eq!(next.find(name::number(b"resp_1"), now), None);
        assert_eq!(next.find(1, now), None);
    }
}
