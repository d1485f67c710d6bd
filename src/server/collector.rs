//! Tells an OpenTelemetry collector what `telemetry::otlp` has for it: makes batches of the metrics, has the journal's
//! clerk make those of traces, and posts what waits in the mailboxes.
//!
//! A batch is posted at most [`TRIES`] times; which answers are worth another try is OTLP's to say
//! (<https://opentelemetry.io/docs/specs/otlp/#failures-1>). Nobody waits for any of it: a collector that is slow or
//! away fills its mailbox, which has a bound.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::host::Host;
use crate::admin::{self, Running};
use crate::algo::backoff::Backoff;
use crate::config::{Compression, Otlp};
use crate::dialect::classify::asked_wait;
use crate::ledger::Journal;
use crate::proxy::Gateway;
use crate::telemetry::gzip::gzip;
use crate::telemetry::otlp::{Delivered, Export, Mailbox, Resource, Signal, batches, vendor};
use crate::upstream::{Dial, Poster};

/// Of one batch.
const TRIES: u32 = 5;
/// Between them, where the collector does not say.
const WAITS: Backoff = Backoff { base: Duration::from_secs(2), cap: Duration::from_secs(30) };
/// What a collector may ask for.
const MOST_ASKED: Duration = Duration::from_mins(1);
/// Between two looks whether there is a collector by now.
const LOOK: Duration = Duration::from_secs(5);
/// Between two looks whether the last of it is gone.
const GLANCE: Duration = Duration::from_millis(20);
/// For the last of it, when the process ends.
const GOODBYE: Duration = Duration::from_secs(3);

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// How the end of the process reaches who tells the collector.
#[derive(Default)]
pub(super) struct Farewell {
    /// The last batch of metrics is wanted.
    asked: Notify,
    /// It is in the mailbox, or nobody wants any.
    made: Notify,
    /// Where metrics go.
    metrics: OnceLock<Arc<Mailbox>>,
}

/// Begins to tell, as soon as the configuration has somebody.
pub(super) fn begin(host: &Arc<Host>, dial: Arc<dyn Dial>) {
    let poster = Arc::new(Poster::new(dial));
    let name = host.gateway().live.name_request();
    let resource = Resource { instance: name["req_".len()..].to_owned() };
    host.tasks.spawn("requests told", trace(Arc::downgrade(host), Arc::clone(&poster), resource.clone()));
    host.tasks.spawn("metrics told", measure(Arc::downgrade(host), poster, resource));
}

/// Returns once the collector has all spans that were made and what the metrics came to, or has had its time.
pub(super) async fn finish(journal: &Journal, farewell: &Farewell) {
    let settled = async {
        farewell.asked.notify_one();
        farewell.made.notified().await;
        let mailboxes = [journal.mailbox(), farewell.metrics.get().map(|mailbox| &**mailbox)];
        while !mailboxes.iter().flatten().all(|mailbox| mailbox.is_settled()) {
            sleep(GLANCE).await;
        }
    };
    if timeout(GOODBYE, settled).await.is_err() {
        tracing::warn!("the collector did not take the last of metrics and spans in time");
    }
}

/// Has spans of requests made, from when there is somebody to be told.
async fn trace(host: Weak<Host>, poster: Arc<Poster>, resource: Resource) {
    loop {
        let Some(host) = host.upgrade() else { return };
        let gateway = host.gateway();
        if collector(gateway).is_some_and(|settings| settings.traces.is_some()) {
            let mailbox = Arc::new(Mailbox::new(Signal::Traces, &gateway.live.metrics));
            host.journal().tell(Arc::clone(&mailbox), resource);
            host.tasks.spawn("traces sent", deliver(mailbox, Arc::clone(gateway), poster));
            return;
        }
        drop(host);
        sleep(LOOK).await;
    }
}

/// Makes batches of the metrics, the last one when the process ends.
async fn measure(host: Weak<Host>, poster: Arc<Poster>, resource: Resource) {
    let Some(live) = host.upgrade().map(|host| Arc::clone(&host.gateway().live)) else { return };
    let Some(farewell) = host.upgrade().map(|host| Arc::clone(&host.farewell)) else { return };
    let since = nanos(live.clock.unix_now());
    let mut pause = LOOK;
    loop {
        let is_last = tokio::select! {
            () = sleep(pause) => false,
            () = farewell.asked.notified() => true,
        };
        let Some(host) = host.upgrade() else { return };
        let settings = collector(host.gateway()).filter(|settings| settings.metrics);
        pause = settings.as_ref().map_or(LOOK, |settings| settings.interval);
        if settings.is_some() {
            let mailbox = farewell.metrics.get_or_init(|| {
                let mailbox = Arc::new(Mailbox::new(Signal::Metrics, &live.metrics));
                let gateway = Arc::clone(host.gateway());
                host.tasks.spawn("metrics sent", deliver(Arc::clone(&mailbox), gateway, Arc::clone(&poster)));
                mailbox
            });
            for batch in measured(&host, resource.clone(), since).await {
                mailbox.put(batch);
            }
        }
        if is_last {
            farewell.made.notify_one();
        }
    }
}

