//! Callers with tokens of an issuer, between simulated upstreams: whichever way they send them, and what is held
//! against whom.

use std::sync::Arc;

use serde_json::{Value, json};

use super::pen::Pen;
use super::{COMPLETION, SHOP, WAYS, asks, asks_of_nobody, sending, verdict};
use crate::lab::{Ask, Lab, Said, Scribe};

const YAML: &str = "
version: 1
access: keys
organisations: {acme: {allow: {models: [demo]}}}
teams: {growth: {organisation: acme}, sales: {limits: {rpm: 3}}}
keys: {shop: {secret: '${LAB_SHOP}'}}
issuers:
  okta:
    issuer: https://login.example.com/
    audience: mainstay
    claims: {team: groups}
    refuse: [mallory]
    limits: {rpm: 1000}
    max_priority: critical_plus
upstreams:
  a: {provider: custom, dialect: [openai, responses, anthropic, gemini, cohere, bedrock], base_url: 'http://a/v1'}
  plain: {provider: http, base_url: 'http://plain'}
routes:
  - {model: demo, channels: [{upstream: a}]}
  - {model: dear, channels: [{upstream: a}]}
  - {path: /plain/, access: open, channels: [{upstream: plain}]}
";

struct House {
    lab: Lab,
    upstream: Arc<Scribe>,
    pen: Pen,
}

fn house() -> House {
    let upstream = Scribe::saying(Said::json(200, COMPLETION));
    let lab = Lab::beside(YAML, &[("a", &upstream), ("plain", &upstream)]);
    let pen = Pen::new("1");
    let now = lab.gateway.live.clock.unix_now();
    lab.publishers.all()[0].came(pen.published().into(), now).expect("a good set");
    House { lab, upstream, pen }
}

impl House {
    fn token(&self, more: &Value) -> String {
        let now = self.lab.gateway.live.clock.unix_now().as_secs();
        let mut claims = json!({"iss": "https://login.example.com/", "aud": "mainstay", "sub": "ada", "exp": now + 300,
                                "groups": ["everybody", "growth"]});
        for (name, value) in more.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        self.pen.token(&claims)
    }

