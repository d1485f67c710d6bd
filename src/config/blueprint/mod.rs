//! The checked configuration: what the rest of the program builds itself from.
//!
//! A `Blueprint` exists only when the file had no errors, so everybody above trusts it: indices are
//! in range, names are unique, URLs are split, layers are merged, durations are `Duration`s. It is
//! plain and immutable, holds no runtime state, and compares by value, which is what a reload needs
//! to tell what changed. `Debug` shows no secret, because [`Secret`](crate::vocab::Secret) does not.

pub mod access;
pub mod alerts;
pub mod budgets;
pub mod capture;
pub mod degrade;
pub mod issuer;
pub mod ledger;
pub mod route;
pub mod server;
pub mod steer;
pub mod store;
pub mod telemetry;
pub mod upstream;

pub use access::{Access, CallerKey, Level, Lineage, Member, Names, Reach, Urgency};
pub use alerts::{Alerts, MessageForm, Webhook};
pub use budgets::{Budget, Exceeded, Unpriced};
pub use capture::{Capture, Captured, Expression, Redact};
pub use degrade::{Cache, CacheScope, Degradation, Idempotency, WhenExhausted};
pub use issuer::{Algorithm, Issuer, KeysAt};
pub use ledger::{Ledger, SpoolSettings};
pub use route::{
    Byok, Channel, FallbackOn, FirstEvent, Hedge, HedgeDelay, Matcher, ModelName, Origin, Panic, PanicMode,
    Pattern, Queue, Replay, Retry, Route, SlowStart, Sticky, Timeouts, Unsupported,
};
pub use route::{Continuation, Delivery, Reasoning};
pub use server::{
    AdminClient, AdminSide, AdminTls, AdminToken, Drain, Limits, Media, Redis, Responses, Server,
    ServerTimeouts, ServerTls,
};
pub use steer::{Arm, Mirror, Rule, Split, Steering, Sticks, Time, Wanted, When};
pub use store::{Retention, Store, StorePlace};
pub use telemetry::{Compression, Otlp, Propagate, Telemetry, Traces};
pub use upstream::{
    BaseUrl, ClientCertificate, Credential, Http2, OnHangup, Pem, Pool, Probe, ProbeKind, Proxy, Readiness,
    SimulatedSettings, Upstream, UpstreamTls, carries_credential,
};

use std::sync::Arc;

use crate::algo::budget;
use crate::algo::limit::Allowance;
use crate::catalog::Catalog;

/// One whole, valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Blueprint {
    pub server: Server,
    pub ledger: Ledger,
    /// What operators are told of, and where.
    pub alerts: Alerts,
    pub telemetry: Telemetry,
    /// Whom requests are taken from that no route is found for, and lists of models.
    pub access: Access,
    /// Organisations, teams and users, each with all above it.
    pub members: Vec<Lineage>,
    /// Those that can be used, in the order of the file.
    pub keys: Vec<CallerKey>,
    /// Whose signed tokens are taken in place of a key.
    pub issuers: Vec<Issuer>,
    /// Limits of keys that are not in the file, where they have none of their own.
    pub key_limits: Allowance,
    /// In the order of the file. [`Channel::upstream`] indexes this.
    pub upstreams: Vec<Upstream>,
    /// In the order of the file, automatic ones behind. [`Route::fallback`] indexes this.
    pub routes: Vec<Route>,
    /// The budget that all routes' retries share, beside each route's own.
    pub retry_budget: budget::Settings,
    /// What is known of models.
    pub catalog: Arc<Catalog>,
    /// Where what outlives the process is kept, if anywhere.
    pub store: Option<Store>,
    /// First 12 hex digits of the SHA-256 of the file's text.
    pub revision: String,
}
