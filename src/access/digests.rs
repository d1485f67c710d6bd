//! What is found by the hash of a secret, in an order that tells nothing of it.
//!
//! The search goes by the hash's beginning: what it gives away by the time it takes is of the hash, from which no
//! secret follows. What is found is compared in constant time.

use aws_lc_rs::constant_time::verify_slices_are_equal;

pub(super) type Digest = [u8; 32];

/// Values by hashes, no two of which are the same.
pub(super) struct Digests<T> {
    /// In the order of the hashes.
    entries: Box<[(Digest, T)]>,
}

impl<T> Digests<T> {
    pub(super) fn new(mut entries: Vec<(Digest, T)>) -> Self {
        entries.sort_unstable_by_key(|(digest, _)| *digest);
        Self { entries: entries.into() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn find(&self, digest: &Digest) -> Option<&T> {
        let beginning = |digest: &Digest| digest.first_chunk::<8>().copied();
        let wanted = beginning(digest);
        let first = self.entries.partition_point(|(entry, _)| beginning(entry) < wanted);
        let alike = self.entries.iter().skip(first).take_while(|(entry, _)| beginning(entry) == wanted);
        let mut same = alike.filter(|(entry, _)| verify_slices_are_equal(entry, digest).is_ok());
        same.next().map(|(_, value)| value)
    }
}
