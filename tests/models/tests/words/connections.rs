//! L-10: `server::{places, lifecycle, busy}`: callers' connections, which end while somebody waits for it.
//!
//! By loom; tokio's notifications and its watch are its own, one call at a time.

use std::sync::Arc;

use loom::future::block_on;
use loom::sync::atomic::{AtomicU32, Ordering::AcqRel};
use mainstay_models::server::busy::Busy;
use mainstay_models::server::lifecycle::{Lifecycle, Stage};
use mainstay_models::server::places::Places;

use super::{Work, at, explore, together};

#[test]
fn l10_a_drain_and_a_caller_who_waits_for_room_both_hear_of_the_last_connections_end() {
    explore(&[()], || {
        let places = Arc::new(Places::default());
        let taken = places.take();
        let waits = || -> Work<()> {
            let places = Arc::clone(&places);
            Box::new(move || block_on(places.emptied()))
        };
        together([waits(), waits(), Box::new(move || drop(taken))]);
        assert_eq!(places.open(), 0);
    });
}

#[test]
fn l10_of_two_connections_that_end_the_first_makes_room_and_the_second_ends_the_drain() {
    explore(&[()], || {
        let places = Arc::new(Places::default());
        let (first, second) = (places.take(), places.take());
        let (room, drain) = (Arc::clone(&places), Arc::clone(&places));
        together([
            Box::new(move || block_on(room.fewer_than(|| 2))) as Work<()>,
            Box::new(move || drop((first, second))),
            Box::new(move || block_on(drain.emptied())),
        ]);
    });
}

#[test]
fn l10_a_connection_hears_that_the_process_closes_and_the_drain_waits_for_it() {
    explore(&[()], || {
        let (life, places) = (Arc::new(Lifecycle::default()), Arc::new(Places::default()));
        // tokio's watch has no words of loom's; this lets any thread come between two of its calls.
        let turn = Arc::new(AtomicU32::new(0));
        let (serves, starts, drains) = (Arc::clone(&life), Arc::clone(&life), Arc::clone(&life));
        let (taken, all) = (places.take(), Arc::clone(&places));
        let [first, second, third] = [(); 3].map(|()| Arc::clone(&turn));
        together([
            Box::new(move || {
                let closing = serves.reached(Stage::Closing);
                first.fetch_add(1, AcqRel);
                block_on(closing);
                assert_ne!(serves.stage(), Stage::Gone, "the drain has waited");
                drop(taken);
            }) as Work<()>,
            // Whoever is late with it takes nothing back.
            Box::new(move || {
                second.fetch_add(1, AcqRel);
                starts.enter(Stage::Serving);
            }),
            Box::new(move || {
                drains.enter(Stage::Leaving);
                third.fetch_add(1, AcqRel);
                drains.enter(Stage::Closing);
                block_on(all.emptied());
                drains.enter(Stage::Gone);
            }),
        ]);
        assert_eq!((life.stage(), places.open()), (Stage::Gone, 0));
    });
}

#[test]
fn a_connection_with_an_exchange_is_never_taken_for_an_idle_one() {
    explore(&[()], || {
        let busy = Arc::new(Busy::new(at(0)));
        busy.begin();
        let (ends, begins) = (Arc::clone(&busy), Arc::clone(&busy));
        together([
            // A stream of HTTP/2, in a task of its own.
            Box::new(move || ends.end(at(1))) as Work<()>,
            // The next one, in the connection's.
            Box::new(move || {
                begins.begin();
                assert_eq!(begins.idle_since(), None);
            }),
        ]);
        assert_eq!(busy.idle_since(), None, "the second one goes on");
        assert!(!busy.is_idle());
        busy.end(at(2));
        assert_eq!(busy.idle_since(), Some(at(2)));
    });
}

#[test]
fn a_connection_is_idle_since_the_last_of_its_exchanges_ended() {
    explore(&[()], || {
        let busy = Arc::new(Busy::new(at(0)));
        busy.begin();
        busy.begin();
        let ends = |secs: u64| -> Work<()> {
            let busy = Arc::clone(&busy);
            Box::new(move || busy.end(at(secs)))
        };
        let looks = Arc::clone(&busy);
        together([
            ends(1),
            ends(2),
            Box::new(move || {
                assert!(looks.idle_since().is_none_or(|since| since == at(2)), "neither before nor after");
            }),
        ]);
        assert_eq!(busy.idle_since(), Some(at(2)));
    });
}
