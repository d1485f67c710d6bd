//! The parts of a request's path, one by one, with their targets beside them. Answers "did this get
//! slower", not "how fast is the gateway": that is `benches/e2e/run`.
//!
//! `cargo bench --bench micro` first asserts that admission allocates nothing, then measures.
//! `cargo bench --bench micro -- pick` measures what has `pick` in its name.

use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput};
use http::{HeaderMap, Method};
use mainstay::access::limits::Limiter;
use mainstay::access::{Access, Caller};
use mainstay::algo::breaker::{Breaker, Settings, Signal};
use mainstay::algo::dice::Dice;
use mainstay::algo::limit::{Allowance, Spent};
use mainstay::algo::tick::Tick;
use mainstay::algo::wrr::Smooth;
use mainstay::config::rehearsal::{Script, Workload};
use mainstay::config::{self, Blueprint};
use mainstay::dialect::scan::Thinks;
use mainstay::dialect::scan::scan;
use mainstay::dialect::splice::{Rewrite, splice};
use mainstay::dialect::watch::Watch;
use mainstay::dialect::{Dialect, Framing, Operation, Splitter, entry};
use mainstay::ledger::{Journal, Readers, Request, Wanted, turned_away};
use mainstay::route::{Need, Plan, Resend};
use mainstay::shared::Waited;
use mainstay::sim::{self, Ledger, Rehearsal, outages};
use mainstay::state::gate::{Gate, Rescue};
use mainstay::state::model::Shape;
use mainstay::state::{Live, Registry, Table};
use mainstay::strategy::{self, Contender, Kind};
use mainstay::telemetry::{Metrics, catalogue};
use mainstay::vocab::Abilities;

/// Requests of a simulated 1,000/s: windows turn over as they do in life.
const STEP: Duration = Duration::from_millis(1);

fn main() {
    admission_allocates_nothing();
    let mut criterion = Criterion::default()
        .sample_size(50)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    admission(&mut criterion);
    limits(&mut criterion);
    picking(&mut criterion);
    bodies(&mut criterion);
    streams(&mut criterion);
    swapping(&mut criterion);
    rehearsing(&mut criterion);
    scraping(&mut criterion);
    looking_up(&mut criterion);
    criterion.final_summary();
}

/// One attempt's visit to a breaker, and the time after it.
fn visit_breaker(breaker: &mut Breaker, signal: Signal, now: &mut Tick, dice: &mut Dice) {
    *now = *now + STEP;
    if let Ok((permit, _)) = breaker.admit(*now, dice) {
        let _ = black_box(breaker.settle(permit, signal, *now, dice));
    }
}

fn visit_gate(gate: &Gate, signal: Signal, now: &mut Tick, dice: &mut Dice) {
    *now = *now + STEP;
    if let Ok((permit, _)) = gate.admit(*now, dice) {
        let _ = black_box(gate.settle(permit, signal, *now, *now, dice));
    }
}

/// What one attempt in ten failing looks like: windows hold both kinds, and the breaker stays closed.
fn mostly_good(n: u32) -> Signal {
    if n.is_multiple_of(10) { Signal::Failure } else { Signal::Success }
}

fn admission_allocates_nothing() {
    let mut dice = Dice::seeded(1);
    let mut now = Tick::ZERO;
    let mut breaker = Breaker::new(Settings::default());
    let gate = Gate::new(Settings::default(), Rescue::None);
    let of_breaker = allocation_counter::measure(|| {
        (0..10_000).for_each(|n| visit_breaker(&mut breaker, mostly_good(n), &mut now, &mut dice));
    });
    let of_gate = allocation_counter::measure(|| {
        (0..10_000).for_each(|n| visit_gate(&gate, mostly_good(n), &mut now, &mut dice));
    });
    assert_eq!(of_breaker.count_total, 0, "a breaker's admission and verdict allocate");
    assert_eq!(of_gate.count_total, 0, "a gate's admission and verdict allocate");
    // The rest of a choice may allocate; how much is worth knowing.
    let table = table_of(&blueprint(1, 16, Kind::WeightedRoundRobin), &mut Registry::default());
    choose_and_settle(&table);
    let of_choice = allocation_counter::measure(|| choose_and_settle(&table));
    println!(
        "allocations: 0 in 10,000 visits of a breaker and a gate; {} in a choice among 16 channels",
        of_choice.count_total
    );
}

