//! What has befallen one upstream, or one of its models, lately: the latest changes of its breaker, of what probes say,
//! and of what operators have said about it. For people who ask what happened; nothing decides by it.

use std::borrow::Cow;
use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::algo::tick::Tick;

/// Changes that are remembered of each.
pub const KEPT: usize = 64;

/// The latest changes, oldest first.
#[derive(Debug, Default)]
pub struct Timeline(Mutex<VecDeque<Change>>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: Tick,
    pub of: Subject,
    pub from: &'static str,
    pub to: &'static str,
    /// Why: a word of the breaker's, or what an operator has written.
    pub reason: Cow<'static, str>,
}

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Breaker,
    Health,
    Override,
}

impl Subject {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Breaker => "breaker",
            Self::Health => "health",
            Self::Override => "override",
        }
    }
}

impl Timeline {
    pub fn note(&self, change: Change) {
        let mut changes = self.0.lock();
        if changes.len() >= KEPT {
            changes.pop_front();
        }
        changes.push_back(change);
    }

    pub fn all(&self) -> Vec<Change> {
        self.0.lock().iter().cloned().collect()
    }

    /// The latest change of `subject`.
    pub fn last(&self, subject: Subject) -> Option<Change> {
        self.0.lock().iter().rev().find(|change| change.of == subject).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_latest_changes_are_kept_in_their_order() {
        let timeline = Timeline::default();
        for second in 0..KEPT as u64 + 3 {
            let of = if second == 5 { Subject::Health } else { Subject::Breaker };
            let at = Tick::ZERO + Duration::from_secs(second);
            timeline.note(Change { at, of, from: "closed", to: "open", reason: "fast".into() });
        }
        let all = timeline.all();
        let seconds: Vec<u64> = all.iter().map(|change| change.at.since(Tick::ZERO).as_secs()).collect();
        assert_eq!(seconds, (3..KEPT as u64 + 3).collect::<Vec<_>>());
        assert_eq!(timeline.last(Subject::Health).map(|change| change.at), Some(all[2].at));
        assert_eq!(timeline.last(Subject::Breaker).as_ref(), all.last());
        assert_eq!(timeline.last(Subject::Override), None);
    }
}
