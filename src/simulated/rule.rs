//! Rules: which requests go wrong, how often, and how. Plain values and their JSON; nothing acts here.
//!
//! The JSON form is in the room's own documentation ([`super`]).

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::form;

/// One rule. The first rule that matches a request and whose turn it is decides; the others are not asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "form::RuleForm", into = "form::RuleForm")]
pub struct Rule {
    pub when: When,
    pub often: Often,
    pub fault: Fault,
}

/// Which requests a rule is about; what is absent matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// Exactly this model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The credential ends with this; only the last four characters are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_tail: Option<String>,
    /// The path begins with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<String>,
}

/// How many of the matching requests a rule hits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Often {
    #[default]
    Always,
    /// This share of them, by seeded dice.
    Share(f64),
    /// The n-th, the 2n-th and so on.
    Every(NonZeroU32),
    /// The first n since the rules were set, then no more.
    First(u32),
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// An error answer, with a body in the dialect's own shape unless one is given.
    Status {
        #[serde(with = "form::status")]
        #[schemars(with = "u16", range(min = 200, max = 599))]
        status: StatusCode,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<String>,
        #[serde(default, rename = "retry_after_ms", with = "form::millis::option")]
        #[schemars(with = "Option<u64>")]
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// 429 of a rate limit, in the provider's own words.
    RateLimited {
        #[serde(default, rename = "retry_after_ms", with = "form::millis::option")]
        #[schemars(with = "Option<u64>")]
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
    },
    /// The account's money or daily quota is used up; says nothing of when it will be back.
    QuotaExhausted,
    /// The listener is closed, so that connecting is refused, and so is every open connection. No
    /// request is read, so `when` and `often` do not apply.
    Refuse,
    /// RST instead of an answer.
    Reset {
        #[serde(default)]
        at: ResetAt,
    },
    /// The request is read and never answered; the connection stays open.
    Hang,
    /// A good answer whose first byte comes this late.
    Slow {
        #[serde(rename = "ttft_ms", with = "form::millis")]
        #[schemars(with = "u64")]
        ttft: Duration,
    },
    /// A good answer of which one byte at a time leaves, headers included.
    Drip {
        #[serde(rename = "gap_ms", with = "form::millis")]
        #[schemars(with = "u64")]
        gap: Duration,
    },
    /// The answer begins well and ends in the middle.
    Cut { after_events: u32, how: How },
    /// The answer begins well and goes silent; the connection stays open.
    Stall { after_events: u32 },
    /// An error inside a 200: after so many content events of a stream, or as the whole body.
    InBandError {
        after_events: u32,
        #[serde(default)]
        error: InBand,
    },
    /// A 200 that ends cleanly with nothing in it.
    EmptyStream,
    /// Exactly these bytes.
    Canned(Canned),
}

/// When a connection is reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetAt {
    /// As soon as the request's head is here. The body is not read, so `when.model` matches nothing
    /// that is named in a body.
    Head,
    /// When the whole request is here.
    #[default]
    Body,
}

/// How an answer ends in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// The socket is closed with no last chunk or too few bytes: visible to a careful reader.
    Fin,
    /// The socket is reset.
    Rst,
    /// The last chunk is sent properly: HTTP is whole, only the dialect's own end is missing.
    ChunkedEof,
    /// An HTTP/1.0 answer whose end is the end of the connection: nothing in HTTP tells.
    CloseDelimited,
}

/// What an in-band error says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InBand {
    #[default]
    Overloaded,
    ServerError,
    RateLimited,
    QuotaExhausted,
}

/// An answer given in bytes, for replaying recorded exchanges.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canned {
    #[serde(with = "form::status")]
    #[schemars(with = "u16", range(min = 200, max = 599))]
    pub status: StatusCode,
    /// Sent as they are; those that are not valid HTTP are left out.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Each chunk after its gap, written and flushed on its own.
    #[serde(default, with = "form::chunks")]
    #[schemars(with = "Vec<form::chunks::Chunk>")]
    pub chunks: Vec<(Duration, Bytes)>,
}

impl fmt::Debug for Canned {
    /// A recorded body may hold somebody's words, so only its size is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Canned({}, {} chunks)", self.status, self.chunks.len())
    }
}

impl Rule {
    /// This fault for every request; narrow it with the methods below.
    pub fn new(fault: Fault) -> Self {
        Self { when: When::default(), often: Often::Always, fault }
    }

    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.when.model = Some(model.into());
        self
    }

    #[must_use]
    pub fn credential(mut self, tail: impl Into<String>) -> Self {
        self.when.credential_tail = Some(tail.into());
        self
    }

    #[must_use]
    pub fn path(mut self, prefix: impl Into<String>) -> Self {
        self.when.path_prefix = Some(prefix.into());
        self
    }

    #[must_use]
    pub fn often(mut self, often: Often) -> Self {
        self.often = often;
        self
    }

    #[must_use]
    pub fn share(self, share: f64) -> Self {
        self.often(Often::Share(share))
    }

    /// Every `n`-th; 0 is taken as 1.
    #[must_use]
    pub fn every(self, n: u32) -> Self {
        self.often(Often::Every(NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)))
    }

    #[must_use]
    pub fn first(self, n: u32) -> Self {
        self.often(Often::First(n))
    }
}

impl Fault {
    /// A bare error status with the dialect's own body.
    pub fn status(status: StatusCode) -> Self {
        Self::Status { status, body: None, retry_after: None }
    }

    /// The name in JSON and in [`Seen`](super::Seen).
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::RateLimited { .. } => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::Refuse => "refuse",
            Self::Reset { .. } => "reset",
            Self::Hang => "hang",
            Self::Slow { .. } => "slow",
            Self::Drip { .. } => "drip",
            Self::Cut { .. } => "cut",
            Self::Stall { .. } => "stall",
            Self::InBandError { .. } => "in_band_error",
            Self::EmptyStream => "empty_stream",
            Self::Canned(_) => "canned",
        }
    }

    /// The caller still gets a whole answer.
    pub(super) const fn answers(&self) -> bool {
        matches!(self, Self::Slow { .. } | Self::Drip { .. } | Self::Canned(_))
    }
}
