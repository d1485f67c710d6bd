//! The whole upstream, over real sockets and over pipes in paused time, through a client that sees raw bytes.

mod client;
mod faults;
mod life;
mod shapes;

use std::sync::Arc;
use std::time::Duration;

use super::*;

/// As fast as it goes.
fn quick() -> Settings {
    Settings { ttft: Duration::ZERO, pace: Duration::ZERO, words: 12, ..Settings::default() }
}

fn start() -> Arc<Simulated> {
    Simulated::start("sim-a", quick()).unwrap()
}
