//! Files and batches go where they were left, and are nobody else's.

use std::time::Duration;

use http::Method;
use mainstay::simulated::{Fault, ResetAt, Rule};
use serde_json::{Value, json};

use crate::lab::{Answer, Ask, End, Lab, Said, Scribe, Step};

/// Two upstreams with two accounts each.
const FOUR: &str = "
version: 1
upstreams:
  a: {provider: simulated, credentials: [secret-ka01, secret-ka02]}
  b: {provider: simulated, credentials: [secret-kb01, secret-kb02]}
routes:
  - {model: demo, files: true, channels: [{upstream: a}, {upstream: b}]}
  - {model: other, channels: [{upstream: b}]}
";

const FILE: &str =
    r#"{"id":"file-9","object":"file","bytes":1,"created_at":1,"filename":"f","purpose":"user_data"}"#;
const MISSING: &str = r#"{"error":{"message":"No such File object: file-9","type":"invalid_request_error","param":"id","code":null}}"#;

fn good(answer: &Answer) -> Value {
    assert_eq!((answer.status.as_u16(), answer.end), (200, End::Clean), "{}", answer.text());
    answer.json()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
}

fn look(id: &str) -> Ask {
    Ask::get(&format!("/v1/files/{id}"))
}

/// Upstream and key of every request since the last call.
fn asked(lab: &Lab) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    for name in ["a", "b"] {
        for seen in lab.sim(name).control().seen() {
            all.push((name, seen.credential_tail.unwrap_or_default()));
        }
        lab.sim(name).control().forget();
    }
    all
}

