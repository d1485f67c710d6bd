//! What a request costs after its end, off its path: its record through the journal's clerk, with spans of none of
//! them, of 1% and of all. And what it costs on its path: a header to read, one to write.
//!
//! `cargo bench --bench traces`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use mainstay::algo::tick::Tick;
use mainstay::config;
use mainstay::ledger::{Account, Journal, Readers, Request, Waits};
use mainstay::state::books::{Attempt, Books, Heard, Used, Verdict};
use mainstay::state::{Live, Registry, Table};
use mainstay::telemetry::RequestOutcome;
use mainstay::telemetry::otlp::{Mailbox, Resource, Signal};
use mainstay::vocab::trace::{Context, Keep, TraceId};
use mainstay::vocab::{Part, Payer, Priority, Privacy, Stage, Trace, Usage};

const REQUESTS: u64 = 1000;
const ROUTING: &str = "
version: 1
upstreams: {sim-a: {provider: simulated}}
routes: [{model: demo, channels: [{upstream: sim-a}]}]
";

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    clerk(&mut criterion);
    path(&mut criterion);
    criterion.final_summary();
}

fn clerk(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let live = Arc::new(Live::seeded(1));
    let blueprint = config::load(ROUTING, &NoEnv).expect("it is sound").blueprint;
    let table = Table::compile(&blueprint, &mut Registry::default(), &live);
    let (journal, clerk) = Journal::open(&live, 10_000);
    let mailbox = Arc::new(Mailbox::new(Signal::Traces, &live.metrics));
    journal.tell(mailbox, Resource { instance: "bench".to_owned() });
    let readers = Arc::new(Readers::default());
    readers.keep_journal(Arc::clone(&journal));
    runtime.spawn(clerk.run());
    let mut group = criterion.benchmark_group("record");
    group.throughput(Throughput::Elements(REQUESTS));
    for (name, one_in) in [("no traces", 0), ("1% traced", 100), ("all traced", 1)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                for number in 0..REQUESTS {
                    let traced = one_in > 0 && number % one_in == 0;
                    end(&readers, &table, number, (one_in > 0).then(|| trace(number, traced)));
                }
                runtime.block_on(journal.flush(Duration::from_mins(1)));
            });
        });
    }
    group.finish();
}

/// A request with one attempt is over.
fn end(readers: &Arc<Readers>, table: &Table, number: u64, trace: Option<Trace>) {
    let account = Account::open(readers).expect("there is a journal");
    let at = |millis: u64| Tick::ZERO + Duration::from_millis(millis);
    let channel = &table.routes[0].channels[0];
    let usage = Usage { input: 900, output: 300, ..Usage::default() };
    account.ended(&Attempt {
        place: account.begins(),
        part: Part::Turn,
        channel,
        model: &"demo".into(),
        credential: None,
        payer: Payer::Gateway,
        begun: at(1),
        ended: at(900),
        heard: Heard { sent: Some(at(2)), headed: Some((at(300), 200)), first_content: Some(at(310)) },
        verdict: Verdict::Ok,
        stage: Stage::Committed,
        used: Used { usage, estimated: false },
        detail: None,
    });
    account.ends(Request {
        request_id: format!("req_{number}").into(),
        trace: trace.map(Box::new),
        privacy: Privacy::default(),
        lineage: None,
        tags: Vec::new(),
        route: "demo".into(),
        asked_route: None,
        dialect: "openai",
        operation: "chat",
        model: "demo".into(),
        stream: true,
        priority: Priority::default(),
        channel: Some(Arc::clone(channel)),
        outcome: RequestOutcome::Ok,
        status: 200,
        error: None,
        replayed: None,
        instead: None,
        arm: None,
        shed: None,
        downgraded: false,
        prompt_tokens: 900,
        usage: Some(usage),
        begun: at(0),
        at: Duration::from_secs(1_700_000_000),
        took: Duration::from_millis(900),
        first_byte: Some(Duration::from_millis(310)),
        own: Duration::from_micros(40),
        waits: Waits::default(),
    });
}

fn trace(number: u64, traced: bool) -> Trace {
    let keep = if traced { Keep::Always } else { Keep::Failed };
    let id = TraceId(u128::from(number) + 1);
    Trace { id, parent: None, span: number + 1, seed: number, keep, slow: None, method: "POST" }
}

fn path(criterion: &mut Criterion) {
    let said = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace = trace(7, true);
    let mut group = criterion.benchmark_group("traceparent");
    group.bench_function("read", |b| b.iter(|| Context::parse(black_box(said))));
    group.bench_function("written", |b| b.iter(|| black_box(&trace).told(1).to_string()));
    group.finish();
}

struct NoEnv;

impl config::Env for NoEnv {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &str) -> Result<String, String> {
        Err(format!("{path}: there are no files here"))
    }
}
