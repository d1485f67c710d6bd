//! `routing.yaml` as it is written: the serde mirror, from which the JSON Schema is made as well.
//!
//! Every field is optional here, required ones included: [`shape`](super::shape) says what is missing
//! and the checks can go on with the rest. Descriptions, ranges and names in the attributes are the
//! schema's, so editors show them, and they are the only place where a range is written down.

pub mod access;
pub mod alerts;
pub mod budgets;
pub mod degrade;
pub mod indexed;
pub mod issuers;
pub mod ledger;
pub mod limits;
pub mod models;
pub mod names;
pub mod policy;
pub mod rehearsal;
pub mod server;
pub mod steer;
pub mod store;
pub mod telemetry;

use std::collections::BTreeMap;

use access::{AccessName, CallerKey, Organisation, Team, User};
use alerts::Alerts;
use budgets::Budget;
use degrade::{Cache, DegradationName, WhenExhausted};
use indexed::Named;
use issuers::Issuer;
use ledger::Ledger;
use limits::Allowance;
use schemars::JsonSchema;
use serde::Deserialize;

use super::dollars::Dollars;

use names::{
    ByokName, ContinuationName, DeliveryName, Dialects, OnHangupName, PriorityName, ProviderName, Refusal,
    StrategyName, StreamUsageName, UnsupportedName,
};
use policy::{
    Breaker, Concurrency, Cooldown, Hedge, Pool, Probe, Queue, Quota, Retry, Simulated, SlowStart, SpanOrOff,
    Sticky, Timeouts, Tls, WhenNone,
};
use server::Server;
use steer::{Mirror, Rule, Split};
use store::Store;
use telemetry::Telemetry;

/// The configuration of Mainstay.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "routing.yaml", extend("required" = ["version", "upstreams"]))]
pub struct File {
    /// Version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub version: Option<u32>,
    /// Where the gateway listens, and its limits.
    pub server: Server,
    /// What is written down of requests, where there is a store.
    pub ledger: Ledger,
    /// What operators are told of without asking.
    pub alerts: Alerts,
    /// What the outside sees of the gateway.
    pub telemetry: Telemetry,
    /// Whom requests are taken from (open).
    pub access: Option<AccessName>,
    /// The top of the tree that keys belong to, by name.
    pub organisations: Named<Organisation>,
    /// Parts of organisations, by name.
    pub teams: Named<Team>,
    /// Those who hold keys, by name.
    pub users: Named<User>,
    /// The keys that callers prove themselves with, by name.
    pub keys: Named<CallerKey>,
    /// Those whose signed tokens (JWT) are taken in place of a key, by name.
    pub issuers: Named<Issuer>,
    /// What holds wherever an upstream, route or channel does not say otherwise.
    pub defaults: Defaults,
    /// The endpoints that requests are sent to, by name.
    pub upstreams: Named<Upstream>,
    /// Which requests go to which upstreams.
    pub routes: Vec<Route>,
    /// Whether every model that the catalog knows at a provider of an upstream can be asked for as
    /// `provider/model` or `model`, without a route (false). Routes that are written win.
    pub auto_routes: Option<bool>,
    /// What is known of models.
    pub catalog: Catalog,
    /// Where the ledger, managed keys and the audit trail are kept (none).
    pub store: Option<Store>,
}

/// What is known of models.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Catalog {
    /// A file with facts about models (limits, abilities, prices) over those that the program brings.
    #[schemars(length(min = 1))]
    pub file: Option<String>,
}

