//! What the program's files need beside the words that threads share: as little of it as they ask for, and nothing
//! that decides anything.

#![expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "the forms are the program's")]

pub mod admin {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Phase {
        Starting,
        Serving,
        Draining,
    }
}

pub mod config {
    use std::sync::Arc;

    pub struct Blueprint {
        pub upstreams: Vec<Upstream>,
    }

    /// One whose provider is its host's, and which shares everybody's fate.
    pub struct Upstream {
        pub name: Arc<str>,
    }

    pub struct WayOut {
        pub way: String,
        pub host: Arc<str>,
    }

    impl Upstream {
        pub fn way_out(&self) -> Option<WayOut> {
            Some(WayOut { way: self.name.to_string(), host: Arc::clone(&self.name) })
        }

        pub fn fate_group(&self) -> Option<Arc<str>> {
            Some("everybody".into())
        }
    }

    impl Blueprint {
        pub fn of(names: &[&str]) -> Self {
            Self { upstreams: names.iter().map(|name| Upstream { name: (*name).into() }).collect() }
        }
    }
}

pub mod telemetry {
    #[derive(Debug, Default)]
    pub struct Metrics;

    pub struct Metric(&'static str);

    /// Counts nothing.
    pub struct Counter(Box<str>);

    impl Metrics {
        pub fn counter(&self, metric: &Metric, labels: &[&str]) -> Counter {
            Counter([metric.0, &labels.concat()].concat().into())
        }
    }

    impl Counter {
        pub fn increment(&self, _: u64) {}
    }

    pub struct CredentialHandles;

    pub mod catalogue {
        pub const FATE_DEMOTIONS: super::Metric = super::Metric("fate demotions");
    }
}

/// Of `state`.
pub mod model {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Shape {
        Stream,
        Whole,
    }
}

/// Of `state`.
pub mod upstream {
    use crate::state::queue::Awaited;

    #[derive(Debug, Default)]
    pub struct Memory {
        pub awaited: Awaited,
    }
}

/// Of `upstream`.
pub mod call {
    #[derive(Clone, Debug)]
    pub struct CallError;
}

/// Of `upstream`.
pub mod h1 {
    use std::time::Duration;

    use tokio::time::Instant;

    #[derive(Debug)]
    pub struct Connection {
        pub learned_idle: Option<Duration>,
        pub retire_at: Instant,
        pub requests: u32,
    }

    impl Connection {
        pub fn is_fit(&mut self) -> bool {
            true
        }
    }
}

/// Of `upstream`.
#[expect(clippy::disallowed_methods, reason = "connections that nobody closes in time need one")]
pub fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
