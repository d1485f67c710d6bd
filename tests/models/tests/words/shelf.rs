//! L-08: `upstream::{shelf, slot}`: connections taken out, brought back, and a pool that retires meanwhile.
//!
//! By loom: one lock and one count. The semaphore is tokio's own, one call at a time; sockets there are none.

use std::sync::Arc;

use mainstay_models::upstream::pool::Pool;

use super::{Work, explore, together};

/// Uses a connection, if one more may be in use; whether it was a kept one.
fn uses(pool: &Arc<Pool>) -> Work<Option<bool>> {
    let pool = Arc::clone(pool);
    Box::new(move || {
        let taken = pool.obtain()?;
        let kept = taken.kept;
        assert!(pool.in_use() >= 1);
        taken.give_back();
        Some(kept)
    })
}

#[test]
fn l08_nothing_is_kept_by_a_pool_that_has_retired_whoever_comes_back_meanwhile() {
    explore(&[0, 1], || {
        let pool = Pool::new(2, 2);
        let retires = Arc::clone(&pool);
        let [one, other, _] = together([
            uses(&pool),
            uses(&pool),
            Box::new(move || {
                retires.retire();
                None
            }),
        ]);
        assert_eq!((pool.idle(), pool.in_use()), (0, 0));
        assert!(one.is_some() && other.is_some(), "calls of requests that still hold it get connections");
        [one, other].into_iter().flatten().map(u8::from).sum::<u8>()
    });
}

#[test]
fn l08_what_is_brought_back_is_there_once_and_no_more_is_kept_than_may_be() {
    explore(&[(1, 1), (2, 0)], || {
        let pool = Pool::new(2, 1);
        let [one, other] = together([uses(&pool), uses(&pool)]);
        assert_eq!((pool.idle(), pool.in_use()), (1, 0));
        let kept = [one, other].into_iter().flatten().filter(|kept| *kept).count();
        (2 - kept, kept)
    });
}

#[test]
fn l08_no_more_are_in_use_than_may_be() {
    explore(&[1, 2], || {
        let pool = Pool::new(1, 1);
        let served = together([uses(&pool), uses(&pool)]).into_iter().flatten().count();
        assert_eq!((pool.idle(), pool.in_use()), (1, 0));
        served
    });
}
