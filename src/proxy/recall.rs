//! The responses that callers refer to: by `previous_response_id`, by `item_reference`, and by their address.
//!
//! A request that refers to what is remembered here is expanded before anything else is made of it: what it
//! refers to stands in its input, as if the caller had sent it. So every channel can be asked, whatever its
//! dialect, and any other one after it. Ids that are not ours are left to their vendor.
//!
//! Remembered is what was answered by translation, and a stream that broke off at its own upstream and was continued by
//! another: as whole as here, it is stored nowhere. What passes in the caller's own dialect is not kept.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

use super::intake::{Arrival, Guest, Load};
use super::refuse::{Refusal, in_short, name_request};
use super::reply::Reply;
use super::{Gateway, Snapshot};
use crate::access::Caller;
use crate::algo::name;
use crate::cache::{Conversation, Item, Scope};
use crate::config::Responses;
use crate::dialect::entry::{Entry, Left, Want};
use crate::dialect::hub::Keeping;
use crate::dialect::scan::{Scan, Store};
use crate::dialect::stored::{self, BadPage, Page};
use crate::dialect::tree::{self, Node};
use crate::dialect::trouble::Kind;
use crate::dialect::{Dialect, Operation, conversation, write};
use crate::telemetry::{Metrics, catalogue};

/// What a request refers to, and whether its answer may be referred to.
pub struct Recall {
    scope: Scope,
    keeping: Keeping,
    /// The id of the response that it goes on from, JSON, where its items are in the input now.
    previous: Option<String>,
    /// Items of the input that are remembered already, by their places in it.
    known: Vec<Option<Arc<Item>>>,
}

/// Whose a request is; those who bring no key are not told apart.
fn scope_of(caller: Option<&str>) -> Scope {
    Scope::new(caller.unwrap_or(""))
}

impl Recall {
    /// For requests of other kinds.
    pub fn nothing() -> Self {
        Self { scope: Scope::new(""), keeping: Keeping::Passing, previous: None, known: Vec::new() }
    }

    /// The id of the response that the request goes on from, JSON, where that was expanded.
    pub fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }

    /// Whether the caller may refer to an answer that only this gateway has.
    pub const fn keeping(&self) -> Keeping {
        self.keeping
    }

    /// What makes the ids of an answer that is to be remembered: unlike others, nobody may guess them.
    /// `None` where none is to be, or the machine has no randomness.
    pub fn nonce(&self) -> Option<String> {
        let mut random = [0; 16];
        let wanted = self.keeping == Keeping::Kept;
        (wanted && aws_lc_rs::rand::fill(&mut random).is_ok()).then(|| conversation::nonce(random))
    }
}

/// Looks up what `body` refers to. The new body, where there is one, has it all in its input.
pub fn recall(
    gateway: &Gateway,
    snapshot: &Snapshot,
    arrival: &Arrival,
    caller: Option<&str>,
    entry: &Entry<'_>,
    scan: &Scan,
    body: &Bytes,
) -> Result<(Option<Bytes>, Recall), Box<Refusal>> {
    let bounds = &snapshot.table.server.responses;
    let mut recall = Recall::nothing();
    if scan.store == Store::Wanted && bounds.remembers() {
        recall.keeping = Keeping::Kept;
        recall.scope = scope_of(caller);
    }
    if entry.dialect != Dialect::Responses || !conversation::may_refer(body) {
        return Ok((None, recall));
    }
    recall.scope = scope_of(caller);
    // What is no request is refused by whoever reads it.
    let Ok(root) = tree::request(body) else { return Ok((None, recall)) };
    let finder = Finder { gateway, bounds, scope: &recall.scope, arrival };
    let Some(expanded) = finder.expand(&root)? else { return Ok((None, recall)) };
    recall.previous = expanded.previous;
    recall.known = expanded.known;
    Ok((Some(expanded.body), recall))
}

struct Finder<'f> {
    gateway: &'f Gateway,
    bounds: &'f Responses,
    scope: &'f Scope,
    arrival: &'f Arrival,
}

/// A request with all that it referred to.
struct Expanded {
    body: Bytes,
    previous: Option<String>,
    known: Vec<Option<Arc<Item>>>,
}

