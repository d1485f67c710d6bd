//! Looking names up with the system's resolver, which blocks a thread until it answers, whoever has stopped to wait for
//! it.
//!
//! Each target has one such thread at most: whoever dials it while its name is looked up waits for the same answer. So
//! a resolver that hangs for one name leaves the threads to all others. Nothing is kept: who comes later asks anew.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

/// What was found, or the resolver's words.
type Found = Result<Arc<[SocketAddr]>, Arc<str>>;

/// Names that are no target's, and are looked up at the same moment; others wait.
const MOST_OTHERS: usize = 32;
static OTHERS: Semaphore = Semaphore::const_new(MOST_OTHERS);

/// The answer that is waited for, if any.
#[derive(Debug, Default)]
pub struct Lookup(Mutex<Option<watch::Receiver<Option<Found>>>>);

impl Lookup {
    /// The addresses of `host`, in the resolver's order.
    pub(super) async fn find(&self, host: &Arc<str>, port: u16) -> Found {
        let host = Arc::clone(host);
        self.share(async move { system(&host, port).await.map_err(|error| error.to_string().into()) }).await
    }

    /// The answer that is under way, or that of `resolving`.
    async fn share(&self, resolving: impl Future<Output = Found> + Send + 'static) -> Found {
        let mut answer = {
            let mut running = self.0.lock();
            let known =
                running.as_ref().filter(|answer| answer.borrow().is_none() && answer.has_changed().is_ok());
            if let Some(answer) = known {
                answer.clone()
            } else {
                let (said, answer) = watch::channel(None);
                // Beside those who wait: they may leave, and the thread does not.
                tokio::spawn(async move { said.send_replace(Some(resolving.await)) });
                running.insert(answer).clone()
            }
        };
        match answer.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(found)) => found.clone(),
            // The process ends.
            Ok(None) | Err(_) => Err("nobody looks it up any more".into()),
        }
    }
}

/// The addresses of a name that is no target's.
pub(super) async fn other(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let host = host.to_owned();
    let place = OTHERS.acquire().await.map_err(io::Error::other)?;
    // Beside whoever waits, for as long as the thread is held.
    let looking = tokio::spawn(async move {
        let _place = place;
        system(&host, port).await
    });
    Ok(looking.await.map_err(io::Error::other)??.to_vec())
}

async fn system(host: &str, port: u16) -> io::Result<Arc<[SocketAddr]>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_at_the_same_time_gets_the_same_answer_and_later_ones_a_new_one() {
        let (lookup, asked) = (Lookup::default(), Arc::new(AtomicUsize::new(0)));
        let ask = || {
            let asked = Arc::clone(&asked);
            lookup.share(async move {
                let number = asked.fetch_add(1, Relaxed);
                sleep(Duration::from_secs(10)).await;
                if number == 0 { Err("it hung".into()) } else { Ok([].into()) }
            })
        };
        // The first one leaves, and what he began goes on for the others.
        assert!(timeout(Duration::from_secs(1), ask()).await.is_err());
        let (second, third) = tokio::join!(ask(), ask());
        assert_eq!((second, third), (Err("it hung".into()), Err("it hung".into())));
        assert_eq!(asked.load(Relaxed), 1);
        assert_eq!(ask().await, Ok([].into()));
        assert_eq!(asked.load(Relaxed), 2);
    }
}
