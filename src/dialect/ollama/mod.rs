//! Ollama's own API. Nobody calls us in it; upstreams speak it.

pub mod reply;
pub mod request;
pub mod stream;
pub mod usage;
pub mod watch;
