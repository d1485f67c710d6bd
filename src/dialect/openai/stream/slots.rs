//! The tool calls of a stream.
//!
//! OpenAI numbers them; an id and a name come with the first piece only. Vendors differ: the number is
//! absent (Mistral, Google), the same for all calls (Google again) or begins at 1 (Anthropic's
//! compatible endpoint); the id is absent, or empty, or another one in each piece (old vLLM). So a
//! piece begins a new call when its number is new, or when it names a function again, under another id
//! or after the arguments are whole.
//!
//! No vendor says that a call is over. It is when its arguments are a whole object and something else
//! begins; until then its pieces may be interleaved with those of others.

use crate::dialect::hub::{Block, CallKind, Delta, Event, Signature, Text};
use crate::dialect::openai::calls;
use crate::dialect::tree::{Node, Wrong};

/// More calls than this in one answer are no answer.
const MOST_CALLS: usize = 1_024;

#[derive(Debug, Default)]
pub struct Slots(Vec<Slot>);

#[derive(Debug)]
struct Slot {
    number: Option<u64>,
    id: String,
    kind: CallKind,
    state: State,
    whole: Whole,
}

#[derive(Debug)]
enum State {
    /// Until its name is known.
    Waiting {
        arguments: String,
    },
    Open {
        block: u32,
    },
    Closed,
}

/// One piece of a call.
#[derive(Debug)]
pub struct Said<'f> {
    number: Option<u64>,
    id: Text<'f>,
    name: Text<'f>,
    arguments: Text<'f>,
    kind: CallKind,
    signature: Option<Signature<'f>>,
}

impl<'f> Said<'f> {
    pub fn of(node: &Node<'f>) -> Self {
        let (kind, said, input) = match node.at("custom") {
            Some(custom) => (CallKind::Custom, Some(custom), "input"),
            None => (CallKind::Function, node.at("function"), "arguments"),
        };
        let text = |node: &Node<'f>, key: &str| node.at(key).and_then(Node::text);
        Self {
            number: node.at("index").and_then(Node::as_integer),
            id: text(node, "id").unwrap_or_default(),
            name: said.and_then(|said| text(said, "name")).unwrap_or_default(),
            arguments: calls::arguments(said.and_then(|said| said.at(input))),
            kind,
            signature: calls::signature(node),
        }
    }

    /// The older `function_call`, of which there is one at most.
    pub fn of_legacy(node: &Node<'f>) -> Self {
        Self {
            number: None,
            id: Text::default(),
            name: node.at("name").and_then(Node::text).unwrap_or_default(),
            arguments: calls::arguments(node.at("arguments")),
            kind: CallKind::Function,
            signature: None,
        }
    }
}

impl Slots {
    /// The place of the call that this piece belongs to; a new one if it begins one.
    pub fn find(&mut self, said: &Said<'_>) -> Result<usize, Wrong> {
        let last = self.0.len().checked_sub(1);
        let at = match said.number {
            Some(_) => self.0.iter().rposition(|slot| slot.number == said.number),
            None if said.id.is_empty() => last,
            None => self.0.iter().rposition(|slot| slot.id == *said.id).or(last),
        };
        let known = at.filter(|at| self.0.get(*at).is_some_and(|slot| slot.goes_on(said)));
        if let Some(at) = known {
            return Ok(at);
        }
        if self.0.len() == MOST_CALLS {
            return Err(Wrong::whole("more tool calls than anybody can make"));
        }
        self.0.push(Slot {
            number: said.number,
            id: said.id.to_string(),
            kind: said.kind,
            state: State::Waiting { arguments: String::new() },
            whole: Whole::default(),
        });
        Ok(self.0.len() - 1)
    }

    /// Can it be opened now?
    pub fn is_ready(&self, at: usize, said: &Said<'_>) -> bool {
        !said.name.is_empty()
            && self.0.get(at).is_some_and(|slot| matches!(slot.state, State::Waiting { .. }))
    }

