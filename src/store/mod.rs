//! What outlives the process: the ledger's rows, callers' keys, the audit trail. The only room that speaks SQL.
//!
//! ```text
//! ledger ─ write ──┐                    ┌─ lane ── a thread: SQLite   (sqlite)
//! keys, audit ─────┼── Store ── script ─┤
//! reports ─ usage ─┘                    └─ lane ── a task: PostgreSQL (postgres)
//! ```
//!
//! A batch of rows changes sums by hour and day in the same transaction; reports are made of those, so that they
//! are exact and quick, and rows can go. Both databases do the same: every method makes a [`script`], which knows
//! neither of them. Nobody waits here longer than [`WRITE`] or [`READ`], and nothing is queued while the store is
//! away; keeping what could not be written is `ledger`'s business. No prompt, answer or secret ever comes here, only
//! keyed hashes of callers' keys.

mod alerts;
mod audit;
mod error;
mod keys;
mod lane;
mod months;
mod old;
mod pages;
mod postgres;
mod reprice;
pub mod rows;
mod schema;
mod script;
mod search;
mod slots;
mod spent;
mod sqlite;
mod standing;
mod sums;
mod tend;
mod units;
mod usage;
mod write;

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use rustls::ClientConfig;

pub use self::units::names as units;
pub use alerts::{Telling, Tells};
pub use audit::AuditRow;
pub use error::Error;
pub use keys::{Digest, KeyRow};
pub use pages::{AtAttempt, AtRequest, Page};
pub use reprice::{Priced, Repriced};
pub use search::{Cursor, FoundAttempt, FoundRequest, MOST_AT_ONCE, Search};
pub use standing::{Presence, Standing, Time};
pub use usage::{Each, Field, Query, Totals, UsageRow};
pub use write::{REMEMBERED, micros};

use self::lane::Lane;
use self::postgres::Role;
use self::script::{Answer, Script};
use self::sqlite::Checkpoint;
use self::standing::Watch;
use crate::algo::dice::Dice;
use crate::config::Retention;
use crate::telemetry::StoreHandles;

/// Longest wait for a write, its turn included.
pub const WRITE: Duration = Duration::from_secs(5);
/// Longest wait for an answer.
pub const READ: Duration = Duration::from_secs(15);

/// A database, and how it stands.
pub struct Store {
    database: Database,
    writer: Lane,
    reader: Lane,
    watch: Arc<Watch>,
    /// How long rows are kept, in milliseconds; [`u64::MAX`] until somebody says it.
    kept_millis: AtomicU64,
}

#[derive(Clone)]
enum Database {
    Sqlite(Arc<sqlite::File>),
    Postgres,
}

/// What has to run for a store to answer.
pub type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Store {
    /// Opens a file of SQLite's, or makes it. Its threads end with the store.
    pub fn sqlite(path: &Path, time: Time, handles: StoreHandles) -> Result<Arc<Self>, Error> {
        let watch = Watch::new("sqlite", time, handles);
        let (file, connection) = sqlite::File::open(path)?;
        let [(writer, writes), (reader, reads)] = [Lane::new(), Lane::new()];
        let begin = |name: &str, serve: Box<dyn FnOnce() + Send>| {
            let begun = std::thread::Builder::new().name(name.to_owned()).spawn(serve);
            begun.map(drop).map_err(|error| Error::Refused(format!("no thread for it: {error}")))
        };
        let (write, read) = (Arc::clone(&file), Arc::clone(&file));
        begin("store write", Box::new(move || sqlite::write(&write, connection, writes)))?;
        begin("store read", Box::new(move || sqlite::read_only(&read, reads)))?;
        watch.here();
        Ok(Arc::new(Self {
            database: Database::Sqlite(file),
            writer,
            reader,
            watch,
            kept_millis: AtomicU64::new(u64::MAX),
        }))
    }

    /// A PostgreSQL server, which may be away for now: what comes along is to be run for as long as the store is used.
    /// `trusted` says whose certificates are good; `dice` are for the pauses of its two connections.
    pub fn postgres(
        config: &tokio_postgres::Config,
        trusted: Option<Arc<ClientConfig>>,
        time: Time,
        handles: StoreHandles,
        dice: [Dice; 2],
    ) -> (Arc<Self>, [Work; 2]) {
        let watch = Watch::new("postgres", time, handles);
        let server = postgres::Server::new(config, trusted);
        let [(writer, writes), (reader, reads)] = [Lane::new(), Lane::new()];
        let [first, second] = dice;
        let work: [Work; 2] = [
            Box::pin(postgres::serve(server.clone(), Role::Write, writes, Arc::clone(&watch), first)),
            Box::pin(postgres::serve(server, Role::Read, reads, Arc::clone(&watch), second)),
        ];
        let kept_millis = AtomicU64::new(u64::MAX);
        (Arc::new(Self { database: Database::Postgres, writer, reader, watch, kept_millis }), work)
    }

    /// Rows go after this: what is older than that cannot be written again, since nobody could tell.
    pub fn keeps(&self, retention: &Retention) {
        let millis = u64::try_from(retention.requests.as_millis()).unwrap_or(u64::MAX);
        self.kept_millis.store(millis, Relaxed);
    }

    fn kept(&self) -> Duration {
        Duration::from_millis(self.kept_millis.load(Relaxed))
    }

    pub fn standing(&self) -> Standing {
        self.watch.standing()
    }

    /// Changes something, within [`WRITE`].
    async fn change(&self, script: Script) -> Result<Answer, Error> {
        let (begun, _) = self.watch.now();
        let result = self.writer.run(script, WRITE).await;
        self.watch.written(begun, &result);
        self.noted(result)
    }

    /// Reads something, within [`READ`].
    async fn look(&self, script: Script) -> Result<Vec<script::Row>, Error> {
        self.noted(self.reader.run(script, READ).await).map(Answer::rows)
    }

    /// Leaves a file of SQLite's that is whole without its log, so that a copy of it is one of everything. What is
    /// written afterwards is in a new log.
    pub async fn settle(&self) -> Result<(), Error> {
        self.checkpoint(Checkpoint::Truncate).await
    }

    async fn checkpoint(&self, how: Checkpoint) -> Result<(), Error> {
        match &self.database {
            Database::Sqlite(file) => {
                let file = Arc::clone(file);
                let done = tokio::task::spawn_blocking(move || file.checkpoint(how)).await;
                done.unwrap_or_else(|error| Err(Error::Away(error.to_string())))
            }
            Database::Postgres => Ok(()),
        }
    }

    fn noted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result
            && let Some(kind) = error.kind()
        {
            self.watch.handles.failed(kind);
        }
        result
    }
}
