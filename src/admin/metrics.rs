//! The Prometheus endpoint. Gauges are written from live state at the moment of the scrape.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};

use super::form::{Content, Form};
use super::{Phase, Running};
use crate::access::budgets;
use crate::access::limits::{Row, Seen};
use crate::state::Table;
use crate::telemetry::{Gauges, Metrics, catalogue as c, gzip, process};

pub(super) const METRICS: Form = Form::gives(Content::Text(&["text/plain"]), "every series");

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(State(running): super::Seen, headers: HeaderMap) -> Response {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|said| said.to_str().ok());
    let is_packed = gzip::is_accepted(&accepted.collect::<Vec<_>>().join(","));
    // With many channels it takes some milliseconds, which no request should wait for.
    let scraping = tokio::task::spawn_blocking(move || {
        let text = gathered(&*running, Metrics::render);
        match is_packed.then(|| gzip::gzip(text.as_bytes())) {
            Some(Ok(packed)) => ([(CONTENT_ENCODING, "gzip")], packed).into_response(),
            Some(Err(_)) | None => text.into_response(),
        }
    });
    // It does not panic, and nobody aborts it.
    let answer = scraping.await.unwrap_or_default();
    ([(CONTENT_TYPE, TEXT), (VARY, "accept-encoding")], answer).into_response()
}

/// What `read` makes of all metrics as they are now.
pub fn gathered<T>(running: &dyn Running, read: impl FnOnce(&Metrics) -> T) -> T {
    let table = running.table();
    table.live.metrics.gather(|| export(running, &table), read)
}

fn export(running: &dyn Running, table: &Table) {
    table.export();
    let gauges = Gauges(&table.live.metrics);
    process::export(&gauges);
    for pool in running.pools() {
        let counts = pool.counts();
        let states = [("idle", counts.idle), ("in_use", counts.in_use), ("opening", counts.opening)];
        for (state, count) in states {
            gauges.set(&c::POOL, &[pool.name(), state], count as f64);
        }
        gauges.set(&c::POOL_STREAMS, &[pool.name()], counts.streams as f64);
    }
    gauges.set(&c::JOURNAL_HELD, &[], running.journal().length() as f64);
    gauges.set(&c::CONNECTIONS, &[], running.connections() as f64);
    let held = running.remembered();
    gauges.set(&c::RESPONSES_HELD, &[], held.responses as f64);
    gauges.set(&c::RESPONSES_BYTES, &[], held.bytes as f64);
    for (store, kept) in running.kept() {
        gauges.set(&c::CACHE_HELD, &[store], kept.answers as f64);
        gauges.set(&c::CACHE_BYTES, &[store], kept.bytes as f64);
    }
    let now = table.live.clock.unix_now();
    for ((level, name, per), Gauged { left, spent, limit, ends }) in budgets(running.budgets()) {
        let labels = [level, &*name, per];
        gauges.set(&c::BUDGET_LEFT, &labels, left);
        gauges.set(&c::BUDGET_SPENT, &labels, spent);
        gauges.set(&c::BUDGET_LIMIT, &labels, limit);
        if let Some(ends) = ends {
            gauges.set(&c::BUDGET_ENDS, &labels, ends.saturating_sub(now.as_secs()) as f64);
        }
    }
    for Seen { holder, name, rows } in
        running.limits().1.into_iter().filter(|seen| !seen.is_issued()).take(MOST)
    {
        for Row { unit, limit, used, .. } in rows {
            let left = limit.saturating_sub(used);
            gauges.set(&c::LIMIT_LEFT, &[holder.name(), &name, unit.name()], left as f64);
        }
    }
    let age = |heard: Option<Duration>| heard.map_or(-1.0, |heard| now.saturating_sub(heard).as_secs_f64());
    if let Some(desk) = running.desk() {
        gauges.set(&c::KEYS_AGE, &[], age(desk.managed().heard()));
    }
    for published in running.issuers() {
        gauges.set(&c::ISSUER_AGE, &[&published.name], age(published.heard()));
    }
    gauges.set(&c::DRAINING, &[], f64::from(u8::from(running.phase() == Phase::Draining)));
    gauges.set(&c::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
}

/// Most holders and windows that have gauges: keys may be made without end.
const MOST: usize = 256;

/// Of several budgets of one window the one of which least is left counts.
struct Gauged {
    /// The share that is not spent.
    left: f64,
    /// In nano-USD, as the limit.
    spent: f64,
    limit: f64,
    /// In seconds since the Unix epoch.
    ends: Option<u64>,
}

/// By level, name and window.
fn budgets(all: Vec<budgets::Seen>) -> BTreeMap<(&'static str, Arc<str>, &'static str), Gauged> {
    let mut gauged = BTreeMap::<_, Gauged>::new();
    // Callers with tokens are as many as their issuer likes, and their names are its words.
    for seen in all.into_iter().filter(|seen| !seen.is_issued()) {
        let (left, ends) = (seen.left_ratio(), seen.ends);
        let [spent, limit] = [seen.spent, seen.budget.limit].map(|money| money.as_nano_usd() as f64);
        let of_this = (seen.holder.name(), seen.name, seen.budget.per.name());
        if gauged.len() < MOST || gauged.contains_key(&of_this) {
            let least = gauged.get(&of_this).is_none_or(|other| left < other.left);
            if least {
                gauged.insert(of_this, Gauged { left, spent, limit, ends });
            }
        }
    }
    gauged
}
