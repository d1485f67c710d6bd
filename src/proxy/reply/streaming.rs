//! A stream of events on its way to the caller: watched, metered, and ended as its dialect demands.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::Sleep;

use super::attended::Lasting;
use super::patience::{Overdue, Patience};
use super::run::Run;
use super::{Audience, Broken, FLUSH};
use crate::algo::tick::Tick;
use crate::dialect::Dialect;
use crate::dialect::classify::InBand;
use crate::dialect::trouble::{self, Kind, Trouble};
use crate::dialect::watch::{Beat, Ending};
use crate::proxy::onward::{Ended, Joined, Onward, Party};
use crate::proxy::peek::Peeked;
use crate::proxy::recall::Keepsake;
use crate::proxy::unattended::{LONGEST, is_read_on};
use crate::proxy::{Gateway, drive, thoughts};
use crate::state::permit::{Permit, Repeat};
use crate::state::table::Channel;
use crate::telemetry::StreamOutcome;
use crate::upstream::Incoming;
use crate::vocab::{Class, Fault, RateHint, Stage, Usage};

/// A stream of events, watched on its way.
pub struct Streaming {
    peeked: Peeked,
    stage: Flow,
    open: Option<(Permit, Party)>,
    gateway: Arc<Gateway>,
    channel: Arc<Channel>,
    patience: Patience,
    dialect: Dialect,
    /// What is needed to remember the answer, until it is remembered.
    keepsake: Option<Keepsake>,
    /// When the last byte came, and the last content.
    last: Tick,
    last_content: Tick,
    /// When the caller last heard something, our own signs of life included.
    last_said: Tick,
    keep_alive: Option<&'static [u8]>,
    deadline: Tick,
    audience: Audience,
}

/// To whom the answer is said.
pub struct Said {
    pub dialect: Dialect,
    /// For an answer that the caller may refer to later.
    pub keepsake: Option<Keepsake>,
    pub audience: Audience,
}

enum Flow {
    Open(Incoming),
    /// It broke off, and another channel is asked to go on.
    Onward(Box<Pending>),
    /// All is said; what is ready goes out, and then the clean end.
    Ended,
    /// The error event is among what is ready; then comes the abnormal end.
    Failing(Fault),
    /// Gives the connection time to flush the error event before it is torn down.
    Flushing(Fault, Pin<Box<Sleep>>),
    Over,
}

/// What becomes of a stream that broke off.
struct Pending {
    joining: Pin<Box<dyn Future<Output = Result<Joined, Ended>> + Send>>,
    broken: Break,
}

/// How a stream broke off.
struct Break {
    fault: Fault,
    /// What the upstream said of it.
    in_band: Option<InBand>,
    /// Its own words, where they could go to the caller as they are.
    raw: VecDeque<Bytes>,
}

/// A caller who hears nothing for this long is told that the stream goes on: proxies and load balancers
/// on his way close connections that are silent for a minute, some for half of one. How long the upstream
/// may be silent is another matter (`timeouts.idle`), and ends this too.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a terminated stream may still take to end by itself, for the sake of its connection.
const LINGER: Duration = Duration::from_secs(1);

impl Streaming {
    pub fn new(
        peeked: Peeked,
        upstream: Incoming,
        permit: Permit,
        party: Party,
        Said { dialect, keepsake, audience }: Said,
        deadline: Tick,
    ) -> Self {
        let gateway = Arc::clone(party.settle().gateway());
        let now = gateway.live.now();
        let patience = Patience::new(&gateway, now);
        let channel = Arc::clone(permit.channel());
        let stage = if peeked.ended { Flow::Ended } else { Flow::Open(upstream) };
        let open = Some((permit, party));
        let keep_alive = match audience {
            Audience::Caller => trouble::keep_alive(dialect),
            Audience::Nobody => None,
        };
        let mut streaming = Self {
            peeked,
            stage,
            open,
            gateway,
            channel,
            patience,
            dialect,
            keepsake,
            last: now,
            last_content: now,
            last_said: now,
            keep_alive,
            deadline,
            audience,
        };
        streaming.remember();
        streaming.learn();
        streaming.begin();
        streaming
    }

    /// What nobody waits for has ended, well or not: a request whose caller hung up, and whose usage is known if it was
    /// told all of it.
    fn ends_unheard(&mut self) {
        self.book_usage();
        self.stage = Flow::Over;
        if let Some((_, mut party)) = self.open.take() {
            party.settle_mut().stream_ends(StreamOutcome::Cancelled);
        }
    }

