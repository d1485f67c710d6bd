//! Work that takes long, done beside the threads that serve requests.
//!
//! They are as many as the machine has cores, and whoever is next on one waits for what is done there. A body of
//! megabytes that has to be said in another dialect takes it for tens of milliseconds.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Bytes of a body from which on it is worth a thread of its own: to read them takes a millisecond or more.
pub const LONG: usize = 1024 * 1024;

/// How much of it is done beside at this moment.
static BESIDE: AtomicUsize = AtomicUsize::new(0);

/// One piece of it.
struct Beside;

impl Beside {
    /// `None` where there is as much of it as there are threads that serve: more would only hold more memory at once.
    fn begin(threads: usize) -> Option<Self> {
        let begun = BESIDE.fetch_add(1, Relaxed);
        let piece = Self;
        (begun < threads).then_some(piece)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        BESIDE.fetch_sub(1, Relaxed);
    }
}

/// Does `work` on so many bytes: where it stands, or, where that takes long, while another thread serves on in the
/// place of this one.
pub fn work<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    if bytes < LONG {
        return work();
    }
    match Handle::try_current() {
        // A runtime of one thread has no other.
        Ok(handle) if handle.runtime_flavor() == RuntimeFlavor::MultiThread => {
            match Beside::begin(handle.metrics().num_workers()) {
                Some(_piece) => block_in_place(work),
                None => work(),
            }
        }
        Ok(_) | Err(_) => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Barrier, mpsc};
    use std::time::Duration;

    use super::*;

    /// Two threads serve, both of which have long work to do; a third request is served meanwhile.
    #[test]
    fn long_work_keeps_nobody_waiting() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (begun, over) = (Arc::new(Barrier::new(3)), Arc::new(Barrier::new(3)));
        for _ in 0..2 {
            let (begun, over) = (Arc::clone(&begun), Arc::clone(&over));
            runtime.spawn(async move {
                work(LONG, || {
                    begun.wait();
                    over.wait();
                });
            });
        }
        begun.wait();
        let (sent, heard) = mpsc::channel();
        runtime.spawn(async move { sent.send(()) });
        let served = heard.recv_timeout(Duration::from_secs(30));
        over.wait();
        assert!(served.is_ok(), "somebody has to wait for it");
    }

    #[tokio::test]
    async fn a_runtime_of_one_thread_does_it_where_it_stands() {
        assert_eq!(work(LONG, || 7), 7);
    }
}
