//! `state::fate`: whether anything is held against a group, behind one word. By loom, as the gate.

use std::sync::Arc;

use mainstay_models::state::reach::World;
use mainstay_models::vocab::Fault;

use super::{Work, at, explore, together};

#[test]
fn two_that_fail_while_the_third_makes_its_peace_demote_it() {
    explore(&[()], || {
        let world = Arc::new(World::of(&["a", "b", "c"]));
        let fails = |member: usize| -> Work<()> {
            let world = Arc::clone(&world);
            Box::new(move || world.fails(member, Fault::ServerError, at(3)))
        };
        world.fails(2, Fault::ServerError, at(1));
        let good = Arc::clone(&world);
        // Nothing was held against anybody but the third, and this ends it.
        together([fails(0), fails(1), Box::new(move || good.members[2].succeeded(at(2), at(3)))]);
        assert!(world.members[2].is_demoted(at(4)));
    });
}

#[test]
fn a_group_is_at_peace_again_after_successes_that_began_later() {
    explore(&[()], || {
        let world = Arc::new(World::of(&["a", "b", "c"]));
        world.fails(0, Fault::ServerError, at(1));
        world.fails(1, Fault::ServerError, at(1));
        let good = |member: usize| -> Work<()> {
            let world = Arc::clone(&world);
            Box::new(move || world.members[member].succeeded(at(2), at(3)))
        };
        together([good(0), good(1)]);
        assert!(!world.members[2].is_demoted(at(3)));
    });
}
