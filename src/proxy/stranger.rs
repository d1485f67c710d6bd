//! Requests that were turned away before they came to a route: a wrong key, an unknown model, no such path. No upstream
//! and no ledger hears of them, but whoever looks for one by its id finds why.

use std::sync::Arc;

use super::Gateway;
use super::refuse::Refusal;
use crate::algo::tick::Tick;
use crate::ledger;
use crate::telemetry::Shed;

/// Notes one that came at `begun`, unless a route books it.
pub fn note(gateway: &Arc<Gateway>, refusal: &Refusal, begun: Tick) {
    if refusal.settle.is_some() {
        return;
    }
    let took = gateway.live.now().since(begun);
    let at = gateway.live.clock.unix_now().saturating_sub(took);
    let request = ledger::Request {
        trace: refusal.trace.map(Box::new),
        status: refusal.status().as_u16(),
        error: Some(refusal.trouble.kind.name()),
        shed: refusal.shed.map(Shed::name),
        took,
        ..ledger::Request::bare(refusal.request_id.clone(), refusal.dialect.name(), begun, at)
    };
    ledger::turned_away(&gateway.readers, request);
}
