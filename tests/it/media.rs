//! Pictures and documents that callers give as URLs, on their way to upstreams that fetch nothing: their
//! content goes up, fetched once, and a fetch that fails is the caller's affair and no upstream's.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::bad_asks::{UPSTREAMS, sentence};
use crate::lab::{Answer, Ask, Lab, Said, Scribe, Step};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n a picture";
const PDF: &[u8] = b"%PDF-1.7 a document";
const PICTURE: &str = "http://127.0.0.1/cat.png";
const DOCUMENT: &str = "http://127.0.0.2:8000/paper";
const TRUSTING: &str = "plain_http: true, allow_private: [127.0.0.0/8]";

/// Upstreams of every dialect, and two servers of callers' things.
struct Scene {
    lab: Lab,
    scribes: Vec<(&'static str, Arc<Scribe>)>,
}

fn reply(dialect: &str) -> Said {
    let body = match dialect {
        "openai" => json!({"id": "c", "object": "chat.completion", "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]}),
        "responses" => json!({"id": "r", "object": "response", "status": "completed", "output": [
            {"type": "message", "id": "m", "role": "assistant", "status": "completed",
             "content": [{"type": "output_text", "text": "hello", "annotations": []}]}]}),
        "anthropic" => json!({"id": "m", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn",
            "usage": {"input_tokens": 1, "output_tokens": 1}}),
        "gemini" => json!({"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]},
            "finishReason": "STOP"}]}),
        "cohere" => json!({"id": "c", "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": "hello"}]}}),
        "bedrock" => json!({"output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}},
            "stopReason": "end_turn", "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}}),
        _ => json!({"model": "m", "message": {"role": "assistant", "content": "hello"}, "done": true,
            "done_reason": "stop"}),
    };
    Said::json(200, body.to_string())
}

fn file(kind: &str, bytes: &'static [u8]) -> Said {
    Said::status(200).header("content-type", kind).data(bytes)
}

impl Scene {
    /// A route to each upstream, named like it, and what `routes` has besides.
    fn new(media: &str, routes: &str) -> Self {
        let mut yaml = format!("version: 1\nserver: {{media: {{{media}}}}}\nupstreams:\n");
        for name in UPSTREAMS {
            let timeouts = "timeouts: {total: 60s}";
            let _ = writeln!(
                yaml,
                "  {name}: {{provider: custom, dialect: {name}, base_url: 'http://{name}', {timeouts}}}"
            );
        }
        yaml += "routes:\n";
        for name in UPSTREAMS {
            let _ = writeln!(yaml, "  - {{model: {name}, channels: [{{upstream: {name}}}]}}");
        }
        yaml += routes;
        let mut scribes: Vec<_> = UPSTREAMS.iter().map(|name| (*name, Scribe::saying(reply(name)))).collect();
        scribes.push(("127.0.0.1", Scribe::saying(file("image/png", PNG))));
        scribes.push(("127.0.0.2", Scribe::saying(file("application/octet-stream", PDF))));
        let beside: Vec<_> = scribes.iter().map(|(name, scribe)| (*name, scribe)).collect();
        Self { lab: Lab::beside(&yaml, &beside), scribes: scribes.clone() }
    }

    fn scribe(&self, name: &str) -> &Arc<Scribe> {
        &self.scribes.iter().find(|(known, _)| *known == name).unwrap().1
    }

    /// The only request that this one heard, as JSON.
    fn body(&self, name: &str) -> Value {
        serde_json::from_slice(&self.scribe(name).only().body).unwrap()
    }

    fn heard(&self, name: &str) -> usize {
        self.scribe(name).heard().len()
    }

    fn fetches(&self, result: &str) -> f64 {
        self.lab.metric(&format!("mainstay_media_fetches_total{{result=\"{result}\"}}"))
    }
}

