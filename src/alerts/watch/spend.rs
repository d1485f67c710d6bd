//! Hours in which more is spent than usual: by the whole gateway, and by each team.
//!
//! Where there is a store its sums say it, of all replicas together and of the week before this process; where there is
//! none, this process's own, of the whole gateway only. Teams are what budgets are handed out to: a key has few
//! requests and no usual hour, and an organisation is the whole gateway or nearly so.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::algo::alarm::week::{DAY, DAYS};
use crate::algo::alarm::{Spending, Turn};
use crate::config;
use crate::state::alerts::Alerts;
use crate::store::{Each, Error, Field, Query, Store};
use crate::vocab::{Alert, AlertKind, AlertState, Money, Part};

/// Microseconds in an hour.
const HOUR: i64 = 3_600_000_000;
/// Teams that are watched, those that spend most.
const MOST: u32 = 500;
/// What attempts are to their requests, and what none was made for.
const PARTS: u32 = Part::ALL.len() as u32 + 1;
/// What the whole gateway is called here; no team has no name.
const ALL: &str = "";

/// What everybody spends.
#[derive(Debug, Default)]
pub struct Purses {
    of: BTreeMap<Box<str>, Spending>,
    /// The hour whose other days are known.
    learnt: Option<i64>,
    /// What had been spent in all when the hour began, where there is no store.
    counted: Option<(i64, u64)>,
}

impl Purses {
    /// Looks at what the store says. `unix` is in microseconds.
    pub async fn ask(
        &mut self,
        store: &Store,
        unix: i64,
        settings: &config::Alerts,
        alerts: &Alerts,
    ) -> Result<(), Error> {
        let hour = unix.div_euclid(HOUR);
        if self.learnt != Some(hour) {
            self.learn(store, hour).await?;
            self.learnt = Some(hour);
        }
        let sums = sums(store, hour, hour + 1).await?;
        self.put(hour, &sums);
        self.look(hour, settings, alerts);
        Ok(())
    }

    /// What was spent in this hour of the last seven days, and who has spent anything on which day.
    async fn learn(&mut self, store: &Store, hour: i64) -> Result<(), Error> {
        let today = hour.div_euclid(DAY);
        let mut seen = BTreeSet::from([Box::from(ALL)]);
        for day in (1..=DAYS + 1).rev() {
            let first = (today - day) * DAY;
            for (team, _) in sums(store, first, first + DAY).await? {
                let spending = self.of.entry(team.clone()).or_default();
                if spending.week.usual(hour).is_none() {
                    // On his first day somebody may have begun at any hour.
                    spending.week.known_from(first + DAY - 1);
                }
                seen.insert(team);
            }
        }
        // The last hour's sum was not yet all of it.
        for then in (1..=DAYS).map(|day| hour - day * DAY).chain([hour - 1]) {
            let sums = sums(store, then, then + 1).await?;
            self.put(then, &sums);
        }
        self.of.retain(|team, spending| spending.is_on() || seen.contains(team));
        Ok(())
    }

    /// Where there is no store: so much has been spent in all since the start.
    pub fn count(&mut self, total: u64, unix: i64, settings: &config::Alerts, alerts: &Alerts) {
        let hour = unix.div_euclid(HOUR);
        let (begun, before) = *self.counted.get_or_insert((hour, total));
        if begun != hour {
            // What came since the last look is the new hour's.
            let known = before.saturating_add(self.of.get(ALL).map_or(0, |all| all.week.of(begun)));
            self.counted = Some((hour, known));
        }
        let before = self.counted.map_or(total, |(_, before)| before);
        self.put(hour, &[(ALL.into(), total.saturating_sub(before))]);
        self.look(hour, settings, alerts);
    }

    /// Whoever is not named has spent nothing.
    fn put(&mut self, hour: i64, sums: &[(Box<str>, u64)]) {
        for spending in self.of.values_mut() {
            if spending.week.of(hour) > 0 {
                spending.week.put(hour, 0);
            }
        }
        for (team, sum) in sums {
            self.of.entry(team.clone()).or_default().week.put(hour, *sum);
        }
    }

    fn look(&mut self, hour: i64, settings: &config::Alerts, alerts: &Alerts) {
        for (team, spending) in &mut self.of {
            let Some(turn) = spending.look(hour, &settings.spend_spike) else { continue };
            let who = if **team == *ALL { "The gateway".to_owned() } else { format!("Team {team}") };
            let subject = if **team == *ALL { "gateway".into() } else { format!("team {team}").into() };
            let spent = Money::nano_usd(spending.week.of(hour));
            let usual = spending.week.usual(hour).map(Money::nano_usd).unwrap_or_default();
            let (state, text) = match turn {
                Turn::Begun => (
                    AlertState::Firing,
                    format!(
                        "{who} has spent {spent} in this hour so far; usually it is {usual} in the whole of it."
                    ),
                ),
                Turn::Over => (
                    AlertState::Resolved,
                    format!("{who} spends no more than usual: {spent} in this hour so far."),
                ),
            };
            alerts.raise(Alert { kind: AlertKind::SpendSpike, subject, text, state });
        }
    }
}

/// What teams have spent in these hours, and all together, those without one included.
async fn sums(store: &Store, from: i64, to: i64) -> Result<Vec<(Box<str>, u64)>, Error> {
    let query = |by, most| Query {
        from: from * HOUR,
        to: to * HOUR,
        by,
        each: Each::All,
        tag: None,
        only: Vec::new(),
        most,
    };
    let all = store.usage(&query(vec![Field::Part], PARTS)).await?;
    let teams = store.usage(&query(vec![Field::Team, Field::Part], MOST * PARTS)).await?;
    let mut sums: BTreeMap<Box<str>, u64> = BTreeMap::new();
    for row in all.iter().chain(&teams) {
        let who = match &row.values[..] {
            // Who mirrors knows what he does: it is no caller's spending.
            [.., part] if part == Part::Mirror.name() => continue,
            [_] => ALL,
            // What is of no team is in the sum of all.
            [team, _] if !team.is_empty() => team,
            _ => continue,
        };
        let sum = sums.entry(who.into()).or_default();
        *sum = sum.saturating_add(row.totals.cost.as_nano_usd());
    }
    let mut sums: Vec<(Box<str>, u64)> = sums.into_iter().filter(|(_, sum)| *sum > 0).collect();
    sums.sort_by_key(|(_, sum)| Reverse(*sum));
    sums.truncate(MOST as usize + 1);
    Ok(sums)
}
