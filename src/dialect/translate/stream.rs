//! A streamed answer of one dialect -> another, frame by frame: what a frame means is written before the next one is
//! read.

use bytes::Bytes;

use super::Untold;
use super::halves::Halves;
use super::sound::Sound;
use crate::dialect::continuation::{Joint, Splice, Standing, Told};
use crate::dialect::framing::Frame;
use crate::dialect::hub::{Delta, Event, Family, Manner, Renamed, Stopper, Stops, custom};
use crate::dialect::tree::{self, Node, Wrong};
use crate::dialect::{Begun, Dialect, anthropic, bedrock, cohere, gemini, ollama, openai, responses};
use crate::vocab::Usage;

/// A streamed answer on its way from one dialect to another.
#[derive(Debug)]
pub struct Stream {
    from: Dialect,
    /// Whose signatures they are that it does not tell of.
    family: Family,
    halves: Halves,
    sound: Sound,
    reader: Reader,
    /// The names of tools that the upstream was told.
    renamed: Renamed,
    /// Ends it where the upstream was not told to.
    stopper: Option<Box<Stopper>>,
    restorer: custom::Restorer,
    writer: Writer,
    /// Where the stream may be continued by another upstream.
    joint: Option<Box<Joint>>,
    /// Where the caller is sent the upstream's own bytes.
    follower: Option<Box<responses::stream::Follower>>,
    /// What is said is for nobody: the caller is sent the upstream's own bytes.
    follows: bool,
    /// Goes before what is said next.
    owed: Vec<u8>,
}

#[derive(Debug)]
pub(super) enum Reader {
    OpenAi(openai::stream::Reader),
    Responses(responses::stream::Reader),
    Anthropic(anthropic::stream::Reader),
    Gemini(gemini::stream::Reader),
    Cohere(cohere::stream::Reader),
    Bedrock(bedrock::stream::Reader),
    Ollama(ollama::stream::Reader),
}

#[derive(Debug)]
enum Writer {
    OpenAi(openai::stream::Writer),
    Responses(responses::stream::Writer),
    Anthropic(anthropic::stream::Writer),
    Gemini(gemini::stream::Writer),
    Cohere(cohere::stream::Writer),
    Bedrock(bedrock::stream::Writer),
}

impl Stream {
    /// `None` when one of the two has no streams that can be translated.
    pub fn new(from: Dialect, to: Dialect, mut manner: Manner) -> Option<Self> {
        let reader = Reader::new(from)?;
        let (family, renamed) = (manner.family, std::mem::take(&mut manner.renamed));
        let stopper = manner.stops.of_stream().map(Box::new);
        let writer = Writer::new(to, manner)?;
        let (joint, follower) = (None, None);
        Some(Self {
            from,
            family,
            halves: Halves::default(),
            sound: Sound::new(to),
            reader,
            renamed,
            stopper,
            restorer: custom::Restorer::default(),
            writer,
            joint,
            follower,
            follows: false,
            owed: Vec::new(),
        })
    }

    /// The same, remembering what is said, so that another upstream can go on.
    #[must_use]
    pub fn continuable(mut self) -> Self {
        self.joint = Some(Box::default());
        self
    }

    /// Follows a stream whose bytes pass to the caller as they are. What it says is for nobody, until
    /// another upstream goes on.
    pub fn following(dialect: Dialect, manner: Manner) -> Option<Self> {
        let mut stream = Self::new(dialect, dialect, manner)?.continuable();
        stream.follower = (dialect == Dialect::Responses).then(Box::default);
        stream.follows = true;
        Some(stream)
    }

    /// What the caller was told, where that is remembered.
    pub fn told(&self) -> Option<&Told> {
        self.joint.as_ref().map(|joint| joint.told())
    }

    /// From now on an upstream of another dialect goes on, which was told these names of tools, and not of these stop
    /// sequences; `before` is what the earlier ones have used. Whether it can.
    pub fn go_on(
        &mut self,
        (from, family): (Dialect, Family),
        (renamed, stops): (Renamed, &Stops),
        splice: Splice,
        before: Usage,
    ) -> bool {
        let (Some(reader), Some(joint)) = (Reader::new(from), &mut self.joint) else { return false };
        (self.from, self.family, self.renamed) = (from, family, renamed);
        self.halves = Halves::default();
        self.sound = Sound::new(self.sound.to());
        self.stopper = stops.of_stream().map(Box::new);
        self.reader = reader;
        self.restorer = custom::Restorer::default();
        joint.begin(splice, before);
        true
    }

