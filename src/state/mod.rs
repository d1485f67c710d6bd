//! Live memory: what is known now about every upstream, model, credential and route.
//!
//! Short locks and atomics only; nothing here awaits. Memory is found by identity (upstream name,
//! upstream and model, upstream and credential, route name), so it outlives a reload; a [`Table`] is
//! one immutable compilation of a blueprint that holds `Arc`s to it.

pub mod alerts;
pub mod bar;
mod blame;
pub mod books;
pub mod chance;
mod channel;
pub mod clock;
pub mod credential;
pub mod fate;
pub mod flush;
pub mod gate;
pub mod gauges;
pub mod hearsay;
pub mod holding;
mod listed;
pub mod live;
pub mod look;
pub mod memoir;
pub mod model;
mod names;
pub mod network;
pub mod outcomes;
pub mod overrides;
pub mod permit;
pub mod queue;
pub mod recent;
mod registry;
pub mod room;
pub mod route;
mod served;
mod silence;
pub mod sync;
pub mod table;
pub mod timeline;
pub mod unserved;
pub mod upstream;

pub use channel::Channel;
pub use clock::{Clock, Hand};
pub use live::Live;
pub use permit::{Permit, Refusal};
pub use recent::Recent;
pub use registry::Registry;
pub use table::Table;
