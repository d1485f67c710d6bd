//! Rehearsals asked of the admin side: what they say, what they refuse, and that there is one at a time.

use serde_json::{Value, json};

use super::*;

const PATH: &str = "/admin/simulate";
/// As long as one may take, and longer than a machine needs to notice that nobody waits.
const LONG: &str = r#"{"outages": ["storm=a"], "rate": 60, "duration": "4h"}"#;
const ALONE: &str =
    "version: 1\nupstreams: {a: {provider: simulated}}\nroutes: [{model: demo, channels: [{upstream: a}]}]\n";

async fn rehearse(still: &Arc<Still>, wish: &Value) -> (StatusCode, Value) {
    let (status, said) = ask(still, "POST", PATH, &wish.to_string()).await;
    (status, serde_json::from_str(&said).expect("JSON"))
}

#[tokio::test]
async fn an_outage_is_rehearsed_on_what_is_in_force_and_on_another_one() {
    let wish = json!({
        "outages": ["provider-down=a"], "rate": 1, "duration": "12m", "compare": ALONE,
        "claims": ["success >= 99%"],
    });
    let (status, came) = rehearse(&still(), &wish).await;
    assert_eq!(status, StatusCode::OK, "{came}");
    let of = |index: usize, what: &str| came["reports"][index]["totals"][what].clone();
    assert_eq!(of(0, "requests"), of(1, "requests"), "the callers are the same");
    assert!(of(0, "success").as_f64().is_some_and(|success| success > 0.99), "{}", of(0, "success"));
    assert!(of(1, "success").as_f64().is_some_and(|success| success < 0.5), "{}", of(1, "success"));
    let holds: Vec<&Value> = came["claims"].as_array().unwrap().iter().map(|claim| &claim["holds"]).collect();
    assert_eq!(holds, [&json!(true), &json!(false)]);
    let minutes = came["reports"][0]["minutes"].as_array().expect("a list");
    assert!(minutes.len() >= 12, "and what those who came last still wait for");
    let good = |minute: usize, upstream: &str| minutes[minute]["attempts"][upstream]["good"].as_u64();
    assert!(good(1, "a") > Some(0), "{}", minutes[1]);
    assert_eq!(good(10, "a").unwrap_or_default(), 0, "{}", minutes[10]);
    assert!(good(10, "b") > good(1, "b"), "{}", minutes[10]);
    let remarks = came["remarks"].to_string();
    assert!(remarks.contains("as if the keys of b were set"), "{remarks}");
    // The same wish comes to the same, and another seed to something else.
    assert_eq!(rehearse(&still(), &wish).await.1, came);
    let mut other = wish;
    other["seed"] = json!(2);
    assert_ne!(rehearse(&still(), &other).await.1, came);
}

#[tokio::test]
async fn what_cannot_be_rehearsed_is_said_with_its_place() {
    let still = still();
    let check = async |wish: Value, file: Option<&str>, path: &str, line: u64, word: &str| {
        let (status, said) = rehearse(&still, &wish).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wish}: {said}");
        let problems = said["problems"].as_array().expect("a list");
        let is_meant =
            |problem: &&Value| problem["file"].as_str() == file && problem["path"].as_str() == Some(path);
        let problem = problems.iter().find(is_meant).unwrap_or_else(|| panic!("{wish}: {said}"));
        assert_eq!(problem["line"], line, "{wish}: {said}");
        assert!(problem.to_string().contains(word), "{wish}: {said}");
    };
    let script = "outages:\n  - {upstream: a, from: 1m, to: 2m, falt: connect}\n";
    check(json!({"script": script}), Some("script"), "outages[0].falt", 2, "did you mean `fault`?").await;
    check(json!({"script": ""}), Some("script"), "", 0, "the file is empty").await;
    check(
        json!({"workload": "mix:\n  - {share: 1}\n"}),
        Some("workload"),
        "mix[0]",
        2,
        "nothing is asked for",
    )
    .await;
    let nowhere = json!({"workload": "mix: [{model: other}]", "duration": "1m"});
    check(nowhere, None, "workload", 0, "no route takes model `other`").await;
    check(json!({"compare": "version: 1\nrutes: []\n"}), Some("compare"), "rutes", 2, "routes").await;
    check(json!({"outages": ["storm", "drizzle"]}), None, "outages[1]", 0, "ready-made outages are").await;
    check(
        json!({"outages": ["storm=c"]}),
        None,
        "outages[0]",
        0,
        "there is no upstream `c` in what is in force",
    )
    .await;
    check(json!({"outages": vec!["storm"; 101]}), None, "outages", 0, "100 are the most").await;
    check(json!({"claims": ["success >= many"]}), None, "claims[0]", 0, "no bound of success").await;
    check(json!({"rate": 0}), None, "rate", 0, "use 0.001 to 100000").await;
    check(json!({"rate": 100_001}), None, "rate", 0, "use 0.001 to 100000").await;
    check(json!({"duration": "90"}), None, "duration", 0, "write 90s").await;
    check(json!({"duration": "0s"}), None, "duration", 0, "nobody would come").await;
    check(json!({"duration": "25h"}), None, "duration", 0, "24h are the most").await;
    for body in ["", "[]", r#"{"outage": "storm"}"#, r#"{"rate": "fast"}"#] {
        let (status, said) = ask(&still, "POST", PATH, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {said}");
        assert!(said.contains("outages"), "{said}");
    }
}

#[tokio::test]
async fn one_runs_at_a_time_and_ends_when_nobody_waits() {
    let running: Arc<dyn Running> = still();
    let admin = router(running);
    let send = |body: &'static str| {
        let request = Request::post(PATH).header("host", "localhost").body(Body::from(body)).unwrap();
        admin.clone().oneshot(request)
    };
    let short = r#"{"duration": "1s"}"#;
    let first = tokio::spawn(send(LONG));
    // On this one thread it has begun once it has been asked for the first time.
    tokio::task::yield_now().await;
    let refused = send(short).await.expect("an answer");
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "3");
    assert!(!first.is_finished(), "it runs on");
    // Its caller hangs up, and there is room again.
    first.abort();
    while send(short).await.expect("an answer").status() != StatusCode::OK {
        tokio::task::yield_now().await;
    }
}

/// Under paused time nothing but the rehearsal's own thread goes on, so its time is over before it is.
#[tokio::test(start_paused = true)]
async fn one_that_takes_too_long_is_given_up() {
    let still = still();
    let (status, said) = ask(&still, "POST", PATH, LONG).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{said}");
    assert!(said.contains("not over after 60 s") && said.contains("lower `rate`"), "{said}");
}
