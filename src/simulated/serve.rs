//! One request: remembered, judged by the rules, answered well or badly.

use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use super::ask::{Ask, Operation, Place, credential};
use super::complaint::Complaint;
use super::continued::{Continued, Habit};
use super::control::{Marks, Moment, tail_of};
use super::desk::{Course, Desk, Refusal};
use super::echo;
use super::line::Orders;
use super::reply::Reply;
use super::rule::Fault;
use super::seen::{Outcome, Seen};
use super::server::Core;
use super::speech::{Answer, Speech};
use super::store::Wrong;
use super::visit::Visit;

/// Largest body taken: twice what the gateway takes by default, so that it is never the upstream that objects.
const BODY_MAX: usize = 128 * 1024 * 1024;

/// Answer one request. Never answers where a fault says so; the connection is then ended by its orders
/// or by the peer.
pub(super) async fn serve(
    core: Arc<Core>,
    orders: Arc<Orders>,
    connection: u64,
    mut request: Request<Incoming>,
) -> Response<Reply> {
    orders.drip(None);
    let upgrade = echo::wants_websocket(&request).then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let place = Place::find(&head);
    let tail = credential(&head).map(tail_of);
    let path = head.uri.path();
    let seen = arrival(&core, connection, &head, tail);
    let mut desk = Desk {
        visit: Visit::arrive(core.clone(), orders.clone(), seen),
        orders: orders.clone(),
        dialect: place.dialect,
        version: head.version,
        bodiless: head.method == Method::HEAD,
    };

    let marks = Marks { model: place.model.as_deref(), credential_tail: tail, path };
    if let Some(fault) = core.control.decide(marks, Moment::Head) {
        return desk.reset(&fault).await;
    }
    let bytes = match Limited::new(body, BODY_MAX).collect().await {
        Ok(collected) => collected.to_bytes(),
        // The peer is gone, unless the body was too large; either way this is the true answer.
        Err(_) => {
            return desk.refuse(Complaint::TooLarge, StatusCode::PAYLOAD_TOO_LARGE, &Refusal::default());
        }
    };
    let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let ask = Ask::read(place, content_type, &bytes);
    let model = ask.as_ref().ok().and_then(|ask| ask.model.as_deref());
    desk.visit.read(bytes.len() as u64, model);

    let fault = core.control.decide(Marks { model, credential_tail: tail, path }, Moment::Body);
    if let Some(fault) = &fault {
        desk.visit.suffer(fault);
        match Course::of(fault, desk.dialect) {
            Course::Answer => {}
            Course::Refuse(complaint, status, refusal) => return desk.refuse(complaint, status, &refusal),
            Course::Replay(canned) => return desk.replay(canned),
            Course::Reset => return desk.reset(fault).await,
            Course::Silence => return pending().await,
        }
    } else if core.control.over_capacity() {
        desk.visit.turn_away();
        let status = Complaint::Overloaded.status(desk.dialect);
        return desk.refuse(Complaint::Overloaded, status, &Refusal::default());
    }
    match ask {
        Ok(ask) => answer(&core, desk, Read { head, bytes, ask, upgrade }, fault.as_ref()).await,
        Err(message) => desk.refuse_as_bad(message),
    }
}

/// A request that makes sense.
struct Read {
    head: Parts,
    bytes: Bytes,
    ask: Ask,
    upgrade: Option<OnUpgrade>,
}

/// Answers after its time, as well as `fault` lets it.
async fn answer(core: &Arc<Core>, desk: Desk, read: Read, fault: Option<&Fault>) -> Response<Reply> {
    let Read { head, bytes, ask, upgrade } = read;
    let continued = Continued::read(&bytes).filter(|_| ask.stream);
    let habit = core.control.habit();
    if habit == Habit::RefusesPrefill && continued.as_ref().is_some_and(Continued::is_prefill) {
        return desk.refuse_as_bad("this model does not take an answer that has begun".to_owned());
    }
    let ttft = match fault {
        Some(Fault::Slow { ttft }) => *ttft,
        _ => core.settings.ttft,
    };
    tokio::time::sleep(ttft).await;
    if let Some(upgrade) = upgrade.filter(|_| fault.is_none_or(Fault::answers)) {
        return desk.upgrade(core, &head.headers, upgrade);
    }
    let mut answer = Answer::new(
        &core.name,
        core.settings.words,
        core.settings.seed,
        desk.visit.serial(),
        core.control.elapsed().as_secs(),
        &ask,
    );
    if let Some(continued) = continued {
        answer.text = continued.text(&answer.text, core.settings.words, habit);
    }
    let said = match ask.place.operation {
        Operation::Files | Operation::Batches => core.store.answer(core, &ask.place, &head, &bytes),
        Operation::Stored => core.remembered.answer(&head),
        Operation::Echo => Ok(echo::speech(&core.name, &head, &bytes)),
        _ => Ok(core.remembered.keep(&ask, &answer, &head).unwrap_or_else(|| Speech::of(&ask, &answer))),
    };
    match said {
        Ok(speech) => desk.speak(speech, core.settings.pace, fault, &ask, &answer),
        Err(Wrong { status, body }) => {
            let said = Refusal { body: Some(body), ..Refusal::default() };
            desk.refuse(Complaint::of(status), status, &said)
        }
    }
}

fn arrival(core: &Core, connection: u64, head: &Parts, credential_tail: Option<&str>) -> Seen {
    let header = |name: &str| head.headers.get(name)?.to_str().ok().map(str::to_owned);
    Seen {
        serial: 0,
        at: core.control.elapsed(),
        connection,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        model: None,
        credential_tail: credential_tail.map(str::to_owned),
        attempt: header("x-attempt"),
        test_id: header("x-test-id"),
        body_bytes: 0,
        fault: None,
        outcome: Outcome::Open,
    }
}
