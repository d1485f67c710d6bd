//! What rehearsals show of hedges, queues, continued streams, long prompts and callers of a log.

use super::*;
use crate::config::rehearsal::log::{AccessLog, Cut};
use crate::config::rehearsal::{Caller, Habits};
use crate::sim::{End, habits, unmodelled};
use crate::vocab::Priority;

fn call(model: &str) -> Call {
    Call::to(Target::Model(model.to_owned()))
}

#[test]
fn hedges_cut_off_a_slow_tail() {
    // Three requests in a hundred take eight seconds longer at both.
    let tail = |upstream| Outage {
        share: 0.03,
        latency: Duration::from_secs(8),
        ..Outage::of(upstream, None, minutes(0), minutes(60))
    };
    let script = Script { outages: vec![tail("near"), tail("far")], ..Script::default() };
    let of = |hedge: &str| {
        let text = TWO.replace("model: demo,", &format!("model: demo, hedge: {{{hedge}, max_share: 0.1}},"));
        let blueprint = blueprint(&text);
        let workload = Workload::of(10.0, vec![call("demo")]);
        report(&blueprint, &script, &workload, minutes(20), 1).totals
    };
    let (off, on) = (of("enabled: false"), of("enabled: true, delay: auto"));
    assert_eq!((off.success, on.success), (Some(1.0), Some(1.0)));
    assert!(off.p99_ttft > Some(Duration::from_secs(8)), "{off:?}");
    assert!(on.p99_ttft < Some(Duration::from_secs(1)), "{on:?}");
    assert!(off.hedges == 0 && on.hedges > 200, "{on:?}");
    assert!(on.hedges_won * 10 > on.hedges * 8, "most of them are heard: {on:?}");
    assert!(on.amplification < 1.1, "{on:?}");
}

/// Who was answered, by kind of request.
struct Answered(Vec<(u32, u32)>);

impl Witness for Answered {
    fn saw(&mut self, _: Tick, seen: &Seen<'_>) {
        if let Seen::Ended { call, end, .. } = *seen {
            self.0.resize(self.0.len().max(call + 1), (0, 0));
            let (good, all) = &mut self.0[call];
            *good += u32::from(end == End::Answered);
            *all += 1;
        }
    }
}

const NARROW: &str = "version: 1\nkeys: {shop: {secret: \"${SHOP}\", priority: critical}}\n\
    upstreams: {near: {provider: simulated, concurrency: {max: 4, adaptive: false}}}\n\
    routes: [{model: demo, priority: sheddable, queue: {timeout: 2s}, channels: [{upstream: near}]}]\n";

#[test]
fn who_finds_no_room_waits_and_who_matters_more_is_served_first() {
    // An answer takes some 0.5 s, so four places serve about eight a second.
    let blueprint = blueprint(NARROW);
    let short = Call { answer_tokens: 42, ..call("demo") };
    let busy = Workload::of(6.0, vec![short.clone()]);
    let totals = report(&blueprint, &Script::default(), &busy, minutes(10), 1).totals;
    assert!(totals.success >= Some(0.99), "{totals:?}");
    assert!(totals.queued > 100, "{totals:?}");
    assert!(totals.p99_queue.is_some_and(|waited| !waited.is_zero() && waited < Duration::from_secs(2)));

    let mix = vec![Call { key: Some("shop".to_owned()), share: 0.3, ..short.clone() }, short];
    let (crowd, script) = (Workload::of(14.0, mix), Script::default());
    let mut answered = Answered(Vec::new());
    let rehearsal = Rehearsal::of(&blueprint, &script, &crowd, minutes(5), 1);
    run(&rehearsal, &mut answered).expect("a route takes it");
    let shares: Vec<f64> = answered.0.iter().map(|(good, all)| f64::from(*good) / f64::from(*all)).collect();
    let [critical, sheddable] = shares.as_slice() else { panic!("{shares:?}") };
    assert!(*critical > 0.99, "{critical} of those who matter are served");
    assert!((0.2..0.8).contains(sheddable), "{sheddable} of the others are");
    let totals = report(&blueprint, &script, &crowd, minutes(5), 1).totals;
    let sheds = totals.reasons.iter().filter(|(reason, _)| reason.starts_with("queue_"));
    assert_eq!(sheds.map(|(_, count)| count).sum::<u64>(), totals.failed, "{totals:?}");
}

