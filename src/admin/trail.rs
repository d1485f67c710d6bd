//! The audit trail: who changed what through the admin side, or was refused to, and which configuration came into force
//! when. A handler changes things and says in its answer what became of them ([`Note`]); the door books that
//! ([`Trail::conclude`]).
//!
//! A row is in the log at once (target `mainstay::audit`), and in the store where there is one; what the store would
//! not take is offered again. Without a store the last rows are kept in memory. Nothing is ever changed or taken out,
//! and no secret is in it.

use std::collections::VecDeque;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::explain::decoded;
use super::form::{Form, Kind, Parameter};
use super::{Operator, Seen, parameter, problem};
use crate::state::Live;
use crate::store::rows::RowId;
use crate::store::{AuditRow, Error, Store};
use crate::telemetry::catalogue;

/// Rows in memory: of those that the store has not, and of the last ones where there is none.
const KEPT: usize = 1000;
/// Characters of a subject that a path names.
const SUBJECT_MAX: usize = 200;
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

/// What a handler says of what it did; it goes along with the answer, and is no part of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Note {
    /// Where it is not what the path names.
    subject: Option<String>,
    detail: Map<String, Value>,
}

impl Note {
    /// What was before, and after, without any secret: an object.
    pub(super) fn new(detail: Value) -> Self {
        let detail = match detail {
            Value::Object(detail) => detail,
            Value::Null => Map::new(),
            other => Map::from_iter([("detail".to_owned(), other)]),
        };
        Self { detail, ..Self::default() }
    }

    /// What it was done to, where the path does not name it.
    pub(super) fn about(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// The answer that it goes along with.
    pub(super) fn on(self, response: impl IntoResponse) -> Response {
        let mut response = response.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// What a request is about: the parts of `path` for which the route's pattern has a name, else the path itself.
pub(super) fn subject(pattern: &str, path: &str) -> String {
    let pairs = pattern.split('/').zip(path.split('/'));
    let named: Vec<&str> = pairs.filter(|(part, _)| part.starts_with('{')).map(|(_, said)| said).collect();
    let subject = if named.is_empty() { path.to_owned() } else { decoded(&named.join("/")) };
    subject.chars().take(SUBJECT_MAX).collect()
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

    /// Books what an operator did, or was refused, by its answer.
    pub(super) async fn conclude(
        &self,
        operator: &Operator,
        action: &'static str,
        subject: &str,
        mut response: Response,
    ) -> Response {
        let Note { subject: about, mut detail } =
            response.extensions_mut().remove::<Note>().unwrap_or_default();
        detail.insert("status".to_owned(), response.status().as_u16().into());
        let subject = about.as_deref().unwrap_or(subject);
        self.note(Deed { actor: &operator.0, action, subject, detail: Value::Object(detail) }).await;
        response
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

pub(super) const AUDIT: Form = Form::json::<Audit>("at most 100 rows, the newest first")
    .query(&[Parameter::optional("before", Kind::Text, "only what was done before the row of this id")])
    .refuses(&[(400, "`before` is no id"), (503, "the store is away")]);

/// A page of the trail.
#[derive(Serialize, JsonSchema)]
struct Audit {
    audit: Vec<Entry>,
    /// What to ask `before` for the rows that come next; null where there are none.
    before: Option<String>,
}

/// Something that was done, or refused.
#[derive(Serialize, JsonSchema)]
struct Entry {
    id: String,
    /// Unix time in seconds.
    at: f64,
    actor: String,
    action: String,
    subject: String,
    /// What was before and after, and the `status` of the answer.
    detail: Value,
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
            Json(Audit { audit: rows.into_iter().map(shown).collect(), before: next }).into_response()
        }
        Err(error) => problem(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

fn shown(row: AuditRow) -> Entry {
    Entry {
        id: row.id.to_string(),
        at: row.at_micros as f64 / 1e6,
        actor: row.actor,
        action: row.action,
        subject: row.subject,
        detail: serde_json::from_str(&row.detail).unwrap_or_default(),
    }
}
