//! Opens the store that the configuration names, and tends it.
//!
//! A file that cannot be opened is a mistake, and the gateway does not start. A PostgreSQL that is away is
//! none: requests are served without it, and its connections are tried for as long as the process lives.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::loader::{Draft, Loader, Rejection};
use super::tasks::Tasks;
use crate::config::{self, StorePlace};
use crate::state::Live;
use crate::store::{Store, Time, Work};
use crate::telemetry::StoreHandles;

/// Old rows are thrown away and months made ahead.
const TEND: Duration = Duration::from_hours(1);
/// After the start: a store that is there has answered by then.
const AT_FIRST: Duration = Duration::from_secs(1);
/// After it was tried in vain.
const SOON: Duration = Duration::from_secs(10);

/// For the log of SQLite's to be moved: more than another program is waited for, and no more than a disk that hangs is.
const GOODBYE: Duration = Duration::from_secs(4);

/// What was opened.
pub struct Opened {
    pub store: Arc<Store>,
    /// What has to run for it to answer.
    pub work: Vec<Work>,
    pub(super) retention: config::Retention,
}

/// Opens what `draft` names, from where `loader` reads it.
pub fn open(loader: &Loader, draft: &Draft, live: &Arc<Live>) -> Result<Option<Opened>, Rejection> {
    let Some(config::Store { place, retention }) = &draft.blueprint.store else { return Ok(None) };
    let unusable =
        |why: String| Rejection::Unusable { file: loader.source().name(), path: "store.url".to_owned(), why };
    let clock = Arc::clone(live);
    let time: Time = Arc::new(move || (clock.now(), clock.clock.unix_now()));
    let handles = StoreHandles::new(&live.metrics);
    let (store, work) = match place {
        StorePlace::Sqlite(path) => {
            let path = loader.beside(path);
            let store = Store::sqlite(&path, time, handles).map_err(|error| {
                let shown = path.display();
                unusable(format!(
                    "{shown} cannot be opened as a store ({error}); name a file of SQLite's that no other \
                     process holds, or a new one, in a directory that the gateway's user may write into"
                ))
            })?;
            (store, Vec::new())
        }
        StorePlace::Postgres { url, ca_file, tls, .. } => {
            let config = tokio_postgres::Config::from_str(url.expose());
            let config = config.map_err(|_| unusable("the URL is no PostgreSQL one".to_owned()))?;
            let trusted = draft.roots.get(ca_file).filter(|_| *tls).cloned();
            let (store, work) = Store::postgres(&config, trusted, time, handles, [live.dice(), live.dice()]);
            (store, Vec::from(work))
        }
    };
    store.keeps(retention);
    Ok(Some(Opened { store, work, retention: *retention }))
}

/// From here on it answers, and is tended.
pub(super) fn begin(opened: Opened, tasks: &Tasks) {
    for work in opened.work {
        tasks.spawn("store", work);
    }
    tasks.spawn("store tended", tend(opened.store, opened.retention));
}

/// For as long as the process lives.
async fn tend(store: Arc<Store>, retention: config::Retention) {
    let mut wait = AT_FIRST;
    loop {
        sleep(wait).await;
        wait = match store.tend(&retention).await {
            Ok(()) => TEND,
            Err(error) => {
                tracing::debug!(%error, "the store could not be tended");
                SOON
            }
        };
    }
}

/// Nobody writes any more.
pub(super) async fn close(store: &Store) {
    let why = match timeout(GOODBYE, store.settle()).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the disk takes too long".to_owned(),
    };
    tracing::warn!(why, "the store's last changes stay in the -wal file beside it; copy both, or neither");
}
