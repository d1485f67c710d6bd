//! Starts background work that lasts as long as the gateway, by name, so that the end of the process can end it.
//!
//! One that panics is a mistake of ours; it is logged and counted as such, and `/readyz` says so. Connections are tasks
//! too, and are counted by `front`, which also tells them when to close. What one request or connection leaves to a
//! task of its own (an answer that is read on, a mirror, a tunnel, a lane of HTTP/2, a name that is looked up) is
//! bounded where it is started, and ends by itself.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use tokio::task::{AbortHandle, JoinSet};

use crate::state::Live;
use crate::telemetry::catalogue;

#[derive(Debug)]
pub struct Tasks {
    live: Arc<Live>,
    running: Mutex<JoinSet<()>>,
    panicked: Arc<Mutex<Vec<&'static str>>>,
}

impl Tasks {
    pub fn new(live: Arc<Live>) -> Self {
        Self { live, running: Mutex::default(), panicked: Arc::default() }
    }

    /// Starts `work`, which ends by itself, by the handle, or with the gateway.
    pub fn spawn(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let mut running = self.running.lock();
        // Those that have ended; their panics were logged where they happened.
        while running.try_join_next().is_some() {}
        // It is 0 from the start.
        drop(self.live.metrics.gauge(&catalogue::TASKS_PANICKED, &[name]));
        let (live, panicked) = (Arc::clone(&self.live), Arc::clone(&self.panicked));
        running.spawn(Named { name, work: Box::pin(work), live, panicked })
    }

    /// The names of those that have panicked, each once.
    pub fn panicked(&self) -> Vec<&'static str> {
        self.panicked.lock().clone()
    }

    /// Starts the service of one connection, or of one stream on it. It ends with its connection.
    pub(super) fn spawn_connection(work: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(work));
    }

    /// Ends everything that was started by name.
    pub fn abort_all(&self) {
        self.running.lock().abort_all();
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        let mut running = self.running.lock();
        while running.try_join_next().is_some() {}
        running.len()
    }
}

/// Says whose panic it was.
struct Named {
    name: &'static str,
    work: Pin<Box<dyn Future<Output = ()> + Send>>,
    live: Arc<Live>,
    panicked: Arc<Mutex<Vec<&'static str>>>,
}

impl Named {
    fn panicked(&self) {
        tracing::error!(task = self.name, "a background task panicked and is gone");
        self.live.metrics.gauge(&catalogue::TASKS_PANICKED, &[self.name]).set(1.0);
        let mut panicked = self.panicked.lock();
        if !panicked.contains(&self.name) {
            panicked.push(self.name);
        }
    }
}

impl Future for Named {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| self.work.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| {
            self.panicked();
            Poll::Ready(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_takes_nobody_along() {
        let live = Arc::new(Live::default());
        let tasks = Tasks::new(Arc::clone(&live));
        for _ in 0..2 {
            tasks.spawn("broken", async { panic!("broken by the test") });
        }
        let (sent, heard) = tokio::sync::oneshot::channel();
        tasks.spawn("whole", async {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let _ = sent.send(());
        });
        heard.await.expect("the other task goes on");
        assert!(live.metrics.render().contains("mainstay_tasks_panicked{task=\"whole\"} 0"));
        assert_eq!(tasks.panicked(), ["broken"]);
        let counted = live.metrics.render();
        assert!(counted.contains("mainstay_tasks_panicked{task=\"broken\"} 1"), "{counted}");
    }

    #[tokio::test(start_paused = true)]
    async fn all_tasks_end_together() {
        let tasks = Tasks::new(Arc::new(Live::default()));
        for _ in 0..3 {
            tasks.spawn("forever", std::future::pending());
        }
        assert_eq!(tasks.count(), 3);
        tasks.abort_all();
        tokio::task::yield_now().await;
        assert_eq!(tasks.count(), 0);
    }
}
