//! Upstreams that share a fate: what fails alike at several of a group will soon fail at the others (E10
//! for a whole region or vendor).
//!
//! Two, or half of a larger group, that fail in the same way within ten seconds, each without a success that
//! began since and in half of all calls that ended since, are no accident. The others are then picked after
//! the rest, before they fail anybody. It says nothing about eligibility and touches no breaker; a success
//! takes its upstream out of the evidence at once, and ten seconds without a failure all of it. What a call's
//! failure means, and what it counts for, is said by the caller.

use std::time::Duration;

use super::tick::Tick;

/// How long a failure speaks against the others of the group.
pub const WINDOW: Duration = Duration::from_secs(10);

/// A group below this has nobody left to be spared once two have failed.
pub const LEAST: usize = 3;

/// In which way an upstream fails; alike is what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Fault,
    Overload,
    Stream,
}

const KINDS: usize = 3;

/// The upstreams of one group, by number.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    members: Box<[Member]>,
    /// Whether anybody was picked after the rest for it when it was last told of a failure.
    demoting: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Member {
    /// The newest failure of each kind.
    failed: [Option<Tick>; KINDS],
    /// When the call began that went well and began last.
    good: Option<Tick>,
    /// Calls that failed since the failures began.
    bad: u32,
    /// Calls that went well meanwhile, and began before the newest failure.
    late: u32,
}

impl Member {
    fn fails(&self, kind: usize, now: Tick) -> Option<Tick> {
        self.lately(kind, now).filter(|_| self.bad >= self.late)
    }

    fn lately(&self, kind: usize, now: Tick) -> Option<Tick> {
        self.failed[kind].filter(|&at| now.since(at) < WINDOW && self.good.is_none_or(|good| good < at))
    }

    fn is_clear(&self, now: Tick) -> bool {
        (0..KINDS).all(|kind| self.lately(kind, now).is_none())
    }

    fn fails_anyhow(&self, now: Tick) -> bool {
        (0..KINDS).any(|kind| self.fails(kind, now).is_some())
    }
}

impl Group {
    pub fn new(members: usize) -> Self {
        Self { members: vec![Member::default(); members].into_boxed_slice(), demoting: false }
    }

    /// A call of `member` failed. Says whether this begins a demotion of the others.
    pub fn failed(&mut self, member: usize, kind: Kind, now: Tick) -> bool {
        if let Some(member) = self.members.get_mut(member) {
            if member.is_clear(now) {
                (member.bad, member.late) = (0, 0);
            }
            member.bad = member.bad.saturating_add(1);
            member.failed[kind as usize] = Some(now);
        }
        let before = self.demoting;
        self.demoting = self.demotes_anybody(now);
        self.demoting && !before
    }

    /// A call that began at `began` went well. One that began before a failure does not disprove it.
    pub fn succeeded(&mut self, member: usize, began: Tick, now: Tick) {
        if let Some(member) = self.members.get_mut(member) {
            if (0..KINDS).any(|kind| member.lately(kind, now).is_some_and(|at| began < at)) {
                member.late = member.late.saturating_add(1);
            }
            member.good = member.good.max(Some(began));
        }
        self.demoting = self.demotes_anybody(now);
    }

    /// Whether `member`, which has not failed itself, should be picked after those outside the group.
    pub fn is_demoted(&self, member: usize, now: Tick) -> bool {
        (0..KINDS).any(|kind| self.shares(member, kind, now))
    }

    /// Whether it is to be expected that streams of `member` break, which has not failed itself.
    pub fn is_about_to_break(&self, member: usize, now: Tick) -> bool {
        self.shares(member, Kind::Stream as usize, now)
    }

    fn shares(&self, member: usize, kind: usize, now: Tick) -> bool {
        let Some(this) = self.members.get(member).filter(|this| !this.fails_anyhow(now)) else {
            return false;
        };
        let failures = || self.members.iter().filter_map(|member| member.fails(kind, now));
        // Its own success after the last failure of the others: it does not share their fate.
        let exempt = this.good.is_some_and(|good| failures().all(|at| good > at));
        !exempt && failures().count() >= self.enough()
    }

    /// Whether nothing is held against anybody.
    pub fn is_quiet(&self, now: Tick) -> bool {
        self.members.iter().all(|member| member.is_clear(now))
    }

    fn demotes_anybody(&self, now: Tick) -> bool {
        (0..self.members.len()).any(|member| self.is_demoted(member, now))
    }

