//! The console over a gateway that stands still: what each endpoint answers, and when.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tower::ServiceExt;

use super::{Applied, Phase, ROUTES, Refused, Reloaded, Running, router};
use crate::cache::{Held, KeptNow};
use crate::config::{self, Env};
use crate::shared::Standing;
use crate::simulated::{self, Simulated};
use crate::state::{Live, Registry, Table};
use crate::store::Store;
use crate::upstream::{Pool, Target, TcpDial};

const FILE: &str = "\
version: 1
upstreams:
  a: {provider: simulated}
  b: {provider: openai, credentials: [\"${NOT_THERE}\"]}
routes:
  - {model: demo, channels: [{upstream: a}, {upstream: b}]}
  - {path: /x/, channels: [{upstream: a}]}
";

struct NoWorld;

impl Env for NoWorld {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("no files".to_owned())
    }
}

struct Still {
    phase: Mutex<Phase>,
    table: Arc<Table>,
    pools: Vec<Arc<Pool>>,
    simulated: Arc<Simulated>,
    reloaded: Result<Reloaded, Refused>,
}

impl Still {
    fn new(reloaded: Result<Reloaded, Refused>) -> Arc<Self> {
        let blueprint = config::load(FILE, &NoWorld).expect("a good file").blueprint;
        let table = Table::compile(&blueprint, &mut Registry::default(), &Arc::new(Live::seeded(1)));
        let pool = |settings: &config::Upstream| {
            let target = Target::new(&settings.base, settings.pool.http2);
            Pool::new(Arc::clone(&settings.name), target, settings.pool.clone(), Arc::new(TcpDial))
        };
        Arc::new(Self {
            phase: Mutex::new(Phase::Serving),
            pools: blueprint.upstreams.iter().map(pool).collect(),
            table: Arc::new(table),
            simulated: Simulated::in_memory("a", simulated::Settings::default()),
            reloaded,
        })
    }
}

impl Running for Still {
    fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table)
    }

    fn pools(&self) -> Vec<Arc<Pool>> {
        self.pools.clone()
    }

    fn connections(&self) -> usize {
        3
    }

    fn in_flight(&self) -> u32 {
        2
    }

    fn remembered(&self) -> Held {
        Held { responses: 4, bytes: 4096 }
    }

    fn kept(&self) -> [(&'static str, KeptNow); 2] {
        [("cache", KeptNow { answers: 2, bytes: 2048 }), ("idempotency", KeptNow::default())]
    }

    fn shared(&self) -> Option<Standing> {
        Some(Standing::Away { why: "connection refused".to_owned() })
    }

    fn store(&self) -> Option<Arc<Store>> {
        None
    }

    fn applied(&self) -> Applied {
        Applied { source: "routing.yaml".to_owned(), ..Applied::default() }
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Reloaded, Refused>> + Send + '_>> {
        Box::pin(async { self.reloaded.clone() })
    }

    fn simulated(&self, name: &str) -> Option<Arc<Simulated>> {
        (name == "a").then(|| Arc::clone(&self.simulated))
    }
}

async fn ask(still: &Arc<Still>, method: &str, path: &str, body: &str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
    let running: Arc<dyn Running> = Arc::clone(still) as _;
    let response = router(running).oneshot(request).await.expect("the router cannot fail");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    (status, String::from_utf8(body.to_vec()).expect("text"))
}

fn still() -> Arc<Still> {
    Still::new(Ok(Reloaded::Applied { revision: "abc".to_owned() }))
}

