//! What went wrong in one attempt, and whose guilt it is.
//!
//! `Fault` is small, `Copy` and closed: code branches on it. Text for people is made elsewhere.
//! The taxonomy follows who has to act: the caller, the owner of a credential, the operator who
//! wrote the channel, the upstream, or nobody.

/// One attempt's failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The caller's request is wrong (400, 404 of a resource, 405, 413, 422).
    BadRequest,
    /// The prompt does not fit the model's window.
    ContextOverflow,
    /// The provider refused the content.
    ContentPolicy,
    /// The request brings reasoning that another account encrypted.
    ForeignReasoning,

    /// A rate limit of this credential; it passes by itself.
    Throttled,
    /// Money or a daily quota of this credential is used up.
    QuotaExhausted,
    /// The credential is wrong, revoked or lacks permission.
    AuthRefused,

    /// The upstream does not serve this model here (404 `model_not_found`, unsupported region).
    ModelMissing,

    /// The host name did not resolve.
    Dns,
    /// The TCP connection was refused or unreachable.
    Connect,
    /// No TCP connection in time.
    ConnectTimeout,
    /// The TLS handshake failed or timed out.
    Tls,
    /// The connection ended before the response's headers.
    Reset,
    /// The peer said that it did not process the request (`REFUSED_STREAM`, `GOAWAY`, or a reused
    /// connection closed before a byte was sent). Always safe to send again.
    NotProcessed,
    /// The answer was not HTTP, or not what its headers promised.
    Protocol,
    /// 5xx without a body in the provider's own shape: a proxy or CDN in front of it.
    BadGateway,

    /// 500 in the provider's own words, or the same in-band before content.
    ServerError,
    /// No response headers in time.
    HeadersTimeout,
    /// Headers, but no content in time.
    FirstEventTimeout,
    /// The answer ended before any content, or a whole answer was cut short before commit.
    Truncated,
    /// 503, 529 and their in-band forms: the upstream has no capacity.
    Overloaded,
    /// 408, 409, 425: come back in a moment.
    Busy,

    /// An in-band error after content.
    StreamError,
    /// The transport ended after content and before the stream was complete.
    StreamCut,
    /// Nothing more came after content.
    StreamStalled,

    /// The caller hung up.
    Cancelled,
    /// No connection slot in time: our own limit.
    PoolFull,
    /// The request's deadline has passed.
    DeadlineExceeded,
    /// This process was starved of CPU while it waited, so the wait proves nothing.
    Starved,
    /// The request cannot be said in this channel's dialect, or asks for what this account may not have; another
    /// channel may do.
    Unsayable,
}

/// How a fault counts (RESILIENCE §4.2). The metric label `outcome` has these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    ClientFault,
    UpstreamFault,
    Overload,
    Throttled,
    QuotaExhausted,
    AuthFault,
    ConfigFault,
    StreamFault,
    Cancelled,
    LocalFault,
}

/// Which key's memory a fault belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The upstream as a whole: host, network, TLS.
    Transport,
    /// One model on one upstream.
    Model,
    /// One credential.
    Credential,
    /// No memory at all.
    Nobody,
}

impl Fault {
    /// Every fault, for tables and tests.
    pub const ALL: [Self; 30] = [
        Self::BadRequest,
        Self::ContextOverflow,
        Self::ContentPolicy,
        Self::ForeignReasoning,
        Self::Throttled,
        Self::QuotaExhausted,
        Self::AuthRefused,
        Self::ModelMissing,
        Self::Dns,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Tls,
        Self::Reset,
        Self::NotProcessed,
        Self::Protocol,
        Self::BadGateway,
        Self::ServerError,
        Self::HeadersTimeout,
        Self::FirstEventTimeout,
        Self::Truncated,
        Self::Overloaded,
        Self::Busy,
        Self::StreamError,
        Self::StreamCut,
        Self::StreamStalled,
        Self::Cancelled,
        Self::PoolFull,
        Self::DeadlineExceeded,
        Self::Starved,
        Self::Unsayable,
    ];

    /// As the failure of a stream is called behind content: bytes that end early or cannot be framed are a cut, and
    /// whatever the upstream says of itself is an error.
    #[must_use]
    pub const fn behind_content(self) -> Self {
        match self {
            Self::Truncated | Self::Protocol | Self::Reset => Self::StreamCut,
            _ if matches!(self.class(), Class::UpstreamFault | Class::Overload) => Self::StreamError,
            _ => self,
        }
    }

