//! OpenTelemetry: what is told to a collector over OTLP, as protocol buffers over HTTP
//! (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! | file | job |
//! |---|---|
//! | `wire` | protocol buffers |
//! | `resource` | who tells it |
//! | `metrics` | the registry, as the messages that a collector takes |
//! | `spans` | requests and attempts, as the messages that a collector takes |
//! | `mailbox` | what waits to be sent, within bounds; metrics and traces have one each |
//!
//! Nothing here opens a connection or waits for one: `server::collector` posts what is in a mailbox, tries again and
//! gives up. A collector that is broken costs what its mailbox may hold, and a counter says so.

mod mailbox;
mod metrics;
mod resource;
mod spans;
mod wire;

pub use mailbox::{Delivered, Mailbox};
pub use metrics::{Export, Vendors, batches};
pub use resource::Resource;
pub use spans::{Attributes, Kind, Place, Span, Spans};
pub use wire::Message;

/// What is told. The label `signal` of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Metrics,
    Traces,
}

impl Signal {
    pub const ALL: [Self; 2] = [Self::Metrics, Self::Traces];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
            Self::Traces => "traces",
        }
    }

    /// Behind the collector's address.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Metrics => "/v1/metrics",
            Self::Traces => "/v1/traces",
        }
    }
}

/// What OpenTelemetry's conventions call the vendor behind a provider, where they have a name for it.
pub fn vendor(provider: &'static str) -> &'static str {
    match provider {
        "gemini" => "gcp.gemini",
        "vertex" => "gcp.vertex_ai",
        "bedrock" | "bedrock-mantle" => "aws.bedrock",
        "azure" | "azure-legacy" => "azure.ai.openai",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        other => other,
    }
}
