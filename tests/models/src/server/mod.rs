//! Connections and their end.

#[path = "../../../../src/server/busy.rs"]
pub mod busy;
#[path = "../../../../src/server/lifecycle.rs"]
pub mod lifecycle;
#[path = "../../../../src/server/places.rs"]
pub mod places;
