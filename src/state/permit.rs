//! What one attempt holds while it runs: passage through two breakers, a key, a place in the
//! in-flight counts. Settled exactly once; a dropped permit settles as cancelled.
//!
//! A stream has two moments of truth (D6): its first content is recorded at once, so that windows do
//! not wait for the end of ten-minute answers; what goes wrong later is a second signal when it
//! happens. A breaker's trial is the exception: it counts as good only after it has held for a while.

mod keys;
mod trial;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::blame::Blame;
use super::books::{self, Attempt, Books, Metering, Prompt, Verdict};
use super::credential::{Credential, Held};
use super::gate::{Completed, Gate};
use super::live::Live;
use super::model::{Model, Shape};
use super::network::Guilt;
use super::room::Room;
use super::silence::Silence;
use super::table::Channel;
use crate::algo::breaker::{self, Settled, Signal};
use crate::algo::quota::{Booking, Quota, Tokens};
use crate::algo::tick::Tick;
use crate::vocab::{Class, Fault, Part, Payer, RateHint, Stage, Usage};

use trial::SoFar;

pub use keys::ready_at;

pub use super::blame::Repeat;

/// Why no permit was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    Breaker {
        until: Option<Tick>,
    },
    Credentials {
        until: Option<Tick>,
    },
    /// Every key that is ready is as busy as it may be.
    Room,
}

/// What a request wants of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Wants {
    pub shape: Shape,
    /// The conversation that it belongs to, where the route cares.
    pub session: Option<u64>,
    /// The only keys that will do; every one where they are gone.
    pub key: Option<Whose>,
    /// Whose credential goes along.
    pub payer: Payer,
    /// About how many it will cost.
    pub tokens: Tokens,
}

/// Which keys know what a request refers to, by their identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Key(u64),
    /// Every key of this account.
    Account(u64),
}

impl Whose {
    pub fn has(self, key: &Credential) -> bool {
        match self {
            Self::Key(identity) => key.identity == identity,
            Self::Account(account) => key.account == account,
        }
    }
}

#[derive(Debug)]
pub struct Permit {
    channel: Arc<Channel>,
    model: Arc<Model>,
    credential: Option<Arc<Credential>>,
    payer: Payer,
    held: Option<Held>,
    passage: Passage,
    shape: Shape,
    begun: Tick,
    phase: Phase,
    /// Content events of its stream so far.
    events: u64,
    /// What it took from its key's quota.
    booked: Option<(Arc<Mutex<Quota>>, Booking)>,
    /// Set when another attempt of the same request has answered it.
    beaten: Option<Arc<AtomicBool>>,
    /// Who waits for its first content.
    bell: Option<Arc<Notify>>,
    /// Its connection was kept from earlier and may have been dead.
    doubtful: bool,
    /// Where it has a place, of its key at its model.
    room: Option<Arc<Room>>,
    /// Others wait for the model and hear nothing.
    in_silence: bool,
    /// Who hears of its end, and what of. In a box, for permits are moved about.
    entry: Option<Box<Entry>>,
}

#[derive(Debug)]
struct Entry {
    books: Arc<dyn Books>,
    place: u32,
    part: Part,
    first_content: Option<Tick>,
    account: books::Account,
    prompt: Option<Arc<dyn Prompt>>,
}

/// How the attempt got past the breakers.
#[derive(Clone, Copy, Debug)]
enum Passage {
    /// Through the transport's gate, and the model's where there is one.
    Admitted { transport: breaker::Permit, model: Option<breaker::Permit> },
    /// Past closed gates, because nothing was eligible (panic). The breakers hear nothing of it;
    /// the route's throttle does.
    Forced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No content yet.
    Waiting,
    /// Content flows, and the breakers have been told.
    Streaming,
    /// Content flows, but this is a trial that has not held for long enough.
    OnTrial {
        since: Tick,
    },
    Settled,
}

