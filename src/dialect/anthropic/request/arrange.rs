//! Turns -> messages as the API takes them: who speaks when, results first.

use std::borrow::Cow;
use std::collections::HashMap;

use super::ids::Ids;
use super::line::Line;
use crate::dialect::hub::{
    Ask, CacheMark, Call, Content, Extras, Family, GO_ON, Losses, NOTHING, Part, Role, Terms, Turn,
};
use crate::vocab::Ability;

/// A conversation in the API's order.
#[derive(Debug, Default)]
pub struct Conversation<'p, 'a> {
    pub system: Vec<Item<'p, 'a>>,
    pub messages: Vec<Message<'p, 'a>>,
    /// The last message is the beginning of the answer.
    pub is_prefilled: bool,
}

#[derive(Debug)]
pub struct Message<'p, 'a> {
    pub role: Role,
    pub items: Vec<Item<'p, 'a>>,
    pub extras: Option<&'p Extras<'a>>,
}

/// What becomes a block.
#[derive(Debug)]
pub enum Item<'p, 'a> {
    /// A part; and for a call or a result the id by which they know each other.
    Part(&'p Part<'a>, Cow<'p, str>),
    /// A text that no part holds.
    Text(Cow<'p, str>, Option<CacheMark>),
}

impl<'p, 'a> Conversation<'p, 'a> {
    /// As the caller arranged it, in this dialect.
    pub fn own(ask: &'p Ask<'a>, terms: &Terms<'_>) -> Self {
        let mut turns = &ask.turns[..];
        let mut conversation = Self::default();
        if let Some((first, rest)) = turns.split_first().filter(|(first, _)| is_system(first.role)) {
            conversation.system = first.parts.iter().map(own_item).collect();
            turns = rest;
        }
        for turn in turns {
            // Not thoughts that we lent a signature, or none, on their way from another family; models that sign none
            // want theirs back. An empty text is one that we lent to citations, which came when all was said.
            let is_said = |part: &&Part<'_>| {
                (is_ours(part, terms.family) || (is_unsigned(part) && !terms.is_claude()))
                    && part.as_text().is_none_or(|text| !text.is_empty())
            };
            let items = turn.parts.iter().filter(is_said).map(own_item).collect();
            let message = Message { role: turn.role, items, extras: Some(&turn.extras) };
            if !message.items.is_empty() || turn.parts.is_empty() {
                conversation.messages.push(message);
            }
        }
        conversation
    }

    /// As the API wants it.
    pub fn arranged(ask: &'p Ask<'a>, terms: &Terms<'_>, instructs: Instructs, losses: &mut Losses) -> Self {
        let mut arranging = Arranging::new(terms, losses);
        for turn in &ask.turns {
            arranging.turn(turn);
        }
        arranging.finish(ask, instructs)
    }

    /// The model is to go on after results, from an answer that did not begin with a thought.
    pub fn goes_on_unthought(&self) -> bool {
        let mut last = self.messages.iter().rev();
        let has_results =
            last.next().is_some_and(|last| last.items.iter().any(|item| item.answers().is_some()));
        has_results && last.next().is_some_and(|answer| !answer.items.first().is_some_and(Item::is_thought))
    }

    /// How many parts bear cache marks.
    pub fn marks(&self) -> usize {
        let items = self.system.iter().chain(self.messages.iter().flat_map(|message| &message.items));
        items.map(Item::marks).sum()
    }
}

/// Whether the form of the answer is an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instructs {
    Nothing,
    Json,
}

impl Item<'_, '_> {
    fn marks(&self) -> usize {
        match self {
            Self::Text(_, cache) => usize::from(cache.is_some()),
            Self::Part(part, _) => {
                let inner =
                    if let Content::Outcome(outcome) = &part.content { &outcome.content[..] } else { &[] };
                usize::from(part.cache.is_some()) + inner.iter().filter(|part| part.cache.is_some()).count()
            }
        }
    }

    fn call(&self) -> Option<(&str, &Call<'_>)> {
        if let Self::Part(Part { content: Content::Call(call), .. }, id) = self {
            Some((id, call))
        } else {
            None
        }
    }

    /// The id of the call that it answers.
    fn answers(&self) -> Option<&str> {
        if let Self::Part(Part { content: Content::Outcome(_), .. }, id) = self { Some(id) } else { None }
    }

    fn is_thought(&self) -> bool {
        matches!(self, Self::Part(Part { content: Content::Thought(_), .. }, _))
    }
}

