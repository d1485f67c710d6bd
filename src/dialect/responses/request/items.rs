//! The items of a request's input -> turns.
//!
//! The wire has one flat list; the hub has turns. Each message is a turn of its own. Reasoning and
//! calls belong to the assistant's turn around them: they join it as long as nothing but the assistant
//! speaks, save that a second message begins a second turn (unless calls are waiting for their results,
//! which must come next). Results that follow each other are one turn of the user.

use std::collections::HashMap;

use super::{ITEM, STATEFUL_ITEMS, deferred, parts, tools};
use crate::dialect::hub::namespace::TOOL_SEARCH;
use crate::dialect::hub::{
    Ask, Call, CallKind, Content, Extras, Family, Media, Outcome, Part, Role, Signature, Source, Text,
    Thought, Turn,
};
use crate::dialect::responses::carry;
use crate::dialect::tree::{Node, Wrong};

/// Where the conversation so far is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// All of it is in the request.
    Here,
    /// Some of it is at the vendor, so a result may belong to a call that is not in the request.
    Elsewhere,
}

/// Appends the turns of `input`.
pub fn read<'a>(input: &Node<'a>, history: History, ask: &mut Ask<'a>) -> Result<(), Wrong> {
    let items = input.items().map_err(|_| input.expected("a string or an array of items"))?;
    let mut reader =
        Reader { turns: Vec::new(), calls: HashMap::new(), history, has_message: false, waiting: None };
    for item in items {
        let kind = kind(item)?;
        if let Some(name) = STATEFUL_ITEMS.iter().find(|name| **name == kind) {
            reader.history = History::Elsewhere;
            if ask.extras.find(name).is_none() {
                ask.extras.keep(*name, item.raw());
            }
        }
        if kind == tools::LISTED || kind == deferred::FOUND {
            tools::read_listed(&kind, item, ask)?;
        }
        reader.item(&kind, item)?;
    }
    reader.settle();
    ask.turns.append(&mut reader.turns);
    Ok(())
}

/// An item's type: messages need not say it, nor references.
fn kind<'a>(item: &Node<'a>) -> Result<Text<'a>, Wrong> {
    item.object()?;
    match item.at("type") {
        Some(kind) => kind.string(),
        None if item.at("role").is_none() && item.at("id").is_some() => Ok(Text::Borrowed("item_reference")),
        None => Ok(Text::Borrowed("message")),
    }
}

struct Reader<'a> {
    turns: Vec<Turn<'a>>,
    /// The names of the calls so far, by id. A hostile body has very many.
    calls: HashMap<Text<'a>, Text<'a>>,
    history: History,
    /// The last turn is the assistant's and holds a message.
    has_message: bool,
    /// The signature of a call that comes next (see [`Reader::signature_of_call`]).
    waiting: Option<Signature<'a>>,
}

impl<'a> Reader<'a> {
    fn item(&mut self, kind: &str, item: &Node<'a>) -> Result<(), Wrong> {
        if !matches!(kind, "function_call" | "custom_tool_call") && !Self::is_search(kind, item) {
            self.settle();
        }
        match kind {
            "message" => self.message(item),
            "reasoning" => self.reasoning(item),
            "function_call" => self.call(item, "arguments", CallKind::Function),
            "custom_tool_call" => self.call(item, "input", CallKind::Custom),
            "function_call_output" => self.outcome(item, CallKind::Function),
            "custom_tool_call_output" => self.outcome(item, CallKind::Custom),
            deferred::SOUGHT if Self::is_search(kind, item) => self.search(item),
            deferred::FOUND if deferred::is_callers(item) && self.is_known(item) => self.found(item),
            "image_generation_call" if item.at("result").is_some_and(Node::is_string) => {
                self.image(item);
                Ok(())
            }
            _ => {
                self.vendor(kind, item);
                Ok(())
            }
        }
    }

    fn message(&mut self, item: &Node<'a>) -> Result<(), Wrong> {
        let role = match &*item.need("role")?.string()? {
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "system" => Role::System,
            "developer" => Role::Developer,
            _ => {
                let role = item.need("role")?;
                return Err(role.wrong("not a role; the roles are user, assistant, system and developer"));
            }
        };
        let content = item.need("content")?;
        let mut parts = match content.text() {
            Some(text) => vec![Part::text(text)],
            None => content
                .items()
                .map_err(|_| content.expected("a string or an array of parts"))?
                .iter()
                .map(parts::read)
                .collect::<Result<_, _>>()?,
        };
        let extras = item_extras(item, &["role", "content"]);
        if role == Role::Assistant {
            let turn = self.assistant(Joining::Message);
            turn.parts.append(&mut parts);
            if turn.extras.is_empty() {
                turn.extras = extras;
            }
            self.has_message = true;
        } else {
            self.turns.push(Turn { extras, ..Turn::new(role, parts) });
        }
        Ok(())
    }