    pub const fn class(self) -> Class {
        match self {
            Self::BadRequest | Self::ContextOverflow | Self::ContentPolicy | Self::ForeignReasoning => {
                Class::ClientFault
            }
            Self::Throttled => Class::Throttled,
            Self::QuotaExhausted => Class::QuotaExhausted,
            Self::AuthRefused => Class::AuthFault,
            Self::ModelMissing => Class::ConfigFault,
            Self::Dns
            | Self::Connect
            | Self::ConnectTimeout
            | Self::Tls
            | Self::Reset
            | Self::NotProcessed
            | Self::Protocol
            | Self::BadGateway
            | Self::ServerError
            | Self::HeadersTimeout
            | Self::FirstEventTimeout
            | Self::Truncated => Class::UpstreamFault,
            Self::Overloaded | Self::Busy => Class::Overload,
            Self::StreamError | Self::StreamCut | Self::StreamStalled => Class::StreamFault,
            Self::Cancelled => Class::Cancelled,
            Self::PoolFull | Self::DeadlineExceeded | Self::Starved | Self::Unsayable => Class::LocalFault,
        }
    }

    pub const fn scope(self) -> Scope {
        match self {
            Self::Dns
            | Self::Connect
            | Self::ConnectTimeout
            | Self::Tls
            | Self::Reset
            | Self::NotProcessed
            | Self::Protocol
            | Self::BadGateway => Scope::Transport,
            Self::ServerError
            | Self::HeadersTimeout
            | Self::FirstEventTimeout
            | Self::Truncated
            | Self::Overloaded
            | Self::Busy
            | Self::ModelMissing
            | Self::StreamError
            | Self::StreamCut
            | Self::StreamStalled => Scope::Model,
            Self::Throttled | Self::QuotaExhausted | Self::AuthRefused => Scope::Credential,
            Self::BadRequest
            | Self::ContextOverflow
            | Self::ContentPolicy
            | Self::ForeignReasoning
            | Self::Cancelled
            | Self::PoolFull
            | Self::DeadlineExceeded
            | Self::Starved
            | Self::Unsayable => Scope::Nobody,
        }
    }

    /// The upstream stayed silent: asking it again would cost the caller a whole timeout.
    pub const fn silent(self) -> bool {
        matches!(self, Self::HeadersTimeout | Self::FirstEventTimeout | Self::ConnectTimeout)
    }

    /// The name in metrics, logs and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::ContextOverflow => "context_overflow",
            Self::ContentPolicy => "content_policy",
            Self::ForeignReasoning => "foreign_reasoning",
            Self::Throttled => "throttled",
            Self::QuotaExhausted => "quota_exhausted",
            Self::AuthRefused => "auth_refused",
            Self::ModelMissing => "model_missing",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Tls => "tls",
            Self::Reset => "reset",
            Self::NotProcessed => "not_processed",
            Self::Protocol => "protocol",
            Self::BadGateway => "bad_gateway",
            Self::ServerError => "server_error",
            Self::HeadersTimeout => "headers_timeout",
            Self::FirstEventTimeout => "first_event_timeout",
            Self::Truncated => "truncated",
            Self::Overloaded => "overloaded",
            Self::Busy => "busy",
            Self::StreamError => "stream_error",
            Self::StreamCut => "stream_cut",
            Self::StreamStalled => "stream_stalled",
            Self::Cancelled => "cancelled",
            Self::PoolFull => "pool_full",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::Starved => "starved",
            Self::Unsayable => "unsayable",
        }
    }
}

impl Class {
    pub const ALL: [Self; 10] = [
        Self::ClientFault,
        Self::UpstreamFault,
        Self::Overload,
        Self::Throttled,
        Self::QuotaExhausted,
        Self::AuthFault,
        Self::ConfigFault,
        Self::StreamFault,
        Self::Cancelled,
        Self::LocalFault,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientFault => "client_fault",
            Self::UpstreamFault => "upstream_fault",
            Self::Overload => "overload",
            Self::Throttled => "throttled",
            Self::QuotaExhausted => "quota_exhausted",
            Self::AuthFault => "auth_fault",
            Self::ConfigFault => "config_fault",
            Self::StreamFault => "stream_fault",
            Self::Cancelled => "cancelled",
            Self::LocalFault => "local_fault",
        }
    }
}