    async fn ask(&self, model: &str, more: Value) -> (u16, String) {
        let answer = self.lab.send(&sending(&Ask::chat(model), "authorization", &self.token(&more))).await;
        (answer.status.as_u16(), answer.text().to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_taken_wherever_a_key_is_in_every_dialect_and_goes_no_further() {
    let house = house();
    let token = house.token(&json!({}));
    let signature = token.rsplit('.').next().expect("three parts");
    let mut allowed = 0.0;
    for way in WAYS {
        for (dialect, ask) in asks("demo").into_iter().chain(asks_of_nobody()) {
            let answer = house.lab.send(&sending(&ask, way, &token)).await;
            assert!(!matches!(answer.status.as_u16(), 401 | 403), "{dialect} {way}: {}", answer.text());
            allowed += 1.0;
        }
        let answer = house.lab.send(&sending(&Ask::get("/plain/x"), way, &token)).await;
        assert_eq!(answer.status, 200, "{way}");
        allowed += 1.0;
    }
    for heard in house.upstream.heard() {
        let shown = format!("{heard:?}");
        assert!(!shown.contains(signature), "{shown}");
    }
    assert_eq!(house.lab.metric(r#"mainstay_access_total{key="okta:*",result="allowed"}"#), allowed);
    let text = house.lab.gateway.live.metrics.render();
    assert!(!text.contains(":ada"), "a caller's name is no label");
    house.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn who_is_turned_away_hears_why_once_his_token_has_proven_whose_it_is() {
    let house = house();
    let now = house.lab.gateway.live.clock.unix_now().as_secs();
    let check = async |more: Value, status: u16, words: &str, result: &str| {
        let (got, said) = house.ask("demo", more).await;
        assert_eq!(got, status, "{said}");
        assert!(said.contains(words), "{words}: {said}");
        let series = format!("mainstay_access_total{{key=\"okta:*\",result=\"{result}\"}}");
        assert_eq!(house.lab.metric(&series), 1.0, "{result}");
    };
    check(
        json!({"exp": now - 61}),
        401,
        "the token's time is over; get another one from the issuer `okta`",
        "expired",
    )
    .await;
    check(json!({"nbf": now + 62}), 401, "does not hold yet", "early").await;
    check(json!({"aud": "others"}), 401, "is for another audience", "other_audience").await;
    check(json!({"sub": ""}), 401, "no `sub`", "nameless").await;
    check(
        json!({"groups": "nobody"}),
        403,
        "names nobody that this gateway knows (claims `groups`)",
        "unplaced",
    )
    .await;
    check(json!({"sub": "mallory"}), 403, "does not serve you", "barred").await;
    let forged = Pen::new("1").token(&json!({"iss": "https://login.example.com/", "sub": "mallory"}));
    let answer = house.lab.send(&sending(&Ask::chat("demo"), "authorization", &forged)).await;
    assert_eq!(verdict("openai", &answer), (401, "invalid_api_key".to_owned()));
    assert!(answer.text().contains("does not hold for any key of the issuer `okta`"), "{}", answer.text());
    // Whom he is below does not allow it.
    let (status, said) = house.ask("dear", json!({})).await;
    assert_eq!(status, 403, "{said}");
    assert!(said.contains("`okta:ada`") && said.contains("`allow` of its organisation `acme`"), "{said}");
    assert!(house.upstream.heard().is_empty());
    house.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_not_known_yet_is_no_wrong_one() {
    let house = house();
    let other = Pen::new("2");
    let now = house.lab.gateway.live.clock.unix_now();
    let claims = json!({"iss": "https://login.example.com/", "aud": "mainstay", "sub": "eve", "groups": "growth",
                        "exp": now.as_secs() + 300});
    let ask = sending(&Ask::chat("demo"), "authorization", &other.token(&claims));
    for _ in 0..20 {
        let answer = house.lab.send(&ask.clone().from("192.0.2.1")).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "1"), "{}", answer.text());
    }
    let published = &house.lab.publishers.all()[0];
    assert!(published.is_due(now));
    published.came(other.published().into(), now).expect("a good set");
    assert_eq!(house.lab.send(&ask).await.status, 200);
    let (status, said) = house.ask("demo", json!({})).await;
    assert_eq!(status, 401, "what signed it is published no more: {said}");
    house.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn limits_and_rows_are_of_the_person_and_of_those_above() {
    let house = house();
    let books = house.lab.keep_books();
    for sub in ["ada", "eve", "ada"] {
        assert_eq!(house.ask("demo", json!({"sub": sub, "groups": "sales"})).await.0, 200);
    }
    let (status, said) = house.ask("demo", json!({"sub": "bob", "groups": "sales"})).await;
    assert_eq!(status, 429, "{said}");
    assert!(said.contains("sales"), "{said}");
    assert_eq!(house.ask("demo", json!({"sub": "bob"})).await.0, 200, "another team's");
    let answer = house.lab.send(&sending(&Ask::chat("demo"), "authorization", SHOP)).await;
    assert_eq!(answer.status, 200, "a key is one as ever");
    house.lab.assert_quiet().await;
    let (rows, _) = books.rows().await;
    let who: Vec<(Option<&str>, Option<&str>)> =
        rows.iter().map(|row| (row.who.team.as_deref(), row.who.key.as_deref())).collect();
    let sales = Some("sales");
    let expected = [
        (sales, Some("okta:ada")),
        (sales, Some("okta:eve")),
        (sales, Some("okta:ada")),
        (sales, Some("okta:bob")),
        (Some("growth"), Some("okta:bob")),
        (None, Some("shop")),
    ];
    assert_eq!(who, expected);
}

/// 400 x 2.5 + 640 x 15 dollars a million: 0.0106 of them.
const DEAR: &str = r#"{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
    "message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":400,"completion_tokens":640,"total_tokens":1040}}"#;

/// Whose callers may spend as `own` says, of a model that has a price.
fn thrifty(own: &str) -> House {
    let yaml = YAML
        .replace("    limits: {rpm: 1000}\n", &format!("    limits: {{rpm: 1000}}\n{own}"))
        .replace("  plain: {provider", "  b: {provider: openai, base_url: 'http://b.test/v1', credentials: ['${LAB_B}']}\n  plain: {provider")
        .replace("{model: demo, channels: [{upstream: a}]}", "{model: demo, channels: [{upstream: b, model: gpt-5.4}]}");
    let upstream = Scribe::saying(Said::json(200, DEAR));
    let lab = Lab::beside(&yaml, &[("a", &upstream), ("b", &upstream), ("plain", &upstream)]);
    let pen = Pen::new("1");
    let now = lab.gateway.live.clock.unix_now();
    lab.publishers.all()[0].came(pen.published().into(), now).expect("a good set");
    House { lab, upstream, pen }
}

#[tokio::test(start_paused = true)]
async fn each_caller_with_a_token_has_a_budget_of_his_own() {
    let house = thrifty("    budgets: [{per: total, limit: 0.005}]\n    max_cost: 5\n");
    assert_eq!(house.ask("demo", json!({})).await.0, 200, "something is left");
    for _ in 0..2 {
        let (status, said) = house.ask("demo", json!({})).await;
        assert_eq!(status, 429, "{said}");
        assert!(
            said.contains("the budget of key `okta:ada` is used up: $0.0106 of $0.005 are spent"),
            "{said}"
        );
    }
    assert_eq!(house.ask("demo", json!({"sub": "bob"})).await.0, 200, "he has spent nothing");
    let seen = house.lab.gateway.budgets.seen();
    let names: Vec<&str> = seen.iter().map(|seen| &*seen.name).collect();
    assert_eq!(names, ["okta:ada", "okta:bob"]);
    let text = house.lab.gateway.live.metrics.render();
    assert!(!text.contains(":ada"), "a caller's name is no label");
    house.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_request_of_a_caller_with_a_token_may_cost_as_much_as_his_issuer_says() {
    let house = thrifty("    max_cost: 0.000001\n");
    let (status, said) = house.ask("demo", json!({})).await;
    assert_eq!(status, 402, "{said}");
    assert!(house.upstream.heard().is_empty());
    house.lab.assert_quiet().await;
}