    /// What was held back may already tell how it ends.
    fn begin(&mut self) {
        if let Some((permit, _)) = &mut self.open {
            permit.came(self.peeked.watch.content_events());
        }
        if self.peeked.ended {
            self.finish(StreamOutcome::Complete);
        } else if let Some(in_band) = self.peeked.error.take() {
            let at = self.peeked.error_at.min(self.peeked.ready.len());
            let raw = self.peeked.ready.split_off(at);
            self.upstream_failed(*in_band, raw);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        loop {
            if let Some(bytes) = self.peeked.next() {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            match &mut self.stage {
                Flow::Open(upstream) => match Pin::new(upstream).poll_frame(cx) {
                    Poll::Ready(Some(Ok(frame))) => {
                        if let Ok(chunk) = frame.into_data() {
                            self.take(chunk);
                        }
                    }
                    Poll::Ready(Some(Err(error))) => self.upstream_broke(error.fault),
                    Poll::Ready(None) => self.upstream_ended(),
                    Poll::Pending => ready!(self.wait(cx)),
                },
                Flow::Onward(pending) => match pending.joining.as_mut().poll(cx) {
                    Poll::Ready(joined) => self.went_on(joined),
                    Poll::Pending => ready!(self.wait_for_another(cx)),
                },
                Flow::Ended => {
                    self.stage = Flow::Over;
                    return Poll::Ready(None);
                }
                Flow::Failing(fault) => {
                    self.stage = Flow::Flushing(*fault, Box::pin(tokio::time::sleep(FLUSH)));
                }
                Flow::Flushing(fault, timer) => {
                    ready!(timer.as_mut().poll(cx));
                    let fault = *fault;
                    self.stage = Flow::Over;
                    return Poll::Ready(Some(Err(Broken(fault))));
                }
                Flow::Over => return Poll::Ready(None),
            }
        }
    }

    /// Takes in a chunk: whole events go on as the slices of it that they are, side by side where they
    /// lie side by side; the begin of an event waits for its end, so that an error event can never
    /// land in the middle of another.
    fn take(&mut self, chunk: Bytes) {
        if self.open.is_none() {
            return;
        }
        let now = self.gateway.live.now();
        self.last = now;
        self.last_said = now;
        self.peeked.held += chunk.len() as u64;
        let before = self.peeked.watch.content_events();
        let stop = if self.peeked.is_translated() { self.translate(chunk) } else { self.forward(chunk) };
        self.remember();
        self.learn();
        let after = self.peeked.watch.content_events();
        if after > before {
            self.last_content = now;
        }
        if let Some((permit, _)) = &mut self.open {
            permit.came(after);
        }
        match stop {
            Some(Stop::Failed(in_band, raw)) => self.upstream_failed(in_band, raw.into_iter().collect()),
            Some(Stop::Unframeable) => self.breaks(Break::of(Fault::Protocol)),
            None => {
                if let Some((permit, _)) = &mut self.open {
                    permit.keeps_going();
                }
            }
        }
    }

    /// Remembers the answer once it is whole, and before its end leaves: the caller may refer to it at once.
    fn remember(&mut self) {
        if let Some(whole) = self.peeked.take_whole()
            && let Some(keepsake) = self.keepsake.take()
        {
            keepsake.remember(&self.gateway, whole.as_bytes());
        }
    }

    /// Remembers whose model encrypted what came, before the caller can send it back.
    fn learn(&mut self) {
        let encrypted = self.peeked.watch.take_encrypted();
        if let (false, Some((permit, party))) = (encrypted.is_empty(), &self.open) {
            thoughts::learn(&self.gateway, party.settle().caller.scope(), permit, &encrypted);
        }
    }

    /// Passes a chunk's events on as they are.
    fn forward(&mut self, chunk: Bytes) -> Option<Stop> {
        let mut run = Run::new(chunk.clone());
        self.peeked.splitter.push(chunk);
        let stop = loop {
            let frame = match self.peeked.splitter.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => break None,
                Err(_) => break Some(Stop::Unframeable),
            };
            match self.peeked.watch.frame(&frame) {
                Beat::UsageOnly if self.peeked.strip_usage => {
                    self.peeked.follow(&frame);
                    continue;
                }
                Beat::Error(in_band) => break Some(Stop::Failed(in_band, Some(frame.raw))),
                Beat::Broken => self.peeked.broken_events += 1,
                Beat::Lifecycle | Beat::Content | Beat::UsageOnly | Beat::Finish | Beat::Terminal => {}
            }
            self.peeked.follow(&frame);
            run.add(frame.raw, &mut self.peeked.ready);
        };
        run.end(&mut self.peeked.ready);
        stop
    }

    /// Passes a chunk's events on as the caller's dialect says them.
    fn translate(&mut self, chunk: Bytes) -> Option<Stop> {
        self.peeked.splitter.push(chunk);
        loop {
            let frame = match self.peeked.splitter.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(_) => return Some(Stop::Unframeable),
            };
            match self.peeked.watch.frame(&frame) {
                Beat::Error(in_band) => return Some(Stop::Failed(in_band, None)),
                Beat::Terminal => {
                    self.peeked.pass(&frame);
                    self.peeked.say_end();
                }
                Beat::Broken | Beat::Lifecycle | Beat::Content | Beat::UsageOnly | Beat::Finish => {
                    self.peeked.pass(&frame);
                }
            }
        }
    }

