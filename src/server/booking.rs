//! Keeps the journal, and the ledger where there is a store for it: opens its spool before the first request, runs its
//! writer, and has the last rows written when the process leaves.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{io, iter};

use super::loader::{Draft, Loader, Rejection};
use super::tasks::Tasks;
use crate::config::{Blueprint, StorePlace};
use crate::ledger::{Journal, Ledger, Spool};
use crate::proxy::Gateway;
use crate::store::Store;

/// A spool is called this where nobody calls it otherwise.
const SPOOL: &str = "mainstay-spool";
/// Most gateways that spool beside each other where none of them is told where to.
const SIDE_BY_SIDE: usize = 8;
/// For the last rows.
const GOODBYE: Duration = Duration::from_secs(3);

/// The spool that the configuration names; none where there is no store.
pub(super) fn spool(
    loader: &Loader,
    draft: &Draft,
    store: Option<&Arc<Store>>,
) -> Result<Option<Spool>, Rejection> {
    if store.is_none() {
        return Ok(None);
    }
    let settings = &draft.blueprint.ledger.spool;
    let directory = loader.beside(&place(&draft.blueprint));
    let opened = match settings.path {
        Some(_) => Spool::open(&directory, settings.max_bytes),
        None => beside_others(&directory, settings.max_bytes),
    };
    opened.map(Some).map_err(|error| Rejection::Unusable {
        file: loader.source().name(),
        path: "ledger.spool.path".to_owned(),
        why: format!(
            "rows cannot be kept in {} ({error}); name a directory of this gateway's own that its user may write into",
            directory.display()
        ),
    })
}

