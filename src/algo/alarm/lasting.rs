//! A condition that counts once it has held for some time, and until it has not for some time.

use std::time::Duration;

use super::Turn;
use crate::algo::tick::Tick;

/// For how long something has to be so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Before it begins.
    pub begins: Duration,
    /// And not be so, before it is over.
    pub ends: Duration,
}

/// A condition, as far as somebody should know of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lasting {
    on: bool,
    /// Since when it has been otherwise.
    otherwise: Option<Tick>,
}

impl Lasting {
    /// Somebody has looked, and it is `so`, or not.
    pub fn look(&mut self, so: bool, patience: Patience, now: Tick) -> Option<Turn> {
        if so == self.on {
            self.otherwise = None;
            return None;
        }
        let since = *self.otherwise.get_or_insert(now);
        let (wait, turn) = if so { (patience.begins, Turn::Begun) } else { (patience.ends, Turn::Over) };
        if now.since(since) < wait {
            return None;
        }
        *self = Self { on: so, otherwise: None };
        Some(turn)
    }

    pub const fn is_on(&self) -> bool {
        self.on
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Patience = Patience { begins: Duration::from_mins(1), ends: Duration::from_secs(30) };

    fn at(seconds: u64) -> Tick {
        Tick::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn it_begins_after_a_minute_and_is_over_after_half_a_one() {
        let mut lasting = Lasting::default();
        for (second, so, turn) in [
            (0, true, None),
            (59, true, None),
            (60, true, Some(Turn::Begun)),
            (61, true, None),
            (70, false, None),
            (99, true, None),
            (100, false, None),
            (129, false, None),
            (130, false, Some(Turn::Over)),
            (131, false, None),
        ] {
            assert_eq!(lasting.look(so, PATIENCE, at(second)), turn, "after {second} s");
        }
    }

    #[test]
    fn what_has_no_patience_turns_at_once() {
        let none = Patience { begins: Duration::ZERO, ends: Duration::ZERO };
        let mut lasting = Lasting::default();
        assert_eq!(lasting.look(true, none, at(0)), Some(Turn::Begun));
        assert_eq!(lasting.look(false, none, at(0)), Some(Turn::Over));
    }

    proptest! {
        #[test]
        fn turns_take_turns_and_each_has_had_its_time(
            looks in prop::collection::vec((0_u64..40, any::<bool>()), 1..200),
        ) {
            let (mut lasting, mut now) = (Lasting::default(), 0);
            // As long as it has been so without a break, as the looks saw it.
            let (mut run, mut is): (u64, bool) = (0, false);
            let mut last = Turn::Over;
            for (gap, so) in looks {
                now += gap;
                run = if so == is { run + gap } else { 0 };
                is = so;
                let Some(turn) = lasting.look(so, PATIENCE, at(now)) else { continue };
                prop_assert!(turn != last, "the same twice");
                prop_assert_eq!(so, turn == Turn::Begun);
                prop_assert!(run >= if so { 60 } else { 30 }, "after {} s", run);
                prop_assert_eq!(lasting.is_on(), so);
                last = turn;
            }
        }
    }
}