/// Target: 150 ns or less for admission and verdict together.
fn admission(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admit+settle");
    let (mut now, mut dice) = (Tick::ZERO, Dice::seeded(1));
    let mut breaker = Breaker::new(Settings::default());
    group.bench_function("breaker, all good", |b| {
        b.iter(|| visit_breaker(&mut breaker, Signal::Success, &mut now, &mut dice));
    });
    let mut n = 0;
    group.bench_function("breaker, one in ten fails", |b| {
        b.iter(|| {
            n += 1;
            visit_breaker(&mut breaker, mostly_good(n), &mut now, &mut dice);
        });
    });
    let gate = Gate::new(Settings::default(), Rescue::None);
    group.bench_function("gate, all good", |b| {
        b.iter(|| visit_gate(&gate, Signal::Success, &mut now, &mut dice));
    });
    group.bench_function("gate, one in ten fails", |b| {
        b.iter(|| {
            n += 1;
            visit_gate(&gate, mostly_good(n), &mut now, &mut dice);
        });
    });
    group.finish();
}

/// A key with a user, a team and an organisation above it, all with every limit there is.
fn callers() -> String {
    let limits =
        "limits: {rpm: 1000000000, rpd: 1000000000, tpm: 1000000000, tpd: 1000000000, concurrency: 1000000}";
    format!(
        "
version: 1
organisations: {{acme: {{{limits}}}}}
teams: {{growth: {{organisation: acme, {limits}}}}}
users: {{ada: {{team: growth, {limits}}}}}
keys: {{shop: {{user: ada, secret: '${{SHOP}}', {limits}}}}}
upstreams: {{a: {{provider: simulated}}}}
routes: [{{model: m, channels: [{{upstream: a}}]}}]
"
    )
}

/// A request of somebody whose key, user, team, organisation and route have every limit there is.
fn limits(criterion: &mut Criterion) {
    let allowance = Allowance {
        rpm: Some(1 << 40),
        rpd: Some(1 << 40),
        tpm: Some(1 << 40),
        tpd: Some(1 << 40),
        concurrency: Some(1 << 30),
    };
    let blueprint = config::load(&callers(), &Keys).expect("it is well").blueprint;
    let access = Access::compile(&blueprint, &Metrics::new());
    let caller = Caller::from(access.key("shop").expect("it is there"));
    let route: Arc<str> = "gpt-5.4".into();
    let limiter = Limiter::new(&Arc::new(Live::seeded(1)));
    criterion.bench_function("limits of five holders, reserved and settled", |bencher| {
        bencher.iter(|| {
            let subjects = limiter.subjects(&caller, (&route, allowance));
            let mut waited = Waited::default();
            let reserving = pin!(limiter.reserve(subjects, 700, &mut waited));
            match reserving.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok((mut booking, rows))) => {
                    booking.spend(Spent::Tokens(500));
                    black_box(rows);
                }
                Poll::Ready(Err(_)) | Poll::Pending => panic!("there is enough, and nobody to wait for"),
            }
        });
    });
    criterion.bench_function("limits of nobody", |bencher| {
        bencher.iter(|| {
            black_box(limiter.subjects(&Caller::default(), (&route, Allowance::default())).is_empty())
        });
    });
}

/// Target: 300 ns or less for the pick among 16 channels.
fn picking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pick");
    let contenders: Vec<Contender> = (0..16)
        .map(|slot| Contender {
            slot,
            weight: 1000,
            latency: Some(Duration::from_millis(200 + slot as u64)),
            waiting: slot as u32 % 3,
            streaming: 1,
            native: true,
            cost: Some(1_000_000 + slot as u64),
            identity: slot as u64,
        })
        .collect();
    let (mut turn, mut dice) = (Smooth::default(), Dice::seeded(1));
    for kind in Kind::ALL {
        group.bench_function(format!("{} of 16", kind.name()), |b| {
            let session = (kind == Kind::Sticky).then_some(strategy::Session { key: 7, last: None });
            b.iter(|| strategy::pick(kind, black_box(&contenders), session, &mut turn, &mut dice));
        });
    }
    // Everything that a request does to get its permit and give it back: judging every channel, the
    // pick, both gates, budgets, counts, metrics.
    for channels in [1, 3, 16] {
        for kind in Kind::ALL {
            let table = table_of(&blueprint(1, channels, kind), &mut Registry::default());
            group.bench_function(format!("whole choice, {}, {channels} channels", kind.name()), |b| {
                b.iter(|| choose_and_settle(&table));
            });
        }
    }
    group.finish();
}