/// Settings of every upstream, route and channel that has none of its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    pub breaker: Breaker,
    pub probe: Probe,
    pub cooldown: Cooldown,
    pub pool: Pool,
    pub timeouts: Timeouts,
    pub retry: Retry,
    pub hedge: Hedge,
    pub panic: WhenNone,
    /// What is tried, in this order, for a request that no channel can take (`[fallback, fail]`).
    pub on_exhausted: Option<Vec<DegradationName>>,
    pub exhausted: WhenExhausted,
    pub cache: Cache,
    /// Whether identical requests that are under way at the same moment share one attempt (false).
    pub coalesce: Option<bool>,
    pub slow_start: SlowStart,
    pub sticky: Sticky,
    pub select: Option<StrategyName>,
    pub fallback_on: Option<Vec<Refusal>>,
    pub unsupported: Option<UnsupportedName>,
    pub continuation: Option<ContinuationName>,
    pub delivery: Option<DeliveryName>,
    /// After how much silence a stream's caller gets the head of his answer, and keep-alives, whoever answers then: a duration,
    /// or off (off). Errors come inside the stream from there on.
    pub early_commit: Option<SpanOrOff>,
    pub on_hangup: Option<OnHangupName>,
    /// The proxy by which upstreams are reached: `http://user:password@proxy:3128`, `environment` for what HTTPS_PROXY,
    /// HTTP_PROXY and NO_PROXY say, or `none` (none).
    #[schemars(length(min = 1))]
    pub proxy: Option<String>,
    pub concurrency: Concurrency,
    pub queue: Queue,
    /// Limits of every key, where it has none of its own (none).
    pub key_limits: Allowance,
    /// Most requests at the same moment on one upstream, and on one channel (1024).
    #[schemars(range(min = 1))]
    pub max_inflight: Option<u32>,
}

/// An endpoint: a provider, its address, and the keys to it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["provider"]))]
pub struct Upstream {
    pub provider: Option<ProviderName>,
    /// The language it speaks, where it is not the provider's own; needed for `provider: custom`.
    pub dialect: Option<Dialects>,
    /// What the provider's own SDK takes as base URL.
    pub base_url: Option<String>,
    /// API keys (without a `base_url`, what the provider's own variable holds, as OPENAI_API_KEY; `[]` for none). One that resolves
    /// to nothing is left out; when all do, the upstream is not used.
    pub credentials: Option<Vec<Credential>>,
    /// A label for people; upstreams of one provider and region are taken to fail together.
    pub region: Option<String>,
    /// The name of the upstreams that fail together with it (provider and region, where they are known).
    #[schemars(length(min = 1))]
    pub fate: Option<String>,
    /// The AWS region: makes Bedrock's address, and is what requests are signed for.
    pub aws_region: Option<String>,
    /// For `provider: azure-legacy` only: the `api-version` of every request.
    pub api_version: Option<String>,
    /// Headers added to every request.
    pub headers: BTreeMap<String, String>,
    pub probe: Probe,
    pub breaker: Breaker,
    pub cooldown: Cooldown,
    pub pool: Pool,
    pub timeouts: Timeouts,
    pub concurrency: Concurrency,
    /// Most requests to it at the same moment (1024).
    #[schemars(range(min = 1))]
    pub max_inflight: Option<u32>,
    pub quota: Quota,
    pub tls: Tls,
    /// The proxy by which it is reached, if not that of `defaults`: `http://user:password@proxy:3128`, `environment` for
    /// what HTTPS_PROXY, HTTP_PROXY and NO_PROXY say, or `none`.
    #[schemars(length(min = 1))]
    pub proxy: Option<String>,
    pub stream_usage: Option<StreamUsageName>,
    pub on_hangup: Option<OnHangupName>,
    /// For `provider: simulated` only.
    pub simulated: Simulated,
}

/// An API key: a reference, or a reference with a quota group. For Bedrock also `access key:secret`, for
/// Vertex and Azure a file of theirs (`file:/path.json`), or `metadata` for the machine's own identity.
#[derive(Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Credential {
    /// `${NAME}` or `file:/path`.
    Key(String),
    Grouped(GroupedCredential),
}

