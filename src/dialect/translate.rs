//! A request or an answer of one dialect -> another.
//!
//! Says what can be translated into what, and leads each body through the hub: one dialect reads, the
//! other writes. Nothing is kept between requests. Streams go frame by frame: what a frame means is
//! written before the next one is read.

mod said;

use std::borrow::Cow;

pub use said::{said, said_in_stream};

use bytes::Bytes;

use super::continuation::{Joint, Splice, Standing, Told};
use super::framing::{Frame, Framing};
use super::hub::{
    Ask, Content, Delta, Event, Family, Losses, Manner, Mode, Part, Reply, Source, Terms, Thought,
    ToolChoice, custom,
};
use super::quirks::Quirks;
use super::task::Task;
use super::tree::{self, Node, Wrong};
use super::{Begun, Dialect, Operation, anthropic, bedrock, cohere, gemini, ollama, openai, responses};
use crate::vocab::{Abilities, Ability, Usage};

/// What a translated request leaves behind.
#[derive(Debug)]
pub struct Translated {
    pub body: Vec<u8>,
    /// What is asked of the upstream, in its dialect.
    pub operation: Operation,
    pub losses: Losses,
}

/// Dialects whose generations can be reached from any other one.
pub const GENERATING: [Dialect; 7] = [
    Dialect::OpenAi,
    Dialect::Responses,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::Cohere,
    Dialect::Bedrock,
    Dialect::Ollama,
];

/// In which of the dialects that an upstream speaks a request is best put to it: the caller's own one,
/// whose bytes pass untouched, else the one that loses least. `None` when it cannot be put at all.
pub fn towards(from: Dialect, operation: Operation, speaks: &[Dialect], quirks: &Quirks) -> Option<Dialect> {
    /// From the richest to the poorest, seen from a stranger. Chat before responses: many who serve both
    /// serve the first one better.
    const RICHEST: [Dialect; 7] = [
        Dialect::Anthropic,
        Dialect::Gemini,
        Dialect::Bedrock,
        Dialect::Cohere,
        Dialect::OpenAi,
        Dialect::Responses,
        Dialect::Ollama,
    ];
    if speaks.contains(&from) {
        return Some(from);
    }
    if !generates(operation) {
        return Task::of(operation)?.towards(speaks, quirks);
    }
    // OpenAI's own responses carry reasoning, and tools beside it, which its chat does not.
    if quirks.tools_by_responses && speaks.contains(&Dialect::Responses) {
        return Some(Dialect::Responses);
    }
    RICHEST.into_iter().find(|dialect| speaks.contains(dialect))
}

/// Models of OpenAI's that refuse tools in chat while they reason, which they do unless told not to: GPT-5.4
/// and whatever came after it (WIRE §0.2).
pub fn tools_need_responses(model: &str) -> bool {
    let Some(version) = model.strip_prefix("gpt-") else { return false };
    let number =
        |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok());
    let major: u32 = number(version).unwrap_or(0);
    let minor: u32 = version.split_once('.').and_then(|(_, rest)| number(rest)).unwrap_or(0);
    (major, minor) >= (5, 4)
}

/// What a model has to be able to do for a request: what would be an error at the upstream, or an answer
/// that has not seen what it is about.
pub fn abilities(ask: &Ask<'_>) -> Abilities {
    let mut needed = Abilities::default();
    if !ask.tools.is_empty() && ask.tool_choice != Some(ToolChoice::None) {
        needed.add(Ability::Tools);
    }
    for part in ask.turns.iter().flat_map(|turn| &turn.parts) {
        add_media(part, &mut needed);
    }
    needed
}

