//! Plain values that every room may name: alerts, faults, usage, hosts' names, money, operators' scopes, parts, models'
//! facts, priorities, privacy, names of requests, secrets, stages, tiers, rate hints, places in traces.
//!
//! Nothing here awaits, locks, logs or reads a clock. Times are `Duration`s relative to the moment
//! of observation; turning them into points in time is the business of rooms that own a clock.

pub mod alert;
pub mod facts;
pub mod fault;
pub mod hint;
pub mod host;
pub mod money;
pub mod operator;
pub mod part;
pub mod payer;
pub mod priority;
pub mod privacy;
pub mod request_id;
pub mod secret;
pub mod stage;
pub mod tier;
pub mod trace;
pub mod usage;

pub use alert::{Alert, AlertKind, AlertState};
pub use facts::{Abilities, Ability, Facts, Mode};
pub use fault::{Class, Fault, Scope};
pub use hint::RateHint;
pub use money::Money;
pub use operator::{OperatorScope, OperatorScopes};
pub use part::Part;
pub use payer::Payer;
pub use priority::Priority;
pub use privacy::Privacy;
pub use request_id::RequestId;
pub use secret::Secret;
pub use stage::Stage;
pub use tier::Tier;
pub use trace::Trace;
pub use usage::Usage;
