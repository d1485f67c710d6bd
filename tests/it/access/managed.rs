//! Keys that are made while gateways run: two of them over one store, on sockets of their own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use mainstay::app::{self, App, Proof};
use mainstay::config::Env;
use mainstay::server::loader::Source;
use mainstay::vocab::Secret;
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "the-word-of-the-operators";

struct World;

impl Env for World {
    fn var(&self, name: &str) -> Option<String> {
        match name {
            "TOKEN" => Some(TOKEN.to_owned()),
            "HASH" => Some("what-hashes-of-keys-are-made-with".to_owned()),
            "FILED" => Some("the-secret-of-a-key-of-the-file".to_owned()),
            _ => None,
        }
    }

    fn file(&self, path: &str) -> Result<String, String> {
        Err(format!("{path}: no files"))
    }
}

/// A gateway over the store in `directory`.
async fn gateway(directory: &Path) -> App {
    let store = directory.join("keys.db");
    let file = format!(
        "version: 1\naccess: keys\nkeys: {{filed: {{secret: '${{FILED}}'}}}}\n\
         organisations: {{acme: {{allow: {{models: [demo]}}}}}}\nteams: {{growth: {{organisation: acme}}}}\n\
         server: {{listen: '127.0.0.1:0', admin: '127.0.0.1:0', admin_token: '${{TOKEN}}', key_hash_secret: '${{HASH}}'}}\n\
         store: {{url: 'sqlite:{}'}}\nupstreams: {{a: {{provider: simulated}}}}\n\
         routes: [{{model: demo, channels: [{{upstream: a}}]}}, {{model: dear, channels: [{{upstream: a}}]}}]\n",
        store.display()
    );
    let source = Source::Text { name: "routing.yaml".to_owned(), text: file };
    App::start(source, Arc::new(World)).await.unwrap_or_else(|error| panic!("{error}"))
}

/// What the admin side answers.
async fn admin(app: &App, method: Method, path: &str, body: Value) -> (u16, Value) {
    let base = format!("http://{}", app.admin_address());
    let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
    let answer = app::tell(&base, method, path, &Secret::new(TOKEN).into(), body).await.expect("an answer");
    (answer.status.as_u16(), serde_json::from_slice(&answer.body).expect("JSON"))
}

async fn post(app: &App, path: &str, body: Value) -> (u16, Value) {
    admin(app, Method::POST, path, body).await
}

/// What a caller is told who asks for `path` with this secret.
async fn caller(app: &App, secret: &str, path: &str) -> (u16, String) {
    let base = format!("http://{}", app.address());
    let answer = app::ask(&base, path, &Secret::new(secret).into()).await.expect("an answer");
    (answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned())
}

/// The status of a list of models. Who is refused again and again while a test waits may be told to come later.
async fn listed(app: &App, secret: &str) -> u16 {
    match caller(app, secret, "/v1/models").await.0 {
        429 => 401,
        status => status,
    }
}