fn add_media(part: &Part<'_>, needed: &mut Abilities) {
    match &part.content {
        Content::Image(_) => needed.add(Ability::Vision),
        Content::Audio(_) => needed.add(Ability::AudioInput),
        Content::Video(_) => needed.add(Ability::VideoInput),
        Content::File(media) if media.mime.as_deref() == Some("application/pdf") => needed.add(Ability::Pdf),
        Content::Outcome(outcome) => outcome.content.iter().for_each(|part| add_media(part, needed)),
        Content::File(_)
        | Content::Text(_)
        | Content::Refusal(_)
        | Content::Thought(_)
        | Content::Call(_)
        | Content::Vendor { .. } => {}
    }
}

/// Members of a response that repeat the request; empty for callers of other dialects.
pub fn echo(ask: &Ask<'_>, to: Dialect) -> String {
    if to == Dialect::Responses { responses::request::echo(ask) } else { String::new() }
}

/// The operation of `to` that does the same; `None` when there is none.
pub fn counterpart(operation: Operation, mode: Mode, to: Dialect) -> Option<Operation> {
    generates(operation).then(|| generation(to, mode)).flatten()
}

/// Is it a generation, which every dialect knows?
pub const fn generates(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Chat
            | Operation::Responses
            | Operation::Messages
            | Operation::Generate
            | Operation::StreamGenerate
            | Operation::CohereChat
            | Operation::Converse
            | Operation::ConverseStream
    )
}

const fn generation(dialect: Dialect, mode: Mode) -> Option<Operation> {
    Some(match (dialect, mode) {
        (Dialect::OpenAi, _) => Operation::Chat,
        (Dialect::Responses, _) => Operation::Responses,
        (Dialect::Anthropic, _) => Operation::Messages,
        (Dialect::Gemini, Mode::Whole) => Operation::Generate,
        (Dialect::Gemini, Mode::Stream { .. }) => Operation::StreamGenerate,
        (Dialect::Cohere, _) => Operation::CohereChat,
        (Dialect::Bedrock, Mode::Whole) => Operation::Converse,
        (Dialect::Bedrock, Mode::Stream { .. }) => Operation::ConverseStream,
        (Dialect::Ollama, _) => Operation::OllamaChat,
        (Dialect::Http, _) => return None,
    })
}

/// Reads a request to generate. `model` and the operation tell what the body does not in some dialects.
pub fn read<'a>(
    dialect: Dialect,
    operation: Operation,
    model: &'a str,
    root: &Node<'a>,
) -> Result<Ask<'a>, Wrong> {
    let mut ask = match dialect {
        // Cursor puts responses' shape to chat's address.
        Dialect::OpenAi if root.at("messages").is_none() && root.at("input").is_some() => {
            responses::request::read(root)
        }
        Dialect::OpenAi => openai::request::read(root),
        Dialect::Responses => responses::request::read(root),
        Dialect::Anthropic => anthropic::request::read(root),
        Dialect::Gemini => gemini::request::read(root),
        Dialect::Cohere => cohere::request::read(root),
        Dialect::Bedrock => bedrock::request::read(root),
        Dialect::Ollama | Dialect::Http => Err(Wrong::whole("no request of this dialect can be translated")),
    }
    .map_err(|wrong| wrong.place(root))?;
    ask.model = Cow::Borrowed(model);
    match operation {
        Operation::StreamGenerate | Operation::ConverseStream => ask.mode = Mode::Stream { usage: true },
        Operation::Generate | Operation::Converse => ask.mode = Mode::Whole,
        _ => {}
    }
    Ok(ask)
}

