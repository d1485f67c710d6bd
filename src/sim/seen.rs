//! What happens in a rehearsal, as it is told to whoever keeps count or holds it to laws.

use std::time::Duration;

use super::drive::Parted;
use crate::algo::tick::Tick;
use crate::route::Verdict;
use crate::state::memoir::Memoir;
use crate::state::{Channel, Table};
use crate::vocab::{Fault, Stage};

/// Something that happened. Requests are numbered from 0 in the order of their arrival.
#[derive(Debug)]
pub enum Seen<'s> {
    /// A caller came with the request `call` of the workload's mix.
    Began { request: u64, call: usize, revision: usize },
    /// An attempt was sent.
    Asked { request: u64, channel: &'s Channel, credential: Option<&'s str>, passage: Passage, role: Role },
    /// The first content came, so long after the caller.
    Committed { request: u64, channel: &'s Channel, after: Duration, role: Role },
    /// Another channel goes on with a stream that broke off.
    GoesOn { request: u64, channel: &'s Channel },
    /// It waits for room no more.
    Queued { request: u64, waited: Duration },
    /// An attempt is over; an upstream that had begun to work bills for these tokens.
    Left { request: u64, call: usize, channel: &'s Channel, how: Left, role: Role, bill: Bill },
    /// What followed from an attempt that failed before content; no verdict where another one runs beside it.
    Judged { request: u64, fault: Fault, stage: Stage, passage: Passage, verdict: Option<Verdict> },
    /// The caller's request is over. Its answer is made of so many legs, if there is one.
    Ended { request: u64, call: usize, end: End, attempts: u32, legs: u32, begun: Tick },
    /// A probe or a synthetic trial was answered.
    Probed { upstream: &'s str, passed: bool },
    /// A request goes on for which this revision of the configuration holds, counted from 0.
    Reloaded { revision: usize },
    /// Another process serves with this revision, and knew this when it began, if it could read it.
    Restarted { revision: usize, recalled: Option<&'s Memoir> },
    /// The process did not run for so long.
    Froze { lasted: Duration },
    /// Somebody has set the wall's clock by so many seconds.
    WallStepped { by: i64 },
}

/// What an upstream bills for an attempt, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bill {
    pub prompt: u64,
    pub answer: u64,
}

/// What an attempt is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To answer the request.
    Own,
    /// The same, beside one that is silent.
    Hedge,
    /// To go on with an answer that broke off.
    Leg,
}

/// How an attempt got past the breakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passage {
    Normal,
    Trial,
    /// Nothing was eligible, and the route's throttle let it through.
    Forced,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    Finished,
    Failed(Fault, Stage),
    Cancelled,
}

/// What a caller saw in the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum End {
    /// A whole answer.
    Answered,
    /// An error instead of an answer.
    Parted(Parted),
    /// The begin of an answer, and an error event.
    Broken(Fault),
    /// Nobody was there any more.
    HungUp,
    /// No route takes such requests.
    NoRoute,
}

/// Hears everything, in order.
pub trait Witness {
    fn saw(&mut self, now: Tick, seen: &Seen<'_>);

    /// Called after everything that happens, and a few times a second besides.
    fn looked(&mut self, now: Tick, table: &Table) {
        let _ = (now, table);
    }

    /// Asked after everything that happens: whether anybody still wants to hear what follows.
    fn goes_on(&self) -> bool {
        true
    }

    /// The last request is over, or nobody wants to hear more. Every table that was ever in force, the last one last.
    fn closed(&mut self, now: Tick, tables: &[&Table]) {
        let _ = (now, tables);
    }
}
