//! Who tries keys that are none: how many wrong ones came from where, within a minute.
//!
//! Good keys are not slowed down by what others do behind the same address; it is only the wrong ones that are
//! answered differently. The table has a fixed size; a crowd of addresses displaces itself.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;

use crate::algo::tick::Tick;

/// So many wrong keys within [`WINDOW`] are told that they are wrong.
pub const MOST: u32 = 10;
pub const WINDOW: Duration = Duration::from_mins(1);

/// Addresses that are remembered, 24 bytes each.
const PLACES: usize = 4096;

/// Wrong keys by where they came from.
#[derive(Debug)]
pub struct Guesses {
    hasher: RandomState,
    places: Mutex<Box<[Option<Guesser>]>>,
}

#[derive(Clone, Copy, Debug)]
struct Guesser {
    /// An IPv4 address, or the beginning of an IPv6 one that its holder can fill as he likes.
    network: u64,
    since: Tick,
    wrong: u32,
}

impl Default for Guesses {
    fn default() -> Self {
        Self { hasher: RandomState::new(), places: Mutex::new(vec![None; PLACES].into()) }
    }
}

impl Guesses {
    /// Books a wrong key from `address`. How long to stay away, where that is one too many.
    pub fn wrong(&self, address: IpAddr, now: Tick) -> Option<Duration> {
        let network = network(address);
        let is_over = |guesser: &Guesser| now.since(guesser.since) >= WINDOW;
        let hash = self.hasher.hash_one(network) as usize;
        let ways = [hash % PLACES, (hash / PLACES) % PLACES];
        let mut places = self.places.lock();
        let known = |place: usize| places[place].is_some_and(|guesser| guesser.network == network);
        let weight = |place: usize| places[place].filter(|guesser| !is_over(guesser)).map_or(0, |g| g.wrong);
        let own = ways.into_iter().find(|way| known(*way));
        let place = own.unwrap_or_else(|| if weight(ways[0]) <= weight(ways[1]) { ways[0] } else { ways[1] });
        let anew = Guesser { network, since: now, wrong: 0 };
        let before = places[place].filter(|guesser| guesser.network == network && !is_over(guesser));
        let mut guesser = before.unwrap_or(anew);
        guesser.wrong = guesser.wrong.saturating_add(1);
        places[place] = Some(guesser);
        (guesser.wrong > MOST).then(|| WINDOW.saturating_sub(now.since(guesser.since)))
    }
}

fn network(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        // A subscriber has a /64 at least (RFC 6177); none of them is in ::/32, where IPv4's are here.
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Tick {
        Tick::from_nanos(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn ten_wrong_keys_a_minute_are_told_so_and_the_next_is_told_to_wait() {
        let guesses = Guesses::default();
        let address: IpAddr = "192.0.2.1".parse().expect("an address");
        for second in 0..10 {
            assert_eq!(guesses.wrong(address, at(second)), None);
        }
        assert_eq!(guesses.wrong(address, at(20)), Some(Duration::from_secs(40)));
        assert_eq!(
            guesses.wrong("::ffff:192.0.2.1".parse().expect("the same"), at(59)),
            Some(Duration::from_secs(1))
        );
        assert_eq!(guesses.wrong("192.0.2.2".parse().expect("another"), at(59)), None);
        assert_eq!(guesses.wrong(address, at(60)), None, "a minute later all begins anew");
    }

    #[test]
    fn who_has_a_whole_network_is_one_guesser() {
        let guesses = Guesses::default();
        let wrong = |text: &str| guesses.wrong(text.parse().expect("an address"), at(0)).is_some();
        for host in 0..10 {
            assert!(!wrong(&format!("2001:db8:0:1::{host}")));
        }
        assert!(wrong("2001:db8:0:1:ffff::1"));
        assert!(!wrong("2001:db8:0:2::1"));
    }

    #[test]
    fn a_crowd_takes_no_more_room_and_hardly_hides_a_guesser() {
        let guesses = Guesses::default();
        let lasting: IpAddr = "192.0.2.1".parse().expect("an address");
        for _ in 0..=MOST {
            guesses.wrong(lasting, at(0));
        }
        for number in 0..100_000_u32 {
            guesses.wrong(IpAddr::V4(number.into()), at(1));
        }
        assert!(guesses.wrong(lasting, at(2)).is_some(), "the one with more to his name stays");
        assert_eq!(guesses.places.lock().len(), PLACES);
    }
}