    pub fn open<'f>(
        &mut self,
        at: usize,
        said: &Said<'f>,
        choice: u32,
        blocks: &mut u32,
        events: &mut Vec<Event<'f>>,
    ) {
        self.close_whole(choice, events);
        if let Some(slot) = self.0.get_mut(at) {
            let id = if slot.id.is_empty() { said.id.clone() } else { Text::Owned(slot.id.clone()) };
            slot.id = id.to_string();
            slot.open(id, said.name.clone(), choice, blocks, events);
        }
    }

    pub fn id(&self, at: usize) -> &str {
        self.0.get(at).map_or("", |slot| &slot.id)
    }

    /// The block of the open call of this id.
    pub fn block_of(&self, id: &str) -> Option<u32> {
        let slot = self.0.iter().find(|slot| slot.id == id)?;
        if let State::Open { block } = slot.state { Some(block) } else { None }
    }

    pub fn sign<'f>(&self, at: usize, signature: Signature<'f>, choice: u32, events: &mut Vec<Event<'f>>) {
        if let Some(State::Open { block }) = self.0.get(at).map(|slot| &slot.state) {
            events.push(Event::Delta { choice, block: *block, delta: Delta::Signature(signature) });
        }
    }

    /// Adds what a piece says. After its end there is no place for more.
    pub fn add<'f>(&mut self, at: usize, said: Said<'f>, choice: u32, events: &mut Vec<Event<'f>>) {
        if let Some(signature) = said.signature {
            self.sign(at, signature, choice, events);
        }
        let Some(slot) = self.0.get_mut(at).filter(|_| !said.arguments.is_empty()) else { return };
        slot.whole.feed(&said.arguments);
        match &mut slot.state {
            State::Waiting { arguments } => arguments.push_str(&said.arguments),
            State::Open { block } => {
                let delta = Delta::Arguments(said.arguments);
                events.push(Event::Delta { choice, block: *block, delta });
            }
            State::Closed => {}
        }
    }

    /// Closes those whose arguments are whole: something else begins.
    pub fn close_whole(&mut self, choice: u32, events: &mut Vec<Event<'_>>) {
        for slot in self.0.iter_mut().filter(|slot| slot.is_whole()) {
            slot.close(choice, events);
        }
    }

    pub fn close_all(&mut self, choice: u32, events: &mut Vec<Event<'_>>) {
        for slot in &mut self.0 {
            slot.close(choice, events);
        }
    }

    /// Opens those that never had a name.
    pub fn open_rest(&mut self, choice: u32, blocks: &mut u32, events: &mut Vec<Event<'_>>) {
        for slot in &mut self.0 {
            if matches!(slot.state, State::Waiting { .. }) {
                let id = Text::Owned(slot.id.clone());
                slot.open(id, Text::default(), choice, blocks, events);
            }
        }
    }
}

impl Slot {
    /// Whether the piece belongs to this call, which has the same number or comes last.
    fn goes_on(&self, said: &Said<'_>) -> bool {
        if said.name.is_empty() || matches!(self.state, State::Waiting { .. }) {
            return true;
        }
        if said.id.is_empty() || self.id.is_empty() {
            return !self.whole.is_whole() && said.number.is_some();
        }
        self.id == *said.id
    }

    fn is_whole(&self) -> bool {
        self.kind == CallKind::Function && self.whole.is_whole()
    }

    fn open<'f>(
        &mut self,
        id: Text<'f>,
        name: Text<'f>,
        choice: u32,
        blocks: &mut u32,
        events: &mut Vec<Event<'f>>,
    ) {
        let block = *blocks;
        *blocks += 1;
        let before = std::mem::replace(&mut self.state, State::Open { block });
        events.push(Event::Open { choice, block, kind: Block::Call { id, name, kind: self.kind } });
        if let State::Waiting { arguments } = before
            && !arguments.is_empty()
        {
            events.push(Event::Delta { choice, block, delta: Delta::Arguments(arguments.into()) });
        }
    }

    fn close(&mut self, choice: u32, events: &mut Vec<Event<'_>>) {
        if let State::Open { block } = self.state {
            events.push(Event::Close { choice, block });
            self.state = State::Closed;
        }
    }
}

/// Follows a JSON object to its end, without keeping it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Whole {
    depth: u32,
    begun: bool,
    quoted: bool,
    escaped: bool,
}

impl Whole {
    fn feed(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.quoted => self.escaped = true,
                b'"' => self.quoted = !self.quoted,
                _ if self.quoted => {}
                b'{' | b'[' => {
                    self.begun = true;
                    self.depth = self.depth.saturating_add(1);
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    const fn is_whole(self) -> bool {
        self.begun && self.depth == 0 && !self.quoted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_whole<'t>(pieces: impl IntoIterator<Item = &'t str>) -> bool {
        let mut whole = Whole::default();
        for piece in pieces {
            whole.feed(piece);
        }
        whole.is_whole()
    }

    #[test]
    fn an_object_is_whole_at_its_last_brace() {
        let object = r#"{"a":"}\"{","b":[{"c":1}]}"#;
        for (at, _) in object.char_indices() {
            assert!(!is_whole([object.get(..at).expect("a boundary")]), "{at}");
        }
        assert!(is_whole([object]) && is_whole([object, " \n"]));
        assert!(!is_whole([""]) && !is_whole(["null"]));
    }

    proptest! {
        #[test]
        fn where_it_is_cut_makes_no_difference(text in "[{}\\[\\]\"\\\\a]{0,20}", at in 0..20_usize) {
            let at = at.min(text.len());
            let (head, tail) = text.split_at(at);
            prop_assert_eq!(is_whole([head, tail]), is_whole([&*text]));
        }
    }
}
