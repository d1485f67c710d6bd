//! How far keys reach: models, routes, kinds of requests, upstreams and networks, on every level of the tree.

use mainstay::route::{self, Question};
use mainstay::simulated::{Fault, Rule};

use super::{asks, sending};
use crate::lab::{Answer, Ask, Lab};

/// The lab's variable, and what it is worth.
const SHOP: &str = "secret-of-LAB_SHOP";

fn lab(tree: &str) -> Lab {
    Lab::start(&format!(
        "version: 1\naccess: keys\n{tree}\nupstreams:\n  here: {{provider: simulated, region: eu}}\n  \
         there: {{provider: simulated, region: us}}\n  nowhere: {{provider: simulated}}\nroutes:\n  \
         - {{model: demo, aliases: [trial], channels: [{{upstream: here}}, {{upstream: there}}]}}\n  \
         - {{model: dear, channels: [{{upstream: there}}], fallback: [demo]}}\n  \
         - {{model: far, channels: [{{upstream: there}}]}}\n  - {{path: /x/, channels: [{{upstream: here}}]}}\n"
    ))
}

fn shop(tree: &str, own: &str) -> Lab {
    lab(&format!("{tree}\nkeys: {{shop: {{secret: '${{LAB_SHOP}}', {own}}}}}"))
}

async fn send(lab: &Lab, ask: Ask) -> Answer {
    lab.send(&sending(&ask, "authorization", SHOP)).await
}

