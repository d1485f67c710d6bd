//! The scenarios of RESILIENCE §8.3 at the scale of a test, under paused time.
//!
//! Each says what is injected and asserts three things: what callers saw, how many attempts each
//! upstream got, and that every gauge is back at zero. Numbers are the specification's, taken down
//! to test scale: 30 requests a second where it has 300, and seconds of virtual time where it has
//! minutes.

mod admission;
mod answers;
mod budgets;
mod buffered;
mod chaos;
mod choice;
mod continued;
mod credentials;
mod degradation;
mod down;
mod early;
mod explained;
mod fate;
mod files;
mod harm;
mod hedging;
mod journal;
mod legs;
mod limits;
mod measured;
mod memory;
mod mirrored;
mod onward;
mod operated;
mod quotas;
mod recovery;
mod repeated;
mod secured;
mod selection;
mod steered;
mod streams;
mod thinking;
mod traced;
mod unanswered;
mod unnamed;
mod unserved;
mod values;
mod watched;
mod withheld;

use std::time::Duration;

use crate::lab::{Ask, Lab, Load, Report};

const THREE: &str = "
version: 1
upstreams:
  a: {provider: simulated}
  b: {provider: simulated}
  c: {provider: simulated}
routes:
  - model: demo
    channels: [{upstream: a}, {upstream: b}, {upstream: c}]
";

const WARM: Duration = Duration::from_secs(5);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Lab {
    /// `per_second` requests for `lasting`, while `script` runs beside them.
    async fn under_load(
        &self,
        ask: Ask,
        per_second: f64,
        lasting: Duration,
        script: impl Future<Output = ()>,
    ) -> Report {
        let (report, ()) = tokio::join!(self.run(Load { ask, per_second, lasting }), script);
        report
    }
}

async fn after(wait: Duration) {
    tokio::time::sleep(wait).await;
}
