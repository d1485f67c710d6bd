//! A bounded line of waiters: who is important goes first, then who came first; one at a time has the turn.
//!
//! The turn goes round whenever a place came free, and to everybody once who has just come (the place may
//! have come free while he joined). Who has the turn tries; if he is served the next one tries too, for there
//! may be more places. Waiters may want different things, so a failure passes the turn on, but only
//! [`MOST_FAILURES`] times: a round must not cost as much as the line is long. What it means to try, and
//! how a waiter hears of his turn, is the owner's business.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

/// Failures in a row that end a round.
pub const MOST_FAILURES: u32 = 4;

/// A place in the line. Ordered: smaller is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// 0 is the most important class.
    class: u8,
    number: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Line {
    waiting: BTreeSet<Place>,
    /// Those who have not had a turn.
    untried: BTreeSet<Place>,
    turn: Option<Place>,
    round: Option<Round>,
    /// A place came free for which no round was made.
    freed: bool,
    next: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Round {
    after: Option<Place>,
    failures: u32,
}

/// How somebody came into the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    pub place: Place,
    /// Who had to go for him, being less important.
    pub displaced: Option<Place>,
}

impl Line {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Joins a line of at most `most`; `None` where it is full of those who are no less important.
    pub fn join(&mut self, class: u8, most: usize) -> Option<Joined> {
        let displaced = if self.waiting.len() < most {
            None
        } else {
            let last = self.waiting.last().copied().filter(|last| last.class > class && most > 0)?;
            self.left(last);
            Some(last)
        };
        let place = Place { class, number: self.next };
        self.next += 1;
        self.waiting.insert(place);
        self.untried.insert(place);
        Some(Joined { place, displaced })
    }

    /// A place came free.
    pub fn freed(&mut self) {
        self.freed = true;
    }

    /// `place` tried and was not served; it stays.
    pub fn failed(&mut self, place: Place) {
        if self.turn == Some(place) {
            self.turn = None;
            if let Some(round) = &mut self.round {
                round.failures += 1;
            }
        }
    }

    /// `place` tried and was served.
    pub fn served(&mut self, place: Place) {
        if let Some(round) = &mut self.round {
            round.failures = 0;
        } else if self.turn == Some(place) {
            // There was room, and nobody knows how much.
            self.freed = true;
        }
        self.forget(place);
    }

    /// `place` waits no longer. If it had the turn, what it was told of is there for the others.
    pub fn left(&mut self, place: Place) {
        self.freed |= self.turn == Some(place);
        self.forget(place);
    }

    fn forget(&mut self, place: Place) {
        self.waiting.remove(&place);
        self.untried.remove(&place);
        if self.turn == Some(place) {
            self.turn = None;
        }
    }

    /// Whose turn it is from now on; `None` where somebody has it, or nobody needs it. To be asked after
    /// every change.
    pub fn call(&mut self) -> Option<Place> {
        if self.turn.is_some() {
            return None;
        }
        let in_round = self.in_round();
        let place = match in_round {
            Some(place) => place,
            None => self.untried.first().copied()?,
        };
        self.untried.remove(&place);
        self.turn = Some(place);
        Some(place)
    }

