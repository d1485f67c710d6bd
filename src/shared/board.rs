//! Notes for all replicas to read, each until it expires: one sorted set, whose scores are the milliseconds
//! of Redis's own clock at which they do.
//!
//! Replicas' clocks need not agree, since none of them is asked: what is put up and what is read is for how
//! long a note holds from now on, and the server's `TIME` makes a date of it and back. The same note put up
//! twice holds until the later end (`ZADD GT`, Redis 6.2). The set is bounded, is rid of what has expired
//! whenever a note is put up, and expires itself when nobody does for a day. Its key has the version of what
//! is on the notes, so that old and new replicas do not misread each other.

use std::sync::Arc;
use std::time::Duration;

use redis::Pipeline;

use super::link::{Link, Silence};
use crate::telemetry::SharedOperation;

/// Most notes on a board; those that hold longest stay.
pub const MOST: u32 = 1024;
/// Longest that a note may hold; the board lives as long after the last one was put up.
const LONGEST: Duration = Duration::from_hours(28);

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub text: String,
    /// For how long it holds from now on.
    pub left: Duration,
}

pub struct Board {
    link: Arc<Link>,
    key: String,
}

/// The server's time, and texts with their scores.
type Found = ((u64, u64), Vec<(Vec<u8>, f64)>);

impl Board {
    /// The board of this name, whose notes are of this version.
    pub fn new(link: Arc<Link>, name: &str, version: u32) -> Self {
        let key = format!("{}:{name}:{version}", link.settings().prefix);
        Self { link, key }
    }

    /// Puts up `entries` and takes down the notes that read `outdated`.
    pub async fn post(&self, entries: &[Entry], outdated: &[String]) -> Result<(), Silence> {
        let mut asked = redis::pipe();
        asked.cmd("TIME");
        let (time,): ((u64, u64),) = self.link.begin(SharedOperation::Post, &asked).await?;
        self.link.ask(SharedOperation::Post, &self.posting(entries, outdated, millis(time))).await
    }

    fn posting(&self, entries: &[Entry], outdated: &[String], now: u64) -> Pipeline {
        let mut commands = redis::pipe();
        if !outdated.is_empty() {
            commands.cmd("ZREM").arg(&self.key).arg(outdated).ignore();
        }
        for Entry { text, left } in entries {
            // Rounded down: a note never outlasts what it tells of.
            let until = now.saturating_add(whole_millis((*left).min(LONGEST)));
            commands.cmd("ZADD").arg(&self.key).arg("GT").arg(until).arg(text).ignore();
        }
        commands.cmd("ZREMRANGEBYSCORE").arg(&self.key).arg("-inf").arg(now).ignore();
        commands.cmd("ZREMRANGEBYRANK").arg(&self.key).arg(0).arg(-1 - i64::from(MOST)).ignore();
        commands.cmd("PEXPIRE").arg(&self.key).arg(whole_millis(LONGEST)).ignore();
        commands
    }

    /// What is up, the longest-lived first. What is no text is given as best it can be read.
    pub async fn read(&self) -> Result<Vec<Entry>, Silence> {
        let mut commands = redis::pipe();
        commands.cmd("TIME");
        commands.cmd("ZRANGE").arg(&self.key).arg("+inf").arg("-inf").arg("BYSCORE").arg("REV");
        commands.arg("LIMIT").arg(0).arg(MOST).arg("WITHSCORES");
        let (time, found): Found = self.link.ask(SharedOperation::Read, &commands).await?;
        let now = millis(time);
        let entries = found.into_iter().filter_map(|(text, score)| {
            // Scores are what anybody may have written: infinite, negative, none at all.
            let until = if score.is_finite() { score.max(0.0) as u64 } else { return None };
            let left = Duration::from_millis(until.saturating_sub(now)).min(LONGEST);
            let text = String::from_utf8_lossy(&text).into_owned();
            (!left.is_zero()).then_some(Entry { text, left })
        });
        Ok(entries.collect())
    }
}

/// Seconds and microseconds, as `TIME` says them.
const fn millis((seconds, micros): (u64, u64)) -> u64 {
    seconds.saturating_mul(1000).saturating_add(micros / 1000)
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
