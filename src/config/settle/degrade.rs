//! Defaults of what happens when nothing is eligible, and of what is kept of answers.

use std::time::Duration;

use super::{MIB, span};
use crate::config::blueprint::{Cache, CacheScope, Degradation, Idempotency, WhenExhausted};
use crate::config::file::degrade as file;
use crate::config::units::Size;

/// Bytes of all kept answers.
const CACHE_MEMORY: u64 = 64 * MIB;

/// What routes did before there was a choice: another route, then an error.
const TRIES: [Degradation; 2] = [Degradation::Fallback, Degradation::Fail];

pub fn exhausted(tries: Option<&[file::DegradationName]>, said: &file::WhenExhausted) -> WhenExhausted {
    let word = |name: &file::DegradationName| match name {
        file::DegradationName::Stale => Degradation::Stale,
        file::DegradationName::Fallback => Degradation::Fallback,
        file::DegradationName::Wait => Degradation::Wait,
        file::DegradationName::Answer => Degradation::Answer,
        file::DegradationName::Fail => Degradation::Fail,
    };
    WhenExhausted {
        tries: tries.map_or_else(|| TRIES.to_vec(), |names| names.iter().map(word).collect()),
        // As long as people wait for a page; SDKs wait for minutes.
        wait: span(said.wait, Duration::from_secs(10)),
        waiters: said.waiters.unwrap_or(100),
        answer: said.answer.as_deref().map(Into::into),
    }
}

pub fn cache(said: &file::Cache) -> Cache {
    Cache {
        enabled: said.enabled.unwrap_or(false),
        ttl: span(said.ttl, Duration::from_mins(5)),
        stale_if_error: span(said.stale_if_error, Duration::from_hours(1)),
        max_entry: said.max_entry.map_or(MIB, |Size(bytes)| bytes),
        scope: match said.scope {
            None | Some(file::CacheScopeName::Key) => CacheScope::Key,
            Some(file::CacheScopeName::Route) => CacheScope::Route,
        },
    }
}

pub fn cache_memory(said: Option<Size>) -> u64 {
    said.map_or(CACHE_MEMORY, |Size(bytes)| bytes)
}

/// Longer than any SDK goes on repeating a request.
pub fn idempotency(said: &file::Idempotency) -> Idempotency {
    Idempotency {
        enabled: said.enabled.unwrap_or(true),
        ttl: span(said.ttl, Duration::from_mins(10)),
        memory: said.memory.map_or(16 * MIB, |Size(bytes)| bytes),
    }
}
