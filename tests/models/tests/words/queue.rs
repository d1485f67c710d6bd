//! `state::queue` with `state::room`: who frees a place looks for waiters, and who waits looks for places.
//!
//! By loom: neither takes the other's lock where there is nothing to do, so all hangs on two fences. Waiters really
//! wait here, and loom calls it a deadlock when one is never rung.

use std::sync::Arc;

use loom::future::block_on;
use mainstay_models::algo::aimd::{Mode, Settings};
use mainstay_models::state::queue::{Called, Queue};
use mainstay_models::state::room::Room;
use mainstay_models::state::upstream::Memory;
use mainstay_models::vocab::Priority;
use smallvec::smallvec;

use super::{Work, explore, together};

struct Place {
    room: Room,
    memory: Arc<Memory>,
    queue: Arc<Queue>,
}

impl Place {
    /// One, which is taken.
    fn taken() -> Arc<Self> {
        let settings = Settings { mode: Mode::Fixed, start: 1, min: 1, max: 1, ttft_rise: None };
        let place = Self { room: Room::new(settings), memory: Arc::default(), queue: Arc::default() };
        assert!(place.room.take());
        Arc::new(place)
    }

    /// As a permit does.
    fn leave(&self) {
        self.room.leave();
        self.memory.awaited.ring();
    }

    fn try_take(&self) -> bool {
        !self.room.is_full() && self.room.take()
    }

    /// As a request does: waits until it has the place; `false` where somebody more important has displaced it.
    fn wait(&self, priority: Priority, most: usize) -> bool {
        let Some(waiter) = self.queue.join(priority, most, smallvec![Arc::clone(&self.memory)]) else {
            return false;
        };
        loop {
            block_on(waiter.bell().notified());
            if waiter.called() == Called::Displaced {
                return false;
            }
            if self.try_take() {
                waiter.served();
                return true;
            }
            waiter.failed();
        }
    }

    fn is_quiet(&self) -> bool {
        self.queue.length() == 0 && self.room.in_flight() == 0
    }
}

fn leaves(place: &Arc<Place>) -> Work<bool> {
    let place = Arc::clone(place);
    Box::new(move || {
        place.leave();
        true
    })
}

#[test]
fn whoever_joins_while_the_only_place_comes_free_has_it() {
    explore(&[()], || {
        let place = Place::taken();
        let waits = Arc::clone(&place);
        together([
            leaves(&place),
            Box::new(move || {
                assert!(waits.wait(Priority::Critical, 9));
                waits.leave();
                true
            }),
        ]);
        assert!(place.is_quiet());
    });
}

#[test]
fn one_who_hangs_up_while_he_is_called_passes_the_call_on() {
    explore(&[()], || {
        let place = Place::taken();
        let (waits, hangs_up) = (Arc::clone(&place), Arc::clone(&place));
        together([
            leaves(&place),
            Box::new(move || {
                assert!(waits.wait(Priority::Critical, 9));
                waits.leave();
                true
            }),
            Box::new(move || {
                let waiter =
                    hangs_up.queue.join(Priority::CriticalPlus, 9, smallvec![Arc::clone(&hangs_up.memory)]);
                drop(waiter);
                true
            }),
        ]);
        assert!(place.is_quiet());
    });
}

#[test]
fn of_two_who_want_the_last_seat_the_more_important_one_is_served_and_the_other_one_hears_of_it() {
    explore(&[(true, true), (false, true)], || {
        let place = Place::taken();
        let waits = |priority| -> Work<bool> {
            let place = Arc::clone(&place);
            Box::new(move || {
                let served = place.wait(priority, 1);
                if served {
                    place.leave();
                }
                served
            })
        };
        let [less, more, _] =
            together([waits(Priority::Sheddable), waits(Priority::Critical), leaves(&place)]);
        assert!(place.is_quiet());
        (less, more)
    });
}
