//! How many rows a second the ledger brings into a store, through everything that they pass in life: accounts, the
//! queue, the writer, batches, sums.
//!
//! `cargo bench --bench store` measures SQLite in a temporary directory; with the URL of an empty PostgreSQL in
//! `MAINSTAY_BENCH_POSTGRES`, that as well. Each is first asked for 5,000 requests a second, of which nothing may pile
//! up, and then for as much as it takes. What a request itself costs is `benches/e2e/run`'s to say. At last it is asked
//! what a dashboard asks, of a year's sums.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay::algo::dice::Dice;
use mainstay::config::{self, Env};
use mainstay::ledger::{Account, Ledger, Readers, Request, Spool};
use mainstay::state::books::{Attempt, Books as _, Heard, Used, Verdict};
use mainstay::state::{Channel, Live, Registry, Table};
use mainstay::store::rows::{AttemptRow, Batch, RequestRow, RowId, Who};
use mainstay::store::{Each, Field, Query, Store, Time};
use mainstay::telemetry::{RequestOutcome, StoreHandles};
use mainstay::vocab::{Money, Part, Payer, Stage, Usage};
use tempfile::TempDir;
use tokio::time::sleep;

const YAML: &str = "
version: 1
upstreams: {a: {provider: openai, credentials: [none]}}
routes: [{model: 'gpt-4o', channels: [{upstream: a}]}]
";

/// Of each measurement.
const LENGTH: Duration = Duration::from_secs(15);
const TICK: Duration = Duration::from_millis(5);
/// Requests a second.
const WANTED: u64 = 5_000;
/// Requests that wait while it is asked for as much as it takes.
const FLOOD: usize = 8_000;
/// Values of a label, each of which is summed apart.
const CUSTOMERS: u64 = 50;

/// Keys, each of which asks for every model in every hour of the last month, and in one of every day before: how much
/// they ask for changes no number of sums.
const KEYS: usize = 50;
const MODELS: [&str; 4] = ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-pro"];
const DAYS: i64 = 365;
const LAST_DAYS: i64 = 31;
const HOUR: i64 = 3_600_000_000;
/// 2025-11-20.
const BEGIN: i64 = 1_763_596_800_000_000;
/// How often each question is asked.
const TIMES: usize = 9;

struct NoWorld;

impl Env for NoWorld {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("no files".to_owned())
    }
}

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let directory = TempDir::new().expect("a temporary directory");
        let live = Arc::new(Live::seeded(1));
        let (time, handles) = around(&live);
        let file = directory.path().join("ledger.db");
        let store = Store::sqlite(&file, time, handles).expect("a new file");
        measure("SQLite", &live, Arc::clone(&store)).await;
        reports("SQLite", &store).await;
        let Ok(url) = std::env::var("MAINSTAY_BENCH_POSTGRES") else { return };
        let live = Arc::new(Live::seeded(1));
        let (time, handles) = around(&live);
        let server = tokio_postgres::Config::from_str(&url).expect("a URL of PostgreSQL's");
        let dice = [Dice::seeded(1), Dice::seeded(2)];
        let (store, work) = Store::postgres(&server, None, time, handles, dice);
        for work in work {
            tokio::spawn(work);
        }
        while store.list_keys().await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
        measure("PostgreSQL", &live, Arc::clone(&store)).await;
        reports("PostgreSQL", &store).await;
    });
}

fn around(live: &Arc<Live>) -> (Time, StoreHandles) {
    let clock = Arc::clone(live);
    (Arc::new(move || (clock.now(), clock.clock.unix_now())), StoreHandles::new(&live.metrics))
}

/// What is measured is what ends here.
struct Bench {
    live: Arc<Live>,
    ledger: Arc<Ledger>,
    readers: Arc<Readers>,
    channel: Arc<Channel>,
    asked: u64,
}

impl Bench {
    /// A request with one attempt: two rows, and sums for everything and for its label.
    fn ends(&mut self) {
        self.asked += 1;
        let now = self.live.now();
        let account = Account::open(&self.readers).expect("a ledger reads it");
        let model = Arc::from("gpt-4o");
        let usage = Usage { input: 1_200 + self.asked % 100, output: 300, ..Usage::default() };
        account.ended(&Attempt {
            place: account.begins(),
            part: Part::Turn,
            channel: &self.channel,
            model: &model,
            credential: None,
            payer: Payer::Gateway,
            begun: now,
            ended: now,
            heard: Heard { first_content: Some(now), ..Heard::default() },
            verdict: Verdict::Ok,
            stage: Stage::Committed,
            used: Used { usage, estimated: false },
            detail: None,
        });
        let request_id = format!("req_{:024x}", self.asked).into();
        account.ends(Request {
            tags: vec![("x-customer".into(), format!("customer-{}", self.asked % CUSTOMERS).into())],
            route: "gpt-4o".into(),
            operation: "chat",
            model: "gpt-4o".into(),
            stream: true,
            outcome: RequestOutcome::Ok,
            took: Duration::from_millis(900),
            first_byte: Some(Duration::from_millis(300)),
            own: Duration::from_micros(200),
            ..Request::bare(request_id, "openai", now, self.live.clock.unix_now())
        });
    }

    fn rows(&self) -> u64 {
        ["direct", "replayed"]
            .map(|way| self.metric(&format!("ledger_rows_total{{way=\"{way}\"}}")))
            .iter()
            .sum()
    }

