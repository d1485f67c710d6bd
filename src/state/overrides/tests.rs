//! What operators say, over tables of the real thing and in a time that the test moves.

use super::*;
use crate::algo::breaker::Signal;
use crate::config;
use crate::config::testing::Given;
use crate::state::memoir::Memoir;
use crate::state::{Hand, Live, Registry};

const FILE: &str = "
version: 1
upstreams:
  one: {provider: custom, dialect: openai, base_url: 'https://one.example.com/v1'}
  two: {provider: custom, dialect: openai, base_url: 'https://two.example.com/v1'}
routes:
  - {model: m, channels: [{upstream: one}, {upstream: two}]}
  - {model: 'made-up-*', channels: [{upstream: two}]}
";

struct Bench {
    hand: Hand,
    live: Arc<Live>,
    registry: Registry,
    table: Table,
}

impl Bench {
    fn new() -> Self {
        let hand = Hand::default();
        let live = Arc::new(Live::moved_by(&hand, 3));
        let mut registry = Registry::default();
        let table = compiled(FILE, &mut registry, &live);
        Self { hand, live, registry, table }
    }

    fn reload(&mut self, file: &str) {
        self.table = compiled(file, &mut self.registry, &self.live);
    }

    fn at(&self, seconds: u64) {
        self.hand.move_to(Tick::ZERO + Duration::from_secs(seconds));
        self.table.expire();
    }

    fn say(&self, kind: Kind, model: Option<&str>, seconds: Option<u64>) {
        let lasting = seconds.map(Duration::from_secs);
        let said = Override::new(kind, lasting, "night shift", "somebody", &self.live.clock);
        self.table.say(&one(model), &said).expect("there is room");
    }

