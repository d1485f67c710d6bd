//! What callers leave at an upstream goes where it was left: to one account of that upstream. Files and batches, and
//! what the Responses API stores, which is remembered beside (`bonds`), since other requests refer to it.
//!
//! Where each is, and whose, is remembered by a hash of its name within its caller's scope. What is asked of one
//! goes there and nowhere else: while that place cannot be had the caller is told so, and not that there is no such
//! thing. A name of another scope means nothing here. Bytes pass as they are, in the caller's own dialect only; the
//! models that a batch names are the upstream's affair, and its tokens are not counted here.
//!
//! What is new goes to the route that `x-mainstay-route` names, else to where what it refers to is, else to the
//! route with `files: true`, else to the only one that could take it; and of its accounts to the one that this
//! scope left something with last. It is never sent twice.

mod intake;
mod places;

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderName;

use super::attempt::Failed;
use super::intake::{Arrival, Guest};
use super::refuse::{Refusal, in_short};
use super::{Gateway, Snapshot};
use crate::access::{Access, Caller};
use crate::algo::name;
use crate::config::{self, Matcher, Origin};
use crate::dialect::entry::{Entry, Left, Want};
use crate::dialect::trouble::Kind;
use crate::dialect::{Dialect, Operation, left};
use crate::route::{Bond, Hold, closest};
use crate::state::permit::Whose;
use crate::state::route::Route;
use crate::state::{Permit, Table};
use crate::telemetry::{Metrics, catalogue};

pub use intake::{answer, guest};
pub use places::Places;

use places::{Known, Place};

/// The route that something new goes to.
const ROUTE: HeaderName = HeaderName::from_static("x-mainstay-route");

/// Nobody is asked for a batch that he may not have, only to end it.
const ENDING_A_BATCH: (Want, Operation) = (Want::Cancel, Operation::Batches);

/// Accounts that are asked for what nobody remembers.
const MOST_SOUGHT: usize = 8;

/// What a request wants of what is left, and where that is.
pub struct Errand {
    pub want: Want,
    /// Its index in the table that the request came in with.
    pub route: usize,
    /// Its identity, which outlasts that table.
    home: u64,
    pub bond: Option<Bond>,
    /// The number of its name, of what `bonds` remembers.
    stored: Option<u64>,
    /// Where else to ask for it.
    seek: Seek,
}

#[derive(Default)]
struct Seek {
    /// Nobody remembers where it is.
    is_sought: bool,
    /// The next one last.
    ahead: Vec<Bond>,
    /// One that could not be asked.
    unasked: Option<Bond>,
}

fn identity(route: &Route) -> u64 {
    name::number(route.config.name.as_bytes())
}

/// What becomes of a name that nobody remembers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Whoever is asked with it decides: callers are not told apart, or this one asks with a key of his own.
    Passes,
    /// It may be another caller's.
    IsMissing,
}

impl Unknown {
    pub fn of(access: &Access) -> Self {
        if access.tells_apart() { Self::IsMissing } else { Self::Passes }
    }
}

/// Whoever asks.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    pub gateway: &'a Gateway,
    pub snapshot: &'a Snapshot,
    pub arrival: &'a Arrival,
    pub caller: &'a Caller,
    pub unknown: Unknown,
}

