//! What callers may spend: who is refused or sent to a cheaper route, and that what is spent is what upstreams billed.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use mainstay::vocab::{AlertKind, Money};
use tokio::task::JoinSet;

use super::{after, secs};
use crate::lab::{Ask, Lab, Said, Scribe, Step, send};

const SHOP: &str = "Bearer secret-of-LAB_SHOP";

/// A dear model and a cheap one whose prices the catalog knows. Budgets are for all time, so that no midnight of the
/// machine's gets in between.
fn yaml(keys: &str, route: &str) -> String {
    format!(
        "
version: 1
access: keys
keys: {{shop: {{secret: '${{LAB_SHOP}}', {keys}}}}}
upstreams:
  a: {{provider: openai, base_url: 'http://a.test/v1', credentials: ['${{LAB_A}}']}}
  b: {{provider: openai, base_url: 'http://b.test/v1', credentials: ['${{LAB_B}}']}}
  own: {{provider: custom, dialect: openai, base_url: 'http://own.test/v1'}}
routes:
  - {{model: smart, {route} channels: [{{upstream: a, model: gpt-5.4}}]}}
  - {{model: small, channels: [{{upstream: b, model: gpt-5.4-mini}}]}}
  - {{model: either, channels: [{{upstream: a, model: gpt-5.4}}, {{upstream: b, model: gpt-5.4-mini}}]}}
  - {{model: own, channels: [{{upstream: own, model: x}}]}}
"
    )
}

/// 400 x 2.5 + 640 x 15 dollars a million: 0.0106 of them.
const COST: u64 = 400 * 2_500 + 640 * 15_000;

/// An answer after a second for which 400 tokens were read and `output` written.
fn answer(output: u64) -> Said {
    let body = format!(
        r#"{{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,
        "message":{{"role":"assistant","content":"hi"}},"finish_reason":"stop"}}],
        "usage":{{"prompt_tokens":400,"completion_tokens":{output},"total_tokens":{}}}}}"#,
        400 + output
    );
    Said::status(200).header("content-type", "application/json").step(Step::Wait(secs(1))).data(body)
}

fn ask_for(model: &str, more: &str) -> Ask {
    let body = format!(
        r#"{{"model":"{model}","max_tokens":1200{more},"messages":[{{"role":"user","content":"hello"}}]}}"#
    );
    Ask::post("/v1/chat/completions", body).header("authorization", SHOP)
}

fn ask() -> Ask {
    ask_for("smart", "")
}

struct Bank {
    lab: Lab,
    a: Arc<Scribe>,
    b: Arc<Scribe>,
}

fn bank(keys: &str, route: &str) -> Bank {
    let (a, b, own) = (Scribe::saying(answer(640)), Scribe::saying(answer(640)), Scribe::saying(answer(640)));
    let lab = Lab::beside(&yaml(keys, route), &[("a", &a), ("b", &b), ("own", &own)]);
    Bank { lab, a, b }
}

impl Bank {
    /// What has been spent of the first budget of this name.
    fn spent(&self, name: &str) -> u64 {
        let seen = self.lab.gateway.budgets.seen();
        seen.iter().find(|seen| &*seen.name == name).map_or(0, |seen| seen.spent.as_nano_usd())
    }
}

