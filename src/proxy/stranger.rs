//! Requests that were turned away before they came to a route: a wrong key, an unknown model, no such path. No upstream and
//! no ledger hears of them, but whoever looks for one by its id finds why.

use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use super::refuse::Refusal;
use crate::algo::tick::Tick;
use crate::dialect::trouble;
use crate::ledger::{self, Waits};
use crate::telemetry::{RequestOutcome, Shed};
use crate::vocab::{Priority, Trace};

/// Notes one that came at `begun`, unless a route books it.
pub fn note(gateway: &Arc<Gateway>, refusal: &Refusal, begun: Tick, trace: Option<Trace>) {
    if refusal.settle.is_some() {
        return;
    }
    let took = gateway.live.now().since(begun);
    let request = ledger::Request {
        request_id: refusal.request_id.clone(),
        trace,
        lineage: None,
        tags: Vec::new(),
        route: "".into(),
        asked_route: None,
        dialect: refusal.dialect.name(),
        operation: "",
        model: "".into(),
        stream: false,
        priority: Priority::default(),
        channel: None,
        outcome: RequestOutcome::Refused,
        status: trouble::status(refusal.trouble.kind, refusal.dialect).as_u16(),
        error: Some(refusal.trouble.kind.name()),
        replayed: None,
        instead: None,
        arm: None,
        shed: refusal.shed.map(Shed::name),
        downgraded: false,
        prompt_tokens: 0,
        usage: None,
        begun,
        at: gateway.live.clock.unix_now().saturating_sub(took),
        took,
        first_byte: None,
        own: Duration::ZERO,
        waits: Waits::default(),
    };
    ledger::turned_away(&gateway.readers, request);
}
