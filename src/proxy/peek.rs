//! Holds a stream back until its first content, so that an error that comes inside a 200 can still
//! be answered by another channel (RESILIENCE §5.5); for longer where [`Hold`] says so.
//!
//! Lifecycle events and role-only deltas do not commit, unless there are too many of them; pings, comments and events
//! that are not complete never do. What was held goes to the caller afterwards byte for byte.

mod ear;

use std::collections::VecDeque;

use bytes::Bytes;

pub use ear::{Times, idle};

use ear::{Came, Ear};

use super::attempt::{Failed, Spoken, failed};
use crate::algo::tick::Tick;
use crate::config::Limits;
use crate::dialect::Begun;
use crate::dialect::billed::Wish;
use crate::dialect::classify::InBand;
use crate::dialect::continuation::{Standing, Told};
use crate::dialect::framing::{Frame, Framing, Splitter};
use crate::dialect::translate::{self, Untold};
use crate::dialect::watch::{Beat, Ending, Watch};
use crate::route::{Failure, Withheld};
use crate::state::holding::Holding;
use crate::state::{Live, Permit};
use crate::upstream::Incoming;
use crate::vocab::{Fault, Stage, Usage};

/// A stream in the middle: what was read and not sent, and who understands what follows.
pub struct Peeked {
    pub splitter: Splitter,
    pub watch: Watch,
    /// Ready for the caller, in order.
    pub ready: VecDeque<Bytes>,
    /// Drop the chunk with usage that only we asked for.
    pub strip_usage: bool,
    /// The upstream has said all.
    pub ended: bool,
    /// When the first content came, which may be long before anything of it goes on.
    pub first_content: Option<Tick>,
    /// An in-band error came right behind the content that committed; in the same dialect `ready` ends
    /// with it.
    pub error: Option<Box<InBand>>,
    pub broken_events: u64,
    /// Index in `ready` where the in-band error begins.
    pub error_at: usize,
    /// For a caller of another dialect.
    translation: Option<Box<translate::Stream>>,
    /// Follows what passes as it is, so that somebody else can go on with it.
    follower: Option<Box<translate::Stream>>,
    /// The caller's terminator is among what is ready.
    end_said: bool,
    /// Bytes that were read and not sent, about; exact whenever nothing is ready.
    pub held: u64,
    holding: Holding,
}

/// Most bytes of pings and comments before the first content: some minutes of them, at the rate at which anybody
/// means them. Whoever sends more is not about to answer.
const MOST_SIGNS_OF_LIFE: u64 = 64 * 1024;

/// How a stream is listened to.
pub struct Listener<'l> {
    pub spoken: &'l Spoken,
    pub framing: Framing,
    pub strip_usage: bool,
    pub translation: Option<Box<translate::Stream>>,
    pub follower: Option<Box<translate::Stream>>,
    pub holding: Holding,
    pub live: &'l Live,
    /// Hears of the first content.
    pub permit: &'l Permit,
    pub times: Times,
    pub wish: Wish,
}

impl<'l> Listener<'l> {
    fn listen(self, upstream: Incoming) -> Ear<'l> {
        let Self { spoken, framing, strip_usage, translation, follower, holding, live, permit, times, wish } =
            self;
        let peeked = Peeked {
            splitter: Splitter::new(framing),
            watch: Watch::new(spoken.dialect, spoken.operation, framing).wishing(wish),
            ready: VecDeque::new(),
            strip_usage,
            ended: false,
            first_content: None,
            error: None,
            error_at: 0,
            broken_events: 0,
            translation,
            follower,
            end_said: false,
            held: 0,
            holding,
        };
        Ear::new(peeked, upstream, live, permit, times)
    }
}

/// What has come that may be held back only for so long.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Complete events that say something.
    events: u32,
    /// Bytes of those events.
    bytes: u64,
    /// Bytes of frames that say only that somebody is there.
    signs: u64,
}

impl Seen {
    fn count(&mut self, frame: &Frame) {
        let bytes = frame.raw.len() as u64;
        if frame.is_sign_of_life() {
            self.signs += bytes;
        } else {
            self.events += 1;
            self.bytes += bytes;
        }
    }
}

/// How much of a stream is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// What comes before its first content.
    Begin,
    /// Until it is past where streams of its channel break, while no more than `most` bytes have come.
    Past { withheld: Withheld, most: u64 },
    /// All of it, while no more than so many bytes have come.
    Whole(u64),
}

