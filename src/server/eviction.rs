//! Makes room for newcomers: where few places are left, the connections that have been idle for the longest are asked
//! to end.
//!
//! Callers keep connections for what they may ask next, and a fleet of them may keep every place while nothing is asked
//! at all. Each has to expect that an idle connection ends (RFC 9112 §9.5); those that are busy are left alone, and so
//! are those that were busy just before, which are about to ask again. nginx does so with what it calls reusable
//! connections.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::conduct::Conduct;
use crate::algo::tick::Tick;
use crate::telemetry::Counter;

/// One place in so many is kept free, and one at least.
const SPARE: usize = 16;
/// Who has been idle for a shorter time is left alone.
const LEAST: Duration = Duration::from_secs(1);
/// Between two looks at all of them: of 20,000 connections one takes some hundred µs.
pub const LOOK: Duration = Duration::from_millis(100);

pub struct Eviction {
    connections: Mutex<Connections>,
    evicted: Counter,
}

#[derive(Default)]
struct Connections {
    all: FxHashMap<u64, Weak<Conduct>>,
    entered: u64,
    /// Before that nobody looks again.
    look_again: Tick,
}

/// A connection that may be asked to end, until this is dropped.
pub(super) struct Entered {
    eviction: Arc<Eviction>,
    number: u64,
}

impl Eviction {
    pub fn new(evicted: Counter) -> Arc<Self> {
        Arc::new(Self { connections: Mutex::default(), evicted })
    }

    pub(super) fn enter(self: &Arc<Self>, conduct: &Arc<Conduct>) -> Entered {
        let mut connections = self.connections.lock();
        connections.entered += 1;
        let number = connections.entered;
        connections.all.insert(number, Arc::downgrade(conduct));
        Entered { eviction: Arc::clone(self), number }
    }

    /// Connections with a request that has not ended.
    pub fn busy(&self) -> u32 {
        let connections = self.connections.lock();
        let busy = |conduct: &&Weak<Conduct>| conduct.upgrade().is_some_and(|conduct| !conduct.is_idle());
        connections.all.values().filter(busy).count() as u32
    }

    /// Asks as many to end as it takes for a share of `most` places to be free while `open` are taken.
    pub fn make_room(&self, open: usize, most: usize, now: Tick) {
        let wanted = (open + (most / SPARE).max(1)).saturating_sub(most);
        if wanted == 0 {
            return;
        }
        let mut connections = self.connections.lock();
        if now < connections.look_again {
            return;
        }
        connections.look_again = now + LOOK;
        let all: Vec<Arc<Conduct>> = connections.all.values().filter_map(Weak::upgrade).collect();
        drop(connections);
        let (leaving, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|conduct| conduct.is_asked());
        let mut idle: Vec<(Tick, Arc<Conduct>)> = others
            .into_iter()
            .filter_map(|conduct| Some((conduct.quiet_since()?, conduct)))
            .filter(|(since, _)| *since + LEAST <= now)
            .collect();
        let wanted = wanted.saturating_sub(leaving.len()).min(idle.len());
        if wanted == 0 {
            return;
        }
        if wanted < idle.len() {
            idle.select_nth_unstable_by_key(wanted, |(since, _)| *since);
        }
        for (_, conduct) in &idle[..wanted] {
            conduct.ask();
        }
        self.evicted.increment(wanted as u64);
        tracing::debug!(wanted, open, most, "idle connections are closed to make room for others");
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.eviction.connections.lock().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::config::ServerTimeouts;
    use crate::state::Live;
    use crate::telemetry::catalogue as c;

    const S: Duration = Duration::from_secs(1);

    struct Hall {
        live: Arc<Live>,
        eviction: Arc<Eviction>,
        inside: Vec<(Arc<Conduct>, Entered)>,
    }

    impl Hall {
        fn new() -> Self {
            let live = Arc::new(Live::seeded(1));
            let eviction = Eviction::new(live.metrics.counter(&c::CONNECTIONS_EVICTED, &[]));
            Self { live, eviction, inside: Vec::new() }
        }

        /// Somebody comes, and has asked something already.
        fn come(&mut self) -> Arc<Conduct> {
            let timeouts =
                ServerTimeouts { header_read: S * 10, body_read: S, keep_alive: S * 75, write_stall: S };
            let conduct = Conduct::new(&self.live, &timeouts, 1024);
            drop(conduct.begin());
            self.inside.push((Arc::clone(&conduct), self.eviction.enter(&conduct)));
            conduct
        }

        fn make_room(&self, most: usize) {
            self.eviction.make_room(self.inside.len(), most, self.live.now());
        }

        /// The places of those who were asked.
        fn asked(&self) -> Vec<usize> {
            let asked = self.inside.iter().enumerate().filter(|(_, (conduct, _))| conduct.is_asked());
            asked.map(|(place, _)| place).collect()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_have_been_idle_for_the_longest_give_way_and_no_more_of_them_than_needed() {
        let mut hall = Hall::new();
        for _ in 0..32 {
            hall.come();
            advance(S).await;
        }
        hall.make_room(34);
        assert_eq!(hall.asked(), [0_usize; 0], "a sixteenth is free");
        hall.make_room(32);
        assert_eq!(hall.asked(), [0, 1]);
        advance(LOOK).await;
        hall.make_room(32);
        assert_eq!(hall.asked(), [0, 1], "they are on their way");
        hall.inside.drain(..2);
        hall.come();
        advance(LOOK).await;
        hall.make_room(32);
        assert_eq!(hall.asked(), [0]);
        assert_eq!(hall.eviction.connections.lock().all.len(), 31);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_gives_way_who_is_busy_or_was_just_now() {
        let mut hall = Hall::new();
        let busy = hall.come();
        let exchange = busy.begin();
        let speaking = hall.come();
        speaking.heard(b"POST /v1/chat");
        advance(S * 5).await;
        let _fresh = hall.come();
        advance(LEAST / 2).await;
        hall.make_room(3);
        assert_eq!(hall.asked(), [0_usize; 0]);
        advance(LEAST / 2).await;
        hall.make_room(3);
        assert_eq!(hall.asked(), [2]);
        drop(exchange);
        advance(LEAST).await;
        hall.make_room(2);
        assert_eq!(hall.asked(), [0, 2]);
    }
}
