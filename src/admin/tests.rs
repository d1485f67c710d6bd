//! The console over a gateway that stands still: what each endpoint answers, and when.

use std::future::Future;
use std::io::Read as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use flate2::read::GzDecoder;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tower::ServiceExt;

use super::routes::{ROUTES, Route};
use super::{Applied, Calling, Phase, Pulse, Refused, Reloaded, Running, Trail, router};
use crate::access::budgets;
use crate::access::limits::{Holder, Row, Seen};
use crate::access::{Access, Desk};
use crate::alerts::Herald;
use crate::algo::limit::Unit;
use crate::algo::spend::Per;
use crate::cache::{Held, KeptNow};
use crate::capture::Captures;
use crate::config::{self, Env, Level};
use crate::ledger::{self, Journal};
use crate::shared::Standing;
use crate::simulated::{self, Simulated};
use crate::state::{Live, Registry, Table};
use crate::store::Store;
use crate::upstream::{Pool, Target, TcpDial};
use crate::vocab::{Money, OperatorScope};

mod editing;
mod simulate;

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
    fn var(&self, name: &str) -> Option<String> {
        match name {
            "TOKEN" => Some("the-word-of-operators".to_owned()),
            name => name.strip_prefix("TOKEN_").map(|scope| format!("the-word-for-{scope}")),
        }
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("no files".to_owned())
    }
}

pub(super) struct Still {
    phase: Mutex<Phase>,
    table: Arc<Table>,
    pools: Vec<Arc<Pool>>,
    simulated: Arc<Simulated>,
    access: Arc<Access>,
    trail: Arc<Trail>,
    herald: Arc<Herald>,
    journal: Arc<Journal>,
    captures: Arc<Captures>,
    pulse: Arc<Pulse>,
    reloaded: Result<Reloaded, Refused>,
}

impl Still {
    fn new(reloaded: Result<Reloaded, Refused>) -> Arc<Self> {
        Self::of(FILE, reloaded)
    }

    fn of(file: &str, reloaded: Result<Reloaded, Refused>) -> Arc<Self> {
        let blueprint = config::load(file, &NoWorld).expect("a good file").blueprint;
        let live = Arc::new(Live::seeded(1));
        let table = Table::compile(&blueprint, &mut Registry::default(), &live);
        let pool = |settings: &config::Upstream| {
            let target = Target::new(&settings.base, settings.pool.http2);
            Pool::new(Arc::clone(&settings.name), target, settings.pool.clone(), Arc::new(TcpDial))
        };
        Arc::new(Self {
            phase: Mutex::new(Phase::Serving),
            pools: blueprint.upstreams.iter().map(pool).collect(),
            table: Arc::new(table),
            simulated: Simulated::in_memory("a", simulated::Settings::default()),
            access: Arc::new(Access::compile(&blueprint, &live.metrics)),
            herald: Herald::new(&live),
            journal: Journal::open(&live, 10).0,
            captures: Captures::open(&live, Arc::new(std::path::Path::to_path_buf)).0,
            pulse: Arc::default(),
            trail: Trail::new(live, None),
            reloaded,
        })
    }
}

