//! What the URLs of one request hold, for channels that take only the content.
//!
//! A channel that needs it gives its permit back while it is fetched (`drive`), so that a slow server of
//! pictures holds no place at an upstream and is nobody's latency. What came, or why it did not, is kept for
//! the request's later attempts: nothing is fetched twice. What a failed fetch means is `spoken`'s and the
//! verdict's: the request is unsayable to this channel, and another one may take the URL.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::intake::Guest;
use super::{Gateway, Snapshot, memory};
use crate::config::Media;
use crate::dialect::Dialect;
use crate::dialect::hub::{Ask, Terms};
use crate::dialect::remote::{self, Held};
use crate::dialect::tree::{Node, Wrong};
use crate::ledger::Wait;
use crate::state::holding::Holding;
use crate::telemetry::{Metrics, catalogue};
use crate::upstream::{FetchError, Fetched, Purse};

/// Bytes that one which is fetched takes until the request is written: itself and in base64, then in base64 twice, once
/// of them in the request (8/3), with what buffers have to spare.
const COPIES: u64 = 3;

/// The gateway may hold no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// Contents by URL. There are no more of them than `server.media.max_urls`.
#[derive(Default)]
pub struct Contents {
    known: HashMap<String, Result<Content, String>>,
    holding: Option<Holding>,
}

struct Content {
    kind: String,
    /// Encoded once, however many attempts send it.
    data: String,
}

/// Why an ask does not have the contents that it needs.
#[derive(Debug)]
pub enum Unfilled {
    /// Nobody has asked for these yet.
    Unfetched(Vec<String>),
    /// For the caller.
    Wrong(Wrong),
}

impl Contents {
    /// Puts contents into `ask`, for an upstream of dialect `to`, in place of the URLs that it cannot take.
    pub fn fill<'a>(
        &'a self,
        ask: &mut Ask<'a>,
        root: &Node<'a>,
        to: Dialect,
        terms: &Terms<'_>,
        settings: &Media,
    ) -> Result<(), Unfilled> {
        if !settings.enabled {
            return Ok(());
        }
        let urls = remote::wanted(ask, to, terms);
        let wrong = |url: &str, message: String| {
            let wrong = match remote::place(root, url) {
                Some(node) => node.wrong(message).place(root),
                None => Wrong::whole(message),
            };
            Unfilled::Wrong(wrong)
        };
        let missing: Vec<&str> = urls.iter().copied().filter(|url| !self.known.contains_key(*url)).collect();
        let room = (settings.max_urls as usize).saturating_sub(self.known.len());
        if let Some(url) = missing.get(room) {
            let message = format!(
                "more than {} URLs would have to be fetched for this model (server.media.max_urls); send the content itself, as base64",
                settings.max_urls
            );
            return Err(wrong(url, message));
        }
        if !missing.is_empty() {
            return Err(Unfilled::Unfetched(missing.into_iter().map(str::to_owned).collect()));
        }
        for url in urls {
            if let Some(Err(reason)) = self.known.get(url) {
                let message = format!(
                    "this model takes only the content, and the URL could not be fetched: {reason}; send the content itself, as base64"
                );
                return Err(wrong(url, message));
            }
        }
        let held = |url: &str| {
            let content = self.known.get(url)?.as_ref().ok()?;
            Some(Held { kind: &content.kind, data: &content.data })
        };
        remote::replace(ask, to, terms, held).map_err(|mismatch| wrong(&mismatch.url, mismatch.message))
    }

    /// Bytes that are kept.
    pub fn size(&self) -> u64 {
        self.known.values().flatten().map(|content| content.data.len() as u64).sum()
    }
}

/// Fetches `urls`, all at once, while the request's time lasts. Afterwards each of them is known, one way or
/// the other. What they take is paid for in `server.limits.memory` as it comes.
///
/// # Errors
/// There is no room for it, and nothing more is fetched.
pub async fn fetch(
    gateway: &Gateway,
    snapshot: &Snapshot,
    guest: &mut Guest,
    urls: Vec<String>,
) -> Result<(), NoRoom> {
    let begun = gateway.live.now();
    let patience = guest.deadline.since(begun);
    // A request may not grow larger by its URLs than it could have come; base64 makes four bytes of three.
    let room = snapshot.table.server.limits.max_body.saturating_sub(guest.contents.size());
    let empty = || memory::room(gateway, &snapshot.table, guest.priority);
    let holding = Arc::new(Mutex::new(guest.contents.holding.take().unwrap_or_else(empty)));
    let purse = Arc::new(Purse::new(room / 4 * 3, {
        let holding = Arc::clone(&holding);
        move |bytes| {
            let mut holding = holding.lock();
            let wanted = holding.bytes().saturating_add(bytes.saturating_mul(COPIES));
            holding.try_hold(wanted).is_ok()
        }
    }));
    // Dropped with the request when its caller hangs up, and every fetch with it.
    let mut fetching = JoinSet::new();
    let mut is_full = false;
    for url in urls {
        guest.contents.known.insert(url.clone(), Err("the fetch broke off".to_owned()));
        let (fetcher, purse) = (Arc::clone(&snapshot.fetcher), Arc::clone(&purse));
        fetching.spawn(async move {
            let fetched = fetcher.fetch(&url, patience, &purse).await;
            (url, fetched.map(encoded))
        });
    }
    while let Some(joined) = fetching.join_next().await {
        let Ok((url, fetched)) = joined else { continue };
        let result = fetched.as_ref().err().map_or("ok", FetchError::name);
        gateway.live.metrics.counter(&catalogue::MEDIA_FETCHES, &[result]).increment(1);
        tracing::debug!(request = %guest.request_id, result, "a caller's URL was fetched");
        is_full |= matches!(fetched, Err(FetchError::NoRoom));
        guest.contents.known.insert(url, fetched.map_err(|error| error.to_string()));
        if is_full {
            break;
        }
    }
    guest.settle.waited(Wait::Media, gateway.live.now().since(begun));
    // Nobody pays any more.
    drop((fetching, purse));
    let mut holding = Arc::into_inner(holding).map_or_else(empty, Mutex::into_inner);
    holding.hold(guest.contents.size());
    guest.contents.holding = Some(holding);
    if is_full { Err(NoRoom) } else { Ok(()) }
}

fn encoded(fetched: Fetched) -> Content {
    Content { kind: fetched.kind, data: BASE64_STANDARD.encode(&fetched.bytes) }
}

/// Lets every series of fetches begin at 0.
pub fn expect(metrics: &Metrics) {
    for result in ["ok"].into_iter().chain(FetchError::NAMES) {
        metrics.counter(&catalogue::MEDIA_FETCHES, &[result]).increment(0);
    }
}
