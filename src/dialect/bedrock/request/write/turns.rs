//! The conversation: who speaks when, and what goes along.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::documents::Names;
use super::ids::Ids;
use super::parts;
use super::{Draft, Origin, custom};
use crate::dialect::bedrock::block;
use crate::dialect::hub::{self, CacheMark, CallKind, Content, Extras, Losses, Part, Role, Text, Turn};
use crate::dialect::write::{Array, Object};
use crate::vocab::Ability;

/// What the user says before an assistant that would speak first.
static NOTHING: LazyLock<Part<'static>> = LazyLock::new(|| Part::text(hub::NOTHING));
/// What the user says behind an answer that the model cannot just continue.
static GO_ON: LazyLock<Part<'static>> = LazyLock::new(|| Part::text(hub::GO_ON));

/// The conversation as it will be written.
pub struct Layout<'d, 'a> {
    pub system: Vec<Placed<'d, 'a>>,
    pub messages: Vec<Message<'d, 'a>>,
    /// The last message is the beginning of the answer, and the model refuses white space at its end.
    is_begun: bool,
}

pub struct Message<'d, 'a> {
    /// System, user or assistant.
    pub role: Role,
    pub parts: Vec<Placed<'d, 'a>>,
    extras: Option<&'d Extras<'a>>,
}

/// A part in its place.
pub struct Placed<'d, 'a> {
    pub part: &'d Part<'a>,
    /// Of a call or its result.
    pub id: Text<'a>,
    /// The cache mark that is said behind it.
    pub mark: Option<CacheMark>,
}

pub fn lay_out<'d, 'a>(draft: &Draft<'d, 'a>, losses: &mut Losses) -> Layout<'d, 'a> {
    let mut layout = Layout { system: Vec::new(), messages: Vec::new(), is_begun: false };
    let mut ids = Ids::new(draft.terms.nonce);
    for turn in &draft.ask.turns {
        let instructs = matches!(turn.role, Role::System | Role::Developer);
        let leading = instructs && layout.messages.is_empty();
        let role = match turn.role {
            Role::Assistant => Role::Assistant,
            Role::System | Role::Developer if leading || layout.takes_system(draft) => Role::System,
            Role::User | Role::System | Role::Developer => Role::User,
        };
        let mut placed = Vec::with_capacity(turn.parts.len());
        for part in turn.parts.iter().filter(|part| parts::is_said(draft, part, role, losses)) {
            let id = match &part.content {
                Content::Call(call) if draft.origin == Origin::Foreign => ids.of_call(call),
                Content::Outcome(outcome) if draft.origin == Origin::Foreign => ids.of_outcome(outcome),
                Content::Call(call) => call.id.clone(),
                Content::Outcome(outcome) => outcome.call_id.clone(),
                Content::Text(_)
                | Content::Refusal(_)
                | Content::Image(_)
                | Content::Audio(_)
                | Content::Video(_)
                | Content::File(_)
                | Content::Thought(_)
                | Content::Vendor { .. } => Text::Borrowed(""),
            };
            placed.push(Placed { part, id, mark: part.cache });
        }
        if leading {
            layout.system.append(&mut placed);
        } else if !placed.is_empty() || turn.parts.is_empty() {
            layout.add(draft, turn, role, placed);
        }
    }
    if draft.origin == Origin::Foreign {
        layout.order_outcomes();
        layout.begin_and_end(draft, losses);
    }
    layout
}

impl<'d, 'a> Layout<'d, 'a> {
    /// A message of the system may stand here: newer Claude knows it, but not before a tool's results.
    fn takes_system(&self, draft: &Draft<'_, '_>) -> bool {
        let newer = draft.maker.is_claude_since((4, 8));
        let calls = self.messages.last().is_some_and(|message| {
            message.parts.iter().any(|placed| matches!(placed.part.content, Content::Call(_)))
        });
        draft.origin == Origin::Own || (draft.terms.knows(Ability::MidConversationSystem, newer) && !calls)
    }

    /// Adds a message, or more to the last one: the roles have to take turns.
    fn add(&mut self, draft: &Draft<'_, '_>, turn: &'d Turn<'a>, role: Role, mut parts: Vec<Placed<'d, 'a>>) {
        match self.messages.last_mut() {
            Some(last) if last.role == role && draft.origin == Origin::Foreign => {
                last.parts.append(&mut parts);
            }
            _ => {
                let extras = (draft.origin == Origin::Own).then_some(&turn.extras);
                self.messages.push(Message { role, parts, extras });
            }
        }
    }

