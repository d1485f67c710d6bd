//! Leaving without anybody noticing (RESILIENCE §4.15).
//!
//! Not ready, still accepting; then no new connections, and every open one ends with its last request; then, when the
//! patience for long streams is used up, an error event at the end of each of them, and a 503 for who waits for the
//! beginning of his answer. Whoever is in a hurry ends the patience.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::host::Host;
use super::lifecycle::Stage;
use crate::config::Drain;

/// How often it is looked whether requests have ended.
const LOOK: Duration = Duration::from_millis(50);
/// For the error events of streams that are cut off, and for the callers to read them.
const LAST_EVENTS: Duration = Duration::from_secs(6);
/// Beyond the spread, for connections to close that have nothing to do.
const GOODBYES: Duration = Duration::from_secs(2);

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// Every request ended by itself.
    Clean,
    /// This many had to be cut off.
    Cut(u32),
}

/// Drains; as soon as `hurry` ends, nobody is waited for any more who can be told so. Dropping the future in the middle
/// leaves the process closing; the end of `host` ends the rest.
pub async fn drain(host: &Arc<Host>, hurry: impl Future<Output = ()>) -> Drained {
    let Drain { pre_stop_delay, timeout: patience, close_spread } =
        host.gateway().snapshot().table.server.drain.clone();
    tracing::info!(in_flight = host.gateway().in_flight(), "draining");
    host.lifecycle.enter(Stage::Leaving);
    host.gateway().stop_mirrors();
    let in_peace = async {
        sleep(pre_stop_delay).await;
        host.lifecycle.enter(Stage::Closing);
        let _ = timeout(patience, gone(host, close_spread + GOODBYES)).await;
    };
    let hurried = tokio::select! {
        () = in_peace => false,
        () = hurry => true,
    };
    host.lifecycle.enter(Stage::Closing);

    let left = under_way(host);
    if left > 0 {
        let why = if hurried { "somebody is in a hurry" } else { "the drain has taken too long" };
        tracing::warn!(left, "requests are cut off: {why}");
    }
    if left > 0 || hurried {
        host.gateway().cut_off();
        // So that everybody looks.
        host.lifecycle.enter(Stage::CutOff);
        let _ = timeout(LAST_EVENTS, quiet(host)).await;
    }
    host.keep().await;
    let spread = if hurried { Duration::ZERO } else { close_spread };
    let _ = timeout(spread + GOODBYES, host.front.emptied()).await;
    host.close_store().await;
    host.lifecycle.enter(Stage::Gone);
    if left == 0 { Drained::Clean } else { Drained::Cut(left) }
}

/// Waits until no connection is open, or those that are have had nothing to do for as long as `idle`: until they are
/// closed, idle ones still take requests.
async fn gone(host: &Host, idle: Duration) {
    loop {
        quiet(host).await;
        if timeout(idle, host.front.emptied()).await.is_ok() || under_way(host) == 0 {
            return;
        }
    }
}

async fn quiet(host: &Host) {
    while under_way(host) > 0 {
        sleep(LOOK).await;
    }
}

