//! Which requests are captured, and what of them is seen: what came in, and what goes to the caller.
//!
//! What is done with that, off the path of requests, is `capture`'s affair.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, Response};

use super::intake::{Guest, Load};
use super::reply::{Captured, Reply};
use super::{Gateway, Snapshot};
use crate::capture::{Arrived, Language, Taking};
use crate::config::Capture;

/// In which a caller refuses.
const NO_CAPTURE: HeaderName = HeaderName::from_static("x-mainstay-no-capture");

/// Whether what a request says may be written down, whoever wants it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consent {
    Given,
    /// Its caller refuses.
    OptedOut,
    /// Nothing is kept of what he writes, whoever asks for it.
    ZeroLog,
}

impl Consent {
    /// The one place where this is decided.
    fn of(guest: &Guest, settings: &Capture) -> Self {
        if guest.settle.privacy.is_zero_log() {
            Self::ZeroLog
        } else if settings.opt_out && refuses(&guest.head.headers) {
            Self::OptedOut
        } else {
            Self::Given
        }
    }
}

fn refuses(headers: &HeaderMap) -> bool {
    headers.get(NO_CAPTURE).is_some_and(|said| said == "1" || said == "true")
}

/// Begins to capture `guest`, where it is to be.
pub fn begin(gateway: &Gateway, snapshot: &Snapshot, guest: &mut Guest) {
    let Some(settings) = snapshot.table.telemetry.capture.as_ref().filter(|settings| settings.enabled) else {
        return;
    };
    let Some(captures) = gateway.captures.get() else { return };
    if !is_wanted(gateway, snapshot, guest, settings) {
        return;
    }
    match Consent::of(guest, settings) {
        Consent::Given => {}
        Consent::OptedOut => return captures.opted_out(),
        Consent::ZeroLog => return,
    }
    let nothing = bytes::Bytes::new();
    let (body, length) = match &guest.load {
        Load::Ask { body, .. } | Load::Whole(body) => (body, body.len() as u64),
        // It streams through, and nothing of it stays.
        Load::Once(once) => (&nothing, once.length()),
    };
    let waited = gateway.live.now().since(guest.begun);
    let arrived = Arrived {
        request_id: &guest.request_id,
        at: gateway.live.clock.unix_now().saturating_sub(waited),
        key: guest.caller.name(),
        route: &snapshot.table.routes[guest.asked_for].config.name,
        language: Language { dialect: guest.dialect, operation: guest.operation },
        method: &guest.head.method,
        path: guest.head.uri.path(),
        headers: &guest.head.headers,
        body,
        length,
    };
    guest.settle.taking = captures.begin(settings, &arrived);
}

/// Whether somebody wants it, and chance has it.
fn is_wanted(gateway: &Gateway, snapshot: &Snapshot, guest: &Guest, settings: &Capture) -> bool {
    let is_among = |names: &[Box<str>], name: &str| names.iter().any(|one| **one == *name);
    let on_route = |index: usize| is_among(&settings.routes, &snapshot.table.routes[index].config.name);
    if !settings.routes.is_empty() && !on_route(guest.asked_for) && !on_route(guest.route) {
        return false;
    }
    if !settings.keys.is_empty() && !guest.caller.name().is_some_and(|name| is_among(&settings.keys, name)) {
        return false;
    }
    gateway.live.dice().chance(settings.share.share())
}

/// Sees to it that `taking` sees this answer.
pub fn on(taking: Option<Arc<Taking>>, response: Response<Reply>) -> Response<Reply> {
    let Some(taking) = taking else { return response };
    let whole = response.body().as_whole();
    taking.answered(response.status(), response.headers(), whole);
    if whole.is_some() {
        return response;
    }
    response.map(|reply| Reply::captured(Captured::new(reply, taking)))
}
