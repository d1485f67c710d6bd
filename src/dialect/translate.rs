//! A request or an answer of one dialect -> another.
//!
//! Says what can be translated into what, and leads each body through the hub: one dialect reads, the
//! other writes. Nothing is kept between requests.

mod ends;
mod fit;
mod halves;
mod said;
mod sound;
mod stream;

use std::borrow::Cow;

pub use said::{said, said_in_stream};
pub use stream::Stream;

use bytes::Bytes;
use memchr::memmem;

pub use ends::ask_to_go_on;
pub use fit::is_wanted as is_beyond;

use super::framing::Framing;
use super::hub::{
    Ask, CallKind, Content, Family, Losses, Manner, Mode, NOTHING, Part, Renamed, Reply, Role, Source, Stops,
    Terms, Text, Thought, Tool, ToolChoice, ToolKind, Turn, custom,
};
use super::quirks::{Prefilling, Quirks};
use super::task::Task;
use super::tree::{self, Node, Wrong};
use super::{Dialect, Operation, anthropic, bedrock, cohere, gemini, ollama, openai, responses, write};
use crate::vocab::{Abilities, Ability};

/// What a translated request leaves behind.
#[derive(Debug)]
pub struct Translated {
    pub body: Vec<u8>,
    /// What is asked of the upstream, in its dialect.
    pub operation: Operation,
    pub losses: Losses,
    /// What stands for names of tools in it.
    pub renamed: Renamed,
    /// Stop sequences that are not in it, and have to be heeded here.
    pub stops: Stops,
}

impl Translated {
    /// One whose answer needs nothing of it.
    pub fn new(body: Vec<u8>, operation: Operation, losses: Losses) -> Self {
        Self { body, operation, losses, renamed: Renamed::default(), stops: Stops::default() }
    }
}

