//! What the outside sees of us: the one catalogue of metrics, and the set-up of logs.
//!
//! Nothing outside this room names a metric. There is no process-wide recorder: every gateway owns
//! its own, so two of them in one process (a test, say) never mix their figures.

mod alerts;
pub mod catalogue;
mod handles;
pub mod logs;
mod registry;
mod shared;
mod store;

pub use alerts::{AlertHandles, Posted, WebhookHandles};
pub use handles::{
    AttemptHandles, CredentialHandles, Gauges, Hedged, RefusedRetry, RequestHandles, RequestOutcome,
    SessionPlace, Shed, StreamOutcome, UpstreamHandles,
};
pub use registry::Metrics;
pub use shared::{SharedAnswer, SharedHandles, SharedOperation};
pub use store::StoreHandles;