/// Waits until a caller with this secret is answered so, as another replica looks at the store by and by.
async fn comes_to(app: &App, secret: &str, status: u16) {
    for _ in 0..600 {
        if listed(app, secret).await == status {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the other replica does not hear of it");
}

fn secret(answer: &Value) -> String {
    let secret = answer["secret"].as_str().expect("a secret").to_owned();
    let (beginning, rest) = secret.split_at(3);
    assert_eq!((beginning, rest.len()), ("ms-", 43), "{}", secret.len());
    assert!(rest.chars().all(|c| c.is_ascii_alphanumeric()));
    secret
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_rotated_disabled_and_ended_on_every_replica() {
    let directory = TempDir::new().expect("a directory");
    let (one, other) = (gateway(directory.path()).await, gateway(directory.path()).await);
    let (status, made) = post(&one, "/admin/keys", json!({ "name": "shop", "team": "growth" })).await;
    assert_eq!(status, 201, "{made}");
    let first = secret(&made);
    assert_eq!(listed(&one, &first).await, 200, "it holds when the answer is there");
    comes_to(&other, &first, 200).await;
    let (status, said) = caller(&one, &first, "/v1/models/dear").await;
    assert_eq!(status, 403, "{said}");
    assert!(said.contains("`allow` of its organisation `acme`"), "{said}");

    // The old secret goes on for a day, unless it is to end now.
    let (status, rotated) = post(&one, "/admin/keys/shop/rotate", Value::Null).await;
    let second = secret(&rotated);
    assert_eq!((status, rotated["secrets"].as_array().map(Vec::len)), (200, Some(2)));
    assert_eq!((listed(&one, &first).await, listed(&one, &second).await), (200, 200));
    let (_, rotated) = post(&one, "/admin/keys/shop/rotate", json!({ "overlap": "0s" })).await;
    let third = secret(&rotated);
    assert_eq!((listed(&one, &second).await, listed(&one, &third).await), (401, 200));
    comes_to(&other, &third, 200).await;
    assert_eq!((listed(&other, &first).await, listed(&other, &second).await), (401, 401));

    let (status, changed) =
        admin(&one, Method::PATCH, "/admin/keys/shop", json!({ "allow": { "networks": ["192.0.2.0/24"] } }))
            .await;
    assert_eq!((status, &changed["allow"]["networks"][0]), (200, &"192.0.2.0/24".into()), "{changed}");
    assert_eq!(listed(&one, &third).await, 403);
    let (_, changed) = admin(&one, Method::PATCH, "/admin/keys/shop", json!({ "allow": null })).await;
    assert!(changed.get("allow").is_none() && changed["team"] == "growth", "{changed}");

    // Who is disabled is told what strangers are told.
    assert_eq!(post(&one, "/admin/keys/shop/disable", Value::Null).await.0, 200);
    let stranger = caller(&one, "ms-0123456789012345678901234567890123456789012", "/v1/models").await;
    assert_eq!(caller(&one, &third, "/v1/models").await, stranger);
    assert_eq!(stranger.0, 401);
    comes_to(&other, &third, 401).await;
    assert_eq!(post(&other, "/admin/keys/shop/enable", Value::Null).await.0, 200);
    comes_to(&one, &third, 200).await;
    let past = json!({ "expires": "2020-01-01" });
    assert_eq!(admin(&one, Method::PATCH, "/admin/keys/shop", past).await.0, 200);
    assert_eq!(listed(&one, &third).await, 401);
    assert_eq!(admin(&one, Method::DELETE, "/admin/keys/shop", Value::Null).await.0, 200);
    assert_eq!(admin(&one, Method::GET, "/admin/keys/shop", Value::Null).await.0, 404);
    assert_eq!(post(&one, "/admin/keys", json!({ "name": "shop" })).await.0, 201, "its name is free again");
    assert_eq!(listed(&one, &third).await, 401);

    // Nothing of what was done is lost, and nothing of it helps anybody to call.
    let (_, trail) = admin(&one, Method::GET, "/admin/audit", Value::Null).await;
    let actions: Vec<&str> = trail["audit"]
        .as_array()
        .expect("rows")
        .iter()
        .rev()
        .map(|row| row["action"].as_str().unwrap())
        .collect();
    let expected = [
        "key.create",
        "key.rotate",
        "key.rotate",
        "key.change",
        "key.change",
        "key.disable",
        "key.enable",
        "key.change",
        "key.delete",
        "key.create",
    ];
    assert_eq!(actions, expected);
    assert_eq!(trail["audit"][0]["actor"], "127.0.0.1 (admin_token)");
    let (_, list) = admin(&one, Method::GET, "/admin/keys", Value::Null).await;
    let names: Vec<_> = list["keys"].as_array().expect("keys").iter().map(|key| &key["name"]).collect();
    assert_eq!(names, ["filed", "shop"]);
    let disk: Vec<u8> = ["keys.db", "keys.db-wal"]
        .iter()
        .flat_map(|name| std::fs::read(directory.path().join(name)).unwrap_or_default())
        .collect();
    assert!(disk.windows(4).any(|window| window == b"shop"), "it is looked for in the right place");
    for secret in [&first, &second, &third] {
        let shown = format!("{trail}{list}");
        assert!(!shown.contains(secret.as_str()), "a secret is shown");
        assert!(
            !disk.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "a secret is on the disk"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_key_is_said_and_nothing_is_made() {
    let directory = TempDir::new().expect("a directory");
    let app = gateway(directory.path()).await;
    assert_eq!(post(&app, "/admin/keys", json!({ "name": "shop" })).await.0, 201);
    for (body, status, says) in [
        (json!({}), 422, "`name` is missing"),
        (json!({ "name": "a b" }), 422, "a key cannot be called this"),
        (json!({ "name": "shop" }), 409, "taken"),
        (json!({ "name": "filed" }), 409, "routing.yaml has a key"),
        (json!({ "name": "x", "team": "grwth" }), 422, "did you mean `growth`?"),
        (json!({ "name": "x", "team": "growth", "user": "ada" }), 422, "both `user` and `team`"),
        (json!({ "name": "x", "expires": "soon" }), 422, "no point in time"),
        (json!({ "name": "x", "expires": "2020-01-31" }), 422, "over already"),
        (json!({ "name": "x", "allow": { "upstreams": ["b"] } }), 422, "no upstream is called `b`"),
        (json!({ "name": "x", "allow": { "endpoints": ["chatt"] } }), 422, "there is no `chatt`"),
        (json!({ "name": "x", "allow": { "model": ["demo"] } }), 422, "unknown field `model`"),
        (json!({ "name": "x", "secret": "mine" }), 422, "unknown field `secret`"),
    ] {
        let (answered, said) = post(&app, "/admin/keys", body.clone()).await;
        let said = said["error"].as_str().unwrap_or_default();
        assert!(answered == status && said.contains(says), "{body}: {answered} {said}");
    }
    for (path, body) in [
        ("/admin/keys/shop/rotate", json!({ "overlap": 3600 })),
        ("/admin/keys/shop/rotate", json!({ "overlap": "100d" })),
    ] {
        assert_eq!(post(&app, path, body).await.0, 400, "{path}");
    }
    assert_eq!(
        post(&app, "/admin/keys/filed/disable", Value::Null).await.0,
        404,
        "the file's keys are the file's"
    );
    assert_eq!(admin(&app, Method::PATCH, "/admin/keys/shop", json!({ "name": "till" })).await.0, 400);
    let (_, list) = admin(&app, Method::GET, "/admin/keys", Value::Null).await;
    assert_eq!(list["keys"].as_array().map(Vec::len), Some(2));
    assert_eq!(listed(&app, "the-secret-of-a-key-of-the-file").await, 200);

    // Without the token there is nothing to be had.
    let base = format!("http://{}", app.admin_address());
    let answer = app::ask(&base, "/admin/keys", &Proof::default()).await.expect("an answer");
    assert_eq!(answer.status, 401);
    assert_eq!(app::ask(&base, "/readyz", &Proof::default()).await.expect("an answer").status, 200);
}
