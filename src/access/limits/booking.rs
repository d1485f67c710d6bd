//! What a request has taken of everybody's limits. Dropped, it gives back what was not used.

use std::sync::Arc;

use super::{Limiter, Subjects};
use crate::algo::limit::{Booked, Spent};

/// Who knows of a booking beside this replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nobody, and nobody need.
    Nobody,
    /// All replicas, since this time (microseconds of Redis's own clock).
    Since(u64),
    /// All replicas will, once Redis is back.
    Later,
    /// Redis was asked and has not answered: perhaps.
    Perhaps,
}

/// Held for as long as its request lasts.
pub struct Booking {
    limiter: Arc<Limiter>,
    subjects: Subjects,
    /// `None` while it is not granted: then the request is only there.
    booked: Option<(Booked, Told)>,
    spent: Spent,
}

impl Booking {
    pub(super) fn new(limiter: &Arc<Limiter>, subjects: Subjects, booked: Booked, told: Told) -> Self {
        let booked = Some((booked, told));
        Self { limiter: Arc::clone(limiter), subjects, booked, spent: Spent::Nothing }
    }

    /// A request that has come in, and counts among those at the same moment.
    pub(super) fn entered(limiter: &Arc<Limiter>, subjects: Subjects) -> Self {
        Self { limiter: Arc::clone(limiter), subjects, booked: None, spent: Spent::Nothing }
    }

    pub(super) fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// It is granted.
    pub(super) fn book(&mut self, booked: Booked, told: Told) {
        for subject in self.subjects.0.iter() {
            subject.held.books.lock().book(subject.allowance, booked, told);
        }
        self.booked = Some((booked, told));
    }

    /// The request ends here, and lets somebody else decide.
    pub(super) fn withdraw(mut self) -> Subjects {
        self.end();
        std::mem::take(&mut self.subjects)
    }

    /// What the request turns out to have used; nothing, where this is never said.
    pub fn spend(&mut self, spent: Spent) {
        self.spent = spent;
    }

    fn end(&mut self) {
        let now = self.limiter.live.now();
        for subject in self.subjects.0.iter() {
            let (held, allowance) = (&subject.held, subject.allowance);
            let mut books = held.books.lock();
            books.all.leave();
            let mut missing = None;
            if let Some((booked, told)) = self.booked {
                books.all.settle(allowance, booked, self.spent, now);
                match told {
                    Told::Nobody | Told::Perhaps => {}
                    Told::Later if booked.at >= books.drained => {
                        books.untold.settle(allowance, booked, self.spent, now);
                    }
                    Told::Later => missing = Some((booked, None)),
                    Told::Since(since) => missing = Some((booked, Some(since))),
                }
            }
            drop(books);
            if let Some(common) = self.limiter.common() {
                if let Some((booked, since)) = missing {
                    common.correct(subject, booked, since, self.spent, now);
                }
                if allowance.concurrency.is_some() {
                    common.has_left(held);
                }
            }
        }
    }
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.end();
    }
}
