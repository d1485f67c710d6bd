//! Callers who bring keys of their own to providers: whose key goes up, and that nothing of ours hears of it.

use std::sync::Arc;

use mainstay::store::rows::CALLERS_OWN;
use mainstay::vocab::Money;
use serde_json::json;

use super::{COMPLETION, SHOP, sending};
use crate::lab::{Ask, Lab, Said, Scribe};

const KEY: &str = "x-mainstay-provider-key";
const PROVIDER: &str = "x-mainstay-provider";

const YAML: &str = "
version: 1
access: keys
keys: {shop: {secret: '${LAB_SHOP}'}, desk: {secret: '${LAB_DESK}'}}
upstreams:
  a: {provider: openai, base_url: 'http://a/v1', credentials: ['${LAB_OURS}']}
  a2: {provider: openai, base_url: 'http://a2/v1', credentials: ['${LAB_OURS_TOO}']}
  b: {provider: anthropic, base_url: 'http://b', credentials: ['${LAB_OTHERS}']}
  c: {provider: custom, dialect: openai, base_url: 'http://c/v1', credentials: []}
  d:
    provider: custom
    dialect: openai
    base_url: 'http://d/v1'
    credentials: []
    headers: {authorization: 'Bearer ${LAB_OURS}', x-api-key: '${LAB_OURS}', x-team-token: '${LAB_OURS}', x-shelf: own}
  plain: {provider: http, base_url: 'http://plain'}
  aws: {provider: bedrock, aws_region: eu-west-1, credentials: ['${LAB_AWS}']}
routes:
  - {model: off, channels: [{upstream: a}]}
  - model: allow
    byok: allow
    cache: {enabled: true, scope: route}
    coalesce: true
    hedge: {enabled: true, delay: 1ms, max_share: 1}
    mirror: {to: off, share: 100%}
    channels: [{upstream: a}, {upstream: a2, tier: 1}]
    fallback: [off]
  - {model: several, byok: allow, channels: [{upstream: a}, {upstream: b}]}
  - {model: require, byok: require, channels: [{upstream: c}]}
  - {model: free, byok: allow, channels: [{upstream: c}]}
  - {model: half, byok: allow, channels: [{upstream: c}, {upstream: d}]}
  - {model: cloud, byok: allow, channels: [{upstream: aws}]}
  - {path: /plain/, channels: [{upstream: plain}]}
";

const MESSAGE: &str = r#"{"id":"m","type":"message","role":"assistant","model":"x","stop_reason":"end_turn",
    "content":[{"type":"text","text":"well"}],"usage":{"input_tokens":1,"output_tokens":1}}"#;

struct Shop {
    lab: Lab,
    a: Arc<Scribe>,
    a2: Arc<Scribe>,
    b: Arc<Scribe>,
    c: Arc<Scribe>,
    d: Arc<Scribe>,
}

fn shop() -> Shop {
    let scribe = || Scribe::saying(Said::json(200, COMPLETION));
    let (a, a2, c, d, aws) = (scribe(), scribe(), scribe(), scribe(), scribe());
    let b = Scribe::saying(Said::json(200, MESSAGE));
    let hosts = [("a", &a), ("a2", &a2), ("b", &b), ("c", &c), ("d", &d), ("aws", &aws), ("plain", &c)];
    let lab = Lab::beside(YAML, &hosts);
    Shop { lab, a, a2, b, c, d }
}

fn ask(model: &str) -> Ask {
    sending(&Ask::chat(model), "authorization", SHOP)
}

