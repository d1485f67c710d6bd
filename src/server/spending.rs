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
use crate::algo::tick::Tick;
use crate::config::Level;
use crate::proxy::Gateway;
use crate::store::{Each, Error, Field, Query, Store};
use crate::vocab::{self, Money};

/// After how long replicas know at the latest what another one has spent and its ledger has written.
const POLL: Duration = Duration::from_secs(5);
/// How long the first request may have to wait for the store when the process starts.
const FIRST: Duration = Duration::from_secs(2);
/// Between two looks until then.
const AGAIN: Duration = Duration::from_millis(50);
/// Most sums of one answer.
const MOST: u32 = 200_000;
/// How often it is looked up what was spent in the part of an hour in which a budget did not hold yet: rows may come late.
const PART: Duration = Duration::from_mins(10);
const HOUR: u64 = 3600;

/// What was spent in the hour in which a budget begins, and before it does.
#[derive(Default)]
struct Before(HashMap<Wanted, Part>);

struct Part {
    asked: Option<Tick>,
    sums: HashMap<Box<str>, Money>,
}

impl Before {
    /// Sums are by whole hours. Where nobody can say it (the rows are gone, or too many to add up in time), that hour counts from
    /// its beginning.
    async fn of(&mut self, wanted: Wanted, now: Tick, store: &Store) -> &HashMap<Box<str>, Money> {
        let part = self.0.entry(wanted).or_insert_with(|| Part { asked: None, sums: HashMap::new() });
        let is_due = part.asked.is_none_or(|asked| now.since(asked) >= PART);
        if !wanted.since.is_multiple_of(HOUR) && is_due {
            part.asked = Some(now);
            let micros = |seconds: u64| micros(Duration::from_secs(seconds));
            let span = (micros(wanted.since - wanted.since % HOUR), micros(wanted.since));
            match store.spent(field(wanted.holder), span, MOST).await {
                Ok(Some(sums)) => {
                    part.sums = sums.into_iter().map(|(name, sum)| (name.into(), sum)).collect();
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, "what was spent before a budget began within an hour is not known");
                }
            }
        }
        &part.sums
    }
}

/// Looks again and again, for as long as the process lives.
pub(super) async fn follow(gateway: Arc<Gateway>, store: Option<Arc<Store>>) {
    let (mut away, mut before) = (false, Before::default());
    loop {
        // Whoever has a budget since a moment ago does not begin with nothing for long.
        let _ = timeout(POLL, gateway.budgets.news()).await;
        match look(&gateway, store.as_deref(), &mut before).await {
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
        while look(gateway, store, &mut Before::default()).await.is_err() {
            sleep(AGAIN).await;
        }
    };
    if timeout(FIRST, looked).await.is_err() {
        tracing::warn!(
            "what was spent of budgets before is not known yet; it counts once the store has said it"
        );
    }
}

async fn look(gateway: &Gateway, store: Option<&Store>, before: &mut Before) -> Result<(), Error> {
    let snapshot = gateway.snapshot();
    let lineages = snapshot.access.lineages();
    let routes = snapshot.table.routes.iter().map(|route| &route.config);
    gateway.budgets.expect(&lineages, snapshot.access.issuers(), routes);
    let Some(store) = store else { return Ok(()) };
    let all = gateway.budgets.wanted();
    before.0.retain(|wanted, _| all.contains(wanted));
    for wanted in all {
        let rows = store.usage(&query(wanted, gateway.live.clock.unix_now())).await?;
        let mut sums: HashMap<Box<str>, Money> = HashMap::new();
        for row in rows {
            if let [name, part] = &row.values[..]
                && !name.is_empty()
                && part != vocab::Part::Mirror.name()
            {
                let sum = sums.entry(name.as_str().into()).or_default();
                *sum = sum.plus(row.totals.cost);
            }
        }
        for (name, spent) in before.of(wanted, gateway.live.now(), store).await {
            if let Some(sum) = sums.get_mut(name) {
                *sum = sum.less(*spent);
            }
        }
        gateway.budgets.hear(wanted, sums);
    }
    Ok(())
}

fn field(holder: Holder) -> Field {
    match holder {
        Holder::Member(Level::Organisation) => Field::Organisation,
        Holder::Member(Level::Team) => Field::Team,
        Holder::Member(Level::User) => Field::User,
        Holder::Member(Level::Key) => Field::Key,
        Holder::Route => Field::Route,
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn query(wanted: Wanted, now: Duration) -> Query {
    Query {
        from: micros(Duration::from_secs(wanted.since)),
        to: micros(now),
        by: vec![field(wanted.holder), Field::Part],
        each: Each::All,
        tag: None,
        only: Vec::new(),
        most: MOST,
    }
}