/// One rehearsed request, from its arrival to its end: all decisions, and the keeping of time and count.
fn rehearsing(criterion: &mut Criterion) {
    const REQUESTS: u64 = 1000;
    let mut group = criterion.benchmark_group("rehearse");
    let blueprint = blueprint(1, 3, Kind::WeightedRoundRobin);
    let workload = outages::usual_workload(&blueprint).expect("a route names a model");
    let workload = Workload { rate: 100.0, ..workload };
    let script = Script::default();
    let duration = Duration::from_secs(REQUESTS / 100);
    let rehearsal = Rehearsal::of(&blueprint, &script, &workload, duration, 1);
    group.throughput(Throughput::Elements(REQUESTS));
    group.bench_function("about 1,000 requests", |b| {
        b.iter(|| {
            let mut ledger = Ledger::new(&script, &blueprint.catalog);
            sim::run(&rehearsal, &mut ledger).expect("a route takes them");
            ledger.report("bench")
        });
    });
    group.finish();
}

/// Target: 50 ms or less for a scrape of 1,000 channels, each an upstream of its own.
fn scraping(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metrics");
    let table = table_of(&blueprint(100, 10, Kind::WeightedRoundRobin), &mut Registry::default());
    let metrics = &table.live.metrics;
    let text = metrics.gather(|| table.export(), Metrics::render);
    println!(
        "a scrape of 1,000 channels: {} series, {} lines, {} bytes",
        metrics.len(),
        text.lines().count(),
        text.len()
    );
    group.bench_function("scrape, 1,000 channels", |b| {
        b.iter(|| metrics.gather(|| table.export(), Metrics::render));
    });
    let handles = &table.routes[0].handles;
    group.bench_function("a sample of a histogram", |b| b.iter(|| handles.seconds.record(black_box(0.7))));
    group.bench_function("a count by a handle", |b| b.iter(|| handles.saved.increment(black_box(1))));
    group.bench_function("a count by name", |b| {
        b.iter(|| metrics.counter(&catalogue::SAVED, &[black_box("bench-0")]).increment(1));
    });
    group.finish();
}

/// Target: 200 ms or less for a search of 10,000 requests, told as JSON.
fn looking_up(criterion: &mut Criterion) {
    const KEPT: u64 = 10_000;
    let mut group = criterion.benchmark_group("journal");
    let live = Arc::new(Live::seeded(1));
    let (journal, clerk) = Journal::open(&live, 10_000);
    let readers = Arc::new(Readers::default());
    readers.keep_journal(Arc::clone(&journal));
    for number in 0..KEPT {
        let id = format!("req_{number:024}").into();
        let request = Request::bare(id, "openai", Tick::ZERO, Duration::from_secs(number));
        turned_away(&readers, Request { model: "bench".into(), status: 200, ..request });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(async {
        tokio::select! {
            () = clerk.run() => {}
            () = journal.flush(Duration::from_secs(10)) => {}
        }
    });
    assert_eq!(journal.length(), 10_000);
    let found = |wanted: &Wanted| {
        let (told, _) = journal.search(wanted, |decision| serde_json::to_string(decision).expect("JSON"));
        told.len()
    };
    let all = Wanted { most: 1_000, ..Wanted::default() };
    let none = Wanted { model: Some("nobody's".to_owned()), ..Wanted::default() };
    assert_eq!((found(&all), found(&none)), (1_000, 0));
    group.bench_function("search 10,000, 1,000 found and told", |b| b.iter(|| found(black_box(&all))));
    group.bench_function("search 10,000, none found", |b| b.iter(|| found(black_box(&none))));
    group.finish();
}

/// A 1 KB body is the targets' chat completion; 1 MB is a long conversation with pictures.
fn bodies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scan+splice");
    let entry = entry::find(&Method::POST, "/v1/chat/completions", None, &HeaderMap::new())
        .expect("a path that the table has");
    for (name, size) in [("1 KB", 1 << 10), ("1 MB", 1 << 20)] {
        let body = chat_body(size);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| {
                let seen = scan(&entry, Some("application/json"), &body).expect("a sound body");
                let rewrite = Rewrite { model: Some("another-model"), ask_usage: true, newer_limit: false };
                splice(black_box(&body), &seen, rewrite).into_iter().map(|piece| piece.len()).sum::<usize>()
            });
        });
    }
    group.finish();
}

