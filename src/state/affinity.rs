//! Which channel served a conversation last, for a while.
//!
//! Two generations instead of a list in order of use: what is asked for moves to the young one, and when
//! that is full the old one goes. Nothing is walked, and memory is bounded by twice a generation.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::algo::tick::Tick;

/// Conversations in one generation: some 3 MB a route at the very most.
const GENERATION: usize = 32 * 1024;

#[derive(Debug, Default)]
pub struct Affinity(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<u64, Last>,
    old: HashMap<u64, Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    /// The channel's identity.
    channel: u64,
    at: Tick,
}

impl Affinity {
    /// The channel that served `session` no longer than `ttl` ago.
    pub fn last(&self, session: u64, ttl: Duration, now: Tick) -> Option<u64> {
        let generations = self.0.lock();
        let last = generations.young.get(&session).or_else(|| generations.old.get(&session))?;
        (now.since(last.at) <= ttl).then_some(last.channel)
    }

    /// `channel` has served `session`.
    pub fn served(&self, session: u64, channel: u64, now: Tick) {
        let mut generations = self.0.lock();
        if generations.young.len() >= GENERATION {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(session, Last { channel, at: now });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_mins(5);

    fn at(secs: u64) -> Tick {
        Tick::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn a_conversation_is_remembered_for_its_time_and_as_last_served() {
        let affinity = Affinity::default();
        affinity.served(7, 1, at(0));
        assert_eq!(affinity.last(7, TTL, at(300)), Some(1));
        assert_eq!(affinity.last(7, TTL, at(301)), None);
        affinity.served(7, 2, at(301));
        assert_eq!(affinity.last(7, TTL, at(302)), Some(2));
        assert_eq!(affinity.last(8, TTL, at(302)), None);
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let affinity = Affinity::default();
        let generation = GENERATION as u64;
        for session in 0..10 * generation {
            affinity.served(u64::MAX, 9, at(0));
            affinity.served(session, 1, at(0));
            let generations = affinity.0.lock();
            assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
        }
        assert_eq!(affinity.last(u64::MAX, TTL, at(1)), Some(9));
        assert_eq!(affinity.last(0, TTL, at(1)), None);
        assert_eq!(affinity.last(10 * generation - 1, TTL, at(1)), Some(1));
    }
}
