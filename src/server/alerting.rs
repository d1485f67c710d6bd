//! Runs what `alerts` decides: looks every few seconds, and posts what is to be told.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::tasks::Tasks;
use crate::alerts::watch::Purses;
use crate::alerts::{Answer, Herald, Kept, Letter, Watch, untold};
use crate::algo::tick::Tick;
use crate::dialect::classify::asked_wait;
use crate::ledger::Ledger;
use crate::proxy::Gateway;
use crate::state::Live;
use crate::store::Store;
use crate::upstream::{Dial, Poster};

/// Between two looks at live memory.
const LOOK: Duration = Duration::from_secs(5);
/// And at what is spent.
const COUNT: Duration = Duration::from_mins(1);
/// For a receiver to answer.
const PATIENCE: Duration = Duration::from_secs(10);

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What outlives the process, where something does.
#[derive(Clone)]
pub(super) struct Keeping {
    pub(super) store: Arc<Store>,
    pub(super) ledger: Arc<Ledger>,
}

/// Begins to watch and to tell.
pub(super) fn begin(
    gateway: &Arc<Gateway>,
    dial: Arc<dyn Dial>,
    keeping: Option<Keeping>,
    tasks: &Tasks,
) -> Arc<Herald> {
    let herald = Herald::new(&gateway.live);
    follow(&herald, gateway);
    tasks.spawn("alerts watched", watch(Arc::clone(&herald), Arc::clone(gateway), keeping.clone()));
    let store = keeping.map(|keeping| keeping.store);
    let shared = store.clone().filter(|store| store.is_shared());
    tasks.spawn("spending watched", count(Arc::clone(gateway), store));
    let poster = Arc::new(Poster::new(dial));
    tasks.spawn("alerts told", tell(Arc::clone(&herald), Arc::clone(&gateway.live), poster, shared));
    herald
}

fn follow(herald: &Herald, gateway: &Gateway) {
    let table = &gateway.snapshot().table;
    herald.follow(&table.alerts.webhooks, &table.revision);
}

async fn watch(herald: Arc<Herald>, gateway: Arc<Gateway>, keeping: Option<Keeping>) {
    let mut watch = Watch::default();
    loop {
        sleep(LOOK).await;
        follow(&herald, &gateway);
        let snapshot = gateway.snapshot();
        let most = snapshot.table.ledger.spool.max_bytes;
        let kept = keeping.as_ref().map(|Keeping { store, ledger }| Kept {
            presence: store.standing().presence,
            spooled: (ledger.standing().spooled_bytes, most),
        });
        watch.look(&snapshot.table, kept.as_ref());
    }
}

async fn count(gateway: Arc<Gateway>, store: Option<Arc<Store>>) {
    let (live, mut purses) = (&gateway.live, Purses::default());
    loop {
        sleep(COUNT).await;
        let unix = i64::try_from(live.clock.unix_now().as_micros()).unwrap_or(i64::MAX);
        let settings = gateway.snapshot().table.alerts.clone();
        match &store {
            Some(store) => {
                if let Err(error) = purses.ask(store, unix, &settings, &live.alerts).await {
                    tracing::debug!(%error, "nobody knows what is spent while the store is away");
                }
            }
            None => purses.count(live.spent.load(Relaxed), unix, &settings, &live.alerts),
        }
    }
}

/// One replica tells what all see, where they share a store.
async fn tell(herald: Arc<Herald>, live: Arc<Live>, poster: Arc<Poster>, shared: Option<Arc<Store>>) {
    let (mut posts, mut claims) = (JoinSet::new(), JoinSet::new());
    loop {
        for news in herald.news() {
            match shared.clone() {
                Some(store) => {
                    let unix = live.clock.unix_now();
                    claims.spawn(async move { untold(&store, news, unix).await });
                }
                None => herald.tell(news),
            }
        }
        for letter in herald.letters() {
            posts.spawn(post(Arc::clone(&poster), Arc::clone(&live), letter));
        }
        tokio::select! {
            alert = live.alerts.next() => herald.hear(alert),
            Some(posted) = posts.join_next() => {
                if let Ok((letter, answer)) = posted {
                    herald.posted(&letter, answer);
                }
            }
            Some(claimed) = claims.join_next() => {
                if let Ok(news) = claimed {
                    herald.tell(news);
                }
            }
            () = herald.woken() => {}
            () = at(&live, herald.next()) => {}
        }
    }
}

async fn at(live: &Live, time: Option<Tick>) {
    match time {
        Some(time) => sleep_until(live.clock.instant(time)).await,
        None => std::future::pending().await,
    }
}

async fn post(poster: Arc<Poster>, live: Arc<Live>, letter: Letter) -> (Letter, Answer) {
    let mut fields = HeaderMap::new();
    fields.insert(CONTENT_TYPE, JSON);
    fields.insert(TIMESTAMP, HeaderValue::from(letter.timestamp));
    let texts = [(ID, Some(&*letter.id)), (SIGNATURE, letter.signature.as_deref())];
    fields.extend(
        texts.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::from_str(text?).ok()?))),
    );
    let body = Bytes::from(letter.body.clone());
    let webhook = &letter.webhook;
    let answer = match poster.post(&webhook.host, webhook.path.expose(), fields, body, PATIENCE).await {
        Ok((status, fields)) => {
            let wait = asked_wait(status.as_u16(), &fields, live.clock.unix_now());
            Answer::Status { code: status.as_u16(), wait }
        }
        Err(why) => Answer::None(why),
    };
    (letter, answer)
}