/// The request that asks an upstream of dialect `to` for the same.
pub fn write(ask: &mut Ask<'_>, to: Dialect, terms: &Terms<'_>) -> Option<Translated> {
    let operation = generation(to, ask.mode)?;
    let mut losses = Losses::default();
    refuse_state(ask, to, &mut losses);
    say_errors(ask, to);
    let knows_custom = to == Dialect::Responses || (to == Dialect::OpenAi && terms.family == Family::OpenAi);
    if !knows_custom {
        custom::emulate(ask, &mut losses);
    }
    let mut body = Vec::with_capacity(room(ask));
    match to {
        Dialect::OpenAi => openai::request::write(ask, terms, &mut losses, &mut body),
        Dialect::Responses => responses::request::write(ask, terms, &mut losses, &mut body),
        Dialect::Anthropic => anthropic::request::write(ask, terms, &mut losses, &mut body),
        Dialect::Gemini => gemini::request::write(ask, terms, &mut losses, &mut body),
        Dialect::Cohere => cohere::request::write(ask, terms, &mut losses, &mut body),
        Dialect::Bedrock => bedrock::request::write(ask, terms, &mut losses, &mut body),
        Dialect::Ollama => ollama::request::write(ask, terms, &mut losses, &mut body),
        Dialect::Http => return None,
    }
    Some(Translated { body, operation, losses })
}

/// Enough for most requests. Media are most of those that are long, and a buffer that doubles for the
/// sake of a picture would hold it three times.
fn room(ask: &Ask<'_>) -> usize {
    let media = ask.turns.iter().flat_map(|turn| &turn.parts).map(media_length).sum::<usize>();
    4 * 1024 + media + media / 64
}

fn media_length(part: &Part<'_>) -> usize {
    match &part.content {
        Content::Image(media) | Content::Audio(media) | Content::Video(media) | Content::File(media) => {
            match &media.source {
                Source::Base64(data) => data.len(),
                Source::Url(_) | Source::FileId(_) | Source::Text(_) => 0,
            }
        }
        Content::Outcome(outcome) => outcome.content.iter().map(media_length).sum(),
        Content::Text(_)
        | Content::Refusal(_)
        | Content::Thought(_)
        | Content::Call(_)
        | Content::Vendor { .. } => 0,
    }
}

/// What refers to state at OpenAI means nothing anywhere else, and without it the request is another one.
fn refuse_state(ask: &Ask<'_>, to: Dialect, losses: &mut Losses) {
    if ask.dialect != Dialect::Responses || to == Dialect::Responses {
        return;
    }
    let stateful = responses::request::STATEFUL.iter();
    for name in stateful.filter(|name| ask.extras.find(name).is_some_and(|raw| raw != "false")) {
        let message = format!(
            "`{name}` refers to what is stored at OpenAI, not at this gateway, and no channel here could look it up; send the whole conversation in `input`"
        );
        losses.refuse(*name, message);
    }
}

/// Says in words that a tool failed, where the dialect has no other way.
fn say_errors(ask: &mut Ask<'_>, to: Dialect) {
    match to {
        Dialect::OpenAi | Dialect::Responses | Dialect::Cohere | Dialect::Ollama => {}
        Dialect::Anthropic | Dialect::Gemini | Dialect::Bedrock | Dialect::Http => return,
    }
    for part in ask.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        let Content::Outcome(outcome) = &mut part.content else { continue };
        if outcome.is_error.take() != Some(true) {
            continue;
        }
        match outcome.content.iter_mut().find_map(|part| match &mut part.content {
            Content::Text(text) => Some(text),
            _ => None,
        }) {
            Some(text) if text.to_ascii_lowercase().contains("error") => {}
            Some(text) => *text = Cow::Owned(format!("Error: {text}")),
            None => outcome.content.insert(0, Part::text("Error")),
        }
    }
}

/// An upstream's answer in one piece, as the caller's dialect says it.
pub fn reply(from: Dialect, to: Dialect, body: &[u8], manner: &Manner) -> Result<Bytes, Wrong> {
    let root = tree::parse(body)?;
    let mut reply = match from {
        Dialect::OpenAi => openai::reply::read(&root),
        Dialect::Responses => responses::reply::read(&root),
        Dialect::Anthropic => anthropic::reply::read(&root),
        Dialect::Gemini => gemini::reply::read(&root),
        Dialect::Cohere => cohere::reply::read(&root),
        Dialect::Bedrock => bedrock::reply::read(&root),
        Dialect::Ollama => ollama::reply::read(&root),
        Dialect::Http => Err(Wrong::whole("no answer of this dialect can be translated")),
    }
    .map_err(|wrong| wrong.place(&root))?;
    custom::restore(&mut reply);
    for part in reply.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
        if let Content::Thought(Thought { signature: Some(signature), .. }) = &mut part.content {
            signature.made_by(manner.family, from);
        }
    }
    Ok(whole(to, &reply, manner, body.len() + 512))
}