impl Permit {
    /// Enters `channel` for a request that asks for `model`.
    pub fn admit(channel: &Arc<Channel>, model: Arc<Model>, wants: Wants) -> Result<Self, Refusal> {
        let upstream = &channel.upstream;
        let (now, mut dice) = (upstream.live.now(), upstream.live.dice());
        let refused = |model: Option<&Model>, refused: breaker::Refused| {
            upstream.note(model, refused.transition, now);
            Refusal::Breaker { until: refused.until }
        };

        let gate = &upstream.memory.gate;
        let (transport, transition) = gate.admit(now, &mut dice).map_err(|error| refused(None, error))?;
        upstream.note(None, transition, now);
        let over_model = match model.gate.as_ref().map(|gate| gate.admit(now, &mut dice)) {
            None => None,
            Some(Ok((permit, transition))) => {
                upstream.note(Some(&model), transition, now);
                Some(permit)
            }
            Some(Err(error)) => {
                let _ = gate.settle(transport, Signal::Neutral, now, now, &mut dice);
                return Err(refused(Some(&model), error));
            }
        };
        // From here on the permit gives back what it has, whatever happens.
        let passage = Passage::Admitted { transport, model: over_model };
        let mut permit = Self::enter(channel, model, wants.shape, passage, now);
        permit.take_credential(wants, now, &mut dice)?;
        Ok(permit)
    }

    /// Enters past closed gates: nothing is eligible, and the route's throttle let this one through.
    pub fn force(channel: &Arc<Channel>, model: Arc<Model>, wants: Wants) -> Result<Self, Refusal> {
        let live = &channel.upstream.live;
        let (now, mut dice) = (live.now(), live.dice());
        let mut permit = Self::enter(channel, model, wants.shape, Passage::Forced, now);
        permit.take_credential(wants, now, &mut dice)?;
        Ok(permit)
    }

    fn enter(channel: &Arc<Channel>, model: Arc<Model>, shape: Shape, passage: Passage, begun: Tick) -> Self {
        let in_silence = model.is_silent(shape, begun);
        model.waiting.fetch_add(1, Relaxed);
        model.silence[shape as usize].wait(begun);
        channel.upstream.memory.in_flight.fetch_add(1, Relaxed);
        let channel = Arc::clone(channel);
        Self {
            channel,
            model,
            credential: None,
            payer: Payer::Gateway,
            held: None,
            passage,
            shape,
            begun,
            phase: Phase::Waiting,
            events: 0,
            booked: None,
            beaten: None,
            bell: None,
            doubtful: false,
            room: None,
            in_silence,
            entry: None,
        }
    }

    /// Whether it goes to find out why others hear nothing; what they wait on may be the connections.
    pub const fn is_in_silence(&self) -> bool {
        self.in_silence
    }

