//! What holds of a purse, whatever requests do.

use std::time::Duration;

use proptest::prelude::*;

use super::{Entry, Grant, Per, Purse};

#[derive(Clone, Debug)]
enum Deed {
    /// A request that may cost so much comes.
    Ask(u64),
    /// One under way ends, having cost so many hundredths of what it might have.
    End(usize, u64),
    /// Another replica, which keeps to the same laws, has spent more.
    Other(u64),
    /// The store is read, with all but the last so many nano-dollars that were booked here in it.
    Read(u64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (0_u64..400).prop_map(Deed::Ask),
        3 => (0_usize..8, 0_u64..=100).prop_map(|(which, share)| Deed::End(which, share)),
        1 => (0_u64..200).prop_map(Deed::Other),
        1 => (0_u64..300).prop_map(Deed::Read),
    ];
    proptest::collection::vec(deed, 0..200)
}

fn purse() -> Purse {
    let mut purse = Purse::default();
    purse.turn(Per::Day.span(None, Duration::from_hours(50)));
    purse
}

proptest! {
    #[test]
    fn no_more_is_spent_and_reserved_than_the_limit_and_one_last_request(
        limit in 1_u64..2_000, deeds in deeds(),
    ) {
        let mut purse = purse();
        let mut running: Vec<(Entry, u64, Grant)> = Vec::new();
        // As it truly is: what was booked here, and by others.
        let (mut own, mut others) = (0_u64, 0_u64);
        // The largest reserve with which a last one was let in.
        let mut last = 0_u64;
        for deed in deeds {
            match deed {
                Deed::Ask(amount) => {
                    let left = purse.left(limit);
                    let Some(grant) = purse.judge(limit, amount) else {
                        let last_is_out = running.iter().any(|(_, _, grant)| *grant == Grant::Last);
                        prop_assert!(left == 0 || (last_is_out && amount > left), "let nobody in for nothing");
                        continue;
                    };
                    prop_assert!(left > 0, "nothing was left");
                    prop_assert_eq!(grant == Grant::Within, amount <= left);
                    if grant == Grant::Last {
                        prop_assert!(running.iter().all(|(_, _, other)| *other != Grant::Last));
                        last = last.max(amount);
                    }
                    running.push((purse.reserve(amount, grant), amount, grant));
                }
                Deed::End(which, share) if which < running.len() => {
                    let (entry, amount, _) = running.remove(which);
                    let cost = amount * share / 100;
                    own += cost;
                    purse.settle(entry, cost);
                }
                Deed::End(..) => {}
                Deed::Other(amount) => others += amount,
                Deed::Read(late) => purse.hear(own.saturating_sub(late) + others),
            }
            let reserved: u64 = running.iter().map(|(_, amount, _)| amount).sum();
            prop_assert_eq!(purse.reserved(), reserved);
            prop_assert!(purse.spent() <= own + others, "nothing counts twice");
            prop_assert_eq!(purse.own(), own, "nothing is lost");
            // What others spend may be heard of after requests were let in beside it.
            prop_assert!(own + reserved <= limit + last, "{own} and {reserved} of {limit}, the last one {last}");
        }
    }

    #[test]
    fn what_is_not_used_is_free_again(limit in 1_u64..1_000, amounts in proptest::collection::vec(0_u64..500, 1..50)) {
        let mut purse = purse();
        for amount in amounts {
            let grant = purse.judge(limit, amount).expect("nothing is spent");
            let entry = purse.reserve(amount, grant);
            purse.settle(entry, 0);
        }
        prop_assert_eq!((purse.left(limit), purse.reserved(), purse.has_last()), (limit, 0, false));
    }

    #[test]
    fn what_is_handed_over_is_spent_once(
        own in 0_u64..1_000, handed in 0_u64..1_500, later in 0_u64..500, others in 0_u64..500,
    ) {
        let mut purse = purse();
        let book = |purse: &mut Purse, cost| {
            let entry = purse.reserve(cost, Grant::Within);
            purse.settle(entry, cost);
        };
        book(&mut purse, own);
        purse.hear_others(others, 0);
        purse.hand_over(handed);
        prop_assert_eq!(purse.spent(), own + others);
        book(&mut purse, later);
        let handed = handed.min(own);
        prop_assert_eq!(purse.own(), own - handed + later);
        // What others say has it now.
        purse.hear_others(others + handed, 0);
        purse.hear(own + others + later);
        prop_assert_eq!(purse.spent(), own + others + later);
    }

    #[test]
    fn a_sum_that_has_all_makes_the_purse_exact(own in 0_u64..1_000, others in 0_u64..1_000) {
        let mut purse = purse();
        let entry = purse.reserve(own, Grant::Within);
        purse.settle(entry, own);
        purse.hear(own + others);
        prop_assert_eq!(purse.spent(), own + others);
        // One that was asked for earlier and comes later.
        purse.hear(others / 2);
        prop_assert_eq!(purse.spent(), own + others);
    }
}

