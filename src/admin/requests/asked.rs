//! What is asked for of the last requests, read from a query.

use std::time::Duration;

use super::MOST;
use crate::admin::explain::pairs;
use crate::ledger::Wanted;
use crate::store::{Cursor, Search, micros};

/// What is looked for, and where a page before ended.
#[derive(Debug)]
pub(super) struct Asked {
    pub wanted: Wanted,
    /// Within the store.
    pub cursor: Option<Cursor>,
}

impl Asked {
    /// # Errors
    /// What of the query cannot be understood.
    pub fn read(query: &str) -> Result<Self, String> {
        let (mut wanted, mut cursor) = (Wanted::default(), None);
        for (name, value) in pairs(query) {
            let number = || value.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
            let moment = || {
                let seconds = number().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                seconds.ok_or_else(|| format!("{name} is a Unix time in seconds, not `{value}`"))
            };
            match name.as_str() {
                "key" => wanted.key = Some(value),
                "team" => wanted.team = Some(value),
                "model" => wanted.model = Some(value),
                "route" => wanted.route = Some(value),
                "channel" => wanted.channel = Some(value),
                "outcome" => wanted.outcome = Some(value),
                "verdict" => wanted.verdict = Some(value),
                "status" => {
                    let status = value.trim_end_matches("xx").parse().ok();
                    wanted.status =
                        Some(status.ok_or_else(|| format!("status is 429 or 5xx, not `{value}`"))?);
                }
                "from" => wanted.from = Some(moment()?),
                "to" => wanted.to = Some(moment()?),
                "slower_than" => {
                    let millis = number().and_then(|millis| Duration::try_from_secs_f64(millis / 1e3).ok());
                    let said = || format!("slower_than is a number of milliseconds, not `{value}`");
                    wanted.slower_than = Some(millis.ok_or_else(said)?);
                }
                "before" => {
                    wanted.before = value.parse().ok();
                    cursor = Cursor::parse(&value);
                    if wanted.before.is_none() && cursor.is_none() {
                        return Err(format!("before is what a page said as `next_before`, not `{value}`"));
                    }
                }
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MOST).contains(limit));
                    wanted.most = limit.ok_or_else(|| format!("limit is 1 to {MOST}, not `{value}`"))?;
                }
                // What the form does not list is refused at the door.
                _ => {}
            }
        }
        Ok(Self { wanted, cursor })
    }

    /// The same of the store.
    ///
    /// # Errors
    /// What no column has.
    pub fn of_store(&self) -> Result<Search, String> {
        let Wanted { key, team, model, route, channel, outcome, verdict, .. } = self.wanted.clone();
        let Wanted { status, from, to, slower_than, most, .. } = self.wanted;
        if let Some(status) = status {
            return Err(format!(
                "status={status} is known of the last requests alone, and not of those in the store; ask for an outcome, or \
                 leave out `from`"
            ));
        }
        Ok(Search {
            key,
            team,
            model,
            route,
            channel,
            outcome,
            verdict,
            slower_than,
            from: from.map(micros),
            to: to.map(micros),
            before: self.cursor,
            most: u32::try_from(most).unwrap_or(u32::MAX),
        })
    }
}