#[tokio::test(start_paused = true)]
async fn whatever_names_a_file_goes_to_the_account_that_has_it() {
    let lab = Lab::start(FOUR);
    let file = good(&lab.send(&Ask::upload("hello")).await);
    let id = text(&file, "id");
    let home = asked(&lab);
    assert_eq!(home.len(), 1);
    let chat = json!({"model": "demo", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": id}}]}]});
    let input = json!({"model": "demo", "store": false, "input": [{"role": "user",
        "content": [{"type": "input_file", "file_id": id}]}]});
    let asks = [
        look(id),
        Ask::get(&format!("/v1/files/{id}/content")),
        Ask::get("/v1/files"),
        Ask::post("/v1/chat/completions", chat.to_string()),
        Ask::post("/v1/responses", input.to_string()),
        Ask::upload("more"),
    ];
    for ask in &asks {
        for _ in 0..5 {
            let answer = lab.send(ask).await;
            assert_eq!(answer.status.as_u16(), 200, "{}: {}", ask.path, answer.text());
            assert_eq!(asked(&lab), home, "{}", ask.path);
        }
    }
    assert_eq!(lab.send(&asks[1]).await.text(), "hello");
    good(&lab.send(&Ask::bare(Method::DELETE, &format!("/v1/files/{id}"))).await);
    let gone = lab.send(&look(id)).await;
    assert_eq!((gone.status.as_u16(), text(&gone.json()["error"], "param")), (404, "id"));
    assert_eq!(lab.metric("mainstay_left_references_total{operation=\"files\",result=\"unknown\"}"), 0.0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_batch_follows_its_file_and_its_results_follow_the_batch() {
    let lab = Lab::start(FOUR);
    let line = json!({"custom_id": "one", "method": "POST", "url": "/v1/chat/completions",
        "body": {"model": "demo", "messages": [{"role": "user", "content": "hello"}]}});
    let file = good(&lab.send(&Ask::upload(&line.to_string())).await);
    let home = asked(&lab);
    let body =
        json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    // A batch of another route's: the file decides.
    let create = Ask::post("/v1/batches", body.to_string());
    let batch = good(&lab.send(&create).await);
    let batch = good(&lab.send(&Ask::get(&format!("/v1/batches/{}", text(&batch, "id")))).await);
    assert_eq!(batch["status"], "completed");
    let output = text(&batch, "output_file_id");
    let results = lab.send(&Ask::get(&format!("/v1/files/{output}/content"))).await;
    let result: Value = serde_json::from_str(results.text().trim()).unwrap();
    assert_eq!((&result["custom_id"], &result["response"]["status_code"]), (&json!("one"), &json!(200)));
    let second = good(&lab.send(&create).await);
    let cancelled = Ask::post(&format!("/v1/batches/{}/cancel", text(&second, "id")), "");
    assert_eq!(good(&lab.send(&cancelled).await)["status"], "cancelling");
    assert!(asked(&lab).iter().all(|place| *place == home[0]));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn results_of_anthropics_are_had_here_and_not_at_the_vendors_own_address() {
    let lab = Lab::start(FOUR);
    let version = ("anthropic-version", "2023-06-01");
    let params =
        json!({"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
    let body = json!({"requests": [{"custom_id": "one", "params": params}]}).to_string();
    for base in ["", "/anthropic"] {
        let ask =
            Ask::post(&format!("{base}/v1/messages/batches"), body.clone()).header(version.0, version.1);
        let batch = good(&lab.send(&ask).await);
        let path = format!("{base}/v1/messages/batches/{}", text(&batch, "id"));
        let batch = good(&lab.send(&Ask::get(&path).header(version.0, version.1)).await);
        let url = format!("{base}{}", text(&batch, "results_url"));
        assert_eq!(url, format!("{path}/results"));
        let results = lab.send(&Ask::get(&url).header(version.0, version.1)).await;
        assert_eq!(results.status.as_u16(), 200);
        let result: Value = serde_json::from_str(results.text().trim()).unwrap();
        assert_eq!(result["result"]["type"], "succeeded", "{result}");
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn while_its_account_is_out_the_caller_is_told_when_it_will_be_back() {
    let lab = Lab::start(&FOUR.replace(", files: true", ", files: true, panic: {mode: fail_fast}"));
    let file = good(&lab.send(&Ask::upload("hello")).await);
    let (home, key) = asked(&lab).remove(0);
    let throttled = Fault::RateLimited { retry_after: Some(Duration::from_secs(30)) };
    let key: &'static str = key.leak();
    lab.sim(home).control().set(vec![Rule::new(throttled).credential(key).first(1)]);
    for _ in 0..2 {
        let answer = lab.send(&look(text(&file, "id"))).await;
        assert_eq!(answer.status.as_u16(), 429, "{}", answer.text());
        let wait: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((28..=45).contains(&wait), "{wait}");
    }
    assert_eq!(asked(&lab).len(), 1, "the second one asked nobody");
    // Models are not held responsible: the key and its neighbour serve on.
    for _ in 0..8 {
        good(&lab.send(&Ask::chat("demo")).await);
    }
    assert_eq!(asked(&lab).into_iter().filter(|(_, used)| used == key).count(), 2);
    lab.sim(home).control().set(vec![Rule::new(Fault::Refuse)]);
    tokio::time::sleep(Duration::from_mins(1)).await;
    for _ in 0..12 {
        let answer = lab.send(&look(text(&file, "id"))).await;
        assert!(answer.status.is_server_error(), "{}", answer.text());
    }
    let answer = lab.send(&look(text(&file, "id"))).await;
    assert_eq!(answer.status.as_u16(), 503, "{}", answer.text());
    assert!(answer.text().contains("the one account"), "{}", answer.text());
    assert!(answer.headers.contains_key("retry-after"));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_not_sent_twice_once_it_may_have_arrived() {
    for (fault, attempts) in [(Fault::Reset { at: ResetAt::Body }, 1), (Fault::Refuse, 2)] {
        let lab = Lab::start(FOUR);
        let refused = fault.clone();
        for name in ["a", "b"] {
            if name == "a" || matches!(fault, Fault::Reset { .. }) {
                lab.sim(name).control().set(vec![Rule::new(refused.clone())]);
            }
        }
        let answer = lab.send(&Ask::upload("hello")).await;
        let arrived = lab.arrived("a") + lab.arrived("b");
        assert_eq!(arrived, 1, "{fault:?}");
        if attempts == 1 {
            assert_eq!(answer.status.as_u16(), 502, "{}", answer.text());
            assert_eq!(answer.headers["x-mainstay-attempts"], "1");
        } else {
            good(&answer);
        }
        lab.assert_quiet().await;
    }
}

/// A request's route is one of the table that it came in with: of the next table it may be another one, or none.
#[tokio::test(start_paused = true)]
async fn an_upload_outlasts_a_reload_that_moves_its_route() {
    let slow = Said::json(200, FILE).step(Step::Wait(Duration::from_secs(5)));
    let (a, b) = (Scribe::saying(slow), Scribe::saying(Said::json(200, FILE)));
    let yaml = |routes: &str| {
        format!(
            "
version: 1
upstreams:
  a: {{provider: custom, dialect: openai, base_url: 'http://a', credentials: ['${{LAB_A}}']}}
  b: {{provider: custom, dialect: openai, base_url: 'http://b', credentials: ['${{LAB_B}}']}}
routes:
{routes}"
        )
    };
    let of_b = "  - {model: other, channels: [{upstream: b}]}\n";
    let of_a = "  - {model: demo, files: true, channels: [{upstream: a}]}\n";
    let lab = Lab::beside(&yaml(&format!("{of_b}{of_a}")), &[("a", &a), ("b", &b)]);
    let ask = Ask::upload("hello");
    let (answer, ()) = tokio::join!(lab.send(&ask), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        lab.reload(&yaml(of_a));
    });
    good(&answer);
    a.only();
    a.say(Said::json(200, FILE));
    lab.reload(&yaml(&format!("{of_a}{of_b}")));
    good(&lab.send(&look("file-9")).await);
    a.only();
    assert_eq!(b.heard().len(), 0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_large_file_passes_byte_for_byte() {
    let scribe = Scribe::saying(Said::json(200, FILE));
    let yaml = "
version: 1
upstreams: {a: {provider: openai, base_url: 'http://a/v1', credentials: ['${LAB_A}']}}
routes: [{model: 'gpt*', channels: [{upstream: a}]}]
";
    let lab = Lab::beside(yaml, &[("a", &scribe)]);
    let ask = Ask::upload(&"0123456789abcdef".repeat(200_000));
    good(&lab.send(&ask).await);
    let heard = scribe.only();
    assert_eq!((heard.uri.path(), heard.body == ask.body), ("/v1/files", true));
    assert_eq!(heard.header("authorization"), "Bearer secret-of-LAB_A");
    assert_eq!(heard.header("content-type"), "multipart/form-data; boundary=x");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_remembers_is_looked_for_at_each_account() {
    let yaml = "
version: 1
upstreams:
  one: {provider: custom, dialect: openai, base_url: 'http://one', credentials: ['${LAB_A}', '${LAB_B}']}
  two: {provider: custom, dialect: openai, base_url: 'http://two', credentials: ['${LAB_C}']}
routes:
  - {model: m, channels: [{upstream: one}, {upstream: two}]}
";
    let (one, two) = (Scribe::saying(Said::json(404, MISSING)), Scribe::saying(Said::json(200, FILE)));
    let lab = Lab::beside(yaml, &[("one", &one), ("two", &two)]);
    assert_eq!(text(&good(&lab.send(&look("file-9")).await), "id"), "file-9");
    assert_eq!((one.heard().len(), two.heard().len()), (2, 1));
    let keys: Vec<_> = one.heard().iter().map(|heard| heard.header("authorization").to_owned()).collect();
    assert_ne!(keys[0], keys[1]);
    // From now on it is known.
    good(&lab.send(&Ask::bare(Method::DELETE, "/v1/files/file-9")).await);
    assert_eq!((one.heard().len(), two.heard().len()), (2, 2));
    // Nobody has this one, and then nobody can tell.
    two.say(Said::json(404, MISSING));
    let answer = lab.send(&look("file-8")).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (404, MISSING));
    assert_eq!((one.heard().len(), two.heard().len()), (4, 3));
    two.say(Said::status(429).header("retry-after", "20"));
    let _ = lab.send(&look("file-8")).await;
    let answer = lab.send(&look("file-7")).await;
    assert_eq!(answer.status.as_u16(), 429, "{}", answer.text());
    // To cancel is no question: it is not put to everybody.
    let answer = lab.send(&Ask::post("/v1/batches/batch_1/cancel", "")).await;
    assert_eq!(answer.status.as_u16(), 404);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_anothers_is_not_there() {
    let yaml = FOUR.replace(
        "version: 1",
        "version: 1\naccess: keys\nkeys: {shop: {secret: '${LAB_SHOP}'}, desk: {secret: '${LAB_DESK}'}}",
    );
    let lab = Lab::start(&yaml);
    let shop = |ask: Ask| ask.header("authorization", "Bearer secret-of-LAB_SHOP");
    let desk = |ask: Ask| ask.header("authorization", "Bearer secret-of-LAB_DESK");
    let file = good(&lab.send(&shop(Ask::upload("hello"))).await);
    let id = text(&file, "id");
    good(&lab.send(&shop(look(id))).await);
    asked(&lab);
    let chat = json!({"model": "demo", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": id}}]}]});
    let batch = json!({"input_file_id": id, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    for ask in [
        look(id),
        Ask::bare(Method::DELETE, &format!("/v1/files/{id}")),
        Ask::post("/v1/chat/completions", chat.to_string()),
        Ask::post("/v1/batches", batch.to_string()),
    ] {
        let (path, content) = (ask.path.clone(), ask.body.clone());
        let theirs = lab.send(&desk(ask.clone())).await;
        assert_eq!(theirs.status.as_u16(), 404, "{}: {}", ask.path, theirs.text());
        if ask.method == Method::POST {
            // Nor is what this gateway has never seen asked for with the operator's key.
            let never = String::from_utf8_lossy(&content).replace(id, "file-never");
            let never = lab.send(&desk(Ask::post(&path, never))).await;
            assert_eq!(never.text().replace("file-never", id), theirs.text());
        } else {
            // And nobody can tell it from what never was.
            let never = Ask { path: "/v1/files/file-never".to_owned(), ..ask };
            let never = lab.send(&desk(never)).await;
            assert_eq!(never.text().replace("file-never", id), theirs.text());
        }
    }
    // However its member is spelt, whatever it is called beside it, and however many stand before it.
    let spelt = chat.to_string().replace("file_id", r"file\u005fid");
    let called = chat.to_string().replace(r#""type":"file""#, r#""type":"file_citation""#);
    let many: Vec<String> = (0..1024).map(|at| format!("{{\"file_id\":\"file-{at}\"}}")).collect();
    let many = chat.to_string().replacen('{', &format!("{{\"x\":[{}],", many.join(",")), 1);
    for (body, status) in [(spelt, 404), (called, 404), (many, 400)] {
        let theirs = lab.send(&desk(Ask::post("/v1/chat/completions", body))).await;
        assert_eq!(theirs.status.as_u16(), status, "{}", theirs.text());
    }
    // Nor by a body that only its upstream may be able to read.
    let plain = batch.to_string();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let wide: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for body in [
        plain.replacen('{', "{\"metadata\":NaN,", 1).into_bytes(),
        plain.replacen('{', &format!("{{\"metadata\":{deep},"), 1).into_bytes(),
        plain.replacen('{', "{\"input_file_id\":\"file-never\",", 1).into_bytes(),
        plain.replacen("input_file_id", "Input_File_Id", 1).into_bytes(),
        format!("\u{feff}{plain}").into_bytes(),
        wide,
    ] {
        let theirs = lab.send(&desk(Ask { body: body.into(), ..Ask::post("/v1/batches", "") })).await;
        assert_eq!(theirs.status.as_u16(), 400, "{}", theirs.text());
    }
    let list = lab.send(&shop(Ask::get("/v1/files"))).await;
    assert_eq!(list.status.as_u16(), 403, "{}", list.text());
    assert_eq!(lab.send(&Ask::upload("x")).await.status.as_u16(), 401);
    assert_eq!(asked(&lab).len(), 0);
    assert_eq!(lab.metric("mainstay_left_references_total{operation=\"files\",result=\"foreign\"}"), 6.0);
    lab.assert_quiet().await;
}

/// Where others have keys, those who need none on a route share what they leave, and get at nothing else.
#[tokio::test(start_paused = true)]
async fn an_open_route_shows_nobody_what_those_with_keys_left() {
    let yaml = FOUR
        .replace("version: 1", "version: 1\naccess: keys\nkeys: {shop: {secret: '${LAB_SHOP}'}}")
        .replace("files: true,", "files: true, access: open,");
    let lab = Lab::start(&yaml);
    let shop = |ask: Ask| ask.header("authorization", "Bearer secret-of-LAB_SHOP");
    let theirs = good(&lab.send(&shop(Ask::upload("hello"))).await);
    let own = good(&lab.send(&Ask::upload("hello")).await);
    good(&lab.send(&look(text(&own, "id"))).await);
    asked(&lab);
    for id in [text(&theirs, "id"), "file-of-the-account"] {
        let chat = json!({"model": "demo", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": id}}]}]});
        let batch =
            json!({"input_file_id": id, "endpoint": "/v1/chat/completions", "completion_window": "24h"});
        for ask in [
            look(id),
            Ask::get(&format!("/v1/files/{id}/content")),
            Ask::bare(Method::DELETE, &format!("/v1/files/{id}")),
            Ask::post("/v1/chat/completions", chat.to_string()),
            Ask::post("/v1/batches", batch.to_string()),
        ] {
            let answer = lab.send(&ask).await;
            assert_eq!(answer.status.as_u16(), 404, "{}: {}", ask.path, answer.text());
        }
    }
    for path in ["/v1/files", "/v1/batches"] {
        let answer = lab.send(&Ask::get(path)).await;
        assert_eq!(answer.status.as_u16(), 403, "{path}: {}", answer.text());
    }
    assert_eq!(asked(&lab).len(), 0);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_known_before_a_restart_is_known_after_it() {
    let yaml = "
version: 1
access: keys
keys: {shop: {secret: '${LAB_SHOP}'}}
upstreams:
  one: {provider: custom, dialect: openai, base_url: 'http://one', credentials: ['${LAB_A}', '${LAB_B}']}
routes:
  - {model: m, channels: [{upstream: one}]}
";
    let scribe = Scribe::saying(Said::json(200, FILE));
    let shop = |ask: Ask| ask.header("authorization", "Bearer secret-of-LAB_SHOP");
    let first = Lab::beside(yaml, &[("one", &scribe)]);
    good(&first.send(&shop(Ask::upload("hello"))).await);
    let key = scribe.only().header("authorization").to_owned();
    let next = Lab::beside(yaml, &[("one", &scribe)]);
    assert_eq!(next.send(&shop(look("file-9"))).await.status.as_u16(), 404);
    next.gateway.recall_places(&first.gateway.places());
    assert_eq!(next.gateway.places(), first.gateway.places());
    for _ in 0..4 {
        good(&next.send(&shop(look("file-9"))).await);
        assert_eq!(scribe.only().header("authorization"), key);
    }
}

#[tokio::test(start_paused = true)]
async fn files_of_several_accounts_cannot_be_read_together() {
    let lab = Lab::start(FOUR);
    let mut ids = Vec::new();
    for route in ["demo", "other"] {
        for _ in 0..2 {
            let file = good(&lab.send(&Ask::upload("hello").header("x-mainstay-route", route)).await);
            ids.push(text(&file, "id").to_owned());
        }
    }
    let places = asked(&lab);
    assert!(places.iter().any(|(name, _)| *name == "b"));
    let part = |id: &String| json!({"type": "file", "file": {"file_id": id}});
    let chat = |ids: &[String]| {
        let content: Vec<Value> = ids.iter().map(part).collect();
        Ask::post(
            "/v1/chat/completions",
            json!({"model": "demo", "messages": [{"role": "user", "content": content}]}).to_string(),
        )
    };
    good(&lab.send(&chat(&ids[..2])).await);
    if places.iter().any(|(name, _)| *name == "a") {
        let answer = lab.send(&chat(&ids)).await;
        assert_eq!(answer.status.as_u16(), 400, "{}", answer.text());
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn the_route_of_something_new_is_said_or_plain_or_asked_for() {
    let lab = Lab::start(&FOUR.replace(", files: true", ""));
    let answer = lab.send(&Ask::upload("hello")).await;
    assert_eq!(answer.status.as_u16(), 400);
    assert!(answer.text().contains("x-mainstay-route") && answer.text().contains("files: true"));
    good(&lab.send(&Ask::upload("hello").header("x-mainstay-route", "other")).await);
    assert_eq!(lab.arrived("b"), 1);
    let answer = lab.send(&Ask::upload("hello").header("x-mainstay-route", "othre")).await;
    assert_eq!(answer.status.as_u16(), 404);
    assert!(answer.text().contains("did you mean `other`?"), "{}", answer.text());
    let answer = lab.send(&Ask::bare(Method::PUT, "/v1/files")).await;
    assert_eq!((answer.status.as_u16(), answer.headers["allow"].as_bytes()), (405, &b"GET, POST"[..]));
    // Somebody's own service at such a path stays what it is.
    let own = "version: 1\nupstreams: {a: {provider: simulated}}\nroutes: [{path: /v1/files/, channels: [{upstream: a}]}]";
    let lab = Lab::start(own);
    assert!(text(&lab.send(&look("x")).await.json(), "path").ends_with("/v1/files/x"));
}

#[tokio::test(start_paused = true)]
async fn who_may_not_have_a_route_is_not_told_whether_it_exists() {
    let lab = Lab::start(
        "
version: 1
access: keys
keys:
  shop: {secret: '${LAB_SHOP}'}
  narrow: {secret: '${LAB_NARROW}', allow: {routes: [public]}}
upstreams: {a: {provider: simulated, credentials: [secret-ka01]}}
routes:
  - {model: hidden, channels: [{upstream: a}]}
  - {model: public, access: open, files: true, channels: [{upstream: a}]}
",
    );
    let asks = |route: Option<&str>| {
        let batch = r#"{"input_file_id":"file-1","endpoint":"/v1/chat/completions"}"#;
        [Ask::upload("one"), look("file-1"), Ask::get("/v1/files"), Ask::post("/v1/batches", batch)]
            .map(|ask| route.map_or(ask.clone(), |route| ask.clone().header("x-mainstay-route", route)))
    };
    // Who has no key is told that he needs one, whatever he guesses.
    for route in ["hidden", "hiddem", "absent", "publix"] {
        for ask in asks(Some(route)) {
            let answer = lab.send(&ask).await;
            assert_eq!(answer.status.as_u16(), 401, "{route}, {}: {}", ask.path, answer.text());
            let told = answer.text().contains("hidden") || answer.text().contains("public");
            assert!(!told, "{route}, {}: {}", ask.path, answer.text());
        }
    }
    // What is open is served, without a word of what is not there.
    for ask in asks(None) {
        let answer = lab.send(&ask).await;
        assert_ne!(answer.status.as_u16(), 401, "{}: {}", ask.path, answer.text());
        assert!(!answer.text().contains("hidden"), "{}: {}", ask.path, answer.text());
    }
    // Nor does a key tell that does not reach them.
    let mut told = Vec::new();
    for route in ["hidden", "absent"] {
        let ask = Ask::upload("one").header("x-mainstay-route", route);
        let answer = lab.send(&ask.header("authorization", "Bearer secret-of-LAB_NARROW")).await;
        told.push((answer.status.as_u16(), answer.text().to_owned()));
    }
    assert_eq!((told[0].0, &told[0]), (403, &told[1]));
    // Whoever may have all of them is helped.
    let ask = Ask::upload("one").header("x-mainstay-route", "hiddem");
    let answer = lab.send(&ask.header("authorization", "Bearer secret-of-LAB_SHOP")).await;
    assert_eq!(answer.status.as_u16(), 404);
    assert!(answer.text().contains("`hidden`"), "{}", answer.text());
    lab.assert_quiet().await;
}