fn models(answer: &Answer) -> Vec<String> {
    let list = answer.json();
    let list = list["data"].as_array().expect("a list").clone();
    list.iter().map(|card| card["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_more_than_his_key_is_for_is_told_so_whether_there_is_such_a_thing_or_not() {
    let tree = "teams: {growth: {allow: {models: [demo, 'd*']}}}";
    let lab = shop(tree, "team: growth, allow: {models: ['de*', trial]}");
    for (model, says) in [
        ("far", "`far`: it is not in the `allow` of its team `growth` (models)"),
        (
            "nothing-of-that-name",
            "`nothing-of-that-name`: it is not in the `allow` of its team `growth` (models)",
        ),
        ("trial", "`trial`: it is not in the `allow` of its team `growth` (models)"),
        ("dumb", "`dumb`: it is not in its own `allow` (models)"),
    ] {
        for (dialect, ask) in asks(model) {
            let answer = send(&lab, ask).await;
            assert_eq!(answer.status, 403, "{dialect}: {}", answer.text());
            let message = answer.text().replace("\\u0060", "`");
            let expected =
                format!("the key `shop` may not be used for the model {says}; ask whoever gave you the key");
            assert!(message.contains(&expected), "{dialect}: {message}");
        }
        let answer = send(&lab, Ask::get(&format!("/v1/models/{model}"))).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    assert_eq!(send(&lab, Ask::chat("demo")).await.status, 200);
    assert_eq!(models(&send(&lab, Ask::get("/v1/models")).await), ["demo", "dear"]);
    // Of what it may use it hears when it errs, and of nothing else.
    let answer = send(&lab, Ask::chat("demi")).await;
    assert_eq!((answer.status.as_u16(), answer.text().contains("`demo`")), (404, true), "{}", answer.text());
    assert!(!answer.text().contains("trial"), "{}", answer.text());
    assert_eq!(lab.metric(r#"mainstay_access_total{key="shop",result="out_of_reach"}"#), 28.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn routes_and_kinds_of_requests_are_allowed_one_by_one() {
    let lab = shop("", "allow: {routes: [demo, dear], endpoints: [chat, messages]}");
    for (ask, expected) in [
        (Ask::chat("demo"), "200"),
        (Ask::chat("trial"), "200"),
        (Ask::chat("far"), "403 (routes)"),
        (Ask::chat("nothing"), "403 (routes)"),
        (Ask::post("/v1/responses", r#"{"model":"demo","input":"hello"}"#), "403 (endpoints)"),
        (Ask::post("/v1/embeddings", r#"{"model":"demo","input":"hello"}"#), "403 (endpoints)"),
        (Ask::get("/v1/responses/resp_1"), "403 (endpoints)"),
        (Ask::get("/x/y"), "403 (endpoints)"),
        (Ask::get("/v1/models"), "200"),
    ] {
        let answer = send(&lab, ask.clone()).await;
        let field =
            ["routes", "endpoints"].into_iter().find(|field| answer.text().contains(&format!("({field})")));
        let field = field.map(|field| format!(" ({field})")).unwrap_or_default();
        assert_eq!(format!("{}{field}", answer.status.as_u16()), expected, "{}: {}", ask.path, answer.text());
    }
    assert_eq!(models(&send(&lab, Ask::get("/v1/models")).await), ["demo", "trial", "dear"]);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_not_for_keys_of_some_models_only() {
    let lab = shop("", "allow: {models: [demo]}");
    let answer = send(&lab, Ask::post("/v1/batches", r#"{"input_file_id":"file-1"}"#)).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    let body = r#"{"requests":[{"custom_id":"a","params":{"model":"dear","max_tokens":1,"messages":[]}}]}"#;
    let ask = Ask::post("/anthropic/v1/messages/batches", body).header("x-mainstay-route", "demo");
    let answer = send(&lab, ask).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("batches, which may ask for any model"), "{}", answer.text());
    assert_eq!((lab.arrived("here"), lab.arrived("there")), (0, 0));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_not_for_keys_of_some_routes_or_kinds_of_requests_only() {
    for (allow, field) in [("routes: [demo]", "(routes)"), ("endpoints: [batches, files]", "(endpoints)")] {
        let lab = shop("", &format!("allow: {{{allow}}}"));
        let answer = send(&lab, Ask::post("/v1/batches", r#"{"input_file_id":"file-1"}"#)).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert!(answer.text().contains(field), "{}", answer.text());
        assert_eq!((lab.arrived("here"), lab.arrived("there")), (0, 0));
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn models_that_an_upstream_may_fall_back_to_have_to_be_in_reach_as_well() {
    let asks = |models: &str| {
        let body =
            format!(r#"{{"model":"demo","models":{models},"messages":[{{"role":"user","content":"hi"}}]}}"#);
        Ask::post("/v1/chat/completions", body)
    };
    let lab = shop("", "allow: {models: [demo, trial]}");
    for (models, status) in [
        (r#"["dear"]"#, 403),
        (r#"["demo","some/thing"]"#, 403),
        (r#""dear""#, 403),
        (r#"[{"id":"dear"}]"#, 403),
        (r#"["demo","trial"]"#, 200),
        ("null", 200),
    ] {
        let answer = send(&lab, asks(models)).await;
        assert_eq!(answer.status, status, "{models}: {}", answer.text());
    }
    assert_eq!(lab.arrived("here") + lab.arrived("there"), 2, "what was refused went nowhere");
    lab.assert_quiet().await;

    let lab = shop("", "max_cost: 1");
    let answer = send(&lab, asks(r#"["far"]"#)).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(answer.text().contains("models") && answer.text().contains("max_cost"), "{}", answer.text());
    assert_eq!((lab.arrived("here"), lab.arrived("there")), (0, 0));
    lab.assert_quiet().await;

    let lab = shop("", "expires: 2099-01-01");
    assert_eq!(
        send(&lab, asks(r#"["far"]"#)).await.status,
        200,
        "whose key is for everything may list anything"
    );
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn channels_that_a_key_does_not_reach_are_left_out() {
    for allow in ["regions: [eu]", "upstreams: [here]"] {
        let lab = shop(&format!("organisations: {{acme: {{allow: {{{allow}}}}}}}"), "organisation: acme");
        for _ in 0..8 {
            assert_eq!(send(&lab, Ask::chat("demo")).await.spoken().as_deref(), Ok("here"));
            // Its own channel is out of reach, its fallback's is not.
            assert_eq!(send(&lab, Ask::chat("dear")).await.spoken().as_deref(), Ok("here"));
        }
        let answer = send(&lab, Ask::chat("far")).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
        assert!(answer.text().contains("(upstreams, providers, regions)"), "{}", answer.text());
        assert_eq!(models(&send(&lab, Ask::get("/v1/models")).await), ["demo", "trial", "dear"]);
        let lineage = lab.gateway.snapshot().access.key("shop").map(|key| key.lineage.clone());
        let question = Question { model: "demo".into(), lineage, ..Question::default() };
        let explained = route::explain(&lab.table(), &question).expect("a route");
        let standings: Vec<_> = explained.channels.iter().map(|channel| channel.standing).collect();
        assert_eq!(standings, ["ready", "out_of_reach"]);
        // What it does not reach is not asked when the other is down either.
        lab.sim("here").control().set(vec![Rule::new(Fault::Refuse)]);
        assert_ne!(send(&lab, Ask::chat("demo")).await.status, 200);
        assert_eq!(lab.arrived("there"), 0);
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_for_networks() {
    let lab = shop("users: {ada: {allow: {networks: [10.0.0.0/8, '2001:db8::/32']}}}", "user: ada");
    for (from, status) in [
        (Some("10.1.2.3"), 200),
        (Some("::ffff:10.1.2.3"), 200),
        (Some("2001:db8::1"), 200),
        (Some("192.0.2.1"), 403),
        (None, 403),
    ] {
        for ask in [Ask::chat("demo"), Ask::get("/v1/models"), Ask::get("/x/y")] {
            let ask = if let Some(from) = from { ask.from(from) } else { ask };
            let answer = send(&lab, ask).await;
            assert_eq!(answer.status == 403, status == 403, "{from:?}: {}", answer.text());
            if status == 403 {
                assert!(answer.text().contains("`allow` of its user `ada` (networks)"), "{}", answer.text());
            }
        }
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_ends_with_whoever_is_above_it_and_is_unknown_from_then_on() {
    let lab = shop(
        "organisations: {acme: {expires: 2999-12-31}}",
        "organisation: acme, expires: '2999-01-01T00:00:00Z'",
    );
    assert_eq!(send(&lab, Ask::chat("demo")).await.status, 200);
    for (tree, own) in [
        ("organisations: {acme: {expires: 2020-01-01}}", "organisation: acme, expires: 2999-12-31"),
        ("organisations: {acme: {}}", "organisation: acme, expires: '2020-01-31T12:00:00+01:00'"),
    ] {
        let lab = shop(tree, own);
        for (dialect, ask) in asks("demo") {
            // Or each would have a name of its own, which some dialects say.
            let ask = ask.header("x-request-id", "the-same");
            let over = send(&lab, ask.clone()).await;
            let unknown = lab.send(&sending(&ask, "authorization", "nobody-has-this-key")).await;
            assert_eq!((over.status, over.text()), (unknown.status, unknown.text()), "{dialect}");
        }
        assert_eq!(lab.metric(r#"mainstay_access_total{key="shop",result="over"}"#), 6.0);
        assert_eq!(lab.metric(r#"mainstay_access_total{key="shop",result="allowed"}"#), 0.0);
        lab.assert_quiet().await;
    }
}
