//! What a request waited for before its answer began, by what for: the rest of that time is the gateway's own.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::decision::millis;

/// What it may wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The caller, for the rest of the request.
    Body,
    /// Another request: the first one of the same `Idempotency-Key`, or one whose attempt it shares.
    Another,
    /// Room at a channel.
    Queue,
    /// What its URLs hold.
    Media,
    /// Upstreams, attempt by attempt.
    Upstream,
    /// The pause before another attempt.
    Backoff,
    /// A channel, to come back.
    Recovery,
}

impl Wait {
    pub const ALL: [Self; 7] =
        [Self::Body, Self::Another, Self::Queue, Self::Media, Self::Upstream, Self::Backoff, Self::Recovery];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Another => "another",
            Self::Queue => "queue",
            Self::Media => "media",
            Self::Upstream => "upstream",
            Self::Backoff => "backoff",
            Self::Recovery => "recovery",
        }
    }
}

/// How long it waited for each, in nanoseconds: half of what durations take, in every request that is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits([u64; Wait::ALL.len()]);

impl Waits {
    pub fn add(&mut self, what: Wait, waited: Duration) {
        let sum = &mut self.0[what as usize];
        *sum = sum.saturating_add(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX));
    }

    pub fn is_empty(&self) -> bool {
        self.0 == [0; Wait::ALL.len()]
    }

    pub fn total(&self) -> Duration {
        self.0.iter().copied().map(Duration::from_nanos).sum()
    }

    /// Those that there were.
    pub fn each(&self) -> impl Iterator<Item = (&'static str, Duration)> + '_ {
        Wait::ALL
            .into_iter()
            .zip(self.0)
            .filter(|(_, waited)| *waited > 0)
            .map(|(what, waited)| (what.name(), Duration::from_nanos(waited)))
    }
}

/// By name, in milliseconds.
impl Serialize for Waits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.each().map(|(what, waited)| (what, millis(waited))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_has_a_place_of_its_own_and_all_of_them_are_the_total() {
        let mut waits = Waits::default();
        assert_eq!((waits.each().count(), waits.is_empty()), (0, true));
        for (millis, what) in (1..).zip(Wait::ALL) {
            waits.add(what, Duration::from_millis(millis));
            waits.add(what, Duration::from_millis(millis));
        }
        let each: Vec<_> = waits.each().collect();
        assert_eq!(each[1], ("another", Duration::from_millis(4)));
        assert_eq!(each.len(), Wait::ALL.len());
        assert_eq!(waits.total(), Duration::from_millis(2 * (1..=7).sum::<u64>()));
    }
}
