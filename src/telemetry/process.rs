//! What the kernel says of this process, under the names that Prometheus' own client libraries have for it
//! (<https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>), and what tokio says of its
//! threads.
//!
//! Read when somebody scrapes. Where there is no `/proc`, the kernel's numbers are absent.

use std::time::Duration;

use tokio::runtime::RuntimeMetrics;

use super::catalogue as c;
use super::gauges::Gauges;

/// Ticks of a second in `/proc/*/stat`: Linux has shown all of user space 100 of them since 2.6, whatever it counts by.
const TICKS: f64 = 100.0;

/// Sets everything that is known of this process.
pub fn export(gauges: &Gauges<'_>) {
    let runtime = tokio::runtime::Handle::try_current();
    if let Ok(runtime) = runtime {
        threads(gauges, &runtime.metrics());
    }
    if let Some(stat) = read("stat").as_deref().and_then(Stat::parse) {
        gauges.set(&c::CPU_SECONDS, &[], stat.cpu_ticks as f64 / TICKS);
        gauges.set(&c::VIRTUAL_BYTES, &[], stat.virtual_bytes as f64);
        gauges.set(&c::RESIDENT_BYTES, &[], (stat.resident_pages * rustix::param::page_size() as u64) as f64);
        gauges.set(&c::THREADS, &[], stat.threads as f64);
        if let Some(started) = booted().map(|booted| booted + stat.started_ticks as f64 / TICKS) {
            gauges.set(&c::STARTED, &[], started);
        }
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // The directory itself is one of them.
        gauges.set(&c::OPEN_FILES, &[], open.count().saturating_sub(1) as f64);
    }
    if let Some(most) = read("limits").as_deref().and_then(most_files) {
        gauges.set(&c::MOST_FILES, &[], most);
    }
}

fn threads(gauges: &Gauges<'_>, runtime: &RuntimeMetrics) {
    let workers = runtime.num_workers();
    let busy: Duration = (0..workers).map(|worker| runtime.worker_total_busy_duration(worker)).sum();
    gauges.set(&c::RUNTIME_WORKERS, &[], workers as f64);
    gauges.set(&c::RUNTIME_BUSY, &[], busy.as_secs_f64());
    gauges.set(&c::RUNTIME_TASKS, &[], runtime.num_alive_tasks() as f64);
    gauges.set(&c::RUNTIME_QUEUE, &[], runtime.global_queue_depth() as f64);
}

fn read(file: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/self/{file}")).ok()
}

/// Unix time at which the machine began.
fn booted() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// Of `/proc/self/stat`, by proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    started_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is a name in brackets, which may hold anything.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // The first of them is the third.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            started_ticks: field(22)?,
            virtual_bytes: field(23)?,
            resident_pages: field(24)?,
        })
    }
}

/// The soft limit of `/proc/self/limits`.
fn most_files(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let text = "42 (a) b (c)) S 1 42 42 0 -1 4194560 7 0 0 0 120 30 0 0 20 0 9 0 555 1000000 250 rest";
        let stat = Stat::parse(text).expect("a line of /proc");
        let expected = Stat {
            cpu_ticks: 150,
            threads: 9,
            started_ticks: 555,
            virtual_bytes: 1_000_000,
            resident_pages: 250,
        };
        assert_eq!(stat, expected);
        assert_eq!(Stat::parse("42 (a) S 1"), None);
    }

    #[test]
    fn the_soft_limit_of_files_is_read() {
        let text = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024   4096   files\n";
        assert_eq!(most_files(text), Some(1024.0));
        assert_eq!(most_files("Max open files  unlimited  unlimited  files"), Some(f64::INFINITY));
        assert_eq!(most_files("nothing of it"), None);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn this_process_is_seen() {
        let metrics = Metrics::new();
        let text = metrics.gather(|| export(&Gauges(&metrics)), Metrics::render);
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("no {name}: {text}")).parse().expect("a number")
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
        assert!((1.0..value("process_max_fds")).contains(&value("process_open_fds")));
        assert!(value("process_start_time_seconds") > 1.6e9);
        assert!(value("process_threads") >= 1.0 && value("mainstay_runtime_workers") >= 1.0);
        assert!(text.contains("# TYPE process_cpu_seconds_total counter\n"), "{text}");
    }
}
