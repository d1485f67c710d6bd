//! Whose result is whose.
//!
//! Google's ids are optional on either side, and the name and the order tell where they are missing.
//! Other dialects need ids on both or on neither: whichever side has one gives it to the other, and
//! results without ids are put in the order of their calls.

use crate::dialect::hub::{Content, Outcome, Part, Text, Turn};
use crate::dialect::tree::{Node, Wrong};

/// The calls of a conversation so far.
#[derive(Default)]
pub struct Pairs<'a> {
    calls: Vec<Seen<'a>>,
}

struct Seen<'a> {
    id: Text<'a>,
    name: Text<'a>,
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
                let (id, name) = (call.id.clone(), call.name.clone());
                self.calls.push(Seen { id, name, turn: turns.len() - 1, part, answered: false });
            }
        }
    }

    /// Finds the calls of the results that `node` has put into `parts` from `begin` on.
    pub fn meet(
        &mut self,
        node: &Node<'a>,
        turns: &mut [Turn<'a>],
        parts: &mut [Part<'a>],
        begin: usize,
        answers: &mut Vec<Answer>,
    ) -> Result<(), Wrong> {
        for (at, part) in parts.iter_mut().enumerate().skip(begin) {
            if let Content::Outcome(outcome) = &mut part.content {
                let call = self.answer(outcome, turns).ok_or_else(|| {
                    node.wrong("answers no functionCall before it; send the model's turn with the call, too")
                })?;
                answers.push(Answer { part: at, call });
            }
        }
        Ok(())
    }

    fn answer(&mut self, outcome: &mut Outcome<'a>, turns: &mut [Turn<'a>]) -> Option<usize> {
        let named = |seen: &Seen<'a>| outcome.name.as_ref() == Some(&seen.name);
        let by_id = |seen: &Seen<'a>| !outcome.call_id.is_empty() && seen.id == outcome.call_id;
        let by_name = |seen: &Seen<'a>| {
            !seen.answered && named(seen) && (seen.id.is_empty() || outcome.call_id.is_empty())
        };
        let at = self.calls.iter().position(by_id).or_else(|| self.calls.iter().position(by_name))?;
        let seen = self.calls.get_mut(at)?;
        seen.answered = true;
        if outcome.call_id.is_empty() {
            outcome.call_id.clone_from(&seen.id);
        } else if seen.id.is_empty() {
            seen.id.clone_from(&outcome.call_id);
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
