//! What was lately true of a key: where a conversation was served, where a response is stored.
//!
//! Two generations instead of a list in order of use: what is written goes to the young one, and when that
//! is full the old one goes. Nothing is walked, and memory is bounded by twice a generation.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::algo::tick::Tick;

/// Keys in one generation: some 3 MB at the very most.
const GENERATION: usize = 32 * 1024;

#[derive(Debug)]
pub struct Recent<V>(Mutex<Generations<V>>);

#[derive(Debug)]
struct Generations<V> {
    /// Keys in one of them.
    most: usize,
    young: HashMap<u64, (V, Tick)>,
    old: HashMap<u64, (V, Tick)>,
}

impl<V> Default for Recent<V> {
    fn default() -> Self {
        Self::bounded(GENERATION)
    }
}

impl<V> Recent<V> {
    /// With so many keys in a generation.
    pub fn bounded(most: usize) -> Self {
        Self(Mutex::new(Generations { most, young: HashMap::new(), old: HashMap::new() }))
    }
}

impl<V: Copy> Recent<V> {
    /// When something was put under `key`, if it is still here.
    pub fn since(&self, key: u64) -> Option<Tick> {
        let generations = self.0.lock();
        generations.young.get(&key).or_else(|| generations.old.get(&key)).map(|(_, at)| *at)
    }

    /// What was put under `key` no longer than `ttl` ago.
    pub fn find(&self, key: u64, ttl: Duration, now: Tick) -> Option<V> {
        let generations = self.0.lock();
        let (value, at) = generations.young.get(&key).or_else(|| generations.old.get(&key))?;
        (now.since(*at) <= ttl).then_some(*value)
    }

    /// All of it, what was put first at the front; in the same order as long as nothing is put.
    pub fn all(&self) -> Vec<(u64, V)> {
        let generations = self.0.lock();
        let young = |key: &u64| generations.young.contains_key(key);
        let old = generations.old.iter().filter(|(key, _)| !young(key));
        let mut all: Vec<_> =
            old.chain(&generations.young).map(|(key, (value, at))| (*at, *key, *value)).collect();
        drop(generations);
        all.sort_unstable_by_key(|(at, key, _)| (*at, *key));
        all.into_iter().map(|(_, key, value)| (key, value)).collect()
    }

    pub fn forget(&self, key: u64) {
        let mut generations = self.0.lock();
        generations.young.remove(&key);
        generations.old.remove(&key);
    }

    pub fn put(&self, key: u64, value: V, now: Tick) {
        let mut generations = self.0.lock();
        if generations.young.len() >= generations.most {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(key, (value, now));
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
        let affinity = Recent::default();
        affinity.put(7, 1, at(0));
        assert_eq!(affinity.find(7, TTL, at(300)), Some(1));
        assert_eq!(affinity.find(7, TTL, at(301)), None);
        affinity.put(7, 2, at(301));
        assert_eq!(affinity.find(7, TTL, at(302)), Some(2));
        assert_eq!(affinity.find(8, TTL, at(302)), None);
    }

    #[test]
    fn what_was_put_first_comes_first() {
        let recent = Recent::default();
        for (key, secs) in [(5, 3), (9, 1), (2, 2), (1, 2)] {
            recent.put(key, key, at(secs));
        }
        assert_eq!(recent.all(), [(9, 9), (1, 1), (2, 2), (5, 5)]);
        recent.put(9, 0, at(4));
        assert_eq!(recent.all().last(), Some(&(9, 0)), "and what is put again goes to the end");
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let affinity = Recent::default();
        let generation = GENERATION as u64;
        for session in 0..10 * generation {
            affinity.put(u64::MAX, 9, at(0));
            affinity.put(session, 1, at(0));
            let generations = affinity.0.lock();
            assert!(generations.young.len() + generations.old.len() <= 2 * GENERATION);
        }
        assert_eq!(affinity.find(u64::MAX, TTL, at(1)), Some(9));
        assert_eq!(affinity.find(0, TTL, at(1)), None);
        assert_eq!(affinity.find(10 * generation - 1, TTL, at(1)), Some(1));
    }
}
