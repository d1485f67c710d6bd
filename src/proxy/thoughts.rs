//! Encrypted reasoning goes back to the account whose model encrypted it.
//!
//! Of OpenAI's responses, and xAI's, only the organisation that made a piece of encrypted reasoning can read it;
//! any other one refuses the request (`invalid_encrypted_content`). So where each piece came from is remembered,
//! by a hash, and the request that brings it back goes there. A piece is context and no part of the question:
//! while that place cannot be had, the request goes elsewhere without it, and the caller is told as of everything
//! that is left out (`unsupported`; with `reject` it goes nowhere else). A compaction is all that was said
//! before, so nothing goes without one.
//!
//! Of what nobody here remembers, whoever is chosen gets it. Should he refuse it, that is nobody's fault, and the
//! request goes once more without.
//!
//! Nothing of this is needed for other vendors: signatures of Anthropic and Gemini are bound to their family of
//! models and not to an account (WIRE §3.1), and `hub::carry` keeps them within it.

use std::time::Duration;

use super::Gateway;
use super::attempt::Failed;
use super::intake::Guest;
use crate::algo::name;
use crate::config::{Route, Unsupported};
use crate::dialect::encrypted::{self, Worth};
use crate::dialect::{Dialect, Operation};
use crate::route::{Bond, Hold};
use crate::state::Permit;
use crate::state::permit::Whose;
use crate::telemetry::{Metrics, catalogue};
use crate::vocab::Fault;

/// What the caller is told was left out.
pub const NAME: &str = "reasoning.encrypted_content";

/// As long as OpenAI keeps a response.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// The place of what was refused where it was sent blindly.
const NOWHERE: Bond = Bond { upstream: 0, key: None, hold: Hold::Yields };

/// What is encrypted in a request.
pub struct Thoughts {
    items: Vec<Item>,
    /// Somebody could not read it, so it goes nowhere any more.
    given_up: bool,
}

struct Item {
    name: u64,
    worth: Worth,
    place: Option<Bond>,
}

impl Thoughts {
    /// `None` where nothing is encrypted in the body.
    pub fn of(
        gateway: &Gateway,
        caller: Option<&str>,
        dialect: Dialect,
        operation: Operation,
        model: &str,
        body: &[u8],
    ) -> Option<Box<Self>> {
        let found = encrypted::of_request(dialect, operation, model, body);
        if found.is_empty() {
            return None;
        }
        let now = gateway.live.now();
        let place = |name| gateway.thoughts.find(scoped(caller, name), KEPT, now);
        let items =
            found.into_iter().map(|it| Item { name: it.name, worth: it.worth, place: place(it.name) });
        Some(Box::new(Self { items: items.collect(), given_up: false }))
    }

    /// Where the request has to go, or best goes: to whoever made the last piece of it that matters most.
    pub fn bond(&self, unsupported: Unsupported) -> Option<Bond> {
        let known = |worth| {
            let mut latest = self.items.iter().rev().filter(move |item| item.worth == worth);
            latest.find_map(|item| item.place.filter(|place| *place != NOWHERE))
        };
        if let Some(place) = known(Worth::Everything) {
            return Some(Bond { hold: Hold::Firm, ..place });
        }
        let hold = match unsupported {
            Unsupported::Reject => Hold::Firm,
            Unsupported::Warn | Unsupported::Drop => Hold::Yields,
        };
        known(Worth::Context).map(|place| Bond { hold, ..place })
    }

    /// Names of what does not go along when `permit` asks.
    pub fn left_out(&self, permit: &Permit) -> Vec<u64> {
        let goes = |item: &&Item| {
            item.worth == Worth::Context
                && (self.given_up || item.place.is_some_and(|place| is_elsewhere(place, permit)))
        };
        self.items.iter().filter(goes).map(|item| item.name).collect()
    }
}

/// A name means something within a scope only.
fn scoped(caller: Option<&str>, number: u64) -> u64 {
    let mut parts = name::Parts::default();
    parts.add(caller.unwrap_or("").as_bytes());
    parts.add(&[0]);
    parts.add(&number.to_le_bytes());
    parts.number()
}

/// Whether somebody else than `permit`'s account made it. Keys that are gone were replaced, most likely by
/// others of the same account.
fn is_elsewhere(place: Bond, permit: &Permit) -> bool {
    let upstream = &permit.channel().upstream;
    if place.upstream != upstream.identity {
        return true;
    }
    let (Some(whose), Some(credential)) = (place.key, permit.credential()) else { return false };
    !whose.has(credential) && upstream.credentials.iter().any(|key| whose.has(key))
}

/// Remembers that `permit`'s account encrypted what has these names.
pub fn learn(gateway: &Gateway, caller: Option<&str>, permit: &Permit, names: &[u64]) {
    let key = permit.credential().map(|key| Whose::Account(key.account));
    let place = Bond { upstream: permit.channel().upstream.identity, key, hold: Hold::Yields };
    for name in names {
        gateway.thoughts.put(scoped(caller, *name), place, gateway.live.now());
    }
}

/// A request has its answer: whoever gave it could read what went along.
pub fn answered(guest: &Guest, permit: &Permit) {
    let Some(thoughts) = &guest.thoughts else { return };
    let gateway = guest.settle.gateway();
    let left_out = thoughts.left_out(permit);
    let unknown = thoughts.items.iter().filter(|item| item.place.is_none() && !left_out.contains(&item.name));
    let unknown: Vec<u64> = unknown.map(|item| item.name).collect();
    learn(gateway, guest.caller.scope(), permit, &unknown);
    let result = match () {
        () if !left_out.is_empty() => "left_out",
        () if !unknown.is_empty() => "unknown",
        () => "kept",
    };
    count(&gateway.live.metrics, result);
}

/// Whether the request is to go once more, without what the upstream could not read.
pub fn gives_up(guest: &mut Guest, route: &Route, failed: &Failed) -> bool {
    let foreign = failed.failure.fault == Fault::ForeignReasoning;
    if !foreign || route.unsupported == Unsupported::Reject {
        return false;
    }
    let Some(thoughts) = guest.thoughts.as_mut().filter(|thoughts| !thoughts.given_up) else { return false };
    let gateway = guest.settle.gateway();
    let mut any = false;
    for item in thoughts.items.iter_mut().filter(|item| item.worth == Worth::Context) {
        any = true;
        let name = scoped(guest.caller.scope(), item.name);
        gateway.thoughts.put(name, NOWHERE, gateway.live.now());
    }
    thoughts.given_up = any;
    if any {
        count(&gateway.live.metrics, "refused");
    }
    any
}

fn count(metrics: &Metrics, result: &'static str) {
    metrics.counter(&catalogue::THOUGHTS, &[result]).increment(1);
}

/// Lets the series begin at 0.
pub fn expect(metrics: &Metrics) {
    for result in ["kept", "left_out", "unknown", "refused"] {
        metrics.counter(&catalogue::THOUGHTS, &[result]).increment(0);
    }
}
