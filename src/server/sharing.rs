//! Tells other replicas which keys have to rest, and hears it from them (`server.redis`).
//!
//! Off the way of every request: a task looks at what the others do not know whenever a key begins to rest
//! and twice a second, puts it on the board, and takes over what is there. Nothing is queued: what could not
//! be told is still so at the next look, and what has ended by then is no news. Nothing is told twice either: a
//! Redis that forgets is left with what is new, since all who were there know the rest. What is worth telling
//! is `state::hearsay`'s business, how it travels `shared`'s.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsConnector;

use crate::config::{self, BaseUrl, Http2};
use crate::proxy::Gateway;
use crate::shared::{Board, Entry, Link};
use crate::state::hearsay::{self, Note};
use crate::state::{Live, Table};
use crate::telemetry::SharedHandles;
use crate::upstream::{Dial as _, Socket, Target, TcpDial};

/// The board's name, and the version of its notes ([`hearsay`]).
const BOARD: (&str, u32) = ("cooldowns", 1);
/// Told in one round trip; the others are told at the next look.
const AT_ONCE: usize = 256;

pub(super) struct Sharing {
    pub(super) link: Arc<Link>,
    board: Board,
    handles: SharedHandles,
    /// Whether unreadable notes have been spoken of since there were none.
    warned: Warned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Warned {
    Yes,
    No,
}

impl Sharing {
    pub(super) fn new(redis: config::Redis, live: &Live) -> Self {
        let link = Link::new(redis, SharedHandles::new(&live.metrics));
        let (name, version) = BOARD;
        let board = Board::new(Arc::clone(&link), name, version);
        Self { link, board, handles: SharedHandles::new(&live.metrics), warned: Warned::No }
    }

    /// Tells and hears for as long as the process lives.
    pub(super) async fn follow(mut self, gateway: Arc<Gateway>) {
        let poll = self.link.settings().poll;
        let mut next = now(&gateway.live) + poll;
        loop {
            let looks = tokio::select! {
                () = sleep_until(next) => Looks::Both,
                () = gateway.live.resting.notified() => Looks::Tell,
            };
            let table = Arc::clone(&gateway.snapshot().table);
            self.tell(&table).await;
            if looks == Looks::Both {
                self.hear(&table).await;
                // From when it is done, so that a slow Redis is not asked more often.
                next = now(&gateway.live) + poll;
            }
        }
    }

    async fn tell(&self, table: &Table) {
        let untold = hearsay::untold(table, AT_ONCE);
        if untold.is_empty() {
            return;
        }
        let entry = |note: &Note| Entry { text: note.text.clone(), left: note.left };
        let entries: Vec<Entry> = untold.iter().map(|untold| entry(&untold.note)).collect();
        let outdated: Vec<String> = untold.iter().filter_map(|untold| untold.outdated.clone()).collect();
        // Who does not hear of it now is told at the next look.
        if self.board.post(&entries, &outdated).await.is_ok() {
            for told in &untold {
                told.told();
                self.handles.told(told.name());
            }
        }
    }

    async fn hear(&mut self, table: &Table) {
        let Ok(entries) = self.board.read().await else { return };
        let notes: Vec<Note> = entries.into_iter().map(|Entry { text, left }| Note { text, left }).collect();
        let learnt = hearsay::hear(table, &notes);
        for kind in learnt.taken {
            self.handles.taken(kind);
        }
        let unreadable = learnt.unreadable;
        self.handles.unreadable.increment(unreadable as u64);
        if unreadable > 0 && self.warned == Warned::No {
            let redis = self.link.settings().shown();
            tracing::warn!(redis, unreadable, "what others wrote where cooldowns are shared is ignored");
        }
        self.warned = if unreadable > 0 { Warned::Yes } else { Warned::No };
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    /// Something is new here.
    Tell,
    Both,
}

fn now(live: &Live) -> Instant {
    live.clock.instant(live.now())
}

/// How Redis is reached.
#[derive(Clone)]
pub(super) struct Dialler {
    target: Arc<Target>,
    tls: Option<TlsConnector>,
}

impl Dialler {
    /// `trusted` says whose certificates are good, where there is TLS.
    pub(super) fn new(redis: &config::Redis, trusted: Option<&Arc<ClientConfig>>) -> Self {
        let config::Redis { tls, host, port, .. } = redis;
        let base = BaseUrl { https: *tls, host: Arc::clone(host), port: *port, path: String::new() };
        let trusted = trusted.filter(|_| *tls);
        Self {
            target: Arc::new(Target::new(&base, Http2::Never)),
            tls: trusted.map(|config| TlsConnector::from(Arc::clone(config))),
        }
    }

    pub(super) async fn dial(self) -> Result<Box<dyn Socket>, String> {
        let socket = TcpDial.dial(Arc::clone(&self.target)).await.map_err(|error| error.to_string())?;
        let Some(tls) = self.tls else {
            // A password never goes in clear where TLS was asked for.
            return if self.target.https {
                Err("there are no roots to trust".to_owned())
            } else {
                Ok(socket)
            };
        };
        let host = &self.target.host;
        let name = ServerName::try_from(host.to_string()).map_err(|_| format!("{host} is no server name"))?;
        let stream = tls.connect(name, socket).await.map_err(|error| format!("TLS: {error}"))?;
        Ok(Box::new(stream))
    }
}
