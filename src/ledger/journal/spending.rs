//! Counts what requests cost and used by the key that asked and by everybody above it, once they have ended. Their
//! names are operators' words; those of callers with tokens are their issuer's, so these are counted together.
//!
//! What came of one caller is summed first and counted once, since a series is looked for by its name.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::config::{Level, Lineage};
use crate::ledger::record::Record;
use crate::state::Live;
use crate::telemetry::catalogue as c;
use crate::vocab::Money;

/// Who counts it.
pub(super) struct Spending {
    live: Arc<Live>,
    /// What is not counted yet, by where the lineage lies, which is kept and so nobody else's place.
    sums: FxHashMap<usize, (Lineage, Sum)>,
}

#[derive(Default)]
struct Sum {
    cost: Money,
    input: u64,
    output: u64,
}

impl Spending {
    pub fn new(live: &Arc<Live>) -> Self {
        Self { live: Arc::clone(live), sums: FxHashMap::default() }
    }

    pub fn add(&mut self, record: &Record) {
        let Some(lineage) = record.request.as_ref().and_then(|request| request.lineage.as_ref()) else {
            return;
        };
        let place = lineage.members().as_ptr().addr();
        let (_, sum) = self.sums.entry(place).or_insert_with(|| (lineage.clone(), Sum::default()));
        for entry in &record.attempts {
            let usage = &entry.used.usage;
            sum.cost = sum.cost.plus(entry.money().unwrap_or_default());
            sum.input = sum.input.saturating_add(usage.input);
            sum.output = sum.output.saturating_add(usage.output);
        }
    }

    /// Counts what was added.
    pub fn count(&mut self) {
        for (_, (lineage, sum)) in self.sums.drain() {
            for member in lineage.members() {
                // As no key can be called.
                let issued = member.name.split_once(':').filter(|_| member.level == Level::Key);
                match issued {
                    Some((issuer, _)) => sum.count(&self.live, member.level, &format!("{issuer}:*")),
                    None => sum.count(&self.live, member.level, &member.name),
                }
            }
        }
    }
}

impl Sum {
    fn count(&self, live: &Live, level: Level, name: &str) {
        let level = level.name();
        if self.cost > Money::ZERO {
            live.metrics.counter(&c::SPEND, &[level, name]).increment(self.cost.as_nano_usd());
        }
        for (kind, count) in [("input", self.input), ("output", self.output)] {
            if count > 0 {
                live.metrics.counter(&c::SPEND_TOKENS, &[level, name, kind]).increment(count);
            }
        }
    }
}
