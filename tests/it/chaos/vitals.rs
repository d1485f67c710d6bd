//! What the gateway's process takes, and what its gauges say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::process::Gateway;

/// What a process takes at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    /// Resident memory, in MiB.
    pub memory_mib: f64,
    /// Open files: sockets, most of them.
    pub files: usize,
    pub threads: usize,
}

impl Vitals {
    /// Where the system tells.
    pub fn of(id: u32) -> Option<Self> {
        let home = PathBuf::from(format!("/proc/{id}"));
        let status = std::fs::read_to_string(home.join("status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let memory_mib = line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()? / 1024.0;
        let count = |what: &str| std::fs::read_dir(home.join(what)).map_or(0, Iterator::count);
        Some(Self { memory_mib, files: count("fd"), threads: count("task") })
    }
}

/// The numbers of one scrape, by series.
pub struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    pub fn of(gateway: &Gateway) -> Self {
        let text = gateway.metrics();
        let series = text.lines().filter(|line| !line.starts_with('#'));
        Self(
            series
                .filter_map(|line| line.rsplit_once(' '))
                .filter_map(|(series, value)| Some((series.to_owned(), value.parse().ok()?)))
                .collect(),
        )
    }

    /// All series of `name` whose labels contain each of `labels`.
    pub fn all<'s>(&'s self, name: &'s str, labels: &'s [&'s str]) -> impl Iterator<Item = (&'s str, f64)> {
        self.0
            .iter()
            .filter(move |(series, _)| {
                series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
            })
            .filter(move |(series, _)| labels.iter().all(|label| series.contains(label)))
            .map(|(series, value)| (&**series, *value))
    }

    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.all(name, labels).map(|(_, value)| value).sum()
    }

    /// The gauges of what goes on now that are not at zero.
    pub fn busy(&self) -> Vec<String> {
        const GAUGES: [(&str, &[&str]); 8] = [
            ("mainstay_requests_in_flight", &[]),
            ("mainstay_attempts_in_flight", &[]),
            ("mainstay_queue_depth", &[]),
            ("mainstay_requests_waiting", &[]),
            ("mainstay_connections", &[]),
            ("mainstay_responses_remembered", &[]),
            ("mainstay_pool_connections", &["state=\"in_use\""]),
            ("mainstay_pool_connections", &["state=\"opening\""]),
        ];
        let busy = GAUGES.iter().flat_map(|(name, labels)| self.all(name, labels));
        busy.filter(|(_, value)| *value != 0.0).map(|(series, value)| format!("{series} {value}")).collect()
    }

    /// The breakers that are not closed.
    pub fn open(&self) -> Vec<String> {
        let closed = self.all("mainstay_breaker_state", &["state=\"closed\""]);
        closed.filter(|(_, value)| *value == 0.0).map(|(series, _)| series.to_owned()).collect()
    }
}