impl Finder<'_> {
    /// `None` where nothing of ours is referred to.
    fn expand(&self, root: &Node<'_>) -> Result<Option<Expanded>, Box<Refusal>> {
        let mut known: Vec<Option<Arc<Item>>> = Vec::new();
        let mut previous = None;
        if let Some(id) = conversation::previous(root)
            && let Some(conversation) = self.response(id)?
        {
            previous = Some(write::text(|out| write::string(out, id)));
            known.extend(conversation.items.iter().map(|item| Some(Arc::clone(item))));
        }
        let own = conversation::input(root);
        let mut said: HashSet<*const Item> = known.iter().flatten().map(Arc::as_ptr).collect();
        let mut changed = previous.is_some();
        let mut texts = Vec::with_capacity(own.len());
        for (node, text) in &own {
            let found = match node.and_then(conversation::reference) {
                Some(id) => self.item(id)?,
                None => None,
            };
            changed |= found.is_some();
            // What went before is not said twice.
            if found.as_ref().is_some_and(|item| !said.insert(Arc::as_ptr(item))) {
                continue;
            }
            texts.push(&**text);
            known.push(found);
        }
        if !changed {
            return Ok(None);
        }
        let before = known.len() - texts.len();
        // Those before the caller's own are all known.
        let items = known.iter().enumerate().map(|(at, item)| match item {
            Some(item) => item.text(),
            None => texts.get(at.saturating_sub(before)).map_or("null", |text| *text),
        });
        let fate =
            if previous.is_some() { conversation::Previous::SaidAgain } else { conversation::Previous::Kept };
        let body = conversation::with_input(root, fate, items).into();
        Ok(Some(Expanded { body, previous, known }))
    }

    /// The conversation up to a response of ours; `None` for any other response.
    fn response(&self, id: &str) -> Result<Option<Arc<Conversation>>, Box<Refusal>> {
        let found = self.gateway.memory.response(self.scope, id, self.gateway.live.now(), self.bounds);
        if !self.count(id, found.is_some()) {
            return Ok(found);
        }
        let message = format!(
            "Previous response with id '{}' not found: the gateway has forgotten it, or it belongs to another caller. Send the whole conversation in `input`, and `store: false` in loops that need no memory (server.responses in routing.yaml says how much is remembered, and for how long).",
            in_short(id)
        );
        let refusal = self.arrival.refuse(Kind::BadRequest, message);
        Err(refusal.code("previous_response_not_found").param("previous_response_id"))
    }

    /// The item that one of ours stands for; `None` for any other id.
    fn item(&self, id: &str) -> Result<Option<Arc<Item>>, Box<Refusal>> {
        let found = self.gateway.memory.item(self.scope, id, self.gateway.live.now(), self.bounds);
        if !self.count(id, found.is_some()) {
            return Ok(found);
        }
        let message = format!(
            "Item with id '{}' not found: the gateway has forgotten it, or it belongs to another caller. Send the item itself instead of an `item_reference`, or `store: false`, with which SDKs do so (server.responses in routing.yaml says how much is remembered, and for how long).",
            in_short(id)
        );
        Err(self.arrival.refuse(Kind::BadRequest, message).param("input"))
    }

    /// Counts a look-up; tells whether something of ours is missing.
    fn count(&self, id: &str, found: bool) -> bool {
        count(self.gateway, id, found);
        !found && conversation::is_ours(id)
    }
}

/// Lets the series of references begin at 0.
pub fn expect(metrics: &Metrics) {
    for result in ["hit", "miss"] {
        metrics.counter(&catalogue::RECALLS, &[result]).increment(0);
    }
}

/// Ids that are not ours say nothing about our memory.
fn count(gateway: &Gateway, id: &str, found: bool) {
    if found || conversation::is_ours(id) {
        let result = if found { "hit" } else { "miss" };
        gateway.live.metrics.counter(&catalogue::RECALLS, &[result]).increment(1);
    }
}

/// What it takes to remember an answer once it is whole. Holds the request, and no copy of it.
pub struct Keepsake {
    caller: Caller,
    scope: Scope,
    request: Bytes,
    known: Vec<Option<Arc<Item>>>,
}

impl Keepsake {
    pub fn of(guest: &mut Guest, keeping: Keeping) -> Option<Self> {
        let Load::Ask { body, .. } = &guest.load else { return None };
        (keeping == Keeping::Kept).then(|| Self {
            caller: guest.caller.clone(),
            scope: guest.recall.scope.clone(),
            request: body.clone(),
            known: std::mem::take(&mut guest.recall.known),
        })
    }

