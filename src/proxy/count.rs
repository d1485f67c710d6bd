//! Counts tokens here, for callers whose route has no upstream that would, or none that can just now.
//!
//! Claude Code asks for a count at every turn, and most vendors have no such question. The answer is an
//! estimate, and says so (`x-mainstay-estimated`). It never stands in for a count that can be had, nor for what
//! an upstream says of the request itself or of the operator's key: these are the caller's to hear.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};

use super::attempt::Failed;
use super::intake::{Guest, Load};
use super::refuse::{ESTIMATED, Refusal, name_request};
use super::reply::Reply;
use super::{admission, memory};
use crate::dialect::task;
use crate::dialect::tokens::{self, Vocabulary};
use crate::dialect::tree::{self, Wrong};
use crate::dialect::trouble::Kind;
use crate::route::{Exhausted, Lack, Plan};
use crate::state::Live;
use crate::telemetry::RequestOutcome;
use crate::vocab::{Class, Fault};

/// Whether nobody on the route counts: no channel has the question in any dialect, all that have it are down, at rest
/// or full, or whoever was asked last does not know the question or broke down over it.
pub fn can(guest: &Guest, last: Option<&Failed>, exhausted: Exhausted) -> bool {
    guest.operation.health_neutral()
        && match last {
            None => matches!(exhausted.lack, Lack::Dialect | Lack::Credentials | Lack::Room | Lack::Health),
            Some(failed) => is_no_answer(failed),
        }
}

/// Whether a failure says nothing that the caller or the operator has to hear.
fn is_no_answer(failed: &Failed) -> bool {
    let fault = failed.failure.fault;
    match fault.class() {
        Class::UpstreamFault | Class::Overload | Class::Throttled => true,
        Class::ClientFault | Class::ConfigFault | Class::LocalFault => {
            // In the caller's own dialect the upstream's words are there to be passed on, save that it has no such
            // path.
            let is_mute = failed.spare.as_ref().is_none_or(|spare| spare.status() == StatusCode::NOT_FOUND);
            is_mute && matches!(fault, Fault::Unsayable | Fault::BadRequest | Fault::ModelMissing)
        }
        Class::QuotaExhausted | Class::AuthFault | Class::StreamFault | Class::Cancelled => false,
    }
}

/// Counts what `guest` wants to have counted.
pub async fn answer(live: &Arc<Live>, mut guest: Box<Guest>, plan: &Plan<'_>) -> Response<Reply> {
    let Load::Ask { body, scan } = &guest.load else {
        return refuse(guest, Wrong::whole("there is nothing to count")).into_response(live);
    };
    let (dialect, body, model) = (guest.dialect, body.clone(), scan.model.clone());
    let vocabulary = vocabulary(plan, &model);
    let gateway = guest.settle.gateway();
    let Some(room) = memory::to_say(gateway, plan.table(), guest.priority, scan.values, 0) else {
        let gateway = Arc::clone(gateway);
        return admission::no_room(&gateway, plan.table(), guest).into_response(live);
    };
    // A long prompt takes a while, and the first one brings its vocabulary in.
    let counting = tokio::task::spawn_blocking(move || {
        let root = tree::request(&body)?;
        let _room = room;
        task::read_count(dialect, &model, &root, |ask| Ok(tokens::estimate(&ask, vocabulary)))
    });
    let counted = counting.await.unwrap_or_else(|_| Err(Wrong::whole("it could not be counted")));
    let tokens = match counted {
        Ok(tokens) => tokens,
        Err(wrong) => return refuse(guest, wrong).into_response(live),
    };
    let mut out = Vec::new();
    task::write_count(dialect, tokens, &mut out);
    guest.settle.attempts = plan.attempts;
    guest.settle.first_byte(StatusCode::OK);
    guest.settle.ends(RequestOutcome::Ok);
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ESTIMATED, HeaderValue::from_static("tokens"));
    name_request(headers, guest.dialect, &guest.request_id, Some(plan.attempts));
    response.map(|()| Reply::whole(out.into(), Some(guest.settle)))
}

fn refuse(guest: Box<Guest>, wrong: Wrong) -> Box<Refusal> {
    let mut refusal =
        Refusal::new(Kind::BadRequest, wrong.message.into_owned(), guest.dialect, &guest.request_id);
    refusal.trouble.param = (!wrong.path.is_empty()).then_some(wrong.path);
    refusal.settle = Some(guest.settle);
    refusal
}

/// OpenAI's, if every model that the request could go to is OpenAI's.
fn vocabulary(plan: &Plan<'_>, asked: &str) -> Vocabulary {
    let route = plan.route();
    let known = |channel: &Arc<crate::state::Channel>| {
        let model = channel.model_name(&route.config, asked).unwrap_or(asked);
        Vocabulary::of(model) == Vocabulary::O200k
    };
    if route.channels.iter().all(known) { Vocabulary::O200k } else { Vocabulary::Unknown }
}