/// A request with a picture at this URL, in the caller's dialect; with the place of the URL in it.
fn asks(model: &str, url: &str) -> [(&'static str, Ask, &'static str); 4] {
    let chat_part = json!({"type": "image_url", "image_url": {"url": url}});
    let words = |part: Value| json!([{"role": "user", "content": [{"type": "text", "text": "what?"}, part]}]);
    let chat = json!({"model": model, "messages": words(chat_part.clone())});
    let responses = json!({"model": model, "store": false, "input": [{"role": "user", "content": [
        {"type": "input_text", "text": "what?"}, {"type": "input_image", "image_url": url}]}]});
    let claude = json!({"model": model, "max_tokens": 9, "messages":
        words(json!({"type": "image", "source": {"type": "url", "url": url}}))});
    let cohere = json!({"model": model, "messages": words(chat_part)});
    let post = |path: &str, body: Value| Ask::post(path, body.to_string());
    [
        ("openai", post("/v1/chat/completions", chat), "messages[0].content[1].image_url.url"),
        ("responses", post("/v1/responses", responses), "input[0].content[1].image_url"),
        (
            "anthropic",
            post("/v1/messages", claude).header("anthropic-version", "2023-06-01").header("x-api-key", "k"),
            "messages[0].content[1].source.url",
        ),
        ("cohere", post("/cohere/v2/chat", cohere), "messages[0].content[1].image_url.url"),
    ]
}

fn ok(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
}