impl Hold {
    /// Whether what has come so far is still to be held back, its first content being among it.
    fn lasts(self, ear: &Ear<'_>) -> bool {
        match self {
            Self::Begin => false,
            Self::Past { withheld, most } => {
                let watch = &ear.peeked.watch;
                ear.bytes < most
                    && !watch.is_terminated()
                    && watch.content_events() < withheld.events
                    && ear.flowed().is_some_and(|flowed| flowed < withheld.flows)
            }
            Self::Whole(most) => ear.bytes < most,
        }
    }
}

/// What a look at the frames at hand says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Nothing,
    Commits,
}

/// Listens to a stream until something of it may go to the caller: its first content, or what `hold` waits for.
pub async fn peek(
    listener: Listener<'_>,
    upstream: Incoming,
    limits: &Limits,
    mut hold: Hold,
) -> Result<(Peeked, Incoming), Box<Failed>> {
    let mut ear = listener.listen(upstream);
    let charged = |ear: &Ear<'_>, failed: Box<Failed>| {
        let events = ear.peeked.watch.content_events();
        // Who says himself that it failed charges for what came before, and for nothing else.
        let is_charged = ear.has_content() || failed.message.is_none();
        let (usage, flowed) = (ear.peeked.watch.usage().filter(|_| is_charged), ear.peeked.first_content);
        Box::new(Failed { usage, events, flowed, ..*failed })
    };
    loop {
        match ear.next().await {
            Err(failed) => return Err(charged(&ear, failed)),
            Ok(Came::Chunk) if ear.peeked.is_stopped() => return Ok((ear.peeked, ear.upstream)),
            Ok(Came::Chunk) => {}
            Ok(Came::End) => return Ok((ear.peeked, ear.upstream)),
            Ok(Came::Lingers) => {
                ear.peeked.ended = true;
                return Ok((ear.peeked, ear.upstream));
            }
        }
        if !ear.has_content() && ear.seen.signs > MOST_SIGNS_OF_LIFE {
            return Err(failed(Fault::Protocol, "comments and pings without end, and no content"));
        }
        if ear.peeked.holding.try_hold(ear.peeked.held).is_err() {
            // To wait for more is a comfort, to wait for the first content is none.
            hold = Hold::Begin;
            ear.peeked.book();
        }
        // Of what was held back for longer nothing went on either.
        if hold != Hold::Begin
            && let Some(in_band) = ear.peeked.error.take()
        {
            return Err(charged(&ear, fault_of(*in_band)));
        }
        if hold.lasts(&ear) {
            continue;
        }
        let Seen { bytes, events, .. } = ear.seen;
        if ear.has_content() || bytes >= limits.peek_bytes || events >= limits.peek_events {
            return Ok((ear.peeked, ear.upstream));
        }
    }
}

/// Listens to an upstream that was asked to go on, until what it says is known to, or `most` bytes of it have come. The
/// stream, which is the listener's translation, is given back where it does not.
pub async fn join(
    listener: Listener<'_>,
    upstream: Incoming,
    most: u64,
) -> Result<(Peeked, Incoming), Unjoined> {
    let mut ear = listener.listen(upstream);
    let why = loop {
        let came = match ear.next().await {
            Ok(came) => came,
            Err(failed) => break NotJoined::Failed(failed),
        };
        ear.peeked.book();
        let is_over = came != Came::Chunk || ear.peeked.watch.is_terminated() || ear.peeked.is_stopped();
        match ear.peeked.standing() {
            Standing::Joined => return Ok((ear.peeked, ear.upstream)),
            Standing::Lost => break NotJoined::Mismatch,
            Standing::Seeking if is_over || ear.bytes > most => break NotJoined::Mismatch,
            Standing::Seeking => {}
        }
        if let Some(in_band) = ear.peeked.error.take() {
            break NotJoined::Failed(fault_of(*in_band));
        }
    };
    let used = ear.peeked.watch.usage();
    // Nothing takes it away from a listener that was given one.
    let stream = ear.peeked.translation.take().expect("the stream is still here");
    Err(Unjoined { why, stream, used })
}

/// A stream with which an upstream did not go on.
pub struct Unjoined {
    pub why: NotJoined,
    pub stream: Box<translate::Stream>,
    /// By the upstream, as far as it has said so.
    pub used: Option<Usage>,
}

/// Why an upstream that was asked to go on does not.
pub enum NotJoined {
    Failed(Box<Failed>),
    /// It answers, but something else.
    Mismatch,
}

