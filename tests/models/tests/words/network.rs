//! `state::network`: a suspicion that one thread raises while another one hears from a provider.
//!
//! By loom: hearing takes no lock, so the two meet in two words, each of which one writes and the other reads.

use std::sync::Arc;

use mainstay_models::state::network::Guilt;
use mainstay_models::state::reach::World;
use mainstay_models::vocab::Fault;

use super::{Work, at, explore, together};

#[test]
fn whoever_answers_after_the_last_failure_leaves_no_suspicion_behind() {
    explore(&[Guilt::Usual as u8, Guilt::Network as u8], || {
        let world = Arc::new(World::of(&["a", "b"]));
        world.network.failed(&world.ways[0], Fault::Connect, at(1));
        let (cut, heard) = (Arc::clone(&world), Arc::clone(&world));
        let [guilt, _] = together([
            Box::new(move || Some(cut.network.failed(&cut.ways[1], Fault::Connect, at(2))))
                as Work<Option<Guilt>>,
            Box::new(move || {
                heard.network.heard(&heard.ways[0], at(3));
                None
            }),
        ]);
        assert!(!world.network.is_suspected(at(3)), "a provider answers");
        guilt.expect("the first says whose guilt it is") as u8
    });
}

#[test]
fn two_that_fail_at_once_are_suspicious() {
    explore(&[()], || {
        let world = Arc::new(World::of(&["a", "b"]));
        let fails = |way: usize| -> Work<Guilt> {
            let world = Arc::clone(&world);
            Box::new(move || world.network.failed(&world.ways[way], Fault::Connect, at(2)))
        };
        let guilt = together([fails(0), fails(1)]);
        assert!(guilt.contains(&Guilt::Network) && guilt.contains(&Guilt::Usual), "the second one knows");
        assert!(world.network.is_suspected(at(3)));
    });
}