impl Running for Still {
    fn panicked(&self) -> Vec<&'static str> {
        vec!["ledger"]
    }

    fn phase(&self) -> Phase {
        *self.phase.lock()
    }

    fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table)
    }

    fn pools(&self) -> Vec<Arc<Pool>> {
        self.pools.clone()
    }

    fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access)
    }

    fn desk(&self) -> Option<Arc<Desk>> {
        None
    }

    fn journal(&self) -> Arc<Journal> {
        Arc::clone(&self.journal)
    }

    fn captures(&self) -> Arc<Captures> {
        Arc::clone(&self.captures)
    }

    fn issuers(&self) -> Vec<Arc<crate::access::tokens::Published>> {
        Vec::new()
    }

    fn stock(&self) {}

    fn trail(&self) -> Arc<Trail> {
        Arc::clone(&self.trail)
    }

    fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    fn herald(&self) -> Arc<Herald> {
        Arc::clone(&self.herald)
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

    fn budgets(&self) -> Vec<budgets::Seen> {
        let budget = config::Budget {
            per: Per::Day,
            starts: None,
            limit: Money::nano_usd(2_000),
            soft: vec![config::Percent::parse("80%").expect("a share")],
            exceeded: config::Exceeded::Refuse,
            unpriced: config::Unpriced::Allow,
        };
        vec![budgets::Seen {
            holder: Holder::Member(Level::Team),
            name: "growth".into(),
            budget,
            spent: Money::nano_usd(500),
            reserved: Money::nano_usd(100),
            begins: 86_400,
            ends: Some(172_800),
        }]
    }

    fn limits(&self) -> (Option<u32>, Vec<Seen>) {
        let rows = vec![Row { unit: Unit::Rpm, limit: 60, used: 7, whole_in: Duration::from_secs(30) }];
        (Some(2), vec![Seen { holder: Holder::Member(Level::Team), name: "growth".into(), rows }])
    }

    fn store(&self) -> Option<Arc<Store>> {
        None
    }

    fn ledger(&self) -> Option<ledger::Standing> {
        let disk = ledger::Disk::Fails;
        let lag = Duration::from_secs(90);
        Some(ledger::Standing { waiting: 3, spooled_batches: 2, spooled_bytes: 400, lag, disk })
    }

    fn editing(&self) -> Arc<dyn super::Editing> {
        Arc::new(editing::Still)
    }

    fn probe<'a>(
        &'a self,
        name: &'a str,
    ) -> Pin<Box<dyn Future<Output = Option<super::Probed>> + Send + 'a>> {
        let probed = super::Probed { result: "pass", kind: "tcp", why: None, took_ms: 0.5 };
        let is_known = self.table.upstreams.iter().any(|upstream| *upstream.config.name == *name);
        Box::pin(async move { is_known.then_some(probed) })
    }

    fn applied(&self) -> Applied {
        Applied { source: "routing.yaml".to_owned(), ..Applied::default() }
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Reloaded, Refused>> + Send + '_>> {
        Box::pin(async {
            // It takes a moment, as reading a file does.
            tokio::task::yield_now().await;
            self.reloaded.clone()
        })
    }

    fn call(&self, request: Request<bytes::Bytes>) -> Calling<'_> {
        Box::pin(async move {
            let sent = request.headers().get("authorization").is_some();
            let body = serde_json::json!({ "choices": [{ "message": { "content": format!("with a key: {sent}") } }] });
            let answer = Response::builder().header("x-mainstay-channel", "a");
            Ok(answer.body(body.to_string().into()).expect("an answer"))
        })
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

pub(super) fn still() -> Arc<Still> {
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
async fn what_is_away_is_said_and_keeps_nobody_away() {
    let still = still();
    *still.phase.lock() = Phase::Serving;
    let (status, said) = ask(&still, "GET", "/readyz", "").await;
    assert_eq!(status, StatusCode::OK);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "ready");
    assert!(lines[1].starts_with("degraded: Redis is away"), "{said}");
    assert!(lines[2].starts_with("degraded: neither the store nor the disk"), "{said}");
    assert!(lines[3].starts_with("degraded: the background task `ledger` panicked"), "{said}");
    let (_, status) = ask(&still, "GET", "/admin/status", "").await;
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    let ledger = serde_json::json!({"waiting": 3, "spooled_batches": 2, "spooled_bytes": 400, "lag_seconds": 90.0,
        "disk": "fails"});
    assert_eq!(status["ledger"], ledger);
}

#[tokio::test]
async fn a_word_that_means_nothing_in_a_query_is_refused_and_not_passed_over() {
    let still = still();
    for route in ROUTES.iter().filter(|route| route.scope != OperatorScope::Open) {
        let path = route.path.replace("{upstream}", "a").replace("{name}", "a");
        let (status, said) = ask(&still, route.method, &format!("{path}?lmit=5"), "").await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{} {path}: {said}", route.method);
        assert!(said.contains("`lmit`"), "{said}");
        for known in route.form.query {
            assert!(said.contains(known.name), "{path}: {said}");
        }
    }
    // Whoever probes may add what he likes.
    assert_eq!(ask(&still, "GET", "/livez?verbose=1", "").await.0, StatusCode::OK);
}

