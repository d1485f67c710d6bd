//! What is asked for of the last requests, read from a query.

use std::time::Duration;

use super::MOST;
use crate::admin::explain::pairs;
use crate::config::did_you_mean;
use crate::ledger::Wanted;
use crate::store::rows::MIRRORED;
use crate::store::{Cursor, Search, micros};
use crate::telemetry::RequestOutcome;
use crate::vocab::Fault;

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
                "outcome" => wanted.outcome = Some(one_of(&outcomes(), "outcome", value)?),
                "verdict" => wanted.verdict = Some(one_of(&verdicts(), "verdict", value)?),
                "status" => {
                    let said = || format!("status is 429 or 5xx, not `{value}`");
                    wanted.status = Some(status(&value).ok_or_else(said)?);
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

fn outcomes() -> Vec<&'static str> {
    RequestOutcome::ALL.into_iter().map(RequestOutcome::name).chain([MIRRORED]).collect()
}

fn verdicts() -> Vec<&'static str> {
    ["ok"].into_iter().chain(Fault::ALL.into_iter().map(Fault::name)).collect()
}

/// A word that nothing has would find nothing, which looks as if all were well.
fn one_of(words: &[&str], name: &str, value: String) -> Result<String, String> {
    if words.contains(&&*value) {
        return Ok(value);
    }
    let close = did_you_mean(&value, words.iter().copied());
    Err(format!("no {name} is `{value}`; {close}there are {}", words.join(", ")))
}

/// A status, or the first digit of several.
fn status(value: &str) -> Option<u16> {
    let (digits, all) = match value.strip_suffix("xx") {
        Some(digit) => (digit, 1..=5),
        None => (value, 100..=599),
    };
    digits.parse().ok().filter(|status| all.contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_request_has_is_refused_with_what_there_is() {
        for (query, why) in [
            ("outcome=faild", "did you mean `failed`? there are ok, client_fault, refused"),
            ("outcome=", "there are ok"),
            ("verdict=zzz", "no verdict is `zzz`; there are ok, "),
            ("status=9xx", "429 or 5xx"),
            ("status=0xx", "429 or 5xx"),
            ("status=600", "429 or 5xx"),
            ("status=99", "429 or 5xx"),
            ("status=429xx", "429 or 5xx"),
        ] {
            let said = Asked::read(query).expect_err(query);
            assert!(said.contains(why), "{query}: {said}");
        }
        for query in ["outcome=mirrored", "outcome=broken", "verdict=ok", "verdict=cancelled", "status=599"] {
            assert!(Asked::read(query).is_ok(), "{query}");
        }
        assert_eq!(Asked::read("status=5xx").expect("good").wanted.status, Some(5));
    }
}