impl Shop {
    /// Nothing that is remembered of `upstream` says that anything was ever wrong, or used.
    fn assert_untouched(&self, upstream: &str) {
        let now = self.lab.gateway.live.now();
        let table = self.lab.table();
        let found =
            table.upstreams.iter().find(|known| &*known.config.name == upstream).expect("it is there");
        for credential in &found.credentials {
            let ready = format!("{:?}", credential.readiness(None, now));
            assert_eq!(ready, "Ready", "{}", credential.alias);
        }
        assert_eq!(self.lab.metric_sum("mainstay_cooldowns_total", &[&format!("\"{upstream}#1\"")]), 0.0);
        assert_eq!(self.lab.breaker(upstream, ""), "closed");
        for model in &found.memory.models {
            let state = model.gate.as_ref().map(|gate| gate.state().name());
            assert!(matches!(state, None | Some("closed")), "{}", model.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_key_goes_up_in_place_of_ours_and_into_no_other_hand() {
    let shop = shop();
    let answer = shop.lab.send(&ask("allow").header(KEY, "sk-of-the-caller")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let heard = shop.a.only();
    assert_eq!(heard.header("authorization"), "Bearer sk-of-the-caller");
    let shown = format!("{heard:?}");
    assert!(!shown.contains("x-mainstay") && !shown.contains("secret-of"), "{shown}");
    // Without one it is ours.
    shop.lab.send(&ask("off")).await;
    assert_eq!(shop.a.only().header("authorization"), "Bearer secret-of-LAB_OURS");
    // Another vendor's goes where that vendor takes it.
    let theirs = ask("several").header(KEY, "sk-ant-of-the-caller").header(PROVIDER, "anthropic");
    for _ in 0..5 {
        shop.lab.send(&theirs).await;
        assert_eq!(shop.b.only().header("x-api-key"), "sk-ant-of-the-caller");
    }
    assert!(shop.a.heard().is_empty());
    // An upstream may have no key of ours at all.
    let answer = shop.lab.send(&ask("require").header(KEY, "sk-for-c")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(shop.c.only().header("authorization"), "Bearer sk-for-c");
    shop.lab.assert_quiet().await;
}

/// It would be asked at the operator's expense, and booked as paid for.
#[tokio::test(start_paused = true)]
async fn a_callers_own_key_buys_nothing_that_the_operator_pays_for() {
    let shop = shop();
    // Ours stands among the headers of this one; what is no key goes along.
    let own = ask("half").header(KEY, "sk-of-the-caller").header(PROVIDER, "d");
    for _ in 0..5 {
        let answer = shop.lab.send(&own).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let heard = shop.d.only();
        assert_eq!(
            (heard.header("authorization"), heard.header("x-shelf")),
            ("Bearer sk-of-the-caller", "own")
        );
        assert!(!format!("{heard:?}").contains("secret-of"), "{heard:?}");
    }
    // The other one takes no key at all: there is no choice to be said.
    assert_eq!(shop.lab.send(&ask("half").header(KEY, "sk-of-the-caller")).await.status, 200);
    let answer = shop.lab.send(&ask("free").header(KEY, "sk-anything")).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("would pay for nothing"), "{}", answer.text());
    assert!(shop.c.heard().is_empty());
    assert_eq!(shop.lab.send(&ask("free")).await.status, 200, "nor is one needed");
    // Who brings none is served with ours.
    for _ in 0..4 {
        shop.lab.send(&ask("half")).await;
    }
    assert!(
        shop.d
            .heard()
            .iter()
            .skip(1)
            .all(|heard| heard.header("authorization") == "Bearer secret-of-LAB_OURS")
    );
    shop.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_provider_says_of_a_callers_key_is_told_to_him_and_remembered_by_nobody() {
    let refusals = [
        (
            401,
            r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#,
        ),
        (
            403,
            r#"{"error":{"message":"Country not supported","code":"unsupported_country_region_territory"}}"#,
        ),
        (429, r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        ),
        (
            404,
            r#"{"error":{"message":"The model does not exist or you do not have access to it","code":"model_not_found"}}"#,
        ),
    ];
    for (status, body) in refusals {
        let shop = shop();
        shop.a.say(Said::json(status, body).header("retry-after", "3600"));
        let own = ask("allow").header(KEY, "sk-worn-out");
        for round in 0..30 {
            let answer = shop.lab.send(&own).await;
            assert_eq!(answer.status.as_u16(), status, "{round}: {}", answer.text());
            assert_eq!(answer.text(), body, "the provider's own words");
        }
        assert_eq!(shop.a.heard().len(), 30, "each of his requests is asked once");
        assert!(shop.a2.heard().is_empty(), "nobody else is asked with a key that was refused");
        shop.assert_untouched("a");
        // Whoever pays with ours is served there as ever.
        shop.a.say(Said::json(200, COMPLETION));
        let answer = shop.lab.send(&ask("off")).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-mainstay-attempts")), (200, "1"));
        let last = shop.a.heard().pop().expect("it was asked");
        assert_eq!(last.header("authorization"), "Bearer secret-of-LAB_OURS");
        shop.lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn his_key_works_while_ours_rests_and_ours_while_his_does() {
    let shop = shop();
    shop.a.say(Said::json(
        401,
        r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#,
    ));
    assert_eq!(shop.lab.send(&ask("off")).await.status, 503, "ours is refused and rests");
    shop.a.say(Said::json(200, COMPLETION));
    let answer = shop.lab.send(&ask("off")).await;
    assert_ne!(answer.status, 200, "it still rests");
    let answer = shop.lab.send(&ask("allow").header(KEY, "sk-of-the-caller")).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("x-mainstay-attempts")),
        (200, "1"),
        "{}",
        answer.text()
    );
    shop.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_is_down_is_left_for_another_of_the_same_provider_and_no_further() {
    let shop = shop();
    shop.a.refuse();
    let own = ask("allow").header(KEY, "sk-of-the-caller").header("cache-control", "no-store");
    assert_eq!(shop.lab.send(&own).await.status, 200);
    assert_eq!(shop.a2.only().header("authorization"), "Bearer sk-of-the-caller");
    shop.a2.refuse();
    let answer = shop.lab.send(&own).await;
    assert!(answer.status.is_server_error(), "{}", answer.text());
    assert!(shop.b.heard().is_empty() && shop.c.heard().is_empty());
    shop.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn answers_that_one_key_paid_for_are_said_to_no_other() {
    let shop = shop();
    let send = async |ask: &Ask| {
        let answer = shop.lab.send(ask).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.header("x-mainstay-cache").to_owned()
    };
    let one = ask("allow").header(KEY, "sk-one");
    let two = ask("allow").header(KEY, "sk-two");
    let desk = sending(&Ask::chat("allow"), "authorization", super::DESK).header(KEY, "sk-one");
    for first in [&one, &two, &desk, &ask("allow")] {
        assert_eq!(send(first).await, "", "nobody has it from another");
        assert_eq!(send(first).await, "hit", "everybody from himself");
    }
    // And of one moment.
    let shop = self::shop();
    let (first, second, third) = tokio::join!(shop.lab.send(&one), shop.lab.send(&two), shop.lab.send(&one));
    assert!([first, second, third].iter().all(|answer| answer.status == 200));
    let mut keys: Vec<String> =
        shop.a.heard().iter().map(|heard| heard.header("authorization").to_owned()).collect();
    keys.sort();
    assert_eq!(
        keys,
        ["Bearer sk-one", "Bearer sk-two"],
        "neither hedged nor mirrored, nor shared between keys"
    );
    // What a caller names is his under this key only.
    let named =
        |key: &str| ask("several").header(KEY, key).header(PROVIDER, "openai").header("idempotency-key", "1");
    let replayed =
        async |key: &str| shop.lab.send(&named(key)).await.header("idempotent-replayed").to_owned();
    assert_eq!((replayed("sk-one").await, replayed("sk-two").await), (String::new(), String::new()));
    assert_eq!(replayed("sk-one").await, "true");
    shop.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn the_ledger_has_his_tokens_and_no_cost() {
    let shop = shop();
    let books = shop.lab.keep_books();
    shop.lab.send(&ask("allow").header(KEY, "sk-of-the-caller")).await;
    shop.lab.assert_quiet().await;
    let (request, attempts) = books.only().await;
    assert_eq!((request.who.key.as_deref(), request.cost), (Some("shop"), Some(Money::ZERO)));
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].credential, attempts[0].cost), (CALLERS_OWN, Some(Money::ZERO)));
    assert!(attempts[0].usage.input > 0 && attempts[0].usage.output > 0);
    assert!(!format!("{request:?}{attempts:?}").contains("sk-of"));
    assert_eq!(shop.lab.metric_sum("mainstay_cost_nano_usd_total", &[]), 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_can_go_nowhere_is_refused_before_anybody_hears_of_it() {
    let shop = shop();
    let long = "k".repeat(4097);
    let own = |model: &str, key: &str| ask(model).header(KEY, key);
    let cases = [
        (own("off", "sk-x"), 400, "takes no keys of callers' own"),
        (ask("require"), 401, "wants your own key to its provider"),
        (own("several", "sk-x"), 400, "the route `several` has anthropic, openai"),
        (
            own("several", "sk-x").header(PROVIDER, "groq"),
            400,
            "nobody on the route `several` takes keys to `groq`",
        ),
        (own("require", "sk-x").header(PROVIDER, "openai"), 400, "takes keys to `openai`"),
        (own("allow", "sk-x").header(KEY, "sk-y"), 400, "came twice"),
        (own("allow", ""), 400, "is empty"),
        (own("allow", &long), 400, "longer than 4096"),
        (own("allow", "sk x"), 400, "something in it that no key has"),
        (
            own("cloud", "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            400,
            "not what signs requests",
        ),
        (
            sending(&Ask::get("/plain/x"), "authorization", SHOP).header(KEY, "sk-x"),
            400,
            "is for requests to models",
        ),
    ];
    for (ask, status, words) in cases {
        let answer = shop.lab.send(&ask).await;
        assert_eq!(answer.status.as_u16(), status, "{words}: {}", answer.text());
        assert!(answer.text().contains(words), "{words}: {}", answer.text());
        assert!(!answer.text().contains("sk-x") && !answer.text().contains("AKIA"), "{}", answer.text());
    }
    for scribe in [&shop.a, &shop.a2, &shop.b, &shop.c] {
        assert!(scribe.heard().is_empty());
    }
    shop.lab.assert_quiet().await;
}

/// The gateway would have to ask whoever such a file names, with whatever it says.
#[tokio::test(start_paused = true)]
async fn a_file_that_is_exchanged_for_a_token_is_none_that_callers_can_bring() {
    let yaml = "version: 1\nupstreams: {v: {provider: vertex, base_url: 'http://v/v1/projects/p/locations/l', credentials: ['${LAB_V}']}}\n\
                routes: [{model: gemini-x, byok: allow, channels: [{upstream: v}]}]\n";
    let v = Scribe::saying(Said::json(200, r#"{"candidates":[{"finishReason":"STOP"}]}"#));
    let lab = Lab::beside(yaml, &[("v", &v)]);
    let ask = Ask::post(
        "/gemini/v1beta/models/gemini-x:generateContent",
        r#"{"contents":[{"parts":[{"text":"x"}]}]}"#,
    );
    let file = json!({"type": "authorized_user", "client_id": "a", "client_secret": "b", "refresh_token": "c",
                      "token_uri": "http://169.254.169.254/"});
    for key in [file.to_string(), "metadata".to_owned()] {
        let key: String = key.split_whitespace().collect();
        let answer = lab.send(&ask.clone().header(KEY, &key)).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert!(answer.text().contains("exchanged"), "{}", answer.text());
    }
    lab.send(&ask.header(KEY, "ya29.of-the-caller")).await;
    assert_eq!(v.only().header("authorization"), "Bearer ya29.of-the-caller");
}
