//! All series of one metric, by the values of their labels.
//!
//! A family has a bound: so many combinations of **names**, which configurations and operators make. The words of
//! closed labels do not count, or a gauge with one series per breaker state would leave room for a sixth of the
//! channels. What comes beyond the bound is a matter for the registry.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::RwLock;
use smallvec::SmallVec;

use super::catalogue::{Kind, Metric};
use super::cell::{Cell, Counter, Gauge, Histogram};
use super::render;
use super::words::words;
use crate::algo::tick::Tick;

/// Stands between the values of a key: no text has it.
const BETWEEN: u8 = 0xff;

/// The values of some labels, one behind the other.
type Values = SmallVec<[u8; 128]>;

pub(super) struct Family {
    pub(super) metric: &'static Metric,
    /// The words of each label that is closed.
    closed: Box<[Option<&'static [&'static str]>]>,
    shelf: RwLock<Shelf>,
}

#[derive(Default)]
struct Shelf {
    series: BTreeMap<Box<[u8]>, Series>,
    /// Series of each combination of names.
    names: HashMap<Box<[u8]>, u32>,
}

pub(super) struct Series {
    pub(super) values: Box<[Box<str>]>,
    /// As the exposition has them, without braces.
    pub(super) labels: Box<str>,
    pub(super) cell: Cell,
    /// The scrape that wrote it last; 0 where scrapes do not.
    written: AtomicU64,
    /// Since when nobody has it nor knows its names.
    forsaken: Option<Tick>,
}

/// How a series is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum As {
    Counter,
    Gauge,
    Histogram,
}

impl Family {
    pub(super) fn new(metric: &'static Metric) -> Self {
        let closed = metric.labels.iter().map(|label| words(metric.name, label)).collect();
        Self { metric, closed, shelf: RwLock::default() }
    }

    /// Whether its series are as many as there are names.
    pub(super) fn has_names(&self) -> bool {
        self.closed.iter().any(Option::is_none)
    }

    /// The series with these values, made where there is none and the family has room among `most` combinations of
    /// names.
    pub(super) fn find<T>(
        &self,
        values: &[&str],
        how: As,
        most: usize,
        take: impl FnOnce(&Series) -> T,
    ) -> Option<T> {
        debug_assert_eq!(self.metric.labels.len(), values.len(), "{}: label values", self.metric.name);
        let key = joined(values.iter().copied());
        if let Some(series) = self.shelf.read().series.get(&key[..]) {
            return Some(take(series));
        }
        let mut shelf = self.shelf.write();
        let Shelf { series, names } = &mut *shelf;
        match series.entry(key.as_slice().into()) {
            Entry::Occupied(known) => Some(take(known.get())),
            Entry::Vacant(place) => {
                let combination = self.names(values);
                if self.has_names() && !names.contains_key(&combination[..]) && names.len() >= most {
                    return None;
                }
                *names.entry(combination.as_slice().into()).or_default() += 1;
                Some(take(place.insert(self.made(values, how))))
            }
        }
    }

    /// `values` with `instead` for each name, the words as they are.
    pub(super) fn without_names<'v>(&self, values: &[&'v str], instead: &'v str) -> SmallVec<[&'v str; 4]> {
        let each = values.iter().zip(&self.closed);
        each.map(|(value, words)| if words.is_some() { *value } else { instead }).collect()
    }

    fn names(&self, values: &[&str]) -> Values {
        let each = values.iter().zip(&self.closed);
        joined(each.filter(|(_, words)| words.is_none()).map(|(value, _)| *value))
    }

    fn made(&self, values: &[&str], how: As) -> Series {
        for ((label, value), words) in self.metric.labels.iter().zip(values).zip(&self.closed) {
            let said = words.is_none_or(|words| words.contains(value));
            debug_assert!(said, "{}: {label} is never to be {value:?}", self.metric.name);
        }
        let cell = match (how, self.metric.kind) {
            (As::Counter, _) => Cell::Counter(Counter::default()),
            (As::Gauge, _) => Cell::Gauge(Gauge::default()),
            (As::Histogram, Kind::Histogram(bounds)) => Cell::Histogram(Histogram::new(bounds)),
            (As::Histogram, Kind::Counter | Kind::Gauge) => Cell::Histogram(Histogram::new(&[])),
        };
        Series {
            values: values.iter().map(|value| Box::from(*value)).collect(),
            labels: render::labels(self.metric.labels, values),
            cell,
            written: AtomicU64::new(0),
            forsaken: None,
        }
    }

    /// Looks at every series, in the order of its values.
    pub(super) fn each(&self, look: impl FnMut(&Series)) {
        self.shelf.read().series.values().for_each(look);
    }

    pub(super) fn len(&self) -> usize {
        self.shelf.read().series.len()
    }

    /// Forgets what scrapes before `round` wrote and this one did not: what it spoke of is gone.
    pub(super) fn drop_unwritten(&self, round: u64) {
        let gone = |series: &Series| !matches!(series.written.load(Relaxed), 0) && !series.is_of(round);
        if self.shelf.read().series.values().any(gone) {
            self.retain(|_, series| !gone(series));
        }
    }

    /// Forgets the series that nobody holds, with a name that `is_known` has not known for as long as `grace`.
    pub(super) fn forget(
        &self,
        is_known: &dyn Fn(&str, &str) -> bool,
        now: Tick,
        grace: std::time::Duration,
    ) {
        if !self.has_names() {
            return;
        }
        self.retain(|family, series| {
            let labels = family.metric.labels.iter().zip(&series.values).zip(&family.closed);
            let mut names = labels.filter(|(_, words)| words.is_none());
            let stays = series.cell.is_held() || names.all(|((label, value), _)| is_known(label, value));
            series.forsaken = if stays { None } else { Some(series.forsaken.unwrap_or(now)) };
            series.forsaken.is_none_or(|since| now.since(since) < grace)
        });
    }

    fn retain(&self, keep: impl Fn(&Self, &mut Series) -> bool) {
        let mut shelf = self.shelf.write();
        let Shelf { series, names } = &mut *shelf;
        series.retain(|_, series| {
            let stays = keep(self, series);
            if !stays {
                let values: SmallVec<[&str; 4]> = series.values.iter().map(AsRef::as_ref).collect();
                let combination = self.names(&values);
                if let Some(left) = names.get_mut(&combination[..]) {
                    *left -= 1;
                    if *left == 0 {
                        names.remove(&combination[..]);
                    }
                }
            }
            stays
        });
    }
}

impl Series {
    /// The scrape `round` has written it.
    pub(super) fn mark(&self, round: u64) {
        self.written.store(round, Relaxed);
    }

    fn is_of(&self, round: u64) -> bool {
        self.written.load(Relaxed) == round
    }
}

fn joined<'v>(values: impl Iterator<Item = &'v str>) -> Values {
    let mut key = Values::new();
    for value in values {
        key.extend_from_slice(value.as_bytes());
        key.push(BETWEEN);
    }
    key
}