    /// Remembers the whole answer, a response object, under its id.
    pub fn remember(self, gateway: &Gateway, response: &[u8]) {
        let bounds = &gateway.snapshot().table.server.responses;
        // Told by its length alone, so that nobody reads and copies a film for nothing.
        if (self.request.len() + response.len()) as u64 > bounds.share() {
            return;
        }
        let said = std::str::from_utf8(response).ok().and_then(conversation::apart);
        // Both were written or read here before.
        let (Some(said), Ok(request)) = (said, tree::parse(&self.request)) else { return };
        let mut known = self.known.into_iter();
        let mut items: Vec<Arc<Item>> = conversation::input(&request)
            .iter()
            .map(|(node, text)| {
                let id = || node.and_then(conversation::id);
                known.next().flatten().unwrap_or_else(|| Item::new(id().as_deref(), text))
            })
            .collect();
        let input = items.len();
        items.extend(said.output.iter().map(|(id, text)| Item::new(id.as_deref(), text)));
        let conversation =
            Conversation { items: items.into(), input, head: said.head.into(), tail: said.tail.into() };
        // One that is too large is missed when it is referred to, and then the caller hears of it.
        let _ = gateway.memory.remember(&self.scope, &said.id, conversation, gateway.live.now(), bounds);
        // The upstream at which it began to be stored never saw its end.
        gateway.bonds.forget(&self.caller, name::number(said.id.as_bytes()));
    }
}

/// Whether it is about a response that can be stored nowhere but here.
pub fn is_ours(entry: &Entry<'_>, left: &Left<'_>) -> bool {
    entry.operation == Operation::StoredResponses && left.id.is_some_and(conversation::is_ours)
}

/// Answers what is wanted of a response that is stored here; `None` for any that may be stored elsewhere.
pub fn answer(
    gateway: &Gateway,
    snapshot: &Snapshot,
    arrival: &Arrival,
    caller: &Caller,
    id: &str,
    want: Want,
) -> Result<Option<Response<Reply>>, Box<Refusal>> {
    let (scope, now, bounds) =
        (scope_of(caller.scope()), gateway.live.now(), &snapshot.table.server.responses);
    let found = gateway.memory.response(&scope, id, now, bounds);
    count(gateway, id, found.is_some());
    let Some(conversation) = found else {
        if !conversation::is_ours(id) {
            return Ok(None);
        }
        let message = format!(
            "Response with id '{}' not found: the gateway has forgotten it, or it belongs to another caller.",
            in_short(id)
        );
        let refusal = arrival.refuse(Kind::NotFound, message);
        return Err(refusal.param("response_id").closing_if_body(arrival));
    };
    let query = arrival.head.uri.query();
    let body = match want {
        Want::Look if streamed(query) => {
            let message = "only responses in the background can be streamed again, and this one is whole; leave `stream` out";
            let refusal = arrival.refuse(Kind::BadRequest, message);
            return Err(refusal.param("stream"));
        }
        Want::Look => conversation.response(),
        Want::Content => {
            let page = Page::parse(query).and_then(|page| page.list(listed(id, &conversation)));
            page.map_err(|BadPage { param, message }| arrival.refuse(Kind::BadRequest, message).param(param))?
        }
        Want::Delete => {
            gateway.memory.forget(&scope, id, now, bounds);
            stored::deleted(id)
        }
        // There are ways to no other.
        Want::Cancel | Want::Create | Want::List | Want::Change => {
            let message =
                "Cannot cancel a synchronous response: only those with `background: true` can be cancelled.";
            let refusal = arrival.refuse(Kind::BadRequest, message);
            return Err(refusal.closing_if_body(arrival));
        }
    };
    let mut response = Response::new(Reply::whole(Bytes::from(body), None));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    name_request(response.headers_mut(), Dialect::Responses, &arrival.request_id, None);
    Ok(Some(response))
}

fn streamed(query: Option<&str>) -> bool {
    query.is_some_and(|query| query.split('&').any(|param| param == "stream=true"))
}

/// The input's items with their ids; callers need not give any, so the response's and the place make one.
fn listed(response: &str, conversation: &Conversation) -> Vec<(String, String)> {
    let nonce = response.strip_prefix("resp_").unwrap_or(response);
    let item = |(at, item): (usize, &Arc<Item>)| {
        let id = item.id().map_or_else(|| format!("msg_{nonce}_in{at}"), str::to_owned);
        let text = conversation::listed(item.text(), &id);
        (id, text)
    };
    conversation.input().iter().enumerate().map(item).collect()
}
