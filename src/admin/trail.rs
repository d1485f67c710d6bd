//! The audit trail: who changed what through the admin side, and which configuration came into force when.
//!
//! A row is in the log at once (target `mainstay::audit`), and in the store where there is one; what the store would not
//! take is offered again. Without a store the last rows are kept in memory. Nothing is ever changed or taken out, and no
//! secret is in it.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{Seen, parameter, problem};
use crate::state::Live;
use crate::store::rows::RowId;
use crate::store::{AuditRow, Error, Store};
use crate::telemetry::catalogue;

/// Rows in memory: of those that the store has not, and of the last ones where there is none.
const KEPT: usize = 1000;
/// Rows of one answer.
const LISTED: u32 = 100;

/// Writes the trail.
pub struct Trail {
    live: Arc<Live>,
    store: Option<Arc<Store>>,
    rows: Mutex<VecDeque<AuditRow>>,
    /// The last row's, since several may be of one moment and ids are to be in their order.
    last: Mutex<RowId>,
    /// Held by whoever writes, so that rows come in their order and once.
    turn: tokio::sync::Mutex<()>,
}

/// Something that somebody did.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    /// An operator, or `gateway` where nobody asked for it.
    pub actor: &'a str,
    /// `key.create`, `reload`, …
    pub action: &'a str,
    /// What it was done to.
    pub subject: &'a str,
    /// What was before, and after: without any secret.
    pub detail: Value,
}

impl Trail {
    pub fn new(live: Arc<Live>, store: Option<Arc<Store>>) -> Arc<Self> {
        live.metrics.counter(&catalogue::AUDIT_LOST, &[]).increment(0);
        Arc::new(Self {
            live,
            store,
            rows: Mutex::default(),
            last: Mutex::new(RowId(0)),
            turn: tokio::sync::Mutex::default(),
        })
    }

    /// Books a deed. Waits for the store, no longer than it takes to find out that it is away.
    pub async fn note(&self, deed: Deed<'_>) {
        self.take(deed);
        self.write().await;
    }

    fn take(&self, deed: Deed<'_>) {
        let Deed { actor, action, subject, detail } = deed;
        let unix = self.live.clock.unix_now();
        let mut dice = self.live.dice();
        let chance = u128::from(dice.next_u64()) << 64 | u128::from(dice.next_u64());
        let mut last = self.last.lock();
        *last = RowId::new(unix, chance).max(RowId(last.0.saturating_add(1)));
        let row = AuditRow {
            id: *last,
            at_micros: i64::try_from(unix.as_micros()).unwrap_or(i64::MAX),
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_string(),
        };
        tracing::info!(target: "mainstay::audit", actor, action, subject, detail = row.detail, "audit");
        let mut rows = self.rows.lock();
        let lost = if rows.len() >= KEPT { rows.pop_front() } else { None };
        rows.push_back(row);
        drop(rows);
        // Without a store nobody has been promised more than the last ones.
        if let (Some(lost), Some(_)) = (lost, &self.store) {
            self.live.metrics.counter(&catalogue::AUDIT_LOST, &[]).increment(1);
            tracing::warn!(
                id = %lost.id, action = lost.action, kept = KEPT,
                "the store has been away for too long: a row of the audit trail is in the log only; mend the store"
            );
        }
    }

    /// Offers the store what it has not taken yet.
    pub async fn write(&self) {
        let Some(store) = &self.store else { return };
        let _turn = self.turn.lock().await;
        loop {
            let Some(row) = self.rows.lock().front().cloned() else { return };
            match store.append_audit(&row).await {
                // Nobody has this id but a row whose answer was lost.
                Ok(()) | Err(Error::Taken) => {
                    let mut rows = self.rows.lock();
                    if rows.front().is_some_and(|first| first.id == row.id) {
                        rows.pop_front();
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the audit trail waits for the store");
                    return;
                }
            }
        }
    }

    /// The newest first, at most `most` of those before the one of this id.
    async fn read(&self, before: Option<RowId>, most: u32) -> Result<Vec<AuditRow>, Error> {
        let held: Vec<AuditRow> = self.rows.lock().iter().rev().cloned().collect();
        let held = held.into_iter().filter(|row| before.is_none_or(|before| row.id < before));
        let stored = match &self.store {
            Some(store) => store.audit(before, most).await?,
            None => Vec::new(),
        };
        Ok(held.chain(stored).take(most as usize).collect())
    }
}

/// Does what changes something, and notes it, whether somebody still waits for the answer or not: whoever hangs up in
/// the middle of a change must not be able to leave it unsaid.
pub(super) async fn to_its_end(work: impl Future<Output = Response> + Send + 'static) -> Response {
    tokio::spawn(work).await.unwrap_or_else(|_| {
        problem(StatusCode::INTERNAL_SERVER_ERROR, "it broke off; look at what there is before you ask again")
    })
}

pub(super) async fn audit(State(running): Seen, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let before = match parameter(&query, "before").map(|text| u128::from_str_radix(&text, 16)).transpose() {
        Ok(id) => id.map(RowId),
        Err(_) => return problem(StatusCode::BAD_REQUEST, "`before` is the id of a row"),
    };
    match running.trail().read(before, LISTED).await {
        Ok(rows) => {
            let next = rows.last().filter(|_| rows.len() == LISTED as usize).map(|row| row.id.to_string());
            let rows: Vec<Value> = rows.iter().map(shown).collect();
            Json(json!({ "audit": rows, "before": next })).into_response()
        }
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

fn shown(row: &AuditRow) -> Value {
    json!({
        "id": row.id.to_string(),
        "at": row.at_micros as f64 / 1e6,
        "actor": row.actor,
        "action": row.action,
        "subject": row.subject,
        "detail": serde_json::from_str::<Value>(&row.detail).unwrap_or_default(),
    })
}
