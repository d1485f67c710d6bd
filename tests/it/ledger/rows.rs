//! One row for each request and one for each attempt, with the sums and the counts that they should have.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use mainstay::simulated::{Fault, How, InBand, Often, Outcome, ResetAt, Rule};
use mainstay::store::rows::{AttemptRow, RequestRow};
use mainstay::vocab::{Money, Part, Usage};
use tokio::task::JoinSet;

use crate::lab::{Ask, Lab, Said, Scribe, Step, send, strict};

/// In tiers, so that it is known who is asked first. A whole answer has thirty words and a seal, a token each.
const TIERS: &str = "
version: 1
upstreams:
  a: {provider: simulated}
  b: {provider: simulated}
routes:
  - model: demo
    timeouts: {ttfb: 5s, first_event: 5s, idle: 5s}
    channels: [{upstream: a}, {upstream: b, tier: 1}]
";

const TOKENS: u64 = 31;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// What holds for every request, whatever befell it.
fn assert_laws(request: &RequestRow, attempts: &[AttemptRow], what: &str) {
    assert_eq!(request.attempts as usize, attempts.len(), "{what}: attempts");
    for (attempt, number) in attempts.iter().zip(1..) {
        assert_eq!((attempt.request, attempt.number), (request.id, number), "{what}: numbers");
        assert!(attempt.at_micros >= request.at_micros, "{what}: an attempt of before");
        assert!(attempt.first_byte.is_none_or(|first| first <= attempt.took), "{what}: times");
    }
    let cost: Option<Money> =
        attempts.iter().filter(|row| row.part != Part::Mirror).map(|attempt| attempt.cost).sum();
    assert_eq!(request.cost, cost, "{what}: cost");
    assert_eq!(request.estimated, attempts.iter().any(|attempt| attempt.estimated), "{what}: estimated");
    // Content that was held back, and broke before any of it went on, was no part of the answer.
    let heard =
        attempts.iter().filter(|attempt| attempt.first_byte.is_some() && attempt.stage == "committed");
    let usage = heard.fold(Usage::default(), |sum, attempt| sum.plus(&attempt.usage));
    assert_eq!(request.usage, usage, "{what}: usage");
    assert!(
        request
            .first_byte
            .is_none_or(|first| request.own <= first && first <= request.took.max(Duration::from_nanos(1))),
        "{what}: times"
    );
}

/// Tokens of answers that this upstream wrote: it counts them as its words.
fn billed(lab: &Lab, name: &str, faulted: u64) -> u64 {
    let of = |outcome| match outcome {
        Outcome::Completed => TOKENS,
        Outcome::Aborted { after_events } => after_events.into(),
        Outcome::Faulted(_) | Outcome::Open => faulted,
    };
    lab.sim(name).control().seen().iter().map(|seen| of(seen.outcome)).sum()
}

fn output(attempts: &[AttemptRow], upstream: &str) -> u64 {
    attempts.iter().filter(|attempt| &*attempt.upstream == upstream).map(|attempt| attempt.usage.output).sum()
}