    /// Results stand first in the message behind their calls, and in the calls' order.
    fn order_outcomes(&mut self) {
        let mut calls: HashMap<Text<'a>, usize> = HashMap::new();
        for message in &mut self.messages {
            message.parts.sort_by_key(|placed| match &placed.part.content {
                Content::Outcome(_) => calls.get(&placed.id).copied().unwrap_or(calls.len()),
                Content::Text(_)
                | Content::Refusal(_)
                | Content::Image(_)
                | Content::Audio(_)
                | Content::Video(_)
                | Content::File(_)
                | Content::Thought(_)
                | Content::Call(_)
                | Content::Vendor { .. } => usize::MAX,
            });
            let called =
                message.parts.iter().filter(|placed| matches!(placed.part.content, Content::Call(_)));
            let ids: Vec<Text<'a>> = called.map(|placed| placed.id.clone()).collect();
            // Backwards, so that of several calls with one id the first counts.
            calls = ids.into_iter().enumerate().rev().map(|(place, id)| (id, place)).collect();
        }
    }

    /// A conversation begins with the user, and ends with him where the model takes no begun answer.
    fn begin_and_end(&mut self, draft: &Draft<'_, '_>, losses: &mut Losses) {
        let user = |part: &'d Part<'a>| {
            let parts = vec![Placed { part, id: Text::Borrowed(""), mark: None }];
            Message { role: Role::User, parts, extras: None }
        };
        if self.messages.first().is_some_and(|first| first.role != Role::User) {
            self.messages.insert(0, user(&NOTHING));
        }
        let is_call = |placed: &Placed<'_, '_>| matches!(placed.part.content, Content::Call(_));
        let begun = self.messages.last().filter(|last| last.role == Role::Assistant);
        let older = !draft.maker.is_claude_since((4, 6));
        // Calls without results: nothing that we could add would make it right.
        if begun.is_none_or(|last| last.parts.iter().any(is_call)) {
            return;
        }
        if draft.terms.knows(Ability::Prefill, older) {
            self.is_begun = draft.maker.is_claude();
        } else {
            losses.drop("prefill");
            self.messages.push(user(&GO_ON));
        }
    }

    /// The tools that were called, each once.
    pub fn called(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for placed in self.messages.iter().flat_map(|message| &message.parts) {
            let Content::Call(call) = &placed.part.content else { continue };
            let name = match call.kind {
                CallKind::Function => call.name.clone().into_owned(),
                CallKind::Custom => custom(&call.name),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// `whole` is the mark of the request as a whole.
pub fn write(
    draft: &Draft<'_, '_>,
    layout: &Layout<'_, '_>,
    whole: Option<CacheMark>,
    losses: &mut Losses,
    body: &mut Object<'_>,
) {
    let mut names = Names::default();
    if !layout.system.is_empty() {
        body.array("system", |blocks| {
            for placed in &layout.system {
                block(draft, placed, &mut names, losses, blocks);
            }
        });
    }
    body.array("messages", |messages| {
        for (at, message) in layout.messages.iter().enumerate() {
            let is_last = at + 1 == layout.messages.len();
            let mark = whole.filter(|_| is_last);
            let end = message.parts.len().saturating_sub(1);
            messages.object(|object| {
                object.str("role", role(message.role));
                object.array("content", |blocks| {
                    for (at, placed) in message.parts.iter().enumerate() {
                        let text = placed.part.as_text().filter(|_| is_last && at == end && layout.is_begun);
                        let Some(text) = text else {
                            block(draft, placed, &mut names, losses, blocks);
                            continue;
                        };
                        blocks.object(|block| {
                            block.str("text", text.trim_end());
                        });
                    }
                    if let Some(mark) = mark {
                        draft.cache_point(mark, blocks);
                    }
                });
                if let Some(extras) = message.extras {
                    extras.write(object);
                }
            });
        }
    });
}

fn block(
    draft: &Draft<'_, '_>,
    placed: &Placed<'_, '_>,
    names: &mut Names,
    losses: &mut Losses,
    blocks: &mut Array<'_>,
) {
    parts::write(draft, placed, names, losses, blocks);
    if let Some(mark) = placed.mark {
        draft.cache_point(mark, blocks);
    }
}

impl Draft<'_, '_> {
    /// The model's prompts may be cached at marks: Claude's and Nova's, as far as is known.
    pub fn caches(&self) -> bool {
        let maker = self.maker.is_claude() || self.maker.is_nova();
        self.origin == Origin::Own || self.terms.knows(Ability::PromptCaching, maker)
    }

    /// Only Claude lets choose for how long.
    pub fn cache_point(&self, mark: CacheMark, blocks: &mut Array<'_>) {
        let long = self.origin == Origin::Own || self.maker.is_claude();
        block::cache_point(if long { mark } else { CacheMark::Short }, blocks);
    }
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}
