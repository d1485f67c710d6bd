//! One upstream: whom it speaks to, as whom, over what connections, and how its health is watched.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

use super::route::{Byok, Timeouts};
use crate::algo::{aimd, breaker, cooldown, health};
use crate::dialect::Dialect;
use crate::dialect::provider::{Provider, StreamUsage};
use crate::vocab::Secret;

/// One entry of `upstreams:`, with the `defaults:` already under it.
#[derive(Clone, Debug, PartialEq)]
pub struct Upstream {
    /// Its key in the file, and its identity over reloads.
    pub name: Arc<str>,
    pub provider: &'static Provider,
    /// What it understands: the provider's own dialects, or the one the file names.
    pub speaks: Vec<Dialect>,
    pub base: BaseUrl,
    /// Those that resolved to something, in the order of the file; never two with the same secret.
    pub credentials: Vec<Credential>,
    pub readiness: Readiness,
    /// A free label, which is shown, and tells regions of one provider apart.
    pub region: Option<String>,
    /// Who fails together with it, where the file says so.
    pub fate: Option<Arc<str>>,
    /// What requests are signed for, where the host's name does not say.
    pub aws_region: Option<Arc<str>>,
    /// Of Azure's older paths.
    pub api_version: Option<String>,
    /// Added to every request to it.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub probe: Probe,
    /// The transport breaker's settings.
    pub breaker: breaker::Settings,
    pub cooldown: cooldown::Settings,
    pub pool: Pool,
    /// `defaults` and this upstream's own; a channel has the final ones.
    pub timeouts: Timeouts,
    /// Most requests to it at the same moment, over all of its channels.
    pub max_inflight: u32,
    /// The same for each of its keys at each model, learnt from what it says of overload.
    pub concurrency: aimd::Settings,
    pub tls: UpstreamTls,
    /// By which it is reached; `None` is directly.
    pub proxy: Option<Proxy>,
    /// Whether the gateway asks for usage in streams when the caller did not.
    pub stream_usage: StreamUsage,
    /// What becomes of its streams whose callers hang up.
    pub on_hangup: OnHangup,
    /// Set exactly when the provider is `simulated`.
    pub simulated: Option<SimulatedSettings>,
}

impl Upstream {
    /// Whose keys it takes: its provider's, or its own where it is none that everybody knows.
    pub fn taker(&self) -> &str {
        match self.provider.name {
            "custom" | "simulated" | "http" => &self.name,
            known => known,
        }
    }

    /// Whether a caller's own key can be what it is asked with. Where no key is wanted, his would pay for nothing,
    /// and the request would be nobody's; a route that serves nobody without one has said that it is to be so.
    pub fn takes_own(&self, byok: Byok) -> bool {
        match byok {
            Byok::Off => false,
            Byok::Allow => self.wants_key(),
            Byok::Require => true,
        }
    }

    /// Whether a key pays for what is asked of it.
    fn wants_key(&self) -> bool {
        let named = self.headers.iter().any(|(name, _)| carries_credential(name));
        named || !self.credentials.is_empty() || self.readiness != Readiness::Ready
    }
}

/// Whether this header says who asks, or who pays.
pub fn carries_credential(name: &HeaderName) -> bool {
    let name = name.as_str();
    ["authorization", "proxy-authorization"].contains(&name)
        || ["token", "key"].iter().any(|word| {
            let rest = name.strip_suffix(word);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('-'))
        })
}

/// What becomes of an answer whose caller hangs up, or which another attempt has overtaken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnHangup {
    /// It ends at once.
    #[default]
    Cancel,
    /// It is read to its end, beside everything.
    Drain,
}

/// Where requests go, split once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    pub https: bool,
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: Arc<str>,
    pub port: u16,
    /// What stands before each request's own path: empty, or with a leading and no trailing slash.
    pub path: String,
}

impl BaseUrl {
    /// The value of `Host`: brackets round IPv6, the port only where the scheme does not imply it.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() };
        let implied = if self.https { 443 } else { 80 };
        if self.port == implied { host } else { format!("{host}:{}", self.port) }
    }
}

/// One API key. Its runtime memory is found by `fingerprint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// What people see: `openai#1` is the first entry of `credentials:` of `openai`.
    pub alias: String,
    pub secret: Secret,
    /// First 12 hex digits of the SHA-256 of the secret.
    pub fingerprint: String,
    /// Credentials of one group share one quota, and so one cooldown.
    pub quota_group: Option<Arc<str>>,
}

/// Whether requests can be sent at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// It is shown and never picked, until one of `missing` appears (an environment variable's or a
    /// file's name, as the configuration spells it).
    Unconfigured {
        missing: Vec<String>,
    },
}

/// Active health checks.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    pub kind: ProbeKind,
    pub settings: health::Settings,
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// Only passive evidence counts.
    Off,
    /// Opens a connection and closes it.
    Tcp,
    /// One request; any status of `expect` passes.
    Http {
        method: Method,
        /// From the host's root, not from the base URL's path.
        path: String,
        expect: Vec<u16>,
    },
    /// The provider's list of models, with a credential. A host that answers 401, 403 or 429 is alive.
    ListModels { path: String },
}

/// Connections to the upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Pool {
    pub max_connections: u32,
    /// Most connections that are kept while nobody uses them.
    pub max_idle: u32,
    pub idle_timeout: Duration,
    pub max_lifetime: Duration,
    /// Share of `max_lifetime` by which each connection's own differs, so that they do not end together.
    pub lifetime_jitter: f64,
    /// Requests after which a connection is not used again.
    pub max_requests: u32,
    /// A request that must not be sent twice uses a connection only if it was idle for less than this.
    pub reuse_safe_idle: Duration,
    pub http2: Http2,
}

/// Which version of HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http2 {
    /// What ALPN settles; HTTP/1.1 without TLS.
    Auto,
    /// Always HTTP/1.1.
    Never,
    /// Always HTTP/2, without asking (h2c where there is no TLS).
    PriorKnowledge,
}

/// A forward proxy: every connection begins with a CONNECT to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: Arc<str>,
    pub port: u16,
    /// Who it is told that we are: `user:password`.
    pub account: Option<Secret>,
}

/// How the upstream's certificate is checked, and what it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamTls {
    /// PEM file of the roots to trust instead of the system's.
    pub ca_file: Option<String>,
    /// The name to ask for and to check, where it is not the URL's host.
    pub server_name: Option<String>,
    /// What proves to it who we are.
    pub shown: Option<ClientCertificate>,
}

/// A certificate with its chain, and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    pub cert: Pem,
    pub key: Pem,
}

/// A PEM text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pem {
    /// The file in which it stands.
    File(String),
    /// Itself, from a reference.
    Text(Secret),
}

/// How the built-in upstream behaves while no fault is switched on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedSettings {
    /// From the request to the first token.
    pub ttft: Duration,
    /// Between two tokens.
    pub pace: Duration,
    /// Words in an answer.
    pub words: u32,
    /// What makes its faults of a given share repeatable.
    pub seed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_authority_names_the_port_only_where_the_scheme_does_not_imply_it() {
        let check = |https, host: &str, port, shown: &str| {
            let base = BaseUrl { https, host: host.into(), port, path: String::new() };
            assert_eq!(base.authority(), shown);
        };
        check(true, "api.openai.com", 443, "api.openai.com");
        check(false, "127.0.0.1", 80, "127.0.0.1");
        check(false, "127.0.0.1", 443, "127.0.0.1:443");
        check(true, "::1", 8443, "[::1]:8443");
    }
}