/// Requests that have not ended, those included that are not all there yet.
fn under_way(host: &Host) -> u32 {
    let known = host.gateway().in_flight().max(host.gateway().unattended());
    if known > 0 { known } else { host.front.busy() }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use bytes::Bytes;
    use http_body_util::Full;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::{sleep, timeout};

    use super::super::testing::{Bench, FILE, chat, read_to};
    use super::*;
    use crate::admin::{Phase, Running};

    const S: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_drain_lets_streams_finish_and_closes_what_is_idle() {
        let paced = "{provider: simulated, simulated: {pace: 1s, words: 24}}";
        let bench = Bench::start(&FILE.replace("{provider: simulated}", paced));
        let mut idle = bench.connect(1 << 16);
        idle.write_all(chat("", false).as_bytes()).await.unwrap();
        read_to(&mut idle, "usage").await;
        let mut busy = bench.connect(1 << 16);
        busy.write_all(chat("", true).as_bytes()).await.unwrap();
        let begun = read_to(&mut busy, "data:").await;
        assert!(!begun.contains("[DONE]"), "it is in the middle: {begun}");

        let host = Arc::clone(&bench.host);
        let draining = tokio::spawn(async move { drain(&host, pending()).await });
        sleep(S).await;
        assert_eq!(bench.host.phase(), Phase::Draining);
        idle.write_all(chat("", false).as_bytes()).await.unwrap();
        let answer = read_to(&mut idle, "usage").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "still served before it stops accepting: {answer}");
        assert!(answer.contains("connection: close"), "and told that it is the last time: {answer}");
        let mut late = bench.connect(1 << 16);
        for _ in 0..2 {
            late.write_all(chat("", false).as_bytes()).await.unwrap();
            let answer = read_to(&mut late, "usage").await;
            assert!(!answer.contains("connection: close"), "it would come back at once: {answer}");
        }

        bench.host.lifecycle.reached(Stage::Closing).await;
        assert_eq!(bench.host.gateway().in_flight(), 1);
        let rest = read_to(&mut busy, "[DONE]").await;
        assert!(rest.matches("data:").count() > 15, "most of it came after the listener was closed: {rest}");
        let mut rest = Vec::new();
        let ended = timeout(S * 20, idle.read_to_end(&mut rest)).await.expect("closed");
        assert!(ended.is_ok());
        assert_eq!(draining.await.unwrap(), Drained::Clean);
        assert_eq!(bench.host.front.open(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_outlasts_the_drain_is_cut_off() {
        let bench = Bench::start(&FILE.replace("timeout: 60s", "timeout: 2s"));
        for sim in bench.sims.values() {
            sim.control().set(vec![crate::simulated::Rule::new(crate::simulated::Fault::Hang)]);
        }
        let mut waiting = bench.connect(1 << 16);
        waiting.write_all(chat("", true).as_bytes()).await.unwrap();
        let shared = bench.connect(1 << 16);
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(shared)).await.unwrap();
        tokio::spawn(connection);
        let body = r#"{"model":"demo","messages":[{"role":"user","content":"hi"}]}"#;
        let request = http::Request::post("http://g/v1/chat/completions").body(Full::new(Bytes::from(body)));
        let stream = tokio::spawn(async move { sender.send_request(request.unwrap()).await });
        sleep(S).await;
        let gateway = bench.host.gateway();
        assert_eq!(gateway.in_flight(), 2);
        let began = gateway.live.now();
        let drained = timeout(S * 60, drain(&bench.host, pending())).await.expect("it ends");
        assert_eq!(drained, Drained::Cut(2));
        let took = gateway.live.now().since(began);
        assert!(took < S * (5 + 2 + 5 + 1), "nobody waits for anything: {took:?}");
        let mut answer = String::new();
        timeout(S, waiting.read_to_string(&mut answer)).await.expect("closed").unwrap();
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("connection: close"), "{answer}");
        assert!(answer.contains("retry-after: 1") && answer.contains("server.drain.timeout"), "{answer}");
        let answer = stream.await.unwrap().unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["retry-after"]),
            (503, &"1".parse().unwrap())
        );
        assert_eq!((gateway.in_flight(), bench.host.front.open()), (0, 0));
        let failed = r#"mainstay_requests_total{route="demo",dialect="openai",outcome="failed"} 2"#;
        let page = gateway.live.metrics.render();
        assert!(page.contains(failed), "{page}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_before_an_idle_connection_is_closed_is_answered_whole() {
        let bench = Bench::start(FILE);
        for sim in bench.sims.values() {
            let slow = crate::simulated::Fault::Slow { ttft: S * 20 };
            sim.control().set(vec![crate::simulated::Rule::new(slow).path("/v1/chat")]);
        }
        let mut idle: Vec<_> = (0..8).map(|_| bench.connect(1 << 16)).collect();
        sleep(S).await;
        let host = Arc::clone(&bench.host);
        let draining = tokio::spawn(async move { drain(&host, pending()).await });
        bench.host.lifecycle.reached(Stage::Closing).await;
        sleep(S / 4).await;
        let mut served = 0;
        for caller in &mut idle {
            let _ = caller.write_all(chat("", true).as_bytes()).await;
        }
        for mut caller in idle {
            let mut answer = String::new();
            let _ = timeout(S * 60, caller.read_to_string(&mut answer)).await.expect("closed");
            assert!(answer.is_empty() || answer.contains("[DONE]"), "cut short: {answer}");
            served += u32::from(!answer.is_empty());
        }
        assert!(served > 3, "{served}");
        assert_eq!(draining.await.unwrap(), Drained::Clean);
        let page = bench.host.gateway().live.metrics.render();
        let ok = format!(r#"mainstay_requests_total{{route="demo",dialect="openai",outcome="ok"}} {served}"#);
        assert!(page.contains(&ok), "{page}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_in_a_hurry_cuts_off_what_is_under_way_and_it_is_booked() {
        let bench = Bench::start(FILE);
        for sim in bench.sims.values() {
            sim.control().set(vec![crate::simulated::Rule::new(crate::simulated::Fault::Hang)]);
        }
        let mut waiting = bench.connect(1 << 16);
        waiting.write_all(chat("", true).as_bytes()).await.unwrap();
        let _idle = bench.connect(1 << 16);
        sleep(S).await;
        let gateway = bench.host.gateway();
        assert_eq!(gateway.in_flight(), 1);
        let began = gateway.live.now();
        let drained = drain(&bench.host, sleep(S)).await;
        let took = gateway.live.now().since(began);
        assert_eq!(drained, Drained::Cut(1));
        assert!(took < S * 4, "{took:?}");
        let mut answer = String::new();
        timeout(S, waiting.read_to_string(&mut answer)).await.expect("closed").unwrap();
        assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("connection: close"), "{answer}");
        assert_eq!((gateway.in_flight(), bench.host.front.open()), (0, 0));
        let page = gateway.live.metrics.render();
        assert!(
            page.contains(r#"mainstay_requests_total{route="demo",dialect="openai",outcome="failed"} 1"#),
            "{page}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_what_is_read_though_nobody_waits_for_it() {
        let raced = "{model: demo, hedge: {enabled: true, delay: 1s, max_share: 1}, \
                     channels: [{upstream: a}, {upstream: b, tier: 1}]}";
        let file = FILE.replace("{model: demo, channels: [{upstream: a}, {upstream: b}]}", raced);
        let drained = "a: {provider: simulated, on_hangup: drain}";
        let bench = Bench::start(&file.replace("a: {provider: simulated}", drained));
        let slow = crate::simulated::Fault::Slow { ttft: S * 9 };
        bench.sims["a"].control().set(vec![crate::simulated::Rule::new(slow).path("/v1/chat")]);
        let mut caller = bench.connect(1 << 16);
        caller.write_all(chat("", false).as_bytes()).await.unwrap();
        read_to(&mut caller, "usage").await;
        let gateway = bench.host.gateway();
        assert_eq!((gateway.in_flight(), gateway.unattended()), (0, 1));
        let drained = timeout(S * 60, drain(&bench.host, pending())).await.expect("it ends");
        assert_eq!((drained, gateway.unattended()), (Drained::Clean, 0));
        let seen = bench.sims["a"].control().seen();
        assert!(matches!(seen[0].outcome, crate::simulated::Outcome::Completed), "{:?}", seen[0].outcome);
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_waits_for_no_mirrored_request() {
        let mirrored = "{model: demo, mirror: {to: shadow, share: 100%}, channels: [{upstream: a}]}\n  \
                        - {model: shadow, channels: [{upstream: b}]}";
        let bench =
            Bench::start(&FILE.replace("{model: demo, channels: [{upstream: a}, {upstream: b}]}", mirrored));
        let hang = crate::simulated::Rule::new(crate::simulated::Fault::Hang).path("/v1/chat");
        bench.sims["b"].control().set(vec![hang]);
        let mut caller = bench.connect(1 << 16);
        caller.write_all(chat("", false).as_bytes()).await.unwrap();
        read_to(&mut caller, "usage").await;
        let under_way = || bench.sims["b"].control().counts().in_flight;
        sleep(S).await;
        assert_eq!(under_way(), 1);
        let drained = timeout(S * 20, drain(&bench.host, pending())).await.expect("nobody is waited for");
        assert_eq!((drained, under_way()), (Drained::Clean, 0));
    }
}