    fn enough(&self) -> usize {
        self.members.len().div_ceil(2).max(2)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tick(ms: u64) -> Tick {
        Tick::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn two_of_three_that_fail_alike_demote_the_third_until_one_succeeds() {
        let mut group = Group::new(3);
        assert!(!group.failed(0, Kind::Overload, tick(0)));
        assert!(!group.is_demoted(2, tick(0)), "one failure is no pattern");
        assert!(group.failed(1, Kind::Overload, tick(100)));
        assert!(group.is_demoted(2, tick(100)) && !group.is_demoted(0, tick(100)));
        assert!(!group.failed(1, Kind::Overload, tick(200)), "it is one demotion");
        group.succeeded(0, tick(0), tick(300));
        assert!(!group.is_demoted(2, tick(300)), "as new as the failure is enough");
        assert!(group.failed(0, Kind::Overload, tick(400)), "and the next one begins anew");
    }

    #[test]
    fn a_success_that_began_before_the_failure_only_counts_for_its_share() {
        let mut group = Group::new(3);
        group.failed(0, Kind::Fault, tick(50));
        group.failed(1, Kind::Fault, tick(60));
        group.succeeded(0, tick(40), tick(90));
        assert!(group.is_demoted(2, tick(90)), "half of its calls are bad");
        group.succeeded(2, tick(55), tick(95));
        group.succeeded(2, tick(60), tick(97));
        assert!(group.is_demoted(2, tick(97)), "no newer than what the others did");
        group.succeeded(2, tick(61), tick(99));
        assert!(!group.is_demoted(2, tick(99)), "it does not share their fate");
        group.failed(1, Kind::Fault, tick(100));
        assert!(group.is_demoted(2, tick(100)));
        group.succeeded(0, tick(41), tick(110));
        assert!(!group.is_demoted(2, tick(110)), "two of three calls went well");
        group.failed(0, Kind::Fault, tick(120));
        assert!(group.is_demoted(2, tick(120)));
    }

    #[test]
    fn other_kinds_and_old_failures_make_no_pattern() {
        let mut group = Group::new(3);
        group.failed(0, Kind::Fault, tick(0));
        group.failed(1, Kind::Stream, tick(0));
        assert!(!group.is_demoted(2, tick(0)));
        group.failed(1, Kind::Fault, tick(9_999));
        assert!(group.is_demoted(2, tick(9_999)) && !group.is_about_to_break(2, tick(9_999)));
        group.failed(0, Kind::Stream, tick(9_999));
        assert!(group.is_about_to_break(2, tick(9_999)));
        assert!(!group.is_demoted(2, tick(10_000)), "the first has been forgotten");
        assert!(!group.is_quiet(tick(10_000)) && group.is_quiet(tick(19_999)));
    }

    #[test]
    fn a_larger_group_needs_half_of_it() {
        let mut group = Group::new(6);
        group.failed(0, Kind::Fault, tick(0));
        group.failed(1, Kind::Fault, tick(0));
        assert!(!group.is_demoted(5, tick(0)));
        group.failed(2, Kind::Fault, tick(0));
        assert!((3..6).all(|member| group.is_demoted(member, tick(0))));
    }

    proptest! {
        #[test]
        fn nobody_who_failed_is_demoted_and_silence_forgives_all(
            size in 1_usize..8,
            told in prop::collection::vec((1..3_000_u64, 0_usize..8, prop::option::of(0..3_usize)), 1..60),
        ) {
            let (mut group, mut now) = (Group::new(size), 0);
            let mut last: Vec<Option<u64>> = vec![None; 8];
            for (gap, member, failure) in told {
                now += gap;
                if let Some(kind) = failure {
                    group.failed(member, [Kind::Fault, Kind::Overload, Kind::Stream][kind], tick(now));
                    last[member] = Some(now);
                } else {
                    group.succeeded(member, tick(now), tick(now));
                    last[member] = None;
                }
                let failing = |member: usize| last[member].is_some_and(|at| now - at < 10_000);
                let count = (0..size).filter(|&member| failing(member)).count();
                for member in 0..size {
                    prop_assert!(group.is_demoted(member, tick(now)) || !group.is_about_to_break(member, tick(now)));
                    if group.is_demoted(member, tick(now)) {
                        prop_assert!(!failing(member) && count >= group.enough() && count < size);
                    }
                }
                let later = tick(now) + WINDOW;
                prop_assert!(group.is_quiet(later) && !group.demotes_anybody(later));
            }
        }
    }
}
