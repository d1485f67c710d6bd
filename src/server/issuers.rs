//! Fetches issuers' public keys behind the requests' backs: at the start, every few minutes, and when a token names one
//! that is not known. What is done with them is `access::tokens`' affair.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::access::tokens::{Published, Publishers};
use crate::config::{self, KeysAt};
use crate::state::Live;
use crate::telemetry::catalogue;
use crate::upstream::{Dial, document};

/// For each document.
const PATIENCE: Duration = Duration::from_secs(5);
/// Sets of keys are a few KB.
const MOST_BYTES: usize = 256 * 1024;
/// How often it is looked whether somebody's keys are due.
const TICK: Duration = Duration::from_secs(1);
/// How long the first request may have to wait for them when the process starts.
const FIRST: Duration = Duration::from_secs(2);

/// Who fetches them.
pub(super) struct Messenger {
    pub(super) publishers: Arc<Publishers>,
    pub(super) dial: Arc<dyn Dial>,
    pub(super) live: Arc<Live>,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Messenger {
    /// For as long as the process lives.
    pub(super) async fn follow(self: Arc<Self>) {
        loop {
            self.round().await;
            if self.publishers.all().is_empty() {
                self.publishers.rung().await;
            } else {
                // What it was rung for is due at once.
                let _ = timeout(TICK, self.publishers.rung()).await;
            }
        }
    }

    /// Waits, not for long, until all have been asked once, before anybody is served.
    pub(super) async fn first(&self) {
        let all_asked = async {
            while self.publishers.all().iter().any(|published| !published.was_asked()) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(FIRST, all_asked).await.is_err() {
            tracing::warn!(
                "an issuer's keys are not known yet; whoever has a token of its is refused until they are"
            );
        }
    }

    /// Asks everybody who is due, all at once.
    async fn round(&self) {
        let now = self.live.clock.unix_now();
        let mut asking = JoinSet::new();
        for published in self.publishers.all().into_iter().filter(|published| published.is_due(now)) {
            let (dial, live) = (Arc::clone(&self.dial), Arc::clone(&self.live));
            asking.spawn(async move { ask(&published, &dial, &live).await });
        }
        asking.join_all().await;
    }
}

async fn ask(published: &Published, dial: &Arc<dyn Dial>, live: &Live) {
    let fetched = fetch(published, dial).await;
    let now = live.clock.unix_now();
    let name = &*published.name;
    let result = match fetched {
        Ok(text) => published.came(text, now).map_err(|error| error.to_string()),
        Err(error) => {
            published.failed(now);
            Err(error)
        }
    };
    let word = if result.is_ok() { "ok" } else { "failed" };
    live.metrics.counter(&catalogue::ISSUER_FETCHES, &[name, word]).increment(1);
    match result {
        Err(error) if published.failures() == 1 => {
            tracing::warn!(issuer = name, %error, "an issuer's keys did not come; those known so far go on");
        }
        Ok(()) | Err(_) => {}
    }
}

async fn fetch(published: &Published, dial: &Arc<dyn Dial>) -> Result<Vec<u8>, String> {
    let roots = || published.roots.load_full();
    let get = async |url: &str| {
        config::is_trustworthy(url).map_err(|why| format!("{url} {why}"))?;
        document(dial, url, roots(), MOST_BYTES, PATIENCE).await.map_err(|error| error.to_string())
    };
    let url = match &published.at {
        KeysAt::Here(url) => Arc::clone(url),
        KeysAt::SaidBy(url) => {
            let said = get(url).await?;
            let said: Discovery =
                serde_json::from_slice(&said).map_err(|_| format!("{url} does not say where they are"))?;
            if said.issuer != *published.iss {
                return Err(format!("{url} is of another issuer"));
            }
            said.jwks_uri.into()
        }
    };
    get(&url).await.map(Vec::from)
}
