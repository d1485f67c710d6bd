//! Asks the store what everybody has spent, so that budgets outlast the process and replicas know of each other.
//!
//! Off the way of every request: once before the first one, and then every few seconds, and whenever somebody may have
//! another budget than before. While the store is away what
//! was known goes on, and what is booked here is booked all the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::keyring;
use crate::access::budgets::Wanted;
use crate::access::limits::Holder;
use crate::algo::tick::Tick;
use crate::config::Level;
use crate::ledger::Ledger;
use crate::proxy::{Gateway, beside};
use crate::store::{Each, Error, Field, Query, Store};
use crate::vocab::{self, Money};

/// After how long replicas know at the latest what another one has spent and its ledger has written.
const POLL: Duration = Duration::from_secs(5);
/// How long the first request may have to wait for the store when the process starts.
const FIRST: Duration = Duration::from_secs(2);
/// How long it may have to wait until what the last process has left on disk is in the store: some million requests.
const REPLAYED: Duration = Duration::from_secs(10);
/// Between two looks until then.
const AGAIN: Duration = Duration::from_millis(50);
/// Most sums of one answer.
const MOST: u32 = 200_000;
/// How often it is looked up what was spent in the part of an hour in which a budget did not hold yet: rows may come
/// late.
const PART: Duration = Duration::from_mins(10);
const HOUR: u64 = 3600;

/// What was spent in the hour in which a budget begins, and before it does.
#[derive(Default)]
struct Before(HashMap<Wanted, Part>);

type Sums = HashMap<Box<str>, Money>;

#[derive(Default)]
struct Part {
    /// When the store was asked last, and is not asked again at once.
    asked: Option<Tick>,
    /// `None` before it has answered.
    sums: Option<Sums>,
}

impl Before {
    /// Sums are by whole hours. Where nobody can say it (the rows are gone), that hour counts from its beginning;
    /// `None` where it has to be asked again at the next look.
    async fn of(&mut self, wanted: Wanted, now: Tick, store: &Store) -> Option<&Sums> {
        let part = self.0.entry(wanted).or_default();
        if is_aligned(wanted) {
            return Some(part.sums.get_or_insert_default());
        }
        if part.is_due(now) {
            let micros = |seconds: u64| micros(Duration::from_secs(seconds));
            let span = (micros(wanted.since - wanted.since % HOUR), micros(wanted.since));
            part.hear(store.spent(field(wanted.holder), span, MOST).await, now);
        }
        part.sums.as_ref()
    }
}

impl Part {
    fn is_due(&self, now: Tick) -> bool {
        self.asked.is_none_or(|asked| now.since(asked) >= PART)
    }

    fn hear(&mut self, answer: Result<Option<Vec<(String, Money)>>, Error>, now: Tick) {
        match answer {
            Ok(Some(sums)) => {
                self.sums = Some(sums.into_iter().map(|(name, sum)| (name.into(), sum)).collect());
            }
            Ok(None) => {
                self.sums.get_or_insert_default();
            }
            Err(error) => {
                tracing::debug!(%error, "what was spent before a budget began within an hour is not known");
            }
        }
        // What was never known cannot wait for long: without it, too much would count against the budget.
        if self.sums.is_some() {
            self.asked = Some(now);
        }
    }
}

/// Whether sums by whole hours are all that it takes.
fn is_aligned(wanted: Wanted) -> bool {
    wanted.since.is_multiple_of(HOUR)
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
pub(super) async fn first(gateway: &Gateway, store: Option<&Store>, ledger: Option<&Ledger>) {
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
        return;
    }
    // What is on disk is in nobody's sums.
    let is_behind = || ledger.is_some_and(|ledger| ledger.standing().spooled_batches > 0);
    if !is_behind() {
        return;
    }
    let replayed = async {
        while is_behind() {
            sleep(AGAIN).await;
        }
        // If it does not answer, it is asked again soon.
        let _ = look(gateway, store, &mut Before::default()).await;
    };
    if timeout(REPLAYED, replayed).await.is_err() {
        tracing::warn!(
            "what the last process has left on disk counts against no budget before the store has it"
        );
    }
}

async fn look(gateway: &Gateway, store: Option<&Store>, before: &mut Before) -> Result<(), Error> {
    let snapshot = gateway.snapshot();
    let effort = keyring::effort(&snapshot.access);
    let mut all = beside::work(effort, || {
        let routes = snapshot.table.routes.iter().map(|route| &route.config);
        gateway.budgets.expect(&snapshot.access.lineages(), snapshot.access.issuers(), routes);
        gateway.budgets.wanted()
    });
    let Some(store) = store else { return Ok(()) };
    // The others may have to wait for the store for long.
    all.sort_by_key(|wanted| !is_aligned(*wanted));
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
        // Of whom that is not known, nothing is heard at this look.
        let Some(part) = before.of(wanted, gateway.live.now(), store).await else { continue };
        for (name, spent) in part {
            if let Some(sum) = sums.get_mut(name) {
                *sum = sum.less(*spent);
            }
        }
        beside::work(effort, || gateway.budgets.hear(wanted, sums));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(part: &Part) -> Option<Vec<(&str, u64)>> {
        let sums = part.sums.as_ref()?;
        Some(sums.iter().map(|(name, sum)| (&**name, sum.as_nano_usd())).collect())
    }

    #[test]
    fn what_the_store_has_not_said_is_asked_again_and_not_taken_for_nothing() {
        let mut part = Part::default();
        part.hear(Err(Error::Late), Tick::ZERO);
        assert_eq!((sums(&part), part.is_due(Tick::ZERO)), (None, true));
        let answer = vec![("shop".to_owned(), Money::nano_usd(7))];
        part.hear(Ok(Some(answer)), Tick::ZERO);
        assert_eq!((sums(&part), part.is_due(Tick::ZERO)), (Some(vec![("shop", 7)]), false));
        // What is known goes on, and the store is left alone.
        let later = Tick::ZERO + PART;
        assert!(part.is_due(later));
        part.hear(Err(Error::Late), later);
        assert_eq!((sums(&part), part.is_due(later)), (Some(vec![("shop", 7)]), false));
    }

    #[test]
    fn where_the_rows_are_gone_the_hour_counts_from_its_beginning() {
        let mut part = Part::default();
        part.hear(Ok(None), Tick::ZERO);
        assert_eq!((sums(&part), part.is_due(Tick::ZERO)), (Some(Vec::new()), false));
    }
}