#[tokio::test]
async fn readiness_follows_the_stage_of_life_and_liveness_does_not() {
    let still = still();
    for (phase, status) in [
        (Phase::Starting, StatusCode::SERVICE_UNAVAILABLE),
        (Phase::Serving, StatusCode::OK),
        (Phase::Draining, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        *still.phase.lock() = phase;
        assert_eq!(ask(&still, "GET", "/readyz", "").await.0, status, "{phase:?}");
        assert_eq!(ask(&still, "GET", "/livez", "").await.0, StatusCode::OK, "{phase:?}");
    }
    assert!(ask(&still, "GET", "/readyz", "").await.1.contains("draining"));
}

#[tokio::test]
async fn every_endpoint_answers_and_is_listed() {
    let still = still();
    let (_, index) = ask(&still, "GET", "/", "").await;
    for route in ROUTES {
        assert!(index.contains(route.path), "{}", route.path);
        let path = route.path.replace("{upstream}", "a");
        let (status, body) = ask(&still, route.method, &path, "[]").await;
        let unasked = ["/admin/explain", "/admin/cost", "/admin/estimate"].contains(&route.path);
        let expected = if unasked { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        assert_eq!(status, expected, "{} {path}: {body}", route.method);
    }
    assert_eq!(ask(&still, "GET", "/nowhere", "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(ask(&still, "POST", "/metrics", "").await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_price_is_asked_for_by_model_or_with_a_request() {
    let still = still();
    let cost = async |query: &str| ask(&still, "GET", &format!("/admin/cost?{query}"), "").await;
    let (status, body) = cost("model=openai/gpt-5.4&input=1000&cached=0&output=100&tier=standard").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let found: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    // 1000 x 2.5 + 100 x 15 USD a million.
    assert_eq!(found["quotes"][0]["cost_nano_usd"], 4_000_000, "{body}");
    assert!(found["prices_as_of"].is_string(), "{body}");
    for (query, expected) in [
        ("model=nonsense", StatusCode::NOT_FOUND),
        ("input=1", StatusCode::BAD_REQUEST),
        ("model=openai/gpt-5.4&input=many", StatusCode::BAD_REQUEST),
        ("model=openai/gpt-5.4&cached=1", StatusCode::BAD_REQUEST),
        ("model=openai/gpt-5.4&tier=soon", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(cost(query).await.0, expected, "{query}");
    }
    let body = r#"{"model":"demo","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    let (status, found) = ask(&still, "POST", "/admin/estimate", body).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    let found: serde_json::Value = serde_json::from_str(&found).expect("JSON");
    assert_eq!(found["channels"].as_array().map(Vec::len), Some(2), "{found}");
    assert_eq!(found["channels"][0]["most_output"], 5, "{found}");
    let (status, _) = ask(&still, "POST", "/admin/estimate?path=/nowhere", body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let (status, _) = ask(&still, "POST", "/admin/estimate", r#"{"model":"demmo"}"#).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_scrape_shows_the_gateways_own_gauges() {
    let (_, text) = ask(&still(), "GET", "/metrics", "").await;
    for line in [
        "mainstay_connections 3",
        "mainstay_draining 0",
        r#"mainstay_pool_connections{upstream="a",state="idle"} 0"#,
        r#"mainstay_upstream_health{upstream="b",state="unknown"} 1"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
}

#[tokio::test]
async fn the_status_names_what_an_unconfigured_upstream_misses_and_no_secret() {
    let (_, text) = ask(&still(), "GET", "/admin/status", "").await;
    let status: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(status["in_flight"], 2);
    assert_eq!(status["upstreams"][1]["configured"], false);
    assert!(status["upstreams"][1]["missing"][0].as_str().unwrap().contains("NOT_THERE"), "{text}");
    assert_eq!(status["routes"][0]["channels"][0]["picked"], true);
    assert_eq!(status["routes"][1]["route"], "/x/");
}

#[tokio::test]
async fn an_explanation_needs_a_model_that_some_route_takes() {
    let still = still();
    let (status, body) = ask(&still, "GET", "/admin/explain?model=demo&dialect=openai", "").await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.contains("unconfigured"), "{body}");
    let (status, body) = ask(&still, "GET", "/admin/explain?model=demmo", "").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(body.contains("near it: demo"), "{body}");
    let (status, _) = ask(&still, "GET", "/admin/explain?model=demo&dialect=latin", "").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_refused_reload_says_what_check_says() {
    let still = Still::new(Err(Refused("error: bogus".to_owned())));
    let (status, body) = ask(&still, "POST", "/admin/reload", "").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(body.contains("error: bogus"), "{body}");
}

#[tokio::test]
async fn faults_are_switched_on_shown_and_off_again() {
    let still = still();
    let path = "/admin/simulated/a";
    assert_eq!(ask(&still, "PUT", path, r#"{"fault":"hang"}"#).await.0, StatusCode::OK);
    assert_eq!(still.simulated.control().rules().len(), 1);
    assert!(ask(&still, "GET", path, "").await.1.contains("hang"));
    assert_eq!(ask(&still, "PUT", path, r#"{"fault":"sulk"}"#).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(still.simulated.control().rules().len(), 1, "a bad rule changes nothing");
    assert_eq!(ask(&still, "DELETE", path, "").await.0, StatusCode::OK);
    assert!(still.simulated.control().rules().is_empty());
    assert_eq!(ask(&still, "PUT", "/admin/simulated/z", "[]").await.0, StatusCode::NOT_FOUND);
}
