//! The catalog at work: routes that nobody wrote, lists of models, and an operator's file under a running
//! gateway.

use std::fs;
use std::sync::Arc;

use mainstay::catalog::Catalog;
use mainstay::dialect::Dialect;
use mainstay::route;
use serde_json::Value;

use crate::http;
use crate::lab::{Answer, Ask, Lab, Said, Scribe};
use crate::process::{Gateway, wait_for};

const AUTOMATIC: &str = "
version: 1
auto_routes: true
upstreams:
  main: {provider: openai, base_url: 'http://main/v1'}
  cloud: {provider: azure, base_url: 'http://cloud', credentials: [a-key-of-azure]}
  claude: {provider: anthropic, base_url: 'http://claude'}
  relay: {provider: openrouter, base_url: 'http://relay/v1'}
  later: {provider: mistral}
routes:
  - {model: gpt-4.1, aliases: [house], channels: [{upstream: cloud, model: our-gpt}]}
  - {model: 'claude-opus*', channels: [{upstream: relay}]}
";

struct Scene {
    lab: Lab,
    scribes: Vec<(&'static str, Arc<Scribe>)>,
}

impl Scene {
    fn new() -> Self {
        let said = || {
            Said::json(
                200,
                r#"{"id":"x","object":"chat.completion","choices":[{"message":{"content":"hi"}}],"content":[]}"#,
            )
        };
        let scribes = ["main", "cloud", "claude", "relay"].map(|name| (name, Scribe::saying(said())));
        let beside: Vec<_> = scribes.iter().map(|(name, scribe)| (*name, scribe)).collect();
        Self { lab: Lab::beside(AUTOMATIC, &beside), scribes: scribes.to_vec() }
    }

    /// Asks for `model` and says who heard of it, and under which name.
    async fn goes(&self, ask: Ask) -> String {
        let answer = self.lab.send(&ask).await;
        let heard: Vec<String> = self
            .scribes
            .iter()
            .filter(|(_, scribe)| !scribe.heard().is_empty())
            .map(|(name, scribe)| {
                let body: Value = serde_json::from_slice(&scribe.only().body).unwrap();
                format!("{name}/{}", body["model"].as_str().unwrap())
            })
            .collect();
        if heard.is_empty() { answer.status.as_str().to_owned() } else { heard.join(" ") }
    }