/// All metrics as they are.
async fn measured(host: &Arc<Host>, resource: Resource, since: u64) -> Vec<Vec<u8>> {
    let host = Arc::clone(host);
    // With many channels it takes some milliseconds, which no request should wait for.
    let made = tokio::task::spawn_blocking(move || {
        let table = &host.gateway().snapshot().table;
        let vendors = |upstream: &str| {
            let found = table.upstreams.iter().find(|known| *known.config.name == *upstream)?;
            Some(vendor(found.config.provider.name))
        };
        let now = nanos(host.gateway().live.clock.unix_now());
        let export = Export { resource: &resource, since, now, vendors: &vendors };
        admin::gathered(&*host, |metrics| batches(metrics, &export))
    });
    made.await.unwrap_or_default()
}

fn collector(gateway: &Gateway) -> Option<Otlp> {
    gateway.snapshot().table.telemetry.otlp.clone()
}

/// Posts what is put into `mailbox`, in its order.
pub(super) async fn deliver(mailbox: Arc<Mailbox>, gateway: Arc<Gateway>, poster: Arc<Poster>) {
    let mut works = true;
    loop {
        let batch = mailbox.next().await;
        let mut failed = 0;
        // Without a collector, by now, nobody wants it.
        while let Some(settings) = collector(&gateway) {
            let (result, why) = match post(&poster, &gateway, &settings, mailbox.signal, batch.clone()).await
            {
                Answer::Taken => (Delivered::Sent, None),
                Answer::Unwanted(why) => (Delivered::Refused, Some(why)),
                Answer::Later(why, _) if failed + 1 >= TRIES => (Delivered::GivenUp, Some(why)),
                Answer::Later(why, wait) => {
                    mailbox.count(Delivered::Retried);
                    say(&mut works, mailbox.signal, Some(&why));
                    let wait = wait.unwrap_or_else(|| WAITS.delay(failed, &mut gateway.live.dice()));
                    sleep(wait.min(MOST_ASKED)).await;
                    failed += 1;
                    continue;
                }
            };
            mailbox.count(result);
            say(&mut works, mailbox.signal, why.as_deref());
            break;
        }
        mailbox.settle();
    }
}

/// Logs that the collector is away, or is back, once each.
fn say(works: &mut bool, signal: Signal, why: Option<&str>) {
    let signal = signal.name();
    match why {
        Some(why) if *works => {
            tracing::warn!(signal, why, "the collector takes nothing; what waits is bounded");
        }
        None if !*works => tracing::info!(signal, "the collector takes what it is sent again"),
        Some(_) | None => {}
    }
    *works = why.is_none();
}

/// What a collector made of a batch.
enum Answer {
    Taken,
    /// Another try would end as this one.
    Unwanted(String),
    /// And when to try again, where it says so.
    Later(String, Option<Duration>),
}

async fn post(poster: &Poster, gateway: &Gateway, settings: &Otlp, signal: Signal, batch: Bytes) -> Answer {
    let mut fields = HeaderMap::new();
    for (name, value) in &settings.headers {
        // Looked at when the configuration was.
        if let Ok(mut value) = HeaderValue::from_str(value.expose()) {
            value.set_sensitive(true);
            fields.insert(name, value);
        }
    }
    fields.insert(CONTENT_TYPE, PROTOBUF);
    let body = match settings.compression {
        Compression::None => batch,
        Compression::Gzip => {
            fields.insert(CONTENT_ENCODING, GZIP);
            let zipped = tokio::task::spawn_blocking(move || gzip(&batch)).await;
            match zipped {
                Ok(Ok(zipped)) => zipped.into(),
                Ok(Err(_)) | Err(_) => return Answer::Unwanted("it could not be compressed".to_owned()),
            }
        }
    };
    let path = format!("{}{}", settings.endpoint.path, signal.path());
    match poster.post(&settings.endpoint, &path, fields, body, settings.timeout).await {
        Ok((status, _)) if status.is_success() => Answer::Taken,
        Ok((status, fields)) => {
            let why = format!("it answers {status}");
            match status {
                StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT => {
                    let wait = asked_wait(status.as_u16(), &fields, gateway.live.clock.unix_now());
                    Answer::Later(why, wait)
                }
                _ => Answer::Unwanted(why),
            }
        }
        Err(why) => Answer::Later(why, None),
    }
}

fn nanos(unix: Duration) -> u64 {
    u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX)
}