    fn metric(&self, series: &str) -> u64 {
        let text = self.live.metrics.render();
        let series = format!("mainstay_{series} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series)?.parse::<f64>().ok());
        line.unwrap_or_default() as u64
    }
}

#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn measure(name: &str, live: &Arc<Live>, store: Arc<Store>) {
    let blueprint = config::load(YAML, &NoWorld).expect("it is well").blueprint;
    let table = Table::compile(&blueprint, &mut Registry::default(), live);
    let spool = TempDir::new().expect("a temporary directory");
    let spool = Spool::open(spool.path(), 1 << 30).expect("a new spool");
    let (ledger, writer) = Ledger::open(live, store, spool);
    let writing = tokio::spawn(writer.run());
    let channel = Arc::clone(&table.routes[0].channels[0]);
    let readers = Arc::new(Readers::default());
    readers.keep_books(Arc::clone(&ledger));
    let mut bench = Bench { live: Arc::clone(live), ledger, readers, channel, asked: 0 };

    let (begun, mut longest) = (Instant::now(), 0);
    while begun.elapsed() < LENGTH {
        let due = (begun.elapsed().as_secs_f64() * WANTED as f64) as u64;
        (bench.asked..due).for_each(|_| bench.ends());
        longest = longest.max(bench.ledger.standing().waiting);
        sleep(TICK).await;
    }
    bench.ledger.flush(Duration::from_secs(30)).await;
    let spooled = bench.metric("ledger_rows_total{way=\"spooled\"}");
    println!(
        "{name}: {WANTED} requests a second for {LENGTH:?}: {} rows kept, {spooled} of them on disk first, at most \
         {longest} requests waited",
        bench.rows()
    );

    let (begun, before) = (Instant::now(), bench.rows());
    while begun.elapsed() < LENGTH {
        (bench.ledger.standing().waiting..FLOOD).for_each(|_| bench.ends());
        sleep(TICK).await;
    }
    let kept = (bench.rows() - before) as f64 / begun.elapsed().as_secs_f64();
    bench.ledger.flush(Duration::from_mins(1)).await;
    let lost = ["queue_full", "spool_full"]
        .map(|why| bench.metric(&format!("ledger_lost_rows_total{{reason=\"{why}\"}}")));
    println!("{name}: {kept:.0} rows a second when flooded; lost: {lost:?}");
    writing.abort();
}

/// How long a dashboard's questions take.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time")]
async fn reports(name: &str, store: &Store) {
    for day in 0..DAYS {
        let hours = if day < DAYS - LAST_DAYS { 0..1 } else { 0..24 };
        for hour in hours {
            store.write(of_an_hour((day * 24 + hour) * HOUR + BEGIN)).await.expect("an idle store");
        }
    }
    let end = BEGIN + DAYS * 24 * HOUR;
    let since = |days: i64| end - days * 24 * HOUR;
    let ask = |from, by: &[Field], each, only: &[(Field, String)]| Query {
        from,
        to: end,
        by: by.to_vec(),
        each,
        tag: None,
        only: only.to_vec(),
        most: 1_000,
    };
    let team = [(Field::Team, "team-3".to_owned())];
    for (what, query) in [
        ("a year by day", ask(since(DAYS), &[], Each::Day, &[])),
        ("a year by day and model", ask(since(DAYS), &[Field::Model], Each::Day, &[])),
        ("a year by key", ask(since(DAYS), &[Field::Key], Each::All, &[])),
        (
            "a year of a team by key and model",
            ask(since(DAYS), &[Field::Key, Field::Model], Each::All, &team),
        ),
        ("a month by hour", ask(since(LAST_DAYS), &[], Each::Hour, &[])),
        ("a day by hour and key", ask(since(1), &[Field::Key], Each::Hour, &[])),
    ] {
        let mut took = Vec::new();
        for _ in 0..TIMES {
            let begun = Instant::now();
            assert!(!store.usage(&query).await.expect("an idle store").is_empty());
            took.push(begun.elapsed());
        }
        took.sort();
        println!("{name}: {what}: {:.1} ms, at most {:.1}", millis(took[TIMES / 2]), millis(took[TIMES - 1]));
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A request of every key for every model.
fn of_an_hour(at_micros: i64) -> Batch {
    let mut batch = Batch { id: (at_micros / 1000) as u128 * (1 << 80), ..Batch::default() };
    for (number, (key, model)) in (0..KEYS).flat_map(|key| MODELS.map(|model| (key, model))).enumerate() {
        let id = RowId(batch.id + number as u128);
        let usage = Usage { input: 1_200, output: 300, ..Usage::default() };
        let named = |what: &str, number: usize| Some(Arc::from(format!("{what}-{number}")));
        batch.requests.push(RequestRow {
            id,
            request_id: format!("req_{:024x}", id.0 >> 32).into(),
            at_micros,
            who: Who {
                organisation: named("org", 0),
                team: named("team", key % 10),
                user: None,
                key: named("key", key),
            },
            tags: Vec::new(),
            route: model.into(),
            arm: None,
            dialect: "openai",
            operation: "chat",
            model: model.into(),
            stream: true,
            outcome: "ok",
            replayed: None,
            attempts: 1,
            took: Duration::from_millis(900),
            first_byte: Some(Duration::from_millis(300)),
            own: Duration::from_micros(200),
            usage,
            cost: Some(Money::nano_usd(6_000_000)),
            estimated: false,
        });
        batch.attempts.push(AttemptRow {
            request: id,
            number: 1,
            at_micros,
            part: Part::Turn,
            upstream: "a".into(),
            provider: "openai".into(),
            model: model.into(),
            credential: 1,
            verdict: "ok",
            stage: "committed",
            took: Duration::from_millis(900),
            first_byte: Some(Duration::from_millis(300)),
            usage,
            estimated: false,
            cost: Some(Money::nano_usd(6_000_000)),
            priced: "input 1200 x 2.5/M, output 300 x 10/M".into(),
            tier: "standard",
        });
    }
    batch
}