#[test]
fn what_an_upstream_takes_is_learnt_so_that_callers_wait_instead_of_failing() {
    let concurrency = "{near: {provider: simulated, concurrency: {max: 100, start: 8}}}";
    let text = ONE
        .replace("{near: {provider: simulated}}", concurrency)
        .replace("model: demo,", "model: demo, queue: {timeout: 3s},");
    let narrow = Habits { capacity: Some(6), ..Habits::default() };
    let script = Script { habits: vec![("near".to_owned(), narrow)], outages: Vec::new() };
    let workload = Workload::of(11.0, vec![Call { answer_tokens: 22, ..call("demo") }]);
    let of = |text: &str| report(&blueprint(text), &script, &workload, minutes(10), 1).totals;
    let (learnt, fixed) = (of(&text), of(&text.replace("max: 100", "max: 100, adaptive: false")));
    assert!(learnt.queued > 50 && fixed.queued == 0, "{learnt:?}");
    assert!(learnt.success > fixed.success, "{learnt:?} {fixed:?}");
}

const KEYED: &str = "version: 1\nupstreams:\n  near: {provider: openai, credentials: [\"${A}\"]}\n  \
    far: {provider: openai, credentials: [\"${B}\"]}\n\
    routes: [{model: demo, channels: [{upstream: near, model: gpt-5.4}, {upstream: far, model: gpt-5.4}]}]\n";

#[test]
fn continued_streams_break_for_nobody_and_their_legs_have_a_bill() {
    let cut = Outage { share: 0.2, ..Outage::of("near", Some(Fault::StreamCut), minutes(1), minutes(9)) };
    let script = Script { outages: vec![cut], ..Script::default() };
    let of = |continuation: &str| {
        let text = KEYED.replace("model: demo,", &format!("model: demo, continuation: {continuation},"));
        let workload = Workload::of(5.0, vec![call("demo")]);
        report(&blueprint(&text), &script, &workload, minutes(10), 1).totals
    };
    let (off, on) = (of("off"), of("any"));
    assert!(off.broken > 50 && off.continued == 0, "{off:?}");
    assert_eq!((on.broken, on.success), (0, Some(1.0)), "{on:?}");
    assert!(on.continued > 50 && on.continued_in_vain == 0, "{on:?}");
    let legs = on.legs_cost.usd().expect("the price is known");
    assert!(legs > 0.0 && legs < on.cost.usd().expect("the price is known") / 5.0, "{on:?}");
    assert_eq!(off.legs_cost.femto_usd, 0);
}

#[test]
fn a_stream_that_breaks_everywhere_ends_broken_after_three_legs() {
    let cut = |upstream| Outage::of(upstream, Some(Fault::StreamCut), minutes(1), minutes(2));
    let script = Script { outages: vec![cut("near"), cut("far")], ..Script::default() };
    let text = KEYED.replace("model: demo,", "model: demo, continuation: any,");
    let totals =
        report(&blueprint(&text), &script, &Workload::of(1.0, vec![call("demo")]), minutes(4), 1).totals;
    assert!(totals.continued_in_vain > 0 && totals.broken >= totals.continued_in_vain, "{totals:?}");
    assert!(totals.success.is_some_and(|success| success < 1.0), "{totals:?}");
}

#[test]
fn a_long_prompt_is_read_before_it_is_answered() {
    let median = |tokens, script: &Script| {
        let workload = Workload::of(2.0, vec![Call { prompt_tokens: tokens, ..call("demo") }]);
        let totals = report(&blueprint(KEYED), script, &workload, minutes(10), 1).totals;
        totals.p50_ttft.expect("there are answers").as_secs_f64()
    };
    let usual = Script::default();
    // Half a second, and ten thousand tokens in another one.
    assert!((median(0, &usual) - 0.5).abs() < 0.05);
    assert!((median(20_000, &usual) - 2.5).abs() < 0.25);
    let slow = |name: &str| (name.to_owned(), Habits { prefill: Some(2_000), ..Habits::default() });
    let slow = Script { habits: vec![slow("near"), slow("far")], outages: Vec::new() };
    assert!((median(2_000, &slow) - 1.5).abs() < 0.15);
}

/// A request every half a second, each line a second after it.
fn log(model: &str, count: u32) -> AccessLog {
    let line = |index: u32| {
        let at = 1000 + index * 500;
        let (minute, second, millis) = (at / 60_000, at / 1000 % 60, at % 1000);
        let outcome = match index % 20 {
            7 => "client_fault",
            13 => "cancelled",
            _ => "ok",
        };
        format!(
            r#"{{"timestamp":"2026-11-21T08:{minute:02}:{second:02}.{millis:03}Z","dialect":"openai","route":"{model}","model":"{model}","stream":true,"channel":"near/{model}","outcome":"{outcome}","attempts":1,"millis":1000.0,"first_byte":300.0,"input":2000,"output":36,"target":"mainstay::request"}}"#
        )
    };
    let text: Vec<String> = (0..count).map(line).collect();
    AccessLog::read(text.join("\n").as_bytes()).expect("memory can be read")
}

