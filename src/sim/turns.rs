//! What happens to one request, event by event.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::drive::Step;
use super::fate;
use super::queue::{Event, Turn};
use super::seen::{End, Left, Seen};
use super::weather::{Answer, Asking, Ending};
use super::world::{Guest, World};
use crate::dialect::Dialect;
use crate::route::{Failure, Limits};
use crate::state::model::Shape;
use crate::vocab::{Fault, Stage};

/// Content events of a stream after which a trial is told that it goes on.
const FIRST_EVENTS: u32 = 6;

impl<'t> World<'_, 't> {
    pub(super) fn turn(&mut self, slot: usize, number: u64, turn: Turn) {
        // Taken out for as long as it is worked at; a request that is over has left its place.
        let Some(mut guest) = self.guests[slot].take_if(|guest| guest.number == number) else { return };
        let end = match turn {
            Turn::Choose => {
                let step = guest.drive.next();
                self.follow(slot, &mut guest, step)
            }
            Turn::Fail(failure) => self.fail(slot, &mut guest, failure),
            Turn::Commit => self.commit(slot, &mut guest),
            Turn::Beat => {
                guest.drive.keeps_going(FIRST_EVENTS.into());
                None
            }
            Turn::End => {
                self.leave(&mut guest, Left::Finished);
                guest.drive.finished();
                Some(End::Answered)
            }
            Turn::Break(fault) => {
                self.leave(&mut guest, Left::Failed(fault, Stage::Committed));
                guest.drive.broke(fault);
                Some(End::Broken(fault))
            }
            Turn::HangUp => {
                if guest.drive.permit().is_some() {
                    self.leave(&mut guest, Left::Cancelled);
                    guest.drive.hung_up();
                }
                Some(End::HungUp)
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
        let attempts = guest.drive.attempts();
        self.free.push(slot);
        self.alive -= 1;
        self.tell(&Seen::Ended { request, call, end, attempts, begun });
    }

    /// Does what a request has to do next, until that takes time.
    fn follow(&mut self, slot: usize, guest: &mut Guest<'t>, step: Step) -> Option<End> {
        match step {
            Step::Part(parted) => Some(End::Parted(parted)),
            Step::Wait(wait) => {
                let event = Event::Turn { slot, number: guest.number, turn: Turn::Choose };
                self.plan(self.live.now() + wait, event);
                None
            }
            Step::Ask(limits) => {
                self.ask(slot, guest, limits);
                None
            }
        }
    }

    /// Sends an attempt, and plans how it will turn out.
    fn ask(&mut self, slot: usize, guest: &mut Guest<'t>, limits: Limits) {
        let rehearsal = self.rehearsal;
        let said = &rehearsal.workload.mix[guest.call];
        let Some(permit) = guest.drive.permit() else { return };
        let (channel, now) = (Arc::clone(permit.channel()), self.live.now());
        let credential = permit.credential().map(|credential| &*credential.alias);
        let place = self.places[guest.revision][channel.upstream_index];
        let asking = Asking { model: &permit.model().name, credential, tokens: said.answer_tokens };
        let answer = self.weather.answer(place, &asking, now, &mut self.fates);
        let passage = guest.drive.passage();
        self.witness.saw(now, &Seen::Asked { request: guest.number, channel: &channel, credential, passage });
        if answer.takes_work() {
            self.weather.begins_work(place);
            guest.works = Some(place);
        }
        guest.answer = Some(answer);
        let connect = channel.config.timeouts.connect.min(guest.drive.need().deadline.since(now));
        let (after, turn) = fate::outcome(&answer, limits, connect, guest.drive.need());
        self.plan(now + after, Event::Turn { slot, number: guest.number, turn });
    }

    fn fail(&mut self, slot: usize, guest: &mut Guest<'t>, failure: Failure) -> Option<End> {
        let passage = guest.drive.passage();
        self.leave(guest, Left::Failed(failure.fault, failure.stage));
        let (failure, verdict, step) = guest.drive.failed(failure)?;
        let Failure { fault, stage, .. } = failure;
        self.tell(&Seen::Judged { request: guest.number, fault, stage, passage, verdict });
        self.follow(slot, guest, step)
    }

    fn commit(&mut self, slot: usize, guest: &mut Guest<'t>) -> Option<End> {
        let now = self.live.now();
        guest.drive.answered();
        if let Some(permit) = guest.drive.permit() {
            let (request, after) = (guest.number, now.since(guest.begun));
            self.witness.saw(now, &Seen::Committed { request, channel: permit.channel(), after });
        }
        let Some(Answer::Speaks { ttft, pace, lasts, ending }) = guest.answer else { return None };
        let need = guest.drive.need();
        if need.shape == Shape::Whole && need.dialect != Dialect::Http {
            self.leave(guest, Left::Finished);
            guest.drive.finished();
            return Some(End::Answered);
        }
        let permit = guest.drive.permit()?;
        let timeouts = &permit.channel().config.timeouts;
        let (after, turn) = match ending {
            Ending::Whole => (lasts, Turn::End),
            Ending::Breaks { after, fault } => (after, Turn::Break(fault)),
            Ending::Stalls { after } => (after + timeouts.idle, Turn::Break(Fault::StreamStalled)),
        };
        // The stream went on while this process did not.
        let promised = guest.drive.asked() + ttft + after;
        let (at, turn) = if promised > need.deadline {
            (need.deadline, Turn::Break(Fault::DeadlineExceeded))
        } else {
            (promised.max(now), turn)
        };
        let number = guest.number;
        if permit.is_trial() {
            let hold = permit.channel().config.breaker.half_open.hold;
            let beat = now + (pace * (FIRST_EVENTS - 1)).min(hold + pace);
            if beat < at {
                self.plan(beat, Event::Turn { slot, number, turn: Turn::Beat });
            }
        }
        self.plan(at, Event::Turn { slot, number, turn });
        None
    }

    /// The attempt is over: the upstream stops working at it, and has its bill.
    fn leave(&mut self, guest: &mut Guest<'t>, how: Left) {
        let works = guest.works.take();
        if let Some(place) = works {
            self.weather.ends_work(place);
        }
        let rehearsal = self.rehearsal;
        let said = &rehearsal.workload.mix[guest.call];
        let prompt = works.map_or(0, |_| said.prompt_tokens);
        let now = self.live.now();
        let answer = match (how, guest.answer.take(), works) {
            (Left::Finished, ..) => said.answer_tokens,
            (_, Some(Answer::Speaks { ttft, pace, .. }), Some(_)) => {
                let spoken = now.since(guest.drive.asked() + ttft).as_nanos() / pace.as_nanos().max(1);
                u64::try_from(spoken).unwrap_or(u64::MAX).min(said.answer_tokens)
            }
            (Left::Failed(..) | Left::Cancelled, ..) => 0,
        };
        let Some(permit) = guest.drive.permit() else { return };
        let (request, call, channel) = (guest.number, guest.call, permit.channel());
        self.witness.saw(now, &Seen::Left { request, call, channel, how, prompt, answer });
    }
}