    /// The next one of the round under way, or of the one that has to begin.
    fn in_round(&mut self) -> Option<Place> {
        loop {
            let Some(round) = &mut self.round else {
                if !std::mem::take(&mut self.freed) || self.waiting.is_empty() {
                    return None;
                }
                self.round = Some(Round::default());
                continue;
            };
            let from = round.after.map_or(Unbounded, Excluded);
            match self.waiting.range((from, Unbounded)).next().copied() {
                Some(next) if round.failures < MOST_FAILURES => {
                    round.after = Some(next);
                    return Some(next);
                }
                Some(_) | None => self.round = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Join(u8),
        Free,
        /// Whoever has the turn tries.
        Try,
        Leave(usize),
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let event = prop_oneof![
            3 => (0_u8..4).prop_map(Event::Join),
            2 => Just(Event::Free),
            4 => Just(Event::Try),
            1 => any::<usize>().prop_map(Event::Leave),
        ];
        proptest::collection::vec(event, 0..200)
    }

    proptest! {
        #[test]
        fn nobody_waits_beside_a_free_place_and_the_line_keeps_its_bound_and_order(
            events in events(), most in 0_usize..12,
        ) {
            let mut line = Line::default();
            let (mut free, mut turn): (u32, Option<Place>) = (0, None);
            let mut settle = Vec::new();
            let mut all: Vec<Event> = events;
            // In the end whoever is told tries.
            settle.resize(600, Event::Try);
            all.extend(settle);
            for event in all {
                match event {
                    Event::Join(class) => {
                        let worst = line.waiting.last().copied();
                        match line.join(class, most) {
                            Some(joined) => {
                                prop_assert!(joined.displaced.is_none_or(|gone| gone.class > class));
                                prop_assert!(joined.displaced.is_none() || joined.displaced == worst);
                                if joined.displaced.is_some() && joined.displaced == turn {
                                    turn = None;
                                }
                            }
                            None => prop_assert!(line.len() == most && worst.is_none_or(|w| w.class <= class)),
                        }
                    }
                    Event::Free => {
                        free += 1;
                        line.freed();
                    }
                    Event::Try => {
                        if let Some(place) = turn.take() {
                            if free > 0 {
                                free -= 1;
                                line.served(place);
                            } else {
                                line.failed(place);
                            }
                        }
                    }
                    Event::Leave(which) => {
                        let place = line.waiting.iter().nth(which % line.len().max(1)).copied();
                        if let Some(place) = place {
                            line.left(place);
                            turn = turn.filter(|has| *has != place);
                        }
                    }
                }
                prop_assert!(line.len() <= most);
                if let Some(told) = line.call() {
                    prop_assert_eq!(turn, None, "one at a time");
                    turn = Some(told);
                }
            }
            prop_assert!(turn.is_none());
            prop_assert_eq!(line.is_empty(), line.waiting.is_empty());
            prop_assert!(free == 0 || line.waiting.is_empty(), "{free} free beside {} waiters", line.len());
        }

        #[test]
        fn the_most_important_are_served_first_and_in_the_order_in_which_they_came(
            classes in proptest::collection::vec(0_u8..4, 1..40),
        ) {
            let mut line = Line::default();
            let places: Vec<Place> =
                classes.iter().map(|class| line.join(*class, 100).expect("there is room").place).collect();
            while let Some(place) = line.call() {
                line.failed(place);
            }
            let mut order = Vec::new();
            for _ in &places {
                line.freed();
                let place = line.call().expect("somebody waits");
                line.served(place);
                order.push(place);
                while let Some(place) = line.call() {
                    line.failed(place);
                }
            }
            let mut wanted = places;
            wanted.sort_by_key(|place| (place.class, place.number));
            prop_assert_eq!(order, wanted);
        }
    }

    #[test]
    fn a_waiter_who_leaves_with_the_turn_hands_it_on() {
        let mut line = Line::default();
        let first = line.join(0, 2).expect("empty").place;
        let second = line.join(0, 2).expect("one waits").place;
        assert_eq!(line.call(), Some(first));
        line.failed(first);
        assert_eq!(line.call(), Some(second));
        line.failed(second);
        line.freed();
        assert_eq!(line.call(), Some(first));
        line.left(first);
        assert_eq!(line.call(), Some(second));
    }

    #[test]
    fn a_turn_outside_of_rounds_that_is_left_or_served_begins_one() {
        for ends in [Line::left, Line::served] {
            let mut line = Line::default();
            let first = line.join(0, 2).expect("empty").place;
            assert_eq!(line.call(), Some(first));
            line.failed(first);
            let second = line.join(0, 2).expect("one waits").place;
            assert_eq!(line.call(), Some(second));
            ends(&mut line, second);
            assert_eq!(line.call(), Some(first));
        }
    }

    #[test]
    fn who_leaves_without_the_turn_tells_nobody() {
        let mut line = Line::default();
        for _ in 0..2 {
            line.join(0, 2);
        }
        while let Some(place) = line.call() {
            line.failed(place);
        }
        line.left(Place { class: 0, number: 1 });
        assert_eq!((line.call(), line.len()), (None, 1));
    }

    #[test]
    fn nobody_goes_for_somebody_who_may_not_wait() {
        let mut line = Line::default();
        line.join(1, 1);
        assert_eq!(line.join(0, 0), None, "no line any more, since a reload");
        assert_eq!(line.len(), 1);
    }

    #[test]
    fn a_round_ends_after_some_failures_however_long_the_line() {
        let mut line = Line::default();
        for _ in 0..100 {
            line.join(1, 100);
        }
        while let Some(place) = line.call() {
            line.failed(place);
        }
        line.freed();
        let mut tries = 0;
        while let Some(place) = line.call() {
            line.failed(place);
            tries += 1;
        }
        assert_eq!(tries, MOST_FAILURES);
    }
}
