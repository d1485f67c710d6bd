//! Asks the store what everybody has spent, so that budgets outlast the process and replicas know of each other.
//!
//! Off the way of every request: once before the first one, and then every few seconds, and whenever somebody may have
//! another budget than before. While the store is away what
//! was known goes on, and what is booked here is booked all the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::access::budgets::Wanted;
use crate::access::limits::Holder;
use crate::config::Level;
use crate::proxy::Gateway;
use crate::store::{Each, Error, Field, Query, Store};
use crate::vocab::{Money, Part};

/// After how long replicas know at the latest what another one has spent and its ledger has written.
const POLL: Duration = Duration::from_secs(5);
/// How long the first request may have to wait for the store when the process starts.
const FIRST: Duration = Duration::from_secs(2);
/// Between two looks until then.
const AGAIN: Duration = Duration::from_millis(50);
/// Most sums of one answer.
const MOST: u32 = 200_000;

/// Looks again and again, for as long as the process lives.
pub(super) async fn follow(gateway: Arc<Gateway>, store: Option<Arc<Store>>) {
    let mut away = false;
    loop {
        // Whoever has a budget since a moment ago does not begin with nothing for long.
        let _ = timeout(POLL, gateway.budgets.news()).await;
        match look(&gateway, store.as_deref()).await {
            Ok(()) => away = false,
            Err(error) if !away => {
                away = true;
                tracing::warn!(%error, "what other replicas spend of budgets is not heard of");
            }
            Err(_) => {}
        }
    }
}

/// The first look, before anybody is served.
pub(super) async fn first(gateway: &Gateway, store: Option<&Store>) {
    let looked = async {
        // A PostgreSQL may be about to answer its first knock.
        while look(gateway, store).await.is_err() {
            sleep(AGAIN).await;
        }
    };
    if timeout(FIRST, looked).await.is_err() {
        tracing::warn!(
            "what was spent of budgets before is not known yet; it counts once the store has said it"
        );
    }
}

async fn look(gateway: &Gateway, store: Option<&Store>) -> Result<(), Error> {
    let snapshot = gateway.snapshot();
    let lineages = snapshot.access.lineages();
    let routes = snapshot.table.routes.iter().map(|route| &route.config);
    gateway.budgets.expect(&lineages, snapshot.access.issuers(), routes);
    let Some(store) = store else { return Ok(()) };
    for wanted in gateway.budgets.wanted() {
        let rows = store.usage(&query(wanted, gateway.live.clock.unix_now())).await?;
        let mut sums: HashMap<Box<str>, Money> = HashMap::new();
        for row in rows {
            if let [name, part] = &row.values[..]
                && !name.is_empty()
                && part != Part::Mirror.name()
            {
                let sum = sums.entry(name.as_str().into()).or_default();
                *sum = sum.plus(row.totals.cost);
            }
        }
        gateway.budgets.hear(wanted, sums);
    }
    Ok(())
}

fn query(wanted: Wanted, now: Duration) -> Query {
    let field = match wanted.holder {
        Holder::Member(Level::Organisation) => Field::Organisation,
        Holder::Member(Level::Team) => Field::Team,
        Holder::Member(Level::User) => Field::User,
        Holder::Member(Level::Key) => Field::Key,
        Holder::Route => Field::Route,
    };
    let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
    Query {
        from: micros(Duration::from_secs(wanted.since)),
        to: micros(now),
        by: vec![field, Field::Part],
        each: Each::All,
        tag: None,
        only: Vec::new(),
        most: MOST,
    }
}