    /// The upstream said inside its stream that it failed; `raw` is how, for a caller of its dialect.
    fn upstream_failed(&mut self, in_band: InBand, raw: VecDeque<Bytes>) {
        self.breaks(Break { fault: Fault::StreamError, in_band: Some(in_band), raw });
    }

    /// The stream cannot go on as it is: another channel goes on, or the caller is told.
    fn breaks(&mut self, broken: Break) {
        if self.audience == Audience::Nobody {
            return self.ends_unheard();
        }
        if broken.in_band.is_none()
            && self.peeked.told().is_some()
            && let Ending::Complete { missing_terminator } = self.peeked.watch.end()
        {
            // Nothing but the end was still to come.
            self.peeked.complete(missing_terminator);
            self.finish(StreamOutcome::Unterminated);
        } else if broken.may_be_gone_on_with() && self.peeked.told().is_some() {
            self.go_on(broken);
        } else {
            self.fail_as(broken);
        }
    }

    /// Asks another channel to go on.
    fn go_on(&mut self, broken: Break) {
        if !matches!(self.open, Some((_, Party::Onward(_)))) {
            return self.fail_as(broken);
        }
        self.book_usage();
        let (Some((permit, Party::Onward(onward))), Some(stream)) =
            (self.open.take(), self.peeked.hand_over())
        else {
            return;
        };
        permit.fail(booked(broken.fault), Stage::Committed, &RateHint::default(), Repeat::First);
        let joining = Box::pin(onward.go_on(stream, Arc::clone(&self.channel)));
        self.stage = Flow::Onward(Box::new(Pending { joining, broken }));
    }

    /// Nothing of the next channel comes for now.
    fn wait_for_another(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let nudge = self.keep_alive.map_or(Tick::MAX, |_| self.last_said + KEEP_ALIVE);
        // Its own deadlines are kept by whoever asks. So is the request's, but for what is still read of an error.
        match ready!(self.patience.poll(&self.gateway, Tick::MAX, self.deadline, nudge, cx)) {
            Overdue::Nudge => {
                self.last_said = self.gateway.live.now();
                self.peeked.ready.extend(self.keep_alive.map(Bytes::from_static));
            }
            Overdue::CutOff => self.cut_off(Fault::Cancelled),
            Overdue::TooLate => self.cut_off(Fault::DeadlineExceeded),
            Overdue::Silent => {}
        }
        Poll::Ready(())
    }

    /// Another channel goes on, or none does.
    fn went_on(&mut self, joined: Result<Joined, Ended>) {
        let Flow::Onward(pending) = std::mem::replace(&mut self.stage, Flow::Over) else { return };
        match joined {
            Ok(Joined { onward, permit, peeked, upstream, method }) => {
                self.mark(&onward, method);
                let before = std::mem::take(&mut self.peeked.ready);
                self.peeked = *peeked;
                for bytes in before.into_iter().rev() {
                    self.peeked.ready.push_front(bytes);
                    self.peeked.error_at += 1;
                }
                self.channel = Arc::clone(permit.channel());
                self.open = Some((permit, Party::Onward(onward)));
                self.stage = if self.peeked.ended { Flow::Ended } else { Flow::Open(upstream) };
                let now = self.gateway.live.now();
                (self.last, self.last_content, self.last_said) = (now, now, now);
                self.begin();
            }
            Err(Ended { onward, stream }) => {
                self.peeked.take_back(stream);
                let mut party = Party::Onward(onward);
                self.say_failure(pending.broken, &mut party);
            }
        }
    }

