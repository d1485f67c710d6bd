//! What is known of one caller's connection: how busy it is, and since when it is not.
//!
//! Shared by the connection's task, the stream of bytes under it and the requests on it. Nothing here
//! waits: the connection's task asks when it has to look again ([`Conduct::due`]) and what to do then.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use std::task::Waker;
use std::time::Duration;

use parking_lot::Mutex;

use super::busy::Busy;
use super::framing::{Body, Doubt, Framing, Heard};
use crate::algo::tick::Tick;
use crate::config::ServerTimeouts;
use crate::state::Live;

/// No such moment.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Conduct {
    live: Arc<Live>,
    header_read: Duration,
    keep_alive: Duration,
    framing: Mutex<Framing>,
    busy: Busy,
    /// Since when a head has been arriving.
    head_since: AtomicU64,
    /// Whether there has been a request at all.
    greeted: AtomicBool,
    /// Somebody else needs the place.
    asked: AtomicBool,
    /// The connection's task, while it waits for the next request.
    task: Mutex<Option<Waker>>,
}

/// What a caller's silence has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// Look again then.
    Until(Tick),
    /// Between requests, for too long or where others need the place: say goodbye.
    Idle,
    /// In the middle of a head, or before the first, for too long: hang up.
    Stuck,
}

/// One request, from its head to the end of its answer.
#[derive(Debug)]
pub(super) struct Exchange(Arc<Conduct>);

impl Conduct {
    pub(super) fn new(live: &Arc<Live>, timeouts: &ServerTimeouts, record_max: usize) -> Arc<Self> {
        Arc::new(Self {
            live: Arc::clone(live),
            header_read: timeouts.header_read,
            keep_alive: timeouts.keep_alive,
            framing: Mutex::new(Framing::new(record_max)),
            busy: Busy::new(live.now()),
            head_since: AtomicU64::new(NEVER),
            greeted: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            task: Mutex::new(None),
        })
    }

    /// Bytes were read. `Heard::Nothing` means that no further ones need to be shown.
    pub(super) fn heard(&self, bytes: &[u8]) -> Heard {
        let heard = self.framing.lock().read(bytes);
        self.note(heard);
        heard
    }

    fn note(&self, heard: Heard) {
        match heard {
            Heard::HeadBegan => self.head_since.store(self.live.now().nanos(), Release),
            Heard::More => {}
            // What it speaks has no heads that could be followed here.
            Heard::Nothing => self.head_since.store(NEVER, Release),
        }
    }

    /// An HTTP/1.1 head is complete. Whether it may be believed.
    pub(super) fn head_seen(&self, body: Body) -> Result<(), Doubt> {
        self.head_since.store(NEVER, Release);
        let (verdict, heard) = self.framing.lock().head_seen(body);
        self.note(heard);
        verdict
    }

    /// A request begins. It ends when the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Exchange {
        self.greeted.store(true, Relaxed);
        // It is not idle any more: whoever needs a place has to look elsewhere.
        self.asked.store(false, Release);
        self.busy.begin();
        Exchange(Arc::clone(self))
    }

    pub(super) fn is_idle(&self) -> bool {
        self.busy.is_idle()
    }

    /// Since when neither a request nor a part of one has come; `None` while there is any.
    pub(super) fn quiet_since(&self) -> Option<Tick> {
        self.busy.idle_since().filter(|_| self.head_since.load(Acquire) == NEVER)
    }

    /// Has it end for somebody else's sake, unless a request comes before it hears of that.
    pub(super) fn ask(&self) {
        let mut task = self.task.lock();
        self.asked.store(true, Release);
        if let Some(task) = task.take() {
            task.wake();
        }
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Acquire)
    }

    /// As [`Conduct::is_asked`]; where nobody has asked, `waker` is woken by whoever does.
    pub(super) fn hears_of_it(&self, waker: &Waker) -> bool {
        let mut task = self.task.lock();
        if self.is_asked() {
            return true;
        }
        if !task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *task = Some(waker.clone());
        }
        false
    }

    /// When the connection's task has to look at the clock; `None` while there are requests.
    pub(super) fn due(&self) -> Option<Tick> {
        let idle = self.busy.idle_since()?;
        Some(match self.head_since.load(Acquire) {
            NEVER if self.greeted.load(Relaxed) => idle + self.keep_alive,
            NEVER => idle + self.header_read,
            // A head that had begun behind the request before waited for us, not for the caller.
            head => Tick::from_nanos(head).max(idle) + self.header_read,
        })
    }

    /// What to do now that it is `now`.
    pub(super) fn patience(&self, now: Tick) -> Patience {
        if self.is_asked() {
            if self.quiet_since().is_some() {
                return Patience::Idle;
            }
            // A head has begun to come.
            self.asked.store(false, Release);
        }
        // Streams of HTTP/2 end in tasks of their own, so a busy connection is looked at now and then.
        let Some(due) = self.due() else { return Patience::Until(now + self.keep_alive) };
        if due > now {
            return Patience::Until(due);
        }
        let in_a_head = self.head_since.load(Acquire) != NEVER;
        if in_a_head || !self.greeted.load(Relaxed) { Patience::Stuck } else { Patience::Idle }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.0.busy.end(self.0.live.now());
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn conduct() -> (Arc<Live>, Arc<Conduct>) {
        let live = Arc::new(Live::seeded(1));
        let timeouts =
            ServerTimeouts { header_read: S * 10, body_read: S, keep_alive: S * 75, write_stall: S };
        let conduct = Conduct::new(&live, &timeouts, 1024);
        (live, conduct)
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_never_asks_is_stuck_and_one_who_has_asked_is_idle() {
        let (live, conduct) = conduct();
        advance(S * 9).await;
        assert_eq!(Some(conduct.patience(live.now())), conduct.due().map(Patience::Until));
        advance(S).await;
        assert_eq!(conduct.patience(live.now()), Patience::Stuck);
        drop(conduct.begin());
        advance(S * 74).await;
        assert!(matches!(conduct.patience(live.now()), Patience::Until(_)));
        advance(S).await;
        assert_eq!(conduct.patience(live.now()), Patience::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_asked_to_end_does_unless_a_request_has_come() {
        let (live, conduct) = conduct();
        drop(conduct.begin());
        conduct.ask();
        assert!(conduct.hears_of_it(Waker::noop()));
        assert_eq!(conduct.patience(live.now()), Patience::Idle);
        let exchange = conduct.begin();
        assert!(!conduct.is_asked(), "nobody waits for a place that is needed again");
        assert!(matches!(conduct.patience(live.now()), Patience::Until(_)));
        drop(exchange);
        assert!(!conduct.hears_of_it(Waker::noop()), "it is forgotten");
        conduct.ask();
        conduct.heard(b"GET /next");
        assert!(matches!(conduct.patience(live.now()), Patience::Until(_)), "one is on its way");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_own_time_and_a_request_has_none() {
        let (live, conduct) = conduct();
        conduct.heard(b"GET / HT");
        conduct.heard(b"TP/1.1\r\n\r\n");
        assert_eq!(conduct.head_seen(Body::Sized(0)), Ok(()));
        let exchange = conduct.begin();
        advance(S * 1000).await;
        assert!(
            matches!(conduct.patience(live.now()), Patience::Until(_)),
            "its answer takes as long as it takes"
        );
        conduct.heard(b"GET /next");
        advance(S * 20).await;
        drop(exchange);
        assert!(matches!(conduct.patience(live.now()), Patience::Until(_)), "it had to wait for us");
        advance(S * 10).await;
        assert_eq!(conduct.patience(live.now()), Patience::Stuck);
    }
}
