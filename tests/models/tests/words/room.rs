//! `state::room`: places that are taken without the lock under which their number is learnt. By loom: two words
//! that are read together and written apart.

use std::sync::Arc;
use std::time::Duration;

use loom::sync::atomic::{AtomicU32, Ordering::SeqCst};
use mainstay_models::algo::aimd::{Mode, Settings};
use mainstay_models::state::model::Shape;
use mainstay_models::state::room::Room;

use super::{Work, at, explore, together};

const SETTINGS: Settings = Settings { mode: Mode::Adaptive, start: 2, min: 1, max: 2, ttft_rise: None };

fn room(max: u32) -> Arc<Room> {
    Arc::new(Room::new(Settings { max, ..SETTINGS }))
}

#[test]
fn no_more_are_in_a_room_than_have_a_place_there() {
    explore(&[2, 3], || {
        let (room, inside) = (room(2), Arc::new(AtomicU32::new(0)));
        let comes = || -> Work<u32> {
            let (room, inside) = (Arc::clone(&room), Arc::clone(&inside));
            Box::new(move || {
                if !room.take() {
                    return 0;
                }
                assert!(inside.fetch_add(1, SeqCst) < 2);
                inside.fetch_sub(1, SeqCst);
                room.leave();
                1
            })
        };
        let came = together([comes(), comes(), comes()]).iter().sum::<u32>();
        assert_eq!(room.in_flight(), 0, "every place is given back");
        came
    });
}

#[test]
fn what_one_learns_is_not_undone_by_what_another_one_learns_at_the_same_time() {
    explore(&[()], || {
        let room = room(10);
        for _ in 0..10 {
            assert!(room.take());
        }
        let (cut, good) = (Arc::clone(&room), Arc::clone(&room));
        together([
            Box::new(move || cut.overloaded(at(1))) as Work<()>,
            Box::new(move || {
                good.succeeded(Shape::Whole, Duration::from_secs(1), at(1));
            }),
        ]);
        assert_eq!(room.most(), 8, "a fifth less");
        assert!(!room.take());
    });
}