impl Asker<'_> {
    fn look(&self, kind: Operation, name: &str) -> Result<Option<Place>, Box<Refusal>> {
        let now = self.gateway.live.now();
        let known = if kind.is_of_responses() {
            let bond = self.gateway.bonds.find(self.caller, name::number(name.as_bytes()), now);
            bond.map_or(Known::Nothing, |bond| Known::Here(Place::of(bond)))
        } else {
            self.gateway.left.find(self.caller.scope(), name, now)
        };
        let result = match known {
            Known::Here(_) => "known",
            Known::Foreign => "foreign",
            Known::Nothing => "unknown",
        };
        count(&self.gateway.live.metrics, kind, result);
        match known {
            Known::Here(place) => Ok(Some(place)),
            Known::Foreign => Err(self.missing(kind, name)),
            Known::Nothing => Ok(None),
        }
    }

    /// The same whether it is another scope's or nobody's.
    fn missing(&self, kind: Operation, name: &str) -> Box<Refusal> {
        let name = in_short(name);
        let (message, param) = match kind {
            Operation::StoredResponses => (format!("Response with id '{name}' not found."), "response_id"),
            Operation::Conversations => {
                (format!("Conversation with id '{name}' not found."), "conversation_id")
            }
            Operation::Batches => (format!("No such batch: {name}"), "id"),
            _ => (format!("No such file: {name}"), "id"),
        };
        self.arrival.refuse(Kind::NotFound, message).param(param)
    }

    /// Where the files are that a request is to be read with.
    pub fn bond(&self, body: &[u8]) -> Result<Option<Bond>, Box<Refusal>> {
        if !matches!(self.arrival.dialect, Dialect::OpenAi | Dialect::Responses | Dialect::Anthropic) {
            return Ok(None);
        }
        Ok(self.places(body)?.map(|place| place.bond))
    }

    /// The one place of all the files that a body names and that are known.
    fn places(&self, body: &[u8]) -> Result<Option<Place>, Box<Refusal>> {
        let names = left::meant(body).map_err(|why| self.unclear(why, "file_id"))?;
        let mut found: Option<Place> = None;
        for name in &names {
            let place = self.look(Operation::Files, name);
            let Some(place) = place.map_err(|refusal| refusal.param("file_id"))? else {
                match self.unknown {
                    Unknown::Passes => continue,
                    Unknown::IsMissing => {
                        return Err(self.missing(Operation::Files, name).param("file_id"));
                    }
                }
            };
            if found.is_some_and(|found| found.bond != place.bond) {
                let message = format!(
                    "file {} was left with another account than the others in the request, and no account can read them all; upload them with the same `{ROUTE}`",
                    in_short(name)
                );
                return Err(self.arrival.refuse(Kind::BadRequest, message).param("file_id"));
            }
            found = Some(place);
        }
        Ok(found)
    }

    fn unclear(&self, why: left::Unclear, param: &'static str) -> Box<Refusal> {
        let message = match why {
            left::Unclear::TooMany => {
                format!("the request names more than {} files; send it as several requests", left::MOST)
            }
            left::Unclear::Unreadable => {
                "which files the body names cannot be told: it has to be one JSON object in UTF-8, with each name once and \
                 no more than 128 levels deep"
                    .to_owned()
            }
        };
        self.arrival.refuse(Kind::BadRequest, message).param(param)
    }

    /// Where a request for files or batches goes. `body` is that of one that makes a batch.
    pub fn errand(
        &self,
        entry: &Entry<'_>,
        Left { want, id }: &Left<'_>,
        body: &[u8],
    ) -> Result<Errand, Box<Refusal>> {
        let (dialect, kind) = (entry.dialect, entry.operation);
        let table = &self.snapshot.table;
        let last = self.gateway.left.last(self.caller.scope(), dialect, self.gateway.live.now());
        let yielding = last.map(|place| Place { bond: Bond { hold: Hold::Yields, ..place.bond }, ..place });
        let (place, is_sought) = match id {
            Some(id) => {
                let place = self.look(kind, id)?;
                let is_sought = self.unknown == Unknown::Passes && (*want, kind) != ENDING_A_BATCH;
                if place.is_none() && !is_sought {
                    return Err(self.missing(kind, id));
                }
                (place, place.is_none())
            }
            None if *want == Want::List && self.unknown == Unknown::IsMissing => {
                return Err(self.unlisted());
            }
            None if *want == Want::Create && kind == Operation::Batches => {
                (self.referred(body)?.or(yielding), false)
            }
            None => (yielding, false),
        };
        let route = match self.named()? {
            Some(route) => Some(route),
            None => place.and_then(|place| self.route_to(table, place)).or_else(|| usual(table, dialect)),
        };
        let Some(route) = route else {
            return Err(match id.filter(|_| kind.is_of_responses()) {
                Some(id) => self.missing(kind, id),
                None => self.nowhere(),
            });
        };
        let mut bond = place.map(|place| place.bond);
        let mut seek = Seek::default();
        if is_sought {
            seek.is_sought = true;
            seek.ahead = accounts(&table.routes[route], dialect, last.map(|place| place.bond));
            bond = seek.ahead.pop();
        }
        let stored = id.filter(|_| kind.is_of_responses()).map(|id| name::number(id.as_bytes()));
        Ok(Errand { want: *want, route, home: identity(&table.routes[route]), bond, stored, seek })
    }

    /// The route that led to a place, or else one that has a channel there, and sooner one that the caller may use.
    fn route_to(&self, table: &Table, place: Place) -> Option<usize> {
        let leads = |route: &&Arc<Route>| {
            speaks(route, self.arrival.dialect)
                && route.channels.iter().any(|channel| channel.upstream.identity == place.bond.upstream)
        };
        let may = |route: &&Arc<Route>| {
            let lineage = self.caller.lineage();
            lineage.is_none_or(|lineage| lineage.bars_route(Some(&route.config.name)).is_none())
        };
        let first = |fits: &dyn Fn(&&Arc<Route>) -> bool| table.routes.iter().position(|route| fits(&route));
        first(&|route| identity(route) == place.route && leads(route))
            .or_else(|| first(&|route| may(route) && leads(route)))
            .or_else(|| first(&leads))
    }

    /// Where the files are that a new batch is read from.
    fn referred(&self, body: &[u8]) -> Result<Option<Place>, Box<Refusal>> {
        if self.arrival.dialect == Dialect::Anthropic {
            left::is_read(body).map_err(|why| self.unclear(why, "requests"))?;
            return self.places(body);
        }
        let name = left::input_file(body).map_err(|why| self.unclear(why, "input_file_id"))?;
        let Some(name) = name else { return Ok(None) };
        let place = self.look(Operation::Files, &name);
        let place = place.map_err(|refusal| refusal.param("input_file_id"))?;
        if place.is_none() && self.unknown == Unknown::IsMissing {
            return Err(self.missing(Operation::Files, &name).param("input_file_id"));
        }
        Ok(place)
    }

    /// The route that the caller names.
    fn named(&self) -> Result<Option<usize>, Box<Refusal>> {
        let table = &self.snapshot.table;
        let Some((name, index)) = named(table, self.arrival) else { return Ok(None) };
        if let Some(index) = index.filter(|&index| speaks(&table.routes[index], self.arrival.dialect)) {
            return Ok(Some(index));
        }
        // Who needs a key and has none hears of no other route.
        let is_stranger = self.caller.key().is_none() && self.snapshot.access.whole() == config::Access::Keys;
        let may = |route: &&str| {
            let lineage = self.caller.lineage();
            !is_stranger && lineage.is_none_or(|own| own.bars_route(Some(route)).is_none())
        };
        let near = closest(name, table.model_names().filter(may));
        let hint = near.first().map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        let message = format!("`{ROUTE}: {}` names no route of this dialect{hint}", in_short(name));
        Err(self.arrival.refuse(Kind::NotFound, message))
    }

    fn nowhere(&self) -> Box<Refusal> {
        let message = format!(
            "nothing says which route's accounts this belongs to: name one in the header `{ROUTE}`, or let the gateway's operator write `files: true` on one that speaks the dialect ({})",
            self.arrival.dialect
        );
        self.arrival.refuse(Kind::BadRequest, message)
    }

    fn unlisted(&self) -> Box<Refusal> {
        let message = "a list would show what other callers of this gateway have left at the same account, so it is not to be had where the gateway has keys; ask for each by its id";
        self.arrival.refuse(Kind::Forbidden, message)
    }
}

