//! Google's generateContent.

pub mod error;
pub mod reply;
pub mod request;
pub mod stream;
pub mod usage;
pub mod watch;