const ALL: Cut = Cut { from: None, to: None, speed: 1.0, scale: 1.0, until: None };

#[test]
fn a_log_replayed_while_all_is_well_comes_out_as_it_was() {
    let (log, blueprint) = (log("demo", 600), blueprint(TWO));
    let replay = log.replay(&ALL).expect("there are requests");
    let mut script = Script::default();
    let learnt = habits::learn(&mut script, &log.requests, &blueprint);
    assert_eq!(learnt, ["near"], "nobody asked far");
    assert_eq!(script.habits[0].1.ttft, Some(Duration::from_millis(300)), "a simulated one reads at once");
    assert_eq!(script.habits[0].1.pace, Some(Duration::from_millis(20)));
    let totals = report(&blueprint, &script, &replay.workload, replay.lasts + minutes(1), 1).totals;
    assert_eq!((totals.requests, totals.success), (600, replay.success), "{totals:?}");
    // An answer that comes sooner than its caller left finds him there.
    assert!(totals.hung_up > 0 && totals.hung_up <= 30, "{totals:?}");
    assert!((replay.workload.rate - 2.0).abs() < 0.01, "{}", replay.workload.rate);
    for minute in &report(&blueprint, &script, &replay.workload, replay.lasts, 1).minutes[..4] {
        assert_eq!(minute.requests(), 120);
    }
}

#[test]
fn requests_of_a_log_that_no_route_takes_are_named() {
    let (blueprint, script) = (blueprint(TWO), Script::default());
    let mut replay = log("demo", 60).replay(&ALL).expect("there are requests");
    replay.workload.mix[0].target = Target::Model("gone".to_owned());
    let rehearsal = Rehearsal::of(&blueprint, &script, &replay.workload, minutes(2), 1);
    let unrouted = run(&rehearsal, &mut Answered(Vec::new())).expect("most have a route");
    assert_eq!(unrouted.into_iter().collect::<Vec<_>>(), [("model `gone`".to_owned(), 1)]);
    let none = log("gone", 5).replay(&ALL).expect("there are requests");
    let rehearsal = Rehearsal::of(&blueprint, &script, &none.workload, minutes(2), 1);
    assert!(run(&rehearsal, &mut AtTheEnd(false)).is_err(), "a log of another gateway is no rehearsal");
}

#[test]
fn what_is_wrong_with_a_request_is_not_the_gateways_failure() {
    let mistaken = Call { caller: Caller::Mistaken, ..call("demo") };
    let totals =
        report(&blueprint(TWO), &Script::default(), &Workload::of(5.0, vec![mistaken]), minutes(2), 1).totals;
    assert_eq!((totals.success, totals.amplification), (Some(1.0), 1.0), "{totals:?}");
}

#[test]
fn a_full_gateway_turns_away_who_matters_least() {
    let text = "version: 1\nserver: {limits: {max_inflight: 20}}\nupstreams: {near: {provider: simulated}}\n\
        routes: [{model: demo, channels: [{upstream: near}]}]\n";
    let kind = |priority| Call { priority: Some(priority), answer_tokens: 100, ..call("demo") };
    let workload = Workload::of(12.0, vec![kind(Priority::Sheddable), kind(Priority::Critical)]);
    let totals = report(&blueprint(text), &Script::default(), &workload, minutes(5), 1).totals;
    let shed = totals.reasons.iter().find(|(reason, _)| reason == "shed_by_priority");
    assert!(shed.is_some_and(|(_, count)| *count > 20), "{totals:?}");
}

#[test]
fn what_is_not_rehearsed_is_said_of_each_configuration() {
    assert_eq!(unmodelled::of(&blueprint(TWO)).len(), 1, "nothing in it is special");
    let text =
        TWO.replace("model: demo,", "model: demo, on_exhausted: [fallback, wait, fail], coalesce: true,");
    let lines = unmodelled::of(&blueprint(&text));
    assert!(lines.iter().any(|line| line.contains("on_exhausted") && line.contains("demo")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("coalesce")), "{lines:?}");
}

#[test]
fn keys_that_reach_less_are_not_rehearsed_and_it_is_said() {
    let lines = |keys: &str| {
        let env = Given::default().var("K", "0123456789abcdef");
        let loaded = config::load(&TWO.replace("version: 1", &format!("version: 1\n{keys}")), &env);
        unmodelled::of(&loaded.expect("a good file").blueprint).len()
    };
    assert_eq!(lines("keys: {k: {secret: '${K}'}}"), 1);
    assert_eq!(lines("teams: {t: {allow: {models: [demo]}}}\nkeys: {k: {secret: '${K}', team: t}}"), 2);
}
