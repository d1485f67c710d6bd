//! Malformed requests on their way into another dialect: that dialect's own 400 with the place of the
//! mistake, and no upstream hears of it.
//!
//! Every caller's dialect is put to a channel of every other dialect. A sound request is broken in one
//! place at a time, so a row is that place, what is put there, and the field that the error has to name.

mod answers;
mod callers;
mod rows;

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use mainstay::dialect::hub::{Family, Terms};
use mainstay::dialect::quirks::Quirks;
use mainstay::dialect::{Dialect, entry, translate, tree};
use mainstay::vocab::Facts;
use serde_json::Value;

use crate::lab::{Answer, Lab, Said, Scribe};

use callers::{Caller, callers};
use rows::{Row, rows};

/// The dialects of the upstreams; there is a route to each that has its name.
pub const UPSTREAMS: [&str; 7] =
    ["openai", "responses", "anthropic", "gemini", "cohere", "bedrock", "ollama"];

/// In every place of a request that an error might quote.
const SECRET: &str = "s3cret";

/// Callers of every dialect before scribes of every dialect.
pub struct Scene {
    pub lab: Lab,
    pub scribes: Vec<(&'static str, Arc<Scribe>)>,
}

impl Scene {
    pub fn saying(said: impl Fn(&str) -> Said) -> Self {
        Self::with("", said)
    }

    /// `server` is what the file says of the server.
    pub fn with(server: &str, said: impl Fn(&str) -> Said) -> Self {
        let mut yaml = format!("version: 1\n{server}\nupstreams:\n");
        for name in UPSTREAMS {
            let _ =
                writeln!(yaml, "  {name}: {{provider: custom, dialect: {name}, base_url: 'http://{name}'}}");
        }
        yaml.push_str("routes:\n");
        for name in UPSTREAMS {
            let _ = writeln!(yaml, "  - {{model: {name}, channels: [{{upstream: {name}}}]}}");
        }
        let scribes = UPSTREAMS.map(|name| (name, Scribe::saying(said(name))));
        let beside: Vec<_> = scribes.iter().map(|(name, scribe)| (*name, scribe)).collect();
        Self { lab: Lab::beside(&yaml, &beside), scribes: scribes.to_vec() }
    }