/// The route that a request names, and its index where there is one.
fn named<'a>(table: &Table, arrival: &'a Arrival) -> Option<(&'a str, Option<usize>)> {
    let name = arrival.head.headers.get(&ROUTE)?.to_str().unwrap_or_default();
    let index = table.routes.iter().position(|route| &*route.config.name == name);
    Some((name, index.or_else(|| table.route_of_model(name))))
}

/// Whether a channel of it is asked in this dialect itself.
fn speaks(route: &Route, dialect: Dialect) -> bool {
    route.channels.iter().any(|channel| channel.upstream.config.speaks.contains(&dialect))
}

/// The first route with `files: true` that speaks the dialect, else the only written one that does.
fn usual(table: &Table, dialect: Dialect) -> Option<usize> {
    let may = |route: &Route| matches!(route.config.matcher, Matcher::Model { .. }) && speaks(route, dialect);
    let chosen = table.routes.iter().position(|route| route.config.files && may(route));
    chosen.or_else(|| {
        let written = |(index, route): (usize, &Arc<Route>)| {
            (route.config.origin == Origin::Written && may(route)).then_some(index)
        };
        let mut all = table.routes.iter().enumerate().filter_map(written);
        let only = all.next();
        if all.next().is_none() { only } else { None }
    })
}