    pub fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_deref()
    }

    pub fn begun(&self) -> Tick {
        self.begun
    }

    /// Whether this attempt finds out for a breaker if its upstream is back.
    pub fn is_trial(&self) -> bool {
        match self.passage {
            Passage::Admitted { transport, model } => {
                transport.kind.is_trial() || model.is_some_and(|permit| permit.kind.is_trial())
            }
            Passage::Forced => false,
        }
    }

    /// Whether this attempt was made although nothing was eligible.
    pub fn is_forced(&self) -> bool {
        matches!(self.passage, Passage::Forced)
    }

    /// `books` hear how it ends.
    pub fn book_in(&mut self, books: Arc<dyn Books>, part: Part, metering: Metering) {
        let account = books::Account { metering, ..books::Account::default() };
        let place = books.begins();
        self.entry = Some(Box::new(Entry { books, place, part, first_content: None, account, prompt: None }));
    }

    /// Whom to ask for the tokens of its prompt, should nobody have said them at its end.
    pub fn ask_for_prompt(&mut self, prompt: Arc<dyn Prompt>) {
        if let Some(entry) = &mut self.entry {
            entry.prompt = Some(prompt);
        }
    }

    /// Another attempt may run for the same request: should it answer first, it sets `beaten`, and that this
    /// one had to wait is no evidence against its channel (RESILIENCE §4.11).
    pub fn race(&mut self, beaten: &Arc<AtomicBool>) {
        self.beaten = Some(Arc::clone(beaten));
    }

    /// Not a byte came over the kept connection that this attempt was given. Should the model have answered an
    /// attempt that began later, it was the connection that failed, and nobody is blamed for it.
    pub fn doubt_connection(&mut self) {
        self.doubtful = true;
    }

    /// Content rings this, should all of it be held back: from then on the channel is not silent any more.
    pub fn announce(&mut self, bell: &Arc<Notify>) {
        self.bell = Some(Arc::clone(bell));
    }

    /// The first content is here; whether it will do is not known yet.
    pub fn content_flows(&self) {
        if let Some(bell) = &self.bell {
            bell.notify_one();
        }
    }

    /// The first content (or a whole answer) came at `at`: the attempt has succeeded so far.
    pub fn first_content(&mut self, at: Tick) {
        if self.phase != Phase::Waiting {
            return;
        }
        let live = Arc::clone(self.live());
        let (now, mut dice) = (live.now(), live.dice());
        let ttft = at.since(self.begun);
        if let Some(entry) = &mut self.entry {
            entry.first_content = Some(at);
        }
        self.model.answered(self.begun);
        self.model.observe(self.shape, now, ttft);
        self.channel.handles.ttft.record(ttft.as_secs_f64());
        self.channel.upstream.succeeded(self.begun, now);
        self.model.waiting.fetch_sub(1, Relaxed);
        self.model.streaming.fetch_add(1, Relaxed);
        self.silence().hear(now);
        self.silence().leave();
        if let Some(held) = self.held.take() {
            held.ok(now, &mut dice);
        }
        if self.room.as_ref().is_some_and(|room| room.succeeded(self.shape, ttft, now)) {
            self.channel.upstream.memory.awaited.ring();
        }
        if self.is_trial() && self.shape == Shape::Stream {
            self.phase = Phase::OnTrial { since: at };
        } else {
            self.phase = Phase::Streaming;
            self.tell_success(ttft, now);
        }
    }

    /// This is what it has used, as far as it has come: its key's quota pays that and no estimate.
    pub fn used(&mut self, usage: &Usage) {
        self.charged(usage);
        self.correct(usage);
    }

    fn charged(&mut self, usage: &Usage) {
        self.channel.handles.used(usage);
        if let Some(entry) = &mut self.entry {
            entry.account.told = Some(*usage);
        }
    }

    /// Nobody says what it has used, but it answered in about so many tokens.
    pub fn answered_in(&mut self, tokens: u64) {
        if let Some(entry) = &mut self.entry {
            entry.account.events = tokens;
        }
    }

    /// The same of an attempt that failed while its answer was held back, of which so many content events had come.
    pub fn used_in_vain(&mut self, usage: Option<&Usage>, events: u64) {
        self.answered_in(events);
        if let Some(usage) = usage {
            self.charged(usage);
        }
    }

    /// What it has used is all that it will: its stream has said its last.
    pub fn has_told_all(&mut self) {
        if let Some(entry) = &mut self.entry {
            entry.account.is_whole = true;
        }
    }

    /// A stream has sent `events` content events, and may break in the same breath.
    pub fn came(&mut self, events: u64) {
        self.events = events;
    }

    /// The stream goes on after what came. A trial that has held settles here.
    pub fn keeps_going(&mut self) {
        let Phase::OnTrial { since } = self.phase else { return };
        let now = self.live().now();
        let so_far = SoFar { events: self.events, ttft: since.since(self.begun), flowed: now.since(since) };
        let broke_after = self.streams_gate().broke_after();
        if trial::has_held(so_far, &self.channel.config.breaker.half_open, broke_after) {
            self.pass_trial(since, now);
        }
    }

    /// Whether it is a trial that streams and has not held yet.
    pub fn is_on_trial(&self) -> bool {
        match self.phase {
            Phase::OnTrial { .. } => true,
            Phase::Waiting | Phase::Streaming | Phase::Settled => false,
        }
    }

    /// The gate that hears of broken streams.
    fn streams_gate(&self) -> &Gate {
        self.model.gate.as_ref().unwrap_or(&self.channel.upstream.memory.gate)
    }

    /// The answer ended well.
    pub fn finish(mut self) {
        match self.phase {
            Phase::Waiting => self.first_content(self.live().now()),
            Phase::Streaming | Phase::OnTrial { .. } | Phase::Settled => {}
        }
        if let Phase::OnTrial { since } = self.phase {
            let now = self.live().now();
            self.pass_trial(since, now);
        }
        self.channel.handles.succeeded();
        let completed = if self.flows() { Completed::Stream } else { Completed::Whole };
        self.channel.upstream.memory.gate.completed(completed, self.begun);
        if let Some(gate) = &self.model.gate {
            gate.completed(completed, self.begun);
        }
        if self.is_forced() {
            self.disprove();
        }
        self.book(Verdict::Ok, Stage::Committed);
        self.leave();
    }

    /// An attempt past closed gates went well: a live proof that is worth at least an active probe's.
    fn disprove(&self) {
        let now = self.live().now();
        let upstream = &self.channel.upstream;
        upstream.note(None, upstream.memory.gate.probe_rose(now), now);
        if let Some(gate) = &self.model.gate {
            upstream.note(Some(&self.model), gate.probe_rose(now), now);
        }
    }

    /// The attempt failed; before content this is its verdict, after content the second signal.
    pub fn fail(mut self, fault: Fault, stage: Stage, hint: &RateHint, repeat: Repeat) {
        let live = Arc::clone(self.live());
        let now = live.now();
        self.channel.handles.failed(&live.metrics, fault, stage);
        self.learn(hint);
        match stage {
            Stage::NotSent | Stage::Sending | Stage::Waiting => {}
            Stage::Headers | Stage::Committed => self.silence().hear(now),
        }
        if stage == Stage::NotSent {
            self.refund(now);
        }
        if let (Class::Overload | Class::Throttled, Some(room)) = (fault.class(), &self.room) {
            room.overloaded(now);
        }
        let excused = self.doubtful && self.model.has_answered_since(self.begun);
        let blame = match self.channel.upstream.guilt(fault, now) {
            Guilt::Usual if excused => Blame::NOBODY,
            Guilt::Usual if self.credential.is_none() => Blame::of_keyless(fault, hint, repeat),
            Guilt::Usual => Blame::of(fault, hint, repeat),
            Guilt::Network => Blame::NOBODY,
        };
        let counts =
            matches!(blame.merged(), Signal::Failure | Signal::Overload { .. } | Signal::StreamFailure);
        if counts {
            self.model.penalise(self.shape, now);
        }
        if blame.merged() == Signal::StreamFailure && self.flows() && !self.is_forced() {
            self.streams_gate().broke(self.events);
        }
        match self.phase {
            Phase::Waiting => {
                self.tell_credential(fault, hint, now);
                self.tell(blame, now);
            }
            // The trial's one verdict.
            Phase::OnTrial { .. } => {
                self.tell(Blame { transport: blame.transport, model: as_failure(blame.model) }, now);
            }
            // The run of broken streams ends with complete ones, so nothing else may add to it.
            Phase::Streaming if !self.flows() => {
                self.tell_later(Blame { transport: blame.transport, model: as_failure(blame.model) }, now);
            }
            Phase::Streaming => self.tell_later(blame, now),
            Phase::Settled => {}
        }
        if let (true, Some(fate)) = (counts, &self.channel.upstream.fate) {
            fate.failed(fault, &live.metrics, now);
        }
        self.book(Verdict::Failed(fault), stage);
        self.leave();
    }

    /// The attempt failed at something that says nothing about the channel: it is counted, and nobody
    /// is told (WIRE §0.7).
    pub fn fail_quietly(mut self, fault: Fault, stage: Stage) {
        let live = Arc::clone(self.live());
        let (now, mut dice) = (live.now(), live.dice());
        self.channel.handles.failed(&live.metrics, fault, stage);
        if let Some(held) = self.held.take() {
            held.neutral(now, &mut dice);
        }
        self.tell(Blame::NOBODY, now);
        self.book(Verdict::Failed(fault), stage);
        self.leave();
    }

    /// Nothing was asked of the channel, and it is not yet clear that anything will be: all is given back, and
    /// nothing counted.
    pub fn withdraw(mut self) {
        let live = Arc::clone(self.live());
        let (now, mut dice) = (live.now(), live.dice());
        if let Some(held) = self.held.take() {
            held.neutral(now, &mut dice);
        }
        self.refund(now);
        self.tell(Blame::NOBODY, now);
        self.leave();
    }

    /// Nobody's verdict: the caller hung up, our own limits ended it, or another attempt was faster.
    fn cancel(&mut self) {
        let live = Arc::clone(self.live());
        let (now, mut dice) = (live.now(), live.dice());
        let mut stage = Stage::Committed;
        match self.phase {
            Phase::Waiting => {
                stage = Stage::Waiting;
                self.channel.handles.failed(&live.metrics, Fault::Cancelled, Stage::Waiting);
                let waited = now.since(self.begun);
                self.model.at_least(self.shape, now, waited);
                if let Some(held) = self.held.take() {
                    held.neutral(now, &mut dice);
                }
                let beaten = self.beaten.as_ref().is_some_and(|beaten| beaten.load(Relaxed));
                if beaten {
                    self.channel.handles.unpriced(&live.metrics);
                }
                let slow = !beaten && self.is_slow(waited);
                let model = if slow { Signal::Slow } else { Signal::Neutral };
                self.tell(Blame { transport: Signal::Neutral, model }, now);
            }
            Phase::OnTrial { .. } => {
                self.channel.handles.failed(&live.metrics, Fault::Cancelled, Stage::Committed);
                self.tell(Blame::NOBODY, now);
            }
            Phase::Streaming => {
                self.channel.handles.failed(&live.metrics, Fault::Cancelled, Stage::Committed);
            }
            Phase::Settled => return,
        }
        self.book(Verdict::Cancelled, stage);
        self.leave();
    }

    /// Says how it ended, once.
    fn book(&mut self, verdict: Verdict, stage: Stage) {
        let Some(entry) = self.entry.take() else { return };
        let Entry { books, place, part, first_content, mut account, prompt } = *entry;
        account.events = account.events.max(self.events);
        if let Some(prompt) = prompt {
            account.ask(&*prompt, verdict, stage);
        }
        books.ended(&Attempt {
            place,
            part,
            channel: &self.channel,
            model: &self.model.name,
            credential: self.credential.as_ref(),
            payer: self.payer,
            begun: self.begun,
            ended: self.live().now(),
            first_content,
            verdict,
            stage,
            used: account.used(verdict, stage),
        });
    }

    fn pass_trial(&mut self, since: Tick, now: Tick) {
        self.phase = Phase::Streaming;
        self.tell_success(since.since(self.begun), now);
    }

    /// A success that was slow is both; of a trial, whose one verdict it is, only the worse counts.
    fn tell_success(&self, ttft: Duration, now: Tick) {
        let slow = self.is_slow(ttft);
        let model = if slow && self.is_trial() { Signal::Slow } else { Signal::Success };
        self.tell(Blame { transport: Signal::Success, model }, now);
        if slow && !self.is_trial() {
            self.tell_later(Blame { transport: Signal::Neutral, model: Signal::Slow }, now);
        }
    }

    /// Whether its answer goes out in pieces as it comes. Plain HTTP's always do.
    fn flows(&self) -> bool {
        self.shape == Shape::Stream || self.model.gate.is_none()
    }

    fn is_slow(&self, ttft: Duration) -> bool {
        self.channel.config.breaker.slow_call.as_ref().is_some_and(|slow| ttft >= slow.ttfb)
    }

    fn tell(&self, blame: Blame, now: Tick) {
        let Passage::Admitted { transport, model } = self.passage else { return };
        let mut dice = self.live().dice();
        let gate = &self.channel.upstream.memory.gate;
        if let (Some(over_model), Some(permit)) = (&self.model.gate, model) {
            let settled = gate.settle(transport, blame.transport, self.begun, now, &mut dice);
            self.note(None, settled, now);
            let settled = over_model.settle(permit, blame.model, self.begun, now, &mut dice);
            self.note(Some(&self.model), settled, now);
        } else {
            let settled = gate.settle(transport, blame.merged(), self.begun, now, &mut dice);
            self.note(None, settled, now);
        }
    }

    fn tell_later(&self, blame: Blame, now: Tick) {
        let Passage::Admitted { transport, model } = self.passage else { return };
        let signal = blame.merged();
        if signal == Signal::Neutral {
            return;
        }
        let mut dice = self.live().dice();
        let (model, settled) = match (&self.model.gate, model) {
            (Some(gate), Some(permit)) => {
                (Some(&*self.model), gate.later(permit, signal, self.begun, now, &mut dice))
            }
            (None, _) | (_, None) => {
                (None, self.channel.upstream.memory.gate.later(transport, signal, self.begun, now, &mut dice))
            }
        };
        self.note(model, settled, now);
    }

    fn note(&self, model: Option<&Model>, settled: Settled, now: Tick) {
        let upstream = &self.channel.upstream;
        if settled.late {
            upstream.handles.late.increment(1);
        }
        upstream.note(model, settled.transition, now);
    }

    fn leave(&mut self) {
        if self.go() {
            self.channel.upstream.memory.awaited.ring();
        }
    }

    /// Gives back what it counts for; whether it had not done so before.
    fn go(&mut self) -> bool {
        let count = match self.phase {
            Phase::Waiting => {
                self.silence().leave();
                &self.model.waiting
            }
            Phase::Streaming | Phase::OnTrial { .. } => &self.model.streaming,
            Phase::Settled => return false,
        };
        if let Some(room) = self.room.take() {
            room.leave();
        }
        count.fetch_sub(1, Relaxed);
        self.channel.upstream.memory.in_flight.fetch_sub(1, Relaxed);
        self.phase = Phase::Settled;
        true
    }

    fn silence(&self) -> &Silence {
        &self.model.silence[self.shape as usize]
    }

    fn live(&self) -> &Arc<Live> {
        &self.channel.upstream.live
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.cancel();
    }
}

fn as_failure(signal: Signal) -> Signal {
    if signal == Signal::StreamFailure { Signal::Failure } else { signal }
}
