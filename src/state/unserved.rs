//! Models that an upstream said it does not serve, where callers choose the names.
//!
//! Under a pattern every caller may name what there is not, so what is remembered of one name must not be held
//! against any other: each is kept for itself, by a keyed hash that nobody outside can find two of, and there is a
//! bound. Whom the configuration names is remembered by its own [`Model`](super::model::Model) instead.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::model::MISSING_FOR;
use super::recent::Recent;
use crate::algo::tick::Tick;
use crate::dialect::{Dialect, Operation};

/// Names in one generation: some 300 KB in both. A name that has been pushed out is asked for again.
const GENERATION: usize = 4 * 1024;

/// What an upstream was asked for. A model that makes no vectors may well chat.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Named<'a> {
    pub model: &'a str,
    pub operation: Operation,
    /// In a version of the API that may lack models which others have.
    pub narrow: bool,
    /// In which it was put.
    pub dialect: Dialect,
}

#[derive(Debug)]
pub struct Unserved {
    names: Recent<()>,
    hasher: RandomState,
    /// Until when the latest of them holds, in nanoseconds: while there is none, nothing is hashed.
    latest: AtomicU64,
}

impl Default for Unserved {
    fn default() -> Self {
        Self { names: Recent::bounded(GENERATION), hasher: RandomState::new(), latest: AtomicU64::new(0) }
    }
}

impl Unserved {
    /// The upstream said so just now.
    pub fn put(&self, named: Named<'_>, now: Tick) {
        self.names.put(self.hasher.hash_one(named), (), now);
        self.latest.fetch_max((now + MISSING_FOR).nanos(), Relaxed);
    }

    /// Until when its word is taken for it.
    pub fn until(&self, named: Named<'_>, now: Tick) -> Option<Tick> {
        if self.latest.load(Relaxed) <= now.nanos() {
            return None;
        }
        let since = self.names.since(self.hasher.hash_one(named))?;
        let until = since + MISSING_FOR;
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn named(model: &str) -> Named<'_> {
        Named { model, operation: Operation::Chat, narrow: false, dialect: Dialect::OpenAi }
    }

    #[test]
    fn a_name_is_unserved_for_its_time_and_no_other_is() {
        let (unserved, begun) = (Unserved::default(), Tick::ZERO + Duration::from_secs(9));
        assert_eq!(unserved.until(named("a"), begun), None);
        unserved.put(named("a"), begun);
        let until = begun + MISSING_FOR;
        assert_eq!(unserved.until(named("a"), begun), Some(until));
        assert_eq!(unserved.until(named("b"), begun), None);
        let vectors = Named { operation: Operation::Embeddings, ..named("a") };
        assert_eq!(unserved.until(vectors, begun), None);
        let messages = Named { dialect: Dialect::Anthropic, ..named("a") };
        assert_eq!(unserved.until(messages, begun), None);
        unserved.put(named("b"), begun + Duration::from_secs(1));
        assert_eq!(unserved.until(named("a"), until), None);
        assert!(unserved.until(named("b"), until).is_some());
    }

    #[test]
    fn names_without_end_are_bounded_and_push_out_the_oldest() {
        let unserved = Unserved::default();
        let names: Vec<String> = (0..3 * GENERATION).map(|n| n.to_string()).collect();
        for name in &names {
            unserved.put(named(name), Tick::ZERO);
        }
        let known = names.iter().filter(|name| unserved.until(named(name), Tick::ZERO).is_some()).count();
        assert!((GENERATION..=2 * GENERATION).contains(&known), "{known}");
        assert_eq!(unserved.until(named(&names[0]), Tick::ZERO), None);
        assert!(unserved.until(named(&names[names.len() - 1]), Tick::ZERO).is_some());
    }
}
