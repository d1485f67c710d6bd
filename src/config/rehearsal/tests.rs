//! Tests of the files of a rehearsal.

use super::*;
use crate::config::load;
use crate::config::testing::Given;

const FILE: &str = "version: 1\nupstreams: {near: {provider: simulated}, far: {provider: simulated}}\n\
    routes: [{model: demo, channels: [{upstream: near}, {upstream: far}]}]\n";

fn script_of(text: &str) -> Result<Script, String> {
    let blueprint = load(FILE, &Given::default()).expect("a good file").blueprint;
    script(text, "outage.yaml", &blueprint).map_err(|problems| shown(&problems))
}

fn shown(problems: &[Problem]) -> String {
    problems.iter().map(|problem| problem.render("routing.yaml")).collect()
}

#[test]
fn a_script_says_what_goes_wrong_and_when() {
    let read = script_of(
        "upstreams: {far: {ttft: 2s, capacity: 10}}
outages:
  - {upstream: near, from: 1m, to: 5m, fault: overloaded, share: 0.4, retry_after: 2s,
     flapping: {down: 3s, up: 27s}}
  - {upstream: far, from: 0s, to: 1h, latency: 20s, creeping: true}
",
    )
    .expect("a good script");
    assert_eq!(read.habits[0].1.ttft, Some(Duration::from_secs(2)));
    let [storm, creep] = read.outages.as_slice() else { panic!("{read:?}") };
    assert_eq!((storm.fault, storm.share), (Some(Fault::Overloaded), 0.4));
    assert_eq!(storm.flapping.map(|flapping| flapping.up), Some(Duration::from_secs(27)));
    assert_eq!((creep.fault, creep.onset), (None, Onset::Creeping));
}

#[test]
fn every_mistake_of_a_script_is_shown_with_its_place() {
    let said = script_of(
        "outages:
  - {upstream: naer, from: 1m, to: 5m, fault: conect}
  - {upstream: near, from: 5m, to: 1m, fault: connect}
  - {upstream: near, from: 1m, to: 5m}
  - {upstream: near, form: 1m, to: 5m, fault: cancelled, share: 2}
  - {upstream: near, from: 0s, to: 5m, fault: tls, creeping: true, flapping: {down: 1s, up: 0s}}
  - {from: 0s, to: 5m, fault: tls}
  - {upstream: near, fate: rack, from: 0s, to: 5m, fault: tls}
  - {fate: rack, from: 0s, to: 5m, fault: tls}
  - {provider: simulatd, from: 0s, to: 5m, fault: tls}
",
    )
    .expect_err("mistakes");
    for expected in [
        "outage.yaml:2:",
        "did you mean `near`?",
        "did you mean `connect`?",
        "it is over before it begins",
        "nothing happens in it",
        "unknown key `form`",
        "`from` is missing",
        "`cancelled` is not a fault of upstreams",
        "2 is not allowed",
        "nothing creeps",
        "it does not flap",
        "it befalls nobody",
        "it says twice whom it befalls",
        "there is no upstream of fate `rack` in the routing file",
        "there are no fate groups",
        "did you mean `simulated`? providers: simulated",
    ] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    assert!(script_of("").expect_err("empty").contains("begin with: outages"));
}

#[test]
fn a_workload_is_a_rate_and_a_mix() {
    let read = workload("rate: 2.5\nmix: [{model: demo, stream: false}, {path: /echo/, share: 3}]", "w")
        .expect("a good workload");
    assert_eq!(read.rate, 2.5);
    assert_eq!(read.mix[0].delivery, Delivery::Whole);
    assert_eq!(read.mix[1].target, Target::Path("/echo/".to_owned()));
    for (text, expected) in [
        ("mix: [{share: 1}]", "nothing is asked for"),
        ("mix: [{model: a, path: /b}]", "keep one of them"),
        ("mix: [{model: a, share: 0}]", "nobody asks"),
        ("mix: []", "the list is empty"),
        ("rate: -1\nmix: [{model: a}]", "-1 is not allowed"),
        ("{}", "`mix` is missing"),
    ] {
        let said = workload(text, "w").map_or_else(|problems| shown(&problems), |_| String::new());
        assert!(said.contains(expected), "{text}: {said}");
    }
}

#[test]
fn faults_are_those_of_upstreams() {
    use crate::vocab::Class;
    for fault in FAULTS {
        assert!(!matches!(fault.class(), Class::ClientFault | Class::Cancelled | Class::LocalFault));
    }
}
