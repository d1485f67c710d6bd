//! What the store knows of requests. Where one of them is at hand as well, that is told, which is more.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::asked::Asked;
use super::{Whence, told};
use crate::ledger::{Journal, Stored};
use crate::store::rows::RowId;
use crate::store::{Error, FoundAttempt, FoundRequest, Store};

/// Why nothing was found.
pub(super) enum Failed {
    Wrong(String),
    Store(Error),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// A page, the newest first, and what the next one begins with, where there may be more.
pub(super) async fn search(
    store: &Store,
    journal: &Journal,
    asked: &Asked,
) -> Result<(Vec<Value>, Option<String>), Failed> {
    let search = asked.of_store().map_err(Failed::Wrong)?;
    let rows = store.requests(&search).await?;
    let next = rows.last().filter(|_| rows.len() == asked.wanted.most).map(|row| row.cursor().to_string());
    let ids: HashSet<&str> = rows.iter().map(|row| &*row.request_id).collect();
    let at_hand = journal.find_all(&ids, |decision| told(decision, Whence::Journal));
    let beyond: Vec<_> =
        rows.iter().filter(|row| !at_hand.contains_key(&row.request_id)).map(|row| row.id).collect();
    let mut attempts: HashMap<RowId, Vec<FoundAttempt>> = HashMap::new();
    for attempt in store.attempts_of_all(&beyond).await? {
        attempts.entry(attempt.request).or_default().push(attempt);
    }
    let requests = rows.iter().map(|row| match at_hand.get(&row.request_id) {
        Some(told) => told.clone(),
        None => of(row.clone(), attempts.remove(&row.id).unwrap_or_default()),
    });
    Ok((requests.collect(), next))
}

/// The request of this id.
pub(super) async fn find(store: &Store, id: &str) -> Result<Option<Value>, Error> {
    let Some(row) = store.request(id).await? else { return Ok(None) };
    let attempts = store.attempts_of(row.id).await?;
    Ok(Some(of(row, attempts)))
}

fn of(row: FoundRequest, attempts: Vec<FoundAttempt>) -> Value {
    told(&Stored::new(row, attempts).decision(), Whence::Store)
}