    /// Each text is a thought of its own, all with the item's id; the last one has the signature.
    fn reasoning(&mut self, item: &Node<'a>) -> Result<(), Wrong> {
        let id = item.at("id").map(Node::string).transpose()?;
        let signature = item.at("encrypted_content").map(Node::string).transpose()?;
        let carried = signature.and_then(carry::unseal);
        let mut thoughts = Vec::new();
        for (list, is_summary) in [("summary", true), ("content", false)] {
            for text in item.at(list).map(Node::items).transpose()?.unwrap_or_default() {
                let text = text.need("text")?.string()?;
                thoughts.push(Thought { text, is_summary, id: id.clone(), ..Thought::default() });
            }
        }
        if thoughts.is_empty() {
            if let Some(signature) = Self::signature_of_call(carried.as_ref().map(|it| &it.signature)) {
                self.waiting = Some(signature);
                return Ok(());
            }
            thoughts.push(Thought { id, ..Thought::default() });
        }
        if let (Some(last), Some(carried)) = (thoughts.last_mut(), carried) {
            last.is_redacted = carried.is_redacted;
            last.signature = Some(carried.signature);
        }
        let mut extras = item_extras(item, &["id", "encrypted_content", "summary", "content"]);
        let turn = self.assistant(Joining::Reasoning);
        turn.parts.extend(thoughts.into_iter().map(|thought| Part {
            extras: std::mem::take(&mut extras),
            ..Part::new(Content::Thought(thought))
        }));
        Ok(())
    }

