//! An open loop's clock: says when each request is due, whether or not the last one is back.
//!
//! A thread of its own, because tokio's timers are a millisecond wide and what is measured is a tenth
//! of that. Latency counts from the moment a request was due, so a stall of whoever is measured is
//! seen by every request that it delayed (no coordinated omission).

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Ticks of `count` requests at `per_second`. The first is due a little after the call.
pub fn start(per_second: u32, count: u32) -> UnboundedReceiver<Instant> {
    // A sleep of Linux lasts up to 50 µs longer unless told otherwise; threads inherit this.
    let _ = fs::write("/proc/self/timerslack_ns", "1");
    let (send, receive) = unbounded_channel();
    let first = now() + Duration::from_millis(20);
    let gap = Duration::from_secs(1) / per_second.max(1);
    thread::spawn(move || {
        for n in 0..count {
            let due = first + gap * n;
            thread::sleep(due.saturating_duration_since(now()));
            if send.send(due).is_err() {
                return;
            }
        }
    });
    receive
}

pub fn since(due: Instant) -> Duration {
    now().saturating_duration_since(due)
}

#[expect(clippy::disallowed_methods, reason = "a load generator reads the time")]
pub fn now() -> Instant {
    Instant::now()
}
