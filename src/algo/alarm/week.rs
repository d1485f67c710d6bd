//! What was spent in each hour of the last week, and what is usual for an hour of the day.

/// Hours in a day.
pub const DAY: i64 = 24;
/// Days that say what is usual.
pub const DAYS: i64 = 7;
/// A day more than that, so that the hour that goes on has a place of its own.
const HOURS: i64 = (DAYS + 1) * DAY;

/// Sums by hours since the Unix epoch.
#[derive(Clone, Debug)]
pub struct Week {
    /// Each with its hour; what is of an hour long ago counts as nothing.
    hours: Box<[(i64, u64)]>,
    /// From which hour on everything is known.
    first: Option<i64>,
}

impl Default for Week {
    fn default() -> Self {
        Self { hours: vec![(i64::MIN, 0); HOURS as usize].into(), first: None }
    }
}

impl Week {
    /// Everything is known from this hour on: what was put down for none of the hours since then was nothing.
    pub fn known_from(&mut self, hour: i64) {
        self.first = Some(hour);
    }

    /// So much in all in that hour. The first time, everything is known from there on.
    pub fn put(&mut self, hour: i64, sum: u64) {
        self.first.get_or_insert(hour);
        self.hours[place(hour)] = (hour, sum);
    }

    pub fn of(&self, hour: i64) -> u64 {
        let (then, sum) = self.hours[place(hour)];
        if then == hour { sum } else { 0 }
    }

    /// On average in that hour of the last seven days, or of as many as are known; `None` where no whole day is.
    pub fn usual(&self, hour: i64) -> Option<u64> {
        let days = (hour.saturating_sub(self.first?) / DAY).min(DAYS);
        if days < 1 {
            return None;
        }
        let sum: u128 = (1..=days).map(|day| u128::from(self.of(hour - day * DAY))).sum();
        u64::try_from(sum / u128::try_from(days).unwrap_or(1)).ok()
    }
}

fn place(hour: i64) -> usize {
    hour.rem_euclid(HOURS) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_hour_is_compared_with_the_same_one_of_other_days() {
        let mut week = Week::default();
        assert_eq!(week.usual(1000), None);
        week.put(1000, 70);
        week.put(1001, 5);
        assert_eq!(week.usual(1023), None, "not a day");
        assert_eq!(week.usual(1024), Some(70));
        assert_eq!(week.usual(1025), Some(5));
        assert_eq!(week.usual(1048), Some(35), "nothing was spent a day ago");
        assert_eq!(week.usual(1000 + 7 * 24), Some(10));
        assert_eq!(week.usual(1000 + 8 * 24), Some(0));
    }

    proptest! {
        #[test]
        fn it_remembers_what_a_map_would(
            first in 0_i64..500_000, steps in prop::collection::vec((0_i64..60, 0_u64..1_000_000), 1..100),
        ) {
            let (mut week, mut map, mut hour) = (Week::default(), BTreeMap::new(), first);
            for (step, sum) in steps {
                hour += step;
                week.put(hour, sum);
                map.insert(hour, sum);
                let begun = *map.keys().next().expect("one is there");
                let days = ((hour - begun) / 24).min(7);
                let expected = (days > 0).then(|| {
                    (1..=days).map(|day| map.get(&(hour - day * 24)).copied().unwrap_or(0)).sum::<u64>() / days as u64
                });
                prop_assert_eq!(week.usual(hour), expected);
                prop_assert_eq!(week.of(hour), sum);
            }
        }
    }
}