    /// Says, where the caller's dialect has comments, that somebody else goes on.
    fn mark(&mut self, onward: &Onward, method: crate::dialect::continuation::Method) {
        if matches!(self.dialect, Dialect::OpenAi | Dialect::Responses | Dialect::Anthropic | Dialect::Cohere)
        {
            let mark = format!(": mainstay-continued leg={} method={}\n\n", onward.legs(), method.name());
            self.peeked.ready.push_back(mark.into());
        }
    }

    /// Ends a stream that broke off in the middle.
    fn fail_as(&mut self, broken: Break) {
        if self.audience == Audience::Nobody {
            return self.ends_unheard();
        }
        self.book_usage();
        let Some((permit, mut party)) = self.open.take() else { return };
        permit.fail(booked(broken.fault), Stage::Committed, &RateHint::default(), Repeat::First);
        self.say_failure(broken, &mut party);
    }

    /// In the upstream's own words if the caller can read them, in ours otherwise.
    fn say_failure(&mut self, broken: Break, party: &mut Party) {
        let Break { fault, in_band, raw } = broken;
        self.stage = Flow::Failing(fault);
        if raw.is_empty() {
            let trouble = match in_band {
                Some(in_band) => self.trouble_of(in_band),
                None => trouble_of(fault, &self.channel.label),
            };
            let sequence = self.peeked.next_sequence();
            let begun = self.peeked.begun();
            self.peeked.ready.push_back(trouble::in_band(&trouble, self.dialect, sequence, begun.as_ref()));
        } else {
            self.peeked.ready.extend(raw);
        }
        party.settle_mut().stream_ends(outcome_of(fault));
    }

    /// What the upstream said, for a caller of another dialect.
    fn trouble_of(&self, in_band: InBand) -> Trouble {
        let (kind, what) = drive::kind_of(in_band.fault);
        let mut trouble = Trouble::new(kind, format!("{}: {what} ({})", self.channel.label, in_band.message));
        trouble.code = in_band.code.or_else(|| Some(in_band.fault.name().into()));
        trouble
    }

    /// Nothing comes for now; ready when that has lasted for too long.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.open.is_none() {
            return Poll::Ready(());
        }
        let timeouts = &self.channel.config.timeouts;
        let terminated = self.peeked.watch.is_terminated();
        let silent = if terminated {
            self.last + LINGER
        } else {
            let empty = timeouts.content_idle.map_or(Tick::MAX, |limit| self.last_content + limit);
            empty.min(self.last + timeouts.idle)
        };
        let keep_alive = if terminated { None } else { self.keep_alive };
        let nudge = keep_alive.map_or(Tick::MAX, |_| self.last_said + KEEP_ALIVE);
        match ready!(self.patience.poll(&self.gateway, silent, self.deadline, nudge, cx)) {
            Overdue::Silent | Overdue::TooLate if terminated => self.finish(StreamOutcome::Complete),
            Overdue::Silent => self.breaks(Break::of(Fault::StreamStalled)),
            Overdue::TooLate => self.fail_as(Break::of(Fault::DeadlineExceeded)),
            Overdue::CutOff => self.fail_as(Break::of(Fault::Cancelled)),
            Overdue::Nudge => {
                self.last_said = self.gateway.live.now();
                self.peeked.ready.extend(keep_alive.map(Bytes::from_static));
            }
        }
        Poll::Ready(())
    }

    fn upstream_ended(&mut self) {
        if let Some(rest) = self.peeked.splitter.leftover() {
            if let Beat::Error(in_band) = self.peeked.watch.frame(&rest) {
                let raw = if self.peeked.is_translated() { None } else { Some(rest.raw) };
                self.upstream_failed(in_band, raw.into_iter().collect());
                return;
            }
            if let Ending::Truncated = self.peeked.watch.end() {
                // Half an event; the error event takes its place.
                self.breaks(Break::of(Fault::StreamCut));
                return;
            }
            self.peeked.pass(&rest);
        }
        match self.peeked.watch.end() {
            Ending::Complete { missing_terminator } => {
                self.peeked.complete(missing_terminator);
                self.finish(if missing_terminator.is_none() {
                    StreamOutcome::Complete
                } else {
                    StreamOutcome::Unterminated
                });
            }
            Ending::Truncated => self.breaks(Break::of(Fault::StreamCut)),
        }
    }

    fn upstream_broke(&mut self, fault: Fault) {
        if self.peeked.watch.is_terminated() {
            self.finish(StreamOutcome::Complete);
        } else {
            self.breaks(Break::of(if fault == Fault::Truncated { Fault::StreamCut } else { fault }));
        }
    }

    fn finish(&mut self, outcome: StreamOutcome) {
        if self.audience == Audience::Nobody {
            // Where a dialect has no word for the end, its coming says that nothing more will be told.
            let is_whole = matches!(outcome, StreamOutcome::Complete | StreamOutcome::Unterminated);
            if let Some((permit, _)) = self.open.as_mut().filter(|_| is_whole) {
                permit.has_told_all();
            }
            return self.ends_unheard();
        }
        self.stage = Flow::Ended;
        self.remember();
        self.book_usage();
        if let Some((permit, mut party)) = self.open.take() {
            permit.finish();
            party.settle_mut().stream_ends(outcome);
        }
    }

    /// Everything ends while somebody is asked to go on: the leg is dropped, and the request with it.
    fn cut_off(&mut self, fault: Fault) {
        let sequence = self.peeked.next_sequence();
        let trouble = trouble_of(fault, &self.channel.label);
        let begun = self.peeked.begun();
        self.peeked.ready.push_back(trouble::in_band(&trouble, self.dialect, sequence, begun.as_ref()));
        self.stage = Flow::Failing(fault);
    }

    /// The tokens of it, as far as it has come.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.peeked.watch.usage()
    }

    fn book_usage(&mut self) {
        if self.peeked.broken_events > 0 {
            self.channel
                .upstream
                .handles
                .broken_events
                .increment(std::mem::take(&mut self.peeked.broken_events));
        }
        let Some((permit, party)) = &mut self.open else { return };
        if self.peeked.watch.is_terminated() {
            permit.has_told_all();
        } else {
            let passed = &mut party.settle_mut().passed;
            *passed = passed.saturating_add(self.peeked.watch.content_events());
        }
        if let Some(usage) = self.peeked.watch.usage() {
            permit.used(&usage);
            party.used(usage);
        }
    }
}

