//! What the gateway of a lab leaves to its ledger, and a store for it that can be away.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use mainstay::ledger::{self, Ledger, Sink, Spool, Wanted};
use mainstay::store::rows::{AttemptRow, Batch, RequestRow};
use parking_lot::Mutex;
use tempfile::TempDir;

use super::Lab;

/// How the store takes batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Well,
    /// It says no.
    Refuses,
    /// It never answers, and takes nothing.
    Hangs,
    /// It takes a batch at once, and says so when nobody waits for it any more.
    AnswersLate,
}

/// A store in memory.
pub struct Shelf {
    mood: Mutex<Mood>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    batches: Vec<Batch>,
    names: HashSet<u128>,
    /// Batches that were told once more.
    again: usize,
}

impl Sink for Shelf {
    type Error = &'static str;

    async fn write(&self, batches: &[Arc<Batch>]) -> Result<(), &'static str> {
        let mood = *self.mood.lock();
        match mood {
            Mood::Refuses => return Err("it is away"),
            Mood::Hangs => std::future::pending().await,
            Mood::Well | Mood::AnswersLate => {
                let mut taken = self.taken.lock();
                for batch in batches {
                    if taken.names.insert(batch.id) {
                        taken.batches.push((**batch).clone());
                    } else {
                        taken.again += 1;
                    }
                }
            }
        }
        if mood == Mood::AnswersLate {
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        Ok(())
    }
}

/// A ledger at work; it ends with the test.
pub struct Books {
    ledger: Arc<Ledger>,
    shelf: Arc<Shelf>,
    writer: Writing,
    directory: Option<TempDir>,
}

struct Writing(tokio::task::JoinHandle<()>);

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Lab {
    /// From here on rows are kept.
    pub fn keep_books(&self) -> Books {
        self.keep_books_within(1 << 30)
    }

    /// The same with so many bytes on disk at most.
    pub fn keep_books_within(&self, most_bytes: u64) -> Books {
        let directory = tempfile::tempdir().unwrap();
        let spool = Spool::open(directory.path(), most_bytes).unwrap();
        Books { directory: Some(directory), ..self.keep_books_in(spool) }
    }

    /// The same with a spool that is there.
    pub fn keep_books_in(&self, spool: Spool) -> Books {
        let shelf = Arc::new(Shelf { mood: Mutex::new(Mood::Well), taken: Mutex::default() });
        let (ledger, writer) = Ledger::open(&self.gateway.live, Arc::clone(&shelf), spool);
        self.gateway.keep_books(Arc::clone(&ledger));
        Books { ledger, shelf, writer: Writing(tokio::spawn(writer.run())), directory: None }
    }
}

impl Books {
    pub fn is(&self, mood: Mood) {
        *self.shelf.mood.lock() = mood;
    }

    /// All that the store has, once the ledger has written all that it was left.
    pub async fn rows(&self) -> (Vec<RequestRow>, Vec<AttemptRow>) {
        self.ledger.flush(Duration::from_mins(1)).await;
        let taken = self.shelf.taken.lock();
        let requests = taken.batches.iter().flat_map(|batch| batch.requests.clone());
        let requests = requests.filter(RequestRow::is_own).collect();
        let attempts = taken.batches.iter().flat_map(|batch| batch.attempts.clone()).collect();
        (requests, attempts)
    }

    /// The one request that there was, with its attempts.
    pub async fn only(&self) -> (RequestRow, Vec<AttemptRow>) {
        let (mut requests, attempts) = self.rows().await;
        assert_eq!(requests.len(), 1, "requests in the ledger");
        (requests.remove(0), attempts)
    }

    /// How many batches the store was told more than once.
    pub fn told_again(&self) -> usize {
        self.shelf.taken.lock().again
    }

    /// The process dies here and now.
    pub fn crash(self) -> std::path::PathBuf {
        drop(self.writer);
        let kept = tempfile::tempdir().unwrap().keep();
        let directory = self.directory.expect("its spool is its own");
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, kept.join(path.file_name().unwrap())).unwrap();
        }
        kept
    }
}

/// The last requests; it ends with the test.
pub struct Journal {
    journal: Arc<ledger::Journal>,
    _clerk: Writing,
}

impl Lab {
    /// From here on the last requests are at hand.
    pub fn keep_journal(&self) -> Journal {
        let (journal, clerk) = ledger::Journal::open(&self.gateway.live, 1000);
        self.gateway.keep_journal(Arc::clone(&journal));
        Journal { journal, _clerk: Writing(tokio::spawn(clerk.run())) }
    }
}

impl Journal {
    /// What became of the requests so far, the newest first.
    pub async fn decisions(&self) -> Vec<serde_json::Value> {
        self.journal.flush(Duration::from_mins(1)).await;
        self.journal.search(&Wanted::default(), |decision| serde_json::json!(decision)).0
    }

    /// Of the one of this id.
    pub fn of(&self, request_id: &str) -> serde_json::Value {
        let found = self.journal.find(request_id, |decision| serde_json::json!(decision));
        found.unwrap_or_else(|| panic!("{request_id} is not at hand"))
    }

    /// Of the only one that there was.
    pub async fn only(&self) -> serde_json::Value {
        let mut all = self.decisions().await;
        assert_eq!(all.len(), 1, "requests in the journal");
        all.remove(0)
    }
}
