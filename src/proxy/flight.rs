//! One attempt that several callers of the same request share: whoever came first asks, all get what comes.
//!
//! A task of its own reads the answer, so no caller can end it for the others; it ends with the last of them.
//! What somebody has still to read is kept, up to a bound: until that is reached everybody reads at his own
//! pace and others may join, beyond it the answer waits for its slowest reader, and nobody joins any more. It
//! waits with [`lag`]'s patience: who keeps others waiting for longer is told that he came too late.

mod lag;

use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use self::lag::Lag;
use super::intake::Guest;
use super::reply::Reply;
use super::{Gateway, Snapshot, memory, unattended};
use crate::cache::Likeness;
use crate::state::holding::Holding;
use crate::vocab::{Fault, Usage};

/// Attempts that others may join, by what their requests have in common.
#[derive(Default)]
pub struct Flights(Mutex<HashMap<Likeness, Arc<Flight>>>);

struct Flight(Mutex<State>);

struct State {
    /// Most bytes that are kept for those who have not read them.
    most: u64,
    head: Option<Head>,
    chunks: VecDeque<Bytes>,
    /// The number of the first of them.
    first: usize,
    bytes: u64,
    end: Option<End>,
    places: Vec<Place>,
    next_place: u64,
    pump: Option<AbortHandle>,
    /// Of the pump, while it waits for readers.
    waits: Option<Waker>,
    holding: Holding,
    lag: Option<Lag>,
}

/// How the answer begins.
#[derive(Clone)]
pub struct Head {
    pub status: StatusCode,
    pub fields: HeaderMap,
    /// Whether its pieces are a stream's.
    pub in_pieces: bool,
}

#[derive(Clone, Copy)]
enum End {
    Whole(Option<Usage>),
    Broken(Fault),
}

struct Place {
    id: u64,
    /// The number of the chunk that is read next.
    at: usize,
    waker: Option<Waker>,
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Reads,
    /// He kept the others waiting for too long; what he had still to read may be gone.
    LeftBehind,
}

/// Why there is no more of an answer that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It broke off, in the dialect's words already where it has any.
    Broken(Fault),
    /// It went on without this reader.
    LeftBehind,
}

/// One caller's place. The last one who leaves ends the attempt.
pub struct Seat {
    flight: Arc<Flight>,
    id: u64,
}

/// Whether there was an attempt to join.
pub enum Boarding {
    Follows(Seat),
    /// Nobody asks yet: this is whoever asks for all, and what it takes to do so.
    Leads(Seat, Landing),
}

/// The end of an attempt, however it comes: nobody joins it, and nobody waits for more.
pub struct Landing {
    gateway: Arc<Gateway>,
    likeness: Likeness,
    flight: Arc<Flight>,
}

impl Flights {
    /// Joins an attempt that is under way, or begins one that others may join.
    pub fn board(&self, gateway: &Arc<Gateway>, likeness: Likeness, most: u64) -> Boarding {
        let mut flights = self.0.lock();
        if let Some(seat) = flights.get(&likeness).and_then(Flight::join) {
            return Boarding::Follows(seat);
        }
        let flight = Arc::new(Flight(Mutex::new(State::new(most, memory::needed(&gateway.live.holdings)))));
        flights.insert(likeness, Arc::clone(&flight));
        let seat = flight.0.lock().sit(&flight);
        Boarding::Leads(seat, Landing { gateway: Arc::clone(gateway), likeness, flight })
    }

    /// How many may be joined or are still read.
    pub fn under_way(&self) -> usize {
        self.0.lock().len()
    }
}

impl Landing {
    /// Asks for all, in a task of its own.
    pub fn lead(self, snapshot: &Arc<Snapshot>, guest: Box<Guest>) {
        let (flight, snapshot) = (Arc::clone(&self.flight), Arc::clone(snapshot));
        let pump = tokio::spawn(async move {
            let response = unattended::drive(&self.gateway, &snapshot, guest).await;
            self.flight.pump(response).await;
        });
        flight.0.lock().pump = Some(pump.abort_handle());
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut flights = self.gateway.before.flights.0.lock();
        if flights.get(&self.likeness).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            flights.remove(&self.likeness);
        }
        drop(flights);
        self.flight.0.lock().ends(End::Broken(Fault::Cancelled));
    }
}

impl Flight {
    /// `None` where some of the answer is gone already, or nobody but its own caller wants it.
    fn join(flight: &Arc<Self>) -> Option<Seat> {
        let mut state = flight.0.lock();
        let good = state.head.as_ref().is_none_or(|head| head.status.is_success());
        let whole = state.first == 0 && state.bytes <= state.most;
        (good && whole && state.end.is_none() && !state.places.is_empty()).then(|| state.sit(flight))
    }

    async fn pump(&self, response: Response<Reply>) {
        let (parts, mut body) = response.into_parts();
        let (in_pieces, known) = (body.is_in_pieces(), body.usage());
        let head = Head { status: parts.status, fields: parts.headers, in_pieces };
        self.0.lock().begins(head);
        loop {
            poll_fn(|cx| self.0.lock().poll_room(cx)).await;
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(chunk) = frame.into_data() {
                        self.0.lock().push(chunk);
                    }
                }
                Some(Err(broken)) => return self.0.lock().ends(End::Broken(broken.0)),
                None => return self.0.lock().ends(End::Whole(known.or(body.usage()))),
            }
        }
    }
}

