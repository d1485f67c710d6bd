//! Token counts in one normal form, whatever the provider calls them.

/// Tokens of one attempt. `input` contains the cached tokens, `output` contains the reasoning tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input: u64,
    /// Input tokens read from a prompt cache.
    pub cache_read: u64,
    /// Input tokens written to a prompt cache that lives five minutes (or the provider's default).
    pub cache_write: u64,
    /// Input tokens written to a prompt cache that lives an hour.
    pub cache_write_1h: u64,
    /// All output tokens, reasoning included.
    pub output: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
}
