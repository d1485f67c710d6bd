//! What the outside sees of us: the one catalogue of metrics, and the set-up of logs.
//!
//! Nothing outside this room names a metric. There is no process-wide recorder: every gateway owns
//! its own, so two of them in one process (a test, say) never mix their figures.

mod alerts;
mod attempts;
pub mod catalogue;
mod cell;
mod family;
mod gauges;
pub mod gzip;
mod handles;
pub mod logs;
pub mod otlp;
pub mod process;
mod registry;
mod render;
mod shared;
mod store;
mod words;

pub use alerts::{AlertHandles, Posted, WebhookHandles};
pub use attempts::{AttemptHandles, CredentialHandles, Pace, PoolHandles, UpstreamHandles};
pub use cell::{Counter, Gauge, Histogram};
pub use gauges::Gauges;
pub use handles::{
    Hedged, HeldBack, RefusedRetry, RequestHandles, RequestOutcome, SessionPlace, Shed, StreamOutcome,
    answered_nowhere,
};
pub use registry::{MOST_SERIES, Metrics, OVERFLOW};
pub use shared::{SharedAnswer, SharedHandles, SharedOperation};
pub use store::StoreHandles;
pub use words::words;