impl Lasting for Streaming {
    fn is_worth_its_end(&self) -> Option<&Arc<Gateway>> {
        let heard = self.open.as_ref().is_some_and(|(_, party)| !party.settle().is_unheard());
        let flows = matches!(self.stage, Flow::Open(_)) && !self.peeked.watch.is_terminated();
        (is_read_on(&self.channel) && heard && flows).then_some(&self.gateway)
    }

    fn hung_up(&mut self) {
        self.deadline = self.deadline.min(self.gateway.live.now() + LONGEST);
        self.keep_alive = None;
        self.audience = Audience::Nobody;
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        self.poll(cx)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        // The caller hung up: what was consumed is booked all the same.
        self.book_usage();
        if let Some((_, party)) = &mut self.open {
            party.settle_mut().stream_ends(StreamOutcome::Cancelled);
        }
    }
}

/// Why no more of a stream can be passed on.
enum Stop {
    /// The upstream said so, in these bytes if the caller can read them.
    Failed(InBand, Option<Bytes>),
    Unframeable,
}

impl Break {
    fn of(fault: Fault) -> Self {
        Self { fault, in_band: None, raw: VecDeque::new() }
    }

    /// The upstream's failure, and not the request's: that would go with it.
    fn may_be_gone_on_with(&self) -> bool {
        let about_request =
            self.in_band.as_ref().is_some_and(|said| said.fault.class() == Class::ClientFault);
        !about_request && !matches!(self.fault, Fault::DeadlineExceeded | Fault::Cancelled)
    }
}

fn outcome_of(fault: Fault) -> StreamOutcome {
    match fault {
        Fault::StreamError => StreamOutcome::Error,
        Fault::StreamStalled => StreamOutcome::Stalled,
        _ => StreamOutcome::Cut,
    }
}

/// What a stream's end is booked as: bytes that cannot be framed are a cut as any other.
fn booked(fault: Fault) -> Fault {
    if fault == Fault::Protocol { Fault::StreamCut } else { fault }
}

fn trouble_of(fault: Fault, channel: &str) -> Trouble {
    let (kind, what) = match fault {
        Fault::StreamStalled => (Kind::Timeout, "went silent in the middle of its answer"),
        Fault::DeadlineExceeded => (Kind::Timeout, "had not ended when the request's deadline passed"),
        Fault::Cancelled => (Kind::Unavailable, "was cut off because the gateway shuts down"),
        _ => (Kind::BadGateway, "broke off in the middle of its answer"),
    };
    let mut trouble =
        Trouble::new(kind, format!("the stream of {channel} {what}; what was sent is incomplete"));
    trouble.code = Some(fault.name().into());
    trouble
}