    /// The upstream's bar and gate, and its model's.
    fn stands(&self) -> [(Option<Keeps>, &'static str); 2] {
        let upstream = self.table.upstreams.iter().find(|known| &*known.config.name == "one").expect("one");
        let model = upstream.memory.model("m", None);
        let now = self.live.now();
        let keeps = |bar: &Bar| bar.down(now).map(|down| down.keeps);
        let gate = model.gate.as_ref().expect("of a model");
        [
            (keeps(&upstream.memory.bar), upstream.memory.gate.state().name()),
            (keeps(&model.bar), gate.state().name()),
        ]
    }

    /// Series of the gauge that are not 0.
    fn counted(&self) -> Vec<String> {
        self.table.export();
        let text = self.live.metrics.render();
        let series = text.lines().filter_map(|line| line.strip_prefix("mainstay_overrides{"));
        series.filter(|line| !line.ends_with(" 0")).map(str::to_owned).collect()
    }
}

fn one(model: Option<&str>) -> Subject {
    Subject { upstream: "one".into(), model: model.map(Into::into) }
}

fn compiled(file: &str, registry: &mut Registry, live: &Arc<Live>) -> Table {
    let blueprint = config::load(file, &Given::default()).expect("a good file").blueprint;
    Table::compile(&blueprint, registry, live)
}

const AS_EVER: (Option<Keeps>, &str) = (None, "closed");

#[test]
fn each_kind_takes_hold_at_once_and_ends_by_itself_at_its_time() {
    let kinds = [
        (Kind::Disabled, (Some(Keeps::Everybody), "closed")),
        (Kind::Draining, (Some(Keeps::NewComers), "closed")),
        (Kind::ForcedOpen, (None, "forced_open")),
        (Kind::ForcedClosed, (None, "forced_closed")),
    ];
    for (kind, held) in kinds {
        for model in [None, Some("m")] {
            let bench = Bench::new();
            bench.say(kind, model, Some(600));
            let expected = if model.is_none() { [held, AS_EVER] } else { [AS_EVER, held] };
            let label =
                format!("upstream=\"one\",model=\"{}\",kind=\"{}\"}} 1", model.unwrap_or(""), kind.name());
            bench.at(599);
            assert_eq!(bench.stands(), expected, "{kind:?} {model:?}");
            assert_eq!(bench.counted(), [label]);
            bench.at(600);
            assert_eq!(bench.stands(), [AS_EVER; 2], "{kind:?} {model:?}");
            assert_eq!(bench.counted(), [] as [&str; 0]);
            let ended = bench.live.overrides.take_ended();
            assert_eq!(ended.len(), 1, "{kind:?} {model:?}");
            assert_eq!(bench.live.overrides.take_ended().len(), 0, "each end is told of once");
        }
    }
}

#[test]
fn what_is_said_last_holds_and_taken_back_leaves_nothing() {
    let bench = Bench::new();
    bench.say(Kind::ForcedOpen, None, None);
    bench.say(Kind::Draining, None, None);
    assert_eq!(bench.stands(), [(Some(Keeps::NewComers), "closed"), AS_EVER]);
    bench.at(1_000_000);
    assert_eq!(bench.stands()[0].0, Some(Keeps::NewComers), "without a time it lasts");
    assert_eq!(bench.table.unsay(&one(None), "").map(|said| said.kind), Some(Kind::Draining));
    assert_eq!(bench.table.unsay(&one(None), ""), None);
    assert_eq!(bench.stands(), [AS_EVER; 2]);
    assert_eq!(bench.counted(), [] as [&str; 0]);
    let upstream = &bench.table.upstreams[0];
    let told: Vec<_> = upstream.memory.timeline.all();
    let told: Vec<_> = told.iter().filter(|change| change.of == Of::Override).collect();
    let words: Vec<_> = told.iter().map(|change| (change.from, change.to)).collect();
    assert_eq!(words, [("none", "forced_open"), ("forced_open", "draining"), ("draining", "none")]);
    assert_eq!(told[0].reason, "night shift");
}

#[test]
fn a_reload_keeps_them_even_where_the_upstream_is_another_one_or_was_away() {
    let mut bench = Bench::new();
    bench.say(Kind::Disabled, None, Some(600));
    bench.say(Kind::ForcedOpen, Some("m"), Some(600));
    let held = [(Some(Keeps::Everybody), "closed"), (None, "forced_open")];
    bench.reload(&FILE.replace("{upstream: two}]", "{upstream: two, weight: 3}]"));
    assert_eq!(bench.stands(), held);
    bench.reload(&FILE.replace("one.example.com", "elsewhere.example.com"));
    assert_eq!(bench.stands(), held, "another transport, another memory");
    let without = FILE.replace("{upstream: one}, ", "").replace("  one: {", "  three: {");
    bench.reload(&without);
    assert_eq!(bench.counted().len(), 2, "what holds is counted, whether it is used or not");
    bench.reload(FILE);
    assert_eq!(bench.stands(), held);
    bench.reload(&without);
    bench.at(600);
    assert_eq!(bench.counted(), [] as [&str; 0]);
    bench.reload(FILE);
    assert_eq!(bench.stands(), [AS_EVER; 2]);
}

#[test]
fn evidence_does_not_move_a_forced_breaker() {
    let bench = Bench::new();
    bench.say(Kind::ForcedClosed, None, Some(600));
    let gate = &bench.table.upstreams[0].memory.gate;
    for _ in 0..100 {
        let (now, mut dice) = (bench.live.now(), bench.live.dice());
        let (permit, _) = gate.admit(now, &mut dice).expect("it is closed");
        let _ = gate.settle(permit, Signal::Failure, now, now, &mut dice);
    }
    assert_eq!(gate.state(), State::ForcedClosed);
    bench.table.upstreams[0].reset(bench.live.now());
    assert_eq!(gate.state(), State::ForcedClosed, "forgetting is not taking back");
}

#[test]
fn a_model_that_callers_name_is_held_within_one_look_and_is_no_label() {
    let bench = Bench::new();
    let said = Override::new(Kind::Disabled, None, "", "somebody", &bench.live.clock);
    let subject = Subject { upstream: "two".into(), model: Some("made-up-1".into()) };
    bench.table.say(&subject, &said).expect("there is room");
    let model = bench.table.upstreams[1].memory.model("made-up-1", None);
    assert_eq!(model.bar.down(bench.live.now()), None, "nobody had asked for it");
    bench.at(1);
    assert!(model.bar.down(bench.live.now()).is_some());
    assert_eq!(bench.counted(), [r#"upstream="two",model="other",kind="disabled"} 1"#]);
}

#[test]
fn the_next_process_is_told_however_late_it_comes() {
    let bench = Bench::new();
    bench.say(Kind::Disabled, None, None);
    bench.say(Kind::ForcedOpen, Some("m"), Some(7_200));
    let unix = bench.live.clock.unix_now();
    let text = Memoir::of(&bench.table, unix).encode().expect("small").text;
    // Of a believed file, and of one that is too old for all else.
    for (later, tripped) in [(600, true), (7_199, true), (7_200, false), (90_000, false)] {
        let next = Bench::new();
        let unix = unix + Duration::from_secs(later);
        next.live.overrides.recall(&Memoir::lasting(&text).overrides, unix, next.live.now());
        next.table.expire();
        let model = if tripped { "forced_open" } else { "closed" };
        assert_eq!(next.stands(), [(Some(Keeps::Everybody), "closed"), (None, model)], "{later} s");
        let all = next.live.overrides.all(next.live.now());
        assert_eq!((&*all[0].1.reason, &*all[0].1.by), ("night shift", "somebody"));
        // What was left of its time is what is left of it.
        next.at(7_200 - later.min(7_200));
        assert_eq!(next.stands()[1], AS_EVER, "{later} s");
    }
}

#[test]
fn a_gate_that_an_earlier_process_forced_is_released_where_nobody_says_so_any_more() {
    let bench = Bench::new();
    bench.table.upstreams[0].memory.gate.force(Forced::Open, bench.live.now());
    bench.live.overrides.unsettle();
    bench.table.expire();
    assert_eq!(bench.stands(), [AS_EVER; 2]);
}

#[test]
fn there_is_a_most() {
    let bench = Bench::new();
    let said = || Override::new(Kind::Disabled, None, "", "", &bench.live.clock);
    let subject = |number: usize| one(Some(&number.to_string()));
    for number in 0..MOST {
        assert_eq!(bench.table.say(&subject(number), &said()), Ok(()));
    }
    assert_eq!(bench.table.say(&subject(MOST), &said()), Err(TooMany));
    assert_eq!(bench.table.say(&subject(0), &said()), Ok(()), "who is known may change");
}