#[tokio::test]
async fn every_endpoint_answers_and_is_listed() {
    let still = still();
    let (_, index) = ask(&still, "GET", "/", "").await;
    for route in ROUTES {
        assert!(index.contains(route.path), "{}", route.path);
        let path = route.path.replace("{upstream}", "a").replace("upstreams/{name}", "upstreams/a");
        let path = path.replace("routes/{name}", "routes/demo").replace("{file}", "console.js");
        if route.path == "/admin/live" {
            // Its answer has no end; `live::tests` reads it.
            continue;
        }
        let body = if path.starts_with("/admin/upstreams") { "" } else { "[]" };
        let (status, body) = ask(&still, route.method, &path, body).await;
        let expected = match (route.method, route.path) {
            // They ask nothing.
            (
                _,
                "/admin/explain" | "/admin/cost" | "/admin/estimate" | "/admin/catalog" | "/admin/try"
                | "/admin/simulate",
            )
            // It names no revision, and nothing that is to be logged.
            | ("POST", "/admin/config/rollback")
            | ("PUT", "/admin/log") => StatusCode::BAD_REQUEST,
            // There is nobody to send it to, and no such key or request.
            ("POST", "/admin/alerts/test")
            | ("GET", "/admin/keys/{name}" | "/admin/requests/{id}" | "/admin/requests/{id}/capture") => {
                StatusCode::NOT_FOUND
            }
            // Nothing is booked, and the tests have set up no log.
            (_, "/admin/usage" | "/admin/ledger" | "/admin/reprice" | "/admin/log") => StatusCode::CONFLICT,
            // There is nowhere to keep any.
            ("POST" | "PATCH" | "DELETE", path) if path.starts_with("/admin/keys") => StatusCode::CONFLICT,
            _ => StatusCode::OK,
        };
        assert_eq!(status, expected, "{} {path}: {body}", route.method);
    }
    assert_eq!(ask(&still, "GET", "/nowhere", "").await.0, StatusCode::NOT_FOUND);
    let (status, said) = ask(&still, "POST", "/metrics", "").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(said.contains("\"error\""), "{said}");
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
async fn a_scrape_is_packed_for_who_asks_for_it() {
    let running: Arc<dyn Running> = still() as _;
    let request = Request::get("/metrics").header("accept-encoding", "gzip;q=1.0, *;q=0.5");
    let answer = router(running).oneshot(request.body(Body::empty()).unwrap()).await.expect("an answer");
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert_eq!(answer.headers()["vary"], "accept-encoding");
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain; version=0.0.4"));
    let packed = answer.into_body().collect().await.expect("a whole body").to_bytes();
    let mut text = String::new();
    GzDecoder::new(&packed[..]).read_to_string(&mut text).expect("gzip of text");
    assert!(text.contains("\nmainstay_connections 3\n") && packed.len() < text.len() / 5);
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

#[tokio::test]
async fn limits_are_shown_with_what_is_used_of_them() {
    let (status, body) = ask(&still(), "GET", "/admin/limits", "").await;
    let limit = r#"{"limit":"rpm","allowed":60,"used":7,"whole_in_seconds":30.0}"#;
    let holder = format!(r#"{{"level":"team","name":"growth","limits":[{limit}]}}"#);
    assert_eq!((status, body), (StatusCode::OK, format!(r#"{{"replicas":2,"holders":[{holder}]}}"#)));
}

#[tokio::test]
async fn budgets_are_shown_with_what_is_spent_of_them_and_measured() {
    let (status, body) = ask(&still(), "GET", "/admin/budgets", "").await;
    let budget = r#"{"level":"team","name":"growth","per":"day","limit_nano_usd":2000,"spent_nano_usd":500,"reserved_nano_usd":100,"left_nano_usd":1400,"begins_at":86400,"ends_at":172800,"on_exceeded":"refuse","soft":["80%"]}"#;
    assert_eq!((status, body), (StatusCode::OK, format!(r#"{{"budgets":[{budget}]}}"#)));
    let (_, metrics) = ask(&still(), "GET", "/metrics", "").await;
    let labels = r#"{level="team",name="growth",per="day"}"#;
    assert!(metrics.contains(&format!("mainstay_budget_left_ratio{labels} 0.75\n")), "{metrics}");
    assert!(metrics.contains(&format!("mainstay_budget_spent_nano_usd{labels} 500\n")));
}

#[tokio::test]
async fn what_is_not_for_probes_takes_the_token_where_there_is_one() {
    let file = format!("{FILE}server: {{admin: '0.0.0.0:9090', admin_token: '${{TOKEN}}'}}\n");
    let guarded = Still::of(&file, Ok(Reloaded::Applied { revision: "abc".to_owned() }));
    let send = async |method: &str, path: &str, token: Option<&str>| {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let running: Arc<dyn Running> = Arc::clone(&guarded) as _;
        router(running).oneshot(request.body(Body::empty()).unwrap()).await.expect("an answer")
    };
    for route in ROUTES {
        let path = concrete(route);
        let is_open = route.scope == OperatorScope::Open;
        for token in
            [None, Some("Bearer the-word-of-operator"), Some("Basic the-word-of-operators"), Some("Bearer ")]
        {
            let answer = send(route.method, &path, token).await;
            assert_eq!(
                answer.status() == StatusCode::UNAUTHORIZED,
                !is_open,
                "{} {path} {token:?}",
                route.method
            );
            assert_eq!(answer.headers().contains_key("www-authenticate"), !is_open, "{path}");
        }
        let answer = send(route.method, &path, Some("bearer the-word-of-operators")).await;
        assert_ne!(answer.status(), StatusCode::UNAUTHORIZED, "{} {path}", route.method);
    }
    // Without one everybody on a loopback address is an operator.
    assert_eq!(ask(&still(), "GET", "/admin/keys", "").await.0, StatusCode::OK);
}

/// The path with something in the place of every name.
fn concrete(route: &Route) -> String {
    let path = route.path.replace("{upstream}", "a").replace("{name}", "shop").replace("{id}", "req_1");
    path.replace("{file}", "console.js")
}

/// A gateway with a token for each scope.
fn scoped() -> Arc<Still> {
    let tokens = OperatorScope::GIVEN.map(OperatorScope::name);
    let tokens = tokens.map(|name| format!("only-{name}: {{token: '${{TOKEN_{name}}}', scopes: [{name}]}}"));
    let file = format!("{FILE}server: {{admin_tokens: {{{}}}}}\n", tokens.join(", "));
    Still::of(&file, Ok(Reloaded::Applied { revision: "abc".to_owned() }))
}

async fn ask_with(still: &Arc<Still>, method: &str, path: &str, token: &str) -> Response<Body> {
    let request =
        Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    let running: Arc<dyn Running> = Arc::clone(still) as _;
    router(running).oneshot(request.body(Body::from("[]")).unwrap()).await.expect("an answer")
}

#[tokio::test]
async fn a_token_is_good_for_its_scopes_and_for_nothing_else() {
    let scoped = scoped();
    for route in ROUTES.iter().filter(|route| route.scope != OperatorScope::Open) {
        let path = concrete(route);
        assert_eq!(ask_with(&scoped, route.method, &path, "the-word-for-rea").await.status(), 401, "{path}");
        for given in OperatorScope::GIVEN {
            let token = format!("the-word-for-{}", given.name());
            let answer = ask_with(&scoped, route.method, &path, &token).await;
            let is_refused = answer.status() == StatusCode::FORBIDDEN;
            assert_eq!(is_refused, given != route.scope, "{} {path} with {given:?}", route.method);
            assert_ne!(answer.status(), StatusCode::UNAUTHORIZED, "{} {path}", route.method);
            if is_refused {
                let challenge = answer.headers()["www-authenticate"].to_str().expect("text").to_owned();
                let needed = route.scope.name();
                assert_eq!(challenge, format!("Bearer error=\"insufficient_scope\", scope=\"{needed}\""));
                let said = answer.into_body().collect().await.expect("a whole body").to_bytes();
                let said = String::from_utf8_lossy(&said).into_owned();
                assert!(said.contains(&format!("`{needed}`")), "{said}");
            }
        }
    }
    // Nobody is an operator for being on this machine, once somebody is one for his token.
    assert_eq!(ask(&scoped, "GET", "/admin/status", "").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn whatever_changes_something_is_in_the_trail_done_or_refused() {
    for route in ROUTES {
        let scoped = scoped();
        let (own, other) = match route.scope {
            OperatorScope::Open => continue,
            OperatorScope::Read => (OperatorScope::Read, OperatorScope::Audit),
            scope => (scope, OperatorScope::Read),
        };
        let path = concrete(route);
        ask_with(&scoped, route.method, &path, "nobodys").await;
        let mut statuses = Vec::new();
        for scope in [own, other] {
            let token = format!("the-word-for-{}", scope.name());
            statuses.push(ask_with(&scoped, route.method, &path, &token).await.status());
        }
        let trail = ask_with(&scoped, "GET", "/admin/audit", "the-word-for-audit").await;
        let trail = trail.into_body().collect().await.expect("a whole body").to_bytes();
        let trail: serde_json::Value = serde_json::from_slice(&trail).expect("JSON");
        let rows = trail["audit"].as_array().expect("rows");
        let Some(deed) = route.form.deed else {
            assert!(rows.is_empty(), "{} {path}: {rows:?}", route.method);
            let asks = [
                "/admin/estimate",
                "/admin/config/validate",
                "/admin/config/diff",
                "/admin/simulate",
                "/admin/try",
            ];
            assert!(route.method == "GET" || asks.contains(&route.path), "{} {path}", route.method);
            continue;
        };
        let looks = ["/admin/requests/{id}/capture"];
        assert!(route.method != "GET" || looks.contains(&route.path), "{path}");
        assert_eq!(rows.len(), 2, "{} {path}: {rows:?}", route.method);
        for (row, (scope, status)) in rows.iter().rev().zip([own, other].into_iter().zip(statuses)) {
            assert_eq!(row["action"], deed, "{path}");
            assert_eq!(row["actor"], format!("somewhere (token only-{})", scope.name()), "{path}");
            assert_eq!(row["detail"]["status"], status.as_u16(), "{path}");
            let named = path.split('/').nth(3).filter(|_| route.path.contains('{'));
            assert!(named.is_none_or(|named| row["subject"] == named), "{path}: {row}");
        }
        assert_eq!(rows[0]["detail"]["status"], 403, "{path}");
    }
}

#[test]
fn the_documentation_says_which_scope_is_for_what() {
    let page = include_str!("../../docs/admin.md");
    for route in ROUTES.iter().filter(|route| route.scope != OperatorScope::Open) {
        let name = route.scope.name();
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let beginning: Vec<&str> = route.path.split('/').take(3).collect();
        let beginning = beginning.join("/");
        assert!(row.is_some_and(|row| row.contains(&beginning)), "{name}: {beginning} in docs/admin.md");
    }
}

#[tokio::test]
async fn a_page_in_an_operators_browser_is_no_operator() {
    let send = async |still: &Arc<Still>, (method, path): (&str, &str), fields: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let running: Arc<dyn Running> = Arc::clone(still) as _;
        let answer = router(running).oneshot(request.body(Body::empty()).unwrap()).await;
        answer.expect("an answer").status()
    };
    let strange: [&[(&str, &str)]; 12] = [
        &[("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:8000")],
        &[("host", "127.0.0.1:9090"), ("origin", "https://127.0.0.1:9443")],
        &[("host", "rebound.example:9090"), ("origin", "http://rebound.example:9090")],
        &[("origin", "https://elsewhere.example")],
        &[("origin", "null")],
        &[("host", "127.0.0.1:9090"), ("sec-fetch-site", "cross-site")],
        &[("host", "127.0.0.1:9090"), ("sec-fetch-site", "same-site")],
        &[("host", "rebound.example:9090")],
        &[("host", "127.0.0.1.rebound.example")],
        &[("host", "localhost.rebound.example")],
        &[("host", "")],
        &[("host", "localhost"), ("host", "rebound.example")],
    ];
    let own: [&[(&str, &str)]; 9] = [
        // As pages of a listener with TLS have it.
        &[("host", "127.0.0.1:9090"), ("origin", "https://127.0.0.1:9090")],
        &[],
        &[("host", "127.0.0.1:9090"), ("origin", "http://127.0.0.1:9090"), ("sec-fetch-site", "same-origin")],
        &[("host", "localhost:9090"), ("origin", "http://localhost:9090")],
        &[("host", "127.0.0.1:9090")],
        &[("host", "[::1]:9090")],
        &[("host", "LocalHost:9090")],
        &[("host", "localhost")],
        &[("host", "127.0.0.1"), ("sec-fetch-site", "none")],
    ];
    let still = still();
    for route in ROUTES {
        let path = concrete(route);
        let is_open = route.scope == OperatorScope::Open;
        for fields in strange {
            let status = send(&still, (route.method, &path), fields).await;
            assert_eq!(status == StatusCode::FORBIDDEN, !is_open, "{} {path} {fields:?}", route.method);
        }
        for fields in own {
            let status = send(&still, (route.method, &path), fields).await;
            assert_ne!(status, StatusCode::FORBIDDEN, "{} {path} {fields:?}", route.method);
        }
    }
    // A token is proof enough: no page has it.
    let file = format!("{FILE}server: {{admin: '0.0.0.0:9090', admin_token: '${{TOKEN}}'}}\n");
    let guarded = Still::of(&file, Ok(Reloaded::Applied { revision: "abc".to_owned() }));
    let token = ("authorization", "Bearer the-word-of-operators");
    for fields in strange {
        let fields = [fields, &[token]].concat();
        assert_eq!(send(&guarded, ("GET", "/admin/keys"), &fields).await, StatusCode::OK, "{fields:?}");
    }
}

#[tokio::test]
async fn who_tries_token_after_token_is_told_to_wait() {
    let file = format!("{FILE}server: {{admin: '0.0.0.0:9090', admin_token: '${{TOKEN}}'}}\n");
    let guarded = Still::of(&file, Ok(Reloaded::Applied { revision: "abc".to_owned() }));
    let router = router(Arc::clone(&guarded) as Arc<dyn Running>);
    let send = async |from: &str, token: &str| {
        let from: std::net::SocketAddr = from.parse().expect("an address");
        let request = Request::get("/admin/keys").header("authorization", format!("Bearer {token}"));
        let request = request.extension(axum::extract::ConnectInfo(from)).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.expect("an answer").status().as_u16()
    };
    for _ in 0..10 {
        assert_eq!(send("192.0.2.1:1", "wrong").await, 401);
    }
    assert_eq!(send("192.0.2.1:2", "wrong").await, 429);
    assert_eq!(send("192.0.2.2:1", "wrong").await, 401);
    assert_eq!(send("192.0.2.1:3", "the-word-of-operators").await, 200);
}

#[tokio::test]
async fn keys_are_made_only_where_they_can_be_kept() {
    let still = still();
    for (method, path) in [
        ("POST", "/admin/keys"),
        ("PATCH", "/admin/keys/shop"),
        ("DELETE", "/admin/keys/shop"),
        ("POST", "/admin/keys/shop/rotate"),
        ("POST", "/admin/keys/shop/disable"),
    ] {
        let (status, said) = ask(&still, method, path, "{\"name\": \"shop\"}").await;
        assert_eq!(status, StatusCode::CONFLICT, "{method} {path}");
        assert!(said.contains("`store` and a `server.key_hash_secret`"), "{said}");
    }
    assert_eq!(ask(&still, "GET", "/admin/keys/shop", "").await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_a_store_the_last_deeds_are_kept_in_memory() {
    let still = still();
    for number in 0..1001 {
        let subject = format!("key-{number}");
        let detail = serde_json::json!({ "number": number });
        still.trail.note(super::Deed { actor: "me", action: "test", subject: &subject, detail }).await;
    }
    let (status, said) = ask(&still, "GET", "/admin/audit", "").await;
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    let rows = said["audit"].as_array().expect("rows");
    assert_eq!((status, rows.len()), (StatusCode::OK, 100));
    assert_eq!((&rows[0]["subject"], &rows[99]["detail"]["number"]), (&"key-1000".into(), &901.into()));
    let before = said["before"].as_str().expect("there are more");
    let (_, said) = ask(&still, "GET", &format!("/admin/audit?before={before}"), "").await;
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(said["audit"].as_array().map(Vec::len), Some(100));
    assert_eq!(ask(&still, "GET", "/admin/audit?before=x", "").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn whoever_hangs_up_is_in_the_audit_trail_all_the_same() {
    let still = Still::new(Ok(Reloaded::Applied { revision: "two".to_owned() }));
    let mut asked = Box::pin(ask(&still, "POST", "/admin/reload", ""));
    let waits = std::future::poll_fn(|cx| std::task::Poll::Ready(asked.as_mut().poll(cx).is_pending())).await;
    assert!(waits, "he leaves before it is done");
    drop(asked);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let (_, trail) = ask(&still, "GET", "/admin/audit", "").await;
    assert!(trail.contains("\"action\":\"reload\"") && trail.contains("two"), "{trail}");
}

#[tokio::test]
async fn browsers_get_the_console_and_everybody_else_the_list() {
    let still = still();
    let send = async |path: &str, fields: &[(&str, &str)]| {
        let mut request = Request::builder().uri(path);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let running: Arc<dyn Running> = Arc::clone(&still) as _;
        let answer = router(running).oneshot(request.body(Body::empty()).unwrap()).await.expect("an answer");
        let said = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (kind, policy, tag) = (said("content-type"), said("content-security-policy"), said("etag"));
        let status = answer.status();
        let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
        (status, kind.unwrap_or_default(), policy.unwrap_or_default(), tag, body)
    };
    let chrome = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    for fields in
        [&[][..], &[("accept", "*/*")], &[("accept", "text/plain")], &[("accept", "application/json")]]
    {
        let (_, kind, _, _, body) = send("/", fields).await;
        assert!(kind.starts_with("text/plain") && body.starts_with(b"GET"), "{fields:?}");
    }
    let (status, kind, policy, _, page) = send("/", &[chrome]).await;
    assert_eq!((status, &*kind), (StatusCode::OK, "text/html; charset=utf-8"));
    assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{policy}");
    // Whatever the page names is here, and nothing in it stands inline.
    let page = String::from_utf8(page.to_vec()).expect("text");
    let named: Vec<&str> = page.split('"').filter(|word| word.starts_with("console/")).collect();
    assert_eq!(named.len(), 3, "{page}");
    assert!(!page.contains("<style") && !page.contains("style=") && page.matches("<script").count() == 1);
    for path in named {
        let (status, _, _, tag, body) = send(&format!("/{path}"), &[]).await;
        assert!(status == StatusCode::OK && body.len() > 100, "{path}");
        let (status, _, _, _, body) =
            send(&format!("/{path}"), &[("if-none-match", &tag.expect("a tag"))]).await;
        assert!(status == StatusCode::NOT_MODIFIED && body.is_empty(), "{path}");
    }
    assert_eq!(send("/console/secrets.txt", &[]).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_request_that_is_tried_out_says_what_came_of_it() {
    let still = still();
    let asked = r#"{"model": "demo", "prompt": "hi", "key": "ms-secret"}"#;
    let (status, said) = ask(&still, "POST", "/admin/try", asked).await;
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&said["status"], &said["said"]["channel"]), (&200.into(), &"a".into()));
    assert_eq!(said["text"], "with a key: true");
    let (status, said) = ask(&still, "POST", "/admin/try", r#"{"model": "demo"}"#).await;
    assert!(status == StatusCode::BAD_REQUEST && said.contains("prompt"), "{said}");
}
