//! One of several replicas tells what all of them see: the one whose word is in the store first.
//!
//! Twice is better than never: a store that is away, or does not answer at once, keeps nobody from telling. Receivers
//! can tell by `webhook-id` then, mostly: it follows from what is told.

use std::time::Duration;

use tokio::time::timeout;

use super::board::{News, Occasion};
use crate::store::{Store, Telling, Tells};

/// The store has as long to answer; two messages of one subject are farther apart.
const PATIENCE: Duration = Duration::from_secs(2);

/// What of `news` nobody else has told; `now` since the Unix epoch.
pub async fn untold(store: &Store, mut news: News, now: Duration) -> News {
    let tells = match news.occasion {
        Occasion::Begun => Tells::Begun,
        Occasion::Reminder => Tells::GoesOn,
        Occasion::Over => Tells::Over,
        // Whoever asks a replica for a test wants to see its own.
        Occasion::Test => return news,
    };
    let all: Vec<Telling<'_>> =
        news.items.iter().map(|item| Telling { subject: &item.subject, since: item.since }).collect();
    match timeout(PATIENCE, store.claim_alerts(news.kind, tells, &all, now)).await {
        Ok(Ok(claimed)) => {
            let mut claimed = claimed.into_iter();
            news.items.retain(|_| claimed.next().unwrap_or(true));
        }
        Ok(Err(error)) => tracing::debug!(%error, "other replicas may tell the same"),
        Err(_) => tracing::debug!("the store has not answered; other replicas may tell the same"),
    }
    news
}
