//! What the ledger says is what the vendors billed, to the token and the nano-dollar, whatever befalls the store, the
//! disk or Redis while hundreds of callers ask; and none of them waits for any of it.
//!
//! The real binary with a real PostgreSQL, SQLite and Redis. The vendors and the comparison share no code with it.

mod books;
mod callers;
mod line;
mod postgres;
mod redis;
mod silent;
mod sqlite;
mod vendor;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use self::books::{Books, Error};
use self::callers::{Answered, How, beside, crowd, how, nine_in_ten};
use self::vendor::{Fate, Office};
use crate::http;
use crate::process::{Gateway, wait_for};

/// Most requests in one go.
const MOST: u32 = 3_000;
/// A caller may wait so much longer for what befalls others: less than any of it lasts, and more than a loaded machine
/// takes for a moment. `silent` tells to the millisecond what is waited for.
const DELAY: Duration = Duration::from_millis(250);

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN, retry_budget: {ratio: 10, reserve_per_sec: 1000}, drain: {pre_stop_delay: 0s, close_spread: 0s}}
ledger: {tags: [x-number]}
upstreams:
  a: {provider: openai, base_url: 'http://VENDOR-A/v1', credentials: [first], probe: {kind: off}, breaker: {enabled: false}}
  b: {provider: openai, base_url: 'http://VENDOR-B/v1', credentials: [other], probe: {kind: off}, breaker: {enabled: false}}
# Here more goes wrong than anywhere else.
defaults: {retry: {budget: {ratio: 10, reserve_per_sec: 1000}}}
routes:
  - model: plain
    budgets: [BUDGET]
    channels: [{upstream: a, model: gpt-4o}, {upstream: b, model: gpt-4o, tier: 1}]
  - model: spare
    budgets: [{per: total, limit: 1000}]
    channels: [{upstream: a, model: gpt-4o}, {upstream: b, model: gpt-4o, tier: 1}]
  - model: raced
    budgets: [{per: total, limit: 1000}]
    hedge: {enabled: true, delay: 150ms, max_share: 1}
    channels: [{upstream: a, model: gpt-4o}, {upstream: b, model: gpt-4o, tier: 1}]
";

/// A budget that nobody spends.
const AMPLE: &str = "{per: total, limit: 1000}";
/// One that a few hundred requests do, in nano-USD.
const SCARCE: u64 = 20_000_000;
/// No request costs as much.
const DEAREST: u64 = 1_000_000;

/// A gateway between its callers and two vendors.
struct Trial {
    gateway: Gateway,
    office: Office,
    answered: Vec<Answered>,
    next: u32,
    /// One after the other: a machine that runs all of them at once has pauses of its own.
    _turn: MutexGuard<'static, ()>,
}

static TURN: Mutex<()> = Mutex::new(());

/// What goes wrong at the vendor, which is the same in every trial.
fn fate(number: u32) -> Fate {
    match (number % 10, how(number)) {
        (1 | 7, _) => Fate::Broken,
        (3, _) => Fate::Cut,
        (2, How::Stream) => Fate::CutOnceTold,
        (5, How::Whole) => Fate::Hole,
        (6, How::Whole) if number % 20 == 6 => Fate::Empty,
        (0 | 2 | 4..=9, _) => Fate::Well,
        (10.., _) => unreachable!("a rest of ten"),
    }
}

fn model(number: u32) -> &'static str {
    if fate(number) == Fate::Hole { "raced" } else { "plain" }
}

/// Lets nobody ask any more when it goes: a test that fails must not go on for ever.
struct Enough<'a>(&'a AtomicU32);

impl Drop for Enough<'_> {
    fn drop(&mut self) {
        self.0.store(0, SeqCst);
    }
}

impl Trial {
    /// With more of a configuration.
    fn start(more: &str) -> Self {
        Self::of(&format!("{ROUTING}{more}"))
    }

    fn of(routing: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let office = Office::default();
        let [a, b] = ["a", "b"].map(|name| office.vendor(name).to_string());
        let routing = routing.replace("VENDOR-A", &a).replace("VENDOR-B", &b).replace("BUDGET", AMPLE);
        let gateway = Gateway::start(&routing);
        Self { gateway, office, answered: Vec::new(), next: 1, _turn: turn }
    }

    /// The same with limits that are far away, counted in Redis, and with a budget there that is soon spent, so that
    /// another route serves.
    fn limited(more: &str, redis: &str) -> Self {
        let limits = "limits: {rpd: 1000000, tpm: 100000000}";
        let scarce = format!("{{per: total, limit: {}, downgrade_to: spare}}", SCARCE as f64 / 1e9);
        let routing = ROUTING
            .replace("BUDGET", &scarce)
            .replace(
                "admin: ADMIN,",
                &format!("admin: ADMIN, redis: {{url: 'redis://{redis}', prefix: it}},"),
            )
            .replace("- model: plain", &format!("- model: plain\n    {limits}"))
            .replace("- model: raced", &format!("- model: raced\n    {limits}"));
        Self::of(&format!("{routing}{more}"))
    }

    /// Some callers, `least` at least, for as long as something is done to somebody else. What they were answered, and
    /// how long nine in ten of those waited who asked the vendor itself meanwhile.
    fn crowd<T>(&self, least: u32, torment: impl FnOnce(&Self) -> T) -> (Vec<Answered>, Duration, T) {
        let numbers = self.next..self.next + least.max(MOST);
        for number in numbers.clone() {
            self.office.doom(number, fate(number));
        }
        let until = AtomicU32::new(numbers.end);
        std::thread::scope(|scope| {
            let beside = scope.spawn(|| beside(self.office.address("a"), &until));
            let crowd = scope.spawn(|| crowd(self.gateway.callers, numbers.start, &until, model));
            let enough = Enough(&until);
            let done = torment(self);
            until.store(numbers.start + least, SeqCst);
            let answered = crowd.join().unwrap();
            drop(enough);
            (answered, nine_in_ten(beside.join().unwrap()), done)
        })
    }