/// What may befall the first upstream, and how many tokens of an answer it has written by then.
fn faults() -> Vec<(&'static str, Option<Fault>, u64)> {
    vec![
        ("nothing", None, 0),
        ("refused", Some(Fault::Refuse), 0),
        ("429", Some(Fault::RateLimited { retry_after: None }), 0),
        ("500", Some(Fault::status(StatusCode::INTERNAL_SERVER_ERROR)), 0),
        ("400", Some(Fault::status(StatusCode::BAD_REQUEST)), 0),
        ("reset", Some(Fault::Reset { at: ResetAt::Body }), 0),
        ("silence", Some(Fault::Hang), 0),
        (
            "an error inside a 200",
            Some(Fault::InBandError { after_events: 0, error: InBand::ServerError }),
            0,
        ),
        ("a cut", Some(Fault::Cut { after_events: 7, how: How::Rst }), 7),
        ("an end without its end", Some(Fault::Cut { after_events: 7, how: How::ChunkedEof }), 7),
        ("a stall", Some(Fault::Stall { after_events: 7 }), 7),
        (
            "an error after content",
            Some(Fault::InBandError { after_events: 7, error: InBand::Overloaded }),
            7,
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_stream_is_booked_to_the_token_whatever_befalls_its_upstream() {
    for (fault, rule, written) in faults() {
        for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
            let what = format!("{dialect}: {fault}");
            let lab = Lab::start(TIERS);
            let books = lab.keep_books();
            lab.sim("a").control().set(rule.clone().into_iter().map(Rule::new).collect());
            let answer = lab.send(&ask).await;
            lab.assert_quiet().await;
            let (request, attempts) = books.only().await;
            assert_laws(&request, &attempts, &what);
            assert_eq!(&*request.request_id, answer.header("x-mainstay-request-id"), "{what}");
            assert_eq!((request.dialect, &*request.model, request.stream), (dialect, "demo", true), "{what}");
            assert_eq!(attempts.len().to_string(), answer.header("x-mainstay-attempts"), "{what}");
            for name in ["a", "b"] {
                assert_eq!(output(&attempts, name), billed(&lab, name, written), "{what}: tokens of {name}");
                let sent =
                    attempts.iter().filter(|row| &*row.upstream == name && row.stage != "not_sent").count();
                assert_eq!(sent as u64, lab.arrived(name), "{what}: attempts at {name}");
            }
            // Who has an end of his stream was told what is booked.
            if let Some(told) = strict::read(dialect, &answer).ok().and_then(|whole| whole.usage) {
                assert_eq!((request.usage.input, request.usage.output), told, "{what}");
                let heard = attempts.last().expect("somebody answered");
                assert!(heard.verdict == "ok" && !heard.estimated, "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whole_answers_are_booked_as_their_upstreams_count() {
    for (fault, rule, _) in faults().into_iter().take(7) {
        let lab = Lab::start(TIERS);
        let books = lab.keep_books();
        lab.sim("a").control().set(rule.into_iter().map(Rule::new).collect());
        let answer = lab.send(&Ask::chat("demo")).await;
        let (request, attempts) = books.only().await;
        assert_laws(&request, &attempts, fault);
        let usage = (answer.status == StatusCode::OK).then(|| answer.json()["usage"].clone());
        if let Some(usage) = usage {
            assert_eq!(usage["prompt_tokens"], request.usage.input, "{fault}");
            assert_eq!(usage["completion_tokens"], request.usage.output, "{fault}");
            assert_eq!(request.outcome, "ok", "{fault}");
        } else {
            assert_eq!((request.outcome, request.usage), ("client_fault", Usage::default()), "{fault}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_pays_for_what_was_written_to_him() {
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        let lab = Lab::start(&TIERS.replace("simulated}", "simulated, simulated: {pace: 100ms}}"));
        let books = lab.keep_books();
        let mut kept = lab.open(&ask).await;
        for _ in 0..6 {
            kept.next().await.expect("it goes on");
        }
        kept.hang_up();
        lab.assert_quiet().await;
        let (request, attempts) = books.only().await;
        assert_laws(&request, &attempts, dialect);
        assert_eq!(
            (request.outcome, attempts[0].verdict, attempts[0].estimated),
            ("cancelled", "cancelled", true)
        );
        let (booked, billed) = (output(&attempts, "a"), billed(&lab, "a", 0));
        // What was on its way when the caller left is the upstream's word against ours.
        assert!(booked >= 1 && booked <= billed && billed <= booked + 2, "{dialect}: {booked} of {billed}");
        assert!(attempts[0].usage.input > 0, "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_loses_a_race_is_booked_beside_the_winner() {
    const RACE: &str = "
version: 1
upstreams:
  a: {provider: simulated, simulated: {ttft: 5s}}
  b: {provider: simulated, simulated: {ttft: 100ms}}
routes:
  - model: demo
    hedge: {enabled: true, delay: 300ms, max_share: 1}
    channels: [{upstream: a}, {upstream: b, tier: 1}]
";
    let streams = Ask::stream_in_every_dialect("demo");
    for (dialect, ask) in streams.into_iter().chain([("whole", Ask::chat("demo"))]) {
        let lab = Lab::start(RACE);
        let books = lab.keep_books();
        lab.send(&ask).await;
        lab.assert_quiet().await;
        let (request, attempts) = books.only().await;
        assert_laws(&request, &attempts, dialect);
        let parts: Vec<(Part, &str, &str)> =
            attempts.iter().map(|row| (row.part, &*row.upstream, row.verdict)).collect();
        assert_eq!(parts, [(Part::Turn, "a", "cancelled"), (Part::Hedge, "b", "ok")], "{dialect}");
        let [loser, winner] = &attempts[..] else { panic!("{dialect}: two attempts") };
        assert!(loser.estimated && loser.usage.input > 0 && loser.usage.output == 0, "{dialect}");
        assert_eq!((winner.estimated, winner.usage.output), (false, TOKENS), "{dialect}");
        assert_eq!(request.usage, winner.usage, "{dialect}: only the winner was heard");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_continued_is_one_request_with_its_legs() {
    let yaml = TIERS.replace("- model: demo", "- model: demo\n    continuation: any");
    for (dialect, ask) in Ask::stream_in_every_dialect("demo") {
        let lab = Lab::start(&yaml);
        let books = lab.keep_books();
        lab.sim("a").control().set(vec![Rule::new(Fault::Cut { after_events: 10, how: How::Rst })]);
        let answer = lab.send(&ask).await;
        lab.assert_quiet().await;
        let whole = strict::read(dialect, &answer).unwrap_or_else(|why| panic!("{dialect}: {why}"));
        assert!(whole.usage.is_some(), "{dialect}");
        let (request, attempts) = books.only().await;
        assert_laws(&request, &attempts, dialect);
        let parts: Vec<(Part, &str)> = attempts.iter().map(|row| (row.part, row.verdict)).collect();
        assert_eq!(parts, [(Part::Turn, "stream_cut"), (Part::Leg, "ok")], "{dialect}");
        assert_eq!((attempts[0].usage.output, attempts[0].estimated), (10, true), "{dialect}");
        assert_eq!((request.outcome, attempts[1].estimated), ("ok", false), "{dialect}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_requests_at_once_have_a_row_each_and_the_sums_of_their_upstreams() {
    let lab = Lab::start(TIERS);
    let books = lab.keep_books();
    let cut = Rule::new(Fault::Cut { after_events: 5, how: How::Fin });
    lab.sim("a").control().set(vec![Rule { often: Often::Share(0.3), ..cut }]);
    let mut asks = JoinSet::new();
    for number in 0..300 {
        let gateway = Arc::clone(&lab.gateway);
        asks.spawn(async move {
            tokio::time::sleep(ms(number * 7)).await;
            send(&gateway, &Ask::stream("demo")).await.header("x-mainstay-request-id").to_owned()
        });
    }
    let names: BTreeSet<String> = asks.join_all().await.into_iter().collect();
    lab.assert_quiet().await;
    let (requests, attempts) = books.rows().await;
    assert_eq!(requests.iter().map(|row| row.request_id.to_string()).collect::<BTreeSet<_>>(), names);
    assert_eq!((requests.len(), names.len()), (300, 300));
    for request in &requests {
        let own: Vec<AttemptRow> = attempts.iter().filter(|row| row.request == request.id).cloned().collect();
        assert_laws(request, &own, &request.request_id);
    }
    for name in ["a", "b"] {
        assert_eq!(output(&attempts, name), billed(&lab, name, 5), "tokens of {name}");
    }
    assert_eq!(
        lab.metric("mainstay_ledger_rows_total{way=\"direct\"}"),
        (requests.len() + attempts.len()) as f64
    );
    assert_eq!(lab.metric_sum("mainstay_ledger_lost_rows_total", &[]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_costs_what_the_catalog_says_and_one_of_an_unknown_model_nobody_knows_what() {
    const YAML: &str = "
version: 1
ledger: {tags: [x-feature, x-customer]}
upstreams:
  known: {provider: openai, base_url: 'http://known/v1', credentials: ['${LAB_KEY}']}
routes:
  - model: demo
    channels: [{upstream: known, model: gpt-4o}]
  - model: strange
    channels: [{upstream: known, model: nobody-knows-it}]
";
    let body = r#"{"id":"c","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"message":
        {"role":"assistant","content":"hi"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010}}"#;
    let scribe = Scribe::saying(Said::json(200, body));
    let lab = Lab::beside(YAML, &[("known", &scribe)]);
    let books = lab.keep_books();
    lab.send(&Ask::chat("demo").header("x-customer", "acme").header("x-secret", "no")).await;
    let (request, attempts) = books.only().await;
    assert_laws(&request, &attempts, "known");
    // 2.50 and 10 dollars for a million.
    assert_eq!(request.cost, Money::parse("0.0026"));
    assert!(attempts[0].priced.contains("1000") && attempts[0].tier == "standard", "{}", attempts[0].priced);
    assert_eq!(
        (&*attempts[0].provider, &*attempts[0].model, attempts[0].credential),
        ("openai", "gpt-4o", 1)
    );
    let tags: Vec<(&str, &str)> = request.tags.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(tags, [("x-customer", "acme")]);
    let series = r#"mainstay_cost_nano_usd_total{route="demo",upstream="known",model="gpt-4o"}"#;
    assert_eq!(lab.metric(series), 2_600_000.0);

    lab.send(&Ask::chat("strange")).await;
    let (requests, attempts) = books.rows().await;
    assert_eq!((requests[1].cost, attempts[1].cost, attempts[1].usage.input), (None, None, 1000));
    assert_eq!(lab.metric_sum("mainstay_cost_unknown_total", &["nobody-knows-it"]), 1.0);
    assert_eq!(lab.metric_sum("mainstay_cost_unknown_total", &["gpt-4o"]), 0.0);

    // A vendor that says nothing of tokens: they are estimated, and so is the price.
    let silent = r#"{"id":"c","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"message":
        {"role":"assistant","content":"hi"},"finish_reason":"stop"}]}"#;
    scribe.say(Said::json(200, silent));
    lab.send(&Ask::chat("demo")).await;
    let (requests, attempts) = books.rows().await;
    assert!(requests[2].estimated && attempts[2].usage.input > 0 && requests[2].cost > Some(Money::ZERO));

    // Of one that is refused nothing is estimated.
    scribe.say(Said::status(400).step(Step::Data(r#"{"error":{"message":"no"}}"#.into())));
    lab.send(&Ask::chat("demo")).await;
    let (requests, _) = books.rows().await;
    assert_eq!((requests[3].cost, requests[3].estimated), (Some(Money::ZERO), false));
}

#[tokio::test(start_paused = true)]
async fn what_is_said_again_is_a_row_without_attempts_or_cost() {
    let lab = Lab::start(&TIERS.replace("- model: demo", "- model: demo\n    cache: {enabled: true}"));
    let books = lab.keep_books();
    for _ in 0..2 {
        lab.send(&Ask::chat("demo")).await;
    }
    let (requests, attempts) = books.rows().await;
    let said: Vec<_> = requests.iter().map(|row| (row.replayed, row.attempts, row.usage.output)).collect();
    assert_eq!(said, [(None, 1, TOKENS), (Some("hit"), 0, 0)]);
    assert_eq!((requests[1].cost, attempts.len()), (Some(Money::ZERO), 1));
}

#[tokio::test(start_paused = true)]
async fn without_a_store_nothing_is_kept_and_what_attempts_cost_is_counted() {
    let body = r#"{"id":"c","object":"chat.completion","model":"gpt-4o","choices":[{"index":0,"message":
        {"role":"assistant","content":"hi"},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":1000,"completion_tokens":10,"total_tokens":1010}}"#;
    let yaml = "
version: 1
upstreams:
  known: {provider: openai, base_url: 'http://known/v1', credentials: ['${LAB_KEY}']}
routes:
  - model: gpt-4o
    channels: [{upstream: known}]
";
    let scribe = Scribe::saying(Said::json(200, body));
    let lab = Lab::beside(yaml, &[("known", &scribe)]);
    for _ in 0..3 {
        lab.send(&Ask::chat("gpt-4o")).await;
    }
    let series = r#"mainstay_cost_nano_usd_total{route="gpt-4o",upstream="known",model="gpt-4o"}"#;
    assert_eq!(lab.metric(series), 7_800_000.0);
    assert_eq!(lab.metric_sum("mainstay_ledger_rows_total", &[]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_of_openais_whose_stream_was_cut_is_booked_as_openai_counts_it() {
    let word = |text: &str| {
        format!(
            "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
             \"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
        )
    };
    let cut = Said::status(200).header("content-type", "text/event-stream").data(word("hi"));
    // Time for the vocabulary to be unpacked, which no paused clock waits for.
    let cut = cut.step(Step::Wait(Duration::from_secs(1))).data(word(" you")).step(Step::Hang);
    let scribe = Scribe::saying(cut);
    let yaml = "
version: 1
upstreams:
  a: {provider: openai, base_url: 'http://a.test/v1', credentials: ['${LAB_A}']}
routes:
  - {model: known, channels: [{upstream: a, model: gpt-5.4}]}
  - {model: strange, channels: [{upstream: a, model: somebody-elses}]}
";
    let lab = Lab::beside(yaml, &[("a", &scribe)]);
    let books = lab.keep_books();
    for (number, (model, input)) in [("known", Some(3 + 7)), ("strange", None)].into_iter().enumerate() {
        let body = format!(
            r#"{{"model":"{model}","stream":true,"user":"somebody","temperature":0.5,"messages":[{{"role":"user","content":"hello hello hello"}}]}}"#
        );
        let mut kept = lab.open(&Ask::post("/v1/chat/completions", body.clone())).await;
        kept.next().await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        kept.hang_up();
        lab.assert_quiet().await;
        let (requests, attempts) = books.rows().await;
        let row = &attempts[number];
        assert!(row.estimated && requests[number].estimated, "{model}");
        let input = input.unwrap_or(body.len() as u64 / 4);
        assert_eq!((row.usage.input, row.usage.output), (input, 2), "{model}");
    }
}
