//! What comes in, and all that is known of it on its way.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request;

use super::Arrival;
use crate::access::Caller;
use crate::algo::tick::Tick;
use crate::dialect::billed::Wish;
use crate::dialect::continuation::Asking;
use crate::dialect::scan::{Scan, State, Thinks};
use crate::dialect::{Dialect, Operation};
use crate::ledger::Wait;
use crate::proxy::again::Again;
use crate::proxy::media::Contents;
use crate::proxy::once::Once;
use crate::proxy::recall::Recall;
use crate::proxy::settle::{Asked, Settle};
use crate::proxy::thoughts::Thoughts;
use crate::proxy::tunnel::Switch;
use crate::proxy::unattended::{Attendance, Place};
use crate::proxy::{Gateway, Snapshot, left};
use crate::route::price::MostCost;
use crate::route::{Bond, Resend};
use crate::state::model::Shape;
use crate::telemetry::Shed;
use crate::vocab::{Abilities, Priority, RequestId};

/// A request that may come in: whole, understood, and with a route.
pub struct Guest {
    pub head: request::Parts,
    pub request_id: RequestId,
    /// The key that the caller proved to hold.
    pub caller: Caller,
    pub dialect: Dialect,
    pub operation: Operation,
    /// The route that serves it.
    pub route: usize,
    /// The one that it asked for, where rules or a split sent it elsewhere.
    pub asked_for: usize,
    pub model: String,
    pub shape: Shape,
    pub resend: Resend,
    pub begun: Tick,
    pub deadline: Tick,
    /// The caller's SDK retries by itself, and this is one of its retries.
    pub is_retry: bool,
    pub prompt_tokens: u64,
    /// Whether it has its model think.
    pub thinks: Thinks,
    /// The caller's limit on the answer's tokens.
    pub most_output: Option<u64>,
    /// The conversation that it belongs to, on a route that cares.
    pub session: Option<u64>,
    /// Where what it refers to is stored, if that was seen.
    pub stored_at: Option<Bond>,
    /// The account that must answer: `stored_at`, else who encrypted its reasoning.
    pub bond: Option<Bond>,
    /// What is encrypted in it.
    pub thoughts: Option<Box<Thoughts>>,
    /// Channels where it could cost more are not asked.
    pub most_cost: Option<MostCost>,
    /// For what was left at an upstream.
    pub errand: Option<Box<left::Errand>>,
    /// A window of fewer tokens cannot hold the prompt; 0 where that cannot be told.
    pub least_window: u64,
    /// What the model has to be able to do.
    pub abilities: Abilities,
    pub load: Load,
    /// What it refers to, and whether its answer may be referred to.
    pub recall: Recall,
    /// What is asked is to go on with an answer that broke off.
    pub onward: Option<Box<Asking>>,
    pub upgrade: Option<Switch>,
    /// For an answer that is to be kept.
    pub again: Option<Box<Again>>,
    /// Of the URLs that were fetched for it.
    pub contents: Contents,
    /// How much it matters.
    pub priority: Priority,
    /// It was refused for want of room.
    pub shed: Option<Shed>,
    pub settle: Settle,
    /// Who still waits for the answer, where an attempt may be read on after a hang-up.
    pub attendance: Option<Arc<Attendance>>,
    /// For what is made of it in the background.
    pub followed: Option<Place>,
}

/// With what a request comes in, whatever it is for.
pub struct Entrance {
    pub caller: Caller,
    pub operation: Operation,
    /// The route that serves it.
    pub route: usize,
    pub load: Load,
    pub resend: Resend,
    pub is_retry: bool,
    pub priority: Priority,
    pub deadline: Tick,
    /// For its body.
    pub waited: Duration,
}

impl Guest {
    /// Its account is open from here on, and it counts as in flight. What an [`Entrance`] does not say is as it is for
    /// plain HTTP: the caller of this says what is otherwise.
    pub fn begin(
        gateway: &Arc<Gateway>,
        snapshot: &Snapshot,
        arrival: Arrival,
        entrance: Entrance,
    ) -> Box<Self> {
        let Entrance { caller, operation, route: index, load, resend, is_retry, priority, deadline, waited } =
            entrance;
        let dialect = arrival.dialect;
        let route = &snapshot.table.routes[index];
        let scan = match &load {
            Load::Ask { scan, .. } => Some(&**scan),
            Load::Whole(_) | Load::Once(_) => None,
        };
        let model = scan.map(|scan| scan.model.clone()).unwrap_or_default();
        let shape = if scan.is_some_and(|scan| scan.stream) { Shape::Stream } else { Shape::Whole };
        let prompt_tokens = scan.map_or(0, |scan| scan.prompt_tokens);
        let thinks = scan.map_or(Thinks::Unsaid, |scan| scan.thinks);
        let most_output = scan.and_then(|scan| scan.max_output_tokens);
        let asked = Asked::new(operation, &model, route, shape, priority, prompt_tokens);
        let mut settle =
            Settle::begin(gateway, route, dialect.name(), &arrival.request_id, arrival.begun, asked);
        settle.trace = arrival.trace;
        settle.waited(Wait::Body, waited);
        settle.comes_from(&caller, &snapshot.table, &arrival.head.headers);
        Box::new(Self {
            caller,
            dialect,
            operation,
            route: index,
            asked_for: index,
            model,
            shape,
            resend,
            begun: arrival.begun,
            deadline,
            is_retry,
            prompt_tokens,
            thinks,
            most_output,
            most_cost: None,
            session: None,
            stored_at: None,
            bond: None,
            thoughts: None,
            errand: None,
            least_window: 0,
            abilities: Abilities::default(),
            load,
            recall: Recall::nothing(),
            onward: None,
            upgrade: None,
            again: None,
            contents: Contents::default(),
            priority,
            shed: None,
            settle,
            attendance: None,
            followed: None,
            head: arrival.head,
            request_id: arrival.request_id,
        })
    }

    /// Whether its answer may be made when nobody waits for it.
    pub fn asks_for_background(&self) -> bool {
        match &self.load {
            Load::Ask { scan, .. } => {
                self.operation == Operation::Responses && scan.state == State::Background
            }
            Load::Whole(_) | Load::Once(_) => false,
        }
    }

    /// What it asks for that has a price.
    pub fn wish(&self) -> Wish {
        match &self.load {
            Load::Ask { scan, .. } => scan.wish,
            Load::Whole(_) | Load::Once(_) => Wish::default(),
        }
    }
}

/// What goes upstream.
pub enum Load {
    /// An AI request: the body is whole, and `scan` knows where its model stands.
    Ask { body: Bytes, scan: Arc<Scan> },
    /// Plain HTTP, whole.
    Whole(Bytes),
    /// Plain HTTP too large to keep: it can be sent once.
    Once(Once),
}
