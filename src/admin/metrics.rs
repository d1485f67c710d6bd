//! The Prometheus endpoint. Gauges are written from live state at the moment of the scrape.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

use super::form::{Content, Form};
use super::{Phase, Seen};
use crate::access::budgets;
use crate::telemetry::{Gauges, catalogue as c};

pub(super) const METRICS: Form = Form::gives(Content::Text(&["text/plain"]), "every series");

pub(super) async fn metrics(State(running): Seen) -> impl IntoResponse {
    let table = running.table();
    table.export();
    let gauges = Gauges(&table.live.metrics);
    for pool in running.pools() {
        let counts = pool.counts();
        let states = [("idle", counts.idle), ("in_use", counts.in_use), ("opening", counts.opening)];
        for (state, count) in states {
            gauges.set(&c::POOL, &[pool.name(), state], count as f64);
        }
    }
    gauges.set(&c::JOURNAL_HELD, &[], running.journal().length() as f64);
    gauges.set(&c::CONNECTIONS, &[], running.connections() as f64);
    let held = running.remembered();
    gauges.set(&c::RESPONSES_HELD, &[], held.responses as f64);
    for (store, kept) in running.kept() {
        gauges.set(&c::CACHE_HELD, &[store], kept.answers as f64);
        gauges.set(&c::CACHE_BYTES, &[store], kept.bytes as f64);
    }
    for ((level, name, per), (left, spent)) in budgets(running.budgets()) {
        gauges.set(&c::BUDGET_LEFT, &[level, &name, per], left);
        gauges.set(&c::BUDGET_SPENT, &[level, &name, per], spent);
    }
    gauges.set(&c::RESPONSES_BYTES, &[], held.bytes as f64);
    let now = table.live.clock.unix_now();
    let age = |heard: Option<Duration>| heard.map_or(-1.0, |heard| now.saturating_sub(heard).as_secs_f64());
    if let Some(desk) = running.desk() {
        gauges.set(&c::KEYS_AGE, &[], age(desk.managed().heard()));
    }
    for published in running.issuers() {
        gauges.set(&c::ISSUER_AGE, &[&published.name], age(published.heard()));
    }
    gauges.set(&c::DRAINING, &[], f64::from(u8::from(running.phase() == Phase::Draining)));
    gauges.set(&c::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], table.live.metrics.render())
}

/// Most holders and windows that have gauges: keys may be made without end.
const MOST: usize = 256;

/// The share that is left and what is spent, by level, name and window. Of several budgets of one window the one of which
/// least is left counts.
type Gauged = BTreeMap<(&'static str, Arc<str>, &'static str), (f64, f64)>;

fn budgets(all: Vec<budgets::Seen>) -> Gauged {
    let mut gauged = Gauged::new();
    // Callers with tokens are as many as their issuer likes, and their names are its words.
    for seen in all.into_iter().filter(|seen| !seen.is_issued()) {
        let (left, spent) = (seen.left_ratio(), seen.spent.as_nano_usd() as f64);
        let of_this = (seen.holder.name(), seen.name, seen.budget.per.name());
        if gauged.len() < MOST || gauged.contains_key(&of_this) {
            let (least, _) = gauged.entry(of_this).or_insert((left, spent));
            *least = least.min(left);
        }
    }
    gauged
}