    async fn get(&self, path: &str, headers: &[(&'static str, &str)]) -> Answer {
        let ask = headers.iter().fold(Ask::get(path), |ask, (name, value)| ask.header(name, value));
        self.lab.send(&ask).await
    }

    async fn ids(&self, path: &str, headers: &[(&'static str, &str)]) -> Vec<String> {
        let list = self.get(path, headers).await.json();
        let models = list["data"].as_array().or(list["models"].as_array()).unwrap();
        let id = |model: &Value| model["id"].as_str().or(model["name"].as_str()).unwrap().to_owned();
        models.iter().map(id).collect()
    }
}

fn messages(model: &str) -> Ask {
    let body =
        format!(r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"hi"}}]}}"#);
    Ask::post("/anthropic/v1/messages", body)
}

#[tokio::test(start_paused = true)]
async fn a_model_of_the_catalog_is_served_without_a_route() {
    let scene = Scene::new();
    assert_eq!(scene.goes(Ask::chat("openai/gpt-5.4")).await, "main/gpt-5.4");
    assert_eq!(scene.goes(Ask::chat("azure/gpt-5.4")).await, "cloud/gpt-5.4");
    assert_eq!(scene.goes(Ask::chat("openrouter/x-ai/grok-9")).await, "relay/x-ai/grok-9");
    // Newer than the catalog.
    assert_eq!(scene.goes(Ask::chat("openai/gpt-99")).await, "main/gpt-99");
    assert_eq!(scene.goes(Ask::chat("gpt-99")).await, "404");
    // Bare: whoever has it, in turn.
    let mut heard = [scene.goes(Ask::chat("gpt-5.4")).await, scene.goes(Ask::chat("gpt-5.4")).await];
    heard.sort();
    assert_eq!(heard, ["cloud/gpt-5.4", "main/gpt-5.4"]);
    assert_eq!(scene.goes(messages("claude-sonnet-4-6")).await, "claude/claude-sonnet-4-6");
    // A snapshot without a row is its model, under the name that was asked for.
    assert_eq!(scene.goes(messages("claude-sonnet-4-6-20390101")).await, "claude/claude-sonnet-4-6-20390101");
    // Nobody has set a key.
    assert_eq!(scene.goes(Ask::chat("mistral/mistral-large-latest")).await, "503");
}

#[tokio::test(start_paused = true)]
async fn what_is_written_wins_over_what_is_automatic() {
    let scene = Scene::new();
    assert_eq!(scene.goes(Ask::chat("gpt-4.1")).await, "cloud/our-gpt");
    assert_eq!(scene.goes(Ask::chat("house")).await, "cloud/our-gpt");
    assert_eq!(scene.goes(Ask::chat("claude-opus-4-6")).await, "relay/claude-opus-4-6");
    assert_eq!(scene.goes(messages("anthropic/claude-opus-4-6")).await, "claude/claude-opus-4-6");
}

#[tokio::test(start_paused = true)]
async fn automatic_routes_are_shown_for_what_they_are_and_add_no_labels_of_callers() {
    let scene = Scene::new();
    let table = scene.lab.table();
    let route_of = |model: &str| {
        let question = route::Question {
            model: model.into(),
            dialect: Some(Dialect::OpenAi),
            ..route::Question::default()
        };
        route::explain(&table, &question).map(|explained| explained.route)
    };
    assert_eq!(route_of("gpt-5.4").as_deref(), Some("auto: openai+azure"));
    assert_eq!(route_of("openai/gpt-5.4").as_deref(), Some("auto: openai/*"));
    assert_eq!(route_of("gpt-4.1").as_deref(), Some("gpt-4.1"));
    for model in ["openai/gpt-5.4", "openai/gpt-5.4-mini", "openai/whatever"] {
        scene.goes(Ask::chat(model)).await;
    }
    let counted = r#"mainstay_requests_total{route="auto: openai/*",dialect="openai",outcome="ok"}"#;
    assert_eq!(scene.lab.metric(counted), 3.0);
    let text = scene.lab.gateway.live.metrics.render();
    assert!(!text.contains("whatever") && !text.contains("gpt-5.4"), "a label is a caller's word");
    // Two of one provider, and never one a model.
    let automatic = table.routes.iter().filter(|route| route.config.name.starts_with("auto: "));
    assert!((5..20).contains(&automatic.count()));
}

#[tokio::test(start_paused = true)]
async fn a_channel_knows_what_is_known_of_its_model() {
    let scene = Scene::new();
    let table = scene.lab.table();
    let facts = |asked: &str| {
        let route = &table.routes[table.route_of_model(asked).expect("a route")];
        route.channels[0].facts(&route.config, asked)
    };
    let catalog = Catalog::embedded();
    assert_eq!(facts("openai/gpt-5.4"), catalog.facts("openai", "gpt-5.4"));
    assert_eq!(facts("openrouter/anthropic/claude-opus-4.6"), catalog.facts("anthropic", "claude-opus-4-6"));
    assert!(facts("house").is_unknown(), "a deployment's name says nothing");
    assert!(facts("openai/gpt-99").is_unknown());
}

#[tokio::test(start_paused = true)]
async fn the_list_has_what_is_served_in_the_shape_of_whoever_asks() {
    let scene = Scene::new();
    let ids = scene.ids("/v1/models", &[]).await;
    assert_eq!(ids[..2], ["gpt-4.1", "house"], "what is written comes first");
    for id in ["gpt-5.4", "claude-sonnet-4-6", "text-embedding-3-small"] {
        assert_eq!(ids.iter().filter(|known| *known == id).count(), 1, "{id}");
    }
    // A price's name, the models of somebody without a key, what a pattern sends elsewhere, and what was
    // turned off.
    for id in ["eu/gpt-5", "codestral-latest", "claude-opus-4-6", "claude-opus*", "gpt-5-chat-latest"] {
        assert!(!ids.iter().any(|known| known == id), "{id}");
    }
    let anthropic = [("anthropic-version", "2023-06-01")];
    let mut paged = Vec::new();
    let mut path = "/v1/models?limit=100".to_owned();
    loop {
        let page = scene.get(&path, &anthropic).await.json();
        paged.extend(
            page["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()),
        );
        if page["has_more"] == false {
            break;
        }
        path = format!("/v1/models?limit=100&after_id={}", page["last_id"].as_str().unwrap());
    }
    assert_eq!(paged, ids);
    assert_eq!(scene.ids("/v1/models", &anthropic).await.len(), 20);
    let one = scene.get("/anthropic/v1/models/gpt-5.4", &[]).await.json();
    assert_eq!((&one["max_input_tokens"], &one["max_tokens"]), (&1_050_000.into(), &128_000.into()));
    assert_eq!(one["capabilities"]["image_input"]["supported"], true);

    let gemini = scene.get("/gemini/v1beta/models?pageSize=3", &[]).await.json();
    assert_eq!(gemini["models"].as_array().unwrap().len(), 3);
    assert_eq!(gemini["nextPageToken"], ids[2].as_str());

    let cohere = scene.get("/cohere/v1/models?page_size=3", &[]).await.json();
    assert_eq!(cohere["models"].as_array().unwrap().len(), 3);
    assert_eq!(cohere["next_page_token"], ids[2].as_str());
    let path = "/cohere/v1/models?endpoint=embed&page_size=1000";
    let embeds = scene.ids(path, &[]).await;
    assert!(
        embeds.iter().any(|id| id == "text-embedding-3-small") && !embeds.iter().any(|id| id == "gpt-4.1")
    );
    let one = scene.get("/cohere/v1/models/gpt-5.4", &[]).await.json();
    assert_eq!((&one["name"], &one["endpoints"]), (&"gpt-5.4".into(), &serde_json::json!(["chat"])));
    assert_eq!((&one["context_length"], &one["is_deprecated"]), (&1_050_000.into(), &false.into()));

    let codex = scene.get("/v1/models?client_version=0.155.1", &[]).await.json();
    assert_eq!(codex["models"], Value::Array(Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_pattern_is_listed_as_the_models_that_it_stands_for() {
    let routing = "
version: 1
upstreams:
  main: {provider: openai, base_url: 'http://main/v1'}
  claude: {provider: anthropic, base_url: 'http://claude'}
  later: {provider: mistral}
routes:
  - {model: gpt-5.4-mini, channels: [{upstream: main}]}
  - {model: 'gpt-5*', channels: [{upstream: main}, {upstream: later}]}
  - {model: 'house/*', channels: [{upstream: claude, model: '*'}]}
  - {model: 'one/*', channels: [{upstream: main, model: gpt-5.4}]}
";
    let lab = Lab::beside(routing, &[]);
    let list = lab.send(&Ask::get("/v1/models")).await.json();
    let ids: Vec<&str> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(ids[0], "gpt-5.4-mini");
    for id in ["gpt-5.4", "gpt-5.4-mini", "house/claude-sonnet-4-6"] {
        assert_eq!(ids.iter().filter(|known| **known == id).count(), 1, "{id}");
    }
    // Of no route, turned off, by no name in particular, of somebody without a key.
    for part in ["gpt-4.1", "gpt-5-chat-latest", "one/", "mistral", "*"] {
        assert!(!ids.iter().any(|id| id.contains(part)), "{part}");
    }
    assert!(ids.is_sorted_by_key(|id| (id.starts_with("house/"), *id != "gpt-5.4-mini", *id)), "{ids:?}");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_makes_no_sense_is_refused_in_the_callers_shape() {
    let scene = Scene::new();
    let answer = scene.get("/anthropic/v1/models?limit=0", &[]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["error"]["type"].as_str()),
        (400, Some("invalid_request_error"))
    );
    let answer = scene.get("/gemini/v1beta/models?pageToken=gone", &[]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["error"]["status"].as_str()),
        (400, Some("INVALID_ARGUMENT"))
    );
}

#[tokio::test(start_paused = true)]
async fn the_catalogs_age_is_a_metric() {
    let scene = Scene::new();
    let catalog = Catalog::embedded();
    let age = scene.lab.metric("mainstay_catalog_age_seconds");
    let expected =
        scene.lab.gateway.live.clock.unix_now().as_secs_f64() - catalog.as_of().unix_seconds() as f64;
    assert!((age - expected.max(0.0)).abs() < 60.0, "{age} and {expected}");
    assert_eq!(scene.lab.metric("mainstay_catalog_models"), catalog.models() as f64);
}

const ROUTING: &str = "
version: 1
server: {listen: LISTEN, admin: ADMIN}
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b}]
";

fn window(gateway: &Gateway) -> Value {
    http::get(gateway.callers, "/anthropic/v1/models/demo").unwrap().json()["max_input_tokens"].take()
}

/// A file of facts appears, changes, goes wrong and is mended under a running gateway.
#[test]
fn an_operators_facts_are_taken_up_and_a_bad_file_changes_nothing() {
    let gateway = Gateway::start(ROUTING);
    assert_eq!(window(&gateway), Value::Null);
    let facts = gateway.directory().join("models.yaml");
    let write = |text: &str| {
        let next = facts.with_extension("new");
        fs::write(&next, text).unwrap();
        fs::rename(&next, &facts).unwrap();
    };
    let becomes = |tokens: u64, why: &str| {
        let there = wait_for(20, || (window(&gateway) == tokens).then_some(()));
        assert!(there.is_some(), "{why}: {}", gateway.said());
    };
    write("{as_of: 2031-01-01, providers: {simulated: {demo: {context: 1000}}}}");
    let routing = fs::read_to_string(&gateway.file).unwrap();
    fs::write(
        &gateway.file,
        format!("{routing}catalog: {{file: '{}'}}\nauto_routes: true\n", facts.display()),
    )
    .unwrap();
    becomes(1000, "a file that is named is read");
    assert_eq!(
        http::get(gateway.callers, "/v1/models/simulated/anything").unwrap().status,
        200,
        "a provider with a row has its automatic route"
    );

    write("{providers: {simulated: {demo: {context: 2000}}}}");
    becomes(2000, "a changed file is taken up");

    let refused = || gateway.metrics().contains("\nmainstay_config_last_reload_failed 1");
    write("{providers: {simulated: {demo: {context: many}}}}");
    assert!(wait_for(20, || refused().then_some(())).is_some(), "a bad file is refused");
    assert_eq!(window(&gateway), 2000, "the last good one serves on");
    assert!(gateway.said().contains("providers.simulated.demo.context"), "{}", gateway.said());
    assert!(gateway.said().contains("models.yaml:1:"), "{}", gateway.said());
    fs::remove_file(&facts).unwrap();
    assert!(refused() && window(&gateway) == 2000);

    write("{providers: {simulated: {demo: {context: 3000}}}}");
    becomes(3000, "a mended file is taken up");
    // The table serves a moment before the reload that brought it is counted.
    assert!(wait_for(20, || (!refused()).then_some(())).is_some(), "nothing is wrong any more");
}
