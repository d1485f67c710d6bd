//! The gateway's own side: where it listens, and what it accepts there.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::degrade::Idempotency;
use crate::config::{Cidr, PageOrigin};
use crate::vocab::{OperatorScopes, Secret};

/// The `server:` section.
#[derive(Clone, Debug, PartialEq)]
pub struct Server {
    /// Where callers connect.
    pub listen: SocketAddr,
    /// Where operators, probes and Prometheus connect.
    pub admin: SocketAddr,
    /// What operators have to know who may do everything.
    pub admin_token: Option<Secret>,
    /// What those have to know who may do some of it.
    pub admin_tokens: Vec<AdminToken>,
    /// TLS for `admin`; plain HTTP without it.
    pub admin_tls: Option<AdminTls>,
    /// What managed keys are hashed with; there are none without it.
    pub key_hash_secret: Option<Secret>,
    /// TLS for `listen`; plain HTTP without it.
    pub tls: Option<ServerTls>,
    pub limits: Limits,
    pub timeouts: ServerTimeouts,
    pub drain: Drain,
    /// Most health probes that run at the same moment, over all upstreams.
    pub probe_concurrency: u32,
    /// Whose web pages may ask, and read the answers; nobody's without any.
    pub cors: Vec<PageOrigin>,
    pub media: Media,
    pub responses: Responses,
    /// Most bytes of all answers that routes keep (`cache`).
    pub cache_memory: u64,
    pub idempotency: Idempotency,
    /// Where live memory outlasts the process; relative to the configuration's own directory.
    pub state_file: Option<PathBuf>,
    /// What this replica shares with others, and where.
    pub redis: Option<Redis>,
}

impl Server {
    /// Whether the admin side asks who somebody is. Where it does not, everybody on this machine is an operator.
    pub fn knows_operators(&self) -> bool {
        let clients = self.admin_tls.iter().any(|tls| !tls.clients.is_empty());
        clients || self.admin_token.is_some() || !self.admin_tokens.is_empty()
    }

    pub fn operators(&self) -> Operators {
        Operators {
            token: self.admin_token.clone(),
            tokens: self.admin_tokens.clone(),
            tls: self.admin_tls.clone(),
        }
    }
}

/// All that operators can prove themselves with, to tell whether somebody has come or gone.
#[derive(Clone, Debug, PartialEq)]
pub struct Operators {
    token: Option<Secret>,
    tokens: Vec<AdminToken>,
    tls: Option<AdminTls>,
}

/// What an operator proves himself with who may do some of what operators do.
#[derive(Clone, Debug, PartialEq)]
pub struct AdminToken {
    pub name: Arc<str>,
    pub token: Secret,
    pub scopes: OperatorScopes,
}

/// TLS of the admin side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminTls {
    pub own: ServerTls,
    /// PEM file of the roots of clients' certificates; nobody is asked for one without it.
    pub client_ca: Option<PathBuf>,
    /// In the order of the file.
    pub clients: Vec<AdminClient>,
}

/// An operator who proves himself with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminClient {
    pub name: Arc<str>,
    /// What his certificate calls him, by its common name or one of its alternative names.
    pub subject: Arc<str>,
    pub scopes: OperatorScopes,
}

/// A Redis or Valkey that replicas share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    pub tls: bool,
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    pub host: Arc<str>,
    pub port: u16,
    pub database: u32,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// PEM file of the roots to trust instead of the system's.
    pub ca_file: Option<String>,
    /// How its keys begin.
    pub prefix: String,
    /// For each answer.
    pub timeout: Duration,
    /// How often to look for what other replicas have found out.
    pub poll: Duration,
    /// How many share it, for as long as it has not said so itself.
    pub replicas: u32,
}

impl Redis {
    /// `host:port/database`, for messages.
    pub fn shown(&self) -> String {
        let Self { host, port, database, .. } = self;
        if host.contains(':') {
            format!("[{host}]:{port}/{database}")
        } else {
            format!("{host}:{port}/{database}")
        }
    }
}

/// What may be fetched for callers who give a URL where a channel takes only the content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    pub enabled: bool,
    /// Most bytes of one.
    pub max_size: u64,
    /// For one of them, all told.
    pub timeout: Duration,
    /// Most in one request.
    pub max_urls: u32,
    /// Most at the same moment, over all requests.
    pub concurrency: u32,
    /// `http://` is fetched too.
    pub plain_http: bool,
    /// Names in small letters, `*.` in front for all below one. Every host, where there are none.
    pub allow_hosts: Vec<String>,
    /// Addresses that are not public and may be asked all the same.
    pub allow_private: Vec<Cidr>,
}

/// What is remembered of translated answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Responses {
    /// Most bytes of them together; 0 remembers nothing.
    pub memory: u64,
    /// How long one is remembered after its last use.
    pub ttl: Duration,
}

impl Responses {
    /// One conversation may take this part of the memory, so that a few long ones do not drive out all
    /// others.
    const SHARE: u64 = 8;

    pub fn remembers(&self) -> bool {
        self.memory > 0
    }

    /// Most bytes of one conversation.
    pub fn share(&self) -> u64 {
        self.memory / Self::SHARE
    }
}

/// What whoever asks the admin side has to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminSide {
    pub address: SocketAddr,
    pub token: Option<Secret>,
    /// The PEM file of its certificate, where it has one.
    pub certificate: Option<PathBuf>,
}

/// PEM files of the listener's certificate. Paths only: this room opens no file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// What a caller may ask of us. Sizes are bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body; a bigger one is answered 413.
    pub max_body: u64,
    /// Largest body that is kept to be sent again; a bigger one gets one attempt.
    pub replay_body: u64,
    /// Largest whole answer that is held back to look for an error in it.
    pub unary_buffer: u64,
    /// Most bytes of a stream that are held back where it is to be whole before it goes on.
    pub stream_buffer: u64,
    /// Most bytes of complete events of a stream that are held back while no content has come.
    pub peek_bytes: u64,
    /// Most events of a stream that are held back while no content has come; comments and pings are none.
    pub peek_events: u32,
    pub max_headers: u32,
    /// All request headers together.
    pub max_header_bytes: u64,
    /// Longest request target.
    pub max_uri: u64,
    /// Most callers' connections; further ones wait in the kernel's backlog.
    pub max_connections: u32,
    /// Most requests at the same moment; further ones are answered 503.
    pub max_inflight: u32,
    /// Most bytes that are held for all requests together; who would make it more is answered 503.
    pub memory: u64,
}

/// Deadlines on the caller's side of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// From the connection (or the request before) to the last byte of the headers.
    pub header_read: Duration,
    /// Longest silence within a request's body.
    pub body_read: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// Longest time that a caller may refuse to read while we have bytes for it.
    pub write_stall: Duration,
}

/// How the process leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drain {
    /// Not ready, still accepting: time for the balancer in front to notice.
    pub pre_stop_delay: Duration,
    /// Longest wait for open requests after accepting has stopped.
    pub timeout: Duration,
    /// Idle connections are closed spread over this, so that callers do not reconnect all at once.
    pub close_spread: Duration,
}