impl Peeked {
    fn take(&mut self, chunk: Bytes, seen: &mut Seen) -> Result<Look, Box<Failed>> {
        let mut look = Look::Nothing;
        self.held += chunk.len() as u64;
        self.splitter.push(chunk);
        loop {
            let frame = match self.splitter.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(look),
                Err(_) if self.is_stopped() => return Ok(look),
                Err(error) => return Err(failed(Fault::Protocol, &error.to_string())),
            };
            seen.count(&frame);
            if self.look(&frame)? == Look::Commits {
                look = Look::Commits;
            }
            // Whatever comes behind an error is no part of the answer, be it the end of one.
            if self.error.is_some() {
                return Ok(look);
            }
        }
    }

    fn look(&mut self, frame: &Frame) -> Result<Look, Box<Failed>> {
        match self.watch.frame(frame) {
            // The caller has had his end without it.
            Beat::Error(_) if self.is_stopped() => {}
            Beat::Error(in_band) if self.error.is_none() && self.watch.content_events() == 0 => {
                return Err(fault_of(in_band));
            }
            Beat::Error(in_band) => {
                if self.error.is_none() {
                    self.error_at = self.ready.len();
                }
                if !self.is_translated() {
                    self.ready.push_back(frame.raw.clone());
                }
                self.error = Some(Box::new(in_band));
                return Ok(Look::Commits);
            }
            Beat::UsageOnly if self.strip_usage => self.follow(frame),
            beat => {
                let commits = matches!(beat, Beat::Content | Beat::Finish | Beat::Terminal);
                self.pass(frame, &beat).map_err(|why| untold(&why))?;
                if commits {
                    return Ok(Look::Commits);
                }
            }
        }
        Ok(Look::Nothing)
    }

    /// The next bytes for the caller.
    pub fn next(&mut self) -> Option<Bytes> {
        let bytes = self.ready.pop_front();
        self.held = if self.ready.is_empty() {
            self.splitter.held() as u64
        } else {
            self.held.saturating_sub(bytes.as_ref().map_or(0, Bytes::len) as u64)
        };
        self.book();
        bytes
    }

    /// Counts what is held: what was read and not sent, and what is kept for somebody to go on with.
    fn book(&mut self) {
        let told = self.told().map_or(0, |told| told.text().len());
        self.holding.hold(self.held + told as u64);
    }

    pub fn is_translated(&self) -> bool {
        self.translation.is_some()
    }

    /// Makes a frame ready for the caller: as it is, or as his dialect says it.
    pub fn pass(&mut self, frame: &Frame, beat: &Beat) -> Result<(), Untold> {
        if self.is_stopped() {
            // He has had his end.
            return Ok(());
        }
        match &mut self.translation {
            // Nobody can read it, so that it is no use to the caller either (RESILIENCE §5.5, E5).
            None if *beat == Beat::Broken => self.broken_events += 1,
            None => {
                self.ready.push_back(frame.raw.clone());
                self.follow(frame);
            }
            Some(translation) => match translation.frame(frame) {
                Ok(said) if said.is_empty() => {}
                Ok(said) => self.ready.push_back(said),
                // The rest without it would look like the whole.
                Err(Untold::Unreadable(_)) if !self.is_a_piece(frame, beat) => self.broken_events += 1,
                Err(untold) => return Err(untold),
            },
        }
        if *beat == Beat::Terminal || self.is_stopped() { self.say_end() } else { Ok(()) }
    }

    /// Whether the answer has ended at a stop sequence that the upstream was not told of: it may have more to say.
    pub fn is_stopped(&self) -> bool {
        self.translation.as_deref().is_some_and(translate::Stream::is_stopped)
    }

    /// Whether an event that cannot be read is, or may be, a piece of the answer.
    fn is_a_piece(&self, frame: &Frame, beat: &Beat) -> bool {
        match beat {
            Beat::Content | Beat::Finish | Beat::Terminal => true,
            Beat::Lifecycle | Beat::UsageOnly | Beat::Error(_) => false,
            // Not what was never meant to be one, nor what comes when all is said.
            Beat::Broken => {
                frame.data().is_some_and(|data| data.trim_ascii().starts_with(b"{"))
                    && self.watch.end() == Ending::Truncated
            }
        }
    }

    /// Remembers a frame that goes to the caller as it is.
    pub fn follow(&mut self, frame: &Frame) {
        if let Some(follower) = &mut self.follower
            && follower.frame(frame).is_err()
        {
            // What cannot be read cannot be gone on with.
            self.follower = None;
        }
    }

    /// What the caller was told, where that is remembered.
    pub fn told(&self) -> Option<&Told> {
        self.translation.as_deref().or(self.follower.as_deref()).and_then(translate::Stream::told)
    }

    fn standing(&self) -> Standing {
        self.translation.as_deref().map_or(Standing::Joined, translate::Stream::standing)
    }

    /// The caller's stream, for somebody else to go on with.
    pub fn hand_over(&mut self) -> Option<Box<translate::Stream>> {
        self.translation.take().or_else(|| self.follower.take())
    }

    /// Nobody goes on with it.
    pub fn take_back(&mut self, stream: Box<translate::Stream>) {
        self.translation = Some(stream);
    }

    /// Says the caller's own end, once; in the same dialect the upstream has said it.
    fn say_end(&mut self) -> Result<(), Untold> {
        if let Some(translation) = &mut self.translation
            && !std::mem::replace(&mut self.end_said, true)
        {
            self.ready.push_back(translation.end()?);
        }
        Ok(())
    }

    /// Whether nothing is left to say of an upstream's answer that has ended.
    pub fn has_said_all(&self) -> bool {
        self.ready.is_empty() && (self.end_said || !self.is_translated())
    }

    /// The whole answer, once, where it has ended and is to be remembered.
    pub fn take_whole(&mut self) -> Option<String> {
        self.translation.as_mut()?.take_whole()
    }

    /// The number of the caller's next event, where its dialect counts them.
    pub fn next_sequence(&self) -> u64 {
        match &self.translation {
            Some(translation) => translation.next_sequence(),
            None => self.watch.next_sequence(),
        }
    }

    /// A response as the caller was told that it begins.
    pub fn begun(&self) -> Option<Begun> {
        let said = self.translation.as_deref().and_then(translate::Stream::begun);
        said.or_else(|| self.watch.begun().cloned())
    }

    /// The upstream ended cleanly and nothing has committed.
    fn close(&mut self) -> Result<(), Box<Failed>> {
        if let Some(rest) = self.splitter.leftover()
            && let Err(failed) = self.look(&rest)
        {
            // Half an event cannot be read either, but that is a cut.
            let is_cut = failed.failure.fault == Fault::Protocol && self.watch.end() == Ending::Truncated;
            return Err(if is_cut { cut_before_content() } else { failed });
        }
        // Nothing of it has gone on yet.
        if let Some(in_band) = self.error.take() {
            return Err(fault_of(*in_band));
        }
        match self.watch.end() {
            Ending::Complete { missing_terminator } => {
                self.complete(missing_terminator).map_err(|why| untold(&why))?;
                self.ended = true;
                Ok(())
            }
            Ending::Truncated => Err(cut_before_content()),
        }
    }
}

