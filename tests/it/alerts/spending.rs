//! Hours in which more is spent than usual: by the store's sums, and without a store.

use std::sync::Arc;
use std::time::Duration;

use mainstay::alerts::watch::Purses;
use mainstay::algo::tick::Tick;
use mainstay::config::{self, Env};
use mainstay::state::alerts::Alerts;
use mainstay::store::rows::{AttemptRow, Batch, Part, RequestRow, RowId, Who};
use mainstay::store::{Store, Time};
use mainstay::telemetry::{Metrics, StoreHandles};
use mainstay::vocab::{Alert, AlertState, Money, Usage};

/// The beginning of 20 November 2026, in hours since the Unix epoch.
const BEGIN: i64 = 498_648;
const HOUR: i64 = 3_600_000_000;
const USD: u64 = 1_000_000_000;

struct NoEnv;

impl Env for NoEnv {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("no files".to_owned())
    }
}

fn settings() -> config::Alerts {
    let text = "version: 1\nupstreams: {a: {provider: simulated}}\nroutes: [{model: m, channels: [{upstream: a}]}]\n";
    config::load(text, &NoEnv).unwrap().blueprint.alerts
}

/// Something that cost so much, at this time.
fn spent(at: i64, team: Option<&str>, cost: u64) -> Batch {
    let id = RowId::new(
        Duration::from_micros(at.unsigned_abs()),
        u128::from(cost) ^ team.map_or(0, |team| team.len() as u128),
    );
    let attempt = AttemptRow {
        request: id,
        number: 1,
        at_micros: at,
        part: Part::Turn,
        upstream: "west".into(),
        provider: "openai".into(),
        model: "large".into(),
        credential: 1,
        verdict: "ok",
        stage: "committed",
        took: Duration::from_secs(1),
        first_byte: None,
        usage: Usage::default(),
        estimated: false,
        cost: Some(Money::nano_usd(cost)),
        priced: "".into(),
        tier: "standard",
    };
    let request = RequestRow {
        id,
        request_id: "r".into(),
        at_micros: at,
        who: Who { team: team.map(Arc::from), ..Who::default() },
        tags: Vec::new(),
        route: "m".into(),
        arm: None,
        dialect: "openai",
        operation: "chat",
        model: "m".into(),
        stream: false,
        outcome: "ok",
        replayed: None,
        attempts: 1,
        took: Duration::from_secs(1),
        first_byte: None,
        own: Duration::ZERO,
        usage: Usage::default(),
        cost: Some(Money::nano_usd(cost)),
        estimated: false,
    };
    Batch { id: id.0, requests: vec![request], attempts: vec![attempt] }
}

async fn raised(alerts: &Alerts) -> Vec<(AlertState, String)> {
    let mut all = Vec::new();
    while let Ok(Alert { subject, state, .. }) =
        tokio::time::timeout(Duration::from_millis(1), alerts.next()).await
    {
        all.push((state, subject.into()));
    }
    all
}

#[tokio::test]
async fn a_team_that_spends_thrice_its_usual_hour_is_told_and_a_new_one_is_not() {
    let directory = tempfile::TempDir::new().unwrap();
    let time: Time = Arc::new(|| (Tick::ZERO, Duration::from_hours(498_648)));
    let handles = StoreHandles::new(&Metrics::new());
    let store = Store::sqlite(&directory.path().join("ledger.db"), time, handles).unwrap();
    let spend = async |hour: i64, minute: i64, team, cost| {
        store.write(spent((hour * 60 + minute) * HOUR / 60, team, cost)).await.unwrap();
    };
    // Blue spends 2 dollars an hour by day, red as much, and by night nobody does anything.
    for day in 1..=9 {
        for hour in 8..20 {
            let at = BEGIN - day * 24 + hour;
            spend(at, 1, Some("blue"), 2 * USD).await;
            spend(at, 2, Some("rouge"), 2 * USD).await;
        }
    }
    let (alerts, settings, mut purses) = (Alerts::default(), settings(), Purses::default());
    let look = async |purses: &mut Purses, hour: i64, minute: i64| {
        purses.ask(&store, (hour * 60 + minute) * HOUR / 60, &settings, &alerts).await.unwrap();
        raised(&alerts).await
    };
    // By day: thrice the usual is still usual, a cent more is not. What is new is not told of.
    let ten = BEGIN + 10;
    spend(ten, 5, Some("blue"), 6 * USD).await;
    spend(ten, 5, Some("new"), 3 * USD).await;
    // What is mirrored is nobody's spending.
    let mut mirrored = spent(ten * HOUR, Some("blue"), 60 * USD);
    mirrored.attempts[0].part = Part::Mirror;
    store.write(mirrored.clone()).await.unwrap();
    assert_eq!(look(&mut purses, ten, 10).await, []);
    spend(ten, 15, Some("blue"), USD / 100).await;
    let firing = (AlertState::Firing, "team blue".to_owned());
    assert_eq!(look(&mut purses, ten, 20).await, [firing]);
    assert_eq!(look(&mut purses, ten, 30).await, []);
    // Eleven is calm for blue, so that at twelve it is over.
    assert_eq!(look(&mut purses, ten + 1, 1).await, []);
    spend(ten + 1, 5, Some("blue"), USD).await;
    assert_eq!(look(&mut purses, ten + 1, 59).await, []);
    let over = (AlertState::Resolved, "team blue".to_owned());
    assert_eq!(look(&mut purses, ten + 2, 1).await, [over]);
    // By night a stolen key is noticed with its second dollar, of its team and of the gateway.
    let three = BEGIN + 27;
    spend(three, 1, Some("rouge"), USD).await;
    assert_eq!(look(&mut purses, three, 2).await, [], "the floor");
    spend(three, 3, Some("rouge"), USD / 2).await;
    let both = ["gateway", "team rouge"].map(|subject| (AlertState::Firing, subject.to_owned()));
    assert_eq!(look(&mut purses, three, 4).await, both);
    // Whoever looks for the first time finds the same.
    assert_eq!(look(&mut Purses::default(), three, 5).await, both);
}

#[tokio::test]
async fn without_a_store_the_gateway_compares_its_own_hours() {
    let (alerts, settings, mut purses) = (Alerts::default(), settings(), Purses::default());
    let mut total = 0;
    let mut hours = async |purses: &mut Purses, from: i64, to: i64, each: u64| {
        for minute in from * 60..to * 60 {
            total += each / 60;
            purses.count(total, (BEGIN * 60 + minute) * HOUR / 60, &settings, &alerts);
        }
        raised(&alerts).await
    };
    assert_eq!(hours(&mut purses, 0, 24, 60 * USD).await, [], "a first day is no news");
    assert_eq!(hours(&mut purses, 24, 48, 120 * USD).await, []);
    assert_eq!(hours(&mut purses, 48, 49, 300 * USD).await, [(AlertState::Firing, "gateway".to_owned())]);
    assert_eq!(hours(&mut purses, 49, 50, 90 * USD).await, []);
    assert_eq!(hours(&mut purses, 50, 51, 90 * USD).await, [(AlertState::Resolved, "gateway".to_owned())]);
}