/// The first of `directory`, `directory-2` … that no other process has, with what the dead have left in all of them. So
/// a gateway may start while the one that it replaces still ends its streams.
fn beside_others(directory: &Path, most_bytes: u64) -> io::Result<Spool> {
    let others = (2..=SIDE_BY_SIDE).map(|place| {
        let mut name = directory.as_os_str().to_owned();
        name.push(format!("-{place}"));
        PathBuf::from(name)
    });
    let mut own: Option<Spool> = None;
    let mut refused = None;
    for place in iter::once(directory.to_owned()).chain(others) {
        if own.is_some() && !place.exists() {
            continue;
        }
        match (Spool::open(&place, most_bytes), &mut own) {
            (Ok(spool), None) => own = Some(spool),
            (Ok(left), Some(own)) => {
                // What cannot be moved, to another file system for one, stays for whoever starts there.
                if let Err(error) = own.adopt(left) {
                    tracing::warn!(%error, directory = %place.display(), "what a gateway has left there is not taken over");
                }
            }
            (Err(error), _) if error.kind() == io::ErrorKind::AddrInUse => refused = Some(error),
            (Err(error), None) => return Err(error),
            // It is somebody else's; ours is well.
            (Err(_), Some(_)) => {}
        }
    }
    own.ok_or_else(|| refused.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
}

/// Where rows are while the store is away: as the configuration says, or where something is written already.
fn place(blueprint: &Blueprint) -> PathBuf {
    let file = match blueprint.store.as_ref().map(|store| &store.place) {
        Some(StorePlace::Sqlite(file)) => Some(file),
        Some(StorePlace::Postgres { .. }) | None => blueprint.server.state_file.as_ref(),
    };
    let beside = || file.map_or_else(|| SPOOL.into(), |file| file.with_file_name(SPOOL));
    blueprint.ledger.spool.path.clone().unwrap_or_else(beside)
}

/// From here on the last requests are at hand, and in the log.
pub(super) fn note(gateway: &Gateway, tasks: &Tasks) -> Arc<Journal> {
    let most = gateway.snapshot().table.telemetry.journal_requests;
    let (journal, clerk) = Journal::open(&gateway.live, most);
    gateway.keep_journal(Arc::clone(&journal));
    tasks.spawn("journal", clerk.run());
    journal
}

/// From here on rows are kept.
pub(super) fn keep(gateway: &Gateway, store: &Arc<Store>, spool: Spool, tasks: &Tasks) -> Arc<Ledger> {
    let (ledger, writer) = Ledger::open(&gateway.live, Arc::clone(store), spool);
    gateway.keep_books(Arc::clone(&ledger));
    tasks.spawn("ledger", writer.run());
    ledger
}

/// Nobody leaves anything any more.
pub(super) async fn close(ledger: &Ledger) {
    ledger.flush(GOODBYE).await;
}

/// The same of the journal.
pub(super) async fn close_journal(journal: &Journal) {
    journal.flush(GOODBYE).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algo::crc::Crc;
    use crate::config;
    use crate::config::testing::Given;

    #[test]
    fn a_spool_is_where_it_is_said_or_else_where_something_is_written_already() {
        let at = |more: &str| {
            let text = format!(
                "version: 1\nupstreams: {{a: {{provider: simulated}}}}\nroutes: [{{model: m, channels: [{{upstream: a}}]}}]\n{more}"
            );
            place(&config::load(&text, &Given::default()).expect("it is well").blueprint)
        };
        let postgres = "store: {url: 'postgres://u:secret@db/m'}\n";
        let sqlite = "store: {url: 'sqlite:data/m.db'}\n";
        let state = "server: {state_file: /var/lib/m/state.json}\n";
        assert_eq!(at(sqlite), Path::new("data/mainstay-spool"));
        assert_eq!(at(&format!("{sqlite}{state}")), Path::new("data/mainstay-spool"));
        assert_eq!(at(postgres), Path::new("mainstay-spool"));
        assert_eq!(at(&format!("{postgres}{state}")), Path::new("/var/lib/m/mainstay-spool"));
        assert_eq!(at(&format!("{sqlite}ledger: {{spool: {{path: /tmp/s}}}}\n")), Path::new("/tmp/s"));
    }
    #[test]
    fn gateways_beside_each_other_have_spools_of_their_own() {
        let home = tempfile::tempdir().expect("a directory");
        let place = home.path().join(SPOOL);
        let first = beside_others(&place, 1 << 20).expect("it is free");
        let second = beside_others(&place, 1 << 20).expect("there is room beside it");
        assert!(home.path().join(format!("{SPOOL}-2")).join("lock").exists());
        drop(first);
        let third = beside_others(&place, 1 << 20).expect("the first place is free again");
        assert!(!home.path().join(format!("{SPOOL}-3")).exists());
        drop((second, third));
    }

    #[test]
    fn what_cannot_be_taken_over_keeps_nobody_from_starting() {
        // Nothing is moved from one file system to another.
        let elsewhere = tempfile::tempdir_in("/dev/shm").expect("Linux has one in memory");
        let home = tempfile::tempdir().expect("a directory");
        let place = home.path().join(SPOOL);
        let left = elsewhere.path().join("left");
        std::fs::create_dir(&left).expect("it is new");
        std::fs::write(left.join("0000000000000000.rows"), segment()).expect("there is room");
        std::os::unix::fs::symlink(&left, home.path().join(format!("{SPOOL}-2"))).expect("a link");
        beside_others(&place, 1 << 20).expect("its own place is well");
        let kept = std::fs::read(left.join("0000000000000000.rows")).expect("nobody could move it");
        assert_eq!(kept, segment());
    }

    /// One frame, of whatever it may be.
    fn segment() -> Vec<u8> {
        let rows_and_batch = [1, 0, 0, 0, 7, 7, 7, 7];
        let mut sum = Crc::default();
        sum.add(&rows_and_batch);
        [&12_u32.to_le_bytes(), &sum.value().to_le_bytes(), &rows_and_batch[..]].concat()
    }

    #[test]
    fn no_more_gateways_than_there_are_places_spool_beside_each_other() {
        let home = tempfile::tempdir().expect("a directory");
        let place = home.path().join(SPOOL);
        let open = || beside_others(&place, 1 << 20);
        let all: Vec<Spool> = (0..SIDE_BY_SIDE).map(|_| open().expect("there is room")).collect();
        assert_eq!(open().expect_err("there is none").kind(), io::ErrorKind::AddrInUse);
        drop(all);
    }
}
