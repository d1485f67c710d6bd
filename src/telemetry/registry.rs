//! One gateway's metrics: gives whoever counts his series, and keeps them within bounds.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::catalogue::{self, Metric};
use super::cell::{Cell, Counter, Gauge, Histogram};
use super::family::{As, Family, Series};
use super::render;
use crate::algo::tick::Tick;

/// What stands for every name that a family has no room for.
pub const OVERFLOW: &str = "__overflow__";
/// Combinations of names in a family, where nobody says otherwise.
pub const MOST_SERIES: usize = 2_000;
/// A series of something that left the configuration stays for so long: three scrapes a minute apart would do, and who
/// undoes a change finds his counters as they were.
const GRACE: Duration = Duration::from_mins(15);

/// A registry of its own, with every metric of the catalogue.
pub struct Metrics {
    /// In the catalogue's order.
    families: Box<[Family]>,
    most: AtomicUsize,
    /// How many scrapes there were.
    round: AtomicU64,
    /// Held by the one scrape that is going on.
    scraping: Mutex<()>,
    /// Bytes of the last exposition.
    length: AtomicUsize,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    pub fn new() -> Self {
        let metrics = Self {
            families: catalogue::ALL.iter().map(|metric| Family::new(metric)).collect(),
            most: AtomicUsize::new(MOST_SERIES),
            round: AtomicU64::new(0),
            scraping: Mutex::new(()),
            length: AtomicUsize::new(0),
        };
        for family in metrics.families.iter().filter(|family| family.has_names()) {
            metrics.counter(&catalogue::OVERFLOWS, &[family.metric.name]);
        }
        metrics
    }

    /// From now on a family takes so many combinations of names; those that it has stay.
    pub fn limit(&self, most: usize) {
        self.most.store(most, Relaxed);
    }

    /// A handle for the series of `metric` with these label values, in the catalogue's order.
    pub fn counter(&self, metric: &Metric, labels: &[&str]) -> Counter {
        self.series(metric, labels, As::Counter, |series| match &series.cell {
            Cell::Counter(counter) => Some(counter.clone()),
            Cell::Gauge(_) | Cell::Histogram(_) => None,
        })
        .unwrap_or_default()
    }

    pub fn gauge(&self, metric: &Metric, labels: &[&str]) -> Gauge {
        self.series(metric, labels, As::Gauge, |series| match &series.cell {
            Cell::Gauge(gauge) => Some(gauge.clone()),
            Cell::Counter(_) | Cell::Histogram(_) => None,
        })
        .unwrap_or_default()
    }

    pub fn histogram(&self, metric: &Metric, labels: &[&str]) -> Histogram {
        self.series(metric, labels, As::Histogram, |series| match &series.cell {
            Cell::Histogram(histogram) => Some(histogram.clone()),
            Cell::Counter(_) | Cell::Gauge(_) => None,
        })
        .unwrap_or_else(|| Histogram::new(&[]))
    }

    /// Sets a number that the scrape under way finds; one that the next does not find is forgotten by then. That holds
    /// of counters, too, that somebody else counts: the kernel, the runtime.
    pub(super) fn found(&self, metric: &Metric, labels: &[&str], value: f64) {
        let round = self.round.load(Relaxed);
        self.series(metric, labels, As::Gauge, |series| {
            series.mark(round);
            if let Cell::Gauge(gauge) = &series.cell {
                gauge.set(value);
            }
            Some(())
        });
    }

    fn series<T>(
        &self,
        metric: &Metric,
        labels: &[&str],
        how: As,
        take: impl Fn(&Series) -> Option<T>,
    ) -> Option<T> {
        let family = &self.families[metric.index];
        if let Some(taken) = family.find(labels, how, self.most.load(Relaxed), &take) {
            return taken;
        }
        self.counter(&catalogue::OVERFLOWS, &[metric.name]).increment(1);
        match how {
            // The last one's would stand for all.
            As::Gauge => None,
            As::Counter | As::Histogram => {
                family.find(&family.without_names(labels, OVERFLOW), how, usize::MAX, take)?
            }
        }
    }

    /// What `read` makes of everything, once `write` has set what scrapes find.
    pub fn gather<T>(&self, write: impl FnOnce(), read: impl FnOnce(&Self) -> T) -> T {
        let _one = self.scraping.lock();
        let round = self.round.fetch_add(1, Relaxed) + 1;
        write();
        for family in &self.families {
            family.drop_unwritten(round);
        }
        read(self)
    }

