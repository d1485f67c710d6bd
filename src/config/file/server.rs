//! The `server:` section.

use schemars::JsonSchema;
use serde::Deserialize;

use super::degrade::Idempotency;
use super::indexed::Named;
use super::names::OperatorScopeName;
use super::policy::Budget;
use crate::config::units::{Size, Span};

/// Where the gateway listens, and its limits.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Server {
    /// Address for callers (127.0.0.1:8080).
    pub listen: Option<String>,
    /// Address for operators, probes and Prometheus (127.0.0.1:9090).
    pub admin: Option<String>,
    /// What operators who may do everything prove themselves with at `admin`, as `Authorization: Bearer TOKEN`: `${NAME}` or
    /// `file:/path`, of 16 characters or more. /livez, /readyz and /metrics need none (none; this or `admin_tokens` is needed
    /// where other machines reach `admin`).
    pub admin_token: Option<String>,
    /// Operators who may do some of it, by name: tokens with `scopes`. The audit trail calls them by their names (none).
    pub admin_tokens: Named<AdminToken>,
    pub admin_tls: AdminTls,
    /// Whether anybody at all is served, without a key, where other machines reach `listen` (false).
    pub open_to_everybody: Option<bool>,
    /// What the hashes of managed keys are made with: `${NAME}` or `file:/path`, of 32 characters or more, the same for all
    /// replicas of a `store`. With another one, all of them are void (none, and no managed keys).
    pub key_hash_secret: Option<String>,
    pub tls: ServerTls,
    pub limits: Limits,
    pub timeouts: ServerTimeouts,
    pub drain: Drain,
    /// Health probes at the same moment (16).
    #[schemars(range(min = 1, max = 1000))]
    pub probe_concurrency: Option<u32>,
    /// Retries over all routes together.
    pub retry_budget: Budget,
    pub cors: Cors,
    pub media: Media,
    pub responses: Responses,
    /// Most bytes of all answers that routes keep (`cache`), in memory (64MiB).
    pub cache_memory: Option<Size>,
    pub idempotency: Idempotency,
    /// Where health, cooldowns and quotas outlast a restart; beside routing.yaml unless absolute (none).
    #[schemars(length(min = 1))]
    pub state_file: Option<String>,
    /// Where replicas tell each other which keys have to rest, and count together what `limits` and `budgets` allow (none).
    pub redis: Option<Redis>,
}

/// A token that is good for some of what operators do.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["token", "scopes"]))]
pub struct AdminToken {
    /// `${NAME}` or `file:/path`, of 16 characters or more.
    pub token: Option<String>,
    /// What it is good for; none of them implies another.
    #[schemars(length(min = 1))]
    pub scopes: Option<Vec<OperatorScopeName>>,
}

/// TLS for `admin`, and whose certificates operators prove themselves with.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AdminTls {
    /// PEM file with the certificate chain (none, and plain HTTP).
    pub cert: Option<String>,
    /// PEM file with the private key.
    pub key: Option<String>,
    /// PEM file with the roots that `clients` have their certificates from (none, and nobody is asked for one).
    pub client_ca: Option<String>,
    /// Operators whose certificate stands in for a token, by name; the audit trail calls them so (none).
    pub clients: Named<AdminClient>,
}

/// An operator with a certificate.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["subject", "scopes"]))]
pub struct AdminClient {
    /// The common name of his certificate, or one of its alternative names (DNS, e-mail, URI), to the letter.
    #[schemars(length(min = 1))]
    pub subject: Option<String>,
    /// What he may do; none of them implies another.
    #[schemars(length(min = 1))]
    pub scopes: Option<Vec<OperatorScopeName>>,
}

/// A Redis (6.2 or newer) or Valkey that the replicas share. Only requests of whoever has `limits` or `budgets`
/// wait for it, for `timeout` at most, and none needs it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url"]))]
pub struct Redis {
    /// redis://HOST, or rediss:// with TLS; with :PORT (6379) and /DATABASE (0), and perhaps NAME@ or
    /// NAME:PASSWORD@ before the host.
    pub url: Option<String>,
    /// What it asks for, where the URL does not have it.
    pub password: Option<String>,
    /// PEM file of the roots to trust instead of the system's, for rediss://.
    pub ca_file: Option<String>,
    /// How its keys begin; replicas with the same one share (mainstay).
    #[schemars(length(min = 1))]
    pub prefix: Option<String>,
    /// For each answer (20ms); after three late ones it counts as away.
    pub timeout: Option<Span>,
    /// How often to look for what the others have found out (500ms).
    pub poll: Option<Span>,
    /// How many share it, for as long as it has not said so itself: while it is away, each grants one part of so many (1).
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: Option<u32>,
}

