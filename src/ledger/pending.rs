//! Rows that wait for the writer, side by side in the batches that they will be written in.
//!
//! They are made where a request ends, while all that it came to is in a processor's cache: to read it later, with
//! hundreds of others, costs more than making the rows does.

use std::collections::VecDeque;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::record::Record;
use crate::algo::dice::Dice;
use crate::store::rows::Batch;

/// Most requests that have ended and are not written yet; some 20 MB of rows. The writer takes them five times a
/// second, and when a batch is whole.
const MOST: usize = 16 * 1024;
/// A batch has no more rows, but for the attempts of its last request.
const WHOLE: usize = 1_000;

pub(super) struct Pending {
    waiting: Mutex<Waiting>,
    /// Rung when a batch is whole.
    whole: Notify,
}

struct Waiting {
    /// The oldest first; the last one is open.
    batches: VecDeque<Batch>,
    requests: usize,
    /// The memory of one that was written: it is in a processor's cache, which new memory is not.
    spare: Batch,
    /// For what the names of requests' rows have of chance.
    dice: Dice,
}

/// Too many wait already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pending")
    }
}

impl Pending {
    pub fn new(dice: Dice) -> Self {
        let waiting = Waiting { batches: VecDeque::new(), requests: 0, spare: Batch::default(), dice };
        Self { waiting: Mutex::new(waiting), whole: Notify::new() }
    }

    /// Makes the rows of a request; there are none as long as it has not ended.
    pub fn put(&self, record: &Record) -> Result<(), Full> {
        let mut waiting = self.waiting.lock();
        let Waiting { batches, requests, spare, dice } = &mut *waiting;
        if *requests >= MOST {
            return Err(Full);
        }
        let chance = u128::from(dice.next_u64()) << 64 | u128::from(dice.next_u64());
        let Some((request, attempts)) = record.rows_of(chance) else { return Ok(()) };
        let batch = match batches.back_mut() {
            Some(open) if length(open) < WHOLE => open,
            Some(_) | None => batches.push_back_mut(std::mem::take(spare)),
        };
        batch.requests.push(request);
        batch.attempts.extend(attempts);
        *requests += 1;
        if length(batch) >= WHOLE {
            self.whole.notify_one();
        }
        Ok(())
    }

    /// Returns when a batch has become whole, or at once if one has since the last time.
    pub async fn whole(&self) {
        self.whole.notified().await;
    }

    /// The oldest batch, whole or not, under this name.
    pub fn take(&self, id: u128) -> Option<Batch> {
        let mut waiting = self.waiting.lock();
        let batch = waiting.batches.pop_front()?;
        waiting.requests -= batch.requests.len();
        Some(Batch { id, ..batch })
    }

    /// One that is written, and that nobody else has any more.
    pub fn give_back(&self, mut batch: Batch) {
        batch.requests.clear();
        batch.attempts.clear();
        self.waiting.lock().spare = batch;
    }

    /// How many requests wait.
    pub fn requests(&self) -> usize {
        self.waiting.lock().requests
    }
}

fn length(batch: &Batch) -> usize {
    batch.requests.len() + batch.attempts.len()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;
    use crate::algo::tick::Tick;
    use crate::ledger::Request;
    use crate::ledger::record::Whose;

    fn ended(number: usize) -> Record {
        let id = format!("req_{number}").into();
        let request = Request::bare(id, "openai", Tick::ZERO, Duration::from_secs(1));
        Record { request: Some(request), ..Record::new(Whose::Callers) }
    }

    /// Whether the writer would be woken now.
    fn rings(pending: &Pending) -> bool {
        pin!(pending.whole()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn rows_leave_in_the_order_in_which_they_came_and_no_batch_is_too_large() {
        let pending = Pending::new(Dice::seeded(1));
        assert_eq!(pending.put(&Record::new(Whose::Callers)), Ok(()));
        assert_eq!((pending.requests(), pending.take(1)), (0, None));
        for number in 0..2 * WHOLE + 5 {
            assert_eq!(pending.put(&ended(number)), Ok(()));
            assert_eq!(rings(&pending), number % WHOLE == WHOLE - 1, "{number}");
        }
        let batches: Vec<Batch> = (1..=4).map_while(|id| pending.take(id)).collect();
        assert_eq!(
            batches.iter().map(|batch| (batch.id, length(batch))).collect::<Vec<_>>(),
            [(1, WHOLE), (2, WHOLE), (3, 5)]
        );
        let rows = batches.iter().flat_map(|batch| &batch.requests);
        assert!(rows.enumerate().all(|(number, row)| *row.request_id == *format!("req_{number}")));
    }

    #[test]
    fn no_more_than_so_many_wait() {
        let pending = Pending::new(Dice::seeded(1));
        for number in 0..MOST {
            assert_eq!(pending.put(&ended(number)), Ok(()));
        }
        assert_eq!((pending.put(&ended(MOST)), pending.requests()), (Err(Full), MOST));
        let batch = pending.take(1).expect("there are many");
        pending.give_back(batch);
        assert_eq!(pending.put(&ended(MOST)), Ok(()));
    }

    #[test]
    fn what_is_given_back_is_empty_and_used_again() {
        let pending = Pending::new(Dice::seeded(1));
        let room = |batch: &Batch| batch.requests.as_ptr();
        pending.put(&ended(1)).expect("there is room");
        let first = pending.take(7).expect("one waits");
        let place = room(&first);
        pending.give_back(first);
        pending.put(&ended(2)).expect("there is room");
        let second = pending.take(8).expect("another one waits");
        assert_eq!((second.id, length(&second), room(&second)), (8, 1, place));
        assert_eq!(*second.requests[0].request_id, *"req_2");
    }
}
