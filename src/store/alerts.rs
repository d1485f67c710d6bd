//! Who of the replicas tells operators of something: whoever puts it down here first.
//!
//! Replicas notice the same at slightly different times, and not always the same. So there is one row for each subject,
//! which says what was told of it last: a beginning that was told within the hour, or an end that came after the
//! beginning, is not told again. What is told, and what becomes of a message, is `alerts`' affair.

use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::error::Error;
use super::script::{Script, Value};
use super::write::micros;
use super::{Database, Store};
use crate::vocab::AlertKind;

/// What was told to fire is not told again for so long, whoever notices it: sooner than anybody is reminded of it, so
/// that it is told of again if whoever would tell of its end has died.
const TOLD: Duration = Duration::from_hours(1);
/// A budget fires for as long as its window, and a replica may serve its holder late: longer than between two
/// reminders.
const BUDGET_TOLD: Duration = Duration::from_hours(5);
/// Rows that are put down at once.
const AT_ONCE: usize = 100;
const COLUMNS: usize = 6;

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// It has begun.
    Begun,
    /// It goes on.
    GoesOn,
    /// It is over.
    Over,
}

/// Something that is to be told.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    pub subject: &'a str,
    /// When it began, as far as the one knows who tells it; since the Unix epoch.
    pub since: Duration,
}

impl Tells {
    /// When a row that is there may be changed, by whoever tells it then.
    fn unless_told(self, kind: AlertKind) -> String {
        let lasts = match (self, kind) {
            (Self::Begun, AlertKind::Budget) => BUDGET_TOLD,
            (
                Self::Begun,
                AlertKind::SpendSpike
                | AlertKind::ErrorSpike
                | AlertKind::ChannelDown
                | AlertKind::CredentialDead
                | AlertKind::StoreAway,
            )
            | (Self::GoesOn | Self::Over, _) => TOLD,
        };
        let long_ago = format!("alerts.told_micros <= excluded.told_micros - {}", lasts.as_micros());
        // An end that was told since it began was of the same, or of a later one.
        let of_another = "alerts.told_micros < excluded.since_micros";
        match self {
            Self::Begun => format!("CASE alerts.firing WHEN 1 THEN {long_ago} ELSE {of_another} END"),
            Self::GoesOn => format!("alerts.firing = 0 OR {long_ago}"),
            Self::Over => format!("alerts.firing = 1 OR {of_another}"),
        }
    }
}

impl Store {
    /// Whether other replicas use it as well.
    pub const fn is_shared(&self) -> bool {
        match &self.database {
            Database::Postgres => true,
            Database::Sqlite(_) => false,
        }
    }

    /// Puts down that all of this is told `now`, since the Unix epoch; whether it is the first to say so, of each. No
    /// subject may be there twice.
    pub async fn claim_alerts(
        &self,
        kind: AlertKind,
        tells: Tells,
        all: &[Telling<'_>],
        now: Duration,
    ) -> Result<Vec<bool>, Error> {
        let ids: Vec<u128> = all.iter().map(|telling| id(kind, telling.subject)).collect();
        // In one order, or two replicas might wait for each other.
        let mut rows: Vec<_> = ids.iter().zip(all).collect();
        rows.sort_by_key(|(id, _)| **id);
        let mut claimed = Vec::new();
        for rows in rows.chunks(AT_ONCE) {
            let mut values = Vec::with_capacity(rows.len() * COLUMNS);
            for (id, telling) in rows {
                values.extend([
                    Value::id(**id),
                    Value::text(kind.name()),
                    Value::text(telling.subject),
                    Value::Int(i64::from(tells != Tells::Over)),
                    Value::Int(micros(telling.since)),
                    Value::Int(micros(now)),
                ]);
            }
            let answer = self.change(Script::ask(statement(kind, tells, rows.len()), values)).await?;
            claimed.extend(answer.rows().iter().map(|row| row.id(0)));
        }
        Ok(ids.iter().map(|id| claimed.contains(id)).collect())
    }
}

fn statement(kind: AlertKind, tells: Tells, rows: usize) -> String {
    let mut sql =
        "INSERT INTO alerts (id, kind, subject, firing, since_micros, told_micros) VALUES ".to_owned();
    for row in 0..rows {
        let comma = if row == 0 { "" } else { ", " };
        let marks: Vec<String> = (1..=COLUMNS).map(|column| format!("${}", row * COLUMNS + column)).collect();
        let _ = write!(sql, "{comma}({})", marks.join(", "));
    }
    let _ = write!(
        sql,
        " ON CONFLICT (id) DO UPDATE SET firing = excluded.firing, since_micros = excluded.since_micros, \
         told_micros = excluded.told_micros WHERE {} RETURNING id",
        tells.unless_told(kind)
    );
    sql
}

/// Subjects are longer than what an index takes, and may be cut.
fn id(kind: AlertKind, subject: &str) -> u128 {
    let hash = Sha256::new().chain_update(kind.name()).chain_update([0]).chain_update(subject).finalize();
    hash.iter().take(16).fold(0, |id, byte| (id << 8) | u128::from(*byte))
}