/// All accounts of a route, the one to be asked first last.
fn accounts(route: &Route, dialect: Dialect, first: Option<Bond>) -> Vec<Bond> {
    let mut all: Vec<Bond> = first.into_iter().collect();
    for channel in route.channels.iter().filter(|channel| channel.upstream.config.speaks.contains(&dialect)) {
        let upstream = &channel.upstream;
        let keys = upstream.credentials.iter().map(|key| Some(Whose::Key(key.identity)));
        let keyless = upstream.credentials.is_empty().then_some(None);
        for key in keys.chain(keyless) {
            let bond = Bond { upstream: upstream.identity, key, hold: Hold::Firm };
            if !all.contains(&bond) {
                all.push(bond);
            }
        }
    }
    all.truncate(MOST_SOUGHT);
    all.reverse();
    all
}

/// The account that answers.
pub fn here(permit: &Permit) -> Bond {
    let key = permit.credential().map(|key| Whose::Key(key.identity));
    Bond { upstream: permit.channel().upstream.identity, key, hold: Hold::Firm }
}

/// Remembers where everything is that an answer names, and makes of its body what the caller gets.
pub fn learn(guest: &Guest, errand: &Errand, permit: &Permit, body: Bytes) -> Bytes {
    let gateway = guest.settle.gateway();
    let now = gateway.live.now();
    let bond = here(permit);
    let caller = guest.caller.scope();
    let place = Place { bond, route: errand.home, privacy: guest.settle.privacy };
    for name in left::said(&body) {
        if guest.operation.is_of_responses() {
            gateway.bonds.put(&guest.caller, name::number(name.as_bytes()), bond, place.privacy, now);
        } else if guest.operation == Operation::Files
            || !matches!(gateway.left.find(caller, &name, now), Known::Foreign)
        {
            // Whose file a batch is read from does not change with it.
            gateway.left.put(caller, &name, place, now);
        }
    }
    if errand.want == Want::Create {
        gateway.left.put(caller, guest.dialect.name(), place, now);
    }
    let home = if guest.dialect == Dialect::Anthropic { left::homeward(&body) } else { None };
    home.map_or(body, Bytes::from)
}

/// Whether an answer passes unread: it is content, or says nothing that has to be remembered or said otherwise.
pub fn passes(guest: &Guest, errand: &Errand) -> bool {
    errand.want == Want::Content || guest.operation.is_of_responses() && errand.want != Want::Create
}

/// Forgets where what is deleted was, should others have it by the same name.
pub fn forget(guest: &Guest, errand: &Errand) {
    if let (Want::Delete, Some(number)) = (errand.want, errand.stored) {
        guest.settle.gateway().bonds.forget(&guest.caller, number);
    }
}

/// Whether to ask somebody else for what this account has not got.
pub fn seeks_on(guest: &mut Guest, failed: &Failed) -> bool {
    let absent = failed.spare.as_ref().is_some_and(|spare| spare.status() == http::StatusCode::NOT_FOUND);
    let Some(errand) = guest.errand.as_mut().filter(|_| absent) else { return false };
    let next = errand.seek.ahead.pop().or_else(|| errand.seek.unasked.take());
    if next.is_some() {
        guest.bond = next;
    }
    next.is_some()
}

/// Whether to ask somebody else, since this account cannot be asked.
pub fn passes_over(guest: &mut Guest) -> bool {
    let Some(errand) = &mut guest.errand else { return false };
    let Some(next) = errand.seek.ahead.pop() else { return false };
    errand.seek.unasked = guest.bond;
    guest.bond = Some(next);
    true
}

/// Whether an account that cannot be asked may have it, whatever others said.
pub fn may_be_there(guest: &Guest) -> bool {
    guest.errand.as_ref().is_some_and(|errand| errand.seek.is_sought)
}

fn count(metrics: &Metrics, kind: Operation, result: &'static str) {
    metrics.counter(&catalogue::LEFT, &[kind.name(), result]).increment(1);
}

/// Lets the series begin at 0.
pub fn expect(metrics: &Metrics) {
    use Operation::{Batches, Conversations, Files, StoredResponses};
    for kind in [Files, Batches, StoredResponses, Conversations] {
        for result in ["known", "unknown", "foreign"] {
            metrics.counter(&catalogue::LEFT, &[kind.name(), result]).increment(0);
        }
    }
}
