//! `state::credential`: a cooldown that many threads share behind one word, and a key's memories that are entered
//! together. By loom, as the gate.

use std::sync::Arc;
use std::time::Duration;

use mainstay_models::algo::cooldown::{Readiness, Settings, State};
use mainstay_models::algo::tick::Tick;
use mainstay_models::state::credential::{Cell, Credential, Held};
use mainstay_models::state::reach;
use mainstay_models::vocab::Secret;

use super::{Work, at, dice, explore, together};

fn credential() -> Arc<Credential> {
    let cell = || Arc::new(Cell::new(Settings::default()));
    Arc::new(Credential {
        alias: "a".into(),
        secret: Secret::new("k"),
        rate_key: "a".into(),
        identity: 1,
        account: 1,
        own: cell(),
        quota: cell(),
        handles: reach::handles(),
    })
}

fn enter(key: &Credential, now: Tick) -> Option<Held> {
    Held::admit(key, None, now, &mut dice()).ok()
}

#[test]
fn a_key_that_is_refused_while_others_use_it_is_refused_to_everybody_afterwards() {
    explore(&[true, false], || {
        let key = credential();
        let held = enter(&key, at(1)).expect("nothing stands against it");
        let (refused, used) = (Arc::clone(&key), Arc::clone(&key));
        let [_, came] = together([
            Box::new(move || held.refused(at(1), &mut dice()).is_some()) as Work<bool>,
            Box::new(move || {
                let Some(held) = enter(&used, at(1)) else { return false };
                held.ok(at(1), &mut dice());
                true
            }),
        ]);
        assert!(matches!(refused.readiness(None, at(1)), Readiness::Disabled { .. }));
        assert!(enter(&key, at(1)).is_none());
        came
    });
}

#[test]
fn of_the_crowd_that_waited_for_a_key_one_goes_first() {
    explore(&[1, 2], || {
        let key = credential();
        let held = enter(&key, at(1)).expect("nothing stands against it");
        let begun = held.out_of_quota(Some(Duration::from_secs(5)), at(1), &mut dice());
        assert!(begun.is_some());
        let later = at(1) + Duration::from_hours(48);
        let comes = || -> Work<usize> {
            let key = Arc::clone(&key);
            Box::new(move || {
                let Some(held) = enter(&key, later) else { return 0 };
                assert_ne!(key.quota.state(), State::Ready, "one that went first does not let in the rest");
                held.neutral(later, &mut dice());
                1
            })
        };
        let came: usize = together([comes(), comes()]).iter().sum();
        assert_eq!(key.readiness(None, later), Readiness::Trickle, "what was taken is given back");
        came
    });
}
