//! How long nothing has come of a model that several requests wait for.
//!
//! A hint and no evidence, for who chooses next: an upstream that has vanished behind a firewall, or hangs, says
//! nothing at all, and until the first limit ends (10 s) each request that comes to it would wait as long. No timer
//! runs for it, and no lock is taken: what is asked is how long ago somebody was answered, or the first of those who
//! wait began to. Now and then one goes all the same, so that it is found out when all is well again. Two threads that
//! meet in the wrong moment may make it seem longer, once.

use std::time::Duration;

use super::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::algo::tick::Tick;

/// One that waits may just be slow.
const FEW: u32 = 2;
/// Whoever comes so long after the last one may find out.
const TRY_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Silence {
    waiting: AtomicU32,
    /// When it was last broken.
    heard: AtomicU64,
    /// When the last one began to wait.
    begun: AtomicU64,
}

impl Silence {
    pub fn new() -> Self {
        Self { waiting: AtomicU32::new(0), heard: AtomicU64::new(0), begun: AtomicU64::new(0) }
    }

    /// One more waits, since `now`.
    pub fn wait(&self, now: Tick) {
        if self.waiting.load(Relaxed) == 0 {
            self.hear(now);
        }
        self.waiting.fetch_add(1, Relaxed);
        self.begun.fetch_max(now.nanos(), Relaxed);
    }

    /// Something came, whatever it was.
    pub fn hear(&self, now: Tick) {
        self.heard.fetch_max(now.nanos(), Relaxed);
    }

    /// One waits no longer.
    pub fn leave(&self) {
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// Whether nobody has gone to find out for a while.
    pub fn is_due(&self, now: Tick) -> bool {
        now.since(Tick::from_nanos(self.begun.load(Relaxed))) >= TRY_EVERY
    }

    /// How long it has lasted for those who wait, where there are several.
    pub fn lasting(&self, now: Tick) -> Option<Duration> {
        let several = self.waiting.load(Relaxed) >= FEW;
        several.then(|| now.since(Tick::from_nanos(self.heard.load(Relaxed))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Tick {
        Tick::ZERO + Duration::from_secs(secs)
    }

    #[test]
    fn it_begins_with_the_first_who_waits_and_again_with_every_answer() {
        let silence = Silence::new();
        silence.wait(at(100));
        assert_eq!(silence.lasting(at(105)), None, "one may be slow");
        silence.wait(at(103));
        assert_eq!(silence.lasting(at(105)), Some(Duration::from_secs(5)));
        assert!(silence.is_due(at(104)) && !silence.is_due(at(103)));
        silence.hear(at(104));
        silence.leave();
        silence.wait(at(106));
        assert_eq!(silence.lasting(at(107)), Some(Duration::from_secs(3)));
        silence.leave();
        silence.leave();
        silence.wait(at(200));
        silence.wait(at(200));
        assert_eq!(silence.lasting(at(201)), Some(Duration::from_secs(1)));
    }
}