fn own_item<'p, 'a>(part: &'p Part<'a>) -> Item<'p, 'a> {
    let id = if let Content::Call(call) = &part.content {
        &call.id
    } else if let Content::Outcome(outcome) = &part.content {
        &outcome.call_id
    } else {
        ""
    };
    Item::Part(part, Cow::Borrowed(id))
}

/// Anything but a thought, or a thought that the upstream's own family has signed.
fn is_ours(part: &Part<'_>, family: Family) -> bool {
    let Content::Thought(thought) = &part.content else { return true };
    thought.signature.as_ref().is_some_and(|signature| signature.for_family(family).is_some())
}

fn is_unsigned(part: &Part<'_>) -> bool {
    matches!(&part.content, Content::Thought(thought) if thought.signature.is_none())
}

const fn is_system(role: Role) -> bool {
    matches!(role, Role::System | Role::Developer)
}

/// A conversation that is being arranged.
struct Arranging<'t, 'p, 'a> {
    terms: &'t Terms<'t>,
    losses: &'t mut Losses,
    done: Conversation<'p, 'a>,
    /// System messages that wait until all results are there.
    held: Vec<Item<'p, 'a>>,
    ids: Ids<'p>,
}

impl<'t, 'p, 'a> Arranging<'t, 'p, 'a> {
    fn new(terms: &'t Terms<'t>, losses: &'t mut Losses) -> Self {
        let ids = Ids::new(terms.nonce);
        Self { terms, losses, done: Conversation::default(), held: Vec::new(), ids }
    }

    fn turn(&mut self, turn: &'p Turn<'a>) {
        self.losses.drop_if(turn.name.as_ref(), "name");
        match turn.role {
            Role::System | Role::Developer => self.system(turn),
            Role::User => {
                let items = turn.parts.iter().filter_map(|part| self.of_user(part)).collect();
                self.push(Role::User, items);
            }
            Role::Assistant => {
                self.release();
                let items = turn.parts.iter().filter_map(|part| self.of_assistant(part)).collect();
                self.push(Role::Assistant, items);
            }
        }
    }

    fn system(&mut self, turn: &'p Turn<'a>) {
        let mut items = Vec::new();
        for part in &turn.parts {
            match &part.content {
                Content::Text(text) if text.trim().is_empty() => {}
                Content::Text(_) => items.push(Item::Part(part, Cow::Borrowed(""))),
                other => self.losses.drop(kind(other)),
            }
        }
        if self.done.messages.is_empty() {
            self.done.system.append(&mut items);
        } else if self.terms.facts.has(Ability::MidConversationSystem) {
            self.held.append(&mut items);
            let is_waiting = self
                .done
                .messages
                .last()
                .is_some_and(|last| last.items.iter().any(|item| item.call().is_some()));
            if !is_waiting {
                self.release();
            }
        } else {
            let told = turn.parts.iter().filter_map(|part| Some((part.as_text()?, part.cache)));
            let told = told.filter(|(text, _)| !text.trim().is_empty());
            let items = told
                .map(|(text, cache)| Item::Text(format!("<system>\n{text}\n</system>").into(), cache))
                .collect();
            self.push(Role::User, items);
        }
    }

    /// System messages that waited.
    fn release(&mut self) {
        if !self.held.is_empty() {
            let items = std::mem::take(&mut self.held);
            self.push(Role::System, items);
        }
    }

    fn push(&mut self, role: Role, items: Vec<Item<'p, 'a>>) {
        if items.is_empty() {
            return;
        }
        match self.done.messages.last_mut() {
            Some(last) if last.role == role => last.items.extend(items),
            _ => self.done.messages.push(Message { role, items, extras: None }),
        }
    }

    fn of_user(&mut self, part: &'p Part<'a>) -> Option<Item<'p, 'a>> {
        match &part.content {
            Content::Text(text) if text.trim().is_empty() => None,
            Content::Outcome(outcome) => {
                for inner in &outcome.content {
                    self.losses.drop_extras(&inner.extras);
                }
                Some(Item::Part(part, self.ids.of_outcome(outcome)))
            }
            Content::Vendor { .. } => {
                self.losses.drop(kind(&part.content));
                None
            }
            Content::Thought(_) | Content::Call(_) => None,
            Content::Text(_)
            | Content::Refusal(_)
            | Content::Image(_)
            | Content::Audio(_)
            | Content::Video(_)
            | Content::File(_) => Some(Item::Part(part, Cow::Borrowed(""))),
        }
    }

