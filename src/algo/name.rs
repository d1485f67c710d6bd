//! Names as numbers: the same name is the same number, here and on every replica of the same build.
//!
//! Of 64 bits, by SipHash without a key, so it is no secret and no proof: who chooses names can find two of one
//! number, which where this is used costs him a cache or a preference. A name that must not be guessed or forged
//! is hashed elsewhere.

use std::hash::{DefaultHasher, Hasher};

/// The number of a name.
pub fn number(name: &[u8]) -> u64 {
    let mut parts = Parts::default();
    parts.add(name);
    parts.number()
}

/// A name that comes in parts; where one ends and the next begins makes no difference.
#[derive(Clone, Debug, Default)]
pub struct Parts(DefaultHasher);

impl Parts {
    pub fn add(&mut self, part: &[u8]) {
        self.0.write(part);
    }

    pub fn number(&self) -> u64 {
        self.0.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_name_is_its_parts_however_they_are_cut(name: Vec<u8>, cut in any::<prop::sample::Index>()) {
            let (begin, rest) = name.split_at(cut.index(name.len() + 1));
            let mut parts = Parts::default();
            parts.add(begin);
            parts.add(rest);
            prop_assert_eq!(parts.number(), number(&name));
        }
    }

    /// State files and replicas hold such numbers: another algorithm under `DefaultHasher` would make them nobody's.
    #[test]
    fn a_name_has_the_number_that_it_has_always_had() {
        assert_eq!(number(b"upstream-1"), 3_444_612_983_600_487_712);
    }

    #[test]
    fn other_names_are_other_numbers() {
        let numbers: HashSet<u64> = (0..10_000).map(|n| number(format!("upstream-{n}").as_bytes())).collect();
        assert_eq!(numbers.len(), 10_000);
    }
}
