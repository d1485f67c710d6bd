//! Responses that were answered here, each with the credential that it was asked for with.
//!
//! One that is made in the background is whole when somebody looks for the second time, so that it can be cancelled
//! before. What is kept is bounded, and gone with the upstream: this is no store to rely on.

use std::collections::VecDeque;

use http::request::Parts;
use http::{Method, StatusCode};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::ask::{Ask, Keeping, Operation, credential};
use super::responses::{self, Status};
use super::speech::{Answer, Speech};
use super::store::Wrong;

/// Responses that are kept; more than any test comes back for.
const MOST: usize = 512;
/// Looks at one that is made in the background until it is there.
const LOOKS: u8 = 2;

#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<VecDeque<Kept>>);

#[derive(Debug)]
struct Kept {
    owner: String,
    answer: Answer,
    background: bool,
    /// Until it is whole.
    looks_left: u8,
    cancelled: bool,
}

impl Remembered {
    /// Keeps an answer that may be asked for again; what its caller gets for now, if that is not the answer.
    pub(super) fn keep(&self, ask: &Ask, answer: &Answer, head: &Parts) -> Option<Speech> {
        if ask.place.operation != Operation::Responses || ask.keeping == Keeping::No {
            return None;
        }
        let background = ask.keeping == Keeping::Background;
        let later = background && !ask.stream;
        let kept = Kept {
            owner: credential(head).unwrap_or_default().to_owned(),
            answer: answer.clone(),
            background,
            looks_left: if later { LOOKS } else { 0 },
            cancelled: false,
        };
        let speech = later.then(|| Speech::json(&kept.shown()));
        let mut all = self.0.lock();
        if all.len() == MOST {
            all.pop_front();
        }
        all.push_back(kept);
        speech
    }

    /// What is said of one that was kept.
    pub(super) fn answer(&self, head: &Parts) -> Result<Speech, Wrong> {
        let path = head.uri.path();
        if path.contains("conversations") {
            return Err(wrong(StatusCode::NOT_FOUND, "the simulated upstream keeps no conversations"));
        }
        let rest = path.split_once("responses/").map_or("", |(_, rest)| rest);
        let (id, verb) = rest.split_once('/').unwrap_or((rest, ""));
        let owner = credential(head).unwrap_or_default();
        let mut all = self.0.lock();
        let mine = |kept: &Kept| kept.owner == owner && id.strip_prefix("resp_") == Some(&*kept.answer.id);
        let at = all.iter().position(mine);
        let missing = || wrong(StatusCode::NOT_FOUND, &format!("Response with id '{id}' not found."));
        let kept = at.and_then(|at| all.get_mut(at)).ok_or_else(missing)?;
        match (&head.method, verb) {
            (&Method::DELETE, "") => {
                at.and_then(|at| all.remove(at));
                Ok(Speech::json(&json!({"id": id, "object": "response", "deleted": true})))
            }
            (&Method::POST, "cancel") if kept.background && kept.looks_left > 0 => {
                kept.cancelled = true;
                Ok(Speech::json(&kept.shown()))
            }
            (&Method::POST, "cancel") => {
                Err(wrong(StatusCode::BAD_REQUEST, "Only a response in the background can be cancelled."))
            }
            (&Method::GET, "input_items") => Ok(Speech::json(&json!({"object": "list", "data": [],
                "first_id": null, "last_id": null, "has_more": false}))),
            (&Method::GET, "") => {
                kept.looks_left = kept.looks_left.saturating_sub(1);
                Ok(Speech::json(&kept.shown()))
            }
            _ => Err(missing()),
        }
    }
}

impl Kept {
    fn shown(&self) -> Value {
        let status = match self.looks_left {
            _ if self.cancelled => Status::Cancelled,
            0 => Status::Completed,
            LOOKS => Status::Queued,
            _ => Status::InProgress,
        };
        let mut shown = responses::response(&self.answer, &status);
        shown["background"] = json!(self.background);
        shown["store"] = json!(true);
        shown
    }
}

fn wrong(status: StatusCode, message: &str) -> Wrong {
    let body =
        json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    Wrong { status, body: body.to_string() }
}