    /// The exposition of what is there.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(self.length.load(Relaxed) + 1024);
        for family in &self.families {
            render::family(family, &mut text);
        }
        self.length.store(text.len(), Relaxed);
        text
    }

    /// All series there are.
    pub fn len(&self) -> usize {
        self.families.iter().map(Family::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets series of what is no more, a while after it went: nobody holds them, and a name among their labels is
    /// none that `is_known`, which gets label and value.
    pub fn forget(&self, is_known: &dyn Fn(&str, &str) -> bool, now: Tick) {
        let known =
            |label: &str, value: &str| value.is_empty() || value == OVERFLOW || is_known(label, value);
        for family in &self.families {
            family.forget(&known, now, GRACE);
        }
    }

    pub(super) fn families(&self) -> &[Family] {
        &self.families
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Tick {
        Tick::ZERO + Duration::from_mins(minutes)
    }

    #[test]
    fn a_series_is_rendered_with_its_help_and_labels() {
        let metrics = Metrics::new();
        metrics.counter(&catalogue::REQUESTS, &["demo", "openai", "ok"]).increment(2);
        metrics.histogram(&catalogue::OVERHEAD, &["demo"]).record(0.000_03);
        let text = metrics.render();
        assert!(text.contains("# HELP mainstay_requests_total Finished requests"), "{text}");
        assert!(
            text.contains(r#"mainstay_requests_total{route="demo",dialect="openai",outcome="ok"} 2"#),
            "{text}"
        );
        assert!(
            text.contains(r#"mainstay_gateway_overhead_seconds_bucket{route="demo",le="0.00005"} 1"#),
            "{text}"
        );
        assert!(
            text.contains("mainstay_gateway_overhead_seconds_bucket{route=\"demo\",le=\"+Inf\"} 1\n"),
            "{text}"
        );
    }

    #[test]
    fn the_same_labels_are_the_same_series() {
        let metrics = Metrics::new();
        let of = |route: &str| metrics.counter(&catalogue::SAVED, &[route]);
        of("a").increment(1);
        of("a").increment(1);
        of("b").increment(5);
        assert_eq!((of("a").value(), of("b").value()), (2, 5));
    }

    #[test]
    fn what_there_is_no_room_for_is_counted_together() {
        let metrics = Metrics::new();
        metrics.limit(2);
        let count = |route: &str, outcome| metrics.counter(&catalogue::REQUESTS, &[route, "openai", outcome]);
        for route in ["a", "b", "c", "d"] {
            count(route, "ok").increment(1);
            // Another word is no other name.
            count(route, "failed").increment(1);
            metrics.histogram(&catalogue::OVERHEAD, &[route]).record(1.0);
            metrics.gauge(&catalogue::IN_FLIGHT, &[route]).set(7.0);
        }
        let text = metrics.render();
        for expected in [
            "mainstay_requests_total{route=\"b\",dialect=\"openai\",outcome=\"failed\"} 1\n",
            "mainstay_requests_total{route=\"__overflow__\",dialect=\"openai\",outcome=\"ok\"} 2\n",
            "mainstay_gateway_overhead_seconds_count{route=\"__overflow__\"} 2\n",
            "mainstay_metrics_overflow_total{metric=\"mainstay_requests_total\"} 4\n",
            "mainstay_metrics_overflow_total{metric=\"mainstay_requests_in_flight\"} 2\n",
        ] {
            assert!(text.contains(expected), "{expected}{text}");
        }
        assert!(!text.contains("route=\"c\""), "{text}");
        assert!(!text.contains("in_flight{route=\"__overflow__\""), "a gauge has no sum: {text}");
    }

    #[test]
    fn what_left_the_configuration_is_forgotten_a_while_later_unless_somebody_holds_it() {
        let metrics = Metrics::new();
        metrics.limit(2);
        let held = metrics.counter(&catalogue::SAVED, &["held"]);
        metrics.counter(&catalogue::SAVED, &["gone"]).increment(1);
        let has =
            |name: &str| metrics.render().contains(&format!("mainstay_failovers_total{{route=\"{name}\"}}"));
        let nobody = |_: &str, _: &str| false;
        metrics.forget(&nobody, at(0));
        metrics.forget(&nobody, at(14));
        assert!(has("gone") && has("held"));
        // It came back, and went again.
        metrics.forget(&|_, value| value == "gone", at(14));
        metrics.forget(&nobody, at(20));
        metrics.forget(&nobody, at(34));
        assert!(has("gone"));
        metrics.forget(&nobody, at(35));
        assert!(!has("gone") && has("held"));
        drop(held);
        // Its place is free.
        metrics.counter(&catalogue::SAVED, &["new"]).increment(1);
        assert!(has("new"));
    }

    #[test]
    fn what_a_scrape_does_not_find_again_is_gone() {
        let metrics = Metrics::new();
        let kept = metrics.gauge(&catalogue::CONNECTIONS, &[]);
        kept.set(3.0);
        let find = |names: &[&str]| {
            let write = || names.iter().for_each(|name| metrics.found(&catalogue::IN_FLIGHT, &[name], 1.0));
            metrics.gather(write, Metrics::render)
        };
        assert!(find(&["a", "b"]).contains("in_flight{route=\"b\"} 1"));
        let text = find(&["a"]);
        assert!(text.contains("in_flight{route=\"a\"} 1") && !text.contains("route=\"b\""), "{text}");
        assert!(text.contains("mainstay_connections 3\n"), "{text}");
    }
}