/// What each chunk of a stream costs: framed, looked at, forwarded as it is.
fn streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("SSE chunk");
    let chunk = Bytes::from_static(
        b"data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1780000000,\"model\":\"bench\",\"system_fingerprint\":\"fp_44709d6fcb\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n",
    );
    let framing = Framing::of(Dialect::OpenAi, Operation::Chat, Some("text/event-stream"));
    let mut splitter = Splitter::new(framing);
    group.bench_function("split", |b| {
        b.iter(|| {
            splitter.push(chunk.clone());
            splitter.next().expect("an event")
        });
    });
    let mut watch = Watch::new(Dialect::OpenAi, Operation::Chat, framing);
    group.bench_function("split and watch", |b| {
        b.iter(|| {
            splitter.push(chunk.clone());
            let frame = splitter.next().expect("an event").expect("a whole one");
            watch.frame(&frame)
        });
    });
    group.finish();
}

/// Target: 10 ms or less for 1,000 channels.
fn swapping(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("swap");
    group.sample_size(20);
    // 63 routes of 16 channels over as many upstreams: 1,008.
    let blueprint = blueprint(63, 16, Kind::WeightedRoundRobin);
    let live = Arc::new(Live::seeded(1));
    let mut registry = Registry::default();
    let current = ArcSwap::from_pointee(Table::compile(&blueprint, &mut registry, &live));
    group.bench_function("reload of 1,008 channels", |b| {
        b.iter_batched(
            || (),
            // The old table ends here as well, as nobody holds it.
            |()| drop(current.swap(Arc::new(Table::compile(&blueprint, &mut registry, &live)))),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("first table of 1,008 channels", |b| {
        b.iter(|| table_of(&blueprint, &mut Registry::default()));
    });
    group.finish();
}

fn table_of(blueprint: &Blueprint, registry: &mut Registry) -> Table {
    Table::compile(blueprint, registry, &Arc::new(Live::seeded(1)))
}

fn choose_and_settle(table: &Table) {
    let now = table.live.now();
    let need = Need {
        dialect: Dialect::OpenAi,
        model: "bench-0",
        narrow: false,
        shape: Shape::Whole,
        operation: Operation::Chat,
        lineage: None,
        own: None,
        most_cost: None,
        most_attempts: 3,
        resend: Resend::Allowed,
        deadline: now + Duration::from_mins(10),
        most_output: None,
        session: None,
        bond: None,
        prompt_tokens: 256,
        thinks: Thinks::Unsaid,
        least_window: 0,
        abilities: Abilities::default(),
    };
    let route = table.route_of_model(need.model).expect("a route of that name");
    let permit = Plan::begin(table, route).choose(&need).expect("every channel is well");
    permit.finish();
}

/// `routes` routes, each with `channels` channels on upstreams of its own.
fn blueprint(routes: usize, channels: usize, select: Kind) -> Blueprint {
    use std::fmt::Write as _;
    let mut text = "version: 1\nupstreams:\n".to_owned();
    for upstream in 0..routes * channels {
        let _ = writeln!(
            text,
            "  u{upstream}: {{provider: custom, dialect: openai, base_url: \"http://127.0.0.1:{}/v1\", credentials: [\"${{KEY}}\"]}}",
            2000 + upstream
        );
    }
    text.push_str("routes:\n");
    for route in 0..routes {
        let _ = writeln!(text, "  - model: bench-{route}\n    select: {}\n    channels:", select.name());
        for channel in 0..channels {
            let _ = writeln!(text, "      - {{upstream: u{}}}", route * channels + channel);
        }
    }
    match config::load(&text, &Keys) {
        Ok(loaded) => loaded.blueprint,
        Err(problems) => panic!("the bench's own configuration is refused: {problems:?}"),
    }
}

struct Keys;

impl config::Env for Keys {
    fn var(&self, _: &str) -> Option<String> {
        Some("sk-bench-0123456789".to_owned())
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("no files here".to_owned())
    }
}

fn chat_body(size: usize) -> Bytes {
    let head = r#"{"model":"bench","stream":true,"temperature":0.7,"messages":[{"role":"user","content":""#;
    let tail = r#""}]}"#;
    let words = "Some text, with \\\"quotes\\\" and a \\n now and then. ";
    let mut body = head.to_owned();
    while body.len() + words.len() + tail.len() < size {
        body.push_str(words);
    }
    body.push_str(tail);
    body.into()
}
