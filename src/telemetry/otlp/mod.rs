//! OpenTelemetry: what is told to a collector over OTLP, as protocol buffers over HTTP
//! (<https://opentelemetry.io/docs/specs/otlp/>).
//!
//! | file | job |
//! |---|---|
//! | `wire` | protocol buffers |
//! | `resource` | who tells it |
//! | `metrics` | the registry, as the messages that a collector takes |
//! | `mailbox` | what waits to be sent, within bounds; metrics and traces have one each |
//!
//! Nothing here opens a connection or waits for one: `server::collector` posts what is in a mailbox, tries again and gives
//! up. A collector that is broken costs what its mailbox may hold, and a counter says so.

mod mailbox;
mod metrics;
mod resource;
mod wire;

pub use mailbox::{Delivered, Mailbox};
pub use metrics::{Export, Vendors, batches};
pub use resource::Resource;
pub use wire::Message;

/// What is told. The label `signal` of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Metrics,
}

impl Signal {
    pub const ALL: [Self; 1] = [Self::Metrics];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Metrics => "metrics",
        }
    }

    /// Behind the collector's address.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Metrics => "/v1/metrics",
        }
    }
}
