//! The bytes that requests make this process hold: bodies that were read, answers that are held back, what is
//! written down of them on their way.
//!
//! One total for all; whoever holds something has a [`Holding`], and gives back what it counts by dropping it, so
//! that no end of a request, a panic's included, can leave any of it behind. Bytes that are handed on carry theirs
//! with them ([`Holding::keep`]), down to the last slice in a connection's queue. Who is refused when it is too
//! much is `proxy::memory`'s question.
//!
//! Not in it: what has a bound of its own (kept answers, remembered responses, the buffers of a connection), and
//! the room to spare in a buffer that grows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;

/// Holdings are counted in steps of so many bytes: the total is shared by all cores, and a stream whose few bytes
/// come and go should not write to it for each.
const STEP: u64 = 4096;

/// The total of one gateway.
#[derive(Debug, Default)]
pub struct Holdings(AtomicU64);

impl Holdings {
    /// Bytes that are held now.
    pub fn bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What one holder has of the total.
#[derive(Debug)]
pub struct Holding {
    of: Arc<Holdings>,
    bytes: u64,
    /// The total beyond which it does not grow where it is asked ([`Holding::try_hold`]).
    most: u64,
}

/// The total would be more than may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl Holding {
    /// Nothing yet; it asks for more only while the total stays within `most` bytes.
    pub fn within(of: &Arc<Holdings>, most: u64) -> Self {
        Self { of: Arc::clone(of), bytes: 0, most }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds `bytes` from now on, more or less than before.
    pub fn hold(&mut self, bytes: u64) {
        let (before, after) = (self.bytes, steps(bytes));
        self.bytes = after;
        if after > before {
            self.of.0.fetch_add(after - before, Relaxed);
        } else if after < before {
            self.of.0.fetch_sub(before - after, Relaxed);
        }
    }

    /// Holds at least `bytes` from now on.
    ///
    /// # Errors
    /// The total would be larger than this one's bound; it stays as it is.
    pub fn try_hold(&mut self, bytes: u64) -> Result<(), Full> {
        let wanted = steps(bytes);
        let more = wanted.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(());
        }
        let grown = |total: u64| total.checked_add(more).filter(|total| *total <= self.most);
        self.of.0.fetch_update(Relaxed, Relaxed, grown).map_err(|_| Full)?;
        self.bytes = wanted;
        Ok(())
    }

    /// `bytes`, and the count of them, which ends with the last who has a slice of them.
    pub fn keep(mut self, bytes: Bytes) -> Bytes {
        self.hold(bytes.len() as u64);
        if bytes.is_empty() { bytes } else { Bytes::from_owner(Kept { bytes, _holding: self }) }
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.hold(0);
    }
}

/// Never less than `bytes`, but for lengths that no memory has.
fn steps(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(STEP).unwrap_or(bytes)
}

struct Kept {
    bytes: Bytes,
    _holding: Holding,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Deed {
        Hold(u64),
        Try(u64),
        Keep(u16),
        Slice,
        Drop,
    }

    fn deeds() -> impl Strategy<Value = Vec<(usize, Deed)>> {
        let deed = prop_oneof![
            (0_u64..100_000).prop_map(Deed::Hold),
            (0_u64..100_000).prop_map(Deed::Try),
            (0_u16..20_000).prop_map(Deed::Keep),
            Just(Deed::Slice),
            Just(Deed::Drop),
        ];
        proptest::collection::vec((0_usize..4, deed), 0..80)
    }

    proptest! {
        #[test]
        fn the_total_is_what_all_hold_together_and_nothing_when_all_have_gone(deeds in deeds(), most in 0_u64..300_000) {
            let holdings = Arc::new(Holdings::default());
            let mut holders: [Option<Holding>; 4] = [const { None }; 4];
            let mut kept: Vec<Bytes> = Vec::new();
            for (at, deed) in deeds {
                let before = holdings.bytes();
                let holder = holders[at].get_or_insert_with(|| Holding::within(&holdings, most));
                let own = holder.bytes;
                match deed {
                    Deed::Hold(bytes) => holder.hold(bytes),
                    Deed::Try(bytes) => {
                        let tried = holder.try_hold(bytes);
                        prop_assert_eq!(tried.is_ok(), steps(bytes) <= own || before - own + steps(bytes) <= most);
                        prop_assert!(tried.is_ok() || holdings.bytes() == before, "a refusal changes nothing");
                    }
                    Deed::Keep(length) => {
                        let holder = holders[at].take().expect("it was put there above");
                        kept.push(holder.keep(vec![7; length.into()].into()));
                    }
                    Deed::Slice => {
                        if let Some(bytes) = kept.pop() {
                            kept.push(bytes.slice(bytes.len() / 2..));
                        }
                    }
                    Deed::Drop => holders[at] = None,
                }
                let sum: u64 = holders.iter().flatten().map(|holder| holder.bytes).sum();
                prop_assert!(holdings.bytes() >= sum);
                if kept.is_empty() {
                    prop_assert_eq!(holdings.bytes(), sum);
                }
            }
            drop(holders);
            drop(kept);
            prop_assert_eq!(holdings.bytes(), 0);
        }
    }

    #[test]
    fn bytes_that_are_kept_count_until_their_last_slice_is_gone() {
        let holdings = Arc::new(Holdings::default());
        let mut bytes = Holding::within(&holdings, 0).keep(vec![1; 10_000].into());
        assert_eq!(holdings.bytes(), 12_288);
        let slice = bytes.split_to(3);
        drop(bytes);
        assert_eq!((holdings.bytes(), &slice[..]), (12_288, &[1, 1, 1][..]));
        drop(slice);
        assert_eq!(holdings.bytes(), 0);
    }

    #[test]
    fn what_a_panic_unwinds_is_given_back() {
        let holdings = Arc::new(Holdings::default());
        let held = Arc::clone(&holdings);
        let unwound = std::panic::catch_unwind(move || {
            let mut holding = Holding::within(&held, u64::MAX);
            holding.hold(1 << 20);
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        assert!(unwound.is_err() && holdings.bytes() == 0);
    }

    #[test]
    fn many_at_once_never_hold_more_than_the_bound_together() {
        let holdings = Arc::new(Holdings::default());
        let most = 64 * STEP;
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for round in 0..2_000_u64 {
                        let mut holding = Holding::within(&holdings, most);
                        let _ = holding.try_hold(round % 40 * STEP);
                        assert!(holdings.bytes() <= most);
                    }
                });
            }
        });
        assert_eq!(holdings.bytes(), 0);
    }
}
