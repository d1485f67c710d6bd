//! Where each file and batch is, by a hash of its name within its caller's scope.
//!
//! Bounded, and nothing is known here but numbers. What may be asked of whom is said one file up.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};

use crate::algo::tick::Tick;
use crate::dialect::Dialect;
use crate::route::{Bond, Hold};
use crate::state::Recent;
use crate::state::permit::Whose;
use crate::vocab::Privacy;

/// Longer than anything is left there, as a rule; memory is bounded by numbers, not by this.
const KEPT: Duration = Duration::from_hours(365 * 24);

/// Where everything is that was left.
#[derive(Default)]
pub struct Places(Recent<Place>);

#[derive(Clone, Copy)]
pub struct Place {
    pub bond: Bond,
    /// The route that led there, by its name.
    pub route: u64,
    /// What may be kept of the request that it is known from.
    pub privacy: Privacy,
}

impl Place {
    /// Of what is remembered without the route that led to it.
    pub const fn of(bond: Bond) -> Self {
        Self { bond, route: 0, privacy: Privacy::Usual }
    }
}

/// What is known of a name.
pub enum Known {
    Here(Place),
    /// It is another scope's.
    Foreign,
    Nothing,
}

impl Places {
    pub fn find(&self, caller: Option<&str>, name: &str, now: Tick) -> Known {
        if let Some(place) = self.0.find(key(Some(caller.unwrap_or("")), name), KEPT, now) {
            return Known::Here(place);
        }
        match self.0.find(key(None, name), KEPT, now) {
            Some(_) => Known::Foreign,
            None => Known::Nothing,
        }
    }

    pub fn put(&self, caller: Option<&str>, name: &str, place: Place, now: Tick) {
        self.0.put(key(Some(caller.unwrap_or("")), name), place, now);
        self.0.put(key(None, name), place, now);
    }

    /// All that may be kept, the oldest first; what has not changed is the same.
    pub fn keep(&self) -> Vec<[u64; 4]> {
        let number = |place: Place| match place.bond.key {
            Some(Whose::Key(key) | Whose::Account(key)) => key,
            None => 0,
        };
        let all = self.0.all().into_iter();
        let all = all.filter(|(_, place)| !place.privacy.is_zero_log());
        all.map(|(name, place)| [name, place.bond.upstream, number(place), place.route]).collect()
    }

    pub fn recall(&self, kept: &[[u64; 4]], now: Tick) {
        // A nanosecond apart, so that the oldest stay so.
        let ages = (0..kept.len() as u64).rev();
        for ([name, upstream, key, route], age) in kept.iter().zip(ages) {
            let at = Tick::from_nanos(now.nanos().saturating_sub(age));
            let key = (*key != 0).then_some(Whose::Key(*key));
            let bond = Bond { upstream: *upstream, key, hold: Hold::Firm };
            self.0.put(*name, Place { bond, route: *route, privacy: Privacy::Usual }, at);
        }
    }

    /// Where this scope left something last.
    pub fn last(&self, caller: Option<&str>, dialect: Dialect, now: Tick) -> Option<Place> {
        self.0.find(key(Some(caller.unwrap_or("")), dialect.name()), KEPT, now)
    }
}

/// A name within a scope, or in all of them. A dialect's own name is no thing's.
fn key(scope: Option<&str>, name: &str) -> u64 {
    let mut text = Vec::with_capacity(name.len() + 32);
    if let Some(scope) = scope {
        text.extend_from_slice(&(scope.len() as u64 + 1).to_le_bytes());
        text.extend_from_slice(scope.as_bytes());
    }
    text.push(0);
    text.extend_from_slice(name.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest(&SHA256, &text).as_ref()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_age_outlasts_a_restart() {
        let kept: Vec<[u64; 4]> = [7, 3, 9, 1].map(|name| [name, 2, 0, 4]).to_vec();
        let places = Places::default();
        let now = Tick::ZERO + Duration::from_secs(5);
        places.recall(&kept, now);
        assert_eq!(places.keep(), kept);
        let bond = Bond { upstream: 1, key: None, hold: Hold::Firm };
        places.put(None, "file-1", Place { bond, route: 2, privacy: Privacy::ZeroLog }, now);
        assert!(matches!(places.find(None, "file-1", now), Known::Here(_)));
        assert_eq!(places.keep(), kept, "what nobody may know of is not kept");
    }
}