impl State {
    fn new(most: u64, holding: Holding) -> Self {
        Self {
            most,
            head: None,
            chunks: VecDeque::new(),
            first: 0,
            bytes: 0,
            end: None,
            places: Vec::new(),
            next_place: 0,
            pump: None,
            waits: None,
            holding,
            lag: None,
        }
    }

    fn sit(&mut self, flight: &Arc<Flight>) -> Seat {
        let id = self.next_place;
        self.next_place += 1;
        self.places.push(Place { id, at: 0, waker: None, standing: Standing::Reads });
        Seat { flight: Arc::clone(flight), id }
    }

    fn begins(&mut self, head: Head) {
        self.head = Some(head);
        self.wake();
    }

    fn push(&mut self, chunk: Bytes) {
        self.bytes += chunk.len() as u64;
        self.chunks.push_back(chunk);
        self.holding.hold(self.bytes);
        self.wake();
    }

    fn ends(&mut self, end: End) {
        self.end.get_or_insert(end);
        self.wake();
    }

    fn wake(&mut self) {
        self.places.iter_mut().filter_map(|place| place.waker.take()).for_each(Waker::wake);
    }

    /// Lets go of what everybody has read, once it is too much to be kept for whoever may join.
    fn trim(&mut self) {
        let read = self.slowest();
        while self.bytes > self.most
            && self.first < read
            && let Some(chunk) = self.chunks.pop_front()
        {
            self.first += 1;
            self.bytes -= chunk.len() as u64;
        }
        self.holding.hold(self.bytes);
    }

    /// The number of the first chunk that somebody has still to read.
    fn slowest(&self) -> usize {
        let reading = self.places.iter().filter(|place| place.standing == Standing::Reads);
        reading.map(|place| place.at).min().unwrap_or(usize::MAX)
    }

    /// The number behind the last chunk that is here.
    fn end(&self) -> usize {
        self.first + self.chunks.len()
    }

    /// Somebody has read, or left.
    fn moved(&mut self) {
        if let Some(pump) = self.waits.take() {
            pump.wake();
        }
    }

    fn poll_head(&mut self, id: u64, cx: &Context<'_>) -> Poll<Option<Head>> {
        if self.head.is_some() || self.end.is_some() {
            return Poll::Ready(self.head.clone());
        }
        self.wait(id, cx);
        Poll::Pending
    }

    fn poll_chunk(&mut self, id: u64, cx: &Context<'_>) -> Poll<Option<Result<Bytes, Lost>>> {
        let first = self.first;
        let Some(place) = self.places.iter_mut().find(|place| place.id == id) else {
            return Poll::Ready(None);
        };
        if place.standing == Standing::LeftBehind {
            return Poll::Ready(Some(Err(Lost::LeftBehind)));
        }
        // What is gone has been read by everybody.
        let next = place.at.checked_sub(first).and_then(|at| self.chunks.get(at)).cloned();
        if let Some(chunk) = next {
            place.at += 1;
            self.moved();
            return Poll::Ready(Some(Ok(chunk)));
        }
        match self.end {
            Some(End::Whole(_)) => Poll::Ready(None),
            Some(End::Broken(fault)) => Poll::Ready(Some(Err(Lost::Broken(fault)))),
            None => {
                self.wait(id, cx);
                Poll::Pending
            }
        }
    }

    fn wait(&mut self, id: u64, cx: &Context<'_>) {
        if let Some(place) = self.places.iter_mut().find(|place| place.id == id) {
            place.waker = Some(cx.waker().clone());
        }
    }

    /// What to end where nobody is left.
    fn leave(&mut self, id: u64) -> Option<AbortHandle> {
        self.places.retain(|place| place.id != id);
        self.moved();
        let reads = self.places.iter().any(|place| place.standing == Standing::Reads);
        if reads { None } else { self.pump.take() }
    }
}

impl Seat {
    /// How the answer begins; `None` where there is none.
    pub async fn head(&self) -> Option<Head> {
        poll_fn(|cx| self.flight.0.lock().poll_head(self.id, cx)).await
    }

    /// The next piece, or why there is none.
    pub fn poll_chunk(&self, cx: &Context<'_>) -> Poll<Option<Result<Bytes, Lost>>> {
        self.flight.0.lock().poll_chunk(self.id, cx)
    }

    /// Whether the answer has ended well and is read to its end.
    pub fn is_read(&self) -> bool {
        let state = self.flight.0.lock();
        let all = state.end();
        let read = state.places.iter().any(|place| place.id == self.id && place.at >= all);
        read && matches!(state.end, Some(End::Whole(_)))
    }

    /// The tokens of the answer, once it has ended.
    pub fn usage(&self) -> Option<Usage> {
        match self.flight.0.lock().end {
            Some(End::Whole(usage)) => usage,
            Some(End::Broken(_)) | None => None,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let pump = self.flight.0.lock().leave(self.id);
        // One that has ended is not touched by it.
        if let Some(pump) = pump {
            pump.abort();
        }
    }
}