/// An answer in one piece, of about `room` bytes.
fn whole(to: Dialect, reply: &Reply<'_>, manner: &Manner, room: usize) -> Bytes {
    let mut out = Vec::with_capacity(room);
    match to {
        Dialect::OpenAi => openai::reply::write(reply, manner, &mut out),
        Dialect::Responses => responses::reply::write(reply, manner, &mut out),
        Dialect::Anthropic => anthropic::reply::write(reply, manner, &mut out),
        Dialect::Gemini => gemini::reply::write(reply, manner, &mut out),
        Dialect::Cohere => cohere::reply::write(reply, manner, &mut out),
        Dialect::Bedrock => bedrock::reply::write(reply, manner, &mut out),
        Dialect::Ollama | Dialect::Http => {}
    }
    out.into()
}

/// A streamed answer on its way from one dialect to another.
#[derive(Debug)]
pub struct Stream {
    from: Dialect,
    /// Whose signatures they are that it does not tell of.
    family: Family,
    reader: Reader,
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
enum Reader {
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
    pub fn new(from: Dialect, to: Dialect, manner: Manner) -> Option<Self> {
        let reader = Reader::new(from)?;
        let family = manner.family;
        let writer = Writer::new(to, manner)?;
        let (joint, follower) = (None, None);
        Some(Self {
            from,
            family,
            reader,
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

    /// From now on an upstream of another dialect goes on; `before` is what the earlier ones have used.
    /// Whether it can.
    pub fn go_on(&mut self, (from, family): (Dialect, Family), splice: Splice, before: Usage) -> bool {
        let (Some(reader), Some(joint)) = (Reader::new(from), &mut self.joint) else { return false };
        (self.from, self.family) = (from, family);
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
    pub fn frame(&mut self, frame: &Frame) -> Result<Bytes, Wrong> {
        let Some(data) = frame.data().map(<[u8]>::trim_ascii).filter(|data| !matches!(*data, [] | b"[DONE]"))
        else {
            return Ok(Bytes::new());
        };
        let root = tree::parse(data)?;
        let name = frame.event().and_then(|name| std::str::from_utf8(name).ok());
        let mut events = Vec::with_capacity(4);
        self.reader.read(name, &root, &mut events).map_err(|wrong| wrong.place(&root))?;
        if let Some(follower) = &mut self.follower {
            follower.follow(&root);
        }
        Ok(self.say(events))
    }

    /// The upstream's stream is whole: what is left to say, the caller's terminator last.
    pub fn end(&mut self) -> Bytes {
        let mut events = Vec::new();
        self.reader.end(&mut events);
        events.push(Event::End);
        self.say(events)
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

    fn say(&mut self, events: Vec<Event<'_>>) -> Bytes {
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
    fn new(from: Dialect) -> Option<Self> {
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

    fn read<'f>(
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

    fn end(&mut self, events: &mut Vec<Event<'_>>) {
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

/// The content type of a translated stream.
pub const fn stream_type(to: Dialect, framing: Framing) -> &'static str {
    match (to, framing) {
        (Dialect::Bedrock, _) => "application/vnd.amazon.eventstream",
        (Dialect::Gemini, Framing::JsonArray) => "application/json",
        (
            Dialect::OpenAi
            | Dialect::Responses
            | Dialect::Anthropic
            | Dialect::Gemini
            | Dialect::Cohere
            | Dialect::Ollama
            | Dialect::Http,
            _,
        ) => "text/event-stream",
    }
}

#[cfg(test)]
mod tests;
