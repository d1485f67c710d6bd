//! Counts of the last minutes, second by second: of all requests together, and of each route for its present rate.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::state::Table;
use crate::state::outcomes::Counted;

/// Seconds of traffic that a page begins with.
const KEPT: usize = 300;
/// Seconds over which a route's rate is taken: short enough to follow, long enough to be read.
const WINDOW: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Sampled {
    seconds: VecDeque<Counted>,
    routes: HashMap<Arc<str>, Samples>,
}

/// What a route had counted at the last looks, the oldest first: one more than seconds between them.
#[derive(Debug, Default)]
struct Samples(VecDeque<Counted>);

/// What comes in a second, on average over the last few.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub all: f64,
    pub failed: f64,
    pub saved: f64,
}

impl Sampled {
    /// Looks at everything; a second after the last time.
    pub fn take(&mut self, table: &Table) {
        let mut second = Counted::default();
        let mut before = std::mem::take(&mut self.routes);
        for route in &table.routes {
            let name = &route.config.name;
            let counted = route.memory.outcomes.counted();
            let mut samples = before.remove(name).unwrap_or_default();
            if let Some(last) = samples.0.back() {
                second = second.plus(&counted.since(last));
            }
            push(&mut samples.0, counted, WINDOW + 1);
            self.routes.insert(Arc::clone(name), samples);
        }
        push(&mut self.seconds, second, KEPT);
    }

    /// The oldest first.
    pub fn seconds(&self) -> impl Iterator<Item = &Counted> {
        self.seconds.iter()
    }

    /// What ended in the last second.
    pub fn last(&self) -> Counted {
        self.seconds.back().copied().unwrap_or_default()
    }

    pub fn rates(&self, route: &str) -> Rates {
        let Some(Samples(samples)) = self.routes.get(route) else { return Rates::default() };
        let (Some(first), Some(last)) = (samples.front(), samples.back()) else { return Rates::default() };
        let seconds = samples.len().saturating_sub(1).max(1) as f64;
        let since = last.since(first);
        let per_second = |count: u64| count as f64 / seconds;
        Rates {
            all: per_second(since.all()),
            failed: per_second(since.failed()),
            saved: per_second(since.saved),
        }
    }
}

fn push(samples: &mut VecDeque<Counted>, sample: Counted, most: usize) {
    if samples.len() >= most {
        samples.pop_front();
    }
    samples.push_back(sample);
}