    pub fn scribe(&self, name: &str) -> &Arc<Scribe> {
        &self.scribes.iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn assert_nobody_heard(&self, what: &str) {
        for (name, scribe) in &self.scribes {
            assert!(scribe.heard().is_empty(), "{what}: {name} was asked");
        }
    }
}

/// Breaks a sound request in one place.
fn broken(sound: &Value, (place, value, _): &Row) -> Value {
    let mut body = sound.clone();
    let (parent, key) = place.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap_or_else(|| panic!("no {place}"));
    match (parent, value) {
        (Value::Object(members), Some(value)) => {
            members.insert(key.to_owned(), value.clone());
        }
        (Value::Object(members), None) => {
            members.remove(key).unwrap_or_else(|| panic!("no {place}"));
        }
        (Value::Array(items), Some(value)) => items[key.parse::<usize>().unwrap()] = value.clone(),
        (other, _) => panic!("{place} is in {other}"),
    }
    body
}

/// The sentence of an error in the shape of that dialect, and the field where the shape has one.
pub fn sentence(dialect: &str, answer: &Answer) -> (String, Option<String>) {
    let body = answer.json();
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let error = &body["error"];
    assert_eq!(answer.header("content-type"), "application/json", "{body}");
    let (message, field) = match dialect {
        "openai" | "responses" => {
            assert!(text(&error["type"]).is_some(), "{body}");
            (&error["message"], text(&error["param"]))
        }
        "anthropic" => {
            assert_eq!(body["type"], "error", "{body}");
            assert!(text(&error["type"]).is_some(), "{body}");
            (&error["message"], None)
        }
        "gemini" => {
            assert_eq!(error["code"], answer.status.as_u16(), "{body}");
            assert!(text(&error["status"]).is_some(), "{body}");
            (&error["message"], None)
        }
        "cohere" => {
            assert!(text(&body["id"]).is_some(), "{body}");
            (&body["message"], None)
        }
        "bedrock" => {
            assert!(text(&body["__type"]).is_some(), "{body}");
            (&body["message"], None)
        }
        other => panic!("{other} has no callers"),
    };
    (text(message).unwrap_or_else(|| panic!("{dialect}: no sentence in {body}")), field)
}

/// What is wrong with the answer to a malformed request; nothing if all is as it should be.
fn fault_of(dialect: &str, answer: &Answer, field: &str) -> Option<String> {
    if answer.status != 400 || answer.text().contains("it was asked") {
        return Some(format!("{}: {:.200}", answer.status, answer.text()));
    }
    let (message, param) = sentence(dialect, answer);
    let named = if matches!(dialect, "openai" | "responses") {
        param.as_deref() == Some(field)
    } else {
        message.contains(field)
    };
    if !named {
        return Some(format!("does not name it: {param:?} {message}"));
    }
    if message.contains(SECRET) || message.len() > 400 {
        return Some(format!("quotes the body: {message}"));
    }
    // What was expected instead, not just that something is wrong.
    let mends = [
        "expected",
        "required",
        "is needed",
        "has to",
        "must",
        "give",
        "send",
        "use ",
        "the roles are",
        "encode",
        "needs",
        "before it",
    ];
    if !mends.iter().any(|word| message.contains(word)) {
        return Some(format!("does not say how to mend it: {message}"));
    }
    None
}

#[tokio::test(start_paused = true)]
async fn a_sound_request_goes_to_every_dialect() {
    let scene = Scene::saying(|_| Said::json(503, "{}"));
    for caller in callers() {
        for upstream in UPSTREAMS {
            scene.lab.send(&caller.ask(upstream, &caller.sound)).await;
            let heard = scene.scribe(upstream).heard();
            assert!(!heard.is_empty(), "{} to {upstream}", caller.dialect);
            serde_json::from_slice::<Value>(&heard[0].body).unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_malformed_request_is_refused_in_its_own_dialect_with_the_place_of_the_mistake() {
    let scene = Scene::saying(|_| Said::json(400, r#"{"error":{"message":"it was asked"}}"#));
    let (mut asked, mut wrong) = (0_u32, Vec::new());
    for caller in callers() {
        for row in rows(caller.dialect) {
            let body = broken(&caller.sound, &row);
            for upstream in UPSTREAMS.into_iter().filter(|name| *name != caller.dialect) {
                let answer = scene.lab.send(&caller.ask(upstream, &body)).await;
                asked += 1;
                if let Some(fault) = fault_of(caller.dialect, &answer, row.2) {
                    wrong.push(format!("{} to {upstream}: {} = {:?}: {fault}", caller.dialect, row.0, row.1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}:\n{}", wrong.len(), wrong.join("\n"));
    scene.assert_nobody_heard("malformed requests");
    let refused = scene.lab.metric_sum("mainstay_requests_total", &["outcome=\"client_fault\""]);
    assert_eq!(refused, f64::from(asked), "all are the callers' own fault");
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn json_that_is_too_deep_is_refused_and_deep_json_is_not() {
    let scene = Scene::saying(|_| Said::json(400, r#"{"error":{"message":"it was asked"}}"#));
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    for caller in callers() {
        // Where the path names the model, nothing has to be read that goes on as it is.
        let unread = |upstream: &str| upstream == caller.dialect && caller.path.contains("MODEL");
        for upstream in UPSTREAMS.into_iter().filter(|name| !unread(name)) {
            let mut body = caller.sound.clone();
            body["vendor_extra"] = "DEEP".into();
            let ask = |levels: usize| {
                let mut ask = caller.ask(upstream, &body);
                let text = String::from_utf8(ask.body.to_vec()).unwrap();
                // The object round it is a level, too.
                ask.body = text.replace("\"DEEP\"", &nested(levels - 1)).into();
                ask
            };
            let answer = scene.lab.send(&ask(129)).await;
            assert_eq!(answer.status, 400, "{} to {upstream}: {}", caller.dialect, answer.text());
            let (message, _) = sentence(caller.dialect, &answer);
            assert!(message.contains("nesting"), "{} to {upstream}: {message}", caller.dialect);
            scene.assert_nobody_heard("129 levels");
            let answer = scene.lab.send(&ask(128)).await;
            assert!(
                answer.text().contains("it was asked"),
                "{} to {upstream}: {}",
                caller.dialect,
                answer.text()
            );
            scene.scribe(upstream).only();
        }
    }
    scene.lab.assert_quiet().await;
}

/// A request with one picture of so many bytes.
fn with_picture(caller: &Caller, bytes: usize) -> Value {
    let data = "QUJD".repeat(bytes / 3);
    let link = format!("data:image/png;base64,{data}");
    let mut body = caller.sound.clone();
    let (place, value) = match caller.dialect {
        "openai" | "cohere" => ("/messages/1/content/1/image_url/url", link),
        "responses" => ("/input/0/content/1/image_url", link),
        "anthropic" => ("/messages/0/content/1/source/data", data),
        "gemini" => ("/contents/0/parts/1/inlineData/data", data),
        "bedrock" => ("/messages/0/content/1/image/source/bytes", data),
        other => panic!("{other} has no callers"),
    };
    *body.pointer_mut(place).unwrap() = value.into();
    body
}

#[tokio::test(start_paused = true)]
async fn a_picture_of_fifty_megabytes_arrives_whole_in_every_dialect() {
    /// As base64 it just fits into `server.limits.max_body`, 64 MiB.
    const LARGEST: usize = 50_000_000 / 3 * 3;
    /// Enough for the pairs that share a reader with the largest.
    const LARGE: usize = 3_000_000;
    /// Of a debug build on a busy machine, fifty times what a release takes.
    const SANE: Duration = Duration::from_mins(1);
    let scene = Scene::saying(|_| Said::json(400, r#"{"error":{"message":"it was asked"}}"#));
    let largest = [("openai", "anthropic"), ("anthropic", "gemini"), ("gemini", "openai")];
    for caller in callers() {
        for upstream in ["openai", "anthropic", "gemini"].into_iter().filter(|name| *name != caller.dialect) {
            let is_largest = largest.contains(&(caller.dialect, upstream));
            let body = with_picture(&caller, if is_largest { LARGEST } else { LARGE });
            let ask = caller.ask(upstream, &body);
            let began = now();
            let answer = scene.lab.send(&ask).await;
            assert!(answer.text().contains("it was asked"), "{}: {:.300}", caller.dialect, answer.text());
            assert!(began.elapsed() < SANE, "{} to {upstream}: {:?}", caller.dialect, began.elapsed());
            let heard = scene.scribe(upstream).only();
            assert!(heard.whole && heard.body.len() > ask.body.len() * 99 / 100, "{}: cut", caller.dialect);
        }
    }
    scene.lab.assert_quiet().await;
}

#[expect(clippy::disallowed_methods, reason = "the lab's clock stands still while a request is translated")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// What translation itself holds, beside the body that came.
#[test]
fn a_large_picture_is_held_in_few_copies() {
    const PICTURE: usize = 300_000;
    for caller in callers() {
        let body = with_picture(&caller, PICTURE);
        let ask = caller.ask("m", &body);
        let from: Dialect = caller.dialect.parse().unwrap();
        let entry = entry::find(&ask.method, &ask.path, None, &http::HeaderMap::new()).unwrap();
        for to in translate::GENERATING.into_iter().filter(|to| *to != from) {
            let terms = Terms {
                model: "m",
                like: None,
                facts: Facts::default(),
                family: Family::Other,
                quirks: &Quirks::COMPATIBLE,
                ask_usage: false,
                nonce: "0",
            };
            let held = allocation_counter::measure(|| {
                let root = tree::parse(&ask.body).unwrap();
                let mut said = translate::read(from, entry.operation, "m", &root).unwrap();
                let written = translate::write(&mut said, to, &terms).unwrap();
                assert!(written.body.len() > PICTURE, "{from} to {to}");
            });
            let copies = held.bytes_max as f64 / ask.body.len() as f64;
            // One is the request that goes out; some dialects put their link or their message together first.
            assert!(copies < 3.2, "{from} to {to}: {copies:.2} copies");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_is_refused_in_its_own_dialect() {
    let scene =
        Scene::with("server: {limits: {max_body: 64KiB, replay_body: 16KiB}}", |_| Said::json(200, "{}"));
    for caller in callers() {
        let body = with_picture(&caller, 60_000);
        for upstream in UPSTREAMS {
            let answer = scene.lab.send(&caller.ask(upstream, &body)).await;
            assert_eq!(answer.status, 413, "{} to {upstream}", caller.dialect);
            let (message, _) = sentence(caller.dialect, &answer);
            assert!(message.contains("65536 bytes"), "{message}");
        }
    }
    scene.assert_nobody_heard("bodies over the limit");
    scene.lab.assert_quiet().await;
}
