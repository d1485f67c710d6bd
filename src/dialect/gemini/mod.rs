//! Google's generateContent.

pub mod error;
pub mod usage;
pub mod watch;
