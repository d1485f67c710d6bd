//! What rehearsals of remembered outages come to. Expectations are the project's own promises: an outage
//! of one provider is not the callers', a key without quota is left alone, recovery takes a minute.

mod crowds;
mod steered;

use std::sync::Arc;
use std::time::Duration;

use super::outages::{self, BuiltIn};
use super::page::{self, Head};
use super::report::{Attempts, Lane, Report};
use super::said::RehearsedReport;
use super::told::{Stop, Untold};
use super::{Ledger, Rehearsal, Seen, Witness, run};
use crate::algo::tick::Tick;
use crate::config::rehearsal::{Call, Delivery, Outage, Script, Target, Whom, Workload};
use crate::config::testing::Given;
use crate::config::{self, Blueprint};
use crate::state::Table;
use crate::vocab::Fault;

const TWO: &str = "version: 1\nupstreams: {near: {provider: simulated}, far: {provider: simulated}}\n\
    routes: [{model: demo, channels: [{upstream: near, weight: 3}, {upstream: far}]}]\n";
const ONE: &str = "version: 1\nupstreams: {near: {provider: simulated}}\n\
    routes: [{model: demo, channels: [{upstream: near}]}]\n";
const KEYS: &str = "version: 1\nupstreams:\n  near: {provider: openai, credentials: [\"${A}\", \"${B}\"]}\n\
    routes: [{model: demo, channels: [{upstream: near, model: gpt-5.4}]}]\n";

fn blueprint(text: &str) -> Blueprint {
    let env =
        Given::default().var("A", "sk-first").var("B", "sk-second").var("SHOP", "sk-shop-0123456789abcdef");
    config::load(text, &env).unwrap_or_else(|problems| panic!("{problems:?}")).blueprint
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// `ready`, of the heaviest upstream, cut to `lasting` where that is given.
fn outage(blueprint: &Blueprint, ready: BuiltIn, lasting: Option<Duration>) -> Script {
    let workload = outages::usual_workload(blueprint).expect("a route names a model");
    let heaviest = outages::heaviest(blueprint, &workload).expect("one has weight");
    let mut outage = ready.outage(Whom::Upstream(heaviest));
    outage.to = lasting.map_or(outage.to, |lasting| outage.from + lasting);
    Script { outages: vec![outage], ..Script::default() }
}

fn rehearsed(text: &str, script: &Script, rate: f64) -> Report {
    let blueprint = blueprint(text);
    let mut workload = outages::usual_workload(&blueprint).expect("a route names a model");
    workload.rate = rate;
    report(&blueprint, script, &workload, outages::usual_duration(script), 1)
}

fn report(
    blueprint: &Blueprint,
    script: &Script,
    workload: &Workload,
    duration: Duration,
    seed: u64,
) -> Report {
    let mut ledger = Ledger::new(script, &blueprint.catalog);
    let rehearsal = Rehearsal::of(blueprint, script, workload, duration, seed);
    run(&rehearsal, &mut ledger).expect("every call has a route");
    ledger.report("routing.yaml")
}

fn lane<'r>(report: &'r Report, label: &str) -> &'r Lane {
    report
        .lanes
        .iter()
        .find(|lane| lane.label == label)
        .unwrap_or_else(|| panic!("{label}: {:?}", report.lanes))
}

#[test]
fn a_provider_that_is_down_for_an_hour_is_not_noticed_where_there_is_another() {
    let script = outage(&blueprint(TWO), BuiltIn::ProviderDown, Some(minutes(60)));
    let report = rehearsed(TWO, &script, 5.0);
    let totals = &report.totals;
    assert!(totals.success >= Some(0.999), "{totals:?}");
    // Probes of what is down come once a minute at last, and the way back has a slow start of half a minute.
    let near = report.upstreams.iter().position(|name| name == "near").expect("it was asked");
    assert!(
        report.minutes[67].attempts[near].good > 0,
        "it is asked again {:?}",
        report.minutes[67].attempts
    );
    assert!(totals.recovery.is_some_and(|took| took <= Duration::from_mins(1)), "{totals:?}");
    assert!(totals.amplification < 1.05, "{totals:?}");
    assert_eq!(lane(&report, "near").spans.last().map(|span| span.state), Some("closed"));
}

