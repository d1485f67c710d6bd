//! Routes that differ from the whole, and what a plain service sees of keys.

use std::cell::RefCell;
use std::io::Write;
use std::sync::{Arc, Once};

use parking_lot::Mutex;
use tracing::Metadata;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt};

use super::{SHOP, sending};
use crate::lab::{Answer, Ask, Lab, Said, Scribe};

const ROUTES: &str = "
keys: {shop: {secret: '${LAB_SHOP}'}}
upstreams: {a: {provider: http, base_url: 'http://a'}, b: {provider: simulated}}
routes:
  - {path: /whole/, channels: [{upstream: a}]}
  - {path: /open/, access: open, channels: [{upstream: a}]}
  - {path: /closed/, access: keys, channels: [{upstream: a}]}
  - {model: whole, channels: [{upstream: b}]}
  - {model: open, access: open, channels: [{upstream: b}]}
  - {model: closed, access: keys, channels: [{upstream: b}]}
";

fn lab(whole: &str) -> (Lab, Arc<Scribe>) {
    let scribe = Scribe::saying(Said::status(200).data("served"));
    (Lab::beside(&format!("version: 1\naccess: {whole}\n{ROUTES}"), &[("a", &scribe)]), scribe)
}

fn was_refused(answer: &Answer) -> bool {
    match answer.status.as_u16() {
        200 => false,
        401 => true,
        other => panic!("{other}: {}", answer.text()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_route_says_itself_whether_it_needs_a_key() {
    for (whole, needs) in [("open", false), ("keys", true)] {
        let (lab, _) = lab(whole);
        for (name, needs) in [("whole", needs), ("open", false), ("closed", true)] {
            for ask in [Ask::get(&format!("/{name}/x")), Ask::chat(name), Ask::stream(name)] {
                let none = lab.send(&ask).await;
                assert_eq!(was_refused(&none), needs, "{whole}: {}", ask.path);
                let wrong = lab.send(&sending(&ask, "authorization", "sk-of-a-vendor-0123")).await;
                assert_eq!(was_refused(&wrong), needs, "{whole}: {}", ask.path);
                assert!(!was_refused(&lab.send(&sending(&ask, "authorization", SHOP)).await));
            }
        }
        assert_eq!(was_refused(&lab.send(&Ask::get("/v1/models")).await), needs);
        let unknown = lab.send(&Ask::chat("whole-other")).await;
        assert_eq!(unknown.status, if needs { 401 } else { 404 }, "{}", unknown.text());
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_gets_what_is_its_own_and_never_a_key_of_ours() {
    let (lab, scribe) = lab("keys");
    for path in ["/whole/x", "/open/x", "/closed/x"] {
        for way in super::WAYS {
            let ask = Ask::get(&format!("{path}?a=%2F&&b")).header("cookie", "theirs=1");
            let answer = lab.send(&sending(&ask, way, SHOP)).await;
            assert_eq!(answer.status, 200, "{path} {way}");
            let heard = scribe.only();
            assert_eq!(heard.uri, format!("{path}?a=%2F&&b").as_str(), "{way}");
            assert_eq!(heard.header("cookie"), "theirs=1");
            assert!(!format!("{heard:?}").contains("secret-of"), "{heard:?}");
        }
        let ask = sending(&Ask::get(path).header("authorization", "Basic dGhlaXJz"), "x-api-key", SHOP);
        assert_eq!(lab.send(&ask).await.status, 200);
        assert_eq!(scribe.only().header("authorization"), "Basic dGhlaXJz");
    }
    let ask =
        Ask::get("/open/x?key=theirs").header("authorization", "Bearer theirs").header("x-api-key", SHOP);
    assert_eq!(lab.send(&ask).await.status, 200, "nobody is asked who he is");
    let heard = scribe.only();
    assert_eq!((heard.uri.query(), heard.header("authorization")), (Some("key=theirs"), "Bearer theirs"));
    assert!(!heard.headers.contains_key("x-api-key"));
    lab.assert_quiet().await;
}

/// What this thread logs while it listens. One subscriber serves the whole binary: one that comes and goes
/// races with the other tests, which register what may be logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

thread_local! {
    static LISTENING: RefCell<Option<Log>> = const { RefCell::new(None) };
}

impl Log {
    fn listening() -> Self {
        static SUBSCRIBED: Once = Once::new();
        SUBSCRIBED.call_once(|| {
            let of_this_thread =
                |_: &Metadata<'_>, _: &Context<'_, Registry>| LISTENING.with_borrow(Option::is_some);
            let writer = || LISTENING.with_borrow(|log| log.clone().unwrap_or_default());
            let layer = fmt::layer().with_ansi(false).with_writer(writer);
            tracing_subscriber::registry().with(layer.with_filter(dynamic_filter_fn(of_this_thread))).init();
        });
        let log = Self::default();
        LISTENING.set(Some(log.clone()));
        log
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn logs_and_metrics_have_the_keys_name_and_never_its_secret() {
    let log = Log::listening();
    let (lab, _) = lab("keys");
    let journal = lab.keep_journal();
    for ask in [Ask::get("/whole/x"), Ask::chat("whole"), Ask::stream("whole"), Ask::chat("none")] {
        for way in super::WAYS {
            lab.send(&sending(&ask, way, SHOP)).await;
            lab.send(&sending(&ask, way, "secret-of-nobody-here")).await;
        }
    }
    lab.assert_quiet().await;
    let logged = String::from_utf8_lossy(&log.0.lock()).into_owned();
    let metrics = lab.gateway.live.metrics.render();
    // What is in its line of the log, too.
    let decisions = serde_json::json!(journal.decisions().await).to_string();
    assert!(decisions.contains(r#""key":"shop""#) && metrics.contains(r#"key="shop""#), "{decisions}");
    for said in [logged, metrics, decisions] {
        assert!(!said.contains("secret-of"), "{said}");
    }
}
