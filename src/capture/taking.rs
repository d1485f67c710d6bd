//! One request that is being captured: what is seen of it on its way, held until it has ended, and then left in the
//! queue.
//!
//! Both the request's end and its answer's body have a part in it, and whichever goes last leaves it. What is held is
//! within a bound of all captures together; where that is used up, the capture is dropped and counted, and the request
//! goes on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use parking_lot::Mutex;

use super::Captures;
use super::body::{self, Language, Seen};
use super::record::{Answer, Taken, of_answer, of_request};
use crate::config::{self, Captured};
use crate::state::holding::Holding;
use crate::telemetry::RequestOutcome;

/// A stream's events are mostly wrapping: of them so many times as many bytes are read as of other answers.
const STREAMED: usize = 8;

/// What is known of a request when it comes in.
pub struct Arrived<'a> {
    pub request_id: &'a str,
    /// Since the Unix epoch.
    pub at: Duration,
    pub key: Option<&'a str>,
    pub route: &'a str,
    pub language: Language,
    pub method: &'a Method,
    pub path: &'a str,
    pub headers: &'a HeaderMap,
    /// Its beginning, as far as it is there.
    pub body: &'a Bytes,
    /// How long it is, in bytes.
    pub length: u64,
}

/// A request that is being captured.
pub struct Taking {
    captures: Arc<Captures>,
    settings: Arc<config::Capture>,
    // One task has a request, and what is done under the lock is a copy of some bytes at most.
    state: Mutex<State>,
}

struct State {
    /// `None` once there was no room for it.
    taken: Option<Taken>,
    /// Of its answer, while that is not one piece.
    pieces: Vec<u8>,
    /// Bytes of its answer that are kept, at most.
    most: usize,
    holding: Holding,
}

/// What is queued: the request, and the count of what it holds.
pub(super) struct Left {
    pub taken: Taken,
    pub settings: Arc<config::Capture>,
    pub _holding: Holding,
}

impl Taking {
    pub(super) fn begin(
        captures: &Arc<Captures>,
        settings: &Arc<config::Capture>,
        arrived: &Arrived<'_>,
        mut holding: Holding,
    ) -> Option<Arc<Self>> {
        let begin = beginning(arrived.body, settings.max_body);
        if holding.try_hold(begin.len() as u64).is_err() {
            captures.no_room();
            return None;
        }
        let taken = Taken {
            request_id: arrived.request_id.into(),
            at: arrived.at,
            key: arrived.key.map(Box::from),
            route: arrived.route.into(),
            language: arrived.language,
            outcome: RequestOutcome::Cancelled,
            channel: None,
            method: arrived.method.clone(),
            path: arrived.path.into(),
            headers: of_request(arrived.headers),
            body: Seen { begin, length: arrived.length },
            answer: None,
        };
        let state = State { taken: Some(taken), pieces: Vec::new(), most: settings.max_body, holding };
        Some(Arc::new(Self {
            captures: Arc::clone(captures),
            settings: Arc::clone(settings),
            state: Mutex::new(state),
        }))
    }

    /// Its answer begins; `whole` is all of it, where that is here.
    pub fn answered(&self, status: StatusCode, headers: &HeaderMap, whole: Option<&Bytes>) {
        let mut state = self.state.lock();
        let State { taken: Some(taken), most, .. } = &mut *state else { return };
        if body::is_streamed(taken.language, headers) {
            *most = self.settings.max_body * STREAMED;
        }
        taken.answer = Some(Answer { status, headers: of_answer(headers), body: Seen::default() });
        if let Some(whole) = whole {
            self.add(&mut state, whole);
        }
    }

    /// A piece of its answer.
    pub fn piece(&self, data: &Bytes) {
        self.add(&mut self.state.lock(), data);
    }

    fn add(&self, state: &mut State, data: &Bytes) {
        let State { taken, pieces, most, holding } = state;
        let Some(Answer { body, .. }) = taken.as_mut().and_then(|taken| taken.answer.as_mut()) else {
            return;
        };
        let kept = body.begin.len() + pieces.len();
        body.length += data.len() as u64;
        let more = (*most).saturating_sub(kept).min(data.len());
        if more == 0 {
            return;
        }
        let wanted = holding_of(&self.settings, kept + more);
        if holding.try_hold(wanted).is_err() {
            *taken = None;
            *pieces = Vec::new();
            holding.hold(0);
            self.captures.no_room();
            return;
        }
        // One piece is not copied; of several each may be a small part of a large buffer.
        if kept == 0 && more == data.len() {
            body.begin = data.clone();
            return;
        }
        if pieces.is_empty() {
            pieces.extend_from_slice(&std::mem::take(&mut body.begin));
        }
        pieces.extend_from_slice(&data[..more]);
    }

    /// It has ended.
    pub fn ends(&self, outcome: RequestOutcome, channel: Option<&str>) {
        let mut state = self.state.lock();
        let went_wrong = match outcome {
            RequestOutcome::Ok | RequestOutcome::Cancelled => false,
            RequestOutcome::ClientFault
            | RequestOutcome::Refused
            | RequestOutcome::Failed
            | RequestOutcome::Broken => true,
        };
        let is_wanted = match self.settings.only {
            Captured::All => true,
            Captured::Failed => went_wrong,
        };
        match &mut state.taken {
            Some(taken) if is_wanted => {
                taken.outcome = outcome;
                taken.channel = channel.map(Box::from);
            }
            _ => state.taken = None,
        }
    }
}

/// What is counted for an answer of so many bytes beside its request.
fn holding_of(settings: &config::Capture, answer: usize) -> u64 {
    (settings.max_body + answer) as u64
}

/// Its first bytes. What is not all of it is copied, so that the rest of it need not stay.
fn beginning(body: &Bytes, most: usize) -> Bytes {
    if body.len() <= most { body.clone() } else { Bytes::copy_from_slice(&body[..most]) }
}

impl Drop for Taking {
    fn drop(&mut self) {
        let State { taken, pieces, holding, .. } = self.state.get_mut();
        let Some(mut taken) = taken.take() else { return };
        if let Some(answer) = taken.answer.as_mut().filter(|_| !pieces.is_empty()) {
            answer.body.begin = std::mem::take(pieces).into();
        }
        let holding = std::mem::replace(holding, self.captures.holding());
        self.captures.leave(Left { taken, settings: Arc::clone(&self.settings), _holding: holding });
    }
}