    /// Puts the writer of the rest into the place of a stream that was only followed. `manner` is the
    /// caller's, now that it matters. Whether enough is known.
    pub fn take_over(&mut self, manner: impl FnOnce() -> Option<Manner>) -> bool {
        if std::mem::take(&mut self.follows)
            && let Writer::Gemini(writer) = &mut self.writer
        {
            writer.forget_held();
        }
        let Some(follower) = self.follower.take() else { return true };
        let open = self.joint.as_ref().and_then(|joint| joint.told().open_text());
        let writer = manner().and_then(|manner| follower.writer(manner, open, &mut self.owed));
        let known = writer.is_some();
        if let Some(writer) = writer {
            self.writer = Writer::Responses(writer);
        }
        known
    }

    /// How far an upstream that goes on has come.
    pub fn standing(&self) -> Standing {
        self.joint.as_ref().map_or(Standing::Joined, |joint| joint.standing())
    }

    /// What a frame of the upstream is for the caller; often nothing.
    pub fn frame(&mut self, frame: &Frame) -> Result<Bytes, Untold> {
        let Some(data) = frame.data().map(<[u8]>::trim_ascii).filter(|data| !matches!(*data, [] | b"[DONE]"))
        else {
            return Ok(Bytes::new());
        };
        let mended;
        let root = match tree::whole(data) {
            Ok(root) => root,
            Err(wrong) => {
                mended = self.halves.join(data).ok_or(wrong)?;
                tree::parse(&mended)?
            }
        };
        let name = frame.event().and_then(|name| std::str::from_utf8(name).ok());
        let mut events = Vec::with_capacity(4);
        self.reader.read(name, &root, &mut events).map_err(|wrong| wrong.place(&root))?;
        self.renamed.restore_events(&mut events);
        let events = self.stopped(events);
        self.sound.check(&events)?;
        if let Some(follower) = &mut self.follower {
            follower.follow(&root);
        }
        if let (Writer::Anthropic(writer), Some(usage)) = (&mut self.writer, self.reader.known()) {
            writer.knows(usage);
        }
        Ok(self.say(events))
    }

    /// The upstream's stream is whole: what is left to say, the caller's terminator last.
    pub fn end(&mut self) -> Result<Bytes, Untold> {
        let mut events = Vec::new();
        self.reader.end(&mut events);
        self.renamed.restore_events(&mut events);
        let mut events = self.stopped(events);
        self.sound.check(&events)?;
        events.push(Event::End);
        Ok(self.say(events))
    }

    /// What is left of them before the caller's stop sequence.
    fn stopped<'e>(&mut self, events: Vec<Event<'e>>) -> Vec<Event<'e>> {
        match &mut self.stopper {
            Some(stopper) => stopper.pass(events),
            None => events,
        }
    }

    /// Whether the answer has ended here, at a stop sequence that the upstream was not told of: what else it says is
    /// for nobody.
    pub fn is_stopped(&self) -> bool {
        self.stopper.as_ref().is_some_and(|stopper| stopper.is_done())
    }

    /// The number of the caller's next event, for an error that has to follow (responses only).
    pub fn next_sequence(&self) -> u64 {
        if let Some(follower) = &self.follower {
            return follower.next_sequence();
        }
        match &self.writer {
            Writer::Responses(writer) => writer.next_sequence(),
            Writer::OpenAi(_)
            | Writer::Anthropic(_)
            | Writer::Gemini(_)
            | Writer::Cohere(_)
            | Writer::Bedrock(_) => 0,
        }
    }

    /// The response as the caller was told that it begins, where that was said here (responses only).
    pub fn begun(&self) -> Option<Begun> {
        match &self.writer {
            Writer::Responses(writer) => writer.begun(),
            Writer::OpenAi(_)
            | Writer::Anthropic(_)
            | Writer::Gemini(_)
            | Writer::Cohere(_)
            | Writer::Bedrock(_) => None,
        }
    }

    /// The whole answer, once, after its end, where it is to be remembered (responses only).
    pub fn take_whole(&mut self) -> Option<String> {
        match &mut self.writer {
            Writer::Responses(writer) => writer.take_whole(),
            Writer::OpenAi(_)
            | Writer::Anthropic(_)
            | Writer::Gemini(_)
            | Writer::Cohere(_)
            | Writer::Bedrock(_) => None,
        }
    }

    pub(super) fn say(&mut self, events: Vec<Event<'_>>) -> Bytes {
        let Self { from, family, restorer, writer, joint, follower, owed, .. } = self;
        let mut out = Vec::new();
        for mut event in events {
            if let Event::Delta { delta: Delta::Signature(signature), .. } = &mut event {
                signature.made_by(*family, *from);
            }
            let Some(event) = &restorer.restore(event) else { continue };
            match joint {
                None => writer.write(event, &mut out),
                // The follower knows better what the caller was sent than a writer could.
                Some(joint) if follower.is_some() => joint.pass(event, &mut |_| {}),
                Some(joint) => joint.pass(event, &mut |event| writer.write(event, &mut out)),
            }
        }
        if !owed.is_empty() && !out.is_empty() {
            out.splice(0..0, std::mem::take(owed));
        }
        out.into()
    }
}