    fn of_assistant(&mut self, part: &'p Part<'a>) -> Option<Item<'p, 'a>> {
        match &part.content {
            Content::Text(text) | Content::Refusal(text) if text.trim().is_empty() => None,
            Content::Thought(_) => {
                is_ours(part, self.terms.family).then_some(Item::Part(part, Cow::Borrowed("")))
            }
            Content::Call(call) => Some(Item::Part(part, self.ids.of_call(call))),
            // The API takes images and files from users only.
            Content::Image(_) | Content::File(_) | Content::Vendor { .. } => {
                self.losses.drop(kind(&part.content));
                None
            }
            Content::Outcome(_) => None,
            Content::Text(_) | Content::Refusal(_) | Content::Audio(_) | Content::Video(_) => {
                Some(Item::Part(part, Cow::Borrowed("")))
            }
        }
    }

    fn finish(mut self, ask: &Ask<'_>, instructs: Instructs) -> Conversation<'p, 'a> {
        self.release();
        let messages = std::mem::take(&mut self.done.messages);
        for mut message in messages {
            // A message may not end with a thought; if it was nothing else, its neighbours meet.
            while message.role == Role::Assistant && message.items.last().is_some_and(Item::is_thought) {
                message.items.pop();
            }
            self.push(message.role, message.items);
        }
        let mut done = self.done;
        if done.messages.first().is_none_or(|first| first.role != Role::User) {
            done.messages.insert(0, user(NOTHING));
        }
        if let Some(format) = ask.format.as_ref().filter(|_| instructs == Instructs::Json) {
            done.system.push(Item::Text(format.in_words(), None));
        }
        sort_results(&mut done.messages);
        finish_prefill(&mut done, ask, self.terms, self.losses);
        done
    }
}

fn user<'p, 'a>(text: &'static str) -> Message<'p, 'a> {
    Message { role: Role::User, items: vec![Item::Text(Cow::Borrowed(text), None)], extras: None }
}

/// Results first, in the order of their calls.
fn sort_results(messages: &mut [Message<'_, '_>]) {
    let mut calls: HashMap<String, usize> = HashMap::new();
    for message in messages {
        match message.role {
            Role::Assistant => {
                let ids = message.items.iter().filter_map(|item| Some(item.call()?.0.to_owned()));
                calls = ids.enumerate().map(|(index, id)| (id, index)).collect();
            }
            Role::User | Role::System | Role::Developer => {
                message.items.sort_by_key(|item| match item.answers() {
                    Some(id) => calls.get(id).copied().unwrap_or(usize::MAX - 1),
                    None => usize::MAX,
                });
            }
        }
    }
}

/// An answer that the request has begun.
fn finish_prefill(done: &mut Conversation<'_, '_>, ask: &Ask<'_>, terms: &Terms<'_>, losses: &mut Losses) {
    let Some(last) = done.messages.last_mut().filter(|last| last.role == Role::Assistant) else { return };
    // Calls without results: nothing that we could add would make it right.
    if last.items.iter().any(|item| item.call().is_some()) {
        return;
    }
    if ask.format.is_some() || !Line::of(terms.kind()).continues(terms) {
        losses.drop("prefill");
        return done.messages.push(user(GO_ON));
    }
    done.is_prefilled = true;
    // The API refuses white space at the end.
    if let Some(Item::Part(part, _)) = last.items.last()
        && let Some(text) = part.as_text()
    {
        let (trimmed, cache) = (text.trim_end(), part.cache);
        if trimmed.len() < text.len() {
            let trimmed = Cow::Owned(trimmed.to_owned());
            last.items.pop();
            last.items.push(Item::Text(trimmed, cache));
        }
    }
}

/// The name by which a part is reported as lost.
fn kind(content: &Content<'_>) -> Cow<'static, str> {
    Cow::Borrowed(match content {
        Content::Text(_) | Content::Refusal(_) => "text",
        Content::Image(_) => "image",
        Content::Audio(_) => "audio",
        Content::Video(_) => "video",
        Content::File(_) => "file",
        Content::Thought(_) => "reasoning",
        Content::Call(_) | Content::Outcome(_) => "tool_calls",
        Content::Vendor { kind, .. } => return Cow::Owned(kind.to_string()),
    })
}
