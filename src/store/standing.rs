//! How the store is, for people and for metrics.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::error::Error;
use crate::algo::tick::Tick;
use crate::telemetry::StoreHandles;

/// The time of whoever opens the store, since no clock is read here: now, and Unix time.
pub type Time = Arc<dyn Fn() -> (Tick, Duration) + Send + Sync>;

/// How it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `sqlite` or `postgres`.
    pub database: &'static str,
    pub presence: Presence,
    /// Unix time since when that is so; none before anything is known.
    pub since: Option<Duration>,
    /// How long the last write took that was done.
    pub last_write: Option<Duration>,
    /// What it takes on disk, as of the last look.
    pub bytes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    Here,
    Away { why: String },
}

/// Keeps account of it.
pub struct Watch {
    time: Time,
    pub handles: StoreHandles,
    standing: Mutex<Standing>,
}

impl Watch {
    pub fn new(database: &'static str, time: Time, handles: StoreHandles) -> Arc<Self> {
        handles.up.set(0.0);
        let presence = Presence::Away { why: "the first try has not ended yet".to_owned() };
        let standing = Standing { database, presence, since: None, last_write: None, bytes: None };
        Arc::new(Self { time, handles, standing: Mutex::new(standing) })
    }

    pub fn standing(&self) -> Standing {
        self.standing.lock().clone()
    }

    pub fn now(&self) -> (Tick, Duration) {
        (self.time)()
    }

    pub fn here(&self) {
        let mut standing = self.standing.lock();
        if standing.presence != Presence::Here || standing.since.is_none() {
            standing.presence = Presence::Here;
            standing.since = Some(self.now().1);
            self.handles.up.set(1.0);
            tracing::info!(database = standing.database, "the store is there");
        }
    }

    /// Said once for each change.
    pub fn away(&self, why: &str) {
        let mut standing = self.standing.lock();
        let known = matches!(standing.presence, Presence::Away { .. }) && standing.since.is_some();
        standing.presence = Presence::Away { why: why.to_owned() };
        if !known {
            standing.since = Some(self.now().1);
            self.handles.up.set(0.0);
            tracing::warn!(database = standing.database, why, "the store is away");
        }
    }

    /// A write that began at `begun` has ended.
    pub fn written<T>(&self, begun: Tick, result: &Result<T, Error>) {
        match result {
            Ok(_) => {
                let took = self.now().0.since(begun);
                self.handles.seconds.record(took.as_secs_f64());
                self.here();
                self.standing.lock().last_write = Some(took);
            }
            // What is wrong with what was asked says nothing of the store.
            Err(Error::Away(why) | Error::Refused(why)) => self.away(why),
            Err(error @ Error::Late) => self.away(&error.to_string()),
            Err(Error::Taken | Error::Changed) => {}
        }
    }

    pub fn measured(&self, bytes: u64) {
        self.standing.lock().bytes = Some(bytes);
    }
}