#[test]
fn a_provider_that_is_down_is_noticed_by_everybody_where_there_is_no_other() {
    let script = outage(&blueprint(ONE), BuiltIn::ProviderDown, Some(minutes(10)));
    let report = rehearsed(ONE, &script, 5.0);
    for minute in &report.minutes[6..14] {
        assert_eq!((minute.answered, minute.success()), (0, Some(0.0)), "{minute:?}");
    }
    assert!(report.minutes[..4].iter().all(|minute| minute.success() == Some(1.0)));
    assert!(report.minutes[17..25].iter().all(|minute| minute.success() == Some(1.0)), "{:?}", report.totals);
    assert!(
        report.totals.reasons.iter().any(|(reason, _)| reason == "nothing_eligible"),
        "{:?}",
        report.totals
    );
}

#[test]
fn bursts_of_529_bench_nobody_for_long_and_reach_no_caller() {
    let script = outage(&blueprint(TWO), BuiltIn::Storm, None);
    let report = rehearsed(TWO, &script, 10.0);
    assert!(report.totals.success >= Some(0.999), "{:?}", report.totals);
    let longest = report.lanes.iter().map(|lane| lane.longest("open")).max();
    assert!(longest <= Some(Duration::from_secs(30)), "{longest:?}");
    let good = |at: usize| report.minutes[6..34].iter().map(|minute| minute.attempts[at].good).sum::<u64>();
    let near = report.upstreams.iter().position(|name| name == "near").expect("it was asked");
    let share = good(near) as f64 / (good(0) + good(1)) as f64;
    assert!(share > 0.4 * 0.75, "of three quarters it kept {share}");
}

/// Counts what is sent with one key.
#[derive(Default)]
struct Sent {
    key: &'static str,
    while_out: u32,
    otherwise: u32,
}

impl Witness for Sent {
    fn saw(&mut self, now: Tick, seen: &Seen<'_>) {
        if let Seen::Asked { credential: Some(name), .. } = seen
            && *name == self.key
        {
            let out = (minutes(5)..minutes(65)).contains(&now.since(Tick::ZERO));
            *(if out { &mut self.while_out } else { &mut self.otherwise }) += 1;
        }
    }
}

#[test]
fn a_key_without_quota_is_hardly_asked_and_the_other_serves() {
    let blueprint = blueprint(KEYS);
    let script = outage(&blueprint, BuiltIn::OutOfQuota, None);
    let workload =
        Workload { rate: 4.0, ..outages::usual_workload(&blueprint).expect("a route names a model") };
    let duration = outages::usual_duration(&script);
    let rehearsal = Rehearsal::of(&blueprint, &script, &workload, duration, 3);
    let mut sent = Sent { key: "near#1", ..Sent::default() };
    run(&rehearsal, &mut sent).expect("a route takes it");
    assert!(sent.while_out <= 4, "{}", sent.while_out);
    assert!(sent.otherwise > 500, "before and after it has its half: {}", sent.otherwise);
    let report = report(&blueprint, &script, &workload, duration, 3);
    assert_eq!(report.totals.success, Some(1.0), "{:?}", report.totals);
    assert!(report.totals.cost.usd().is_some_and(|usd| usd > 1.0), "{:?}", report.totals.cost);
    assert_eq!(report.totals.cost.unpriced, 0);
}

#[test]
fn a_flapping_host_makes_a_breaker_change_a_bounded_number_of_times() {
    let script = outage(&blueprint(TWO), BuiltIn::Flapping, None);
    let report = rehearsed(TWO, &script, 5.0);
    assert!(report.totals.success >= Some(0.999), "{:?}", report.totals);
    // Open, half-open, closed: three changes a flap, and some for trials that fail.
    let changes = lane(&report, "near").changes();
    assert!((30..=30 * 5).contains(&changes), "{changes}");
}

#[test]
fn an_upstream_that_becomes_slower_and_slower_loses_its_callers_in_the_end() {
    let text = TWO.replace("model: demo,", "model: demo, select: lowest_latency,");
    let script = outage(&blueprint(&text), BuiltIn::SlowCreep, None);
    let report = rehearsed(&text, &script, 5.0);
    assert_eq!(report.totals.success, Some(1.0), "{:?}", report.totals);
    assert!(report.totals.p50_ttft < Some(Duration::from_millis(100)), "{:?}", report.totals);
    let near = report.upstreams.iter().position(|name| name == "near").expect("it was asked");
    let late = &report.minutes[30..34];
    let (own, all) = late.iter().fold((0, 0), |(own, all), minute| {
        (own + minute.attempts[near].all(), all + minute.attempts.iter().map(Attempts::all).sum::<u64>())
    });
    assert!(own * 10 < all, "{own} of {all} attempts still go there");
}

