//! The store: SQLite and a real PostgreSQL, which have to give the same answers to the same questions, and those that
//! the rows add up to.

mod alerts;
mod budgets;
mod exported;
mod keys;
mod laws;
mod model;
pub mod postgres;
mod reports;
mod repriced;
mod served;
mod spooled;
mod trouble;

use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use mainstay::algo::dice::Dice;
use mainstay::algo::tick::Tick;
use mainstay::store::{Presence, Store, Time};
use mainstay::telemetry::{Metrics, StoreHandles};
use tempfile::TempDir;

use self::postgres::Postgres;

/// A store, and all that it stands on.
struct Held {
    store: Arc<Store>,
    metrics: Metrics,
    clock: Clock,
    work: Vec<tokio::task::JoinHandle<()>>,
    directory: Option<TempDir>,
}

/// Unix time in seconds, and nothing else: what takes how long is no matter here.
#[derive(Clone)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn time(&self) -> Time {
        let clock = self.clone();
        Arc::new(move || {
            let unix = Duration::from_secs(clock.0.load(SeqCst));
            (Tick::ZERO + unix, unix)
        })
    }
}

impl Held {
    fn sqlite() -> Self {
        let directory = TempDir::with_prefix("mainstay-store-").unwrap();
        let (metrics, clock) = (Metrics::new(), Clock(Arc::new(AtomicU64::new(model::BEGIN))));
        let handles = StoreHandles::new(&metrics);
        let store = Store::sqlite(&directory.path().join("ledger.db"), clock.time(), handles).unwrap();
        Self { store, metrics, clock, work: Vec::new(), directory: Some(directory) }
    }

    /// One of `server`'s users, there being any number.
    fn postgres(server: &Postgres) -> Self {
        let (metrics, clock) = (Metrics::new(), Clock(Arc::new(AtomicU64::new(model::BEGIN))));
        let config = tokio_postgres::Config::from_str(&server.url()).unwrap();
        let dice = [Dice::seeded(1), Dice::seeded(2)];
        let handles = StoreHandles::new(&metrics);
        let (store, work) = Store::postgres(&config, None, clock.time(), handles, dice);
        let work = work.into_iter().map(tokio::spawn).collect();
        Self { store, metrics, clock, work, directory: None }
    }

    /// Until it answers.
    async fn ready(self) -> Self {
        self.becomes_here().await;
        self
    }

    async fn becomes_here(&self) {
        for _ in 0..600 {
            // Both of its connections.
            if self.store.standing().presence == Presence::Here && self.store.list_keys().await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it does not come: {:?}", self.store.standing());
    }

    fn metric(&self, series: &str) -> Option<f64> {
        let text = self.metrics.render();
        let line =
            text.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.work.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// SQLite, and PostgreSQL where there is one.
async fn both(server: Option<&Postgres>) -> Vec<Held> {
    let mut all = vec![Held::sqlite()];
    if let Some(server) = server {
        all.push(Held::postgres(server).ready().await);
    }
    all
}
