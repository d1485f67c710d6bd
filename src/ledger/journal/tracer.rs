//! Which requests' spans are made, and when they go on their way to a collector: its mailbox has the bounds, and counts
//! what finds no room.

use std::sync::Arc;

use super::spans;
use crate::ledger::decision::Decision;
use crate::ledger::record::{Record, Whose};
use crate::state::books::Verdict;
use crate::telemetry::RequestOutcome;
use crate::telemetry::otlp::{Mailbox, Resource, Spans};
use crate::vocab::Class;

/// Looks of the clerk until spans go, were they few: five seconds, as OpenTelemetry's SDKs have it
/// (`OTEL_BSP_SCHEDULE_DELAY`).
const LOOKS: u32 = 50;

/// Where batches go, and who sends them.
pub(super) struct Outlet {
    pub mailbox: Arc<Mailbox>,
    pub resource: Resource,
}

/// Who makes spans.
#[derive(Default)]
pub(super) struct Tracer {
    spans: Spans,
    looks: u32,
}

impl Tracer {
    pub fn add(&mut self, record: &Record, decision: &Decision<'_>, outlet: &Outlet) {
        spans::write(&mut self.spans, record, decision);
        if self.spans.are_enough() {
            self.send(outlet);
        }
    }

    /// Another look is over.
    pub fn looked(&mut self, outlet: &Outlet) {
        self.looks += 1;
        if self.looks >= LOOKS {
            self.send(outlet);
        }
    }

    /// All that was made by now.
    pub fn send(&mut self, outlet: &Outlet) {
        self.looks = 0;
        if !self.spans.is_empty() {
            outlet.mailbox.put(self.spans.take(&outlet.resource));
        }
    }
}

/// Whether its spans are to be made.
pub(super) fn wants(record: &Record) -> bool {
    let Some((request, trace)) =
        record.request.as_ref().and_then(|request| Some((request, request.trace.as_ref()?)))
    else {
        return false;
    };
    match record.whose {
        // It hangs on its caller's request, which may not be there otherwise.
        Whose::Mirrors => trace.is_kept(false),
        Whose::Callers | Whose::Strangers => {
            let fails = matches!(request.outcome, RequestOutcome::Failed | RequestOutcome::Broken)
                || record.attempts.iter().any(|attempt| is_failure(attempt.verdict));
            trace.is_kept(fails) || trace.slow.is_some_and(|slow| request.took >= slow)
        }
    }
}

/// Somebody's other than the caller's.
fn is_failure(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Ok | Verdict::Cancelled => false,
        Verdict::Failed(fault) => fault.class() != Class::ClientFault,
    }
}
