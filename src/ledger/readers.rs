//! Who reads what requests came to: the ledger, which keeps it for good, and the journal, which has the last ones at
//! hand.

use std::sync::{Arc, OnceLock};

use super::Ledger;
use super::journal::Journal;
use super::record::{Record, Whose};

/// All of them; set at the very start, and then there as long as the process.
#[derive(Debug, Default)]
pub struct Readers {
    ledger: OnceLock<Arc<Ledger>>,
    journal: OnceLock<Arc<Journal>>,
}

impl Readers {
    /// The first one stays.
    pub fn keep_books(&self, ledger: Arc<Ledger>) {
        let _ = self.ledger.set(ledger);
    }

    /// The first one stays.
    pub fn keep_journal(&self, journal: Arc<Journal>) {
        let _ = self.journal.set(journal);
    }

    pub fn journal(&self) -> Option<&Arc<Journal>> {
        self.journal.get()
    }

    /// Whether there is anybody.
    pub fn is_anybody(&self) -> bool {
        self.ledger.get().is_some() || self.journal.get().is_some()
    }

    /// Never waits.
    pub(super) fn take(&self, record: Box<Record>) {
        if let Some(ledger) = self.ledger.get().filter(|_| record.whose != Whose::Strangers) {
            ledger.take(&record);
        }
        if let Some(journal) = self.journal.get() {
            journal.take(record);
        }
    }
}
