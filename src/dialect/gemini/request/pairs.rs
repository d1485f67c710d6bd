//! Whose result is whose.
//!
//! Google's ids are optional on either side, and the name and the order tell where they are missing.
//! Other dialects need ids on both or on neither: whichever side has one gives it to the other, and
//! results without ids are put in the order of their calls.

use std::collections::{HashMap, VecDeque};

use super::chunks;
use crate::dialect::hub::{Call, CallKind, Content, Outcome, Part, Role, Text, Turn};
use crate::dialect::tree::{Node, Wrong};

/// What a result is that answers no call before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lone {
    /// A mistake of the caller's.
    Wrong,
    /// All that is to be counted: a call is put before it, as other vendors take none without.
    Called,
}

/// The calls of a conversation so far.
#[derive(Default)]
pub struct Pairs<'a> {
    calls: Vec<Seen<'a>>,
    by_id: HashMap<Text<'a>, usize>,
    /// The calls of a tool that wait for a result; some may have got one by their id.
    waiting: HashMap<Text<'a>, Waiting>,
}

/// Calls of one tool, oldest first.
#[derive(Default)]
struct Waiting {
    all: VecDeque<usize>,
    without_id: VecDeque<usize>,
}

struct Seen<'a> {
    id: Text<'a>,
    turn: usize,
    part: usize,
    answered: bool,
}

/// A result in the turn that is being read.
pub struct Answer {
    part: usize,
    call: usize,
}

impl<'a> Pairs<'a> {
    /// Takes note of the calls of a turn, from a part on.
    pub fn call(&mut self, turns: &[Turn<'a>], from: usize) {
        let Some(turn) = turns.last() else { return };
        for (part, call) in turn.parts.iter().enumerate().skip(from) {
            if let Content::Call(call) = &call.content {
                let at = self.calls.len();
                let waiting = self.waiting.entry(call.name.clone()).or_default();
                waiting.all.push_back(at);
                if call.id.is_empty() {
                    waiting.without_id.push_back(at);
                } else {
                    self.by_id.entry(call.id.clone()).or_insert(at);
                }
                let id = call.id.clone();
                self.calls.push(Seen { id, turn: turns.len() - 1, part, answered: false });
            }
        }
    }

    /// Finds the calls of the results that `node` has put into `parts` from `begin` on.
    pub fn meet(
        &mut self,
        (node, lone): (&Node<'a>, Lone),
        turns: &mut Vec<Turn<'a>>,
        parts: &mut [Part<'a>],
        begin: usize,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Wrong> {
        for (at, part) in parts.iter_mut().enumerate().skip(begin) {
            if let Content::Outcome(outcome) = &mut part.content {
                let mut call = self.answer(outcome, turns);
                if let (None, Lone::Called, Some(name)) = (call, lone, &outcome.name) {
                    self.call_before(&outcome.call_id, name, turns);
                    call = self.answer(outcome, turns);
                }
                let call = call.ok_or_else(|| {
                    node.wrong("answers no functionCall before it; send the model's turn with the call, too")
                })?;
                answers.push(Answer { part: at, call });
            }
        }
        Ok(())
    }

    fn call_before(&mut self, id: &Text<'a>, name: &Text<'a>, turns: &mut Vec<Turn<'a>>) {
        let call = Call {
            id: id.clone(),
            name: name.clone(),
            arguments: Text::Borrowed("{}"),
            kind: CallKind::Function,
            signature: None,
        };
        let turn = Turn::new(Role::Assistant, vec![Part::new(Content::Call(call))]);
        let from = chunks::append(turns, turn);
        self.call(turns, from);
    }

    fn answer(&mut self, outcome: &mut Outcome<'a>, turns: &mut [Turn<'a>]) -> Option<usize> {
        let known = self.by_id.get(&outcome.call_id).copied();
        let at = known.or_else(|| {
            let waiting = self.waiting.get_mut(outcome.name.as_ref()?)?;
            let queue = if outcome.call_id.is_empty() { &mut waiting.all } else { &mut waiting.without_id };
            std::iter::from_fn(|| queue.pop_front())
                .find(|at| self.calls.get(*at).is_some_and(|seen| !seen.answered))
        })?;
        let seen = self.calls.get_mut(at)?;
        seen.answered = true;
        if outcome.call_id.is_empty() {
            outcome.call_id.clone_from(&seen.id);
        } else if seen.id.is_empty() {
            seen.id.clone_from(&outcome.call_id);
            self.by_id.insert(outcome.call_id.clone(), at);
            let part = turns.get_mut(seen.turn)?.parts.get_mut(seen.part)?;
            if let Content::Call(call) = &mut part.content {
                call.id.clone_from(&outcome.call_id);
            }
        }
        Some(at)
    }

    /// Puts the results of one turn that have no ids in the order of their calls.
    pub fn sort(&self, parts: &mut [Part<'a>], answers: &[Answer]) {
        let unnamed: Vec<&Answer> = answers
            .iter()
            .filter(|answer| self.calls.get(answer.call).is_some_and(|seen| seen.id.is_empty()))
            .collect();
        if unnamed.is_sorted_by_key(|answer| answer.call) {
            return;
        }
        let mut taken: Vec<(usize, Part<'a>)> = Vec::with_capacity(unnamed.len());
        for answer in &unnamed {
            if let Some(part) = parts.get_mut(answer.part) {
                taken.push((answer.call, std::mem::replace(part, Part::text(""))));
            }
        }
        taken.sort_by_key(|(call, _)| *call);
        for (answer, (_, part)) in unnamed.iter().zip(taken) {
            if let Some(place) = parts.get_mut(answer.part) {
                *place = part;
            }
        }
    }
}