/// Web pages of other sites whose scripts may ask the gateway and read its answers (the Fetch standard's CORS).
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Where such pages come from: `https://chat.example.com`, `http://localhost:5173`, `https://*.example.com` for all below
    /// one, or `*` alone for any, where callers need keys (none).
    pub origins: Vec<String>,
}

/// Pictures, documents and sounds that callers give as URLs, for channels that take only the content.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Media {
    /// Whether they are fetched (true); without it such a request is refused, or another channel's.
    pub enabled: Option<bool>,
    /// Largest one (20MB). Those of a request are together no larger than `limits.max_body`, encoded.
    pub max_size: Option<Size>,
    /// For one of them, from the wait for its turn to its last byte (10s).
    pub timeout: Option<Span>,
    /// Most of them in a request (16).
    #[schemars(range(min = 1, max = 1000))]
    pub max_urls: Option<u32>,
    /// Most that are fetched at the same moment, for all requests (32).
    #[schemars(range(min = 1, max = 10000))]
    pub concurrency: Option<u32>,
    /// Whether http:// will do (false); https:// always does.
    pub plain_http: Option<bool>,
    /// Only from these hosts: names, or `*.example.com` for all below one (any host).
    pub allow_hosts: Option<Vec<String>>,
    /// Private addresses that may be asked all the same, as blocks like 10.1.0.0/16 (none).
    pub allow_private: Option<Vec<String>>,
}

/// What is remembered of translated answers, so that callers of OpenAI's responses may refer to them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Responses {
    /// Most bytes of them in memory; 0 remembers nothing, one conversation may take an eighth (64MiB).
    pub memory: Option<Size>,
    /// How long one is remembered after its last use (1h).
    pub ttl: Option<Span>,
}

/// Certificate of the listener; both files, or none.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerTls {
    /// PEM file with the certificate chain.
    pub cert: Option<String>,
    /// PEM file with the private key.
    pub key: Option<String>,
}

/// What a caller may ask of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest request body (64MiB).
    pub max_body: Option<Size>,
    /// Largest body that is kept for another attempt (1MiB).
    pub replay_body: Option<Size>,
    /// Largest whole answer that is held back to look for an error in it (1MiB).
    pub unary_buffer: Option<Size>,
    /// Bytes of a stream held back on routes with `delivery: buffered`; what is longer goes on as it comes (8MiB).
    pub stream_buffer: Option<Size>,
    /// Bytes of complete events of a stream held back before its first content (64KiB); comments and pings are none.
    pub peek_bytes: Option<Size>,
    /// Events of a stream held back before its first content (32); comments and pings are none.
    #[schemars(range(min = 1))]
    pub peek_events: Option<u32>,
    /// Request headers (100).
    #[schemars(range(min = 1))]
    pub max_headers: Option<u32>,
    /// Request headers together (32KiB).
    pub max_header_bytes: Option<Size>,
    /// Request target (8KiB).
    pub max_uri: Option<Size>,
    /// Connections of callers (20000); a sixteenth is kept free by closing those that have been idle for the longest.
    #[schemars(range(min = 1))]
    pub max_connections: Option<u32>,
    /// Requests at the same moment (10000).
    #[schemars(range(min = 1))]
    pub max_inflight: Option<u32>,
    /// Bytes held for all requests together: their bodies, and what is held back of their answers (512MiB, at least twice `max_body`).
    pub memory: Option<Size>,
}

/// Deadlines towards callers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServerTimeouts {
    /// For the request's headers (10s).
    pub header_read: Option<Span>,
    /// Longest silence within a request's body (30s). One that is read whole before it is sent on, as all that name a model
    /// are, has to come with 240 bytes a second besides, on average once that time is over.
    pub body_read: Option<Span>,
    /// How long an idle connection is kept (75s).
    pub keep_alive: Option<Span>,
    /// Longest time that a caller may refuse to read (30s).
    pub write_stall: Option<Span>,
}

/// How the process leaves.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Drain {
    /// Not ready but still accepting, for the balancer in front to notice (5s).
    pub pre_stop_delay: Option<Span>,
    /// Longest wait for open requests (600s).
    pub timeout: Option<Span>,
    /// Time over which idle connections are closed (5s).
    pub close_spread: Option<Span>,
}
