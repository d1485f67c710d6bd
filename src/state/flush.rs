//! Asking whoever empties a queue, off the path of requests, to have it empty now.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// Who asks. What he is answered is up to whoever is asked.
#[derive(Debug)]
pub struct Flush<T>(mpsc::Sender<oneshot::Sender<T>>);

/// Who is asked: he answers once all that was in the queue before is where it belongs.
pub type Flushes<T> = mpsc::Receiver<oneshot::Sender<T>>;

impl<T> Flush<T> {
    pub fn open() -> (Self, Flushes<T>) {
        let (flush, flushes) = mpsc::channel(1);
        (Self(flush), flushes)
    }

    /// The answer; none of whoever went away without a word, and has nothing left to write.
    ///
    /// # Errors
    /// `patience` is over.
    pub async fn ask(&self, patience: Duration) -> Result<Option<T>, Elapsed> {
        let (done, is_done) = oneshot::channel();
        let answered = async {
            self.0.send(done).await.ok()?;
            is_done.await.ok()
        };
        timeout(patience, answered).await
    }
}
