//! Tests of what upstreams answer.

use super::*;

fn weather(outages: Vec<Outage>) -> Weather {
    let place = Place {
        name: "a".into(),
        ttft: USUAL_TTFT,
        pace: USUAL_PACE,
        prefill: None,
        capacity: None,
        busy: 0,
        outages: (0..outages.len()).collect(),
    };
    Weather { places: vec![place], outages }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(seconds: u64) -> Tick {
    Tick::ZERO + Duration::from_secs(seconds)
}

const WALLS: Walls =
    Walls { theirs: Duration::from_secs(1_790_000_000), ours: Duration::from_secs(1_790_000_000) };
const ASKING: Asking<'static> =
    Asking { model: "m", credential: Some("a#2"), prompt: 1000, tokens: 100, walls: WALLS };

#[test]
fn an_outage_lasts_from_its_begin_to_its_end_and_befalls_whom_it_names() {
    let connect = Outage::of("a", Some(Fault::Connect), seconds(10), seconds(20));
    let fails = |outage: &Outage, now| {
        let answer = weather(vec![outage.clone()]).answer(0, &ASKING, now, &mut Dice::seeded(1));
        matches!(answer, Answer::Refuses { .. })
    };
    assert!(!fails(&connect, at(9)) && fails(&connect, at(10)) && !fails(&connect, at(20)));
    assert!(!fails(&Outage { model: Some("n".to_owned()), ..connect.clone() }, at(15)));
    assert!(!fails(&Outage { key: Some(1), ..connect.clone() }, at(15)));
    assert!(fails(&Outage { key: Some(2), ..connect.clone() }, at(15)));
    let flapping = Some(Flapping { down: seconds(2), up: seconds(3) });
    let comes_and_goes = Outage { flapping, ..connect };
    assert!(
        fails(&comes_and_goes, at(11)) && !fails(&comes_and_goes, at(12)) && fails(&comes_and_goes, at(15))
    );
}

#[test]
fn latency_creeps_and_capacity_turns_away() {
    let creep = Outage {
        latency: seconds(10),
        onset: Onset::Creeping,
        ..Outage::of("a", None, seconds(0), seconds(100))
    };
    let ttft = |now| match weather(vec![creep.clone()]).answer(0, &ASKING, now, &mut Dice::seeded(1)) {
        Answer::Speaks { ttft, .. } => ttft,
        other => panic!("{other:?}"),
    };
    let grown = ttft(at(50)).saturating_sub(ttft(at(0)));
    assert_eq!(grown, seconds(5));
    let mut narrow =
        weather(vec![Outage { capacity: Some(1), ..Outage::of("a", None, seconds(0), seconds(9)) }]);
    let answer = |weather: &Weather| weather.answer(0, &ASKING, at(1), &mut Dice::seeded(1));
    assert!(answer(&narrow).takes_work());
    narrow.begins_work(0);
    let Answer::Refuses { failure, .. } = answer(&narrow) else { panic!("it is full") };
    assert_eq!(failure.fault, Fault::Overloaded);
    narrow.ends_work(0);
    assert!(answer(&narrow).takes_work());
}

#[test]
fn probes_fail_with_the_host_and_not_with_a_model_or_a_key() {
    let probe = |fault, key| {
        let outage = Outage { key, ..Outage::of("a", Some(fault), seconds(0), seconds(9)) };
        weather(vec![outage]).probe(0, at(1), seconds(5), &mut Dice::seeded(1)).1
    };
    assert_eq!(probe(Fault::Connect, None), Some(Fault::Connect));
    assert_eq!(probe(Fault::Connect, Some(1)), None);
    assert_eq!(probe(Fault::Overloaded, None), None);
    assert_eq!(probe(Fault::HeadersTimeout, None), None);
}

#[test]
fn times_to_the_first_token_are_spread_round_their_median() {
    let mut dice = Dice::seeded(7);
    let mut factors: Vec<f64> = (0..10_001).map(|_| spread(&mut dice)).collect();
    factors.sort_by(f64::total_cmp);
    assert!((factors[5_000] - 1.0).abs() < 0.05, "{}", factors[5_000]);
    assert!((2.5..3.6).contains(&factors[9_900]), "{}", factors[9_900]);
}

#[test]
fn a_date_is_read_by_our_clock_and_a_number_of_seconds_by_none() {
    let asked = |form, ours| {
        let outage = Outage {
            form,
            retry_after: Some(seconds(30)),
            ..Outage::of("a", Some(Fault::Overloaded), seconds(0), seconds(9))
        };
        let asking = Asking { walls: Walls { ours, ..WALLS }, ..ASKING };
        match weather(vec![outage]).answer(0, &asking, at(1), &mut Dice::seeded(1)) {
            Answer::Refuses { failure, .. } => failure.hint.retry_after.expect("it asks for a wait"),
            other => panic!("{other:?}"),
        }
    };
    let hour = Duration::from_hours(1);
    assert_eq!(asked(Form::Seconds, WALLS.ours + hour), seconds(30));
    assert_eq!(asked(Form::Date, WALLS.ours), seconds(30));
    assert_eq!(asked(Form::Date, WALLS.ours + hour), seconds(0), "it is over, as far as we know");
    assert_eq!(asked(Form::Date, WALLS.ours.saturating_sub(hour)), hour + seconds(30));
    assert_eq!(asked(Form::Date, Duration::ZERO), classify::MAX_WAIT, "nothing is believed beyond a day");
}

#[test]
fn a_share_of_the_requests_is_slow() {
    let slow = Outage { share: 0.1, latency: seconds(60), ..Outage::of("a", None, seconds(0), seconds(9)) };
    let weather = weather(vec![slow]);
    let mut dice = Dice::seeded(3);
    let late = (0..1000).filter(|_| {
        matches!(weather.answer(0, &ASKING, at(1), &mut dice), Answer::Speaks { ttft, .. } if ttft > seconds(30))
    });
    assert!((60..140).contains(&late.count()));
}