#[test]
fn an_upstream_that_becomes_slower_and_slower_earns_no_patience_by_it() {
    // Its own history allowed four times what it took a minute ago: up to half a minute.
    for (select, rate) in [("weighted_round_robin", 5.0), ("lowest_latency", 20.0), ("least_inflight", 5.0)] {
        let text = TWO.replace("model: demo,", &format!("model: demo, select: {select},"));
        let script = outage(&blueprint(&text), BuiltIn::SlowCreep, None);
        let report = rehearsed(&text, &script, rate);
        let slowest = report.minutes.iter().filter_map(|minute| minute.ttft(1.0)).max();
        assert!(slowest < Some(Duration::from_secs(12)), "{select}: {slowest:?}");
        assert!(report.totals.p99_ttft < Some(Duration::from_secs(11)), "{select}: {:?}", report.totals);
        assert!(report.totals.success >= Some(0.999), "{select}: {:?}", report.totals);
    }
}

#[test]
fn the_same_seed_gives_the_same_report_and_another_one_another() {
    let blueprint = blueprint(TWO);
    let script = outage(&blueprint, BuiltIn::Flapping, Some(minutes(3)));
    let workload = outages::usual_workload(&blueprint).expect("a route names a model");
    let of = |seed| report(&blueprint, &script, &workload, minutes(10), seed);
    let of =
        |seed| serde_json::to_string(&RehearsedReport::from(&of(seed))).expect("figures and names are JSON");
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}

#[test]
fn streams_that_break_are_broken_and_whole_answers_are_tried_again() {
    let blueprint = blueprint(TWO);
    let outage = |fault| Outage { share: 0.2, ..Outage::of("near", Some(fault), minutes(1), minutes(9)) };
    let script = Script { outages: vec![outage(Fault::StreamCut)], ..Script::default() };
    let of = |delivery| {
        let call = Call { delivery, ..Call::to(Target::Model("demo".to_owned())) };
        report(&blueprint, &script, &Workload::of(5.0, vec![call]), minutes(10), 1).totals
    };
    let (streams, whole) = (of(Delivery::Stream), of(Delivery::Whole));
    assert!(streams.broken > 50 && streams.failed == 0, "{streams:?}");
    assert_eq!((whole.broken, whole.success), (0, Some(1.0)), "{whole:?}");
    assert_eq!(streams.reasons.first().map(|(reason, _)| reason.as_str()), Some("stream_cut"));
}

#[test]
fn where_all_streams_of_a_channel_break_those_that_ran_are_all_that_callers_see() {
    let script = Script {
        outages: vec![Outage::of("near", Some(Fault::StreamCut), minutes(1), minutes(9))],
        ..Script::default()
    };
    let of = |text: &str| {
        let call = Call::to(Target::Model("demo".to_owned()));
        report(&blueprint(text), &script, &Workload::of(5.0, vec![call]), minutes(10), 1).totals
    };
    let (held, once) =
        (of(TWO), of(&TWO.replace("model: demo,", "model: demo, retry: {replay: if_unsent},")));
    assert!((1..10).contains(&held.broken) && held.failed == 0, "{held:?}");
    assert!(once.broken > held.broken + 5, "{once:?} {held:?}");
}

#[test]
fn callers_who_hang_up_are_nobodys_failure() {
    let blueprint = blueprint(TWO);
    let call = Call { hang_up: 0.5, ..Call::to(Target::Model("demo".to_owned())) };
    let workload = Workload::of(5.0, vec![call]);
    let report = report(&blueprint, &Script::default(), &workload, minutes(5), 1);
    assert!(report.totals.hung_up > 100, "{:?}", report.totals);
    assert_eq!(report.totals.success, Some(1.0), "{:?}", report.totals);
    assert!(report.lanes.iter().all(|lane| lane.changes() == 0), "{:?}", report.lanes);
}

/// Looks at the gauges when all is over.
struct AtTheEnd(bool);