/// An API key that shares its quota with others.
#[derive(Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["key"]))]
pub struct GroupedCredential {
    /// `${NAME}` or `file:/path`.
    pub key: Option<String>,
    /// Keys of one organisation share its quota: when one cools down, all of the group do.
    pub quota_group: Option<String>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// Requests of one model name, model pattern or path prefix, and where they go.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["channels"]))]
pub struct Route {
    /// The model name that callers use, or its beginning and a `*`.
    #[schemars(length(min = 1))]
    pub model: Option<String>,
    /// For plain HTTP: the beginning of the path, as in `/orders/`.
    #[schemars(length(min = 1))]
    pub path: Option<String>,
    /// Whether `path` is cut off before the request goes on (false).
    pub strip: Option<bool>,
    /// Whom its requests are taken from, where that differs from the file's `access`.
    pub access: Option<AccessName>,
    /// Further model names that mean this route, for callers and wherever the file names a route.
    pub aliases: Vec<String>,
    /// Whether callers' files, batches and conversations go to its accounts, where nothing says whose they are (false).
    pub files: Option<bool>,
    /// Requests that another route serves from the start, in order: the first rule that holds is followed.
    pub rules: Vec<Rule>,
    pub split: Option<Split>,
    pub mirror: Option<Mirror>,
    pub select: Option<StrategyName>,
    #[schemars(length(min = 1))]
    pub channels: Vec<Channel>,
    /// Routes (by model name) to go on with when nothing of this one helps.
    pub fallback: Vec<String>,
    /// Refusals that send a request on to `fallback` as well (`[context_overflow]`).
    pub fallback_on: Option<Vec<Refusal>>,
    pub unsupported: Option<UnsupportedName>,
    pub continuation: Option<ContinuationName>,
    pub delivery: Option<DeliveryName>,
    /// After how much silence a stream's caller gets the head of his answer, and keep-alives, whoever answers then: a duration,
    /// or off (off). Errors come inside the stream from there on.
    pub early_commit: Option<SpanOrOff>,
    pub retry: Retry,
    pub hedge: Hedge,
    pub panic: WhenNone,
    /// What is tried, in this order, for a request that no channel can take (`[fallback, fail]`).
    pub on_exhausted: Option<Vec<DegradationName>>,
    pub exhausted: WhenExhausted,
    pub cache: Cache,
    /// Whether identical requests that are under way at the same moment share one attempt (false).
    pub coalesce: Option<bool>,
    pub slow_start: SlowStart,
    pub sticky: Sticky,
    pub breaker: Breaker,
    pub timeouts: Timeouts,
    pub queue: Queue,
    /// Whether callers may bring a key of their own to a provider, in the header `x-mainstay-provider-key`.
    pub byok: Option<ByokName>,
    /// What all its callers together may use (no limits).
    pub limits: Allowance,
    /// What may be spent on the requests that it serves, fallbacks included (no bounds).
    pub budgets: Vec<Budget>,
    /// What a request may cost at most; channels where it could cost more are not asked (no bound).
    pub max_cost: Option<Dollars>,
    /// How much its requests matter, where their caller's key says nothing (critical).
    pub priority: Option<PriorityName>,
    /// Most requests at the same moment on each of its channels (1024).
    #[schemars(range(min = 1))]
    pub max_inflight: Option<u32>,
}

/// One upstream serving one model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["upstream"]))]
pub struct Channel {
    /// A name under `upstreams`.
    pub upstream: Option<String>,
    /// The model's name there, if it differs; `"*"` is what the `*` of the route stands for.
    #[schemars(length(min = 1))]
    pub model: Option<String>,
    /// Share of the traffic, relative to the other channels of its tier (1).
    #[schemars(range(min = 1, max = 1000), extend("x-hint" = "use 1 to 1000, or remove the channel"))]
    pub weight: Option<u32>,
    /// Used only while no lower tier has an eligible channel, or all of it is about to break streams as others of its `fate` do (0).
    pub tier: Option<u8>,
    /// Whether the model thinks before it speaks, and so may be silent for minutes (by its name).
    pub reasoning: Option<bool>,
    pub timeouts: Timeouts,
    pub breaker: Breaker,
    /// Most requests at the same moment on this channel (1024).
    #[schemars(range(min = 1))]
    pub max_inflight: Option<u32>,
    pub quota: Quota,
}