/// Why an upstream's answer cannot be told to a caller of another dialect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// It is not what the upstream's dialect allows.
    #[error("the answer cannot be read: {0}")]
    Unreadable(#[from] Wrong),
    /// It can be read, and is none: another try may give one.
    #[error("{0}")]
    Failed(&'static str),
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

/// Whether a request that is no chat may name texts that end its answer: what looks like its member may be one of a
/// tool's. Within texts its quotes are escaped.
pub fn may_have_stops(body: &[u8]) -> bool {
    [&b"\"stop_sequences\""[..], b"\"stopSequences\""].iter().any(|name| memmem::find(body, name).is_some())
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
    if to == ask.dialect {
        fit::fit(ask, terms, &mut losses);
    }
    refuse_state(ask, to, &mut losses);
    if to != ask.dialect {
        responses::request::unlist(ask);
        choose_what_is_there(ask, to, terms, &mut losses);
        anthropic::request::offer(ask);
    }
    say_something(ask, to, terms);
    say_form(ask, to, terms);
    say_errors(ask, to);
    let knows_custom = to == Dialect::Responses || (to == Dialect::OpenAi && terms.family == Family::OpenAi);
    if !knows_custom {
        custom::emulate(ask, &mut losses);
    }
    // Behind what makes names longer. What is said anew in its own dialect has the names that it came with.
    let renamed = if to == ask.dialect { Renamed::default() } else { Renamed::replace(ask, to, terms) };
    if to.has_objects_for_arguments() {
        wrap_arguments(ask, &mut losses);
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
    if to != ask.dialect {
        body = halves::replace_some(body);
    }
    renamed.undo(ask);
    let answers = if matches!(to, Dialect::OpenAi | Dialect::Gemini) { ask.n } else { None };
    let stops = losses.stops().clone().of_answers(answers.unwrap_or(1));
    Some(Translated { renamed, stops, ..Translated::new(body, operation, losses) })
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

/// The member of Anthropic's requests that goes on from a conversation that is kept there.
pub const THREAD: &str = "thread";

/// What refers to state at a vendor means nothing anywhere else, and without it the request is another one.
fn refuse_state(ask: &Ask<'_>, to: Dialect, losses: &mut Losses) {
    if to == ask.dialect {
        return;
    }
    let goes_on = ask.extras.find(THREAD).is_some_and(|raw| raw.contains("previous_message_id"));
    if ask.dialect == Dialect::Anthropic && goes_on {
        losses.refuse(
            THREAD,
            "`thread` goes on from a message that no channel here could look up; send the whole conversation, with `thread: {\"type\": \"create\"}` or without it".to_owned(),
        );
    }
    if ask.dialect == Dialect::Gemini && ask.extras.find("cachedContent").is_some() {
        losses.refuse(
            "cachedContent",
            "`cachedContent` refers to what is kept at Google, and no channel here could look it up; send what is in it".to_owned(),
        );
    }
    if ask.dialect != Dialect::Responses {
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

/// Leaves a tool of the vendor's alone that has to be called and cannot be named there: a choice of what is not among
/// the tools is refused. What is no tool at all is the caller's mistake, and the upstream may say so.
fn choose_what_is_there(ask: &mut Ask<'_>, to: Dialect, terms: &Terms<'_>, losses: &mut Losses) {
    let names_search =
        matches!(to, Dialect::Responses | Dialect::Anthropic) && !terms.facts.lacks(Ability::WebSearch);
    let is_theirs =
        |tool: &Tool<'_>| matches!(tool.kind, ToolKind::WebSearch { .. } | ToolKind::Vendor { .. });
    if !ask.tools.iter().any(is_theirs) {
        return;
    }
    let mut choice = ask.tool_choice.take();
    let is_there = |name: &Text<'_>| ask.declares(name) || (names_search && ask.means_search(name));
    let fits = match &mut choice {
        Some(ToolChoice::Tool(name)) => is_there(name),
        Some(ToolChoice::Allowed { names, .. }) => {
            names.retain(is_there);
            !names.is_empty()
        }
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => true,
    };
    if fits {
        ask.tool_choice = choice;
    } else {
        losses.drop("tool_choice");
    }
}

/// Leaves out turns that say nothing, which most dialects refuse. Where nobody else has said anything, or the model
/// has and is not to go on with that, the user says as little as he can.
fn say_something(ask: &mut Ask<'_>, to: Dialect, terms: &Terms<'_>) {
    match to {
        Dialect::Responses | Dialect::Anthropic | Dialect::Gemini | Dialect::Cohere | Dialect::Bedrock => {}
        // Mistral.
        Dialect::OpenAi if terms.quirks.prefilling == Prefilling::Prefix => {}
        Dialect::OpenAi | Dialect::Ollama | Dialect::Http => return,
    }
    if to == ask.dialect {
        return;
    }
    let is_blank = |part: &Part<'_>| matches!(&part.content, Content::Text(text) | Content::Refusal(text) if text.trim().is_empty());
    let last = |ask: &Ask<'_>| {
        let spoken = ask.turns.iter().rfind(|turn| matches!(turn.role, Role::User | Role::Assistant));
        spoken.map(|turn| turn.role)
    };
    let before = last(ask);
    ask.turns.retain(|turn| !turn.parts.iter().all(is_blank));
    let after = last(ask);
    if after.is_none() || (before, after) == (Some(Role::User), Some(Role::Assistant)) {
        ask.turns.push(Turn::new(Role::User, vec![Part::text(NOTHING)]));
    }
}

/// Tells the model in words what form its answer is to have, behind the other instructions, where nothing else holds it
/// to that.
fn say_form(ask: &mut Ask<'_>, to: Dialect, terms: &Terms<'_>) {
    let Some(format) = ask.format.as_ref().filter(|_| to != ask.dialect) else { return };
    let holds = match to {
        Dialect::OpenAi => openai::request::holds_to(format, terms),
        Dialect::Gemini => gemini::request::holds_to_form(ask, terms),
        Dialect::Cohere => cohere::request::holds_to_form(ask),
        Dialect::Bedrock => bedrock::request::holds_to(format, terms),
        // Anthropic's may have a tool for it, which is found out where it is written.
        Dialect::Responses | Dialect::Anthropic | Dialect::Ollama | Dialect::Http => true,
    };
    if !holds {
        let told = Turn::new(Role::System, vec![Part::text(format.in_words())]);
        let instructs = |turn: &&Turn<'_>| matches!(turn.role, Role::System | Role::Developer);
        let behind = ask.turns.iter().take_while(instructs).count();
        ask.turns.insert(behind, told);
    }
}

/// Makes an object of what a model once wrote for arguments and was none, as Anthropic advises: its own text is what
/// the tool's error is about ("Handling invalid JSON in tool responses").
fn wrap_arguments(ask: &mut Ask<'_>, losses: &mut Losses) {
    for part in ask.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        let Content::Call(call) = &mut part.content else { continue };
        if call.kind == CallKind::Function && call.object().is_none() {
            losses.drop("tool_calls.function.arguments");
            let wrapped = write::text(|out| {
                write::object(out, |o| {
                    o.str("INVALID_JSON", &call.arguments);
                });
            });
            call.arguments = Cow::Owned(wrapped);
        }
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
pub fn reply(from: Dialect, to: Dialect, body: &[u8], manner: &Manner) -> Result<Bytes, Untold> {
    let mended;
    let root = match tree::whole(body) {
        Ok(root) => root,
        Err(wrong) => {
            mended = halves::replace(body).ok_or(wrong)?;
            tree::parse(&mended)?
        }
    };
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
    manner.renamed.restore(&mut reply);
    manner.stops.cut(&mut reply);
    sound::check(&mut reply, to)?;
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
