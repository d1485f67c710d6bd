//! The configuration's endpoints, over somebody who does with a text what it says.

use serde_json::{Value, json};

use super::*;
use crate::admin::{Compared, Editing, Later, NotTaken, Past, Written};
use crate::config::{Blueprint, Problem, changes::Changes};

/// What it was sent decides what comes of it.
pub(super) struct Still;

fn problems() -> Vec<Problem> {
    let text = "version: 1\nroutes: [{model: m, chanels: []}]\n";
    config::load(text, &NoWorld).expect_err("a slip")
}

impl Editing for Still {
    fn written(&self) -> Written {
        Written {
            source: "routing.yaml".to_owned(),
            revision: "abc".to_owned(),
            applied_at: 1.0,
            refused: None,
            is_file: true,
            text: "version: 1\n".to_owned(),
        }
    }

    fn history(&self) -> Vec<Past> {
        let by = "somebody".to_owned();
        vec![Past {
            revision: "abc".to_owned(),
            at: 1.0,
            by,
            is_current: true,
            text: "version: 1\n".to_owned(),
        }]
    }

    fn check(&self, text: String) -> Later<'_, Result<Vec<Problem>, Vec<Problem>>> {
        let warning = || Problem::warning("routes", "few".to_owned(), "add some");
        Box::pin(async move { if text == "wrong" { Err(problems()) } else { Ok(vec![warning()]) } })
    }

    fn read(&self, text: Option<String>) -> Later<'_, Result<Blueprint, Vec<Problem>>> {
        let text = text.unwrap_or_else(|| FILE.to_owned());
        Box::pin(async move { config::load(&text, &NoWorld).map(|loaded| loaded.blueprint) })
    }

    fn compare(&self, text: String) -> Later<'_, Result<Compared, Vec<Problem>>> {
        let compared = Compared {
            revision: "abc".to_owned(),
            new_revision: "def".to_owned(),
            changes: Changes::default(),
            after_restart: Vec::new(),
            unified: String::new(),
        };
        Box::pin(async move { if text == "wrong" { Err(problems()) } else { Ok(compared) } })
    }

    fn put<'a>(
        &'a self,
        text: String,
        expected: Option<&'a str>,
        _: &'a str,
    ) -> Later<'a, Result<Reloaded, NotTaken>> {
        Box::pin(async move {
            match (text.as_str(), expected) {
                (_, Some(expected)) if expected != "abc" => {
                    Err(NotTaken::Stale { revision: "abc".to_owned() })
                }
                ("wrong", _) => Err(NotTaken::Problems(problems())),
                ("stuck", _) => Err(NotTaken::Unwritable("a read-only file system".to_owned())),
                _ => Ok(Reloaded::Applied { revision: "def".to_owned() }),
            }
        })
    }

    fn roll_back<'a>(
        &'a self,
        revision: &'a str,
        expected: Option<&'a str>,
        by: &'a str,
    ) -> Later<'a, Result<Reloaded, NotTaken>> {
        if revision == "abc" {
            self.put(String::new(), expected, by)
        } else {
            Box::pin(async { Err(NotTaken::Unknown) })
        }
    }
}

async fn send(method: &str, path: &str, expected: Option<&str>, body: &str) -> (StatusCode, Value) {
    let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
    if let Some(expected) = expected {
        request = request.header("if-match", expected);
    }
    let still = still();
    let running: Arc<dyn Running> = Arc::clone(&still) as _;
    let response = router(running).oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let status = response.status();
    let tag = response.headers().get("etag").cloned();
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    let mut body: Value = serde_json::from_slice(&body).expect("JSON");
    if let Some(tag) = tag {
        body["etag"] = tag.to_str().unwrap().into();
    }
    (status, body)
}

#[tokio::test]
async fn each_end_of_a_change_has_its_status() {
    let check =
        async |method: &str, path: &str, expected: Option<&str>, body: &str, status: u16, word: &str| {
            let (found, answer) = send(method, path, expected, body).await;
            assert_eq!(found, status, "{method} {path} {expected:?} {body}: {answer}");
            assert!(answer.to_string().contains(word), "{method} {path} {body}: {answer}");
        };
    let (put, back) = ("/admin/config", "/admin/config/rollback");
    check("GET", put, None, "", 200, r#""etag":"\"abc\"""#).await;
    check("PUT", put, None, "good", 200, "def").await;
    for expected in ["\"abc\"", "abc", "*"] {
        check("PUT", put, Some(expected), "good", 200, "def").await;
    }
    check("PUT", put, Some("\"other\""), "good", 412, "revision abc is in force").await;
    check("PUT", put, None, "wrong", 422, "chanels").await;
    check("PUT", put, None, "stuck", 409, "read-only").await;
    check("POST", back, None, r#"{"revision": "abc"}"#, 200, "def").await;
    check("POST", back, Some("\"other\""), r#"{"revision": "abc"}"#, 412, "revision abc").await;
    check("POST", back, None, r#"{"revision": "xyz"}"#, 404, "history").await;
    check("POST", back, None, "{}", 400, "revision").await;
    check("POST", "/admin/config/diff", None, "good", 200, "new_revision").await;
    check("POST", "/admin/config/diff", None, "wrong", 422, "chanels").await;
    check("GET", "/admin/config/history", None, "", 200, "somebody").await;
}

#[tokio::test]
async fn problems_have_their_places_and_what_was_probably_meant() {
    let (status, good) = send("POST", "/admin/config/validate", None, "good").await;
    assert_eq!((status, &good["problems"]), (StatusCode::OK, &json!([])));
    assert_eq!(good["warnings"][0]["message"], "few");
    let (status, wrong) = send("POST", "/admin/config/validate", None, "wrong").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let problems = wrong["problems"].as_array().unwrap();
    let slip = problems.iter().find(|problem| problem["nearest"] == "channels").expect("the slip");
    assert_eq!((&slip["line"], &slip["column"], &slip["severity"]), (&json!(2), &json!(21), &json!("error")));
}

#[tokio::test]
async fn what_is_known_of_a_model_is_shown_with_its_prices() {
    let (status, found) = send("GET", "/admin/catalog?model=openai/gpt-5.4", None, "").await;
    assert_eq!(status, StatusCode::OK, "{found}");
    let model = &found["models"][0];
    assert_eq!((&model["provider"], &model["model"]), (&json!("openai"), &json!("gpt-5.4")));
    let prices = model["prices"].as_array().unwrap();
    assert!(prices.iter().any(|price| price["unit"] == "input" && price["tier"] == "standard"), "{found}");
    assert!(model["can"].as_array().unwrap().contains(&json!("tools")), "{found}");
    assert_eq!(send("GET", "/admin/catalog?model=nonsense", None, "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(send("GET", "/admin/catalog", None, "").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_log_is_changed_only_by_what_makes_sense() {
    for body in
        ["", "[]", r#"{"filter": "loud"}"#, r#"{"filter": "debug", "for": "2d"}"#, r#"{"level": "debug"}"#]
    {
        let (status, answer) = send("PUT", "/admin/log", None, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
    }
    // The tests' process has set up none.
    assert_eq!(send("PUT", "/admin/log", None, r#"{"filter": "debug"}"#).await.0, StatusCode::CONFLICT);
    assert_eq!(send("GET", "/admin/log", None, "").await.0, StatusCode::CONFLICT);
}
