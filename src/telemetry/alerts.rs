//! What is counted of alerts. Every series begins at 0: most of them stay silent for as long as all is well.

use super::catalogue as c;
use super::cell::{Counter, Gauge};
use super::registry::Metrics;
use crate::vocab::AlertKind;

/// What came of a try to deliver a message. The label `result` of `mainstay_alert_deliveries_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    Delivered,
    /// It will be tried again.
    Failed,
    /// The last try failed.
    GivenUp,
    /// The receiver does not want it.
    Refused,
    /// The receiver wants nothing any more.
    Gone,
}

impl Posted {
    pub const ALL: [Self; 5] = [Self::Delivered, Self::Failed, Self::GivenUp, Self::Refused, Self::Gone];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::GivenUp => "given_up",
            Self::Refused => "refused",
            Self::Gone => "gone",
        }
    }
}

/// Of all alerts.
pub struct AlertHandles {
    firing: [Gauge; AlertKind::ALL.len()],
    /// More came at once than are kept.
    pub overflow: Counter,
}

/// Of one webhook.
pub struct WebhookHandles {
    posted: [Counter; Posted::ALL.len()],
    /// More waited than may.
    pub queue_full: Counter,
    /// It wants nothing any more.
    pub gone: Counter,
}

impl AlertHandles {
    pub fn new(metrics: &Metrics) -> Self {
        Self {
            firing: AlertKind::ALL.map(|kind| metrics.gauge(&c::ALERTS_FIRING, &[kind.name()])),
            overflow: begun(metrics.counter(&c::ALERTS_DROPPED, &["", "overflow"])),
        }
    }

    pub fn firing(&self, kind: AlertKind, alerts: usize) {
        self.firing[kind as usize].set(alerts as f64);
    }
}

impl WebhookHandles {
    pub fn new(metrics: &Metrics, webhook: &str) -> Self {
        let dropped = |reason| begun(metrics.counter(&c::ALERTS_DROPPED, &[webhook, reason]));
        Self {
            posted: Posted::ALL
                .map(|result| begun(metrics.counter(&c::ALERT_DELIVERIES, &[webhook, result.name()]))),
            queue_full: dropped("queue_full"),
            gone: dropped("gone"),
        }
    }

    pub fn posted(&self, result: Posted) {
        self.posted[result as usize].increment(1);
    }
}

fn begun(counter: Counter) -> Counter {
    counter.increment(0);
    counter
}
