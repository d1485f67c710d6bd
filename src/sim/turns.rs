//! What happens to one request, event by event.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::drive::{Sent, Step, Try};
use super::fate::{self, Patience};
use super::queue::{Event, Turn};
use super::seen::{Bill, End, Left, Seen};
use super::weather::{Answer, Asking, Ending, Walls};
use super::world::{Guest, World};
use crate::algo::tick::Tick;
use crate::config::rehearsal::Caller;
use crate::dialect::Dialect;
use crate::route::{Failure, Limits};
use crate::state::model::Shape;
use crate::state::permit::STALLED;
use crate::vocab::{Class, Fault, Stage, Usage};

/// A trial is told that its stream goes on at its sixth content event, and every five from there.
const BEAT_EVENTS: u32 = 5;
/// However fast it speaks.
const LEAST_BEAT: Duration = Duration::from_millis(50);

impl<'t> World<'_, 't> {
    pub(super) fn turn(&mut self, slot: usize, number: u64, turn: Turn) {
        // Taken out for as long as it is worked at; a request that is over has left its place.
        let Some(mut guest) = self.guests[slot].take_if(|guest| guest.number == number) else { return };
        let end = match turn {
            Turn::Choose => {
                let step = guest.drive.next();
                self.follow(slot, &mut guest, step)
            }
            Turn::Send(id) => {
                self.send(slot, &mut guest, id);
                None
            }
            Turn::Hedge(id) => guest.drive.hedge(id).and_then(|step| self.follow(slot, &mut guest, step)),
            Turn::Fail(id, failure) => self.fail(slot, &mut guest, id, failure),
            Turn::Commit(id) => self.commit(slot, &mut guest, id),
            Turn::Beat(id) => {
                self.beat(slot, &mut guest, id);
                None
            }
            Turn::Stall(id) => {
                if let Some(own) = guest.drive.find_mut(id) {
                    own.permit.stalls();
                }
                None
            }
            Turn::End(id) => {
                self.leave(&mut guest, id, Left::Finished);
                guest.drive.finished();
                Some(End::Answered)
            }
            Turn::Break(id, fault) => self.broke(slot, &mut guest, id, fault),
            Turn::HangUp => {
                let ids: Vec<u32> = guest.drive.unsettled().map(|own| own.id).collect();
                for id in ids {
                    self.leave(&mut guest, id, Left::Cancelled);
                }
                guest.drive.hung_up();
                Some(End::HungUp)
            }
            Turn::Called => self.called(slot, &mut guest),
            Turn::InVain(line) => {
                guest.drive.waited_in_vain(line).and_then(|step| self.out_of_line(slot, &mut guest, step))
            }
        };
        match end {
            None => self.guests[slot] = Some(guest),
            Some(end) => self.end(slot, &guest, end),
        }
    }

    fn end(&mut self, slot: usize, guest: &Guest<'t>, end: End) {
        let Guest { number: request, call, begun, revision, route, .. } = *guest;
        if let Some(table) = self.tables[revision].get() {
            table.routes[route].memory.in_flight.fetch_sub(1, Relaxed);
        }
        let (attempts, legs) = (guest.drive.attempts(), guest.drive.legs());
        self.free.push(slot);
        self.alive -= 1;
        self.tell(&Seen::Ended { request, call, end, attempts, legs, begun });
    }

    /// Does what a request has to do next, until that takes time.
    fn follow(&mut self, slot: usize, guest: &mut Guest<'t>, step: Step) -> Option<End> {
        let (now, number) = (self.live.now(), guest.number);
        let turn = |turn| Event::Turn { slot, number, turn };
        match step {
            Step::Part(parted) => return Some(End::Parted(parted)),
            Step::Ends(fault) => return Some(End::Broken(fault)),
            Step::Silent => {}
            Step::Wait(wait) => self.plan(now + wait, turn(Turn::Choose)),
            Step::InLine { line, patience } => {
                guest.lined_up = now;
                self.plan(now + patience, turn(Turn::InVain(line)));
                self.listen(slot, guest);
            }
            Step::StillInLine => self.listen(slot, guest),
            Step::Ask { id, hedge } => {
                if let Some(own) = guest.drive.find(id) {
                    let (passage, role, channel) = (own.passage(), own.role, own.permit.channel());
                    let credential = own.permit.credential().map(|credential| &*credential.alias);
                    self.witness
                        .saw(now, &Seen::Asked { request: number, channel, credential, passage, role });
                }
                if let Some(delay) = hedge {
                    self.plan(now + delay, turn(Turn::Hedge(id)));
                }
                if self.rehearsal.dawdle.is_zero() {
                    self.send(slot, guest, id);
                } else {
                    let dawdled = self.rehearsal.dawdle.mul_f64(self.fates.unit());
                    self.plan(now + dawdled, turn(Turn::Send(id)));
                }
            }
        }
        None
    }

    fn listen(&mut self, slot: usize, guest: &mut Guest<'t>) {
        let bell = guest.drive.bell();
        guest.listening = bell.and_then(|bell| self.calls.listen(bell, slot, guest.number));
    }

    fn called(&mut self, slot: usize, guest: &mut Guest<'t>) -> Option<End> {
        if guest.listening.as_mut().is_some_and(|listening| !listening.has_rung()) {
            return None;
        }
        guest.listening = None;
        match guest.drive.called()? {
            Step::StillInLine => {
                self.listen(slot, guest);
                None
            }
            step => self.out_of_line(slot, guest, step),
        }
    }

    fn out_of_line(&mut self, slot: usize, guest: &mut Guest<'t>, step: Step) -> Option<End> {
        guest.listening = None;
        let waited = self.live.now().since(guest.lined_up);
        self.tell(&Seen::Queued { request: guest.number, waited });
        self.follow(slot, guest, step)
    }

    /// Sends an attempt, and plans how it will turn out.
    fn send(&mut self, slot: usize, guest: &mut Guest<'t>, id: u32) {
        let rehearsal = self.rehearsal;
        let said = &rehearsal.workload.mix[guest.call];
        let need = guest.drive.need();
        let Some(own) = guest.drive.find(id) else { return };
        let (channel, now) = (Arc::clone(own.permit.channel()), self.live.now());
        let credential = own.permit.credential().map(|credential| &*credential.alias);
        let place = self.places[guest.revision][channel.upstream_index];
        let asking = Asking {
            model: &own.permit.model().name,
            credential,
            prompt: said.prompt_tokens + guest.told,
            tokens: said.answer_tokens.saturating_sub(guest.told),
            walls: Walls { theirs: self.hand.true_wall(), ours: self.live.clock.unix_now() },
        };
        let mut answer = self.weather.answer(place, &asking, now, &mut self.fates);
        if said.caller == Caller::Mistaken && matches!(answer, Answer::Speaks { .. }) {
            answer = Answer::mistake();
        }
        let late = now.since(own.asked);
        let limits = Limits {
            headers: own.limits.headers.saturating_sub(late),
            first_event: own.limits.first_event.saturating_sub(late),
            withheld: own.limits.withheld,
        };
        let (timeouts, left) = (&channel.config.timeouts, need.deadline.since(now));
        let (connect, idle) = (timeouts.connect.min(left), timeouts.idle);
        let (after, turn) = fate::outcome(id, &answer, Patience { limits, connect, idle, left }, need);
        let works = answer.takes_work().then_some(place);
        if works.is_some() {
            self.weather.begins_work(place);
        }
        if let Some(own) = guest.drive.find_mut(id) {
            own.sent = Some(Sent { at: now, answer, works });
        }
        self.plan(now + after, Event::Turn { slot, number: guest.number, turn });
    }

    fn fail(&mut self, slot: usize, guest: &mut Guest<'t>, id: u32, failure: Failure) -> Option<End> {
        let passage = guest.drive.find(id)?.passage();
        if guest.drive.hold(id, failure) {
            return None;
        }
        if failure.fault.class() == Class::StreamFault
            && let Some(own) = guest.drive.find_mut(id)
        {
            // It was held back; for its channel it broke off as any other does.
            let now = self.live.now();
            own.permit.first_content(own.flowed_since(now));
            let events = came(own, now);
            own.permit.came(events);
        }
        self.leave(guest, id, Left::Failed(failure.fault, failure.stage));
        if guest.drive.is_last(id) {
            self.leave_others(guest, id);
        }
        let judged = guest.drive.failed(id, failure)?;
        let Failure { fault, stage, .. } = judged.failure;
        self.tell(&Seen::Judged { request: guest.number, fault, stage, passage, verdict: judged.verdict });
        self.follow(slot, guest, judged.step)
    }

    /// All other attempts of the request are given up with this one.
    fn leave_others(&mut self, guest: &mut Guest<'t>, id: u32) {
        let others: Vec<u32> =
            guest.drive.unsettled().map(|own| own.id).filter(|other| *other != id).collect();
        for other in others {
            self.leave(guest, other, Left::Cancelled);
        }
    }

    fn commit(&mut self, slot: usize, guest: &mut Guest<'t>, id: u32) -> Option<End> {
        let (now, number) = (self.live.now(), guest.number);
        guest.drive.find(id)?;
        self.leave_others(guest, id);
        let goes_on = guest.drive.is_broken();
        guest.drive.answered(id);
        let need = guest.drive.need();
        let own = guest.drive.find(id)?;
        let (channel, role, after) = (own.permit.channel(), own.role, now.since(guest.begun));
        let seen = if goes_on {
            Seen::GoesOn { request: number, channel }
        } else {
            Seen::Committed { request: number, channel, after, role }
        };
        self.witness.saw(now, &seen);
        let Some(Sent { at, answer: Answer::Speaks { ttft, pace, lasts, ending }, .. }) = own.sent else {
            return None;
        };
        if need.shape == Shape::Whole && need.dialect != Dialect::Http {
            self.leave(guest, id, Left::Finished);
            guest.drive.finished();
            return Some(End::Answered);
        }
        let timeouts = &own.permit.channel().config.timeouts;
        let mut stall = None;
        let (after, turn) = match ending {
            Ending::Whole => (lasts, Turn::End(id)),
            Ending::Breaks { after, fault } => (after, Turn::Break(id, fault)),
            Ending::Stalls { after } => {
                stall = Some(at + ttft + after + timeouts.idle / STALLED);
                (after + timeouts.idle, Turn::Break(id, Fault::StreamStalled))
            }
        };
        // The stream went on while this process did not.
        let promised = at + ttft + after;
        let (at, turn) = if promised > need.deadline {
            (need.deadline, Turn::Break(id, Fault::DeadlineExceeded))
        } else {
            (promised.max(now), turn)
        };
        let mut beat = None;
        if own.permit.is_trial() {
            beat = Some(now + beat_after(own, pace)).filter(|beat| *beat < at);
        }
        if let Some(beat) = beat {
            self.plan(beat, Event::Turn { slot, number, turn: Turn::Beat(id) });
        }
        if let Some(stall) = stall.filter(|stall| *stall < at) {
            self.plan(stall.max(now), Event::Turn { slot, number, turn: Turn::Stall(id) });
        }
        self.plan(at, Event::Turn { slot, number, turn });
        None
    }

    /// A trial's stream goes on; it is told so again until it has held.
    fn beat(&mut self, slot: usize, guest: &mut Guest<'t>, id: u32) {
        let (now, number) = (self.live.now(), guest.number);
        let Some(own) = guest.drive.find(id) else { return };
        let Some(Sent { at, answer: Answer::Speaks { ttft, pace, ending, .. }, .. }) = own.sent else {
            return;
        };
        // Where nothing comes any more, nobody is told anything.
        if let Ending::Stalls { after } = ending
            && now > at + ttft + after
        {
            return;
        }
        let next = now + beat_after(own, pace).max(LEAST_BEAT);
        let events = came(own, now);
        if guest.drive.keeps_going(id, events) {
            self.plan(next, Event::Turn { slot, number, turn: Turn::Beat(id) });
        }
    }

    fn broke(&mut self, slot: usize, guest: &mut Guest<'t>, id: u32, fault: Fault) -> Option<End> {
        let now = self.live.now();
        if let Some(own) = guest.drive.find_mut(id) {
            let events = came(own, now);
            own.permit.came(events);
        }
        let bill = self.leave(guest, id, Left::Failed(fault, Stage::Committed));
        guest.told += bill.answer;
        let step = guest.drive.broke(fault)?;
        self.follow(slot, guest, step)
    }

    /// The attempt is over: the upstream stops working at it, and has its bill.
    fn leave(&mut self, guest: &mut Guest<'t>, id: u32, how: Left) -> Bill {
        let now = self.live.now();
        let rehearsal = self.rehearsal;
        let said = &rehearsal.workload.mix[guest.call];
        let (request, call, told) = (guest.number, guest.call, guest.told);
        let Some(own) = guest.drive.unsettled().find(|own| own.id == id) else { return Bill::default() };
        let all = said.answer_tokens.saturating_sub(told);
        let bill = match own.sent.take() {
            Some(Sent { at, answer, works: Some(place) }) => {
                self.weather.ends_work(place);
                let answer = match (how, answer) {
                    (Left::Finished, _) => all,
                    (_, Answer::Speaks { ttft, pace, .. }) => spoken(now.since(at + ttft), pace).min(all),
                    (Left::Failed(..) | Left::Cancelled, _) => 0,
                };
                Bill { prompt: said.prompt_tokens + told, answer }
            }
            Some(Sent { works: None, .. }) | None => Bill::default(),
        };
        if how == Left::Finished {
            own.permit.used(&Usage { input: bill.prompt, output: bill.answer, ..Usage::default() });
        }
        let (channel, role) = (own.permit.channel(), own.role);
        self.witness.saw(now, &Seen::Left { request, call, channel, how, role, bill });
        bill
    }
}

/// How long a trial's stream goes on before it is told so: a few events, or what its hold takes.
fn beat_after(own: &Try, pace: Duration) -> Duration {
    let hold = own.permit.channel().config.breaker.half_open.hold;
    (pace * BEAT_EVENTS).min(hold + pace)
}

/// How many content events of an attempt have come by `now`, the first one included.
fn came(own: &Try, now: Tick) -> u64 {
    let Some(Sent { at, answer: Answer::Speaks { ttft, pace, ending, .. }, .. }) = own.sent else { return 0 };
    let flowed = now.since(at + ttft);
    let flowed = match ending {
        Ending::Whole => flowed,
        Ending::Breaks { after, .. } | Ending::Stalls { after } => flowed.min(after),
    };
    spoken(flowed, pace).saturating_add(1)
}

fn spoken(lasted: Duration, pace: Duration) -> u64 {
    u64::try_from(lasted.as_nanos() / pace.as_nanos().max(1)).unwrap_or(u64::MAX)
}
