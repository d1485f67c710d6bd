//! What follows from the route that serves a request, found out anew where another one serves it.

use bytes::Bytes;
use http::request;

use super::{Guest, Load};
use crate::access::Caller;
use crate::algo::tick::Tick;
use crate::config::Replay as ReplayPolicy;
use crate::dialect::scan::{Scan, State};
use crate::dialect::{self, Dialect, Operation, Replay};
use crate::proxy::named::IDEMPOTENCY_KEY;
use crate::proxy::thoughts::Thoughts;
use crate::proxy::{Gateway, Snapshot, admission, needs};
use crate::route::{Bond, Resend};
use crate::strategy;
use crate::vocab::{Abilities, Priority};

/// A request, as far as routes differ in it.
pub struct Fitting<'a> {
    pub head: &'a request::Parts,
    pub begun: Tick,
    pub dialect: Dialect,
    pub operation: Operation,
    pub caller: &'a Caller,
    pub scan: &'a Scan,
    pub body: &'a Bytes,
    pub is_retry: bool,
    /// Where what it refers to is.
    pub stored_at: Option<Bond>,
    pub thoughts: Option<&'a Thoughts>,
}

/// What one route makes of it.
pub struct Fit {
    pub resend: Resend,
    pub priority: Priority,
    pub deadline: Tick,
    /// Told only where somebody asks: it walks the body once more.
    pub session: Option<u64>,
    pub bond: Option<Bond>,
    pub abilities: Abilities,
    pub least_window: u64,
}

impl Fitting<'_> {
    /// On the route of this number.
    ///
    /// # Errors
    /// What is wrong with the priority that the caller asks for.
    pub fn on(&self, gateway: &Gateway, snapshot: &Snapshot, index: usize) -> Result<Fit, String> {
        let table = &snapshot.table;
        let config = &table.routes[index].config;
        let headers = &self.head.headers;
        let lasting = matches!(self.scan.state, State::Lasting | State::Background);
        let lasting = lasting && !headers.contains_key(IDEMPOTENCY_KEY);
        let may_repeat =
            self.operation.replay() == Replay::Allowed && config.retry.replay == ReplayPolicy::Allowed;
        let asks = (self.dialect, self.operation);
        let (abilities, least_window) = needs::of(table, index, asks, self.scan, self.body);
        let encrypted_at = || self.thoughts.and_then(|thoughts| thoughts.bond(config.unsupported));
        let is_sticky = config.select == strategy::Kind::Sticky;
        Ok(Fit {
            resend: match (may_repeat, lasting) {
                (false, _) => Resend::IfUnsent,
                (true, true) => Resend::IfUnsentOrTranslated,
                (true, false) => Resend::Allowed,
            },
            priority: admission::priority(snapshot, index, self.caller, headers, self.is_retry)?,
            deadline: super::deadline(gateway, snapshot, index, headers, self.begun),
            session: is_sticky.then(|| dialect::session::session(headers, self.body)).flatten(),
            bond: self.stored_at.or_else(encrypted_at),
            abilities,
            least_window,
        })
    }
}

impl Guest {
    /// Has another route serve it.
    pub fn go_to(&mut self, gateway: &Gateway, snapshot: &Snapshot, index: usize) {
        let Load::Ask { body, scan } = &self.load else { return };
        let fitting = Fitting {
            head: &self.head,
            begun: self.begun,
            dialect: self.dialect,
            operation: self.operation,
            caller: &self.caller,
            scan,
            body,
            is_retry: self.is_retry,
            stored_at: self.stored_at,
            thoughts: self.thoughts.as_deref(),
        };
        // The priority that is asked for was good when it came in.
        if let Ok(fit) = fitting.on(gateway, snapshot, index) {
            let Fit { resend, priority, deadline, session, bond, abilities, least_window } = fit;
            (self.resend, self.priority, self.deadline) = (resend, priority, deadline);
            (self.session, self.bond) = (session, bond);
            (self.abilities, self.least_window) = (abilities, least_window);
        }
        if !snapshot.table.is_counted(index, &scan.model) {
            // Here a prompt that was counted as the other route's models count it is an estimate again.
            self.prompt_tokens = scan.prompt_tokens;
            self.settle.prompt_has(scan.prompt_tokens);
        }
        self.route = index;
        self.settle.moves_to(&snapshot.table.routes[index], self.priority);
    }
}
