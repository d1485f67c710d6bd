//! Counts what attempts cost and use by the key that asked, and by everybody above it. Their names are operators' words;
//! those of callers with tokens are their issuer's, so these are counted together.

use std::sync::Arc;

use crate::access::limits::Holder;
use crate::config::Lineage;
use crate::state::Live;
use crate::state::books::{Attempt, Books};
use crate::telemetry::catalogue as c;
use crate::vocab::Money;

/// The books of a request whose caller is known.
pub struct Spent {
    books: Arc<dyn Books>,
    lineage: Lineage,
    live: Arc<Live>,
}

impl Spent {
    /// `books` hear of everything as they would without it.
    pub fn new(books: Arc<dyn Books>, lineage: &Lineage, live: &Arc<Live>) -> Arc<Self> {
        Arc::new(Self { books, lineage: lineage.clone(), live: Arc::clone(live) })
    }

    fn count(&self, level: &str, name: &str, cost: Option<Money>, attempt: &Attempt<'_>) {
        let metrics = &self.live.metrics;
        if let Some(cost) = cost {
            metrics.counter(&c::SPEND, &[level, name]).increment(cost.as_nano_usd());
        }
        let usage = &attempt.used.usage;
        for (kind, count) in [("input", usage.input), ("output", usage.output)] {
            if count > 0 {
                metrics.counter(&c::SPEND_TOKENS, &[level, name, kind]).increment(count);
            }
        }
    }
}

impl Books for Spent {
    fn begins(&self) -> u32 {
        self.books.begins()
    }

    fn ended(&self, attempt: &Attempt<'_>) -> Option<Money> {
        let cost = self.books.ended(attempt);
        for member in self.lineage.members() {
            let (holder, name) = (Holder::Member(member.level), &*member.name);
            match name.split_once(':').filter(|_| holder.is_issued(name)) {
                Some((issuer, _)) => self.count(holder.name(), &format!("{issuer}:*"), cost, attempt),
                None => self.count(holder.name(), name, cost, attempt),
            }
        }
        cost
    }
}

impl std::fmt::Debug for Spent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Spent").field(&self.books).finish()
    }
}