    /// The same, and none of them gets anything but what he would have got without it, or later. That is said of nine
    /// in ten of those that need not wait for a vendor, and beyond what a way through two processes takes on this
    /// machine now.
    fn under_load(&mut self, least: u32, what: &str, torment: impl FnOnce(&Self)) {
        let (answered, beside, ()) = self.crowd(least, torment);
        let trial = &*self;
        for one in &answered {
            // A stream that was cut ends as one.
            let is_cut = fate(one.number) == Fate::Cut && one.how != How::Whole
                || fate(one.number) == Fate::CutOnceTold;
            let is_well = one.status == 200 && (one.whole || is_cut || matches!(one.how, How::Leaves(_)));
            assert!(is_well, "{what}: {one:?}\n{}", trial.gateway.said());
        }
        let quick = |one: &&Answered| one.how == How::Whole && fate(one.number) == Fate::Well;
        let took = nine_in_ten(answered.iter().filter(quick).map(|one| one.took));
        let count = answered.len();
        println!(
            "{what}: {count} asked, nine in ten whole answers within {took:?}, {beside:?} beside the gateway"
        );
        assert!(took < 3 * beside + DELAY, "{what}: {took:?}, and {beside:?} beside the gateway");
        self.keep(answered);
    }

    /// They are to be in the ledger.
    fn keep(&mut self, answered: Vec<Answered>) {
        self.next = answered.iter().map(|one| one.number + 1).max().unwrap_or_default().max(self.next);
        self.answered.extend(answered);
    }

    fn status(&self) -> Value {
        http::get(self.gateway.admin, "/admin/status").unwrap().json()
    }

    fn ready(&self) -> String {
        let answer = http::get(self.gateway.admin, "/readyz").unwrap();
        assert_eq!(answer.status, 200, "callers are served all the same");
        answer.body
    }

    /// The sum of all series of this name.
    fn metric(&self, name: &str) -> f64 {
        let text = self.gateway.metrics();
        let values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        values.sum()
    }

    /// Until a series has this value.
    fn comes_to(&self, series: &str, wanted: f64) {
        let found = wait_for(60, || (self.metric(series) == wanted).then_some(()));
        let said = self.gateway.said();
        assert!(found.is_some(), "{series} is {}: {}\n{said}", self.metric(series), self.status()["ledger"]);
    }

    /// Until all that was asked is in the store, or would be if it were there: nothing is held anywhere.
    fn settles(&self) {
        let open = wait_for(30, || (self.office.open() == 0).then_some(()));
        assert!(open.is_some(), "a vendor works on and on");
        self.comes_to("mainstay_requests_in_flight", 0.0);
        self.comes_to("mainstay_store_up", 1.0);
        for gauge in ["queue", "spool_batches", "lag_seconds", "spool_failed"] {
            self.comes_to(&format!("mainstay_ledger_{gauge}"), 0.0);
        }
        assert_eq!(self.metric("mainstay_ledger_lost_rows_total"), 0.0, "{}", self.gateway.said());
        assert_eq!(self.ready(), "ready\n");
        let ledger = &self.status()["ledger"];
        assert_eq!((&ledger["spooled_batches"], &ledger["disk"]), (&0.into(), &"works".into()), "{ledger}");
    }

    /// All that was asked so far is booked as it was billed.
    fn is_booked(&self, books: &Books<'_>, what: &str) {
        let all = wait_for(30, || (books.requests() == self.answered.len()).then_some(()));
        self.settles();
        assert!(all.is_some(), "{what}: {} of {}", books.requests(), self.answered.len());
        let error = books.equal(&self.office.bills(), &self.answered, what);
        self.is_spent(books, what);
        println!("{what}: {} requests booked as billed; {error:?}", self.answered.len());
        is_bounded(&error);
    }
}

impl Trial {
    /// Of each route's budget what its requests cost by the ledger, and so by what was billed, is spent, and nothing is
    /// reserved.
    fn is_spent(&self, books: &Books<'_>, what: &str) {
        let costs = books.costs();
        let said = || {
            let said: Value = http::get(self.gateway.admin, "/admin/budgets").unwrap().json();
            let all = said["budgets"].as_array().unwrap();
            let spent = |of: &Value| {
                assert_eq!(of["reserved_nano_usd"], 0, "{what}: {of}");
                (of["name"].as_str().unwrap().to_owned(), of["spent_nano_usd"].as_u64().unwrap())
            };
            all.iter().map(spent).filter(|(_, spent)| *spent > 0).collect::<BTreeMap<String, u64>>()
        };
        let same = wait_for(30, || (said() == costs).then_some(()));
        assert!(same.is_some(), "{what}: {:?} are spent of budgets, and {costs:?} booked", said());
    }
}

/// What was never said is estimated: an answer but for the tokens that were on their way, and a prompt as OpenAI counts
/// it, save by the bytes of its request until it is known how that is, which for prompts as short as these are rather
/// more than less.
fn is_bounded(error: &Error) {
    let [(prompts, answers), booked] = [error.billed, error.booked];
    assert!((prompts..=2 * prompts).contains(&booked.0), "prompts: {error:?}");
    // What a vendor has written and nobody has read yet is his word against ours, and more of it on a loaded machine.
    assert!(booked.1 <= answers && booked.1 * 100 >= answers * 75, "answers: {error:?}");
}