fn cut_before_content() -> Box<Failed> {
    failed(Fault::Truncated, "the stream ended before any content")
}

impl Peeked {
    /// The stream is whole; the caller gets what his dialect ends with.
    pub fn complete(&mut self, missing_terminator: Option<&'static [u8]>) -> Result<(), Untold> {
        if self.is_translated() {
            return self.say_end();
        }
        if let Some(terminator) = missing_terminator {
            let is_open = self.ready.back().is_some_and(|last| !ends_event(last));
            if matches!(self.splitter, Splitter::Sse(_)) && is_open {
                self.ready.push_back(Bytes::from_static(b"\n\n"));
            }
            self.ready.push_back(Bytes::from_static(terminator));
        }
        Ok(())
    }
}

/// Whether what came last of a stream ends with the empty line that ends an event, or is the rest of one.
fn ends_event(last: &[u8]) -> bool {
    let text = last.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
    let ends = &last[text..];
    // A carriage return and the line feed behind it are one end of a line.
    let is_end = |at: &usize| ends[*at] == b'\n' || ends.get(at + 1) != Some(&b'\n');
    let lines = (0..ends.len()).filter(is_end).count();
    lines >= 2 || text == 0
}

/// An attempt whose answer cannot be told, of which nothing was.
pub fn untold(why: &Untold) -> Box<Failed> {
    match why {
        Untold::Unreadable(_) => failed(Fault::Protocol, &why.to_string()),
        Untold::Failed(message) => fault_of(InBand::unnamed(message)),
    }
}

fn fault_of(in_band: InBand) -> Box<Failed> {
    let failure = Failure { fault: in_band.fault, stage: Stage::Headers, hint: in_band.hint() };
    Box::new(Failed {
        message: Some(in_band.message),
        detail: Some("an error inside a 200".to_owned()),
        ..Failed::new(failure)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_ends_with_an_empty_line_of_any_kind() {
        for whole in
            ["data: x\n\n", "data: x\r\n\r\n", "data: x\r\r", "data: x\n\r\n", "data: x\r\n\r", "\n", "\r\n"]
        {
            assert!(ends_event(whole.as_bytes()), "{whole:?}");
        }
        for open in ["data: x", "data: x\n", "data: x\r\n", "data: x\r"] {
            assert!(!ends_event(open.as_bytes()), "{open:?}");
        }
    }
}