impl Witness for AtTheEnd {
    fn saw(&mut self, _: Tick, _: &Seen<'_>) {}

    fn closed(&mut self, _: Tick, tables: &[&Table]) {
        use std::sync::atomic::Ordering::Relaxed;
        for table in tables {
            for upstream in &table.upstreams {
                assert_eq!(upstream.memory.in_flight.load(Relaxed), 0);
            }
            assert!(table.routes.iter().all(|route| route.memory.in_flight.load(Relaxed) == 0));
        }
        self.0 = true;
    }
}

#[test]
fn a_path_is_rehearsed_as_plain_http_and_nothing_is_left_in_flight() {
    let text = "version: 1\nupstreams: {near: {provider: simulated}, far: {provider: simulated}}\n\
        routes: [{path: /echo/, channels: [{upstream: near}, {upstream: far}]}]\n";
    let blueprint = blueprint(text);
    let workload = outages::usual_workload(&blueprint).expect("the path");
    let script = outage(&blueprint, BuiltIn::ProviderDown, Some(minutes(2)));
    let found = report(&blueprint, &script, &workload, minutes(10), 1).totals;
    assert!(found.success >= Some(0.999), "{found:?}");
    let mut end = AtTheEnd(false);
    let duration = minutes(3);
    let rehearsal = Rehearsal::of(&blueprint, &script, &workload, duration, 1);
    run(&rehearsal, &mut end).expect("the route takes it");
    assert!(end.0);
}

#[test]
fn a_workload_that_no_route_takes_is_refused() {
    let blueprint = blueprint(ONE);
    let workload = Workload::of(1.0, vec![Call::to(Target::Model("other".to_owned()))]);
    let script = Script::default();
    let duration = minutes(1);
    let rehearsal = Rehearsal::of(&blueprint, &script, &workload, duration, 1);
    let error = run(&rehearsal, &mut AtTheEnd(false)).expect_err("no route");
    assert_eq!(error.to_string(), "no route takes model `other` of the workload");
}

#[test]
fn upstreams_without_keys_here_are_rehearsed_as_if_they_had_them() {
    let mut cold = config::load(KEYS, &Given::default()).expect("a good file").blueprint;
    assert_eq!(super::pretend_keys(&mut cold), [Arc::<str>::from("near")]);
    assert_eq!(cold.upstreams[0].credentials.len(), 2);
    let workload = outages::usual_workload(&cold).expect("a route names a model");
    let found = report(&cold, &Script::default(), &workload, minutes(2), 1).totals;
    assert_eq!(found.success, Some(1.0), "{found:?}");
    assert!(super::pretend_keys(&mut cold).is_empty());
}

/// Every tag is closed, in order, and every `&` begins a known entity.
fn assert_well_formed(xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    let body = xml.strip_prefix("<!DOCTYPE html>\n").expect("it says that it is HTML");
    for (at, _) in body.match_indices('&') {
        let entity = ["&amp;", "&lt;", "&gt;", "&quot;"].iter().any(|known| body[at..].starts_with(known));
        assert!(entity, "{}", &body[at..(at + 20).min(body.len())]);
    }
    for piece in body.split('<').skip(1) {
        let (tag, _) = piece.split_once('>').unwrap_or_else(|| panic!("<{piece} is not closed"));
        assert_eq!(tag.matches('"').count() % 2, 0, "<{tag}>");
        let name = tag.split([' ', '/']).find(|name| !name.is_empty()).expect("a name");
        if let Some(closed) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed));
        } else if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} are never closed");
}

#[test]
fn the_page_is_well_formed_and_stands_by_itself() {
    let script = outage(&blueprint(TWO), BuiltIn::ProviderDown, Some(minutes(3)));
    let mut one = rehearsed(TWO, &script, 5.0);
    one.config = "a<b>&\"c\"\u{1}.yaml".to_owned();
    let two = Report { config: "nothing at all".to_owned(), ..Report::default() };
    let head = Head { about: vec!["5 < 6 & 7".to_owned()], ..Head::default() };
    for reports in [vec![one.clone()], vec![one.clone(), two]] {
        let page = page::render(&head, &reports);
        assert_well_formed(&page);
        assert_eq!(page.matches("<section>").count(), reports.len());
        assert!(
            !page.contains("<script") && !page.contains("<link") && !page.contains("src="),
            "it fetches nothing"
        );
        assert!(page.matches("http").count() == 1, "the namespace is the only address");
        assert!(page.contains("prefers-color-scheme"), "light and dark");
        assert!(!page.contains("NaN") && !page.contains("inf"), "every number is one");
    }
    let charts = page::render(&head, &[one]).matches("<svg").count();
    assert_eq!(charts, 4, "the price of a simulated model is unknown");
}

#[test]
fn a_rehearsal_ends_when_nobody_waits_for_it() {
    let blueprint = blueprint(TWO);
    let workload = outages::usual_workload(&blueprint).expect("a route names a model");
    let script = Script::default();
    let rehearsal = Rehearsal::of(&blueprint, &script, &workload, minutes(10), 1);
    let stop = Stop::default();
    let waiting = stop.waiting();
    let told = rehearsal.report("routing.yaml", &stop, &mut Vec::new());
    assert_eq!(told.map(|report| report.minutes.len() >= 10), Ok(true));
    drop(waiting);
    let untold = rehearsal.report("routing.yaml", &stop, &mut Vec::new());
    assert_eq!(untold.err(), Some(Untold::Stopped));
}