/// The content of a picture in the request of an upstream that was sent it.
fn inline(upstream: &str, body: &Value) -> Value {
    match upstream {
        "bedrock" => body["messages"][0]["content"][1]["image"].clone(),
        "gemini" => body["contents"][0]["parts"][1]["inlineData"].clone(),
        _ => body["messages"][0]["images"][0].clone(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_url_of_any_caller_reaches_upstreams_that_fetch_nothing_as_its_content() {
    let scene = Scene::new(TRUSTING, "");
    let data = BASE64_STANDARD.encode(PNG);
    for (upstream, expected) in [
        ("bedrock", json!({"format": "png", "source": {"bytes": data}})),
        ("gemini", json!({"mimeType": "image/png", "data": data})),
        ("ollama", json!(data)),
    ] {
        for (caller, ask, _) in asks(upstream, PICTURE) {
            let what = format!("{caller} to {upstream}");
            let answer = scene.lab.send(&ask).await;
            ok(&answer, &what);
            assert_eq!(answer.header("x-mainstay-attempts"), "1", "{what}");
            assert_eq!(inline(upstream, &scene.body(upstream)), expected, "{what}");
            let fetched = scene.scribe("127.0.0.1").only();
            assert_eq!((fetched.uri.path(), fetched.header("host")), ("/cat.png", "127.0.0.1"));
            for secret in ["authorization", "x-api-key", "anthropic-version", "cookie", "x-request-id"] {
                assert_eq!(fetched.header(secret), "", "{what}: {secret}");
            }
        }
    }
    assert_eq!(scene.fetches("ok"), 12.0);
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn claude_at_a_cloud_that_fetches_nothing_gets_the_content_from_his_own_callers_too() {
    let yaml = format!(
        "version: 1
server: {{media: {{{TRUSTING}}}}}
upstreams: {{vertex: {{provider: vertex, base_url: 'http://vertex/v1/projects/p/locations/l', credentials: [ya29.t]}}}}
routes: [{{model: vertex, channels: [{{upstream: vertex, model: claude-sonnet-4-5@20250929}}]}}]
"
    );
    let cloud = Scribe::saying(reply("anthropic"));
    let pictures = Scribe::saying(file("image/png", PNG));
    let lab = Lab::beside(&yaml, &[("vertex", &cloud), ("127.0.0.1", &pictures)]);
    let source = json!({"type": "base64", "media_type": "image/png", "data": BASE64_STANDARD.encode(PNG)});
    for (caller, ask, _) in asks("vertex", PICTURE) {
        ok(&lab.send(&ask).await, caller);
        let sent = cloud.only();
        let body: Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!(body["messages"][0]["content"][1]["source"], source, "{caller}");
        assert_eq!(body["anthropic_version"], "vertex-2023-10-16", "{caller}");
        assert!(sent.uri.path().ends_with("/models/claude-sonnet-4-5@20250929:rawPredict"), "{caller}");
        pictures.only();
    }
    // What has no URL in it goes as it came.
    let body = r#"{"model":"vertex","max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"?","x":1.0}]}]}"#;
    let ask = Ask::post("/v1/messages", body).header("anthropic-version", "2023-06-01");
    ok(&lab.send(&ask).await, "native");
    let sent = cloud.only().body;
    assert!(String::from_utf8_lossy(&sent).contains(r#""x":1.0"#), "{sent:?}");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_document_is_known_by_its_looks_and_a_url_that_stands_twice_is_fetched_once() {
    let scene = Scene::new(TRUSTING, "");
    let file = json!({"type": "input_file", "file_url": DOCUMENT});
    for (upstream, place) in [
        ("bedrock", "/messages/0/content/0/document/source/bytes"),
        ("gemini", "/contents/0/parts/0/inlineData/data"),
    ] {
        let body = json!({"model": upstream, "store": false, "input": [{"role": "user", "content":
            [file, file, {"type": "input_text", "text": "and?"}]}]});
        ok(&scene.lab.send(&Ask::post("/v1/responses", body.to_string())).await, upstream);
        let sent = scene.body(upstream);
        assert_eq!(sent.pointer(place), Some(&json!(BASE64_STANDARD.encode(PDF))), "{sent}");
        assert_eq!(scene.scribe("127.0.0.2").only().header("host"), "127.0.0.2:8000");
    }
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn upstreams_that_take_urls_get_them_and_nothing_is_fetched() {
    let scene = Scene::new(TRUSTING, "");
    for upstream in ["openai", "responses", "anthropic", "cohere"] {
        for (caller, ask, _) in asks(upstream, PICTURE) {
            ok(&scene.lab.send(&ask).await, &format!("{caller} to {upstream}"));
            assert!(scene.body(upstream).to_string().contains(PICTURE), "{caller} to {upstream}");
        }
    }
    // Google opens its own, and its own callers' bytes are theirs.
    for url in [
        "gs://bucket/cat.png",
        "https://youtu.be/x",
        "https://generativelanguage.googleapis.com/v1beta/files/x",
    ] {
        let (_, ask, _) = &asks("gemini", url)[0];
        ok(&scene.lab.send(ask).await, url);
        assert_eq!(scene.body("gemini")["contents"][0]["parts"][1]["fileData"]["fileUri"], url);
    }
    let native =
        format!(r#"{{"contents":[{{"role":"user","parts":[{{"fileData":{{"fileUri":"{PICTURE}"}}}}]}}]}}"#);
    ok(&scene.lab.send(&Ask::post("/v1beta/models/gemini:generateContent", native.clone())).await, "native");
    assert_eq!(scene.scribe("gemini").only().body, native);
    assert_eq!((scene.heard("127.0.0.1"), scene.fetches("ok")), (0, 0.0));
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_fails_is_the_callers_400_with_its_place_and_blames_nobody() {
    for (said, url, reason, result) in [
        (Said::status(404), PICTURE, "its server answered 404", "status"),
        (file("application/zip", b"PK"), PICTURE, "application/zip is not taken", "kind"),
        (
            Said::status(200).header("content-length", "30000000").data(PNG).step(Step::Hang),
            PICTURE,
            "larger than 20000000 bytes",
            "too_large",
        ),
        (
            Said::status(302).header("location", "http://10.0.0.1/"),
            PICTURE,
            "redirects to what may not",
            "refused",
        ),
        (file("image/png", PNG), "http://169.254.169.254/latest", "no public address", "refused"),
        (file("image/png", PNG), "http://nobody.example/", "its host is not known", "failed"),
        (Said::status(200).step(Step::Hang), PICTURE, "did not come in time", "timeout"),
        (file("text/html", b"<p>"), PICTURE, "the URL holds text/html, not a picture", "ok"),
    ] {
        let scene = Scene::new(TRUSTING, "");
        scene.scribe("127.0.0.1").say(said);
        for (round, upstream) in ["bedrock", "gemini", "ollama"].into_iter().enumerate() {
            for (caller, ask, place) in asks(upstream, url) {
                let what = format!("{caller} to {upstream}: {reason}");
                let answer = scene.lab.send(&ask).await;
                assert_eq!(answer.status, 400, "{what}: {}", answer.text());
                let (message, param) = sentence(caller, &answer);
                assert!(message.contains(reason) && message.contains(place), "{what}: {message}");
                assert!(!message.contains("10.0.0.1"), "{message}");
                assert!(param.is_none_or(|param| param == place), "{what}");
                assert_eq!(scene.heard(upstream), 0, "{what}");
            }
            assert_eq!(scene.lab.breaker(upstream, ""), "closed");
            assert_eq!(scene.fetches(result), 4.0 * (round + 1) as f64, "{reason}");
        }
        scene.lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_fetched_is_paid_for_as_it_comes_and_refused_where_there_is_no_room() {
    let yaml = format!(
        "version: 1
server: {{media: {{{TRUSTING}}}, limits: {{max_body: 4MiB, memory: 8MiB}}}}
upstreams: {{ollama: {{provider: custom, dialect: ollama, base_url: 'http://ollama'}}}}
routes: [{{model: ollama, channels: [{{upstream: ollama}}]}}]
"
    );
    let upstream = Scribe::saying(reply("ollama"));
    let picture = |bytes: usize| [PNG, &vec![b'x'; bytes - PNG.len()]].concat();
    let png = || Said::status(200).header("content-type", "image/png");
    let pictures = Scribe::saying(png());
    let lab = Lab::beside(&yaml, &[("ollama", &upstream), ("127.0.0.1", &pictures)]);
    let fetches = |result: &str| lab.metric(&format!("mainstay_media_fetches_total{{result=\"{result}\"}}"));
    let (_, ask, _) = &asks("ollama", PICTURE)[0];
    // Three times its bytes: as it comes and in base64, and in the request that is made of it.
    pictures.say(png().data(picture(2_000_000)));
    ok(&lab.send(ask).await, "there is room");
    // Announced, or known only as it comes.
    for said in [
        png().data(picture(3_000_000)),
        png().header("transfer-encoding", "chunked").data(picture(3_000_000)),
    ] {
        pictures.say(said);
        for (caller, ask, _) in asks("ollama", PICTURE) {
            let answer = lab.send(&ask).await;
            assert_eq!(answer.status, 503, "{caller}: {}", answer.text());
            assert_eq!(answer.header("x-mainstay-shed"), "memory", "{caller}");
            assert!(!answer.header("retry-after").is_empty(), "{caller}");
            let (message, _) = sentence(caller, &answer);
            assert!(message.contains("server.limits.memory"), "{caller}: {message}");
        }
    }
    assert_eq!((upstream.heard().len(), fetches("ok"), fetches("no_room")), (1, 1.0, 8.0));
    assert_eq!(lab.gateway.live.holdings.bytes(), 0);
    // One that is under way keeps others out.
    let slow = png().header("content-length", "2000000").data(PNG).step(Step::Hang);
    pictures.say(slow);
    let held = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(lab.gateway.live.holdings.bytes() >= 6_000_000, "{}", lab.gateway.live.holdings.bytes());
        assert_eq!(lab.send(ask).await.header("x-mainstay-shed"), "memory");
    };
    let (answer, ()) = tokio::join!(lab.send(ask), held);
    assert_eq!(answer.status, 400, "it never comes: {}", answer.text());
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_that_takes_the_url_serves_what_could_not_be_fetched() {
    let scene = Scene::new(
        TRUSTING,
        "  - model: demo\n    retry: {max_attempts: 1}\n    channels: [{upstream: bedrock}, {upstream: anthropic, tier: 1}]\n",
    );
    scene.scribe("127.0.0.1").say(Said::status(403));
    let (_, ask, _) = &asks("demo", PICTURE)[0];
    let answer = scene.lab.send(ask).await;
    ok(&answer, "the second channel");
    assert_eq!(answer.header("x-mainstay-channel"), "anthropic/demo");
    assert!(scene.body("anthropic").to_string().contains(PICTURE));
    assert_eq!((scene.heard("bedrock"), scene.heard("127.0.0.1")), (0, 1));
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_is_kept_for_the_next_attempt() {
    let scene = Scene::new(
        TRUSTING,
        "  - model: demo\n    channels: [{upstream: gemini}, {upstream: bedrock, tier: 1}]\n",
    );
    scene.scribe("gemini").say(Said::json(500, "{}"));
    let (_, ask, _) = &asks("demo", PICTURE)[2];
    let answer = scene.lab.send(ask).await;
    ok(&answer, "the second channel");
    assert_eq!(
        (answer.header("x-mainstay-channel"), answer.header("x-mainstay-attempts")),
        ("bedrock/demo", "2")
    );
    let data = json!(BASE64_STANDARD.encode(PNG));
    assert_eq!(inline("gemini", &scene.body("gemini"))["data"], data);
    assert_eq!(inline("bedrock", &scene.body("bedrock"))["source"]["bytes"], data);
    assert_eq!((scene.heard("127.0.0.1"), scene.fetches("ok")), (1, 1.0));
    scene.lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_picture_holds_no_channel_and_ends_with_the_request() {
    let scene = Scene::new(&format!("{TRUSTING}, timeout: 300s"), "");
    scene.scribe("127.0.0.1").say(Said::status(200).header("content-type", "image/png").step(Step::Hang));
    let (_, ask, _) = &asks("bedrock", PICTURE)[0];
    let in_flight = r#"mainstay_attempts_in_flight{upstream="bedrock",model="bedrock"}"#;
    let looking = async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(scene.lab.metric(r#"mainstay_requests_in_flight{route="bedrock"}"#), 1.0);
        assert_eq!(scene.lab.metric(in_flight), 0.0, "no place at the upstream while it is fetched");
    };
    let (answer, ()) = tokio::join!(scene.lab.send(ask), looking);
    assert_eq!((answer.status.as_u16(), scene.heard("bedrock")), (504, 0), "{}", answer.text());
    assert_eq!(answer.header("x-mainstay-attempts"), "0");
    scene.lab.assert_quiet().await;

    // A caller who goes takes the fetch with him.
    let gone = tokio::time::timeout(Duration::from_secs(5), scene.lab.send(ask)).await;
    assert!(gone.is_err());
    scene.lab.assert_quiet().await;
    assert_eq!(scene.lab.breaker("bedrock", ""), "closed");
}

#[tokio::test(start_paused = true)]
async fn limits_are_the_operators() {
    let urls = |count: usize| {
        let part = |n| json!({"type": "image_url", "image_url": {"url": format!("{PICTURE}?{n}")}});
        let parts: Vec<Value> = (0..count).map(part).collect();
        let body = json!({"model": "bedrock", "messages": [{"role": "user", "content": parts}]});
        Ask::post("/v1/chat/completions", body.to_string())
    };
    let scene = Scene::new(&format!("{TRUSTING}, max_urls: 3"), "");
    ok(&scene.lab.send(&urls(3)).await, "as many as allowed");
    let answer = scene.lab.send(&urls(4)).await;
    let (message, param) = sentence("openai", &answer);
    assert_eq!(
        (answer.status.as_u16(), param.as_deref()),
        (400, Some("messages[0].content[3].image_url.url"))
    );
    assert!(message.contains("more than 3 URLs"), "{message}");
    assert_eq!(scene.heard("127.0.0.1"), 3);

    // All URLs of a request together are no larger than what it could have brought itself.
    let scene = Scene::new(&format!("{TRUSTING}}}, limits: {{max_body: 2KiB"), "");
    scene.scribe("127.0.0.1").say(Said::status(200).data([PNG, &[0; 900]].concat()));
    ok(&scene.lab.send(&urls(1)).await, "one");
    let answer = scene.lab.send(&urls(2)).await;
    assert!(answer.status == 400 && answer.text().contains("server.limits.max_body"), "{}", answer.text());

    // Without it everything is as the dialects have it.
    let scene = Scene::new(&format!("{TRUSTING}, enabled: false"), "");
    let (_, ask, _) = &asks("bedrock", PICTURE)[0];
    let answer = scene.lab.send(ask).await;
    assert!(answer.status == 400 && answer.text().contains("as base64"), "{}", answer.text());
    let (_, ask, _) = &asks("gemini", PICTURE)[0];
    ok(&scene.lab.send(ask).await, "gemini");
    assert_eq!(scene.body("gemini")["contents"][0]["parts"][1]["fileData"]["fileUri"], PICTURE);
    // And by default no caller reaches what is not public, nor plain http.
    let scene = Scene::new("max_urls: 16", "");
    for url in [PICTURE, "https://127.0.0.1/cat.png"] {
        let (_, ask, _) = &asks("ollama", url)[0];
        assert_eq!(scene.lab.send(ask).await.status, 400);
    }
    assert_eq!((scene.heard("127.0.0.1"), scene.fetches("refused")), (0, 2.0));
    scene.lab.assert_quiet().await;
}
