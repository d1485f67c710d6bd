//! The way to a database: one script after the other, each with its time limit.
//!
//! The store has two, so that a report never stands before a write. What serves a lane, a thread or a task, is
//! [`sqlite`](super::sqlite)'s or [`postgres`](super::postgres)'s matter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::error::Error;
use super::script::{Answer, Script};

/// Scripts that wait for their turn. There are few who ask: one writer, a poll, people.
const WAITING: usize = 64;

pub type Jobs = mpsc::Receiver<Job>;

/// A script, and whoever waits for its answer.
pub struct Job {
    pub script: Script,
    pub patience: Duration,
    pub answer: oneshot::Sender<Result<Answer, Error>>,
    /// Nobody waits any more.
    pub given_up: Arc<AtomicBool>,
}

impl Job {
    /// Whoever waited has what he lent it again.
    pub fn answer(self, result: Result<Answer, Error>) {
        drop(self.script);
        // Who has given up needs none.
        let _ = self.answer.send(result);
    }
}

pub struct Lane(mpsc::Sender<Job>);

impl Lane {
    pub fn new() -> (Self, Jobs) {
        let (sender, jobs) = mpsc::channel(WAITING);
        (Self(sender), jobs)
    }

    /// Runs a script, with the wait for its turn within `patience`.
    pub async fn run(&self, script: Script, patience: Duration) -> Result<Answer, Error> {
        let (answer, told) = oneshot::channel();
        let given_up = GivenUp(Arc::default());
        let job = Job { script, patience, answer, given_up: Arc::clone(&given_up.0) };
        let over = || Error::Away("it is being closed".to_owned());
        let asked = async {
            self.0.send(job).await.map_err(|_| over())?;
            told.await.map_err(|_| over())?
        };
        timeout(patience, asked).await.unwrap_or(Err(Error::Late))
    }
}

/// Says so when it is dropped, whatever the reason.
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