impl Writer {
    /// `None` for what no caller speaks.
    fn new(to: Dialect, manner: Manner) -> Option<Self> {
        Some(match to {
            Dialect::OpenAi => Self::OpenAi(openai::stream::Writer::new(manner)),
            Dialect::Responses => Self::Responses(responses::stream::Writer::new(manner)),
            Dialect::Anthropic => Self::Anthropic(anthropic::stream::Writer::new(manner)),
            Dialect::Gemini => Self::Gemini(gemini::stream::Writer::new(manner)),
            Dialect::Cohere => Self::Cohere(cohere::stream::Writer::new(manner)),
            Dialect::Bedrock => Self::Bedrock(bedrock::stream::Writer::new(manner)),
            Dialect::Ollama | Dialect::Http => return None,
        })
    }

    fn write(&mut self, event: &Event<'_>, out: &mut Vec<u8>) {
        match self {
            Self::OpenAi(writer) => writer.write(event, out),
            Self::Responses(writer) => writer.write(event, out),
            Self::Anthropic(writer) => writer.write(event, out),
            Self::Gemini(writer) => writer.write(event, out),
            Self::Cohere(writer) => writer.write(event, out),
            Self::Bedrock(writer) => writer.write(event, out),
        }
    }
}

impl Reader {
    /// `None` for what is not read.
    pub(super) fn new(from: Dialect) -> Option<Self> {
        Some(match from {
            Dialect::OpenAi => Self::OpenAi(openai::stream::Reader::default()),
            Dialect::Responses => Self::Responses(responses::stream::Reader::default()),
            Dialect::Anthropic => Self::Anthropic(anthropic::stream::Reader::default()),
            Dialect::Gemini => Self::Gemini(gemini::stream::Reader::default()),
            Dialect::Cohere => Self::Cohere(cohere::stream::Reader::default()),
            Dialect::Bedrock => Self::Bedrock(bedrock::stream::Reader::default()),
            Dialect::Ollama => Self::Ollama(ollama::stream::Reader::default()),
            Dialect::Http => return None,
        })
    }

    pub(super) fn read<'f>(
        &mut self,
        name: Option<&str>,
        root: &Node<'f>,
        events: &mut Vec<Event<'f>>,
    ) -> Result<(), Wrong> {
        match self {
            Self::OpenAi(reader) => reader.read(name, root, events),
            Self::Responses(reader) => reader.read(name, root, events),
            Self::Anthropic(reader) => reader.read(name, root, events),
            Self::Gemini(reader) => reader.read(name, root, events),
            Self::Cohere(reader) => reader.read(name, root, events),
            Self::Bedrock(reader) => reader.read(name, root, events),
            Self::Ollama(reader) => reader.read(name, root, events),
        }
    }

    /// What is known of the usage by now, by those who tell it before the end.
    const fn known(&self) -> Option<Usage> {
        match self {
            Self::OpenAi(reader) => reader.known(),
            Self::Gemini(reader) => reader.known(),
            Self::Responses(_)
            | Self::Anthropic(_)
            | Self::Cohere(_)
            | Self::Bedrock(_)
            | Self::Ollama(_) => None,
        }
    }

    pub(super) fn end(&mut self, events: &mut Vec<Event<'_>>) {
        match self {
            Self::OpenAi(reader) => reader.end(events),
            Self::Responses(reader) => reader.end(events),
            Self::Anthropic(reader) => reader.end(events),
            Self::Gemini(reader) => reader.end(events),
            Self::Cohere(reader) => reader.end(events),
            Self::Bedrock(reader) => reader.end(events),
            Self::Ollama(reader) => reader.end(events),
        }
    }
}