proptest! {
    #[test]
    fn a_burst_that_nobody_answers_is_let_in_as_a_trickle_is(
        limit in 1_u64..1_000, replicas in 2_u32..6, asks in 1_usize..400, amount in 1_u64..50,
    ) {
        let mut granted = 0;
        for _ in 0..replicas {
            let mut purse = purse();
            purse.hear_others(0, 0);
            let mut asked: Vec<Entry> = (0..asks).map(|_| purse.ask(amount)).collect();
            let mut let_in = Vec::new();
            while let Some(entry) = asked.pop() {
                purse.settle(entry, 0);
                let part = purse.part(limit, replicas);
                if let Some(grant) = purse.judge(part, amount) {
                    let_in.push(purse.reserve(amount, grant));
                }
            }
            granted += let_in.len() as u64 * amount;
            for entry in let_in {
                purse.settle(entry, amount);
            }
            prop_assert_eq!(purse.reserved(), 0);
        }
        let bound = limit + u64::from(replicas) * (amount + 1);
        prop_assert!(granted <= bound, "{granted} of {limit}");
        let most = u64::from(replicas) * asks as u64 * amount;
        prop_assert!(granted >= most.min(limit.saturating_sub(u64::from(replicas) * amount)), "{granted} of {limit}");
    }

    #[test]
    fn the_parts_of_replicas_that_hear_nothing_of_each_other_are_the_whole(
        limit in 1_u64..10_000, spent in proptest::collection::vec(0_u64..4_000, 1..6),
    ) {
        let replicas = u32::try_from(spent.len()).expect("few");
        let sum: u64 = spent.iter().sum();
        let mut more = 0;
        for own in &spent {
            let mut purse = purse();
            let entry = purse.reserve(*own, Grant::Within);
            purse.settle(entry, *own);
            purse.hear_others(sum - own, 0);
            let part = purse.part(limit, replicas);
            prop_assert!(part <= limit);
            prop_assert_eq!(purse.part(limit, 1), limit, "alone in the world it has all");
            let mut granted = 0;
            while purse.judge(part, 1) == Some(Grant::Within) {
                let entry = purse.reserve(1, Grant::Within);
                purse.settle(entry, 1);
                prop_assert_eq!(purse.part(limit, replicas), part, "it does not grow as it is used");
                granted += 1;
            }
            more += granted;
            purse.hear_others(0, 0);
            prop_assert!(purse.part(limit, replicas) >= part, "who is heard again shares out anew what is left");
        }
        let left = limit.saturating_sub(sum);
        prop_assert!((left..left + u64::from(replicas)).contains(&more), "{more} of {left}");
    }
}

#[test]
fn a_request_that_ends_in_the_next_window_leaves_nothing_there() {
    let mut purse = purse();
    let entry = purse.reserve(7, Grant::Last);
    assert!(purse.turn(Per::Day.span(None, Duration::from_hours(73))));
    assert!(!purse.has_last());
    purse.settle(entry, 7);
    assert_eq!((purse.spent(), purse.reserved(), purse.left(10)), (0, 0, 10));
}

#[test]
fn what_others_have_promised_is_not_left() {
    let mut purse = purse();
    purse.hear_others(40, 50);
    assert_eq!((purse.left(100), purse.judge(100, 11)), (10, Some(Grant::Last)));
    purse.hear_others(30, 60);
    assert_eq!((purse.spent(), purse.judge(100, 1)), (40, None), "what was spent is never less");
}