#[tokio::test(start_paused = true)]
async fn two_hundred_at_once_overrun_thirty_by_less_than_one_request() {
    // Thirty requests and a half of one.
    let limit = COST * 61 / 2;
    let bank = bank(
        &format!(
            "budgets: [{{per: total, limit: {}}}]",
            Money::nano_usd(limit).to_string().trim_start_matches('$')
        ),
        "",
    );
    let books = bank.lab.keep_books();
    let (mut served, mut spent, mut reserved) = (0_u64, 0_u64, 0_u64);
    for round in 0..12 {
        let mut asks = JoinSet::new();
        for _ in 0..200 {
            let gateway = Arc::clone(&bank.lab.gateway);
            asks.spawn(async move { send(&gateway, &ask()).await });
        }
        let before = served;
        while let Some(answer) = asks.join_next().await {
            let answer = answer.expect("no caller panics");
            match answer.status {
                StatusCode::OK => served += 1,
                StatusCode::TOO_MANY_REQUESTS => {
                    let error = &answer.json()["error"];
                    if error["code"] == "insufficient_quota" {
                        assert_eq!(error["type"], "insufficient_quota");
                        assert_eq!(
                            (answer.header("x-should-retry"), answer.header("retry-after")),
                            ("false", "")
                        );
                        spent += 1;
                    } else {
                        assert_eq!(error["code"], "rate_limit_exceeded", "{error}");
                        assert_eq!(answer.header("retry-after"), "1", "what is left may come back");
                        reserved += 1;
                    }
                }
                status => panic!("{status}: {}", answer.text()),
            }
        }
        // Reserves are larger than costs, so that a crowd is let in bit by bit.
        assert!(round > 0 || (10..30).contains(&served), "{served} in the first round");
        if served == before {
            break;
        }
    }
    bank.lab.assert_quiet().await;
    // What callers saw, what the upstream billed, what the budget has and what the ledger says are one.
    assert_eq!(served, bank.a.heard().len() as u64);
    assert_eq!(served, 31, "thirty, and the last one");
    assert_eq!(bank.spent("shop"), served * COST);
    let (requests, attempts) = books.rows().await;
    assert_eq!(requests.len() as u64, served + spent + reserved);
    assert!(spent > 0 && reserved > 0, "{spent} {reserved}");
    let billed: Option<Money> = attempts.iter().map(|row| row.cost).sum();
    assert_eq!(billed, Some(Money::nano_usd(bank.spent("shop"))));
    assert!(bank.spent("shop") < limit + COST, "less than one request over");
    for (reason, refused) in [("spent", spent), ("reserved", reserved)] {
        let labels = format!(r#"level="key",per="total",reason="{reason}""#);
        let series = format!("mainstay_budget_refusals_total{{{labels}}}");
        assert_eq!(bank.lab.metric(&series), refused as f64, "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_refused_is_told_whose_budget_it_is_in_his_own_dialect() {
    let bank = bank("budgets: [{per: total, limit: 0.005}]", "");
    assert_eq!(bank.lab.send(&ask()).await.status, StatusCode::OK, "something was left");
    let refused = bank.lab.send(&ask()).await;
    let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(
        message.starts_with("the budget of key `shop` is used up: $0.0106 of $0.005 are spent altogether."),
        "{message}"
    );
    let anthropic = Ask::post(
        "/anthropic/v1/messages",
        r#"{"model":"smart","max_tokens":9,"messages":[{"role":"user","content":"hello"}]}"#,
    )
    .header("x-api-key", "secret-of-LAB_SHOP");
    let refused = bank.lab.send(&anthropic).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["type"]),
        (StatusCode::PAYMENT_REQUIRED, &"billing_error".into())
    );
    let gemini = Ask::post(
        "/v1beta/models/smart:generateContent",
        r#"{"contents":[{"role":"user","parts":[{"text":"hello"}]}]}"#,
    )
    .header("x-goog-api-key", "secret-of-LAB_SHOP");
    let refused = bank.lab.send(&gemini).await;
    assert_eq!(
        (refused.status, &refused.json()["error"]["status"]),
        (StatusCode::TOO_MANY_REQUESTS, &"RESOURCE_EXHAUSTED".into())
    );
    // What costs nothing is nobody's affair.
    let count = Ask::post(
        "/anthropic/v1/messages/count_tokens",
        r#"{"model":"smart","messages":[{"role":"user","content":"hello"}]}"#,
    )
    .header("x-api-key", "secret-of-LAB_SHOP");
    assert_eq!(bank.lab.send(&count).await.status, StatusCode::OK);
    assert_eq!(bank.spent("shop"), COST);
    bank.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_spent_budget_has_a_cheaper_route_serve_and_a_second_one_refuses() {
    let bank =
        bank("budgets: [{per: total, limit: 0.01, downgrade_to: small}, {per: total, limit: 0.015}]", "");
    let books = bank.lab.keep_books();
    let first = bank.lab.send(&ask()).await;
    assert_eq!((first.status, first.header("x-mainstay-downgraded")), (StatusCode::OK, ""));
    let second = bank.lab.send(&ask()).await;
    assert_eq!((second.status, second.header("x-mainstay-downgraded")), (StatusCode::OK, "small"));
    // Whoever asks for it anyway is not sent there.
    let third = bank.lab.send(&ask_for("small", "")).await;
    assert_eq!((third.status, third.header("x-mainstay-downgraded")), (StatusCode::OK, ""));
    let (requests, attempts) = books.rows().await;
    let routes: Vec<&str> = requests.iter().map(|row| &*row.route).collect();
    assert_eq!(routes, ["smart", "small", "small"]);
    assert_eq!(&*requests[1].model, "smart", "as the caller named it");
    assert_eq!((bank.a.heard().len(), bank.b.heard().len()), (1, 2));
    let billed: Option<Money> = attempts.iter().map(|row| row.cost).sum();
    assert_eq!(billed, Some(Money::nano_usd(bank.spent("shop"))));
    assert_eq!(bank.lab.metric(r#"mainstay_budget_downgrades_total{route="smart",to="small"}"#), 1.0);
    let mut asked = 0;
    let refused = loop {
        let answer = bank.lab.send(&ask()).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        asked += 1;
        assert!(asked < 20, "the second budget never holds");
    };
    assert!(refused.text().contains("of $0.015 are spent"), "{}", refused.text());
    bank.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_route_has_a_budget_of_what_it_serves_and_failures_that_cost_are_in_it() {
    let bank = bank(
        "tags: {}",
        "budgets: [{per: total, limit: 1}], retry: {max_attempts: 1}, timeouts: {ttfb: 5s, total: 5s},",
    );
    let books = bank.lab.keep_books();
    assert_eq!(bank.lab.send(&ask()).await.status, StatusCode::OK);
    assert_eq!(bank.lab.send(&ask_for("small", "")).await.status, StatusCode::OK, "another route's");
    // A refusal costs nothing, silence may have.
    bank.a.say(Said::json(400, r#"{"error":{"message":"no","type":"invalid_request_error"}}"#));
    assert_eq!(bank.lab.send(&ask()).await.status, StatusCode::BAD_REQUEST);
    bank.a.say(Said::status(200).header("content-type", "application/json").step(Step::Hang));
    assert!(bank.lab.send(&ask()).await.status.is_server_error());
    // And so may whoever hangs up.
    let gateway = Arc::clone(&bank.lab.gateway);
    let hasty = tokio::spawn(async move { send(&gateway, &ask()).await });
    after(secs(1)).await;
    hasty.abort();
    bank.lab.assert_quiet().await;
    let (_, attempts) = books.rows().await;
    let own = attempts.iter().filter(|row| &*row.upstream == "a");
    let billed: Option<Money> = own.clone().map(|row| row.cost).sum();
    assert_eq!(own.count(), 4);
    assert_eq!(billed, Some(Money::nano_usd(bank.spent("smart"))));
    assert!(bank.spent("smart") > COST, "the prompts of those that fell silent");
}

#[tokio::test(start_paused = true)]
async fn a_request_goes_where_it_cannot_cost_more_than_is_allowed_or_nowhere() {
    let bank = bank("max_cost: 0.01", "max_cost: 5,");
    // 1200 tokens cost up to 0.018 of the dear one, and up to 0.0054 of the cheap one.
    for _ in 0..6 {
        assert_eq!(bank.lab.send(&ask_for("either", "")).await.status, StatusCode::OK);
    }
    assert_eq!((bank.a.heard().len(), bank.b.heard().len()), (0, 6));
    let refused = bank.lab.send(&ask()).await;
    assert_eq!(refused.status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(refused.json()["error"]["code"], "max_cost_exceeded");
    let message = refused.json()["error"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.starts_with("this request could cost up to $0.0180"), "{message}");
    assert!(message.contains("may cost $0.01 (`max_cost`"), "{message}");
    assert_eq!(refused.header("x-should-retry"), "false");
    let frugal = |bound: &str| ask_for("either", "").header("x-mainstay-max-cost", bound);
    let refused = bank.lab.send(&frugal("0.000001")).await;
    assert_eq!(refused.status, StatusCode::PAYMENT_REQUIRED);
    assert!(refused.text().contains("$0.0054"), "the cheapest of them: {}", refused.text());
    assert_eq!(bank.lab.send(&frugal("100")).await.status, StatusCode::OK);
    assert_eq!(bank.a.heard().len(), 0, "a header asks for less only");
    let wrong = bank.lab.send(&frugal("cheap")).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert!(wrong.text().contains("write it as 0.05"), "{}", wrong.text());
    assert_eq!(bank.lab.metric(r#"mainstay_too_dear_total{route="smart"}"#), 1.0);
    // What has no price is not held against it.
    assert_eq!(bank.lab.send(&ask_for("own", "")).await.status, StatusCode::OK);
    bank.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_has_no_price_is_counted_or_refused() {
    let open = bank("budgets: [{per: total, limit: 1}]", "");
    assert_eq!(open.lab.send(&ask_for("own", "")).await.status, StatusCode::OK);
    open.lab.assert_quiet().await;
    assert_eq!((open.lab.metric("mainstay_budget_unpriced_total"), open.spent("shop")), (1.0, 0));
    let strict = bank("budgets: [{per: total, limit: 1, unpriced: refuse}]", "");
    let refused = strict.lab.send(&ask_for("own", "")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.text().contains("no channel has a price"), "{}", refused.text());
    assert_eq!(strict.lab.send(&ask()).await.status, StatusCode::OK);
    strict.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn operators_are_told_once_of_every_threshold() {
    let bank = bank("budgets: [{per: total, limit: 0.0212, soft: [50%, 100%], on_exceeded: alert}]", "");
    for _ in 0..4 {
        assert_eq!(bank.lab.send(&ask()).await.status, StatusCode::OK, "nobody is refused");
    }
    bank.lab.assert_quiet().await;
    let mut told = Vec::new();
    while let Ok(alert) =
        tokio::time::timeout(Duration::from_millis(1), bank.lab.gateway.live.alerts.next()).await
    {
        assert_eq!(alert.kind, AlertKind::Budget);
        told.push(alert.subject.into_string());
    }
    assert_eq!(told, ["key shop, total, 50% of $0.0212", "key shop, total, 100% of $0.0212"]);
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_appears_while_the_program_runs_is_asked_about_at_once() {
    let lab = Lab::whole(&yaml("", ""));
    // The first look of the program, and one in the middle of the time between two others.
    after(Duration::from_millis(7500)).await;
    assert_eq!(lab.gateway.budgets.wanted(), []);
    lab.replace(&yaml("", "budgets: [{per: total, limit: 1}],")).await;
    after(Duration::from_millis(10)).await;
    assert_eq!(lab.gateway.budgets.wanted().len(), 1);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_mirrored_is_no_spending_that_operators_are_told_of() {
    let bank = bank("budgets: []", "mirror: {to: small, share: 100%},");
    let answer = bank.lab.send(&ask()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    after(secs(5)).await;
    assert_eq!((bank.a.heard().len(), bank.b.heard().len()), (1, 1));
    assert_eq!(bank.lab.gateway.live.spent.load(std::sync::atomic::Ordering::Relaxed), COST);
    bank.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_says_what_its_request_has_cost() {
    let bank = bank(
        "tags: {}",
        "cache: {enabled: true, ttl: 1h}, timeouts: {ttfb: 5s, total: 60s}, fallback: [small],",
    );
    let books = bank.lab.keep_books();
    let said = |dollars: &str| Money::parse(dollars).expect("a decimal number of dollars");
    let cost = "x-mainstay-cost";
    let unasked = bank.lab.send(&ask_for("smart", r#","seed":3"#)).await;
    assert_eq!((unasked.status, unasked.header(cost)), (StatusCode::OK, ""), "who asks is told");
    let ask = || ask().header(cost, "1");
    let ask_for = |model: &str, more: &str| ask_for(model, more).header(cost, "1");
    let answer = bank.lab.send(&ask()).await;
    assert_eq!((answer.status, said(answer.header(cost))), (StatusCode::OK, Money::nano_usd(COST)));
    let kept = bank.lab.send(&ask()).await;
    assert_eq!((kept.header("x-mainstay-cache"), said(kept.header(cost))), ("hit", Money::ZERO));

    // What was paid before somebody answered is part of it.
    bank.a.say(Said::json(
        200,
        r#"{"choices":[],"usage":{"prompt_tokens":400,"completion_tokens":0,"total_tokens":400}}"#,
    ));
    let saved = bank.lab.send(&ask_for("smart", r#","seed":1"#)).await;
    assert_eq!((saved.status, saved.header("x-mainstay-attempts")), (StatusCode::OK, "3"));
    let told = Money::parse(saved.header(cost));
    bank.a.say(Said::status(200).header("content-type", "text/event-stream").data(
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
    ));
    let stream = bank.lab.send(&ask_for("smart", r#","stream":true"#)).await;
    assert_eq!((stream.status, stream.header(cost)), (StatusCode::OK, ""), "nobody knows yet");
    let own = bank.lab.send(&ask_for("own", "")).await;
    assert_eq!((own.status, own.header(cost)), (StatusCode::OK, ""), "nobody knows its price");
    let refused = bank.lab.send(&ask_for("nowhere", "")).await;
    assert_eq!((refused.status, refused.header(cost)), (StatusCode::NOT_FOUND, ""));
    let dear =
        bank.lab.send(&ask_for("smart", r#","seed":2"#).header("x-mainstay-max-cost", "0.000001")).await;
    assert_eq!((dear.status, dear.header(cost)), (StatusCode::PAYMENT_REQUIRED, ""));
    bank.lab.assert_quiet().await;
    let (requests, _) = books.rows().await;
    let costs: Vec<_> = requests.iter().map(|row| row.cost).collect();
    assert_eq!(costs[3], told, "as it is booked: {costs:?}");
    let cheap = Money::nano_usd(400 * 750 + 640 * 4_500);
    assert!(told > Some(cheap), "the prompt of the one that said nothing, and a cheaper answer: {told:?}");
}

const CACHED: &str = "cache: {enabled: true, ttl: 1h},";

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_kept_needs_no_budget_and_is_refused_for_none() {
    let bank = bank("budgets: [{per: total, limit: 0.005}], max_cost: 1", CACHED);
    let named = ask_for("smart", "").header("idempotency-key", "one");
    assert_eq!(bank.lab.send(&named).await.status, StatusCode::OK, "something was left");
    assert_eq!(bank.spent("shop"), COST);
    let hit = bank.lab.send(&ask()).await;
    assert_eq!((hit.status, hit.header("x-mainstay-cache")), (StatusCode::OK, "hit"), "{}", hit.text());
    let replayed = bank.lab.send(&named).await;
    assert_eq!((replayed.status, replayed.header("idempotent-replayed")), (StatusCode::OK, "true"));
    // What it could cost is nobody's affair either.
    let frugal = bank.lab.send(&ask().header("x-mainstay-max-cost", "0.000001")).await;
    assert_eq!((frugal.status, frugal.header("x-mainstay-cache")), (StatusCode::OK, "hit"));
    // All else is refused as ever, and keeps no name: the next one of that name is not answered by the refusal.
    let other = || ask_for("smart", r#","seed":1"#).header("idempotency-key", "two");
    for _ in 0..2 {
        let refused = bank.lab.send(&other()).await;
        assert_eq!(
            (refused.status, refused.header("idempotent-replayed")),
            (StatusCode::TOO_MANY_REQUESTS, "")
        );
    }
    assert_eq!((bank.a.heard().len(), bank.spent("shop")), (1, COST));
    bank.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_answer_of_his_own_first_try_reserves_nothing_beside_it() {
    // One reserve fits, and the last one; a third would be refused.
    let bank = bank("budgets: [{per: total, limit: 0.019}]", "");
    let named = ask().header("idempotency-key", "one");
    let another_try = || {
        let gateway = Arc::clone(&bank.lab.gateway);
        let named = named.clone();
        tokio::spawn(async move { send(&gateway, &named).await })
    };
    let mut waiting = Vec::new();
    for _ in 0..5 {
        waiting.push(another_try());
        after(Duration::from_millis(10)).await;
    }
    let seen = bank.lab.gateway.budgets.seen();
    assert!(seen[0].reserved < Money::nano_usd(19_000_000), "{:?}", seen[0].reserved);
    assert_eq!(bank.lab.send(&ask()).await.status, StatusCode::OK, "the last one");
    for answer in waiting {
        let answer = answer.await.expect("no caller panics");
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    assert_eq!((bank.a.heard().len(), bank.spent("shop")), (2, 2 * COST));
    bank.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_the_cheaper_route_keeps_needs_no_budget_there() {
    let yaml = yaml("budgets: [{per: total, limit: 0.01, downgrade_to: small}]", "priority: critical,")
        .replace(
            "model: small,",
            &format!("model: small, budgets: [{{per: total, limit: 0.003}}], {CACHED}"),
        );
    let (a, b, own) = (Scribe::saying(answer(640)), Scribe::saying(answer(640)), Scribe::saying(answer(640)));
    let lab = Lab::beside(&yaml, &[("a", &a), ("b", &b), ("own", &own)]);
    let downgraded = |answer: &crate::lab::Answer| answer.header("x-mainstay-downgraded").to_owned();
    assert_eq!(lab.send(&ask()).await.status, StatusCode::OK);
    let first = lab.send(&ask()).await;
    assert_eq!((first.status, &*downgraded(&first)), (StatusCode::OK, "small"), "{}", first.text());
    assert_eq!(first.header("x-mainstay-cache"), "");
    // Neither budget has anything left.
    assert_eq!(lab.send(&ask_for("smart", r#","seed":1"#)).await.status, StatusCode::TOO_MANY_REQUESTS);
    let hit = lab.send(&ask()).await;
    assert_eq!((hit.status, hit.header("x-mainstay-cache")), (StatusCode::OK, "hit"), "{}", hit.text());
    assert_eq!(downgraded(&hit), "small");
    assert_eq!((a.heard().len(), b.heard().len()), (1, 1));
    assert_eq!(lab.metric(r#"mainstay_budget_downgrades_total{route="smart",to="small"}"#), 2.0);
    lab.assert_quiet().await;
}
