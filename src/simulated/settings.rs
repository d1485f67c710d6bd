//! How a simulated upstream behaves when it is well.

use std::time::Duration;

/// The defaults make a stream that a person can watch and a test can wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From the end of the request to the response's headers and first event.
    pub ttft: Duration,
    /// The gap between two content events of a stream. A whole answer comes at once after `ttft`.
    pub pace: Duration,
    /// Numbered words in a text, the seal not counted; at least one.
    pub words: u32,
    /// Seeds the dice of `share` rules and the embedding vectors.
    pub seed: u64,
    /// Requests in flight beyond this many are refused as overload; `None` takes all.
    pub capacity: Option<u32>,
    /// Idle connections are closed after this long; `None` keeps them for ever.
    pub keep_alive: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ttft: Duration::from_millis(50),
            pace: Duration::from_millis(20),
            words: 24,
            seed: 0,
            capacity: None,
            keep_alive: None,
        }
    }
}
