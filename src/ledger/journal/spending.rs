//! Counts what requests cost and used by the key that asked and by everybody above it, once they have ended. Their names are
//! operators' words; those of callers with tokens are their issuer's, so these are counted together.

use std::sync::Arc;

use crate::config::Level;
use crate::ledger::record::{Entry, Record};
use crate::state::Live;
use crate::telemetry::catalogue as c;
use crate::vocab::Money;

/// Who counts it.
pub(super) struct Spending(Arc<Live>);

impl Spending {
    pub fn new(live: &Arc<Live>) -> Self {
        Self(Arc::clone(live))
    }

    pub fn count(&self, record: &Record) {
        let Some(lineage) = record.request.as_ref().and_then(|request| request.lineage.as_ref()) else {
            return;
        };
        for member in lineage.members() {
            // As no key can be called.
            let issued = member.name.split_once(':').filter(|_| member.level == Level::Key);
            match issued {
                Some((issuer, _)) => self.add(member.level, &format!("{issuer}:*"), record),
                None => self.add(member.level, &member.name, record),
            }
        }
    }

    fn add(&self, level: Level, name: &str, record: &Record) {
        let metrics = &self.0.metrics;
        let cost: Money = record.attempts.iter().filter_map(Entry::money).sum();
        if cost > Money::ZERO {
            metrics.counter(&c::SPEND, &[level.name(), name]).increment(cost.as_nano_usd());
        }
        let tokens = |of: fn(&Entry) -> u64| record.attempts.iter().map(of).fold(0, u64::saturating_add);
        let (input, output) =
            (tokens(|entry| entry.used.usage.input), tokens(|entry| entry.used.usage.output));
        for (kind, count) in [("input", input), ("output", output)] {
            if count > 0 {
                metrics.counter(&c::SPEND_TOKENS, &[level.name(), name, kind]).increment(count);
            }
        }
    }
}
