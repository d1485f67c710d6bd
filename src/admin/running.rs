//! What the console asks of the running gateway, whose parts live on floors above this room.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{Request, Response};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;

use super::editing::Editing;
use super::live::Pulse;
use super::trail::Trail;
use crate::access::budgets;
use crate::access::limits::Seen;
use crate::access::tokens::Published;
use crate::access::{Access, Desk};
use crate::alerts::Herald;
use crate::cache::{Held, KeptNow};
use crate::capture::Captures;
use crate::ledger::{self, Journal};
use crate::shared::Standing;
use crate::simulated::Simulated;
use crate::state::Table;
use crate::store::Store;
use crate::upstream::Pool;

/// Where a gateway is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Starting,
    Serving,
    /// It refuses new connections and finishes open requests.
    Draining,
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Reloaded {
    Applied {
        revision: String,
    },
    /// What is in force already.
    Unchanged {
        revision: String,
    },
}

/// The file is not usable; the table in force stays. The text is what `mainstay check` prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub String);

/// Why a request that the gateway was to make of itself has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Uncalled {
    #[error("it took longer than {0:?}")]
    Late(Duration),
    #[error("{0}")]
    Broken(String),
}

/// What [`Running::call`] comes to.
pub type Calling<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, Uncalled>> + Send + 'a>>;

/// The last reload, for people.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Applied {
    /// Where the configuration comes from.
    pub source: String,
    pub revision: String,
    /// Unix time in seconds.
    pub applied_at: f64,
    /// What is wrong with what is on disk now; the table in force is an older one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Settings that are in force as they were at the start, and otherwise after a restart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after_restart: Vec<&'static str>,
}

/// What came of a probe that an operator has asked for.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Probed {
    /// `pass`, `fail`, or `inconclusive` where it says more about this machine than about the upstream.
    pub result: &'static str,
    /// What was asked: `tcp`, `http`, `list_models`.
    pub kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    pub took_ms: f64,
}

/// A gateway that runs.
pub trait Running: Send + Sync + 'static {
    fn phase(&self) -> Phase;

    /// Work in the background that is gone, by its name: it has panicked.
    fn panicked(&self) -> Vec<&'static str>;

    fn table(&self) -> Arc<Table>;

    /// In the order of the table's upstreams.
    fn pools(&self) -> Vec<Arc<Pool>>;

    /// Who may call, and whom keys belong to.
    fn access(&self) -> Arc<Access>;

    /// Where keys are made; `None` without a store, or without what their hashes are made with.
    fn desk(&self) -> Option<Arc<Desk>>;

    /// The public keys of those whose tokens are taken.
    fn issuers(&self) -> Vec<Arc<Published>>;

    /// Puts in force what the desk has changed.
    fn stock(&self);

    fn trail(&self) -> Arc<Trail>;

    /// What pages that are left open listen to.
    fn pulse(&self) -> Arc<Pulse>;

    /// Who tells operators.
    fn herald(&self) -> Arc<Herald>;

    /// Callers' open connections.
    fn connections(&self) -> usize;

    /// Callers' requests that have not ended.
    fn in_flight(&self) -> u32;

    /// What is remembered of translated responses.
    fn remembered(&self) -> Held;

    /// Answers that are kept, by what for.
    fn kept(&self) -> [(&'static str, KeptNow); 2];

    /// How what the replicas share is; `None` where they share nothing.
    fn shared(&self) -> Option<Standing>;

    /// How many replicas count together what callers use, where they do, and what has been used at this one.
    fn limits(&self) -> (Option<u32>, Vec<Seen>);

    /// What everybody may spend, and has spent.
    fn budgets(&self) -> Vec<budgets::Seen>;

    /// What outlives the process; `None` where the configuration has no place for it.
    fn store(&self) -> Option<Arc<Store>>;

    /// The last requests.
    fn journal(&self) -> Arc<Journal>;

    /// What callers asked and were answered, where that is captured.
    fn captures(&self) -> Arc<Captures>;

    /// How far the ledger is behind; `None` where none is kept.
    fn ledger(&self) -> Option<ledger::Standing>;

    fn applied(&self) -> Applied;

    /// Who reads and writes the configuration.
    fn editing(&self) -> Arc<dyn Editing>;

    /// Probes the upstream of this name now; `None` where there is none.
    fn probe<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = Option<Probed>> + Send + 'a>>;

    /// Reads the configuration again, and puts it in force where it is good and differs.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<Reloaded, Refused>> + Send + '_>>;

    /// Answers a request as if a caller had sent it.
    fn call(&self, request: Request<Bytes>) -> Calling<'_>;

    /// The simulated upstream of this name.
    fn simulated(&self, name: &str) -> Option<Arc<Simulated>>;
}