    /// Gemini signs calls. Our answers carry that in a reasoning item before the call that says nothing
    /// else.
    fn signature_of_call(signature: Option<&Signature<'a>>) -> Option<Signature<'a>> {
        signature.filter(|signature| signature.family == Family::Gemini).cloned()
    }

    /// No call came after all: the signature is a thought's.
    fn settle(&mut self) {
        let Some(signature) = self.waiting.take() else { return };
        let last = self.turns.last_mut().filter(|turn| turn.role == Role::Assistant);
        match last.and_then(|turn| turn.parts.last_mut()).map(|part| &mut part.content) {
            // A stream may learn a call's signature only after it.
            Some(Content::Call(call)) if call.signature.is_none() => call.signature = Some(signature),
            _ => {
                let thought = Thought { signature: Some(signature), ..Thought::default() };
                self.assistant(Joining::Reasoning).parts.push(Part::new(Content::Thought(thought)));
            }
        }
    }

    fn call(&mut self, item: &Node<'a>, input: &'static str, kind: CallKind) -> Result<(), Wrong> {
        let call = Call {
            id: item.need("call_id")?.string()?,
            name: item.need("name")?.string()?,
            arguments: item.need(input)?.string()?,
            kind,
            signature: self.waiting.take(),
        };
        self.calls.insert(call.id.clone(), call.name.clone());
        let extras = item_extras(item, &["call_id", "name", input]);
        let part = Part { extras, ..Part::new(Content::Call(call)) };
        self.assistant(Joining::Other).parts.push(part);
        Ok(())
    }

    fn outcome(&mut self, item: &Node<'a>, kind: CallKind) -> Result<(), Wrong> {
        let call_id = item.at("call_id").map(Node::string).transpose()?.unwrap_or_default();
        let called = self.calls.get(&call_id);
        if called.is_none() && self.history == History::Here {
            let place = item.at("call_id").unwrap_or(item);
            return Err(place.wrong("no call before it has this id; send the call, too, before its output"));
        }
        let said = item.at("name").map(Node::string).transpose()?;
        let name = called.cloned().or(said);
        let output = item.need("output")?;
        let content = match output.text() {
            Some(text) => vec![Part::text(text)],
            None => output
                .items()
                .map_err(|_| output.expected("a string or an array of parts"))?
                .iter()
                .map(parts::read)
                .collect::<Result<_, _>>()?,
        };
        let outcome = Outcome { call_id, name, content, is_error: None, kind };
        let extras = item_extras(item, &["call_id", "output"]);
        self.results().parts.push(Part { extras, ..Part::new(Content::Outcome(outcome)) });
        Ok(())
    }

    /// A search for tools that the caller makes: a call of a function anywhere else.
    fn is_search(kind: &str, item: &Node<'a>) -> bool {
        kind == deferred::SOUGHT
            && deferred::is_callers(item)
            && item.at("call_id").is_some_and(Node::is_string)
    }

    fn search(&mut self, item: &Node<'a>) -> Result<(), Wrong> {
        let call = Call {
            id: item.need("call_id")?.string()?,
            name: Text::Borrowed(TOOL_SEARCH),
            arguments: item
                .at("arguments")
                .map(|said| said.text().unwrap_or(Text::Borrowed(said.raw())))
                .unwrap_or_default(),
            kind: CallKind::Function,
            signature: self.waiting.take(),
        };
        self.calls.insert(call.id.clone(), call.name.clone());
        let mut part = Part::new(Content::Call(call));
        part.extras.keep_aside(deferred::SEARCH, item.raw());
        self.assistant(Joining::Other).parts.push(part);
        Ok(())
    }

    /// Its call came before it.
    fn is_known(&self, item: &Node<'a>) -> bool {
        item.at("call_id").and_then(Node::text).is_some_and(|id| self.calls.contains_key(&id))
    }

    fn found(&mut self, item: &Node<'a>) -> Result<(), Wrong> {
        let outcome = Outcome {
            call_id: item.need("call_id")?.string()?,
            name: Some(Text::Borrowed(TOOL_SEARCH)),
            // Said once somebody has to hear it: see `deferred`.
            content: Vec::new(),
            is_error: None,
            kind: CallKind::Function,
        };
        let mut part = Part::new(Content::Outcome(outcome));
        part.extras.keep_aside(deferred::SEARCH, item.raw());
        self.results().parts.push(part);
        Ok(())
    }

    /// A picture that the model made, if it is all there.
    fn image(&mut self, item: &Node<'a>) {
        let data = item.at("result").and_then(Node::text).unwrap_or_default();
        let format = item.at("output_format").and_then(Node::as_str).unwrap_or("png");
        let media = Media::new(Source::Base64(data), Some(Text::Owned(format!("image/{format}"))));
        let mut part = Part::new(Content::Image(media));
        for (key, value) in item.members() {
            if !matches!(&**key, "type" | "result") && !value.is_null() {
                part.extras.keep_aside(key.clone(), value.raw());
            }
        }
        self.assistant(Joining::Other).parts.push(part);
    }

    /// An item that only this dialect knows.
    fn vendor(&mut self, kind: &str, item: &Node<'a>) {
        let content = Content::Vendor { kind: Text::Owned(kind.to_owned()), raw: item.raw() };
        let mut part = Part::new(content);
        part.extras.keep_aside(ITEM, "true");
        let of_developer = item.at("role").and_then(Node::as_str) == Some("developer");
        if of_developer {
            self.turns.push(Turn::new(Role::Developer, vec![part]));
        } else if kind.ends_with("_output") || kind == "mcp_approval_response" {
            self.results().parts.push(part);
        } else {
            self.assistant(Joining::Other).parts.push(part);
        }
    }

    /// The assistant is speaking, and what comes now belongs to that turn.
    fn speaks(&self, joining: Joining) -> bool {
        let Some(turn) = self.turns.last().filter(|turn| turn.role == Role::Assistant) else { return false };
        let calls = || turn.parts.iter().any(|part| matches!(part.content, Content::Call(_)));
        match joining {
            Joining::Message | Joining::Reasoning => !self.has_message || calls(),
            Joining::Other => true,
        }
    }

    fn assistant(&mut self, joining: Joining) -> &mut Turn<'a> {
        if !self.speaks(joining) {
            self.has_message = false;
            self.turns.push(Turn::new(Role::Assistant, Vec::new()));
        }
        last(&mut self.turns)
    }

    /// The turn of the results that are being read.
    fn results(&mut self) -> &mut Turn<'a> {
        let is_result =
            |part: &Part<'_>| matches!(part.content, Content::Outcome(_)) || part.extras.find(ITEM).is_some();
        // A turn holds results only or none, so the last part tells.
        let open = self
            .turns
            .last()
            .is_some_and(|turn| turn.role == Role::User && turn.parts.last().is_none_or(is_result));
        if !open {
            self.turns.push(Turn::new(Role::User, Vec::new()));
        }
        last(&mut self.turns)
    }
}

/// What joins the assistant's turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Joining {
    Message,
    Reasoning,
    /// Calls, and what only this dialect knows.
    Other,
}

fn last<'t, 'a>(turns: &'t mut [Turn<'a>]) -> &'t mut Turn<'a> {
    turns.last_mut().expect("the callers have just seen to it that there is one")
}

/// What an item says besides: its id and status aside, as only its vendor needs them, and the name that
/// an output need not say.
fn item_extras<'a>(item: &Node<'a>, known: &[&str]) -> Extras<'a> {
    let mut extras = Extras::default();
    for (key, value) in item.members().iter().filter(|(_, value)| !value.is_null()) {
        match &**key {
            "type" => {}
            key if known.contains(&key) => {}
            "id" | "status" | "name" => extras.keep_aside(key.clone(), value.raw()),
            _ => extras.keep(key.clone(), value.raw()),
        }
    }
    extras
}
