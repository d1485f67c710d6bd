//! What a simulated upstream remembers of the requests that reached it: metadata, never prompts.

use std::collections::VecDeque;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

/// Requests remembered; older ones are forgotten first (the figure is the house contract's).
const CAPACITY: usize = 10_000;

/// One request that arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Seen {
    /// Counts arrivals at this upstream from 1; part of every word of the answer's text.
    pub serial: u64,
    /// When the head was read, since the upstream was started.
    #[serde(rename = "at_ms", with = "super::form::millis")]
    #[schemars(with = "u64")]
    pub at: Duration,
    /// Counts connections to this upstream from 1, so that reuse can be seen.
    pub connection: u64,
    pub method: String,
    /// Without the query, which may hold a key.
    pub path: String,
    pub model: Option<String>,
    /// The last four characters of the credential.
    pub credential_tail: Option<String>,
    /// The header `x-attempt`.
    pub attempt: Option<String>,
    /// The header `x-test-id`, by which a load generator knows its requests.
    pub test_id: Option<String>,
    /// Bytes of body that were read.
    pub body_bytes: u64,
    /// The fault that a rule chose for it, also where the caller hung up before its end.
    pub fault: Option<&'static str>,
    pub outcome: Outcome,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is still being served.
    Open,
    /// A whole answer was written.
    Completed,
    /// The peer went away first, after this many content events were written.
    Aborted { after_events: u32 },
    /// It ended as the rule of this name wanted.
    Faulted(&'static str),
}

/// The last [`CAPACITY`] requests, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ring {
    entries: VecDeque<Seen>,
}

impl Ring {
    pub(super) fn push(&mut self, seen: Seen) {
        if self.entries.len() == CAPACITY {
            self.entries.pop_front();
        }
        self.entries.push_back(seen);
    }

    /// The entry of that serial number, unless it is forgotten. Serials rise by one.
    pub(super) fn entry(&mut self, serial: u64) -> Option<&mut Seen> {
        let oldest = self.entries.front()?.serial;
        let index = usize::try_from(serial.checked_sub(oldest)?).ok()?;
        self.entries.get_mut(index)
    }

    pub(super) fn list(&self) -> Vec<Seen> {
        self.entries.iter().cloned().collect()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(serial: u64) -> Seen {
        Seen {
            serial,
            at: Duration::ZERO,
            connection: 1,
            method: "POST".to_owned(),
            path: "/".to_owned(),
            model: None,
            credential_tail: None,
            attempt: None,
            test_id: None,
            body_bytes: 0,
            fault: None,
            outcome: Outcome::Open,
        }
    }

    #[test]
    fn the_oldest_are_forgotten_and_entries_are_found_by_serial() {
        let mut ring = Ring::default();
        for serial in 1..=CAPACITY as u64 + 5 {
            ring.push(seen(serial));
        }
        assert_eq!(ring.list().len(), CAPACITY);
        assert!(ring.entry(5).is_none());
        assert_eq!(ring.entry(6).map(|seen| seen.serial), Some(6));
        assert_eq!(ring.entry(CAPACITY as u64 + 5).map(|seen| seen.serial), Some(CAPACITY as u64 + 5));
        assert!(ring.entry(CAPACITY as u64 + 6).is_none());
    }

    #[test]
    fn its_json_names_units_and_outcomes() {
        let json = serde_json::to_value(Seen { outcome: Outcome::Aborted { after_events: 3 }, ..seen(1) });
        let json = json.unwrap();
        assert_eq!(json["at_ms"], 0);
        assert_eq!(json["outcome"], serde_json::json!({"aborted": {"after_events": 3}}));
    }
}
